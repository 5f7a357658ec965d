"""Inputs of a network beside its images: from the camera, from the images at half size, or constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ContractError
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess.fit import Fit


def with_extra(
    tensors: dict[str, NDArray[Any]],
    contract: InputContract,
    fit: Fit,
    specs: tuple[TensorSpec, ...],
    K: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Add to the tensors of the images those of ``contract.extra``.

    Args:
        tensors: Of `Preprocessor.tensors`; returned as they are when the contract has no further inputs.
        contract: Names the further inputs.
        fit: The one of the images.
        specs: Inputs of the file, which say dtype and shape.
        K: (3, 3) px, intrinsics of the image; without one those of a camera with f = width of the image and
            the principal point in the middle.

    Raises:
        ContractError: the file has no such input, or its shape does not suit its role.
    """
    if not contract.extra:
        return tensors
    intrinsics = _of_network(_nominal(fit) if K is None else K, fit)
    by_name = {spec.name: spec for spec in specs}
    return tensors | {
        item.name: _tensor(item, by_name[item.name], tensors, contract, fit, intrinsics)
        for item in contract.extra
    }


def _nominal(fit: Fit) -> NDArray[np.float64]:
    width, height = fit.image_size_wh
    return np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])


def _of_network(K: NDArray[np.float64], fit: Fit) -> NDArray[np.float64]:
    """The intrinsics of the network's input; the centre of a pixel is a whole number in both."""
    result = np.array(K, np.float64)
    for axis in (0, 1):
        zoom = fit.zoom_xy[axis]
        result[axis, axis] *= zoom
        result[axis, 2] = (K[axis, 2] + 0.5) * zoom - 0.5 + fit.offset_xy[axis]
    return result


def _tensor(
    item: ExtraInput,
    spec: TensorSpec,
    tensors: Mapping[str, NDArray[Any]],
    contract: InputContract,
    fit: Fit,
    K: NDArray[np.float64],
) -> NDArray[Any]:
    if item.role in ("left_half", "right_half"):
        name = contract.names[0 if item.role == "left_half" else -1]
        return _half(tensors[name], contract).astype(spec.dtype)
    if item.role == "rays":
        return _rays(K, fit).astype(spec.dtype)
    values: Any = item.value if item.role == "constant" else K[0, 0]
    if item.role in ("K", "K_inverse"):
        values = _matrix(K if item.role == "K" else np.asarray(np.linalg.inv(K), np.float64), spec)
    shape = tuple(
        side if side is not None else _free_side(axis, spec) for axis, side in enumerate(spec.shape)
    )
    try:
        return np.broadcast_to(values, shape).astype(spec.dtype)
    except ValueError as exc:
        raise ContractError(
            f"expected an input {item.name!r} that can hold {item.role}, got {spec}: correct input.extra"
        ) from exc


def _free_side(axis: int, spec: TensorSpec) -> int:
    if axis == 0:
        return 1  # the batch
    raise ContractError(
        f"expected the shape of the input {spec.name!r} in the file, got {spec}: export the model with a "
        "fixed shape"
    )


def _matrix(matrix: NDArray[np.float64], spec: TensorSpec) -> NDArray[np.float64]:
    if spec.shape[-2:] == (4, 4):
        larger = np.eye(4)
        larger[:3, :3] = matrix
        return larger
    if spec.shape[-1:] == (4,):
        return np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]])
    return matrix


def _half(tensor: NDArray[Any], contract: InputContract) -> NDArray[Any]:
    """A tensor of an image at half the size, as cv2.resize makes it: the mean of two by two pixels."""
    h, w = contract.layout.index("H"), contract.layout.index("W")
    planes = np.moveaxis(tensor, (h, w), (-2, -1))
    height, width = planes.shape[-2:]
    flat = planes.reshape(-1, height, width).astype(np.float32)
    small = np.stack([cv2.resize(p, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR) for p in flat])
    half = small.reshape(*planes.shape[:-2], height // 2, width // 2)
    return np.ascontiguousarray(np.moveaxis(half, (-2, -1), (h, w)))


def _rays(K: NDArray[np.float64], fit: Fit) -> NDArray[np.float64]:
    """Unit vectors through the centres of the pixels of the network's input, (1, 3, H, W)."""
    width, height = fit.network_size_wh
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u, np.float64)])
    return (rays / np.linalg.norm(rays, axis=0))[None]
