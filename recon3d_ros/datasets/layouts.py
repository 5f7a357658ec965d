"""What lies at a path: one table of layouts, each with what it is known by and its reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recon3d_ros.datasets.bags.reader import is_bag
from recon3d_ros.datasets.folders import folder_frames
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.bags import bag_samples
from recon3d_ros.datasets.rgbd.folders import (
    has_pair_of_folders,
    is_nyuv2,
    nyuv2_samples,
    plain_samples,
    scannet_samples,
)
from recon3d_ros.datasets.rgbd.seven_scenes import is_seven_scenes, seven_scenes_samples
from recon3d_ros.datasets.rgbd.tum import is_tum, tum_samples
from recon3d_ros.datasets.stereo.euroc import euroc_frames, is_euroc
from recon3d_ros.geometry import Frame, PinholeCamera, Sample, StereoRig


class ReaderInput(NamedTuple):
    """What to read: its path, the camera if one is given, topics of a bag if some are named."""

    path: Path
    camera: PinholeCamera | StereoRig | None = None
    topics: tuple[str, ...] = ()


class Layout(NamedTuple):
    """One way files lie.

    Attributes:
        name: For messages and docs.
        detect: Whether a path has this layout.
        read: Opens it.
        takes_camera: Whether a camera may be given with it; others bring their own.
    """

    name: str
    detect: Callable[[Path], bool]
    read: Callable[[ReaderInput], LazySequence[Sample]]
    takes_camera: bool = False


# The first that detects itself reads; a folder of images alone is what remains.
LAYOUTS: tuple[Layout, ...] = (
    Layout("bag", is_bag, lambda given: bag_samples(given.path, given.topics)),
    Layout("euroc", is_euroc, lambda given: without_truth(euroc_frames(given.path))),
    Layout("tum", is_tum, lambda given: tum_samples(given.path, given.camera), takes_camera=True),
    Layout(
        "scannet",
        lambda path: has_pair_of_folders(path, "color"),
        lambda given: scannet_samples(given.path),
    ),
    Layout("seven_scenes", is_seven_scenes, lambda given: seven_scenes_samples(given.path)),
    Layout("nyuv2", is_nyuv2, lambda given: nyuv2_samples(given.path)),
    Layout(
        "rgbd",
        lambda path: has_pair_of_folders(path, "rgb"),
        lambda given: plain_samples(given.path, given.camera),
        takes_camera=True,
    ),
    Layout(
        "images",
        Path.is_dir,
        lambda given: without_truth(folder_frames(given.path, given.camera)),
        takes_camera=True,
    ),
)


def layout_of(path: Path) -> Layout | None:
    """The layout of what lies at a path; None when nothing that can be read is there."""
    return next((layout for layout in LAYOUTS if layout.detect(path)), None)


def without_truth(frames: Sequence[Frame]) -> LazySequence[Sample]:
    """Frames as samples of which nothing is known."""

    def load(i: int) -> Sample:
        frame = frames[i]
        return Sample(frame=frame, disparity=None, depth=None, name=frame.name)

    return LazySequence(range(len(frames)), load)
