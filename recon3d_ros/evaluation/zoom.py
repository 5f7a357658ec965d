"""The same scene through a longer lens: whoever knows the focal length estimates the same metres."""

from __future__ import annotations

import cv2
import numpy as np

from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import Frame, Sample


def zoomed(sample: Sample, factor: float) -> Sample:
    """Cut out the middle of an image and resize it to the size of the whole, with its camera and its depth.

    Focal lengths grow by the factor (to the whole pixel of the cut), metres stay. Image: linear; depth:
    nearest, so no value is made up and NaN stays NaN.

    Args:
        sample: Of a pair only the left image remains, as one camera's.
        factor: At least 1, which gives the sample itself.

    Raises:
        ConfigError: The factor is below 1, or leaves less than two pixels.
    """
    if factor == 1:
        return sample
    camera = sample.frame.camera
    width, height = camera.image_size_wh
    if not 1 <= factor <= min(width, height) / 2:
        raise ConfigError(
            f"expected a zoom from 1 to half the pixels of a side, got {factor:g} for {width}x{height}: "
            "choose one such as 1.5"
        )
    size_wh = round(width / factor), round(height / factor)
    left, top = (width - size_wh[0]) // 2, (height - size_wh[1]) // 2
    part = slice(top, top + size_wh[1]), slice(left, left + size_wh[0])
    image = cv2.resize(sample.frame.image[part], (width, height), interpolation=cv2.INTER_LINEAR)
    depth = None
    if sample.depth is not None:
        # INTER_NEAREST takes the upper left of the two nearest; EXACT is the one whose centre is nearest.
        depth = cv2.resize(sample.depth[part], (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    valid = sample.frame.valid
    if valid is not None:
        shown = cv2.resize(
            valid[part].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
        )
        valid = np.asarray(shown, np.bool_)
    frame = Frame(
        sample.frame.stamp_ns,
        np.asarray(image, np.uint8),
        camera.cropped(left, top, *size_wh).scaled((width, height)),
        name=sample.frame.name,
        valid=valid,
    )
    return Sample(frame, None, None if depth is None else np.asarray(depth, np.float32), sample.name)
