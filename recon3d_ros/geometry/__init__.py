"""Cameras, stereo rigs, rectification, depth maps and organized clouds, on NumPy and OpenCV alone."""

from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.cloud import XYZ, XYZI, XYZRGB, Cloud, OrganizedCloud, UnorganizedCloud
from recon3d_ros.geometry.depth_map import DepthMap
from recon3d_ros.geometry.frame import Frame, Sample
from recon3d_ros.geometry.orientation import exchanges_sides, upright, upright_camera, upright_frame
from recon3d_ros.geometry.packer import PointPacker
from recon3d_ros.geometry.rectify import FrameRectifier, Rectifier, stereo_rectified_pair
from recon3d_ros.geometry.rig import StereoRig
from recon3d_ros.geometry.stereo_layout import split_views

__all__ = [
    "XYZ",
    "XYZI",
    "XYZRGB",
    "Cloud",
    "DepthMap",
    "Frame",
    "FrameRectifier",
    "OrganizedCloud",
    "PinholeCamera",
    "PointPacker",
    "Rectifier",
    "Sample",
    "StereoRig",
    "UnorganizedCloud",
    "exchanges_sides",
    "split_views",
    "stereo_rectified_pair",
    "upright",
    "upright_camera",
    "upright_frame",
]
