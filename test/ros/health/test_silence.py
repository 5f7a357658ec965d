"""What a long silence is depends on how often a camera speaks."""

from __future__ import annotations

from recon3d_ros.ros.health.silence import Silence


def test_a_fast_camera_has_a_second_and_five():
    silence = Silence(now=10.0)
    assert silence.seconds(10.4) == 10.4 - 10.0
    for i in range(8):
        silence.heard(11.0 + 0.1 * i)
    assert silence.limits_s == (1.0, 5.0)


def test_a_slow_camera_has_its_own_periods_and_a_pause_is_none_of_them():
    silence = Silence(now=0.0)
    for i in range(4):
        silence.heard(2.0 * i)
    assert silence.limits_s == (6.0, 12.0)
    silence.restart(100.0)
    silence.heard(101.0)
    assert silence.limits_s == (6.0, 12.0) and silence.seconds(102.0) == 1.0
