"""The slot between executor and worker."""

from __future__ import annotations

from threading import Thread

from recon3d_ros.ros.mailbox import Mailbox


def test_newest_item_wins():
    mailbox = Mailbox()
    assert not mailbox.put("old")
    assert mailbox.put("new")
    assert mailbox.take() == "new"
    assert not mailbox.put("next")


def test_take_waits_for_an_item():
    mailbox, taken = Mailbox(), []
    thread = Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.put(7)
    thread.join(5)
    assert taken == [7]


def test_close_releases_who_waits_and_discards():
    mailbox, taken = Mailbox(), []
    thread = Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.close()
    thread.join(5)
    assert taken == [None]
    assert not mailbox.put("late")
    assert mailbox.take() is None
