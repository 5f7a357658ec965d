"""What a bag gives is what the live node gives: the same messages, the same clouds, byte by byte."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo

from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import StereoRig
from recon3d_ros.messages.intake import Intake
from recon3d_ros.offline import process_bag
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, stamp_to_ns
from recon3d_ros.ros.health.outcome import Cause

pytest.importorskip("rosbags")
MS = 1_000_000
T0 = 1_700_000_000_000 * MS
SIDES = ("left", "right")
INFOS = tuple(f"/{side}/camera_info" for side in SIDES)
IMAGES = tuple(f"/{side}/image_raw/compressed" for side in SIDES)
# Filters that remember: a jump of time or another calibration must reach them on both ways.
SMOOTH = {"temporal_weight": 0.5}


def scene():
    """Topics and rclpy messages of a recording with everything that goes wrong, in the order of recording."""
    rng = np.random.default_rng(3)

    def infos(fx, at_ms):
        rig = StereoRig.simple(64, 48, fx=fx, baseline_m=0.1)
        for topic, camera in zip(INFOS, (rig.left, rig.right)):
            yield topic, camera_to_info(camera, T0 + at_ms * MS, "left_optical")

    def pair(at_ms, late_ms=0, size_hw=(48, 64), spoiled=False):
        for topic, offset_ms in zip(IMAGES, (0, late_ms)):
            pixels = rng.integers(0, 256, (*size_hw, 3), np.uint8)
            msg = compressed_to_msg(pixels, T0 + (at_ms + offset_ms) * MS, "left_optical", codec="png")
            if spoiled:
                msg.data = msg.data[:40]
            yield topic, msg

    yield from infos(50.0, 0)
    yield from pair(0)
    yield from pair(100, late_ms=3)  # within the tolerance
    yield from pair(200, late_ms=30)  # not
    yield from pair(300, spoiled=True)
    yield from pair(400, size_hw=(48, 60))
    yield from pair(500)
    yield from infos(60.0, 600)
    yield from pair(550)  # comes behind the camera_info that does not hold for it yet
    yield from pair(600)
    yield from pair(2000)  # a gap
    yield from pair(0)  # the camera's clock jumps back
    yield from pair(100)


def record(path, messages):
    """Write rclpy messages to a bag."""
    kinds = dict.fromkeys(INFOS, "CameraInfo") | dict.fromkeys(IMAGES, "CompressedImage")
    types = {topic: f"sensor_msgs/msg/{kind}" for topic, kind in kinds.items()}
    bag = BagWriter(path, types)
    for i, (topic, msg) in enumerate(messages):
        bag.write(topic, T0 + i * MS, bag._store.deserialize_cdr(serialize_message(msg), types[topic]))
    bag.close()


CONFIG = ProcessConfig(rectify=True, image_transport="compressed", sync_tolerance_ms=5.0)


class Clouds:
    """A sink that keeps the bytes of every cloud."""

    def __init__(self):
        self.kept = []

    def write(self, processed):
        self.kept.append((processed.stamp_ns, processed.result.cloud.data.tobytes()))

    close = abort = lambda self: None


@pytest.fixture(scope="module")
def bag_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "in.mcap"
    record(path, scene())
    return path


@pytest.fixture(scope="module")
def from_bag(bag_path):
    clouds = Clouds()
    pipeline = Pipeline(Estimator.open(ModelConfig(model="fake_stereo")), PipelineConfig(**SMOOTH))
    with Bag(bag_path) as bag:
        summary = process_bag(bag, pipeline, CONFIG, [clouds])
    return clouds.kept, summary


def test_the_intake_gives_the_same_frames_for_both_kinds_of_messages(bag_path):
    def frames(messages, wanted, whole_record):
        intake = Intake(INFOS, True, CONFIG.sync_tolerance_ns, whole_record=whole_record)
        found = []
        for topic, msg in messages:
            if topic in INFOS:
                intake.add_info(topic, msg)
                continue
            complete = intake.add_image(IMAGES.index(topic), msg)
            if complete is not None and len(found) in wanted:
                raw = intake.raw_frame(complete)
                frame, _ = raw.frame()
                pixels = frame.image.tobytes(), frame.right.tobytes()
                found.append((raw.stamp_ns, raw.epoch, frame.rig.fx, *pixels))
            elif complete is not None:
                found.append(None)  # one that does not decode, or is of another size
        return found, intake.sync.unmatched

    with Bag(bag_path) as bag:
        recorded = [(topic, msg) for topic, _, msg in bag.messages([*INFOS, *IMAGES])]
        ahead = sorted(
            recorded, key=lambda item: item[0] not in INFOS
        )  # camera_info first, as in process_bag
    good = {0, 1, 4, 5, 6, 7, 8, 9}
    live = frames(scene(), good, whole_record=False)
    assert len([frame for frame in live[0] if frame]) == 8 and live[1] == 2
    assert [frame[2] for frame in live[0] if frame] == [50, 50, 50, 50, 60, 60, 50, 50]
    assert frames(recorded, good, whole_record=False) == live
    read = frames(ahead, good, whole_record=True)
    assert read == live


def test_the_node_publishes_the_clouds_that_a_bag_gives(make_bench, from_bag):
    clouds, summary = from_bag
    assert (summary.frames, summary.written, summary.unmatched) == (10, 8, 2)
    assert summary.dropped == {"image": 1, "camera_info": 1}
    parameters = {"model": "fake_stereo", "rectify": True, "image_transport": "compressed"}
    bench = make_bench(
        {**parameters, "sync_tolerance_ms": CONFIG.sync_tolerance_ms, **SMOOTH}, "/same", outputs=("points",)
    )
    bench.wait(lambda: "idle" not in bench.status()["message"])
    channel = bench.node._channels[0]
    sent = 0
    for topic, msg in scene():
        bench.publish(topic.lstrip("/"), msg)
        if isinstance(msg, CameraInfo):
            bench.wait(lambda at=msg.header: any(info.header == at for info in channel.infos), what=topic)
            continue
        sent += 1
        bench.wait(lambda count=sent: settled(channel, count), what=f"image {sent}")
    bench.wait(lambda: channel.health.report().published == len(clouds))
    bench.wait(lambda: len(bench.received["points"]) >= len(clouds), what="the last cloud")
    got = [(stamp_to_ns(msg.header.stamp), bytes(msg.data)) for msg in bench.received["points"]]
    assert got == clouds
    report = channel.health.report()
    drops = {cause.value: count for cause, count in report.drops.items() if count}
    assert drops == {**summary.dropped, "unmatched": summary.unmatched}


def settled(channel, sent):
    """Whether every image that was sent waits for its partner, lost it, or is part of a frame done."""
    report, sync = channel.health.report(), channel._intake.sync
    unmatched = report.drops[Cause.UNMATCHED]
    arrived = sum(len(waiting) for waiting in sync._waiting) + unmatched + 2 * report.received
    return arrived == sent and report.published + sum(report.drops.values()) - unmatched == report.received
