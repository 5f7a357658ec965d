"""From the output tensors of a network to the depth map of one frame, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap, Frame, StereoRig
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess import (
    Fit,
    confidence_to_image_grid,
    no_depth,
    sigma_to_image_grid,
    to_image_grid,
)


def values_of(
    outputs: Mapping[str, NDArray[Any]], manifest: Manifest, frame: Frame, fit: Fit
) -> NDArray[np.float32]:
    """The value of the network on the grid of the image.

    Args:
        outputs: Of one frame, by name.
        manifest: Of the model.
        frame: Whose camera has the focal length.
        fit: How its image lay in the network's input.

    Returns:
        (H, W) disparity in px, depth in m, or relative inverse depth; NaN = invalid. What the network says is
        no depth is NaN, or +Inf where that means out of range and the value is a depth.

    Raises:
        ContractError: an output has other axes than the manifest says.
    """
    contract, fit = manifest.output, fit.seen_by(frame.camera.fx, frame.camera.fy)
    values = to_image_grid(outputs[contract.name], contract, fit)
    if contract.invalid is not None:
        nowhere = no_depth(outputs[contract.invalid.name], contract.invalid, contract, fit)
        is_depth = manifest.is_metric and not manifest.is_stereo
        far = contract.invalid.meaning == "out_of_range" and is_depth
        values[nowhere] = np.inf if far else np.nan
    return values


def depth_map_of(outputs: Mapping[str, NDArray[Any]], manifest: Manifest, frame: Frame, fit: Fit) -> DepthMap:
    """The depth map of one frame; arguments and errors as `values_of`."""
    contract = manifest.output
    values = values_of(outputs, manifest, frame, fit)
    fit = fit.seen_by(frame.camera.fx, frame.camera.fy)
    depth, disparity, confidence, sigma_m, relative_depth = values, None, None, None, None
    if contract.confidence is not None:
        confidence = confidence_to_image_grid(outputs[contract.confidence], contract, fit)
    if contract.sigma is not None:
        sigma_m = sigma_to_image_grid(outputs[contract.sigma], contract, fit)
    if manifest.is_stereo:
        assert frame.rig is not None  # the estimator has seen the pair
        depth, disparity = frame.rig.depth_from_disparity(values), values
        if contract.invalid is not None and contract.invalid.meaning == "out_of_range":
            depth[no_depth(outputs[contract.invalid.name], contract.invalid, contract, fit)] = np.inf
        if sigma_m is not None:
            sigma_m = _sigma_of_depth(sigma_m, depth, frame.rig)
    if not manifest.is_metric:
        depth, relative_depth = np.full_like(values, np.nan), values
    return DepthMap(depth, frame.camera, disparity, confidence, sigma_m, relative_depth)


def _sigma_of_depth(
    sigma_px: NDArray[np.float32], depth: NDArray[np.float32], rig: StereoRig
) -> NDArray[np.float32]:
    """sigma_m = Z^2 / (fx B) sigma_px, from Z = fx B / (d - doffs); (H, W) each, written over `sigma_px`."""
    with np.errstate(over="ignore", invalid="ignore"):
        sigma_px *= depth
        sigma_px *= depth
        sigma_px /= np.float32(rig.fx * rig.baseline_m)
    return sigma_px
