"""Many images, one model: posed frames through depth and fusion, and what is written of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.errors import CalibrationError, DataError, FrameError, ImageError, ParallaxError
from recon3d_ros.files import write_image, write_json, write_ply
from recon3d_ros.files.disk import make_folder
from recon3d_ros.geometry import XYZRGB, DepthMap, Sample, UnorganizedCloud
from recon3d_ros.mapping.accuracy import ExactModel
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.mesh_files import write_mesh
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import (
    OccupancyGrid,
    draw_grid,
    map_from_world,
    occupancy_grid,
    surface_points,
    write_grid,
)
from recon3d_ros.mapping.picture import draw_mesh
from recon3d_ros.mapping.surface import Mesh, extract_mesh
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.mapping.trajectory_files import write_tum
from recon3d_ros.reports import Facts, LineChart, Page, PictureCompare, SceneView, Series, Table, write_page

Matrix = NDArray[np.float64]
#: From a sample and the pose of its camera, (4, 4) m, to its filtered depth map.
DepthSource = Callable[[Sample, Matrix], DepthMap]
_MM_PER_M = 1000.0
_SHELL_VOXELS = 1.5


@dataclass
class Reconstruction:
    """A model that grows by samples in the order of their recording.

    Attributes:
        trajectory: Poses of the rectified optical frame.
        depth_of: The depth of a sample; it may raise ParallaxError.
        fusion: The model.
        space: What was seen to be empty, for a map; None = no map is wanted.
        first: Number of the first sample in its recording.
        unposed: Why frames have no pose, by their number; others get the reason of the trajectory.
        poses: Of the frames used: stamp and matrix.
        skipped: Name of each frame that was not used, and why.
        without_parallax: Name of each frame of which the motion of the camera shows no depth, and why.
        timings_ms: Per stage, one value for each frame used.
        valid_shares: Of each frame used, the share of pixels with depth.
    """

    trajectory: Trajectory
    depth_of: DepthSource
    fusion: Fusion
    space: ObservedSpace | None = None
    first: int = 0
    unposed: Mapping[int, str] = field(default_factory=dict)
    poses: list[tuple[int, Matrix]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    without_parallax: dict[str, str] = field(default_factory=dict)
    timings_ms: dict[str, list[float]] = field(default_factory=dict)
    valid_shares: list[float] = field(default_factory=list)

    def add(self, samples: Sequence[Sample], index: int) -> None:
        """Fuse one sample; one that cannot be read or has no pose is left out, with the reason.

        Raises:
            BackendError: The runtime of the model failed.
            DataError: The poses lie so far away that their unit must be wrong.
        """
        clock = time.perf_counter()
        try:
            sample = samples[index]
        except (ImageError, DataError, CalibrationError) as exc:
            self.skipped[f"{index}"] = self.unposed.get(index, str(exc))
            return
        self._lap("read", clock)
        self.add_sample(sample, index)

    def add_sample(self, sample: Sample, index: int) -> None:
        """Fuse a sample that was read already; see `add`."""
        clock, frame = time.perf_counter(), sample.frame
        try:
            pose = self.trajectory.of_image(self.first + index, frame.stamp_ns, frame.name)
        except FrameError as exc:
            self.skipped[f"{index}"] = self.unposed.get(index, str(exc))
            return
        try:
            depth_map = self.depth_of(sample, pose)
        except ParallaxError as exc:
            self.without_parallax[f"{index} {frame.name}"] = str(exc)
            return
        clock = self._lap("depth", clock)
        if not depth_map.valid.any():
            self.skipped[f"{index} {frame.name}"] = "no valid depth"
            return
        self.fusion.add(depth_map, frame.image, pose)
        clock = self._lap("fuse", clock)
        if self.space is not None:
            self.space.add(depth_map, pose)
            self._lap("space", clock)
        self.poses.append((frame.stamp_ns, pose))
        self.valid_shares.append(float(depth_map.valid.mean()))

    def _lap(self, stage: str, since: float) -> float:
        now = time.perf_counter()
        self.timings_ms.setdefault(stage, []).append((now - since) * 1e3)
        return now

    def grid(self, config: GridConfig) -> OccupancyGrid:
        """The map for driving.

        Raises:
            DataError: No frame was used, there is no floor, or nothing at the height of the robot.
        """
        points = surface_points(self.fusion.store, self.fusion.config.voxel_m, self.fusion.config.min_weight)
        return occupancy_grid(points, map_from_world(points, self.path), config, self.space)

    def mesh(self) -> Mesh:
        """The surface; see `extract_mesh`.

        Raises:
            DataError: No frame was used, or there is no surface.
        """
        assert self.path
        config = self.fusion.config
        return extract_mesh(self.fusion.store, config.voxel_m, config.min_weight)

    @property
    def path(self) -> Trajectory:
        """The poses of the frames that were used.

        Raises:
            DataError: None was.
        """
        if not self.poses:
            unused = [*self.skipped.values(), *self.without_parallax.values()]
            said = f": {Counter(reversed(unused)).most_common(1)[0][0]}" if unused else ""
            raise DataError(f"expected frames with depth and a pose, got none of {len(unused)}{said}")
        stamps = np.array([stamp for stamp, _ in self.poses], np.int64)
        rising = bool((np.diff(stamps) > 0).all())
        numbers = stamps if rising else np.arange(len(stamps))
        return Trajectory(
            numbers, np.stack([pose for _, pose in self.poses]), key="stamp" if rising else "order"
        )


def write_reconstruction(
    out: Path,
    done: Reconstruction,
    mesh: Mesh,
    formats: Sequence[str],
    for_print: bool,
    grid: OccupancyGrid | None = None,
    exact: ExactModel | None = None,
) -> dict[str, Any]:
    """Write mesh, cloud, trajectory, pictures, reconstruction.json and report.html.

    Args:
        out: Folder, made if needed.
        done: All frames added.
        mesh: To write.
        formats: Endings of mesh files beside `mesh.ply`, e.g. ".glb".
        for_print: Also `print.stl`, a watertight shell in mm.
        grid: Also `map.yaml` and `map.pgm`.
        exact: The true model where it is known: its pictures beside the others, and the scores.

    Returns:
        What is in reconstruction.json.

    Raises:
        OutputError: A file cannot be written.
        MissingDependencyError: A library for a format is missing.
    """
    make_folder(out)
    path = done.path
    write_tum(out / "trajectory.txt", path)
    for suffix in (".ply", *formats):
        write_mesh(out / f"mesh{suffix}", mesh)
    packed = mesh.colours.astype(np.uint32)
    rgb = (packed[:, 0] << 16 | packed[:, 1] << 8 | packed[:, 2]).view(np.float32)
    points = np.column_stack([mesh.vertices, rgb]).astype(np.float32)
    write_ply(out / "cloud.ply", UnorganizedCloud(points, XYZRGB, "world"))
    if for_print:
        config = done.fusion.config
        shell = extract_mesh(done.fusion.store, config.voxel_m, config.min_weight, _SHELL_VOXELS)
        write_mesh(out / "print.stl", shell, _MM_PER_M)
    pictures = _pictures(mesh, path)
    maps = {"map": draw_grid(grid)} if grid is not None else {}
    if exact is not None:
        pictures |= {f"{name}_exact": picture for name, picture in _pictures(exact.mesh, path).items()}
    for name, picture in pictures.items():
        write_image(out / f"view_{name}.png", picture)
    summary = _summary(done, mesh, path)
    if exact is not None:
        summary |= exact.scores(mesh, grid)
        if grid is not None and exact.grid is not None:
            maps["map_exact"] = draw_grid(exact.grid)
    if grid is not None:
        write_grid(out / "map.yaml", grid)
        summary["T_map_world"] = grid.T_map_world.tolist()
    write_json(out / "reconstruction.json", summary)
    write_page(out / "report.html", _page(summary, mesh, path, pictures, done, maps))
    return summary


def _pictures(mesh: Mesh, path: Trajectory) -> dict[str, NDArray[np.uint8]]:
    """From above, and as the cameras looked on the average; up is where the images' upper edges were."""
    up = -path.T_world_camera[:, :3, 1].mean(axis=0)
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    ahead = path.T_world_camera[:, :3, 2].mean(axis=0)
    ahead = ahead - (ahead @ up) * up
    if np.linalg.norm(ahead) < 1e-3:  # they looked around in a circle
        ahead = np.cross(up, path.T_world_camera[0, :3, 0])
    ahead = ahead / np.linalg.norm(ahead)
    return {"above": draw_mesh(mesh, 0.15 * ahead - up, up), "front": draw_mesh(mesh, ahead - 0.35 * up, up)}


def _summary(done: Reconstruction, mesh: Mesh, path: Trajectory) -> dict[str, Any]:
    stats, config = done.fusion.stats, done.fusion.config
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return {
        "frames_used": len(path),
        "frames_skipped": len(done.skipped),
        "skipped": done.skipped,
        "frames_without_parallax": len(done.without_parallax),
        "without_parallax": done.without_parallax,
        "path_m": path.length_m,
        "voxel_m": config.voxel_m,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "size_m": (high - low).astype(float).tolist(),
        "megabytes_of_voxels": stats.megabytes,
        "dropped_blocks": stats.dropped_blocks,
        "engine": done.fusion.engine,
        "median_ms": {stage: float(np.median(values)) for stage, values in done.timings_ms.items()},
    }


def _page(
    summary: dict[str, Any],
    mesh: Mesh,
    path: Trajectory,
    pictures: dict[str, NDArray[np.uint8]],
    done: Reconstruction,
    maps: dict[str, NDArray[np.uint8]],
) -> Page:
    page = Page("Reconstruction", f"{len(path)} frames along {path.length_m:.2f} m")
    facts = {key: value for key, value in summary.items() if isinstance(value, (int, float, str))}
    page.add(Facts("Summary", facts))
    page.add(SceneView("Model", mesh.vertices, mesh.colours, mesh.faces))
    page.add(PictureCompare("From above and in front", pictures))
    if maps:
        page.add(PictureCompare("Map", maps, "free is white, occupied black, unknown grey"))
    x, y, z = path.positions.T
    chart = [
        Series("x", np.arange(len(x)), x),
        Series("y", np.arange(len(x)), y),
        Series("z", np.arange(len(x)), z),
    ]
    page.add(LineChart("Trajectory", "frame", "position (m)", chart))
    stages = {stage: np.percentile(values, (50, 95)) for stage, values in done.timings_ms.items()}
    page.add(
        Table(
            "Time",
            ("stage", "median ms", "95 % ms"),
            [(k, float(a), float(b)) for k, (a, b) in stages.items()],
        )
    )
    if unused := done.skipped | done.without_parallax:
        page.add(Table("Frames that were not used", ("frame", "why"), list(unused.items())))
    return page
