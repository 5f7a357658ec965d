"""Read and write images, depth (PNG, PFM), clouds (PLY), camera YAMLs and JSON.

Writers are atomic: a reader sees the old file or the whole new one.
"""

from recon3d_ros.files.cameras import read_camera, read_intrinsics
from recon3d_ros.files.depth_images import DEPTH_SUFFIXES, metres, read_depth
from recon3d_ros.files.disk import finite, make_folder, write_atomically, write_json, write_text
from recon3d_ros.files.images import (
    colour_depth,
    colour_inverse_depth,
    colour_limits,
    read_image,
    read_pfm,
    read_photograph,
    require_animations,
    write_animation,
    write_depth_png16,
    write_image,
    write_pfm,
)
from recon3d_ros.files.ply import read_ply, read_ply_points, write_ply

__all__ = [
    "DEPTH_SUFFIXES",
    "colour_depth",
    "colour_inverse_depth",
    "colour_limits",
    "finite",
    "make_folder",
    "metres",
    "read_camera",
    "read_depth",
    "read_image",
    "read_intrinsics",
    "read_pfm",
    "read_photograph",
    "read_ply",
    "read_ply_points",
    "require_animations",
    "write_animation",
    "write_atomically",
    "write_depth_png16",
    "write_image",
    "write_json",
    "write_pfm",
    "write_ply",
    "write_text",
]
