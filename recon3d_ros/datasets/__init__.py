"""Readers of data sets, folders, recordings, bags and videos; everything is read when it is asked for."""

from __future__ import annotations

from recon3d_ros.datasets.catalogue import DATASETS, GROUPS, WORLDS, open_dataset
from recon3d_ros.datasets.folders import RawImages, folder_frames, folder_images
from recon3d_ros.datasets.index import data_root
from recon3d_ros.datasets.layouts import LAYOUTS, layout_of
from recon3d_ros.datasets.stereo.euroc import euroc_frames, euroc_raw, is_euroc
from recon3d_ros.datasets.video import VideoImages

__all__ = [
    "DATASETS",
    "GROUPS",
    "LAYOUTS",
    "WORLDS",
    "RawImages",
    "VideoImages",
    "data_root",
    "euroc_frames",
    "euroc_raw",
    "folder_frames",
    "folder_images",
    "is_euroc",
    "layout_of",
    "open_dataset",
]
