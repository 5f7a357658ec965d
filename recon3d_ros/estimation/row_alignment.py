"""Pairs whose rows are off by a few pixels, aligned before they are matched.

Heat, a knock or an old calibration put the rows of a pair askew, and a stereo network, which compares rows
with rows, is then wrong and does not know it. Its disparity is good enough to say where a point is to be
looked for in the right image; how much higher or lower it is found says how far the rows are off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap, Frame, StereoRig
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.geometry.image_checks import MIN_SIZE_WH
from recon3d_ros.geometry.pair_matches import matched_rows
from recon3d_ros.geometry.row_offset import RowOffset, fit_row_offset
from recon3d_ros.odometry.sampling import corner_pixels
from recon3d_ros.odometry.tracking import follow

# Time between two looks at rows that match, and at rows that did not.
PERIOD_S, DOUBT_PERIOD_S = 5.0, 0.5
# Rows that are off by less, root mean square, are not resampled: that blurs. Aligned ones are, down to less.
LEAST_PX, RELEASE_PX = 0.5, 0.3
# More is another fault than a calibration that drifted, and the disparity of such a pair says too little.
MOST_PX = 8.0
_CORNERS, _FEWEST_POINTS, _LEAST_AGREEING = 250, 40, 0.6
_SMOOTHING = 0.3
_MOST_CAMERAS = 8

_LOG = logging.getLogger(__name__)

Estimate = Callable[[Sequence[Frame]], list[DepthMap]]


def measure_row_offset(frame: Frame, disparity: NDArray[np.float32]) -> RowOffset | None:
    """How far the rows of a pair are off.

    Args:
        frame: A pair, its disparity along the rows.
        disparity: (H, W) px of its left image, right for most of it.

    Returns:
        None where too few points are found again, or do not agree.
    """
    assert frame.right is not None
    left, right = to_grey(frame.image), to_grey(frame.right)
    height, width = left.shape
    if width < MIN_SIZE_WH[0] or height < MIN_SIZE_WH[1]:
        return None
    uv = corner_pixels(left, _CORNERS, frame.valid)
    u, v = np.rint(uv).astype(np.intp).T
    start = uv - np.outer(disparity[v, u], (1.0, 0.0))
    found, good = follow(left, uv, right, start)
    # One that moved far along its row was looked for in the wrong place.
    with np.errstate(invalid="ignore"):  # unknown disparities
        good &= np.abs(found - start).max(axis=1) < MOST_PX
    if np.count_nonzero(good) < _FEWEST_POINTS:
        return None
    places = np.column_stack([found[good, 0], uv[good, 1]])
    offset, agreeing = fit_row_offset(places, (found - start)[good, 1], (width, height))
    return offset.without_slight_slopes if agreeing >= _LEAST_AGREEING else None


def search_row_offset(frame: Frame) -> RowOffset | None:
    """How far the rows of a pair are off, coarsely, from features alone: None where too few match."""
    assert frame.right is not None
    found = matched_rows(frame.image, frame.right)
    if found is None:
        return None
    return fit_row_offset(*found, frame.camera.image_size_wh)[0].without_slight_slopes


class _Camera:
    """What is known of the rows of one pair of cameras."""

    def __init__(self, frame_id: str, rig: StereoRig) -> None:
        self.frame_id, self.rig = frame_id, rig
        self.offset = RowOffset()
        self.looked_ns = self.due_ns = -1
        self.told = False

    def shows(self, frame: Frame) -> bool:
        """Whether a frame comes from it."""
        return self.frame_id == frame.frame_id and (self.rig is frame.rig or self.rig == frame.rig)

    def restart(self) -> None:
        """Know nothing of the rows."""
        self.offset, self.looked_ns, self.due_ns = RowOffset(), -1, -1


class _Pair(NamedTuple):
    """A frame, and how it was aligned by what was known of its camera then."""

    camera: _Camera
    frame: Frame
    offset: RowOffset
    aligned: Frame

    @classmethod
    def of(cls, camera: _Camera, frame: Frame) -> _Pair:
        return cls(camera, frame, camera.offset, camera.offset.removed(frame))


class RowAligner:
    """Aligns the rows of pairs before they are matched, and keeps what it learnt of each pair of cameras.

    The first frame of a camera is looked at, then one every few seconds. Where its rows are off, it is
    estimated a second time with the rows aligned, and the frames that follow are aligned at once. What does
    not make the rows match better is not kept. Not thread-safe.
    """

    def __init__(self) -> None:
        self._cameras: list[_Camera] = []

    def estimate(self, frames: Sequence[Frame], estimate: Estimate) -> list[DepthMap]:
        """The depth of pairs.

        Args:
            frames: Pairs whose disparity runs along the rows. Those of one camera whose stamps do not
                increase stand alone: what others showed does not count.
            estimate: Estimates the depth of such pairs as they are.
        """
        pairs = [_Pair.of(self._camera_of(frame), frame) for frame in frames]
        maps = estimate([pair.aligned for pair in pairs])
        return [self._looked_at(pair, depth_map, estimate) for pair, depth_map in zip(pairs, maps)]

    def _camera_of(self, frame: Frame) -> _Camera:
        found = next((camera for camera in self._cameras if camera.shows(frame)), None)
        if found is None:
            assert frame.rig is not None
            found = _Camera(frame.frame_id, frame.rig)
            self._cameras = [*self._cameras, found][-_MOST_CAMERAS:]
        elif frame.stamp_ns <= found.looked_ns:
            found.restart()
        return found

    def _looked_at(self, pair: _Pair, depth_map: DepthMap, estimate: Estimate) -> DepthMap:
        """The depth map that a pair had as it was aligned, or a better one with other rows."""
        camera, frame, offset, aligned = pair
        if camera.looked_ns < frame.stamp_ns < camera.due_ns:
            return depth_map
        camera.looked_ns, camera.offset = frame.stamp_ns, offset
        camera.due_ns = frame.stamp_ns + round(PERIOD_S * 1e9)
        rest = measure_row_offset(aligned, _disparity(depth_map)) or search_row_offset(aligned)
        if rest is None:
            return depth_map
        if rest.rms_px < LEAST_PX:
            if offset != RowOffset():
                camera.offset = _unless_slight(offset + rest.times(_SMOOTHING))
            return depth_map
        camera.due_ns = frame.stamp_ns + round(DOUBT_PERIOD_S * 1e9)
        found = _realigned(frame, offset + rest, rest.rms_px, estimate)
        if found is None:
            return depth_map
        camera.offset, better = found
        if not camera.told and camera.offset != RowOffset():
            camera.told = True
            _LOG.warning(
                "%sthe rows of left and right are off by %.1f px and are aligned before they are matched; "
                "calibrate the pair again, as its disparities may be off, too",
                f"{camera.frame_id}: " if camera.frame_id else "",
                camera.offset.rms_px,
            )
        return better


def _realigned(
    frame: Frame, offset: RowOffset, off_px: float, estimate: Estimate
) -> tuple[RowOffset, DepthMap] | None:
    """An offset without which the rows match, and the depth then; None where none makes them match.

    What was searched is coarse, and what a wrong disparity says, too: the second try starts from the first.
    """
    for _ in range(2):
        offset = _unless_slight(offset)
        if offset.rms_px > MOST_PX:
            return None
        aligned = offset.removed(frame)
        (depth_map,) = estimate([aligned])
        rest = measure_row_offset(aligned, _disparity(depth_map))
        if rest is None or rest.rms_px > 0.5 * off_px:
            return None
        if rest.rms_px < LEAST_PX:
            return offset, depth_map
        offset, off_px = offset + rest, rest.rms_px
    return None


def _unless_slight(offset: RowOffset) -> RowOffset:
    return offset if offset.rms_px >= RELEASE_PX else RowOffset()


def _disparity(depth_map: DepthMap) -> NDArray[np.float32]:
    assert depth_map.disparity is not None  # of a stereo model
    return depth_map.disparity
