from __future__ import annotations

import threading
import time

import pytest

from recon3d_ros.ros.player.feeder import AHEAD, Feeder


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def taken(feeder):
    items = []
    while True:
        wait_for(lambda: feeder.ready)
        try:
            items.append(feeder.take())
        except StopIteration:
            return items


def test_everything_arrives_in_order():
    assert taken(Feeder(range(20))) == list(range(20))


def test_it_reads_ahead_only_so_far():
    read = []
    feeder = Feeder(read.append(i) or i for i in range(100))
    wait_for(lambda: len(read) > AHEAD)
    time.sleep(0.05)
    assert len(read) == AHEAD + 1  # one waits at the door
    feeder.close()


def test_of_a_live_camera_the_newest_waits():
    done = threading.Event()

    def camera():
        yield from range(10)
        done.set()

    feeder = Feeder(camera(), newest_only=True)
    assert done.wait(30)
    assert feeder.take() == 9
    with pytest.raises(StopIteration):
        wait_for(lambda: feeder.take() is not None)


def test_nothing_there_yet_is_no_item():
    gate = threading.Event()

    def slow():
        gate.wait()
        yield 1

    feeder = Feeder(slow())
    assert feeder.take() is None and not feeder.ready
    gate.set()
    assert taken(feeder) == [1]


def test_an_error_comes_after_what_was_read_before_it():
    def dying():
        yield 1
        raise OSError("unplugged")

    feeder = Feeder(dying())
    wait_for(lambda: feeder.ready)
    assert feeder.take() == 1
    wait_for(lambda: feeder.ready)
    with pytest.raises(OSError, match="unplugged"):
        feeder.take()
