from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from recon3d_ros.networks import build_network, network_config
from recon3d_ros.training.losses.table import DEFAULT_LOSSES, parse_losses
from recon3d_ros.training.run.objective import Objective
from recon3d_ros.training.run.warm_start import match_feature_statistics, resampled, warm_start
from recon3d_ros.training.samples.tasks import StereoTask

SIZE_WH = (96, 64)


def textured_batch(rng: np.random.Generator, count: int) -> list[torch.Tensor]:
    """Left, right (B, 3, H, W) and disparity (B, H, W): smooth noise, shifted by whole pixels."""
    width, height = SIZE_WH
    parts: list[list[np.ndarray]] = [[], [], []]
    for _ in range(count):
        shift = int(rng.integers(4, 30))
        wide = cv2.GaussianBlur(rng.random((height, width + shift, 3), np.float32), (0, 0), 2.0)
        wide = ((wide - wide.min()) / np.ptp(wide)).transpose(2, 0, 1)
        truth = np.full((height, width), shift, np.float32)
        truth[:, :shift] = np.nan
        for part, value in zip(parts, (wide[..., :width], wide[..., shift:], truth)):
            part.append(value)
    return [torch.from_numpy(np.stack(part)) for part in parts]


@pytest.fixture(scope="module")
def trained():
    """A tiny network of step 4 after some seconds, and pairs it has not seen."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    config = {"bins": 12, "step_px": 4, "stem": 8, "features": (16, 16, 16), "matching": 16, "guidance": 8}
    config |= {"hourglass": (16, 16, 16), "blocks": (0, 0, 0), "window": 2, "uncertainty": 8}
    network = build_network("stereo", config)
    objective = Objective(network, StereoTask(), parse_losses(DEFAULT_LOSSES["stereo"]), mixed=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(60):
        left, right, truth = textured_batch(rng, 4)
        optimizer.zero_grad()
        objective(left, right, truth).backward()
        optimizer.step()
    return network.eval(), textured_batch(np.random.default_rng(77), 8)


def finer(network) -> torch.nn.Module:
    torch.manual_seed(1)
    return build_network("stereo", {**network_config(network), "step_px": 2, "bins": 24}).eval()


def test_twice_as_fine_answers_as_the_coarse_one_did(trained):
    coarse, (left, right, truth) = trained
    fine, blank = finer(coarse), finer(coarse)
    warm_start(fine, coarse.state_dict(), network_config(coarse))
    known = torch.isfinite(truth)
    with torch.no_grad():
        before, after, untrained = (net(left, right)[0][:, 0] for net in (coarse, fine, blank))
    assert (before - truth)[known].abs().median() < 1.0, "the coarse one has learnt something"
    # Each coarse descriptor stands for two fine columns: half a fine bin, one pixel, until it is trained.
    assert (after - before)[known].abs().median() < 1.5
    assert (after - truth)[known].abs().mean() < 0.6 * (untrained - truth)[known].abs().mean()


def test_what_does_not_fit_stays_as_initialised(trained):
    coarse, _ = trained
    fine = finer(coarse)
    before = {name: value.clone() for name, value in fine.state_dict().items()}
    taken = warm_start(fine, coarse.state_dict(), network_config(coarse))
    after, weights = fine.state_dict(), coarse.state_dict()
    new = {name for name in after if name not in weights}
    assert new == {"encoder.refine.weight", "encoder.refine.bias"} and taken == len(after) - len(new)
    for name in new:
        torch.testing.assert_close(after[name], before[name])
    torch.testing.assert_close(after["encoder.describe.weight"], weights["encoder.describe.weight"])


def test_wider_network_takes_what_fits(trained):
    coarse, _ = trained
    wider = build_network("stereo", {**network_config(coarse), "uncertainty": 12})
    before = wider.uncertainty.judge[0][0].weight.clone()
    assert 0 < warm_start(wider, coarse.state_dict(), network_config(coarse)) < len(wider.state_dict())
    torch.testing.assert_close(wider.uncertainty.judge[0][0].weight, before)
    torch.testing.assert_close(wider.encoder.describe.weight, coarse.encoder.describe.weight)


def test_same_network_is_copied_whole(trained):
    coarse, (left, right, _) = trained
    again = build_network("stereo", network_config(coarse)).eval()
    assert warm_start(again, coarse.state_dict(), network_config(coarse)) == len(again.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again(left, right)[0], coarse(left, right)[0])


def test_a_last_convolution_of_1x1_begins_as_one_of_3x3_over_equal_features(trained):
    coarse, _ = trained
    plain = build_network("stereo", {**network_config(coarse), "logits_kernel": 1}).eval()
    assert warm_start(plain, coarse.state_dict(), network_config(coarse)) == len(plain.state_dict())
    features = torch.rand(1, 16, 1, 1).expand(1, 16, 5, 7)
    with torch.no_grad():
        before, after = (net.hourglass.leave(features)[..., 1:-1, 1:-1] for net in (coarse, plain))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_resampling_keeps_the_place_of_disparity_zero():
    """Values that are the disparity itself, in px, stay the disparity in px."""
    px = 4.0 * torch.arange(11, -1, -1, dtype=torch.float32)
    fine = resampled(px, 0, bins=23, ratio=0.5)
    torch.testing.assert_close(fine, 2.0 * torch.arange(22, -1, -1, dtype=torch.float32))
    assert resampled(px.expand(3, 5, 12), 2, bins=23, ratio=0.5).shape == (3, 5, 23)


def test_modules_begin_spread_as_what_they_are_to_answer():
    torch.manual_seed(0)
    network = build_network("mono", {"stem": 8, "encoder": ((8,), (8,), (12, 10), (16,)), "hidden": 8})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    spread = torch.logspace(-2, 2, 10).view(1, 10, 1, 1)
    theirs = spread * (torch.randn(6, 10, 9, 7) + 3.0)
    match_feature_statistics(network, {"to_sixteenth": theirs, "to_eighth": torch.rand(6, 5, 18, 14)})
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    last = "to_sixteenth.1.mix.1"
    assert changed == {f"{last}.weight", f"{last}.bias"}
    answers = network.get_submodule(last)(torch.randn(6, 10, 9, 7))
    torch.testing.assert_close(answers.mean(dim=(0, 2, 3)), theirs.mean(dim=(0, 2, 3)), rtol=1e-3, atol=0.0)
    torch.testing.assert_close(answers.std(dim=(0, 2, 3)), theirs.std(dim=(0, 2, 3)), rtol=1e-2, atol=0.0)
