"""The pipeline over recorded bags, without ROS."""

from recon3d_ros.offline.page import PageSink
from recon3d_ros.offline.processing import Summary, Window, find_images, process_bag
from recon3d_ros.offline.sinks import BagSink, PlySink, Processed, Sink

__all__ = [
    "BagSink",
    "PageSink",
    "PlySink",
    "Processed",
    "Sink",
    "Summary",
    "Window",
    "find_images",
    "process_bag",
]
