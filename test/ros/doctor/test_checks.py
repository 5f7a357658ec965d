"""Synchronisation by stamps; what needs publishers is tested with the doctor."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from recon3d_ros.ros.doctor.checks import check_synchronisation


def monitor(topic, stamps_ms):
    """What check_synchronisation reads of a TopicMonitor."""
    stamps = np.array(stamps_ms, np.int64) * 1_000_000
    return SimpleNamespace(
        topic=topic, count=len(stamps), stamps_ns=list(stamps), period_ns=float(np.median(np.diff(stamps)))
    )


EVERY_200_MS = np.arange(0, 10_000, 200)


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (EVERY_200_MS, EVERY_200_MS, None),
        (EVERY_200_MS + 70, EVERY_200_MS, "got them 70 ms off (100% of the images have no partner)"),
        (EVERY_200_MS + 1_000_000, EVERY_200_MS, "synchronize their clocks"),  # a clock of its own
        (np.arange(0, 10_000, 100), EVERY_200_MS, "50% of the images have no partner"),  # twice the rate
        # A third of each is lost, not the same one: what is left meets.
        (np.delete(EVERY_200_MS, np.s_[::3]), np.delete(EVERY_200_MS, np.s_[1::3]), None),
        (
            np.delete(EVERY_200_MS, np.s_[::3]) + 70,
            np.delete(EVERY_200_MS, np.s_[1::3]),
            "100% of the images have no partner",
        ),
    ],
)
def test_stamps_that_do_not_meet_are_told_from_images_that_were_lost(left, right, said):
    found = list(check_synchronisation(monitor("left", left), monitor("right", right), 10.0))
    assert [finding.kind for finding in found] == (["unsynchronised"] if said else [])
    assert not said or said in found[0].message
