"""Frames, clouds and meshes for the viewer Rerun: into a .rrd file, or to a viewer that runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import OutputError
from recon3d_ros.geometry import Cloud, DepthMap, PinholeCamera
from recon3d_ros.system.lazy import require

EXTRA = "rerun"
NAME = "recon3d_ros"


class RerunLog:
    """A recording. Logging hands the data to a thread of Rerun and does not wait for a viewer.

    Entities: `camera` (intrinsics) with `camera/image`, `camera/depth` (m) and `camera/confidence` (0 to 1),
    `right/image`, `points` and `free` in the optical frame (right, down, forward), `map/trajectory`.

    Args:
        file: Write this .rrd file, complete when `close` is called.
        server: Or send to a viewer or server at this URL (rerun+http://HOST:PORT/proxy).

    Raises:
        MissingDependencyError: rerun-sdk is not installed.
        OutputError: The file cannot be written.
    """

    def __init__(self, file: Path | None = None, server: str | None = None) -> None:
        self._rerun: Any = require("rerun", EXTRA)
        self._recording = self._rerun.RecordingStream(NAME)
        self._file = file
        self._draft = None if file is None else file.with_name(f".{file.name}.{os.getpid()}.tmp")
        try:
            if self._draft is not None:
                self._recording.save(str(self._draft))
        except Exception as exc:  # Rerun raises what its Rust part gives it
            raise OutputError(f"cannot write {file} ({exc}): choose another place") from exc
        try:
            if server is not None:
                self._recording.connect_grpc(server)
            self._log("/", self._rerun.ViewCoordinates.RDF, static=True)
            self._recording.send_blueprint(self._layout())
        except BaseException:  # Ctrl-C leaves no draft either
            self.abort()
            raise

    def at(self, frame: int, stamp_ns: int = 0) -> None:
        """Set the time of what follows: the number of the frame and, if known, its stamp (ns)."""
        self._recording.set_time("frame", sequence=frame)
        if stamp_ns > 0:
            self._recording.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))

    def images(
        self, camera: PinholeCamera, image: NDArray[np.uint8], right: NDArray[np.uint8] | None
    ) -> None:
        """Log the (left) image with its camera, and the right one; (H, W, 3) RGB or (H, W) uint8."""
        self._camera(camera)
        self._log("camera/image", self._rerun.Image(image))
        if right is not None:
            self._log("right/image", self._rerun.Image(right))

    def depth_map(self, depth_map: DepthMap) -> None:
        """Log depth and confidence; what is not known or out of range is empty."""
        self._camera(depth_map.camera)
        depth = np.where(
            np.isfinite(depth_map.depth), depth_map.depth, np.float32(0.0)
        )  # 0: no depth in Rerun
        self._log("camera/depth", self._rerun.DepthImage(depth, meter=1.0))
        if depth_map.confidence is not None:
            self.confidence(depth_map.confidence)

    def confidence(self, confidence: NDArray[np.float32]) -> None:
        """Log a confidence, (H, W) 0 to 1; NaN is shown as 0."""
        levels = np.rint(255 * np.nan_to_num(confidence)).astype(np.uint8)
        self._log("camera/confidence", self._rerun.Image(levels))

    def cloud(self, cloud: Cloud, entity: str = "points") -> None:
        """Log the valid points of a cloud in their colours."""
        points = cloud.points()
        self.points(points.xyz, points.rgb, entity)

    def points(self, points: NDArray[np.float32], colours: NDArray[np.uint8], entity: str = "points") -> None:
        """Log (N, 3) points, m, with (N, 3) uint8 RGB."""
        self._log(entity, self._rerun.Points3D(points, colors=np.ascontiguousarray(colours)))

    def mesh(self, path: Path) -> None:
        """Log a mesh (GLB, OBJ, STL)."""
        self._recording.log_file_from_path(str(path), entity_path_prefix="mesh", static=True)

    def triangles(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32], colours: NDArray[np.uint8]
    ) -> None:
        """Log a mesh: (V, 3) m, (F, 3) numbers of vertices, (V, 3) uint8 RGB."""
        mesh = self._rerun.Mesh3D(vertex_positions=vertices, triangle_indices=faces, vertex_colors=colours)
        self._log("mesh", mesh, static=True)

    def trajectory(self, positions: NDArray[np.float64]) -> None:
        """Log the (N, 3) positions of a camera in a map, m."""
        self._log("map/trajectory", self._rerun.LineStrips3D([positions]), static=True)

    def close(self) -> None:
        """Write what is left, and complete the file.

        Raises:
            OutputError: The file cannot be written.
        """
        self._recording.flush()
        self._recording.disconnect()
        if self._file is None or self._draft is None:
            return
        try:
            os.replace(self._draft, self._file)
        except OSError as exc:
            raise OutputError(f"cannot write {self._file} ({exc.strerror}): choose another place") from exc

    def abort(self) -> None:
        """Give up; leaves no file."""
        self._recording.disconnect()
        if self._draft is not None:  # gone already when it was completed
            self._draft.unlink(missing_ok=True)

    def _layout(self) -> Any:
        """The cloud beside the pictures; without it the right image would stand in the 3-D view, too."""
        views: Any = require("rerun.blueprint", EXTRA)
        scene = ["points", "free", "map/**", "camera", "mesh/**"]
        pictures = ("camera/image", "camera/depth", "camera/confidence", "right/image")
        return views.Blueprint(
            views.Horizontal(
                views.Spatial3DView(origin="/", contents=[f"+ /{entity}" for entity in scene], name="cloud"),
                views.Grid(*(views.Spatial2DView(origin=entity, name=entity) for entity in pictures)),
                column_shares=[3, 2],
            )
        )

    def _camera(self, camera: PinholeCamera) -> None:
        width, height = camera.image_size_wh
        self._log(
            "camera",
            self._rerun.Pinhole(
                focal_length=(camera.fx, camera.fy),
                principal_point=(camera.cx, camera.cy),
                resolution=(width, height),
                camera_xyz=self._rerun.ViewCoordinates.RDF,
            ),
        )

    def _log(self, entity: str, what: Any, static: bool = False) -> None:
        self._recording.log(entity, what, static=static)
