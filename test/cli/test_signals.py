"""Signals that end a verb; the demo's children are tested with the demo."""

from __future__ import annotations

import signal

import pytest

from recon3d_ros.cli.signals import stop_signals, stop_signals_deferred, stop_signals_interrupt


@pytest.fixture(autouse=True)
def plain_handlers():
    """As a shell starts a program, however the tests were started."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_interrupts_and_later_ones_do_not_disturb_the_cleaning_up(number):
    cleaned = False
    with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGHUP)
            cleaned = True
    assert cleaned
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_nohup_has_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert stop_signals() == [signal.SIGINT, signal.SIGTERM]
    with stop_signals_interrupt(), stop_signals_deferred():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_deferred_it_acts_after_the_block(number):
    finished = False
    with pytest.raises(KeyboardInterrupt), stop_signals_deferred():
        signal.raise_signal(number)
        finished = True
    assert finished
