"""The log is spared repetitions, of whatever text."""

from __future__ import annotations

from recon3d_ros.ros.health.throttle import ChangeThrottle, Throttle


def test_each_text_once_three_of_a_kind_and_some_in_all():
    throttle = Throttle(5.0, most=6)
    assert throttle.is_due("late", 0.0) and not throttle.is_due("late", 4.9) and throttle.is_due("late", 5.0)
    assert [throttle.is_due(f"encoding {i}", 5.0, "encodings") for i in range(9)] == [True] * 3 + [False] * 6
    assert [throttle.is_due(f"other {i}", 5.0) for i in range(4)] == [True, True, False, False]
    assert throttle.is_due("encoding 8", 10.0, "encodings")


def test_changes_are_told_at_once_but_not_for_ever():
    throttle = ChangeThrottle(5.0, most=4)
    said = [throttle.is_due("left", size, 0.0) for size in ("64", "64", "66", "64", "67", "68")]
    assert said == [True, False, True, True, True, False]
    assert throttle.is_due("right", "64", 0.0) and throttle.is_due("left", "68", 5.0)
