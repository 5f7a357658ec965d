"""From an image to the tensor a model wants, and from its output back onto the grid of the image, exactly.

Pixel centres are kept: pixel u of the image is (u + 0.5) * scale - 0.5 in the network, as cv2.resize has it.
"""

from recon3d_ros.preprocess.extra import with_extra
from recon3d_ros.preprocess.fit import Fit, plan_fit
from recon3d_ros.preprocess.postprocess import (
    confidence_to_image_grid,
    no_depth,
    sigma_to_image_grid,
    to_image_grid,
    value_limits,
)
from recon3d_ros.preprocess.tensors import Preprocessor

__all__ = [
    "Fit",
    "Preprocessor",
    "confidence_to_image_grid",
    "no_depth",
    "plan_fit",
    "sigma_to_image_grid",
    "to_image_grid",
    "value_limits",
    "with_extra",
]
