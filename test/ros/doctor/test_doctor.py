"""The doctor looks at real publishers over DDS, a camera for each fault, and names it and no other."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from recon3d_ros.cli.main import main
from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, image_to_msg, ns_to_stamp
from recon3d_ros.ros.bridge.dds import PROFILE_VARIABLES
from recon3d_ros.ros.doctor import graph_monitor
from recon3d_ros.ros.doctor.doctor import ERRORS, HEALTHY, WARNINGS, diagnose
from recon3d_ros.ros.doctor.graph_monitor import GraphMonitor, observe
from recon3d_ros.ros.doctor.shared_memory import live_segments
from recon3d_ros.world import WorldCamera

PERIOD_S = 0.2
SECONDS = 2.4
ENOUGH = 8  # images, to notice that every third is missing; a busy machine needs longer
SIZE_WH = (240, 180)
BEST_EFFORT = QoSProfile(depth=2, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=2, reliability=QoSReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
QOS = {"reliable": RELIABLE, "best_effort": BEST_EFFORT, "latched": LATCHED}


def scene():
    sample = WorldCamera(seed=3, size_wh=SIZE_WH).sample(0)
    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (sample.frame.image, sample.frame.right)]
    return sample.frame.rig, pictures


RIG, PICTURES = scene()


@dataclass
class Fake:
    """A camera that is healthy unless told otherwise; the fields are what can be wrong with it."""

    expected: dict[str, str] = field(default_factory=dict)  # kind -> a word of the message
    config: dict = field(default_factory=dict)
    sides: tuple = ("left", "right")
    image_name: str = "image_rect"
    pictures: list = field(default_factory=lambda: list(PICTURES))
    change_info: object = None
    frame_ids: tuple = ("left_optical_frame", "right_optical_frame")
    offset_ms: tuple = (0.0, 0.0)  # of the stamps of each side
    stamp: object = None  # (index, stamp_ns) -> stamp_ns
    image_type: type = Image
    image_qos: str = "reliable"
    info_qos: str = "reliable"
    info_once: bool = False
    with_infos: bool = True
    silent: bool = False
    doubled: bool = False
    lose_every: int = 0
    encoding: str = "mono8"

    def open(self, node, name):
        self.node, self.name = node, name
        self.publishers = []
        for i, side in enumerate(self.sides):
            base = f"/{name}/{side}/" if side else f"/{name}/"
            topic = base + self.image_name
            if self.image_type is CompressedImage and not self.image_name.endswith("compressed"):
                topic += "/compressed"
            count = 2 if self.doubled and i == 0 else 1
            images = [
                node.create_publisher(self.image_type, topic, QOS[self.image_qos]) for _ in range(count)
            ]
            info = (
                node.create_publisher(CameraInfo, base + "camera_info", QOS[self.info_qos])
                if self.with_infos
                else None
            )
            camera = (RIG.left, RIG.right)[i]
            msg = camera_to_info(camera, 0, self.frame_ids[i])
            if self.change_info:
                self.change_info(side, msg)
            self.publishers.append((images, info, msg))

    def beat(self, index, now_ns):
        if self.silent:
            return
        for i, (images, info, info_msg) in enumerate(self.publishers):
            stamp_ns = now_ns + round(self.offset_ms[i] * 1e6)
            if self.stamp:
                stamp_ns = self.stamp(index, stamp_ns)
            info_msg.header.stamp = ns_to_stamp(stamp_ns)
            if info is not None and not (self.info_once and index):
                info.publish(info_msg)
            if self.lose_every and index % self.lose_every == 0:
                continue
            msg = self.message(self.pictures[i], stamp_ns, self.frame_ids[i])
            for publisher in images:
                publisher.publish(msg)

    def message(self, picture, stamp_ns, frame_id):
        if self.image_type is CompressedImage:
            return compressed_to_msg(picture, stamp_ns, frame_id)
        msg = image_to_msg(picture, stamp_ns, frame_id)
        msg.encoding = self.encoding
        return msg


def change(side, **values):
    def apply(which, info):
        if which == side or side == "*":
            for name, value in values.items():
                if isinstance(value, dict):
                    for index, number in value.items():
                        getattr(info, name)[index] = number
                else:
                    setattr(info, name, value)

    return apply


def askew(picture, dy):
    return cv2.warpAffine(
        picture, np.float64([[1, 0, 0], [0, 1, dy]]), picture.shape[::-1], borderMode=cv2.BORDER_REFLECT
    )


BASE = RIG.fx * RIG.baseline_m
MONO = {"sides": ("",), "image_name": "image", "frame_ids": ("optical",)}
FAKES = {
    "healthy": Fake(),
    "mono": Fake(**MONO),
    "mono_raw": Fake(sides=("",), image_name="image_raw", frame_ids=("optical",), config={"rectify": True}),
    "jpeg": Fake(image_type=CompressedImage, config={"image_transport": "compressed"}),
    "remapped": Fake(
        image_name="picture", config={"left_image": "left/picture", "right_image": "/remapped/right/picture"}
    ),
    "tolerant": Fake(offset_ms=(0.0, 3.0), config={"sync_tolerance_ms": 5.0}),
    "nothing": Fake(sides=(), expected={"missing": "start the camera driver"}),
    "raw_only": Fake(image_name="image_raw", expected={"missing": "set rectify to true"}),
    "mono_raw_only": Fake(
        **MONO | {"image_name": "image_raw"},
        config={"mode": "mono"},
        expected={"missing": "set rectify to true"},
    ),
    "compressed_only": Fake(
        image_type=CompressedImage, expected={"missing": "set image_transport to compressed"}
    ),
    "elsewhere": Fake(image_name="picture", expected={"missing": "/elsewhere/left/picture"}),
    "wrong_type": Fake(
        image_type=CompressedImage,
        image_name="image_rect/compressed",
        config={"left_image": "left/image_rect/compressed", "right_image": "right/image_rect/compressed"},
        expected={"wrong_type": "sensor_msgs/msg/CompressedImage"},
    ),
    "silent": Fake(silent=True, expected={"silent": "start its stream"}),
    "qos": Fake(image_qos="best_effort", expected={"qos": "qos_overrides./qos/left/image_rect.subscription"}),
    "two": Fake(doubled=True, expected={"several_publishers": "got 2"}),
    "unsynchronised": Fake(offset_ms=(0.0, 12.0), expected={"unsynchronised": "12 ms off"}),
    "late_side": Fake(offset_ms=(0.0, -300.0), expected={"unsynchronised": "trigger the cameras"}),
    "no_info": Fake(with_infos=False, expected={"missing": "sensor_msgs/msg/CameraInfo"}),
    "latched": Fake(
        info_qos="latched", info_once=True, expected={"latched": "subscription.durability to transient_local"}
    ),
    "zero": Fake(change_info=change("left", k={0: 0.0}, p={0: 0.0}), expected={"uncalibrated": "K[0] = 0"}),
    "nan": Fake(change_info=change("right", p={0: math.nan}), expected={"uncalibrated": "calibrate it"}),
    "size": Fake(change_info=change("*", width=480, height=360), expected={"size": "480x360"}),
    "baseline": Fake(change_info=change("right", p={3: BASE}), expected={"baseline": "swapped"}),
    "millimetres": Fake(
        change_info=change("right", p={3: -1000 * BASE}), expected={"unlikely_calibration": "in millimetres?"}
    ),
    "vertical": Fake(
        change_info=change("right", p={3: 0.0, 7: -BASE}), expected={"baseline": "vertical pair"}
    ),
    "other_k": Fake(
        change_info=change("*", k={0: 4 * RIG.left.fx, 4: 4 * RIG.left.fy}),
        expected={"unlikely_calibration": "are they those of another size?"},
    ),
    "no_baseline": Fake(
        change_info=change("right", p={3: 0.0}), expected={"baseline": "calibrated as stereo"}
    ),
    "swapped": Fake(pictures=PICTURES[::-1], expected={"swapped": "exchange the topics (or files)"}),
    "identical": Fake(pictures=[PICTURES[0]] * 2, expected={"identical": "the same image twice"}),
    "askew": Fake(pictures=[PICTURES[0], askew(PICTURES[1], 4)], expected={"vertical_error": "px; rectify"}),
    "no_frame": Fake(frame_ids=("", ""), expected={"frame_id": "set frame_id"}),
    "body_frame": Fake(frame_ids=("camera_link", "right"), expected={"frame_id": "camera_link"}),
    "other_frame": Fake(
        change_info=lambda side, info: setattr(info.header, "frame_id", "base"),
        expected={"frame_id": "correct the driver"},
    ),
    "dark": Fake(pictures=[p // 12 for p in PICTURES], expected={"dark": "add light"}),
    "white": Fake(
        pictures=[np.full_like(p, 255) for p in PICTURES], expected={"saturated": "reduce exposure or gain"}
    ),
    "soft": Fake(
        pictures=[cv2.GaussianBlur(PICTURES[0], (0, 0), 5), PICTURES[1]], expected={"blurred": "focus"}
    ),
    "covered": Fake(
        pictures=[np.full_like(PICTURES[0], 110), PICTURES[1]],
        expected={"blocked": "clean it"},
    ),
    "unknown": Fake(encoding="what", expected={"image": "what"}),
    "no_stamps": Fake(stamp=lambda i, ns: 0, expected={"stamps": "the driver must fill it"}),
    "jump": Fake(stamp=lambda i, ns: ns - (i // 7) * 800_000_000, expected={"clock_jump": "step back"}),
    "old": Fake(stamp=lambda i, ns: ns - 3_600_000_000_000, expected={"clock": "3.6e+03 s old"}),
    "ahead": Fake(stamp=lambda i, ns: ns + 20_000_000_000, expected={"clock": "s ahead"}),
    "lossy": Fake(lose_every=3, expected={"gaps": "missing"}),
    "node_warns": Fake(expected={"node": "the model is too slow"}),
}
# Where more than one sentence of a kind, or a consequence, belongs to the fault.
ALSO = {"jump": {"clock", "unsynchronised"}}
# Ten cameras in one process: on a busy machine images get lost. The command is tested with one of them.
BUSY = {"gaps", "fast_dds"}
ERROR_KINDS = {
    "missing", "wrong_type", "silent", "qos", "latched", "unsynchronised", "uncalibrated", "size", "baseline",
    "image", "swapped", "identical",
}  # fmt: skip


class Stage:
    """All fake cameras in a thread of their own."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = Node("fake_driver", context=self.context)
        for name, fake in FAKES.items():
            fake.open(self.node, name)
        # A reader that asks for more than its publisher offers, and a node that warns.
        self.reader = Node("depth_node", context=self.context, namespace="/qos")
        self.reader.create_subscription(Image, "left/image_rect", lambda msg: None, RELIABLE)
        self.warner = Node("depth_node", context=self.context, namespace="/node_warns")
        self.warner.create_subscription(CameraInfo, "left/camera_info", lambda msg: None, BEST_EFFORT)
        self.diagnostics = self.warner.create_publisher(DiagnosticArray, "/diagnostics", 5)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        begin_ns, begin_s, index = time.time_ns(), time.monotonic(), 0
        status = DiagnosticStatus(
            name="/node_warns/depth_node: depth", level=DiagnosticStatus.WARN, message="the model is too slow"
        )
        while not self._stop.wait(max(0.0, begin_s + index * PERIOD_S - time.monotonic())):
            for fake in FAKES.values():
                fake.beat(index, begin_ns + round(index * PERIOD_S * 1e9))
            self.diagnostics.publish(DiagnosticArray(status=[status]))
            index += 1

    def close(self):
        self._stop.set()
        self._thread.join()
        for node in (self.node, self.reader, self.warner):
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def diagnoses(stage):
    """What the doctor says of every fake camera, ten of them watched at a time."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    found, names = {}, list(FAKES)
    for first in range(0, len(names), 10):
        monitors = {
            name: GraphMonitor(DoctorConfig(namespace=f"/{name}", **FAKES[name].config), context)
            for name in names[first : first + 10]
        }
        observe(list(monitors.values()), context, SECONDS)
        while "lossy" in monitors and min(c.image.count for c in monitors["lossy"].cameras) < ENOUGH:
            observe(list(monitors.values()), context, SECONDS)
        found.update({name: diagnose(monitor) for name, monitor in monitors.items()})
        for monitor in monitors.values():
            monitor.node.destroy_node()
    rclpy.shutdown(context=context)
    return found


@pytest.mark.parametrize("name", FAKES)
def test_every_fault_is_named_and_no_other(diagnoses, name):
    expected, diagnosis = FAKES[name].expected, diagnoses[name]
    kinds = {finding.kind for finding in diagnosis.findings}
    allowed = ALSO.get(name, set())
    assert kinds - allowed - (BUSY - set(expected)) == set(expected), diagnosis.findings
    for kind, word in expected.items():
        said = [finding for finding in diagnosis.findings if finding.kind == kind]
        assert any(word in finding.message for finding in said), said
        assert all(
            finding.message.startswith("expected")
            or ": expected" in finding.message
            or kind in ("node", "uncalibrated", "size", "image")
            for finding in said
        ), said
        assert all((finding.level.name == "ERROR") == (kind in ERROR_KINDS) for finding in said), said
    levels = {finding.level.name for finding in diagnosis.findings}
    assert diagnosis.exit_code == (ERRORS if "ERROR" in levels else WARNINGS if levels else HEALTHY)


def test_rates_sizes_and_publishers_are_told(diagnoses):
    image, info, *_ = diagnoses["healthy"].topics
    assert (image.topic, image.type) == ("/healthy/left/image_rect", "sensor_msgs/msg/Image")
    assert image.rate_hz == pytest.approx(1 / PERIOD_S, rel=0.5)
    assert image.megabytes_per_s == pytest.approx(image.rate_hz * SIZE_WH[0] * SIZE_WH[1] / 1e6)
    assert (image.size, image.encoding, image.frame_id) == ("240x180", "mono8", "left_optical_frame")
    assert image.publishers == info.publishers == ("/fake_driver",)
    assert info.messages > 5 and len(diagnoses["healthy"].topics) == 4
    assert diagnoses["mono"].mode == "mono" and len(diagnoses["mono"].topics) == 2


def test_the_worst_comes_first(diagnoses):
    levels = [finding.level.value for finding in diagnoses["covered"].findings]
    assert levels == sorted(levels, reverse=True)
    assert diagnoses["nothing"].mode == "stereo" and len(diagnoses["nothing"].findings) == 4


def test_every_kind_is_explained():
    text = (Path(__file__).resolve().parents[3] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    kinds = {kind for fake in FAKES.values() for kind in fake.expected} | {"fast_dds", "tf", "exposure"}
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()


# On a busy machine it takes DDS a second to bring the fake cameras and their reader together.
LOOK_S = 3.0


def doctor(*words):
    return main(["doctor", "--seconds", f"{LOOK_S:g}", *words])


def test_the_command_answers_in_json_and_by_its_exit_code(stage, capsys):
    assert doctor("--namespace", "healthy", "--json") == HEALTHY
    document = json.loads(capsys.readouterr().out)
    assert (document["exit_code"], document["mode"], document["findings"]) == (0, "stereo", [])
    assert [topic["topic"] for topic in document["topics"]][::2] == [
        "/healthy/left/image_rect",
        "/healthy/right/image_rect",
    ]
    assert doctor("--namespace", "swapped", "--json") == ERRORS
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["level"], finding["kind"]) == ("ERROR", "swapped")


def test_the_command_answers_in_words(stage, capsys, tmp_path):
    topics = ["--image", "/dark/left/image_rect", "--camera-info", "/dark/left/camera_info", "--mode", "mono"]
    assert doctor(*topics, "--html", str(tmp_path / "doctor.html")) == WARNINGS
    html = (tmp_path / "doctor.html").read_text(encoding="utf-8")
    assert "increase the exposure" in html and "mono, 3 s: 1 warning" in html and "240x180" in html
    said = capsys.readouterr()
    assert said.err.endswith(f"wrote {tmp_path / 'doctor.html'}\n")
    *table, line, total = said.out.splitlines()
    assert "240x180" in table[1] and "/fake_driver" in table[1]
    assert line.startswith("WARN dark /dark/left/image_rect: expected") and line.endswith(
        "increase the exposure."
    )
    assert total == "mono, 3 s: 1 warning"


def test_a_shell_without_profile_is_warned(stage, monkeypatch, capsys):
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert doctor("--namespace", "healthy") == WARNINGS
    out = capsys.readouterr().out
    assert "WARN fast_dds: expected a Fast DDS profile with room for messages of 0.7 MB" in out
    assert "config/fastdds.xml" in out


def watched(namespace, act):
    """Diagnose while `act(node)` is called now and then."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    monitor = GraphMonitor(DoctorConfig(namespace=namespace), context)
    node = Node("actor", context=context)
    stop = threading.Event()

    def run():
        action = act(node)
        while not stop.wait(0.05):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        observe([monitor], context, LOOK_S)
        return diagnose(monitor)
    finally:
        stop.set()
        thread.join()
        monitor.node.destroy_node()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_simulated_time_explains_old_stamps_and_may_jump(stage):
    def act(node):
        publisher = node.create_publisher(Clock, "/clock", 10)
        times = itertools.cycle(range(3, 20))  # back again and again: the first time nobody may listen yet
        return lambda: publisher.publish(Clock(clock=ns_to_stamp(next(times) * 1_000_000_000)))

    diagnosis = watched("/old", act)
    (finding,) = diagnosis.findings
    assert (finding.kind, finding.topic) == ("clock_jump", "/clock") and "back of 16000 ms" in finding.message


def test_readers_of_the_outputs_that_hear_nothing_are_named(stage):
    def act(node):
        node.create_publisher(PointCloud2, "/healthy/points", BEST_EFFORT)
        node.create_subscription(PointCloud2, "/healthy/points", lambda msg: None, RELIABLE)
        return lambda: None

    (finding,) = watched("/healthy", act).findings
    assert (finding.kind, finding.topic) == ("qos", "/healthy/points")


def test_a_clock_that_is_set_while_we_look(stage, monkeypatch):
    wall, shift = time.time, []
    monkeypatch.setattr(graph_monitor.time, "time", lambda: wall() + (2.0 if shift else 0.0))
    diagnosis = watched("/healthy", lambda node: lambda: shift.append(1))
    (finding,) = diagnosis.findings
    assert finding.kind == "clock_jump" and "set by +2000 ms" in finding.message


def test_our_own_process_has_a_segment(stage):
    assert any(size > 100_000_000 for size in live_segments())
