"""Signals at every point of a node's life; those of whole processes: test_depth_node_process."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from recon3d_ros.errors import DataError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.ros.bridge import runtime
from recon3d_ros.ros.bridge.stop_signals import StopSignals
from recon3d_ros.ros.node.depth_node import DepthNode


class Watched(Node):
    """Stops itself by a signal in a timer, unless the test does it elsewhere, and tells its end."""

    made = threading.Event()

    def __init__(self, number: signal.Signals | None = None) -> None:
        super().__init__("watched")
        self.destroyed = 0
        self.made.set()
        if number is not None:
            self.create_timer(0.01, lambda: signal.raise_signal(number))

    def destroy_node(self) -> None:
        signal.raise_signal(signal.SIGINT)  # who stops it may be impatient
        self.destroyed += 1
        super().destroy_node()


@pytest.fixture
def run(capfd, monkeypatch):
    """Run `Watched` to its clean and silent end."""
    # Other tests kill nodes meanwhile, whose shared memory the next one to start removes.
    monkeypatch.setattr(runtime, "_tell_dead_segments", lambda *_: None)

    def run(*args):
        made = []
        former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert runtime.run_node(lambda: made.append(Watched(*args)) or made[0], args=[]) == 0
        assert [node.destroyed for node in made] == [1]
        assert not rclpy.ok()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == former
        assert capfd.readouterr() == ("", "")

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_a_callback(run, number):
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may have it ignored
    try:
        run(number)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_what_nohup_has_ignored_stays_so():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert not signals.came
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_while_the_executor_is_made(run, monkeypatch, late):
    class Interrupted(SingleThreadedExecutor):
        def __init__(self):
            if not late:
                signal.raise_signal(signal.SIGINT)
            super().__init__()
            if late:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runtime, "SingleThreadedExecutor", Interrupted)
    run()


def test_while_nothing_happens(run):
    def robot():
        assert Watched.made.wait(30)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    Watched.made.clear()
    thread = threading.Thread(target=robot)
    thread.start()
    run()
    thread.join()


def test_while_a_model_is_opened_its_thread_ends_too(monkeypatch):
    opening, go_on = threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        opening.set()
        assert go_on.wait(30)
        raise DataError("expected somebody who waits")

    def robot():
        assert opening.wait(30)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        go_on.set()

    monkeypatch.setattr(Estimator, "open", slow)
    former = set(threading.enumerate())
    threading.Thread(target=robot).start()
    assert runtime.run_node(DepthNode, args=["--ros-args", "-p", "model:=fake_stereo"]) == 0
    assert set(threading.enumerate()) <= former


def test_an_exception_lost_in_a_finalizer_is_no_signal_lost(run, monkeypatch):
    class Lossy(SingleThreadedExecutor):
        def spin_once(self, timeout_sec=None):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runtime, "SingleThreadedExecutor", Lossy)
    run()


def test_only_the_first_raises_and_only_where_it_may():
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.came
        with pytest.raises(KeyboardInterrupt), signals.interrupting():
            pytest.fail("it began in spite of the signal")
        signal.raise_signal(signal.SIGTERM)
