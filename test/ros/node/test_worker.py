"""The worker thread: owns its handler, survives its exceptions, tells why it did not start, hands over."""

from __future__ import annotations

import threading

import pytest

from recon3d_ros.errors import ArtifactError
from recon3d_ros.ros.node.worker import Mailbox, Worker


class Recorder:
    batch = 1

    def __init__(self):
        self.thread = threading.get_ident()
        self.handled, self.done, self.closed_in = [], threading.Event(), None

    def handle(self, items):
        assert threading.get_ident() == self.thread
        ((_, item),) = items
        if item == "bad":
            raise ValueError("bad item")
        self.handled.append(item)
        self.done.set()

    def close(self):
        self.closed_in = threading.get_ident()


def test_a_bad_item_is_reported_and_the_next_works():
    mailbox, reported, failed = Mailbox(), [], threading.Event()

    def report(exc):
        reported.append(str(exc))
        failed.set()

    worker = Worker(mailbox, Recorder, report)
    worker.start()
    mailbox.put("bad")
    assert failed.wait(30)
    mailbox.put("good")
    handler = worker.handler
    assert handler.done.wait(30)
    assert worker.stop()
    assert (reported, handler.handled) == (["bad item"], ["good"])
    assert handler.thread == handler.closed_in != threading.get_ident()


def test_failure_to_open_reaches_who_starts():
    def open_handler():
        raise ArtifactError("no such model")

    worker = Worker(Mailbox(), open_handler, lambda exc: None)
    with pytest.raises(ArtifactError, match="no such model"):
        worker.start()
    assert worker.opened and worker.stop()


def test_stop_before_start_is_harmless():
    assert Worker(Mailbox(), Recorder, lambda exc: None).stop()


def test_a_successor_takes_what_waits_and_begins_when_the_predecessor_is_done():
    order, entered, go_on = [], threading.Event(), threading.Event()

    class Slow(Recorder):
        def handle(self, items):
            entered.set()
            assert go_on.wait(30)
            order.append(("old", items[0][1]))

        def close(self):
            order.append("old closed")

    class New(Recorder):
        def handle(self, items):
            order.append(("new", items[0][1]))
            self.done.set()

    old, new = (Worker(Mailbox(2), handler, lambda exc: None) for handler in (Slow, New))
    old.start()
    old.mailbox.put("first")
    assert entered.wait(30)
    old.mailbox.put("second", slot=1)
    new.start()
    new.replace(old)
    assert order == []  # the old one is still at its item: the new one must not answer beside it
    go_on.set()
    assert new.handler.done.wait(30)
    assert order == [("old", "first"), "old closed", ("new", "second")]
    assert old.stop() and new.stop()


def test_a_worker_that_is_told_to_stop_while_opening_closes_what_it_opened():
    go_on, made = threading.Event(), []

    def open_slowly():
        assert go_on.wait(30)
        made.append(Recorder())
        return made[0]

    worker = Worker(Mailbox(), open_slowly, lambda exc: None)
    worker.start(wait=False)
    assert not worker.opened and not worker.stop(timeout_s=0.0)
    go_on.set()
    assert worker.stop(30)
    assert made[0].closed_in is not None and made[0].handled == []
