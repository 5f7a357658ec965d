"""One recording to one model: its poses, the depth of its images, the fusion and the files of the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recon3d_ros.datasets import layout_of, open_dataset
from recon3d_ros.datasets.folders import image_files
from recon3d_ros.datasets.spec import DatasetSpec, parse_spec
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.completion import ObjectCompleter
from recon3d_ros.files import read_camera, write_ply
from recon3d_ros.geometry import PinholeCamera, Sample, StereoRig
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.mesh_files import require_formats
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import OccupancyGrid
from recon3d_ros.mapping.surface import Mesh, require_mesher
from recon3d_ros.offline.camera_path import CameraPath, estimate_path
from recon3d_ros.offline.completion import complete_boxes
from recon3d_ros.offline.depth_sources import Opener, depth_of_posed, depth_source
from recon3d_ros.offline.given_poses import given_poses
from recon3d_ros.offline.reconstruct_options import ReconstructOptions
from recon3d_ros.offline.reconstruction import Reconstruction, write_reconstruction

_log = logging.getLogger(__name__)
_FARTHEST_POINT_M = 100.0  # of the odometry
_IMPRECISE = 0.3  # of the pixels: below that a model only loses its far parts
#: Counts from 0 up to a number, e.g. with a progress bar; the text says of what.
Counter = Callable[[int, str], Iterable[int]]


class Reconstructed(NamedTuple):
    """What came out.

    Attributes:
        summary: What is in reconstruction.json.
        frames: That the recording has.
        grid: The map, where one was asked for.
        no_grid: Why there is none.
        dropped_blocks: Parts that did not fit into the memory.
        valid_share: Mean share of pixels with depth, of the frames used.
        no_objects: Why there is no completed.ply, where one was asked for.
    """

    summary: dict[str, Any]
    frames: int
    grid: OccupancyGrid | None
    no_grid: str
    dropped_blocks: int
    valid_share: float
    no_objects: str = ""

    @property
    def skipped(self) -> Mapping[str, str]:
        """Name of each frame that was not used, and why."""
        skipped: Mapping[str, str] = self.summary["skipped"]
        return skipped


def reconstruct_recording(
    source: str,
    out: Path,
    options: ReconstructOptions,
    opener: Opener,
    counter: Counter = lambda count, what: range(count),
) -> Reconstructed:
    """Fuse every frame that has a pose, and write the results.

    Args:
        source: What `open_dataset` takes.
        out: Folder for the results, made if needed.
        options: How.
        opener: For models, one at a time; see `KeptEstimator`.
        counter: Goes through the frames.

    Raises:
        ConfigError: Options contradict each other or the recording.
        DataError: Images or poses cannot be read, no frame could be used, or there is no surface.
        MissingDependencyError: scikit-image, or what the options need, is not installed.
        Recon3dError: Whatever the model raises.
    """
    require_mesher()
    completer = _completer(options)
    if options.formats or options.for_print:
        require_formats()
    spec = parse_spec(source)
    samples = open_dataset(source, camera=_camera(options, spec))
    given = None
    if not options.estimate_poses:
        given = given_poses(
            Path(spec.place), options.poses, options.poses_of, options.fixed_frame, spec.topics
        )
    if given is not None:
        path = CameraPath(given, {}, "")
    else:
        path = _estimated_path(options, samples, spec.first, opener, counter)
    fusion = Fusion(options.mapping, options.engine)
    depth_of = depth_of_posed(options, samples[0], opener)
    limits = options.mapping
    space = None if options.grid is None else ObservedSpace(limits.voxel_m, limits.map_max_depth_m)
    done = Reconstruction(path.trajectory, depth_of, fusion, space, spec.first, path.unposed)
    for i in counter(len(samples), ""):
        done.add(samples, i)
    _warn_of_imprecise_depth(fusion)
    whole = done.mesh()
    mesh = _cropped(whole, options.crop)
    grid, no_grid = _grid(options, done)
    summary = write_reconstruction(out, done, mesh, options.formats, options.for_print, grid)
    share = float(np.mean(done.valid_shares)) if done.valid_shares else float("nan")
    no_objects = _write_objects(out, options, completer, done, whole)
    return Reconstructed(summary, len(samples), grid, no_grid, fusion.stats.dropped_blocks, share, no_objects)


def _completer(options: ReconstructOptions) -> ObjectCompleter | None:
    """The model that completes objects, opened before the first frame; None where none is to be completed."""
    if not options.complete:
        return None
    model = options.model
    return ObjectCompleter.open(options.completion_model, model.models_dir, model.threads)


def _write_objects(
    out: Path,
    options: ReconstructOptions,
    completer: ObjectCompleter | None,
    done: Reconstruction,
    whole: Mesh,
) -> str:
    """Write completed.ply, if objects are to be completed; or why they cannot be: the model is not lost."""
    if completer is None:
        return ""
    try:
        with completer:
            write_ply(out / "completed.ply", complete_boxes(whole, done.path, options.complete, completer))
    except DataError as exc:
        return str(exc)
    return ""


def _camera(options: ReconstructOptions, spec: DatasetSpec) -> PinholeCamera | StereoRig | None:
    if not options.camera:
        return None
    layout = layout_of(Path(spec.place))  # KITTI's calib.txt does not say how large the images are
    plain = layout is not None and layout.name == "images"
    return read_camera(*options.camera, image=image_files(Path(spec.place))[0][0] if plain else None)


def _warn_of_imprecise_depth(fusion: Fusion) -> None:
    if (share := fusion.stats.imprecise) >= _IMPRECISE:
        _log.warning(
            "expected depth about as precise as the voxels of %g m, %.0f %% of it is so uncertain that it "
            "changed nothing: raise --voxel-m, or give --depth motion for one moving camera with poses",
            fusion.config.voxel_m,
            100 * share,
        )


def _grid(options: ReconstructOptions, done: Reconstruction) -> tuple[OccupancyGrid | None, str]:
    """The map, or why there is none: the model is not lost for that."""
    try:
        return (None if options.grid is None else done.grid(options.grid)), ""
    except DataError as exc:
        return None, str(exc)


def _cropped(mesh: Mesh, box: tuple[float, ...]) -> Mesh:
    if not box:
        return mesh
    part = mesh.cropped(box[:3], box[3:])
    if not len(part.faces):
        raise DataError(
            f"expected a part of the model within --crop {','.join(map(str, box))}, got none: leave it out "
            "and see the size in report.html"
        )
    return part


def _estimated_path(
    options: ReconstructOptions, samples: Sequence[Sample], first: int, opener: Opener, counter: Counter
) -> CameraPath:
    """The camera's motion, from a first pass over all frames."""
    depth_of = depth_source(options, samples[0], opener, _FARTHEST_POINT_M)
    path = estimate_path(samples, depth_of, options.odometry, first, counter(len(samples), "odometry"))
    _log.info(path.summary)
    return path
