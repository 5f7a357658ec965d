"""Signals that end a verb; the demo's children are tested with the demo."""

from __future__ import annotations

import ctypes
import signal
import sys
import time

import pytest

from recon3d_ros.cli import signals
from recon3d_ros.cli.signals import stop_signals, stop_signals_deferred, stop_signals_interrupt


@pytest.fixture(autouse=True)
def plain_handlers():
    """As a shell starts a program, however the tests were started."""
    plain = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    former = {number: signal.signal(number, handler) for number, handler in plain.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_first_interrupts_and_later_ones_do_not_disturb_the_cleaning_up(number):
    cleaned, former = False, signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
        try:
            signal.raise_signal(number)
        finally:
            for later in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(later)
            cleaned = True
    assert cleaned
    assert signal.getsignal(number) is former


def test_ctrl_c_ends_a_cleaning_up_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(signals, "CLEANING_S", 0.0)
    with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)


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


def test_behind_the_last_block_no_signal_disturbs_the_end():
    with pytest.raises(KeyboardInterrupt), stop_signals_interrupt(last=True):
        signal.raise_signal(signal.SIGHUP)
    assert {signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)} == {signal.SIG_IGN}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with stop_signals_interrupt(last=True):
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_that_a_callback_of_a_library_loses_comes_again(number, capsys):
    """As in Numba, whose compiler calls Python through ctypes: a reconstruct went on to its end."""
    called = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(number))
    lost = 0
    with pytest.raises(KeyboardInterrupt), stop_signals_interrupt():
        for _ in range(3):  # the next one may be lost, too
            called()
            lost += 1
            called = ctypes.CFUNCTYPE(None)(lambda: time.sleep(3 * signals.AGAIN_S))
        time.sleep(30)
    assert lost == 3
    assert capsys.readouterr().err == ""


def test_other_exceptions_that_python_ignores_are_still_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with stop_signals_interrupt():
        ctypes.CFUNCTYPE(None)(lambda: 1 // 0)()
    assert [args.exc_type for args in told] == [ZeroDivisionError]
