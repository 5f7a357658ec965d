"""How good a reconstruction, a map for driving and a trajectory are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.geometry.rotations import vectors_of
from recon3d_ros.mapping.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyGrid
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.system import lazy

Matrix = NDArray[np.float64]
_SEED = 7
_SPACING_M, _THRESHOLDS_M = 0.02, (0.05, 0.1)  # of the points of two models
_ROUNDING = 1e-6  # of a cell: a middle on the border of two


@dataclass(frozen=True)
class SurfaceScore:
    """One surface against another at a threshold.

    Attributes:
        threshold_m: Distance up to which points agree, m.
        precision: Share of the points of the result that are so near to the truth (accuracy).
        recall: Share of the points of the truth that are so near to the result (completeness).
        f_score: Harmonic mean of the two (Knapitsch et al. 2017).
    """

    threshold_m: float
    precision: float
    recall: float
    f_score: float


def sample_surface(mesh: Mesh, spacing_m: float) -> Matrix:
    """Points spread evenly over the faces, about one for each square of `spacing_m`; always the same ones.

    Returns:
        (N, 3) float64 m; the vertices where there are no faces.
    """
    if not len(mesh.faces):
        return mesh.vertices.astype(np.float64)
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    edges = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2
    rng = np.random.default_rng(_SEED)
    count = max(1, round(areas.sum() / spacing_m**2))
    ends = np.cumsum(areas)
    chosen = np.minimum(np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1]), len(ends) - 1)
    a, b = rng.random((2, count, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    points: Matrix = corners[chosen, 0] + a * edges[chosen, 0] + b * edges[chosen, 1]
    return points


def score_surface(result: Matrix, truth: Matrix, thresholds_m: tuple[float, ...]) -> list[SurfaceScore]:
    """Precision, recall and F-score of points against points, by the distance to the nearest.

    Args:
        result: (N, 3) m, evenly spread.
        truth: (M, 3) m, evenly spread and denser than the thresholds.
        thresholds_m: Distances, m.

    Raises:
        DataError: Either has no points.
        MissingDependencyError: SciPy is not installed.
    """
    if not len(result) or not len(truth):
        raise DataError(
            f"expected points in both surfaces, got {len(result)} and {len(truth)}: check the files"
        )
    there = nearest_distances(result, truth)
    back = nearest_distances(truth, result)
    scores = []
    for threshold in thresholds_m:
        precision, recall = float((there < threshold).mean()), float((back < threshold).mean())
        both = precision + recall
        scores.append(
            SurfaceScore(threshold, precision, recall, 2 * precision * recall / both if both else 0.0)
        )
    return scores


def nearest_distances(points: Matrix, others: Matrix) -> NDArray[np.float64]:
    """Distance of each point, (N, 3), to the nearest of others, (M, 3): (N,) m.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    spatial: Any = lazy.require("scipy.spatial", extra="mapping")
    distances: NDArray[np.float64] = spatial.cKDTree(others).query(points)[0]
    return distances


def align(source: Matrix, target: Matrix, with_scale: bool = False) -> Matrix:
    """The transform that brings points nearest to others in the least squares (Umeyama, PAMI 1991).

    Args:
        source: (N, 3) m.
        target: (N, 3) m, the same points in another frame.
        with_scale: Also a common factor.

    Returns:
        (4, 4) float64; the upper left 3 x 3 is rotation times scale.

    Raises:
        DataError: Fewer than three points.
    """
    if len(source) < 3 or source.shape != target.shape:
        raise DataError(
            f"expected at least three pairs of points to align, got {len(source)} and {len(target)}: use a "
            "longer recording"
        )
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    left, sizes, right = np.linalg.svd((target - aim).T @ (source - middle) / len(source))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(signs) @ right
    spread = ((source - middle) ** 2).sum() / len(source)
    scale = (sizes * signs).sum() / spread if with_scale and spread > 0 else 1.0
    transform = np.eye(4)
    transform[:3, :3] = scale * rotation
    transform[:3, 3] = aim - scale * rotation @ middle
    return transform


@dataclass(frozen=True)
class GridScore:
    """A map for driving against the right one of the same world.

    Attributes:
        free_cells: Of the result.
        free_on_obstacles: Of these, how many lie on cells that are occupied in the truth.
        missing: Of the free cells of the truth, the share that is not free in the result; NaN if none is.
    """

    free_cells: int
    free_on_obstacles: int
    missing: float


def score_grid(result: OccupancyGrid, truth: OccupancyGrid) -> GridScore:
    """Compare two maps cell by cell, each with its own corner, size of the cells, axes and floor."""
    wrongly = _cells_at(truth, result, FREE) == OCCUPIED
    found = _cells_at(result, truth, FREE) == FREE
    missing = 1.0 - float(found.mean()) if len(found) else float("nan")
    return GridScore(len(wrongly), int(wrongly.sum()), missing)


def _cells_at(grid: OccupancyGrid, other: OccupancyGrid, kind: int) -> NDArray[np.int8]:
    """What a grid has at the middles of another one's cells of this kind, (N,); UNKNOWN outside of it."""
    rows, columns = np.nonzero(other.cells == kind)
    middles = (np.column_stack([columns, rows]) + 0.5) * other.cell_m + other.origin_xy
    between = grid.T_map_world @ np.linalg.inv(other.T_map_world)
    places = np.column_stack([middles, np.zeros(len(middles))]) @ between[:3, :3].T + between[:3, 3]
    x, y = np.floor((places[:, :2] - grid.origin_xy) / grid.cell_m + _ROUNDING).astype(np.intp).T
    inside = (x >= 0) & (y >= 0) & (x < grid.cells.shape[1]) & (y < grid.cells.shape[0])
    found = np.full(len(middles), UNKNOWN, np.int8)
    found[inside] = grid.cells[y[inside], x[inside]]
    return found


@dataclass(frozen=True, eq=False)
class ExactModel:
    """What a reconstruction of the exact depth of the same images is like.

    Attributes:
        mesh: Its surface.
        grid: Its map for driving; None = it has none.
    """

    mesh: Mesh
    grid: OccupancyGrid | None = None

    def scores(self, mesh: Mesh, grid: OccupancyGrid | None) -> dict[str, float]:
        """Figures of `SurfaceScore` at 5 and 10 cm, and of `GridScore` where both have a map, by name."""
        points, truth = (sample_surface(one, _SPACING_M) for one in (mesh, self.mesh))
        scores: dict[str, float] = {}
        for score in score_surface(points, truth, _THRESHOLDS_M):
            for name in ("precision", "recall", "f_score"):
                scores[f"{name}_{score.threshold_m:g}_m"] = getattr(score, name)
        if grid is not None and self.grid is not None:
            scores |= {f"grid_{name}": value for name, value in asdict(score_grid(grid, self.grid)).items()}
        return scores


@dataclass(frozen=True)
class TrajectoryScore:
    """A trajectory against the truth (Sturm et al., IROS 2012).

    Attributes:
        poses: Number of stamps that both have.
        length_m: Of the true path between them.
        ate_m: Absolute trajectory error: RMSE of the positions, after alignment if asked for.
        ate_max_m: The largest of them.
        rpe_m: Relative pose error: RMSE of the translation from each pose to the next.
        rpe_deg: The same of the rotation.
    """

    poses: int
    length_m: float
    ate_m: float
    ate_max_m: float
    rpe_m: float
    rpe_deg: float


def score_trajectory(result: Trajectory, truth: Trajectory, aligned: bool = True) -> TrajectoryScore:
    """Compare the poses whose stamps lie within the truth, which is interpolated.

    A trajectory by stamps and one by the order of images, as KITTI's, are compared one by one when they have
    as many poses.

    Args:
        result: The poses to score.
        truth: In another world if `aligned`.
        aligned: Move the result onto the truth first, without scale.

    Raises:
        DataError: Fewer than three poses in common, or nothing to know them by.
    """
    if {result.key, truth.key} == {"stamp", "order"} and len(result) == len(truth):
        result, truth = (replace(one, stamps_ns=np.arange(len(one)), key="order") for one in (result, truth))
    if result.key != truth.key:
        raise DataError(
            f"expected two trajectories by {truth.key}, got one of {len(result)} poses by {result.key} for "
            f"{len(truth)}: convert them to one format"
        )
    inside = (result.stamps_ns >= truth.stamps_ns[0]) & (result.stamps_ns <= truth.stamps_ns[-1])
    if result.key != "stamp":
        inside = np.isin(result.stamps_ns, truth.stamps_ns)
    stamps = result.stamps_ns[inside]
    if len(stamps) < 3:
        raise DataError(
            f"expected three poses in common, got {len(stamps)}: check that the stamps are of one clock"
        )
    found = result.T_world_camera[inside]
    known = np.stack([truth.at(int(stamp), np.inf) for stamp in stamps])
    if aligned:
        found = align(found[:, :3, 3], known[:, :3, 3]) @ found
    errors = np.linalg.norm(found[:, :3, 3] - known[:, :3, 3], axis=1)
    step = np.linalg.inv(np.linalg.inv(known[:-1]) @ known[1:]) @ (np.linalg.inv(found[:-1]) @ found[1:])
    angles = np.degrees(np.linalg.norm(vectors_of(step[:, :3, :3]), axis=1))
    return TrajectoryScore(
        len(stamps),
        float(np.linalg.norm(np.diff(known[:, :3, 3], axis=0), axis=1).sum()),
        float(np.sqrt((errors**2).mean())),
        float(errors.max()),
        float(np.sqrt((step[:, :3, 3] ** 2).sum(axis=1).mean())),
        float(np.sqrt((angles**2).mean())),
    )
