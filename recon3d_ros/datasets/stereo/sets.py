"""KITTI 2012 and Middlebury 2001, 2003, 2005: rectified pairs with the disparity of the left image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros.datasets import index
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.files import read_image
from recon3d_ros.geometry import Frame, Sample, StereoRig

NOMINAL_BASELINE_M = 0.1


def stereo_set(root: Path, *set_names: str) -> LazySequence[Sample]:
    """Samples of one or more sets of the index, read one by one.

    Disparity is NaN where the set has no truth (for KITTI 2012 that includes every occluded pixel: its truth
    here is the non-occluded one). Depth is there only where the index knows focal length and baseline.

    Raises:
        DataError: when the index has no such set.
    """
    scenes = [scene for name in set_names for scene in index.stereo_scenes(root, name)]
    return LazySequence(scenes, lambda scene: _read_scene(root, scene))


def scene_rig(scene: Mapping[str, Any]) -> StereoRig:
    """The rig of one index entry.

    Middlebury 2001 and 2003 come without calibration: their rig has a NOMINAL focal length of one image width
    (about 53 degrees of view) and a NOMINAL baseline of 0.1 m, so depth from it shows shape, not metres.
    The index counts `doffs_px` as Middlebury does, Z = f B / (d + doffs); ours is its negative,
    cx_left - cx_right.
    """
    width, height = index.value(scene, "width"), index.value(scene, "height")
    if not has_metric_truth(scene):
        return StereoRig.simple(width, height, float(width), NOMINAL_BASELINE_M)
    return StereoRig.simple(
        width,
        height,
        scene["fx"],
        scene["baseline_m"],
        cx=scene.get("cx"),
        cy=scene.get("cy"),
        doffs_px=-(scene.get("doffs_px") or 0.0),
    )


def has_metric_truth(scene: Mapping[str, Any]) -> bool:
    """True where focal length and baseline are known, so that disparity means metres."""
    return scene.get("fx") is not None and scene.get("baseline_m") is not None


def _read_scene(root: Path, scene: Mapping[str, Any]) -> Sample:
    stored = index.read_truth(root / index.value(scene, "gt"))
    known = stored != index.value(scene, "gt_invalid")
    disparity = np.where(known, stored * np.float32(index.value(scene, "gt_to_px")), np.float32(np.nan))
    rig = scene_rig(scene)
    frame = Frame(
        stamp_ns=0,
        image=read_image(root / index.value(scene, "left")),
        camera=rig.left,
        right=read_image(root / index.value(scene, "right")),
        rig=rig,
        name=index.value(scene, "id"),
    )
    depth = rig.depth_from_disparity(disparity) if has_metric_truth(scene) else None
    return Sample(frame=frame, disparity=disparity, depth=depth, name=frame.name)
