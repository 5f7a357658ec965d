"""What is kept of the frames that a map rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon3d_ros.odometry.alignment import Array
from recon3d_ros.odometry.tracking import Features


@dataclass(eq=False)
class Keyframe:
    """A frame that others are aligned with.

    Attributes:
        stamp_ns: Of the frame.
        frame_number: Which frame it was, from 0.
        submap: Number of its map.
        T_map_camera: (4, 4) float64, m.
        features: SIFT features with depth, about 100 KB.
    """

    stamp_ns: int
    frame_number: int
    submap: int
    T_map_camera: Array
    features: Features


@dataclass(frozen=True, eq=False)
class Edge:
    """The measured pose between two keyframes.

    Attributes:
        source: Index of the earlier keyframe.
        target: Index of the later keyframe.
        T_source_target: (4, 4) float64, m.
        information: (6, 6) float64 of (rotation, translation) perturbed on the right of `T_source_target`.
        loop: Whether it closes a loop, so that it may be wrong as a whole.
    """

    source: int
    target: int
    T_source_target: Array
    information: Array
    loop: bool = False

    def __post_init__(self) -> None:
        assert self.information.shape == (6, 6) and np.isfinite(self.information).all()
