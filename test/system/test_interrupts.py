from __future__ import annotations

import signal

import pytest

from recon3d_ros.system.interrupts import interrupts_held


def test_ctrl_c_is_heard_at_the_end():
    begun = False
    with pytest.raises(KeyboardInterrupt):
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            begun = True
    assert begun


def test_block_of_somebody_else_stays():
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with interrupts_held():
            pass
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
