from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from recon3d_ros.errors import ConfigError, DataError, OutputError
from recon3d_ros.files import read_image, read_ply_points
from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.ros.bridge.conversions import camera_to_info, depth_to_msg, image_to_msg
from recon3d_ros.ros.demo import recorder, report
from recon3d_ros.ros.demo.recorder import Recorder
from recon3d_ros.ros.output.cloud_message import CloudMessages

WIDTH, HEIGHT = 60, 34
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, fx=50.0)
IMAGE = np.full((HEIGHT, WIDTH, 3), (10, 200, 40), np.uint8)
TRUTH = np.full((HEIGHT, WIDTH), 4.0, np.float32)
TRUTH[:, :6], TRUTH[:4] = 50.0, np.inf  # behind the limits, and sky: not scored
DEPTH = np.where(TRUTH < 10, TRUTH * np.float32(1.1), TRUTH)
DEPTH[10:12] = np.nan  # unanswered
FRAME = "camera_left_optical_frame"


class Camera(Node):
    """Stands in for camera and depth node: every third frame gives no cloud, clouds come 50 ms late."""

    PERIOD_S, LATENCY_S = 0.1, 0.05

    def __init__(self, context):
        super().__init__("camera", context=context)
        self.clouds = CloudMessages()
        self.count = 0
        self.topics = {
            name: self.create_publisher(kind, name, 10)
            for name, kind in (
                ("left/camera_info", CameraInfo),
                ("left/image_rect", Image),
                ("truth/depth", Image),
                ("depth/image", Image),
                ("points", PointCloud2),
                ("/diagnostics", DiagnosticArray),
            )
        }
        self.create_timer(self.PERIOD_S, self.shoot)

    def shoot(self):
        if any(topic.get_subscription_count() == 0 for topic in self.topics.values()):
            return
        self.count += 1
        stamp_ns = self.get_clock().now().nanoseconds
        self.topics["left/camera_info"].publish(camera_to_info(CAMERA, stamp_ns, FRAME))
        self.topics["left/image_rect"].publish(image_to_msg(IMAGE, stamp_ns, FRAME))
        self.topics["truth/depth"].publish(depth_to_msg(TRUTH, stamp_ns, FRAME))
        if self.count % 3:
            time.sleep(self.LATENCY_S)
            self.topics["depth/image"].publish(depth_to_msg(DEPTH, stamp_ns, FRAME))
            msg, points = self.clouds.take((HEIGHT, WIDTH), stamp_ns, FRAME)
            PointPacker(CAMERA).pack(DEPTH, IMAGE, points)
            self.topics["points"].publish(msg)
        for name in ("/depth_node: depth", "/other/depth_node: depth"):
            status = DiagnosticStatus(name=name, message="well")
            status.values = [
                KeyValue(key="model", value=name),
                KeyValue(key="beyond_max_depth", value="0.25"),
            ]
            self.topics["/diagnostics"].publish(DiagnosticArray(status=[status]))


def record(camera_class=None, timeout_s=30.0, **parameters):
    """Run a recorder to its end, beside a camera in a thread of its own."""
    context, other = rclpy.Context(), rclpy.Context()
    for one in (context, other):
        rclpy.init(args=[], context=one)
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    camera = camera_class(other) if camera_class else None
    cameras = SingleThreadedExecutor(context=other)

    def play():
        try:
            cameras.spin()
        except Exception:  # the end of the context may come in the middle of a publish
            if other.ok():
                raise

    if camera is not None:
        cameras.add_node(camera)
    thread = threading.Thread(target=play)
    thread.start()
    node = None
    watch = threading.Timer(timeout_s, context.try_shutdown)
    watch.start()
    try:
        node = Recorder(context=context, parameter_overrides=overrides)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        executor.spin()
    except ExternalShutdownException:
        pass
    finally:
        assert watch.is_alive(), "the recorder did not end by itself"
        watch.cancel()
        if node is not None:
            node.destroy_node()
        context.try_shutdown()
        other.try_shutdown()
        thread.join()
        if camera is not None:
            camera.destroy_node()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(recorder, "GRACE_S", 0.7)
    monkeypatch.setattr(report, "render_cloud", lambda cloud, path: path.write_bytes(b"drawn"))


def test_a_record(tmp_path):
    record(Camera, out=str(tmp_path), seconds=1.5, max_depth_m=10.0, notes="first\nsecond")
    document = json.loads((tmp_path / "report.json").read_text())
    counted = document["frames_in"]
    assert counted >= 5 and document["clouds_out"] + document["dropped"] == counted
    assert abs(document["clouds_out"] - 2 * document["dropped"]) <= 2  # two of three
    assert 50 <= document["latency_ms_p50"] <= document["latency_ms_p95"]
    # The mean of |1.1 z - z| / z, over the answered pixels whose truth is within the limits.
    assert document["abs_rel"] == pytest.approx(0.1, rel=1e-4)
    assert document["rmse_m"] == pytest.approx(0.4, rel=1e-4)
    assert document["delta_1"] == 1.0
    scored = np.isfinite(TRUTH) & (TRUTH < 10)
    assert document["coverage"] == pytest.approx((scored & np.isfinite(DEPTH)).sum() / scored.sum())
    assert document["frames_scored"] >= document["clouds_out"] - 1
    assert document["node"]["model"] == "/depth_node: depth"  # not the other robot's
    assert document["notes"][:2] == ["first", "second"]
    assert document["notes"][2].startswith("25% of the pixels are at 10 to 40 m, beyond max_depth_m (10 m)")
    assert read_image(tmp_path / "input.png")[5, 5].tolist() == [10, 200, 40]
    xyz, rgb = read_ply_points(tmp_path / "cloud.ply")
    assert len(xyz) == np.isfinite(DEPTH).sum() and rgb[0].tolist() == [10, 200, 40]


def test_without_truth_the_accuracy_is_unknown(tmp_path):
    class Blind(Camera):
        def __init__(self, context):
            super().__init__(context)
            self.topics["truth/depth"].publish = lambda msg: None

    record(Blind, out=str(tmp_path), seconds=0.6)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["clouds_out"] > 0 and document["frames_scored"] == 0
    assert [document[key] for key in recorder.SCORES] == [None] * 4


def test_no_cloud_within_its_patience(tmp_path):
    with pytest.raises(DataError, match=r"cloud on /points within 1 s.*the depth node says: nothing"):
        record(None, out=str(tmp_path), patience_s=1.0)
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_from_the_start(tmp_path):
    with pytest.raises(ConfigError, match="seconds"):
        record(None, out=str(tmp_path), seconds=0.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another place"):
        record(None, out=str(tmp_path / "file" / "out"))
