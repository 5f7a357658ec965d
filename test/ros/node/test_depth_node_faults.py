"""Bad messages: counted, named, and the next good frame works; real rclpy, real DDS."""

from __future__ import annotations

import re
import threading
import time
from array import array

import pytest

from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import ns_to_stamp, stamp_to_ns


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench({"model": "fake_stereo"}, "/faults")


def k0_is_zero(images, infos):
    infos["left/camera_info"].k[0] = 0.0


def calibration_is_nan(images, infos):
    infos["right/camera_info"].p[0] = float("nan")


def calibration_has_inf(images, infos):
    infos["left/camera_info"].p[2] = float("inf")


def sides_are_swapped(images, infos):
    infos["right/camera_info"].p[3] *= -1


def camera_info_has_another_size(images, infos):
    for info in infos.values():
        info.width *= 2


def encoding_is_unknown(images, infos):
    images["left/image_rect"].encoding = "bgr10"


def data_is_truncated(images, infos):
    images["right/image_rect"].data = images["right/image_rect"].data[:-100]


def image_is_empty(images, infos):
    image = images["left/image_rect"]
    image.height = image.width = image.step = 0
    image.data = array("B")


def right_image_is_smaller(images, infos):
    image = images["right/image_rect"]
    image.height -= 2
    image.data = image.data[: image.height * image.step]


FAULTS = [
    (k0_is_zero, "camera_info", r"K\[0\] = 0"),
    (calibration_is_nan, "camera_info", r"P\[0\] = nan"),
    (calibration_has_inf, "camera_info", "finite numbers in P"),
    (sides_are_swapped, "camera_info", "(?i)swap"),
    (camera_info_has_another_size, "camera_info", "the calibration says 128x48, the image is 64x48"),
    (encoding_is_unknown, "image", "bgr10"),
    (data_is_truncated, "image", "truncated"),
    (image_is_empty, "image", "0x0"),
    (right_image_is_smaller, "camera_info", "64x46"),
]


@pytest.mark.parametrize(("spoil", "cause", "words"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_fault_is_counted_and_named_and_the_next_good_frame_works(bench, scene, spoil, cause, words):
    images, infos = scene.images(), scene.infos()
    spoil(images, infos)
    before = int(bench.status()[f"dropped_{cause}"])
    sent: set[int] = set()

    def seen():
        status = bench.status()
        new = int(status[f"dropped_{cause}"]) > before
        return status if new and status["level"] != "0" and matches(words, status["message"]) else None

    bench.wait(seen, lambda: sent.add(bench.send(images, infos)), f"no {cause} fault that says {words!r}")
    # The log is throttled by kind, numbers aside: the test before may have used up this kind.
    kind = re.sub(r"\b\d+(?=x)|(?<=x)\d+", r"\\d+", words)
    assert bench.wait(lambda: [w for w in bench.warnings() if matches(kind, w)])
    bench.expect("points", scene.images(), scene.infos())
    assert not bench.received_at("points", sent)


def matches(words, text):
    return re.search(words, text) is not None


def test_stamps_that_never_match(bench, scene):
    bench.expect("points", scene.images(), scene.infos())
    before = int(bench.status()["dropped_unmatched"])
    sent: set[int] = set()

    def send():
        for topic, msg in scene.images().items():
            late_ns = 4_000_000 if topic.startswith("right") else 0
            stamp_ns = bench.new_stamp_ns() + late_ns
            sent.add(stamp_ns)
            msg.header.stamp = ns_to_stamp(stamp_ns)
            bench.publish(topic, msg)

    def seen():
        status = bench.status()
        return "sync_tolerance_ms" in status["message"] and int(status["dropped_unmatched"]) > before

    bench.wait(seen, send, "no unmatched fault")
    assert any("at most 0 ms apart" in warning for warning in bench.warnings())
    assert not bench.received_at("points", sent)
    bench.expect("points", scene.images(), scene.infos())


def test_one_camera_alone_is_named(bench, scene):
    def send():
        msg = scene.images()["left/image_rect"]
        msg.header.stamp = ns_to_stamp(bench.new_stamp_ns())
        bench.publish("left/image_rect", msg)

    # The other side may still hold images without a partner; once a pair was made it is empty.
    bench.expect("points", scene.images(), scene.infos())
    bench.wait(lambda: "only one of them" in bench.status()["message"], send, "no fault for a silent camera")
    bench.expect("points", scene.images(), scene.infos())


def test_warnings_are_throttled(bench, scene):
    images, infos = scene.images(), scene.infos()
    for msg in images.values():
        msg.encoding = "an_encoding_of_this_test"
    before, began_s = int(bench.status()["dropped_image"]), time.monotonic()
    bench.wait(
        lambda: int(bench.status()["dropped_image"]) >= before + 8,
        lambda: bench.send(images, infos),
        "8 drops",
    )
    warnings = [w for w in bench.warnings() if "an_encoding_of_this_test" in w]
    assert 1 <= len(warnings) <= 1 + (time.monotonic() - began_s) // 5  # s; more than one on a slow machine


def test_an_exception_in_the_worker_is_counted_and_survived(bench, scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "refine", lambda *args, **kwargs: 1 // 0)
        bench.wait(
            lambda: "ZeroDivisionError" in bench.status()["message"],
            lambda: bench.send(scene.images(), scene.infos()),
        )
    assert int(bench.status()["dropped_internal"]) > 0
    bench.expect("points", scene.images(), scene.infos())


def test_diagnostics_that_cannot_be_published_do_not_end_the_node(bench, scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bench.node._status._publisher, "publish", lambda msg: 1 // 0)
        bench.wait(lambda: [w for w in bench.warnings() if "cannot publish /diagnostics" in w])
    bench.expect("points", scene.images(), scene.infos())


def test_newest_frame_wins_while_the_worker_is_busy(bench, scene, monkeypatch):
    bench.expect("points", scene.images(), scene.infos())
    entered, go_on, process = threading.Event(), threading.Event(), Pipeline.refine

    def slow(*args, **kwargs):
        entered.set()
        assert go_on.wait(30)
        return process(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "refine", slow)
        before = int(bench.status()["dropped_busy"])
        bench.wait(entered.is_set, lambda: bench.send(scene.images(), scene.infos()))
        sent = []
        bench.wait(
            lambda: int(bench.status()["dropped_busy"]) >= before + 2,
            lambda: sent.append(bench.send(scene.images(), scene.infos())),
        )
        go_on.set()
        received = bench.wait(lambda: bench.received_at("points", set(sent)))
    newest = bench.wait(lambda: bench.received_at("points", set(sent[-2:])))
    assert stamp_to_ns(newest.header.stamp) >= stamp_to_ns(received.header.stamp)
    assert len([s for s in sent if bench.received_at("points", {s})]) <= 2  # all others were replaced
