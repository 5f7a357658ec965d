"""Scans and clouds as points of their sensor: REP 117, any layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import LaserScan, PointCloud2, PointField

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bridge.conversions import to_bytes_array
from recon3d_ros.ros.output.cloud_message import list_to_msg
from recon3d_ros.ros.scale.messages import cloud_to_points, scan_to_points

INF, NAN = float("inf"), float("nan")


def test_a_scan_is_points_in_its_plane():
    msg = LaserScan(angle_min=-np.pi / 2, angle_increment=np.pi / 4, range_min=0.1, range_max=10.0)
    msg.ranges = [1.0, NAN, 2.0, INF, 3.0, -INF, 0.05, 11.0]
    none = [NAN] * 3
    wanted = [[0, -1, 0], none, [2, 0, 0], none, [0, 3, 0], none, none, none]
    np.testing.assert_allclose(scan_to_points(msg), wanted, atol=1e-6)


def test_a_scan_without_angles():
    with pytest.raises(DataError, match="angle_increment nan"):
        scan_to_points(LaserScan(angle_increment=NAN, range_max=9.0, ranges=[1.0, 2.0]))


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6)),
    order=st.permutations(["x", "y", "z", "intensity"]),
    double=st.booleans(),
    big=st.booleans(),
    lead=st.integers(0, 5),
    tail=st.integers(0, 5),
    padding=st.integers(0, 7),
    seed=st.integers(0, 2**16),
)
def test_a_cloud_of_any_layout(shape, order, double, big, lead, tail, padding, seed):
    rng = np.random.default_rng(seed)
    size, code = (8, "f8") if double else (4, "f4")
    order_code = (">" if big else "<") + code
    offsets = {name: lead + i * size for i, name in enumerate(order)}
    step = lead + len(order) * size + tail
    layout = np.dtype({"names": list(offsets), "formats": [order_code] * 4, "offsets": list(offsets.values()),
                       "itemsize": step})  # fmt: skip
    values = rng.normal(size=(*shape, 4)).astype(code)
    values[rng.random(shape) < 0.3, rng.integers(0, 3)] = NAN
    points = np.zeros(shape, layout)
    for i, name in enumerate("xyz"):
        points[name] = values[..., i]
    rows = np.full((shape[0], shape[1] * step + padding), 0x7F, np.uint8)
    rows[:, : shape[1] * step] = points.view(np.uint8).reshape(shape[0], -1)
    kind = PointField.FLOAT64 if double else PointField.FLOAT32
    msg = PointCloud2(
        height=shape[0], width=shape[1], point_step=step, row_step=rows.shape[1], is_bigendian=big
    )
    msg.fields = [
        PointField(name=name, offset=offset, datatype=kind, count=1) for name, offset in offsets.items()
    ]
    msg.data = to_bytes_array(rows)
    np.testing.assert_array_equal(cloud_to_points(msg), values[..., :3].reshape(-1, 3))


@given(
    size=st.tuples(*[st.integers(0, 2**32 - 1)] * 2) | st.tuples(*[st.integers(0, 9)] * 2),
    steps=st.tuples(st.integers(0, 40), st.integers(0, 400)),
    offsets=st.lists(st.integers(0, 40) | st.integers(0, 2**32 - 1), min_size=3, max_size=3),
    kinds=st.lists(st.integers(0, 9), min_size=3, max_size=3) | st.just([PointField.FLOAT32] * 3),
    length=st.integers(0, 600),
)
def test_a_cloud_is_points_or_one_error(size, steps, offsets, kinds, length):
    """Whatever a message claims: nothing outside its data is read."""
    msg = PointCloud2(height=size[0], width=size[1], point_step=steps[0], row_step=steps[1])
    msg.fields = [
        PointField(name=name, offset=offset, datatype=kind, count=1)
        for name, offset, kind in zip("xyz", offsets, kinds)
    ]
    msg.data = to_bytes_array(np.zeros(length, np.uint8))
    try:
        points = cloud_to_points(msg)
    except DataError:
        return
    assert points.shape == (size[0] * size[1], 3) and not points.any()


def test_clouds_that_cannot_be_read():
    good = list_to_msg(np.ones((7, 3), np.float32), ("x", "y", "z"), 0, "lidar")
    assert cloud_to_points(good).shape == (7, 3)
    assert cloud_to_points(PointCloud2(fields=good.fields, point_step=12)).shape == (0, 3)
    good.width = 8
    with pytest.raises(DataError, match="84 bytes"):
        cloud_to_points(good)
    good.width, good.fields[2].offset = 7, 9
    with pytest.raises(DataError, match="layout wrong"):
        cloud_to_points(good)
    good.fields[1].datatype = PointField.INT16
    with pytest.raises(DataError, match=r"\['x', 'y', 'z'\]"):
        cloud_to_points(good)
    with pytest.raises(DataError, match=r"\['a', 'b'\]"):
        cloud_to_points(list_to_msg(np.ones((7, 2), np.float32), ("a", "b"), 0, "lidar"))
