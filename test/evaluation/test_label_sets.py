from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.evaluation.label_sets import COUNT, marked_clouds, world_clouds


def test_clouds_of_the_world_are_those_that_never_train():
    clouds = list(world_clouds("world_indoor", 2))
    assert len({cloud.name for cloud in clouds}) == 2
    for cloud in clouds:
        assert 100 < len(cloud.points) <= COUNT and len(cloud.truth) == len(cloud.points)
        assert np.isfinite(cloud.points).all()


def test_marked_frames(data_dir):
    (cloud,) = marked_clouds(root=data_dir, limit=1)
    share = (cloud.truth == 1).mean()
    assert cloud.name == "hololens 10" and 0.1 < share < 0.35
    height, width = cloud.image.shape[:2]
    assert cloud.pixels.max(axis=1).tolist() <= [height, width]
    # Ground is at the lower left of this image.
    v, u = cloud.pixels[:, cloud.truth == 1]
    assert u.max() <= 217 and v.min() >= 117


@pytest.mark.parametrize("content", ["no json", "{}"])
def test_a_broken_file_of_polygons_is_one_sentence(tmp_path, content):
    file = tmp_path / "frames.json"
    file.write_text(content)
    with pytest.raises(DataError, match="expected frames with polygons"):
        next(marked_clouds(file))


def test_the_polygons_lie_in_their_images():
    from recon3d_ros.system.share import share_path

    sizes = {"hololens": (540, 360), "euroc": (752, 480), "kitti2012": (1242, 375)}
    frames = json.loads(share_path("config", "ground_frames.json").read_text())["frames"]
    assert len(frames) == 10
    for mark in frames:
        for polygon in mark["ground"] + mark["ignore"]:
            assert len(polygon) >= 4 and (np.array(polygon) >= 0).all()
            assert (np.array(polygon).max(axis=0) < sizes[mark["data"]]).all()
