from __future__ import annotations

import threading
import time

import pytest

from recon3d_ros.ros.player.prefetcher import AHEAD, Prefetcher


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def taken(prefetcher):
    items = []
    while True:
        wait_for(lambda: prefetcher.ready)
        try:
            items.append(prefetcher.take())
        except StopIteration:
            return items


def test_everything_arrives_in_order():
    assert taken(Prefetcher(range(20))) == list(range(20))


def test_it_reads_ahead_only_so_far():
    read = []
    prefetcher = Prefetcher(read.append(i) or i for i in range(100))
    wait_for(lambda: len(read) > AHEAD)
    time.sleep(0.05)
    assert len(read) == AHEAD + 1  # one waits at the door
    prefetcher.close()


def test_of_a_live_camera_the_newest_waits():
    done = threading.Event()

    def camera():
        yield from range(10)
        done.set()

    prefetcher = Prefetcher(camera(), newest_only=True)
    assert done.wait(30)
    assert prefetcher.take() == 9
    with pytest.raises(StopIteration):
        wait_for(lambda: prefetcher.take() is not None)


def test_nothing_there_yet_is_no_item():
    gate = threading.Event()

    def slow():
        gate.wait()
        yield 1

    prefetcher = Prefetcher(slow())
    assert prefetcher.take() is None and not prefetcher.ready
    gate.set()
    assert taken(prefetcher) == [1]


def test_an_error_comes_after_what_was_read_before_it():
    def dying():
        yield 1
        raise OSError("unplugged")

    prefetcher = Prefetcher(dying())
    wait_for(lambda: prefetcher.ready)
    assert prefetcher.take() == 1
    wait_for(lambda: prefetcher.ready)
    with pytest.raises(OSError, match="unplugged"):
        prefetcher.take()
