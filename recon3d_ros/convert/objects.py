"""Objects that a model of whole shapes is shown while it is converted: to find ranges, and to compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.object_in_view import box_of
from recon3d_ros.geometry.unit_frame import ObjectView, UnitFrame, visible_frame
from recon3d_ros.metrics import shape_metrics
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess import Preprocessor, plan_fit

# Objects that neither train nor validate: those that find ranges, and those that compare.
CALIBRATION_SEEDS = range(910_000, 910_064, 4)
COMPARISON_SEEDS = range(920_000, 920_064, 4)
_SIZE_WH = (224, 160)

Feed = dict[str, NDArray[Any]]


def object_feeds(manifest: Manifest, seeds: Sequence[int]) -> tuple[list[Feed], list[NDArray[np.float32]]]:
    """The input of each object of the world, of exact depth, and its points in the unit frame of it."""
    pairs = [_part(manifest, seed) if manifest.takes_points else _view(manifest, seed) for seed in seeds]
    return [feed for feed, _ in pairs], [truth for _, truth in pairs]


def object_score(points: NDArray[np.floating], truth: NDArray[np.float32]) -> dict[str, float]:
    """What a row of the table of precisions says of an output, (1, N, 3)."""
    return {"chamfer": shape_metrics(points[0], truth)["chamfer"]}


def _view(manifest: Manifest, seed: int) -> tuple[Feed, NDArray[np.float32]]:
    shown = world.object_sample(seed, _SIZE_WH)
    frame, size_wh = shown.sample.frame, manifest.input.size_wh
    assert size_wh is not None  # of a point_set model it is a square
    view = ObjectView.of_box(frame.camera, box_of(shown.mask))
    crop = view.crop(frame.image, frame.camera, size_wh[0])
    feed = Preprocessor(manifest.input, plan_fit(manifest.input, size_wh), 1).tensors([crop])
    # A copy: the preprocessor's own is written over by the next one's.
    feed = {name: tensor.copy() for name, tensor in feed.items()}
    return feed, view.frame(view.middle_m(shown.points)).to_unit(shown.points)


def _part(manifest: Manifest, seed: int) -> tuple[Feed, NDArray[np.float32]]:
    shown = world.object_sample(seed, _SIZE_WH)
    camera, depth = shown.sample.frame.camera, shown.sample.depth
    assert depth is not None  # the world knows it
    v, u = np.nonzero(shown.mask & np.isfinite(depth))
    seen = back_project(camera, u, v, depth[v, u])
    given, _ = manifest.completion_contracts
    frame: UnitFrame = visible_frame(seen)
    chosen = np.random.default_rng(seed).permutation(len(seen))[: given.count]
    partial = np.resize(frame.to_unit(seen[chosen]), (1, given.count, 3))
    return {given.names[0]: partial}, frame.to_unit(shown.points)
