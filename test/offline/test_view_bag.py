"""A bag of results is shown frame by frame, and one without results says so."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rosbags")

from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.offline.view_bag import bags_in, log_bag

WIDTH, HEIGHT = 64, 48


class Log:
    """Stands in for Rerun: remembers what is logged, and when."""

    def __init__(self):
        self.logged, self.time = [], None

    def at(self, frame, stamp_ns):
        self.time = (frame, stamp_ns)

    def depth_map(self, depth_map):
        self.logged.append((self.time, "depth", depth_map.camera.fx, float(np.nanmax(depth_map.depth))))

    def cloud(self, cloud, entity="points"):
        self.logged.append((self.time, entity, cloud.points().data.shape[0], float(cloud.points().xyz[0, 2])))


def write(path, topics=("/eye/points", "/eye/depth/image", "/eye/depth/camera_info")):
    """Two frames of a wall, 2 m and 3 m away, of which ten columns are unknown."""
    kinds = {"points": "PointCloud2", "image": "Image", "camera_info": "CameraInfo"}
    writer = BagWriter(path, {topic: f"sensor_msgs/msg/{kinds[topic.split('/')[-1]]}" for topic in topics})
    camera = PinholeCamera.simple(WIDTH, HEIGHT, fx=60.0)
    for i, metres in enumerate((2.0, 3.0), 1):
        depth = np.full((HEIGHT, WIDTH), metres, np.float32)
        depth[:, :10] = np.nan
        cloud = PointPacker(camera).pack(depth, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        made = {
            "points": lambda i=i, cloud=cloud: writer.cloud(cloud, i, "optical"),
            "image": lambda i=i, depth=depth: writer.depth(depth, i, "optical"),
            "camera_info": lambda i=i: writer.camera_info(camera, i, "optical"),
        }
        for topic in sorted(topics):
            writer.write(topic, 1000 + i, made[topic.split("/")[-1]]())
    writer.close()
    return path


def test_clouds_and_depth_come_in_the_order_of_their_images(tmp_path):
    path, log = write(tmp_path / "points.mcap"), Log()
    assert bags_in(tmp_path) == bags_in(path) == [path] and bags_in(tmp_path / "none") == []
    assert log_bag(log, path) == 2
    points = HEIGHT * (WIDTH - 10)
    assert log.logged == [
        ((0, 1), "depth", 60.0, 2.0), ((0, 1), "points", points, 2.0),
        ((1, 2), "depth", 60.0, 3.0), ((1, 2), "points", points, 3.0),
    ]  # fmt: skip
    only_depth = write(tmp_path / "depth.mcap", ("/depth/image",))
    assert log_bag(log, only_depth) == 2
    with pytest.raises(DataError, match="process the bag first"):
        log_bag(log, write(tmp_path / "images.mcap", ("/left/image",)))
