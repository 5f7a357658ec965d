"""The slots between executor and worker."""

from __future__ import annotations

from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.ros.node.worker import Mailbox


def test_newest_item_wins():
    mailbox = Mailbox()
    assert not mailbox.put("old")
    assert mailbox.put("new")
    assert mailbox.take() == [(0, "new")]
    assert not mailbox.put("next")


def test_take_waits_for_an_item():
    mailbox, taken = Mailbox(), []
    thread = Thread(target=lambda: taken.extend(mailbox.take()))
    thread.start()
    mailbox.put(7)
    thread.join(30)
    assert taken == [(0, 7)]


def test_close_releases_who_waits_and_gives_back():
    mailbox, taken = Mailbox(2), []
    thread = Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    assert mailbox.close() == []
    thread.join(30)
    assert taken == [[]]
    assert not mailbox.put("late")
    assert mailbox.take() == []
    full = Mailbox(2)
    full.put("waiting", 1)
    assert full.close() == [(1, "waiting")]


def test_whoever_closes_gets_what_waits_though_the_worker_wakes_up_meanwhile():
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("frame")
    mailbox._closed = True  # where the worker's thread may come in between
    assert mailbox.take() == []
    assert mailbox.close() == [(0, "frame")]


def test_a_slow_worker_serves_every_camera_in_turn():
    mailbox, served = Mailbox(3), []
    for _ in range(7):
        for slot in range(3):  # all are always there: the worker is slower than each
            mailbox.put(f"of {slot}", slot)
        served += [slot for slot, _ in mailbox.take()]
    assert served == [0, 1, 2, 0, 1, 2, 0]


def test_what_is_there_at_once_is_taken_together_up_to_the_limit():
    mailbox = Mailbox(4)
    for slot in (0, 1, 3):
        mailbox.put(slot * 10, slot)
    assert mailbox.take(limit=2) == [(0, 0), (1, 10)]
    mailbox.put(5, 0)
    assert mailbox.take(limit=4) == [(3, 30), (0, 5)]


@given(st.integers(1, 5), st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=60))
def test_nobody_waits_longer_than_one_turn_of_the_others(count, steps):
    mailbox, waited = Mailbox(count), [0] * count
    waiting: set[int] = set()
    for puts, slot in steps:
        if puts:
            assert mailbox.put(slot, slot % count) == (slot % count in waiting)
            waiting.add(slot % count)
        elif waiting:
            ((served, _),) = mailbox.take()
            waiting.remove(served)
            waited[served] = 0
            for other in waiting:
                waited[other] += 1
                assert waited[other] < count
