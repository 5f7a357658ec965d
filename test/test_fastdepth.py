"""Somebody else's network runs by its YAML alone: FastDepth, in float and in integers, on real frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.evaluation import evaluate, zoomed
from recon3d_ros.geometry import Frame, PinholeCamera

pytest.importorskip("onnxruntime")

MODELS = ("fast_depth_224_fp32_nchw", "fast_depth_224_qdq_uint8_nhwc")
CROP = (90, 0, 360, 360)  # x, y, width, height: the square centre, as FastDepth was trained


@pytest.fixture(scope="module")
def frames(data_dir: Path) -> list[tuple[Frame, np.ndarray]]:
    """Every second HoloLens frame, and its depth in metres, 0 = unknown."""
    sequences = json.loads((data_dir / "INDEX.json").read_text())["sequences"]
    entry = next(s for s in sequences if s["id"] == "hololens")
    k = [entry[key] for key in ("fx", "cx", "cy", "fy")]
    camera = PinholeCamera.simple(entry["width"], entry["height"], *k)
    pairs = []
    for i in range(0, entry["n"], 2):
        bgr = cv2.imread(str(data_dir / entry["rgb"].format(i=i)), cv2.IMREAD_COLOR)
        depth = cv2.imread(str(data_dir / entry["depth"].format(i=i)), cv2.IMREAD_UNCHANGED)
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        pairs.append((Frame(0, rgb, camera), depth * np.float32(entry["gt_to_m"])))
    return pairs


@pytest.fixture(scope="module")
def estimators(fastdepth: Callable[[str], str]) -> Iterator[dict[str, Estimator]]:
    """Both networks, opened by their manifests."""
    opened = {name: Estimator.open(ModelConfig(model=fastdepth(name))) for name in MODELS}
    yield opened
    for estimator in opened.values():
        estimator.close()


def cropped(frame: Frame, depth: np.ndarray) -> tuple[Frame, np.ndarray]:
    x, y, width, height = CROP
    window = (slice(y, y + height), slice(x, x + width))
    return Frame(0, frame.image[window], frame.camera.cropped(*CROP)), depth[window]


def delta_1(estimate: np.ndarray, truth: np.ndarray, *, scaled: bool) -> float:
    known = truth > 0
    estimate, truth = estimate[known], truth[known]
    if scaled:
        estimate = estimate * np.median(truth) / np.median(estimate)
    return float((np.maximum(estimate / truth, truth / estimate) < 1.25).mean())


@pytest.mark.parametrize("name", MODELS)
def test_accuracy_is_the_known_one(name: str, frames: list, estimators: dict) -> None:
    """FastDepth by ONNX Runtime alone, on the centre of these frames: 0.51 raw, 0.70 median-scaled."""
    raw, scaled = [], []
    for frame, truth in (cropped(*pair) for pair in frames):
        depth = estimators[name].estimate(frame).depth
        raw.append(delta_1(depth, truth, scaled=False))
        scaled.append(delta_1(depth, truth, scaled=True))
    assert np.mean(raw) == pytest.approx(0.51, abs=0.03)
    assert np.mean(scaled) == pytest.approx(0.70, abs=0.03)


def test_both_files_agree(frames: list, estimators: dict) -> None:
    """One network in two files that share nothing but their answer: layout, dtype, names and scale differ."""
    planar, integer = (
        np.stack([estimator.estimate(frame).depth for frame, _ in frames[::4]])
        for estimator in estimators.values()
    )
    both = np.isfinite(planar) & np.isfinite(integer)
    assert both.mean() > 0.999
    planar, integer = planar[both], integer[both]
    assert np.median(np.abs(planar - integer) / planar) < 0.03  # the integer one answers in steps of 0.07 m
    assert np.corrcoef(planar, integer)[0, 1] > 0.98


# Of every tenth frame, on the whole image: abs_rel, rmse_m, delta_1, and scale, means over the frames, worked
# out with ONNX Runtime, OpenCV and NumPy alone.
KNOWN = {"nyuv2": (0.157, 0.456, 0.836, 0.934), "hololens": (0.205, 0.762, 0.592, 1.212)}


@pytest.mark.parametrize("data", KNOWN)
def test_evaluate_gives_its_known_scores_and_a_longer_lens_fools_it(
    data: str, data_dir: Path, estimators: dict
) -> None:
    """It does not know the focal length: twice as long a lens brings everything nearer in its eyes."""
    planar, samples = estimators["fast_depth_224_fp32_nchw"], open_dataset(data, data_dir)[::10]
    metrics = evaluate(planar, samples).metrics
    found = [metrics[key] for key in ("abs_rel", "rmse_m", "delta_1", "scale")]
    assert found == pytest.approx(KNOWN[data], abs=0.004)
    assert metrics["delta_1_scaled"] > metrics["delta_1"]
    closer = evaluate(planar, [zoomed(sample, 2.0) for sample in samples]).metrics
    assert closer["scale"] > 1.4 * metrics["scale"]
    assert closer["delta_1"] < 0.2 < 0.55 < closer["delta_1_scaled"]
