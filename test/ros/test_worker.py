"""The worker thread: owns its handler, survives its exceptions, tells why it did not start."""

from __future__ import annotations

import threading

import pytest

from recon3d_ros.errors import ArtifactError
from recon3d_ros.ros.mailbox import Mailbox
from recon3d_ros.ros.worker import Worker


class Recorder:
    def __init__(self):
        self.thread = threading.get_ident()
        self.handled, self.done, self.closed_in = [], threading.Event(), None

    def handle(self, item):
        assert threading.get_ident() == self.thread
        if item == "bad":
            raise ValueError("bad item")
        self.handled.append(item)
        self.done.set()

    def close(self):
        self.closed_in = threading.get_ident()


def test_a_bad_item_is_reported_and_the_next_works():
    mailbox, reported, handlers = Mailbox(), [], []
    failed = threading.Event()

    def open_handler():
        handlers.append(Recorder())
        return handlers[0]

    def report(exc):
        reported.append(str(exc))
        failed.set()

    worker = Worker(mailbox, open_handler, report)
    worker.start()
    mailbox.put("bad")
    assert failed.wait(5)
    mailbox.put("good")
    assert handlers[0].done.wait(5)
    assert worker.stop()
    assert (reported, handlers[0].handled) == (["bad item"], ["good"])
    assert handlers[0].thread == handlers[0].closed_in != threading.get_ident()


def test_failure_to_open_reaches_who_starts():
    def open_handler():
        raise ArtifactError("no such model")

    worker = Worker(Mailbox(), open_handler, lambda exc: None)
    with pytest.raises(ArtifactError, match="no such model"):
        worker.start()
    assert worker.stop()


def test_stop_before_start_is_harmless():
    assert Worker(Mailbox(), Recorder, lambda exc: None).stop()
