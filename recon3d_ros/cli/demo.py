"""`recon3d demo`: camera, depth node and recorder as three processes over real DDS, and what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon3d_ros.cli import demo_map
from recon3d_ros.cli.children import Child
from recon3d_ros.cli.domain import claim_domain
from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.signals import stop_signals_deferred
from recon3d_ros.config import ModelConfig, PipelineConfig, options
from recon3d_ros.config.camera_topics import LEFT, image_topics
from recon3d_ros.config.recorder import RecorderConfig
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.errors import CalibrationError, ConfigError
from recon3d_ros.files import make_folder
from recon3d_ros.geometry import StereoRig
from recon3d_ros.model_zoo.registry import find_model

HELP = (
    "Play the procedural world (or your own images) to the depth node over ROS 2, record ten seconds of "
    "its output, and write a report with pictures. No other node has to be running."
)
# Of a camera without calibration: common for webcams and phones, and said in the report.
ASSUMED_FOV_DEG = 60.0
PATIENCE_S = 300.0
POLL_S = 0.2
LOG_LINES = 15
# The processes of the demo, and where their `main` is.
MODULES = {
    "source": "recon3d_ros.ros.player.image_source",
    "node": "recon3d_ros.ros.node.depth_node",
    "recorder": "recon3d_ros.ros.demo.recorder",
}


@dataclass(frozen=True)
class Plan:
    """What is played, and how it is to be taken in."""

    source: str
    stereo: bool
    rectify: bool
    notes: tuple[str, ...] = ()

    @property
    def image_topic(self) -> str:
        """The image the clouds belong to."""
        return image_topics(self.stereo, self.rectify)[LEFT]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "--input",
        type=os.path.expanduser,
        default="world",
        help="folder of images, folder with left/ and right/ or with EuRoC's cam0/ and cam1/, video file, "
        "index of a webcam, world_indoor or world_outdoor (default %(default)s = world_indoor)",
    )
    parser.add_argument(
        "--out",
        type=user_path,
        default=Path("out/demo"),
        metavar="DIR",
        help="output folder (default %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="recording time after the first cloud (default %(default)s)",
    )
    parser.add_argument(
        "--rate-hz",
        type=float,
        default=5.0,
        metavar="HZ",
        help="rate of the camera; frames that the node cannot process in time are dropped and counted "
        "(default %(default)s)",
    )
    parser.add_argument("--camera", default="", metavar="YAML", help="camera_info YAML of the images")
    parser.add_argument(
        "--map",
        action="store_true",
        help="instead walk through a procedural house, without ROS: its mesh beside the exact one, and how "
        "well they agree",
    )
    add_options(parser, ModelConfig)
    add_options(parser, PipelineConfig)


def main(args: argparse.Namespace) -> int:
    """Run the demo; 0 when clouds came and the report is written."""
    if args.map:
        choose_model(read_options(args, ModelConfig), stereo=True)
        return demo_map.main(args)
    shortest_s = next(spec.minimum for spec in options(RecorderConfig) if spec.name == "seconds") or 0.0
    if not shortest_s <= args.seconds < float("inf"):
        raise ConfigError(f"expected --seconds of at least {shortest_s:g}, got {args.seconds:g}: give more")
    limits = read_options(args, PipelineConfig)
    model = read_options(args, ModelConfig)
    make_folder(args.out)
    plan = make_plan(args.input, args.camera)
    model_name = choose_model(model, plan.stereo)
    with _children(args, plan, model_name, limits) as children:
        code = watch(*children)
    if code == 0:
        print_report(args.out)
    return code


def make_plan(source: str, camera: str) -> Plan:
    """Look at the input here, where an error is one sentence, before any process starts.

    Raises:
        DataError: there is no such input.
        CalibrationError: a pair without calibration.
    """
    from recon3d_ros.ros.player.sources import WORLD_KINDS, open_source

    if source in WORLD_KINDS:
        return Plan(source, stereo=True, rectify=False)
    notes: tuple[str, ...] = ()
    try:
        opened = open_source(SourceConfig(source=source, camera=camera)).camera
    except CalibrationError:
        opened = open_source(SourceConfig(source=source, camera=camera, fov_deg=ASSUMED_FOV_DEG)).camera
        notes = (
            f"no calibration was given: a horizontal field of view of {ASSUMED_FOV_DEG:g} degrees is "
            "assumed, so shapes and sizes are only roughly right (--camera names a camera_info YAML)",
        )
    left = opened.left if isinstance(opened, StereoRig) else opened
    return Plan(source, isinstance(opened, StereoRig), not left.rectified, notes)


def choose_model(config: ModelConfig, stereo: bool) -> str:
    """The model for pairs or single images.

    Raises:
        ConfigError: it is of the other kind.
        ModelError: no such model.
    """
    manifest = find_model(config.model, config.models_dir, stereo=stereo)
    if manifest.is_stereo != stereo:
        kinds = ("a stereo", "a mono") if stereo else ("a mono", "a stereo")
        raise ConfigError(
            f"expected {kinds[0]} model for this input, got {kinds[1]} model, {manifest.name}: choose "
            "another with --model"
        )
    return config.model


@contextmanager
def _children(
    args: argparse.Namespace, plan: Plan, model: str, limits: PipelineConfig
) -> Iterator[Sequence[Child]]:
    """Start source, node and recorder on a domain of their own; end them whatever happens."""
    from recon3d_ros.ros.bridge.dds import fit_profile, profile_environment

    domain, claim = claim_domain()
    environment = profile_environment()
    note = fit_profile(environment, 3, args.out)
    environment |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    notes = [*plan.notes, *([note] if note else [])]
    children: list[Child] = []
    try:
        with stop_signals_deferred():
            for name, words in _commands(args, plan, model, limits, notes).items():
                children.append(Child(name, words, environment, args.out))
        yield children
    finally:
        try:
            with stop_signals_deferred():  # a second Ctrl-C must not leave the others running
                for child in children:
                    child.interrupt()
                for child in children:
                    child.stop()
        finally:
            claim.close()


def _commands(
    args: argparse.Namespace, plan: Plan, model: str, limits: PipelineConfig, notes: Sequence[str]
) -> dict[str, list[str]]:
    depths = {"min_depth_m": limits.min_depth_m, "max_depth_m": limits.max_depth_m}
    node = {
        **depths,
        "border_px": limits.border_px,
        "mode": "stereo" if plan.stereo else "mono",
        "rectify": plan.rectify,
        "model": model,
        "backend": args.backend,
        "threads": args.threads,
        "models_dir": args.models_dir,
    }
    source = {
        "source": plan.source,
        "rate_hz": args.rate_hz,
        "loop": True,
        "camera": args.camera,
        "fov_deg": ASSUMED_FOV_DEG,
    }
    recorder = {
        **depths,
        "out": str(args.out),
        "seconds": args.seconds,
        "patience_s": PATIENCE_S,
        "image_topic": plan.image_topic,
        "notes": "\n".join(notes),
    }
    parameters = {"source": source, "node": node, "recorder": recorder}
    start = "from {} import main; raise SystemExit(main())"
    return {
        name: ["-c", start.format(MODULES[name]), "--ros-args", *_as_words(values)]
        for name, values in parameters.items()
    }


def _as_words(parameters: dict[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        yield "-p"
        yield f"{name}:={json.dumps(value)}"  # JSON is YAML: "0" stays a string, true a bool


def watch(source: Child, node: Child, recorder: Child) -> int:
    """Show life until the recorder is done.

    Returns:
        0, or the exit code of the process that failed, whose last lines are printed.
    """
    began_s = time.monotonic()
    progress = _Progress()
    while recorder.exit_code is None:
        for child in (source, node):
            if child.exit_code is not None:
                progress.clear()
                return _failed(child)
        child = recorder if recorder.last_message() else source
        if node.last_message() == "":
            child = node
        message = child.last_message() or "starting"
        progress.show(f"[{time.monotonic() - began_s:3.0f} s] {child.name}: {message}")
        time.sleep(POLL_S)
    progress.clear()
    return _failed(recorder) if recorder.exit_code else 0


def _failed(child: Child) -> int:
    code = child.exit_code or 0
    print(f"recon3d: {child.name} ended with {code}; the end of {child.log}:", file=sys.stderr)
    print("\n".join(f"  {line}" for line in child.last_lines(LOG_LINES)), file=sys.stderr)
    return code if code > 0 else 1  # also when it ended too early without an error


def print_report(folder: Path) -> None:
    """Print the table, the notes and the paths."""
    from recon3d_ros.ros.demo.report import to_table

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    print(to_table(report))
    for note in report["notes"]:
        print(f"note: {note}")
    for name in ("report.md", "report.html", "report.json", *report["files"]):
        print(folder / name)


class _Progress:
    """One line that is overwritten on a terminal; elsewhere a line now and then."""

    PERIOD_S = 5.0

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_s = 0.0

    def show(self, line: str) -> None:
        if self._terminal:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            print(f"\r\033[K{line[: width - 1]}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._shown_s > self.PERIOD_S:
            self._shown_s = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
