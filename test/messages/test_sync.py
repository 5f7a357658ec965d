"""Pairs by stamp."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.config.camera_topics import LEFT, RIGHT
from recon3d_ros.messages.intake import StereoSync


def test_equal_stamps_pair_in_both_orders():
    sync = StereoSync()
    assert sync.add(LEFT, 10, "l10") is None
    assert sync.add(RIGHT, 10, "r10") == ("l10", "r10")
    assert sync.add(RIGHT, 20, "r20") is None
    assert sync.add(LEFT, 20, "l20") == ("l20", "r20")
    assert sync.unmatched == 0


def test_tolerance_is_inclusive_and_nearest_wins():
    sync = StereoSync(tolerance_ns=5)
    assert sync.add(LEFT, 100, "far") is None
    assert sync.add(LEFT, 109, "near") is None
    assert sync.add(RIGHT, 105, "r") == ("near", "r")
    assert sync.unmatched == 1  # "far" came first and is given up
    assert sync.add(LEFT, 200, "l") is None
    assert sync.add(RIGHT, 206, "r") is None


def test_a_pair_never_follows_a_newer_one():
    sync = StereoSync()
    sync.add(LEFT, 1, "l1")
    sync.add(LEFT, 2, "l2")
    assert sync.add(RIGHT, 2, "r2") == ("l2", "r2")
    assert sync.add(RIGHT, 1, "r1") is None
    assert sync.unmatched == 1


def test_stamps_that_never_match_are_bounded_counted_and_measured():
    sync = StereoSync(capacity=3)
    for i in range(20):
        assert sync.add(LEFT, i * 100, i) is None
        assert sync.add(RIGHT, i * 100 + 30, i) is None
    assert sync.unmatched == 2 * (20 - 3)
    assert sync.last_gap_ns == 30


def test_one_side_alone_has_no_gap():
    sync = StereoSync(capacity=2)
    for i in range(4):
        sync.add(LEFT, i, i)
    assert sync.unmatched == 2
    assert sync.last_gap_ns is None


def test_time_that_jumps_back_does_not_block():
    sync = StereoSync(capacity=3)
    for i in range(10):
        sync.add(LEFT, 1_000_000 + i, "old")  # the right camera was silent, then the bag starts over
    pairs = [p for i in range(5) for s in (LEFT, RIGHT) if (p := sync.add(s, i, (s, i)))]
    assert pairs == [((LEFT, i), (RIGHT, i)) for i in range(5)]


@given(
    st.lists(st.tuples(st.sampled_from([LEFT, RIGHT]), st.integers(0, 60)), max_size=80),
    st.integers(0, 5),
    st.integers(1, 6),
)
def test_every_item_is_paired_waiting_or_unmatched(arrivals, tolerance_ns, capacity):
    sync = StereoSync(tolerance_ns, capacity)
    pairs = []
    for i, (side, stamp_ns) in enumerate(arrivals):
        pair = sync.add(side, stamp_ns, (side, stamp_ns, i))
        if pair is not None:
            pairs.append(pair)
            assert i in (pair[0][2], pair[1][2])  # the arriving item is in it
    for left, right in pairs:
        assert (left[0], right[0]) == (LEFT, RIGHT)
        assert abs(left[1] - right[1]) <= tolerance_ns
    for side in (LEFT, RIGHT):  # arrival order is kept, so output never goes back
        order = [pair[side][2] for pair in pairs]
        assert order == sorted(order)
    waiting = len(arrivals) - 2 * len(pairs) - sync.unmatched
    assert 0 <= waiting <= 2 * capacity
