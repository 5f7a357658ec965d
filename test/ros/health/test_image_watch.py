"""When the images are looked at, and when a finding is believed."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.ros.health.image_watch import ImageWatch

RIG = StereoRig.simple(320, 240, fx=300.0, baseline_m=0.1)
NOISE = np.random.default_rng(0).integers(60, 200, (240, 320)).astype(np.uint8)
BLACK = np.zeros_like(NOISE)


def pair(left, right):
    return Frame(0, left, RIG.left, right, RIG)


@pytest.fixture
def watch():
    return ImageWatch()


def test_what_is_seen_once_is_not_believed_and_what_is_seen_no_more_is_forgotten(watch):
    assert watch.messages is None
    counts = []
    for second, left in enumerate([BLACK, NOISE, BLACK, BLACK, BLACK, NOISE]):
        assert watch.is_due(second)
        watch.look_at(pair(left, NOISE[::-1]), second)
        assert not watch.is_due(second + 0.9)
        counts.append(len(watch.messages))
    assert counts == [0, 0, 0, 1, 1, 0]


def test_each_side_is_believed_by_itself(watch):
    watch.look_at(pair(BLACK, NOISE), 0)
    watch.look_at(pair(NOISE, BLACK), 1)
    assert watch.messages == ()
    watch.look_at(pair(NOISE, BLACK), 2)
    (message,) = watch.messages
    assert message.startswith("right image: expected")


def test_an_image_that_is_poor_by_itself_says_nothing_of_the_pair(watch):
    for second in range(3):
        watch.look_at(pair(BLACK, BLACK), second)
    assert [message.split(":")[0] for message in watch.messages] == ["left image", "right image"]


def test_geometry_is_looked_at_every_five_seconds_and_again_soon_in_doubt(watch):
    same, other = pair(NOISE, NOISE), pair(NOISE, np.roll(NOISE, -7, axis=1))
    watch.look_at(other, 0)
    seen = {}
    for second in range(1, 13):
        watch.look_at(same, second)
        seen[second] = len(watch.messages)
    assert [second for second, count in seen.items() if count] == list(range(6, 13))
    watch.look_at(other, 13)  # between two looks at the geometry the last one holds
    assert len(watch.messages) == 1
    watch.look_at(other, 16)
    assert watch.messages == ()
