"""Pairs by stamp, as the benchmark's associate.py makes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.datasets.rgbd.association import nearest_pairs, unmatched_note

stamps = st.lists(st.integers(0, 300), unique=True, max_size=25)


def associate(first, second, tolerance):
    """The quadratic rule itself: all gaps within reach, the smallest first, each stamp once."""
    gaps = sorted((abs(a - b), i, j) for i, a in enumerate(first) for j, b in enumerate(second))
    left, right, pairs = set(range(len(first))), set(range(len(second))), []
    for gap, i, j in gaps:
        if gap <= tolerance and i in left and j in right:
            left.remove(i)
            right.remove(j)
            pairs.append((i, j))
    return sorted(pairs)


@given(stamps, stamps, st.integers(0, 40))
def test_pairs_are_those_of_the_quadratic_rule(first, second, tolerance):
    assert nearest_pairs(first, second, tolerance) == associate(first, second, tolerance)


def test_the_edge_of_20_ms_belongs_to_it():
    assert nearest_pairs([0], [20_000_000]) == [(0, 0)]
    assert nearest_pairs([0], [20_000_001]) == []


def test_what_is_left_over_is_counted():
    assert unmatched_note(3, 3, 3) == ""
    assert unmatched_note(5, 4, 3).startswith("3 pairs; left out: 2 of 5 images and 1 of 4 depth images")
