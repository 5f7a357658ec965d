"""A network that never saw these rooms, given its scale by simulated beams or by the floor.

HoloLens video: poses.txt has camera-to-world matrices whose camera looks along +z with y down, in a world
whose y axis points UP; the floor is the plane y = const that holds most of the true points. Height and
gravity of a frame follow from its pose; beams are fixed pixels whose true depth is known to 3 cm.

The yardstick is an oracle: each frame scaled by median(truth) / median(estimate), as evaluations do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon3d_ros.config import ModelConfig, ScaleConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.scale import Anchors, Mount, Observation, ScaleRecovery

pytest.importorskip("onnxruntime")

PERIOD_NS = 100_000_000
BEAMS, BEAM_SIGMA_M, UNSCORED_PX = 16, 0.03, 8
# The network, with the part of the 540 x 360 image that it is given: x, y, width, height.
NETWORKS = {"fast_depth_224_fp32_nchw": (90, 0, 360, 360), "recon3d_mono": (0, 0, 540, 360)}


@dataclass
class Video:
    """Estimates and truth of each frame, and the mount that its pose tells."""

    estimates: list[DepthMap]
    truths: list[np.ndarray]
    mounts: list[Mount]


@pytest.fixture(scope="module", params=NETWORKS)
def video(request, data_dir: Path, fastdepth: Callable[[str], str]) -> Video:
    x, y, width, height = crop = NETWORKS[request.param]
    window = (slice(y, y + height), slice(x, x + width))
    shipped = request.param.startswith("recon3d")
    estimator = Estimator.open(ModelConfig(model=request.param if shipped else fastdepth(request.param)))
    samples = open_dataset("hololens", data_dir)
    poses = np.loadtxt(data_dir / "video" / "hololens" / "poses.txt").reshape(-1, 4, 4)
    estimates, truths = [], []
    for sample in samples:
        image = np.ascontiguousarray(sample.frame.image[window])
        estimates.append(estimator.estimate(Frame(0, image, sample.frame.camera.cropped(*crop))))
        truths.append(sample.depth[window])
    estimator.close()
    floor_y = _floor_y(estimates[0].camera, truths, poses)
    mounts = [Mount(pose[1, 3] - floor_y, -pose[1, :3]) for pose in poses]
    return Video(estimates, truths, mounts)


def _floor_y(camera, truths: list[np.ndarray], poses: np.ndarray) -> float:
    """World height of the floor: the centimetre that most true points of all frames lie in."""
    v, u = np.mgrid[: truths[0].shape[0] : 3, : truths[0].shape[1] : 3]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=2)
    heights = np.concatenate(
        [(rays @ pose[1, :3] * depth[::3, ::3] + pose[1, 3]).ravel() for depth, pose in zip(truths, poses)]
    )
    heights = heights[np.isfinite(heights)]
    counts, edges = np.histogram(heights, bins=np.arange(-3, 3, 0.01))
    floor_y = float(edges[np.argmax(counts)] + 0.005)
    near = np.abs(heights - floor_y)
    assert (near < 0.05).mean() > 0.3, "y is not the up axis"
    assert (heights < floor_y - 0.1).mean() < 0.01, "a floor has nothing below it"
    return floor_y


def beams(truth: np.ndarray, i: int, seed: int, wrong: float) -> tuple[Anchors, np.ndarray]:
    """What sixteen beams see of a frame, a share of their readings wrong; and the (H, W) pixels to score."""
    v, u = np.random.default_rng(seed).integers(0, truth.shape, (BEAMS, 2)).T
    rng = np.random.default_rng([seed, i])
    depth = truth[v, u] + rng.normal(0, BEAM_SIGMA_M, BEAMS)
    bad = rng.permutation(np.flatnonzero(np.isfinite(depth)))
    bad = bad[: round(wrong * bad.size)]
    depth[bad] = rng.uniform(0.3, 6.0, bad.size)
    empty = np.ones(truth.shape, np.uint8)
    empty[v, u] = 0
    scored = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > UNSCORED_PX
    seen = np.isfinite(depth)
    known = Anchors("points", u[seen], v[seen], depth[seen], np.full(seen.sum(), BEAM_SIGMA_M), 0.01)
    return known, scored & np.isfinite(truth)


def delta_1(depth: np.ndarray, truth: np.ndarray) -> float:
    return float((np.maximum(depth / truth, truth / depth) < 1.25).mean())


@dataclass
class Outcome:
    """Frames that were given out: their numbers, delta_1, that of the oracle, depth, error in sigmas."""

    frames: list[int]
    recovered: list[float]
    oracle: list[float]
    depths: list[np.ndarray]
    errors: list[float]
    told: int = 0

    def falls_short(self) -> float:
        return float(np.mean(self.oracle) - np.mean(self.recovered))


def metric(estimate: DepthMap, gain: float = 1.0) -> DepthMap:
    """The answer of a network that answers other metres."""
    return DepthMap(estimate.depth * np.float32(gain), estimate.camera)


def relative(estimate: DepthMap) -> DepthMap:
    """The answer of a network that knows inverse depth up to scale and shift."""
    values = (3 / estimate.depth + 0.7).astype(np.float32)
    return DepthMap(np.full_like(values, np.nan), estimate.camera, relative_depth=values)


def recover(
    video: Video,
    source: str,
    answer_of: Callable[[DepthMap], DepthMap] = metric,
    seed: int = 0,
    wrong: float = 0.0,
) -> Outcome:
    follow = ScaleRecovery(ScaleConfig(scale_sources=(source,)))
    out = Outcome([], [], [], [], [])
    for i, (estimate, truth, mount) in enumerate(zip(video.estimates, video.truths, video.mounts)):
        known, scored = beams(truth, i, seed, wrong)
        observations: list[Observation] = [known] if source == "points" else [mount]
        if source == "floor":
            scored = np.isfinite(truth)
        answer = answer_of(estimate)
        scale = follow.update(i * PERIOD_NS, answer, observations)
        depth = scale.apply(answer).depth
        assert np.isnan(depth).all() or scale.trusted
        if not scale.trusted:
            continue
        median = float(np.median(truth[scored]) / np.median(estimate.depth[scored]))
        out.frames.append(i)
        out.recovered.append(delta_1(depth[scored], truth[scored]))
        out.oracle.append(delta_1(estimate.depth[scored] * median, truth[scored]))
        out.depths.append(depth[::20, ::20])
        by_hand = np.median(depth[scored]) / np.median(estimate.depth[scored])
        out.errors.append(float(np.log(by_hand / median)) / scale.sigma)
        out.told += bool(scale.sources)
    return out


@pytest.mark.parametrize("wrong", [0.0, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sixteen_beams_are_as_good_as_the_oracle(video: Video, seed: int, wrong: float) -> None:
    out = recover(video, "points", seed=seed, wrong=wrong)
    assert out.frames == list(range(80))
    assert out.falls_short() <= 0.03
    assert 0.5 < np.std(out.errors) < 1.6, "sigma is neither boast nor excuse"


def test_the_floor_is_nearly_as_good_as_the_oracle(video: Video, request) -> None:
    """It is not in view in the first frames, which are withheld, and in others, where the scale ages."""
    out = recover(video, "floor")
    # Ours bends the floor of more frames, which are withheld.
    least = {"recon3d_mono": 50}.get(request.node.callspec.params["video"], 60)
    assert len(out.frames) >= least and 35 <= out.told < len(out.frames)
    assert out.falls_short() <= 0.03
    assert 0.5 < np.std(out.errors) < 1.6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_relative_depth_gets_metres_from_sixteen_beams(video: Video, seed: int) -> None:
    """The shift is worth something: the oracle has a factor alone. Frames of one depth are withheld."""
    out = recover(video, "points", relative, seed)
    assert len(out.frames) >= 60 and out.falls_short() <= 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("source", "wrong"), [("points", 0.0), ("points", 0.3), ("floor", 0.0)])
def test_the_size_of_the_answer_does_not_matter(video: Video, source: str, wrong: float) -> None:
    plain = recover(video, source, wrong=wrong)
    for gain in (0.5, 2.0):
        other = recover(video, source, partial(metric, gain=gain), wrong=wrong)
        assert other.frames == plain.frames
        np.testing.assert_allclose(other.depths, plain.depths, rtol=1e-5)
        np.testing.assert_allclose(other.recovered, plain.recovered, atol=1e-4)
