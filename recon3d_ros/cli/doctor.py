"""`recon3d doctor`: looks at the live graph and says what is wrong, each with its remedy."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.files.text_table import aligned
from recon3d_ros.reports import Page, Table, write_page
from recon3d_ros.reports.blocks import Cell
from recon3d_ros.system.printable import printable

if TYPE_CHECKING:
    from recon3d_ros.ros.doctor.doctor import Diagnosis

HELP = (
    "Listen to the topics of a camera or stereo pair for ten seconds and report why there is no depth or "
    "why it is bad, and what to do. Checks topics, QoS, stamps, camera_info, frames, the images, rates "
    "and shared memory, and changes nothing. Exit code 0: no problem found; 20: warnings; 21: errors."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    add_options(parser, DoctorConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.add_argument(
        "--html", type=user_path, metavar="FILE", help="also write a report page: one HTML file"
    )


def main(args: argparse.Namespace) -> int:
    """Examine and report; the exit code says how bad it is."""
    from recon3d_ros.ros.bridge.dds import profile_environment
    from recon3d_ros.ros.doctor.doctor import examine

    config = read_options(args, DoctorConfig)
    environ = dict(os.environ)  # what the user's shell gives to other programs, not what we add for ourselves
    os.environ.update(profile_environment())
    diagnosis = examine(config, environ)
    print(json.dumps(to_dict(diagnosis), indent=1) if args.json else to_text(diagnosis))
    if args.html is not None:
        write_page(args.html, to_page(diagnosis))
    tell_written(args.html, file=sys.stderr)  # stdout may be the JSON document
    return diagnosis.exit_code


def to_page(diagnosis: Diagnosis) -> Page:
    """The page of --html: the problems, then the topics."""
    page = Page("Doctor", _summary(diagnosis))
    findings: list[list[Cell]] = [
        [finding.level.name, finding.kind, finding.topic or "-", finding.message]
        for finding in diagnosis.findings
    ]
    if findings:
        page.add(Table("Problems", ["level", "kind", "topic", "what to do"], findings))
    rows: list[list[Cell]] = [
        [
            topic.topic,
            topic.rate_hz,
            topic.megabytes_per_s,
            topic.size or "-",
            topic.encoding or "-",
            topic.frame_id or "-",
            ", ".join(topic.publishers) or "nobody",
        ]
        for topic in diagnosis.topics
    ]
    page.add(Table("Topics", list(_COLUMNS), rows))
    return page


def to_dict(diagnosis: Diagnosis) -> dict[str, object]:
    """The document of --json."""
    return {
        "mode": diagnosis.mode,
        "seconds": diagnosis.seconds,
        "topics": [dataclasses.asdict(topic) for topic in diagnosis.topics],
        "findings": [
            {**dataclasses.asdict(finding), "level": finding.level.name} for finding in diagnosis.findings
        ],
        "exit_code": diagnosis.exit_code,
    }


def to_text(diagnosis: Diagnosis) -> str:
    """A table of the topics, then one line for everything that is wrong."""
    rows = [_COLUMNS]
    rows += [
        (
            topic.topic,
            f"{topic.rate_hz:.1f}",
            f"{topic.megabytes_per_s:.1f}",
            topic.size or "-",
            topic.encoding or "-",
            topic.frame_id or "-",
            ", ".join(topic.publishers) or "nobody",
        )
        for topic in diagnosis.topics
    ]
    lines = [*aligned(rows), ""]
    lines += [
        printable(f"{finding.level.name} {finding.kind} {finding.topic}".rstrip(), _LONG)
        + f": {printable(finding.message.rstrip('.'), _LONG)}."
        for finding in diagnosis.findings
    ]
    return "\n".join([*lines, _summary(diagnosis)])


def _summary(diagnosis: Diagnosis) -> str:
    counts = [(name, sum(one.level.name == level for one in diagnosis.findings)) for level, name in _LEVELS]
    summary = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts if count)
    return f"{diagnosis.mode}, {diagnosis.seconds:g} s: {summary or 'no problem found'}"


_LONG = 1000
_COLUMNS = ("topic", "Hz", "MB/s", "size", "encoding", "frame_id", "from")
_LEVELS = (("ERROR", "error"), ("WARN", "warning"))
