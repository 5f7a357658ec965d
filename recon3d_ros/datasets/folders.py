"""Folders of images: one camera's, or a stereo pair's in `left/` and `right/`, with a camera YAML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.camera_topics import SEPARATE, is_packed
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.files import read_camera, read_image, read_photograph
from recon3d_ros.files.bit_depth import BitDepth
from recon3d_ros.geometry import (
    Frame,
    FrameRectifier,
    PinholeCamera,
    StereoRig,
    exchanges_sides,
    split_views,
    upright,
    upright_frame,
)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".webp"})
CAMERA_FILE = "camera.yaml"
# left.png and right.png in it are white where the (rectified) images show what the cameras saw.
VALID_FOLDER = "valid"
# Folders of the left and of the right images: ours and image_pipeline's, KITTI's grey and colour cameras.
_KITTI = (("0", "1"), ("2", "3"), ("00", "01"), ("02", "03"))
PAIR_FOLDERS = (("left", "right"), *((f"image_{left}", f"image_{right}") for left, right in _KITTI))
_LEFT = re.compile(r"(?<![a-z])left(?![a-z])", re.IGNORECASE)
# File names with this many digits or more are taken for nanoseconds, with one or two digits fewer for
# microseconds (since 1970 these have 19 and 16 digits); fewer are frame numbers.
NS_DIGITS, US_DIGITS = 18, 16


class RawImages(NamedTuple):
    """Images as the sensor gave them.

    Attributes:
        stamp_ns: Acquisition time, ns.
        left: (H, W, 3) RGB or (H, W) mono uint8, as stored.
        right: The same of the right camera; None for one camera.
        orientation: Which way up the images are to be shown, see `geometry.upright`.
    """

    stamp_ns: int
    left: np.ndarray
    right: np.ndarray | None
    orientation: int = 1


def folder_images(path: Path | str, rate_hz: float = 10.0, layout: str = SEPARATE) -> LazySequence[RawImages]:
    """The images of a folder, unrectified, in natural order of their names ("9" before "10").

    A folder with subfolders `left` and `right` (or KITTI's `image_0` and `image_1`, `image_2` and `image_3`)
    is a stereo pair's, joined by equal file names without suffix; so is one with `left_0001` beside
    `right_0001`, or with `im0` and `im1`.
    With another layout than separate, every image holds both views (see `geometry.split_views`).
    Names of 18 or more digits are stamps in ns (as EuRoC's), of 16 or 17 in us; others go by `rate_hz`.

    Raises:
        DataError: when the folder is missing or empty, or an image lacks its partner.
    """
    return images_of(image_files(Path(path)), rate_hz, layout)


def images_of(
    files: Sequence[tuple[Path, Path | None]], rate_hz: float, layout: str = SEPARATE
) -> LazySequence[RawImages]:
    """Read the (left, right or None) files when asked; see `folder_images` for stamps and layout.

    Raises:
        DataError: two files are a pair, and the layout says that one is.
    """
    if is_packed(layout) and (right := files[0][1]) is not None:
        raise DataError(
            f"expected images with both views for the layout {layout}, got {files[0][0]} beside {right.name}"
            ": leave the layout out"
        )
    stamps = stamps_of([left.stem for left, _ in files], rate_hz)
    to_8_bits = BitDepth(str(files[0][0].parent)).to_8_bits

    def load(i: int) -> RawImages:
        left, right = files[i]
        image, exif = read_photograph(left, to_8_bits)
        if is_packed(layout):  # the layout is that of the image as it is shown
            return RawImages(stamps[i], *split_views(upright(image, exif.orientation), layout))
        if right is None:
            return RawImages(stamps[i], image, None, exif.orientation)
        other, exif_of_other = read_photograph(right, to_8_bits)
        if exif.orientation != exif_of_other.orientation:
            raise ImageError(
                f"expected one EXIF orientation of both images of a pair, got {exif.orientation} in {left} "
                f"and {exif_of_other.orientation} in {right}: turn them upright"
            )
        return RawImages(stamps[i], image, other, exif.orientation)

    return LazySequence(range(len(files)), load)


def folder_frames(
    path: Path | str,
    camera: PinholeCamera | StereoRig | None = None,
    rate_hz: float = 10.0,
    layout: str = SEPARATE,
    as_shown: bool = False,
) -> LazySequence[Frame]:
    """The images of a folder as rectified frames.

    Where `valid/left.png` or `valid/right.png` lies in the folder, its dark pixels were not seen by the
    camera (`Frame.valid`, `Frame.right_valid`): the robot's body, or what `~/save` has noted.

    Args:
        path: see `folder_images`.
        camera: of the images on disk, raw or rectified; a StereoRig for `left/` and `right/`. None reads
            `camera.yaml` inside the folder. Raw images are rectified.
        rate_hz: spacing of frames whose names are no stamps.
        layout: other than separate, every image holds both views; the camera is that of the views.
        as_shown: see `rectified_frames`.

    Raises:
        DataError: as `folder_images`; when there is no camera, one camera for a pair, or the other way round.
        CalibrationError: when the camera file holds no usable calibration, or is not the images' size.
    """
    folder = Path(path)
    files = image_files(folder)
    if camera is None:
        camera = _camera_inside(folder, files[0][0])
    packed = is_packed(layout)
    if (packed or files[0][1] is not None) != isinstance(camera, StereoRig):
        raise DataError(
            f"expected one camera for a folder of images, a stereo camera (left: and right:) for left/ and "
            f"right/, got the other kind for {folder}: give the matching camera file"
        )
    names = [left.stem for left, _ in files]
    frames = rectified_frames(images_of(files, rate_hz, layout), camera, names, as_shown)
    valid, right_valid = (_valid_plane(folder / VALID_FOLDER / f"{side}.png") for side in ("left", "right"))
    if valid is None and right_valid is None:
        return frames
    return LazySequence(range(len(frames)), lambda i: frames[i].restricted(valid, right_valid))


def _valid_plane(path: Path) -> NDArray[np.bool_] | None:
    if not path.is_file():
        return None
    image = read_image(path)
    return np.asarray(image > 127 if image.ndim == 2 else (image > 127).all(axis=2))


def rectified_frames(
    raw: Sequence[RawImages], camera: PinholeCamera | StereoRig, names: Sequence[str], as_shown: bool = False
) -> LazySequence[Frame]:
    """Rectify `raw` images (when their camera is not rectified already), turn them upright and name them.

    A calibration is of the stored pixels and turns with them, unless only the upright image has its size.
    Pairs, whose disparity runs along the rows, stay as they are stored; with `as_shown` their rig is
    that of the images as they are shown.

    Raises:
        CalibrationError, ImageError: from reading an element whose size is not the camera's.
    """
    rectifier = FrameRectifier(camera)
    size_wh = (camera.left if isinstance(camera, StereoRig) else camera).image_size_wh

    def load(i: int) -> Frame:
        images = raw[i]
        image, right, orientation = images.left, images.right, images.orientation
        turned = exchanges_sides(orientation) and image.shape[1::-1] != size_wh == image.shape[:2]
        if turned or (as_shown and right is not None):
            image, right = upright(image, orientation), None if right is None else upright(right, orientation)
            orientation = 1
        frame = rectifier.frame(image, right, images.stamp_ns, names[i])
        return frame if right is not None else upright_frame(frame, orientation)

    return LazySequence(range(len(raw)), load)


def image_files(folder: Path) -> list[tuple[Path, Path | None]]:
    """The image files of `folder` in natural order, as (left, right or None).

    Raises:
        DataError: see `folder_images`.
    """
    if not folder.is_dir():
        raise DataError(f"expected a folder of images at {folder}, found none: check the path")
    for left, right in PAIR_FOLDERS:
        if (folder / left).is_dir() and (folder / right).is_dir():
            return [*paired_files(folder / left, folder / right)]
    paths = _listed(folder)
    return [*_pairs_among(paths)] or [(path, None) for path in paths]


def _pairs_among(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The pairs among the images of one folder, by their names; none when they are one camera's.

    Raises:
        DataError: when there are pairs, and images beside them.
    """
    by_stem = {path.stem: path for path in paths}
    pairs = [(path, by_stem[partner]) for path in paths if (partner := _partner_of(path.stem)) in by_stem]
    if by_stem.keys() in ({"im0", "im1"}, {"image_0", "image_1"}, {"view0", "view1"}):  # else frame numbers
        pairs = [(paths[0], paths[1])]
    if alone := sorted(by_stem.keys() - {path.stem for pair in pairs for path in pair}) if pairs else []:
        raise DataError(
            f"expected pairs of left and right images in {paths[0].parent}, or images of one camera, but "
            f"{len(alone)} beside the pairs have no partner, first {alone[0]}: move or rename them"
        )
    return pairs


def _partner_of(stem: str) -> str | None:
    """The name of the right image that belongs to a left one; None when it is no left one."""

    def right(match: re.Match[str]) -> str:
        word = match[0]
        return "RIGHT" if word.isupper() else "Right" if word[0].isupper() else "right"

    partner, count = _LEFT.subn(right, stem)
    return partner if count else None


def paired_files(
    left_dir: Path, right_dir: Path, right_suffixes: Collection[str] = IMAGE_SUFFIXES
) -> list[tuple[Path, Path]]:
    """Join the images of two folders by their names without suffix.

    Raises:
        DataError: naming an image that has no partner; when a folder has no images.
    """
    left = {path.stem: path for path in _listed(left_dir)}
    right = {path.stem: path for path in _listed(right_dir, right_suffixes)}
    if alone := sorted(left.keys() ^ right.keys(), key=_natural):
        raise DataError(
            f"expected equal file names in {left_dir} and {right_dir}, but {len(alone)} have no partner, "
            f"first {alone[0]}: rename or remove them"
        )
    return [(path, right[stem]) for stem, path in left.items()]


def _listed(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of a folder with one of the suffixes, in natural order ("9" before "10").

    Raises:
        DataError: when it cannot be listed, has none, or two of one name.
    """
    try:
        # Hidden files are a file manager's (macOS writes ._000.png beside 000.png), and folders no images.
        paths = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as exc:
        raise DataError(f"cannot list {folder} ({exc.strerror}): check its permissions") from exc
    if not paths:
        raise DataError(
            f"expected images ({', '.join(sorted(suffixes))}) in {folder}, found none: check the path"
        )
    # One name for two images would pair the wrong ones, and one's results would overwrite the other's.
    if twice := [stem for stem, count in Counter(path.stem for path in paths).items() if count > 1]:
        raise DataError(
            f"expected one image of each name in {folder}, got several of {min(twice)}: remove or rename them"
        )
    return sorted(paths, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[int, str]]:
    # (number, "") for digits and (-1, text) for text, so that parts of both kinds compare
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def stamps_of(stems: Sequence[str], rate_hz: float) -> list[int]:
    """Stamps in ns of files by their names without suffix; see `folder_images`.

    Raises:
        DataError: when the names are no stamps and the rate is not positive.
    """
    if all(stem.isdecimal() and len(stem) >= US_DIGITS for stem in stems):
        ns_per_unit = 1 if all(len(stem) >= NS_DIGITS for stem in stems) else 1000
        return [int(stem) * ns_per_unit for stem in stems]
    if not rate_hz > 0:
        raise DataError(f"expected a rate above 0 Hz for images without stamps, got {rate_hz}: pass a rate")
    return [round(i * 1e9 / rate_hz) for i in range(len(stems))]


def _camera_inside(folder: Path, image: Path) -> PinholeCamera | StereoRig:
    path = folder / CAMERA_FILE
    if not path.is_file():
        raise DataError(
            f"expected the calibration of the images in {path}, found none: "
            "save the camera's YAML there or name it"
        )
    return read_camera(path, image=image)
