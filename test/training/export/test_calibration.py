from __future__ import annotations

import numpy as np
import pytest
import torch

from recon3d_ros.networks import build_network
from recon3d_ros.networks.stereo import StereoOutput
from recon3d_ros.training.export import calibration
from recon3d_ros.training.export.calibration import (
    calibrate_locking,
    calibrate_scale,
    calibrate_uncertainty,
)
from recon3d_ros.training.losses.loss_input import DepthLossInput, DisparityLossInput


@pytest.fixture
def network(tiny_network, monkeypatch):
    """Answers 0 px with a logit and a scale that are wrong in a known way."""
    network = build_network("stereo", tiny_network).eval()

    def analyse(left, right):
        # The truth differs from 0 by what the red channel tells; half of the pixels are outliers.
        unsure = left[:, :1]
        head = network.uncertainty
        zero = torch.zeros_like(unsure)
        log_scale = head.scale_gain * (2.0 * unsure + 5.0) + head.scale_offset
        confidence_logit = head.trust_gain * 9.0 * (0.5 - unsure) + head.trust_offset
        return StereoOutput(zero.expand(-1, 12, -1, -1), zero, zero, log_scale, confidence_logit, zero, zero)

    monkeypatch.setattr(network, "analyse", analyse)
    return network


def observed(seed, size_hw=(64, 96)):
    """Pixels whose error is Laplace distributed with a scale that grows with their red channel."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 256, (*size_hw, 3), np.uint8)
    scale = np.exp(3.0 * (left[..., 0] / 255.0) - 1.0)
    return left, left, np.abs(rng.laplace(0.0, scale)).clip(0, 22).astype(np.float32)


def predictions(network, pairs):
    """Made while they are asked for, when the head is neutral."""
    for left, _, truth in pairs:
        image = torch.from_numpy(left.transpose(2, 0, 1)[None] / np.float32(255))
        yield DisparityLossInput(network.analyse(image, image), image, torch.from_numpy(truth)[None], 4)


def test_confidence_becomes_the_share_of_good_pixels(network):
    calibrate_uncertainty(network, predictions(network, map(observed, range(6))))
    left, _, truth = observed(100, (192, 256))
    output = network.analyse(torch.from_numpy(left.transpose(2, 0, 1)[None] / np.float32(255)), None)
    confidence = torch.sigmoid(output.confidence_logit).numpy().ravel()
    good = (truth < network.ACCURATE_PX).ravel()
    for chosen in np.array_split(np.argsort(confidence), 10):
        assert abs(confidence[chosen].mean() - good[chosen].mean()) < 0.06


def test_sigma_becomes_the_spread_of_the_error(network):
    found = calibrate_uncertainty(network, predictions(network, map(observed, range(6))))
    # From 2 u + 5 to 3 u - 1; the clipped tail takes a little off the gain.
    assert found["scale_gain"] == pytest.approx(1.5, abs=0.25)
    log_scale = network.analyse(torch.full((1, 3, 4, 4), 0.5), None).log_scale
    assert float(log_scale.mean()) == pytest.approx(0.5, abs=0.15)


def test_unknown_pixels_do_not_count(network):
    pairs = [observed(seed) for seed in range(3)]
    expected = calibrate_uncertainty(network, predictions(network, pairs))
    for _, _, truth in pairs:
        truth[:2] = np.nan
    again = calibrate_uncertainty(network, predictions(network, pairs))
    assert all(np.isfinite(value) for value in again.values())
    assert again["trust_gain"] == pytest.approx(expected["trust_gain"], rel=0.2)


def test_scale_is_the_median_over_the_images_and_without_images_stays():
    network = build_network("mono", {"stem": 8, "encoder": 4 * ((8,),), "hidden": 8}).eval()
    image = torch.rand(1, 3, 32, 64)

    def predictions(factors):
        for factor in factors:  # made while they are asked for, without a gain
            output = network.analyse(image)
            yield DepthLossInput(output, image, factor * output.depth[:, 0], network.log_centres)

    with torch.no_grad():
        network.log_gain.fill_(5.0)
        found = calibrate_scale(network, predictions([0.5, 1.2, 8.0]))
        assert found == pytest.approx(np.log(1.2), abs=1e-4) == float(network.log_gain)
        before = network(image)
        network.log_gain.zero_()
        plain = network(image)
    torch.testing.assert_close(before[0], 1.2 * plain[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(before[1], plain[1])
    assert calibrate_scale(network, []) == 0.0


def test_what_leans_towards_whole_bins_is_put_right(network):
    """An estimate that is 0.08 bins of 4 px too near to the next bin, a tenth of it anywhere."""
    network.locking.fill_(3.0)
    rng = np.random.default_rng(0)

    def predictions():
        for _ in range(3):  # made while they are asked for, with nothing added
            truth = torch.from_numpy(rng.uniform(4, 36, (1, 32, 48)).astype(np.float32))
            leaning = truth - 4 * 0.08 * torch.sin(2 * np.pi * truth / 4)
            wrong = torch.from_numpy(rng.random((1, 32, 48)) < 0.1)
            estimate = torch.where(wrong, 40 * torch.rand_like(truth), leaning)[:, None]
            estimate = estimate + 4 * network.locking * torch.sin(2 * np.pi * estimate / 4)
            zero = torch.zeros_like(estimate)
            output = StereoOutput(zero.expand(-1, 12, -1, -1), zero, estimate, zero, zero, zero, zero)
            truth[:, :4] = np.nan
            yield DisparityLossInput(output, zero.expand(-1, 3, -1, -1), truth, 4)

    found = calibrate_locking(network, predictions())
    # Of the estimate, not of the truth, the wave is steeper here and flatter there; most of it is gone.
    assert found == pytest.approx(0.08, abs=0.015) and float(network.locking) == pytest.approx(found)
    (left,) = [output.error[output.known].median() for output in list(predictions())[:1]]
    assert left < 0.06
    assert calibrate_locking(network, []) == pytest.approx(found)


def test_a_stereo_network_is_calibrated_on_good_and_on_worse_images(network, monkeypatch):
    monkeypatch.setattr(calibration, "CALIBRATION_SIZE_WH", (128, 64))
    seen = []

    def observe(kind):
        def calibrate(network, predictions):
            seen.append((kind, [tuple(inputs.measured.shape[1:]) for inputs in predictions]))

        return calibrate

    for kind in ("locking", "uncertainty"):
        monkeypatch.setattr(calibration, f"calibrate_{kind}", observe(kind))
    content = {"network": "stereo", "run": {"width": 64, "height": 32}}
    calibration.calibrate(network, content, None, 8)
    whole, three_quarters, half = (64, 128), (48, 96), (32, 64)
    assert seen == [
        ("locking", [whole] * 8),
        ("uncertainty", [whole] * 8 + [half, *[whole] * 3, three_quarters, half, whole, whole]),
    ]
