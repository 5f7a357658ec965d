"""One place decides where the log goes, and who keeps warnings keeps those of some rooms only."""

from __future__ import annotations

import logging

from recon3d_ros.system.logs import KeptWarnings, logs_sent_to


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def test_one_handler_receives_it_and_the_one_before_comes_back():
    outer, inner = Lines(), Lines()
    log = logging.getLogger("recon3d_ros.files.a_module_of_this_test")
    with logs_sent_to(outer):
        with logs_sent_to(inner, logging.WARNING):
            log.info("no one")
            log.warning("inner")
        log.info("outer")
    assert (outer.lines, inner.lines) == (["outer"], ["inner"])


def test_the_newest_warnings_of_some_rooms_are_kept():
    mine, other = (logging.getLogger(f"recon3d_ros.{room}.x") for room in ("serving", "files"))
    with KeptWarnings(("serving", "backends"), most=2) as kept:
        other.warning("not mine")
        mine.info("no warning")
        for i in range(3):
            mine.warning("number %d", i)
        assert kept.take() == ["number 1", "number 2"] and kept.take() == []
    mine.warning("too late")
    assert kept.take() == []
