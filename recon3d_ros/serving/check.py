"""Which model may serve: none serves before it has reproduced its golden output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend, open_backend
from recon3d_ros.errors import ArtifactError, DataError, ModelError
from recon3d_ros.files.arrays import read_npz
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import read_verified
from recon3d_ros.preprocess import Fit, Preprocessor, plan_fit, with_extra
from recon3d_ros.preprocess.points import point_tensors

# Share of pixels of the golden output that may be off, by precision; a manifest may name its own. Rounding
# lets another one of two equally likely surfaces win here and there; a broken file is off everywhere.
GOLDEN_SHARES = {"fp32": 0.01, "fp16": 0.02, "int8": 0.10}
# A pixel is off when it is so by both: near things may be off by more pixels, far ones by more per cent.
OFF_PX, OFF_SHARE = 1.0, 0.05
# The same of a coordinate in an object's frame, which reaches from -1 to 1.
OFF_UNIT = 0.01
_MAX_GOLDEN_BYTES = 1 << 28  # a pair of 4000x3000 and its disparity have 120 MB


def self_check(manifest: Manifest, backend: Backend) -> NDArray[np.float32] | None:
    """Ask the backend for the golden output of its model, if the manifest has one: one small inference.

    Returns:
        What it answered, of the shape of the golden output; None where there is none.

    Raises:
        ModelError: too many pixels are off, or the golden file is not what the manifest promises.
        BackendError: the runtime failed.
    """
    if manifest.golden is None:
        return None
    if manifest.labels_points:
        points, expected = _golden_points(manifest)
        outputs = backend.infer(point_tensors(points, manifest.point_contracts[0]))
        got = outputs[manifest.output.name][:, : len(points)]  # the others repeat them
    elif manifest.takes_points:
        points, expected = _golden_points(manifest)
        got = backend.infer({manifest.input.names[0]: points[None]})[manifest.output.name]
    else:
        images, expected = _read_golden(manifest)
        fit = golden_fit(manifest, (images[0].shape[1], images[0].shape[0]))
        tensors = Preprocessor(manifest.input, fit, len(images)).tensors(images)
        got = backend.infer(with_extra(tensors, manifest.input, fit, backend.inputs))[manifest.output.name]
    _require_share(manifest, backend, got, expected, "does not reproduce its golden output")
    return got


def known_feed(
    manifest: Manifest, backend: Backend, size_wh: tuple[int, int], batch: int = 1
) -> dict[str, NDArray[Any]]:
    """Input tensors for images of one size: the golden ones, resized, or noise for a model without.

    Raises:
        ArtifactError: the golden file is not what the manifest promises.
    """
    count = 2 if manifest.is_stereo else 1
    images = [np.asarray(cv2.resize(i, size_wh), np.uint8) for i in _known_images(manifest, count)]
    fit = plan_fit(manifest.input, size_wh)
    tensors = Preprocessor(manifest.input, fit, count).tensors(images)
    if batch > 1:
        tensors = {name: np.repeat(tensor, batch, axis=0) for name, tensor in tensors.items()}
    return with_extra(tensors, manifest.input, fit, backend.inputs)


def cross_check(
    manifest: Manifest, backend: Backend, size_wh: tuple[int, int], threads: int = 0, batch: int = 1
) -> None:
    """Compare a backend with ONNX Runtime at one size of images: one inference each.

    The images are those of `known_feed`.

    Raises:
        ModelError: too many pixels differ.
        BackendError: a runtime failed.
    """
    feed = known_feed(manifest, backend, size_wh, batch)
    reference = open_backend("onnxruntime", manifest, threads=threads)
    try:
        expected = reference.infer(feed)[manifest.output.name]
    finally:
        reference.close()
    got = backend.infer(feed)[manifest.output.name]
    label = f"differs from ONNX Runtime on images of {size_wh[0]}x{size_wh[1]}"
    _require_share(manifest, backend, got, expected, label)


def golden_fit(manifest: Manifest, size_wh: tuple[int, int]) -> Fit:
    """How golden images of this size lie in the network's input: whatever `input_scale` is, at their own."""
    return plan_fit(replace(manifest.input, image_scale=1.0), size_wh)


def golden_size_wh(manifest: Manifest) -> tuple[int, int] | None:
    """Size of the golden images; None for a model without.

    Raises:
        ArtifactError: the golden file is not what the manifest promises.
    """
    if manifest.golden is None:
        return None
    height, width = _read_golden(manifest)[0][0].shape[:2]
    return width, height


def _require_share(
    manifest: Manifest, backend: Backend, got: NDArray[Any], expected: NDArray[Any], what: str
) -> None:
    share = off_share(got, expected, least_difference(manifest))
    limit = manifest.golden.share if manifest.golden else None
    limit = GOLDEN_SHARES[backend.precision] if limit is None else limit
    if not share <= limit:
        raise ModelError(
            f"model {manifest.name} ({backend.precision}) in {backend.name} {what}: "
            f"expected at most {100 * limit:g} % of the pixels off, got {100 * share:.1f} %: check the "
            "input and output sections of its manifest, use another backend or precision, or export it again"
        )


def _known_images(manifest: Manifest, count: int) -> list[NDArray[np.uint8]]:
    """The golden images, else smooth noise, of which the right one is moved by a few columns."""
    if manifest.golden is not None:
        return _read_golden(manifest)[0]
    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    left = cv2.resize(coarse, (320, 240)).astype(np.uint8)
    return [left, np.roll(left, -6, axis=1)][:count]


def least_difference(manifest: Manifest) -> float:
    """How far a value of a model's output must be off at least, in its unit: see `off_share`."""
    return {"px": OFF_PX, "unit": OFF_UNIT}.get(manifest.output.unit, 0.0)


def off_share(got: NDArray[np.floating], expected: NDArray[np.floating], least: float) -> float:
    """Share of values, 0 to 1, that are off by more than 5 %, and by more than `least`, too.

    Where the shapes differ all are off; NaN is off, too.
    """
    if got.shape != expected.shape:
        return 1.0
    allowed = np.maximum(OFF_SHARE * np.abs(expected), least)
    return float(np.mean(~(np.abs(got - expected) <= allowed)))


def _read_golden(manifest: Manifest) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    arrays = _read_arrays(manifest, manifest.input.names)
    images, expected = arrays[:-1], arrays[-1]
    try:
        for name, image in zip(manifest.input.names, images):
            if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape != images[0].shape:
                raise ValueError(f"{name} is {image.dtype} of shape {image.shape}")
        if min(images[0].shape) < 1 or images[0].shape[2:] not in ((), (3,)):
            raise ValueError(f"images of shape {images[0].shape}")
    except ValueError as exc:
        raise _unusable(manifest, manifest.input.names, exc) from exc
    return images, expected


def _golden_points(manifest: Manifest) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 3) points for a model that takes them, and its output."""
    names = manifest.input.names[:1]
    points, expected = _read_arrays(manifest, names)
    if (
        points.dtype != np.float32
        or points.ndim != 2
        or points.shape[1] != 3
        or not np.isfinite(points).all()
    ):
        fault = ValueError(f"{names[0]} is {points.dtype} of shape {points.shape}")
        raise _unusable(manifest, names, fault)
    return points, expected


def _read_arrays(manifest: Manifest, names: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays of these names in the golden file, and its expected output."""
    assert manifest.golden is not None  # self_check has seen it
    golden, path = manifest.golden, manifest.file_path(manifest.golden.file)
    try:
        arrays = read_npz(read_verified(manifest, golden.file, golden.sha256), path, _MAX_GOLDEN_BYTES)
        found = [arrays[name] for name in (*names, "expected")]
        if found[-1].dtype.kind not in "iuf":
            raise ValueError(f"expected is {found[-1].dtype}")
    except (DataError, ValueError, KeyError) as exc:
        raise _unusable(manifest, names, exc) from exc
    return found


def _unusable(manifest: Manifest, names: Sequence[str], exc: Exception) -> ArtifactError:
    assert manifest.golden is not None
    return ArtifactError(
        f"expected the {'points' if manifest.takes_points else 'images'} {', '.join(names)} and the output "
        f"expected in {manifest.file_path(manifest.golden.file)}, got: {exc!s:.200}; copy the file again"
    )
