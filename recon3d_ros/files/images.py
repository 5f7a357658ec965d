"""Images, and depth as 16-bit PNG, PFM and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError, ImageError, MissingDependencyError, OutputError
from recon3d_ros.files.bit_depth import To8Bits, upper_8_bits
from recon3d_ros.files.decoding import decode
from recon3d_ros.files.disk import read_bytes, write_atomically
from recon3d_ros.files.encoded import MAX_DECODED_BYTES, MAX_PIXELS
from recon3d_ros.files.exif import Exif, as_stored, read_exif
from recon3d_ros.files.image_headers import FORMATS, inspect_image, largest_pnm_value
from recon3d_ros.geometry.orientation import upright
from recon3d_ros.system.installing import pip_install

_ANIMATION_QUALITY = 60  # of 100, as WebP counts: clouds are full of small detail


def read_image(path: Path | str, to_8_bits: To8Bits = upper_8_bits) -> NDArray[np.uint8]:
    """Read an image file: (H, W, 3) uint8 RGB, or (H, W) uint8 when it is mono.

    16-bit images keep their upper 8 bits by default, a PGM or PPM whose white is below 255 is scaled to 255,
    alpha is dropped. The pixels are in the order in which they are stored, whatever EXIF says of the
    orientation: that is how a calibration belongs to them.

    Raises:
        DataError: The file cannot be read.
        ImageError: It is no image, damaged, or too large.
    """
    return _decoded(read_bytes(path), path, to_8_bits)


def read_photograph(path: Path | str, to_8_bits: To8Bits = upper_8_bits) -> tuple[NDArray[np.uint8], Exif]:
    """Read an image file and its EXIF tags; the pixels as `read_image` has them.

    Args:
        path: Of the file.
        to_8_bits: Scales pixels of 16 bits, such as `BitDepth.to_8_bits` of its camera.

    Raises:
        DataError: The file cannot be read.
        ImageError: It is no image, damaged, or too large.
    """
    encoded = read_bytes(path)
    return _decoded(encoded, path, to_8_bits), read_exif(encoded)


def read_mask(path: Path | str) -> NDArray[np.bool_]:
    """Read an image file as a mask, upright as programs for painting show it.

    Args:
        path: Of the file.

    Returns:
        (H, W), False where a pixel is exactly black, or erased (wholly transparent).

    Raises:
        DataError: The file cannot be read.
        ImageError: It is no image, damaged, or too large.
    """
    encoded = read_bytes(path)
    pixels = _pixels(encoded, path)
    keep = pixels > 0 if pixels.ndim == 2 else pixels[..., :3].any(axis=2)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        keep = keep & (pixels[..., 3] > 0)
    return upright(np.asarray(keep), read_exif(encoded).orientation)


def _pixels(encoded: bytes, path: Path | str) -> NDArray[Any]:
    """(H, W) or (H, W, 3 or 4) uint8 or uint16, in OpenCV's order of colours."""
    image = decode_whole(encoded, path)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"expected a whole image of 8 or 16 bits, {FORMATS}, {path} is none: convert or copy it"
        )
    return image


def _decoded(encoded: bytes, path: Path | str, to_8_bits: To8Bits) -> NDArray[np.uint8]:
    image = _pixels(encoded, path)
    if image.dtype == np.uint16:
        image = to_8_bits(image)
    elif (white := largest_pnm_value(encoded)) < 255:  # OpenCV leaves them as they are
        image = np.rint(np.minimum(image, white) * (255.0 / white)).astype(np.uint8)
    if image.ndim == 2:
        return image
    code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(image, code)  # type: ignore[return-value]


def decode_whole(encoded: bytes, path: Path | str) -> NDArray[Any] | None:
    """Decode the bytes of an image file as they are stored; None where they are none, or not whole.

    Raises:
        ImageError: Decoding would take more memory or time than `files.encoded` allows, or the pixels are
            damaged.
    """
    claims = inspect_image(encoded)
    if claims is None or not (claims.whole or claims.excess):
        return None
    if claims.excess:
        raise ImageError(
            f"expected an image of at most {MAX_PIXELS} pixels and {MAX_DECODED_BYTES >> 20} MiB, "
            f"{path} {claims.excess}: copy it again, or make it smaller"
        )
    decoded = decode(np.frombuffer(as_stored(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded.damage:
        raise ImageError(f"expected a whole image, {path} is damaged ({decoded.damage}): copy it again")
    return decoded.pixels


def write_image(path: Path | str, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 mono; the suffix chooses the format.

    Raises:
        OutputError: It cannot be written.
    """
    _write_encoded(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image)


def write_animation(path: Path | str, images: Sequence[NDArray[np.uint8]], image_ms: int) -> None:
    """Write (H, W, 3) uint8 RGB images as an animation, .webp or .gif, that repeats for ever.

    Args:
        path: Where to.
        images: All of one size.
        image_ms: How long each is shown.

    Raises:
        MissingDependencyError: OpenCV is older than 4.11.
        OutputError: It cannot be written, or has another suffix.
    """
    require_animations()
    suffix = Path(path).suffix
    if suffix not in (".webp", ".gif"):
        raise OutputError(f"expected a suffix such as .webp or .gif, got {path}: rename it")
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in images]
    animation.durations = [image_ms] * len(images)
    quality = [cv2.IMWRITE_WEBP_QUALITY, _ANIMATION_QUALITY]
    _, encoded = cv2.imencodeanimation(suffix, animation, quality)
    write_atomically(path, encoded.tobytes())


def require_animations() -> None:
    """Check that OpenCV can write animations.

    Raises:
        MissingDependencyError: OpenCV is older than 4.11.
    """
    if not hasattr(cv2, "imencodeanimation"):
        raise MissingDependencyError(
            f"animations need OpenCV 4.11 or newer, got {cv2.__version__}: "
            f"{pip_install('opencv-python-headless>=4.11,<5')}"
        )


def write_depth_png16(path: Path | str, depth: NDArray[np.float32]) -> None:
    """Write depth as 16-bit PNG in mm (REP 118): 0 = no finite depth, 65535 = that far or farther.

    Args:
        path: Where to.
        depth: (H, W) float32 m.

    Raises:
        OutputError: It cannot be written.
    """
    depth_mm = np.where(np.isfinite(depth), np.rint(depth * np.float32(1000)), 0)
    _write_encoded(path, np.clip(depth_mm, 0, 65535).astype(np.uint16))


def write_pfm(path: Path | str, plane: NDArray[np.float32]) -> None:
    """Write (H, W) float32 as little-endian PFM (rows bottom to top), NaN and Inf as they are.

    Raises:
        OutputError: It cannot be written.
    """
    height, width = plane.shape
    write_atomically(path, f"Pf\n{width} {height}\n-1.0\n".encode(), plane[::-1].astype("<f4").tobytes())


def read_pfm(path: Path | str) -> NDArray[np.float32]:
    """Read a PFM file: (H, W) float32, or (H, W, 3) when it has colours.

    Raises:
        DataError: The file cannot be read, or is no PFM.
    """
    try:
        kind, size, scale, pixels = read_bytes(path).split(b"\n", 3)
        width, height = (int(number) for number in size.split())
        channels = {b"Pf": 1, b"PF": 3}[kind.strip()]
        order = "<f4" if float(scale) < 0 else ">f4"
        flat = np.frombuffer(pixels, order, count=width * height * channels)
        shape = (height, width) if channels == 1 else (height, width, channels)
        return flat.reshape(shape)[::-1].astype(np.float32)
    except (ValueError, KeyError) as exc:
        raise DataError(f"expected a whole PFM file, {path} is none ({exc}): write it again") from exc


def colour_depth(depth: NDArray[np.float32], min_m: float, max_m: float) -> NDArray[np.uint8]:
    """Paint depth with the turbo map, from red at `min_m` to dark blue at `max_m` and beyond.

    Colours go with 1 / depth, which spends them where a camera resolves depth.

    Args:
        depth: (H, W) float32 m.
        min_m: Depth of the reddest colour, > 0.
        max_m: Depth of the bluest; +Inf has it too.

    Returns:
        (H, W, 3) uint8 RGB; NaN is black.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_depth = np.where(depth > 0, 1 / depth, np.nan)
    return colour_inverse_depth(inverse_depth, 1 / max_m, 1 / min_m)


def colour_inverse_depth(
    inverse_depth: NDArray[np.float32], farthest: float, nearest: float
) -> NDArray[np.uint8]:
    """Paint inverse depth with the turbo map, from dark blue at `farthest` and below to red at `nearest`.

    Args:
        inverse_depth: (H, W), in 1/m or relative.
        farthest: The value of the bluest colour.
        nearest: That of the reddest, > `farthest`.

    Returns:
        (H, W, 3) uint8 RGB; NaN is black.
    """
    known = ~np.isnan(inverse_depth)
    level = np.clip((np.where(known, inverse_depth, farthest) - farthest) / (nearest - farthest), 0, 1)
    colours = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(known[..., None], colours[..., ::-1], 0).astype(np.uint8)


def colour_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Between which values to spread colours: 2nd and 98th percentile of the finite ones, never equal."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 98)) if known.size else (1.0, 2.0)
    return float(low), float(max(high, low + 0.01 * abs(low), low + 1e-6))


def _write_encoded(path: Path | str, image: NDArray[Any]) -> None:
    suffix = Path(path).suffix
    if not cv2.haveImageWriter(f"image{suffix}"):
        raise OutputError(f"expected a suffix such as .png or .jpg, got {path}: rename it")
    try:
        done, encoded = cv2.imencode(suffix, image)
    except cv2.error:  # an older OpenCV raises where a newer one returns False
        done = False
    if not done:
        raise OutputError(
            f"expected an image that a {suffix} file can hold, got {image.shape} {image.dtype} for {path}: "
            "choose .png"
        )
    write_atomically(path, encoded.tobytes())
