"""What `recon3d run` leaves of every frame: depth, disparity, cloud and pictures, as files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import files
from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.files.view import render_cloud, render_turntable
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Result
from recon3d_ros.reports.rerun_log import RerunLog


class Writer:
    """Writes what came out of a frame into one folder, which is made.

    Args:
        folder: For the files.
        view: Whether to draw the clouds.
        turntable: Whether to animate them as well.
        recording: Also write this .rrd file for the viewer Rerun, complete when `close` is called.

    Attributes:
        with_depth: Number of frames in which a pixel had depth, or was out of range.

    Raises:
        MissingDependencyError: OpenCV is too old for turntables, or rerun-sdk is not installed.
        OutputError: The folder cannot be made.
    """

    def __init__(
        self, folder: Path, view: bool, turntable: bool = False, recording: Path | None = None
    ) -> None:
        self._folder, self._view, self._turntable = folder, view, turntable
        if turntable:
            files.require_animations()
        files.make_folder(folder)
        self._recording = None if recording is None else RerunLog(file=recording)
        self._count = 0
        self.with_depth = 0

    def write(self, frame: Frame, result: Result) -> None:
        """Write depth, disparity, confidence, the clouds, and their pictures.

        Raises:
            OutputError: A file cannot be written.
        """
        name = frame.name
        depth, disparity, cloud = result.depth_map.depth, result.depth_map.disparity, result.cloud
        assert cloud is not None  # process makes one unless its config leaves it out
        files.write_depth_png16(self._path(name, "depth.png"), depth)
        files.write_pfm(self._path(name, "depth.pfm"), depth)
        if disparity is not None:
            files.write_pfm(self._path(name, "disparity.pfm"), disparity)
        if result.depth_map.confidence is not None:
            self._write_confidence(name, result.depth_map.confidence)
        colours = files.colour_depth(depth, *files.colour_limits(depth))
        files.write_image(self._path(name, "depth_colour.png"), colours)
        files.write_ply(self._path(name, "cloud.ply"), cloud)
        if result.free_points is not None:
            files.write_ply(self._path(name, "free.ply"), result.free_points)
        if self._view and cloud.valid.any():
            self._draw(self._path(name, "view.png"), result)
        if self._turntable and cloud.valid.any():
            render_turntable(cloud, self._path(name, "turntable.webp"))
        if self._recording is not None:
            self._recording.at(self._count, frame.stamp_ns)
            self._recording.images(frame.camera, frame.image, frame.right)
            self._recording.depth_map(result.depth_map)
            self._recording.cloud(cloud)
        self._count += 1
        self.with_depth += not np.isnan(depth).all()  # what is out of range is known to be far

    def close(self, complete: bool) -> None:
        """Complete the recording, or remove what there is of it."""
        if self._recording is not None:
            (self._recording.close if complete else self._recording.abort)()

    def write_relative(self, name: str, relative_depth: NDArray[np.float32]) -> None:
        """Write relative inverse depth, (H, W) with NaN for invalid, as it is and as a picture.

        Raises:
            OutputError: A file cannot be written.
        """
        self._count += 1
        self.with_depth += bool(np.isfinite(relative_depth).any())
        files.write_pfm(self._path(name, "relative.pfm"), relative_depth)
        colours = files.colour_inverse_depth(relative_depth, *files.colour_limits(relative_depth))
        files.write_image(self._path(name, "relative_colour.png"), colours)

    def _write_confidence(self, name: str, confidence: NDArray[np.float32]) -> None:
        files.write_pfm(self._path(name, "confidence.pfm"), confidence)
        levels = np.rint(np.nan_to_num(confidence) * np.float32(255)).astype(np.uint8)
        files.write_image(self._path(name, "confidence.png"), levels)

    def _draw(self, path: Path, result: Result) -> None:
        assert result.cloud is not None
        try:
            render_cloud(result.cloud, path)
        except MissingDependencyError as exc:  # depth and cloud are worth having without their picture
            print(f"recon3d: no pictures of the clouds: {exc}", file=sys.stderr)
            self._view = False

    def _path(self, name: str, suffix: str) -> Path:
        return self._folder / f"{name.replace('/', '_') or 'frame'}_{suffix}"
