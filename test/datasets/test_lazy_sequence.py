"""A sequence that reads on demand."""

from __future__ import annotations

import pytest

from recon3d_ros.datasets.lazy_sequence import LazySequence


def test_loads_only_what_is_asked_for():
    loaded = []
    numbers = LazySequence(range(100), lambda i: loaded.append(i) or i * 10)
    assert len(numbers) == 100
    part = numbers[3:8:2]
    assert len(part) == 3 and loaded == []
    assert part[-1] == 70
    assert loaded == [7]
    assert list(numbers[98:]) == [980, 990]


def test_ends_like_a_list():
    with pytest.raises(IndexError):
        LazySequence([], lambda i: i)[0]
    assert list(LazySequence("ab", str.upper)) == ["A", "B"]
