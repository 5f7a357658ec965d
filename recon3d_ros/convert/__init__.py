"""Make fp16 and int8 artifacts of a model from its fp32 one, and measure what they cost in accuracy."""

from __future__ import annotations

from recon3d_ros.convert.conversion import METHODS, Conversion, PrecisionRow, convert, to_text
from recon3d_ros.convert.images import Images, folder_images, world_images

__all__ = [
    "METHODS",
    "Conversion",
    "Images",
    "PrecisionRow",
    "convert",
    "folder_images",
    "to_text",
    "world_images",
]
