"""QoS that does not match, told in words with the remedy, and no more when it is over."""

from __future__ import annotations

import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, PointCloud2


@pytest.fixture(scope="module")
def bench(make_bench):
    overrides = {
        "qos_overrides./watched/points.publisher.reliability": "best_effort",
        "qos_overrides./watched/left/camera_info.subscription.durability": "transient_local",
    }
    return make_bench({"model": "fake_stereo", **overrides}, "/watched", outputs=())


def told(bench, *words):
    return bench.wait(
        lambda: [w for w in bench.warnings() if all(word in w for word in words)],
        what=f"no warning of {words}",
    )


def test_a_reader_that_asks_for_more_than_is_offered(bench):
    reader = bench.probe.create_subscription(PointCloud2, "points", lambda msg: None, 10)
    (warning,) = told(bench, "/watched/probe gets nothing from /watched/points")
    assert "qos_overrides./watched/points.publisher.reliability to reliable" in warning
    bench.wait(lambda: bench.status()["message"] == warning and bench.status()["level"] == "1")
    bench.silence(reader)
    bench.wait(lambda: bench.status()["message"] != warning, what="the mismatch is over")


def test_a_camera_that_offers_less_than_is_asked_for(bench):
    camera = bench.probe.create_publisher(CameraInfo, "left/camera_info", 10)
    (warning,) = told(bench, "nothing arrives from /watched/probe on /watched/left/camera_info")
    assert "it offers durability volatile" in warning
    assert "qos_overrides./watched/left/camera_info.subscription.durability to volatile" in warning
    bench.silence(camera)


def test_what_fits_is_not_spoken_of(bench):
    latched = QoSProfile(
        depth=1,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
    )
    watch = bench.node._status._watch
    bench.wait(lambda: watch.problems() == [], what="the end of what the tests before did")
    before = len(bench.warnings())
    info = bench.probe.create_publisher(CameraInfo, "left/camera_info", latched)
    bench.listen("depth/image")
    bench.wait(info.get_subscription_count)
    assert watch.problems() == [] and len(bench.warnings()) == before
