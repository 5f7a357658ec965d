"""The one table of data sets, and opening one by its name or by the path of somebody's own images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from recon3d_ros.datasets import index
from recon3d_ros.datasets.layouts import ReaderInput, layout_of, without_truth
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.sets import hololens, nyuv2
from recon3d_ros.datasets.spec import DatasetSpec, parse_spec
from recon3d_ros.datasets.stereo.euroc import euroc_frames
from recon3d_ros.datasets.stereo.sets import stereo_set
from recon3d_ros.datasets.stereo.synthetic_pairs import nyuv2_pairs
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera, Sample, StereoRig

# Scenes for scoring: the demo's room and street in other colours, each seen from another pose.
# Training sees neither of the two, whatever its seeds.
WORLD_SCORE_SEEDS = range(7_000_000, 7_000_020)

# One name for several sets; scored as a whole, their means would hide which is which.
GROUPS: dict[str, tuple[str, ...]] = {"middlebury": ("middlebury2001", "middlebury2003", "middlebury2005")}

DATASETS: dict[str, Callable[[Path], LazySequence[Sample]]] = {
    "kitti2012": lambda root: stereo_set(root, "kitti2012"),
    "middlebury": lambda root: stereo_set(root, *GROUPS["middlebury"]),
    "middlebury2001": lambda root: stereo_set(root, "middlebury2001"),
    "middlebury2003": lambda root: stereo_set(root, "middlebury2003"),
    "middlebury2005": lambda root: stereo_set(root, "middlebury2005"),
    "hololens": hololens,
    "nyuv2": lambda root: nyuv2(root, "test", eigen_only=True),
    "nyuv2_train": lambda root: nyuv2(root, "train"),
    "nyuv2_pairs": nyuv2_pairs,
    "nyuv2_pairs_seen": lambda root: nyuv2_pairs(root, seen_only=True),
    "euroc": lambda root: without_truth(euroc_frames(root / "video" / "euroc")),
}
# Rendered, so they need no data folder.
WORLDS: dict[str, str] = {"world_indoor": "indoor", "world_outdoor": "outdoor"}


def open_dataset(
    spec: str | Path, root: Path | str | None = None, camera: PinholeCamera | StereoRig | None = None
) -> LazySequence[Sample]:
    """Open a data set; samples are read, or rendered, when they are asked for.

    Args:
        spec: a name of `DATASETS` or `WORLDS`, or the path of what a reader of `LAYOUTS` knows. `[first:end]`
            behind it takes a part, as in `hololens[60:80]`; `:/image:/depth` (and `:/camera_info`) behind the
            path of a bag name its topics.
        root: the folder with INDEX.json; None takes it from the environment variable RECON3D_DATA.
        camera: for a layout that may lack one: folders of images, `rgb/` and `depth/`, TUM RGB-D.

    Returns:
        The samples. Folders of images and EuRoC recordings have no truth. The `note` counts what a reader had
        to leave out.

    Raises:
        DataError: when neither a set nor a layout goes by that name, its files are not there, or the part is
            not in it.
        CalibrationError: when its calibration cannot be used.
    """
    wanted = parse_spec(str(spec))
    return wanted.part_of(_whole(wanted, root, camera))


def _whole(
    spec: DatasetSpec, root: Path | str | None, camera: PinholeCamera | StereoRig | None
) -> LazySequence[Sample]:
    named, layout = spec.place in {*DATASETS, *WORLDS}, layout_of(Path(spec.place))
    if not named and layout is None:
        near = get_close_matches(spec.place, [*DATASETS, *WORLDS], n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join([*DATASETS, *WORLDS])}"
        raise DataError(f"expected a data set, a folder of images or a bag, got {spec.place}: {hint}")
    if spec.topics and (named or layout is None or layout.name != "bag"):
        raise DataError(
            f"expected a bag before the topics {' '.join(spec.topics)}, got {spec.place}: leave them out"
        )
    if spec.place in WORLDS:
        return _world_samples(WORLDS[spec.place])
    if spec.place in DATASETS:
        return DATASETS[spec.place](index.data_root(root))
    assert layout is not None  # as above
    if camera is not None and not layout.takes_camera:
        raise DataError(
            f"expected no camera with {spec.place}, which has its own ({layout.name}): leave it out"
        )
    return layout.read(ReaderInput(Path(spec.place), camera, spec.topics))


def _world_samples(kind: str) -> LazySequence[Sample]:
    from recon3d_ros.world import WorldCamera  # here, as reading files needs none of rendering's tables

    def load(seed: int) -> Sample:
        # Every seed has its own textures and things, every frame number its own view of the place.
        sample = WorldCamera(seed=seed, kind=kind).sample(2 * (seed - WORLD_SCORE_SEEDS.start))
        return replace(sample, name=f"world_{kind}_{seed}")

    return LazySequence(WORLD_SCORE_SEEDS, load)
