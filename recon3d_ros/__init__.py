"""Camera images in, metric point clouds out: a ROS 2 perception package."""

__version__ = "0.1.0"
