"""What is reported of a scale; that it reaches its topics is tested with the node and its outputs."""

from __future__ import annotations

import math

import pytest

from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Scale

GOOD = Scale(2.5, 0.0, 0.03, ("range",), {"range": 1}, 0.0, True, "")


def aged(age_s, trusted, reason=""):
    return Scale(2.5, 0.0, 0.1, (), {}, age_s, trusted, reason)


def test_frames_are_counted_by_source():
    state = None
    for scale in (GOOD, GOOD, aged(0.1, True)):
        state = ScaleState.after(state, scale, ("range", "scan"), {})
    assert state.frames_used == {"range": 2}
    assert state.frames_unused == {"scan": 3, "range": 1}
    assert state.values()["scale_frames_unused_scan"] == "3"


def test_a_reason_is_given_once_and_only_by_who_knows_it():
    scale = aged(0.2, True, "range: no reading; floor: too few points")
    state = ScaleState.after(None, scale, ("range", "floor"), {"range": "no message on /scale/range"})
    assert state.reason == "range: no message on /scale/range; floor: too few points"
    assert ScaleState.after(None, GOOD, ("range",), {}).values()["scale_reason"] == "none"


@pytest.mark.parametrize(
    ("scale", "ageing", "said"),
    [
        (GOOD, False, None),
        (aged(0.9, True), False, None),
        (aged(3.2, True, "range: no reading"), True, "got none for 3 s; range: no reading"),
        (aged(math.inf, False, "floor: no floor"), False, "no depth is published; floor: no floor"),
    ],
)
def test_a_scale_that_ages_or_is_not_trusted_has_a_sentence(scale, ageing, said):
    state = ScaleState.after(None, scale, ("range",), {})
    assert state.is_ageing is ageing
    assert said is None or state.message.endswith(said)
