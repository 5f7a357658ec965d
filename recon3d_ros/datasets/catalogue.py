"""The one table of data sets, and opening one by its name or by the path of somebody's own images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from recon3d_ros.datasets import index
from recon3d_ros.datasets.euroc import euroc_frames, is_euroc
from recon3d_ros.datasets.folders import folder_frames
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd_sets import hololens, nyuv2
from recon3d_ros.datasets.stereo_sets import stereo_set
from recon3d_ros.datasets.synthetic_pairs import nyuv2_pairs
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import Frame, PinholeCamera, Sample, StereoRig

# Scenes for scoring: the demo's room and street in other colours, each seen from another pose.
# Training sees neither of the two, whatever its seeds.
WORLD_SCORE_SEEDS = range(7_000_000, 7_000_020)

# One name for several sets; scored as a whole, their means would hide which is which.
GROUPS: dict[str, tuple[str, ...]] = {"middlebury": ("middlebury2001", "middlebury2003", "middlebury2005")}

DATASETS: dict[str, Callable[[Path], Sequence[Sample]]] = {
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
    "euroc": lambda root: _without_truth(euroc_frames(root / "video" / "euroc")),
}
# Rendered, so they need no data folder.
WORLDS: dict[str, str] = {"world_indoor": "indoor", "world_outdoor": "outdoor"}


def open_dataset(
    spec: str | Path, root: Path | str | None = None, camera: PinholeCamera | StereoRig | None = None
) -> Sequence[Sample]:
    """Open a data set; samples are read, or rendered, when they are asked for.

    Args:
        spec: a name of `DATASETS` or `WORLDS`, or the path of a folder of images (see `folder_frames`) or of
            a EuRoC recording, whose samples have no truth.
        root: the folder with INDEX.json; None takes it from the environment variable RECON3D_DATA.
        camera: for a folder of images that holds no `camera.yaml`.

    Raises:
        DataError: when neither a set nor a folder goes by that name, or its files are not there.
    """
    name = str(spec)
    if name in WORLDS:
        return _world_samples(WORLDS[name])
    if name in DATASETS:
        return DATASETS[name](index.data_root(root))
    path = Path(spec)
    if not path.is_dir():
        near = get_close_matches(name, [*DATASETS, *WORLDS], n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join([*DATASETS, *WORLDS])}"
        raise DataError(f"expected a data set or a folder of images, got {name}: {hint}")
    return _without_truth(euroc_frames(path) if is_euroc(path) else folder_frames(path, camera))


def _without_truth(frames: Sequence[Frame]) -> LazySequence[Sample]:
    def load(i: int) -> Sample:
        frame = frames[i]
        return Sample(frame=frame, disparity=None, depth=None, name=frame.name)

    return LazySequence(range(len(frames)), load)


def _world_samples(kind: str) -> LazySequence[Sample]:
    from recon3d_ros.world import WorldCamera  # here, as reading files needs none of rendering's tables

    def load(seed: int) -> Sample:
        # Every seed has its own textures and things, every frame number its own view of the place.
        sample = WorldCamera(seed=seed, kind=kind).sample(2 * (seed - WORLD_SCORE_SEEDS.start))
        return replace(sample, name=f"world_{kind}_{seed}")

    return LazySequence(WORLD_SCORE_SEEDS, load)
