"""The `recon3d` command: find the verb, parse its arguments, run it, turn errors into one sentence.

A verb is a module with `HELP: str`, `add_arguments(parser)` and `main(args) -> int`. Only the module of the
verb that was typed is imported, so `recon3d --help` stays quick whatever the verbs need. Inside its functions
a verb imports only what may not be installed: the `ros` room, which needs rclpy, and what needs torch.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from recon3d_ros import __version__
from recon3d_ros.cli.signals import stop_signals_interrupt
from recon3d_ros.cli.terminal import TerminalHandler
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.system.logs import logs_sent_to
from recon3d_ros.system.printable import printable
from recon3d_ros.system.streams import open_standard_streams

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program stopped by Ctrl-C
BROKEN_PIPE = 141  # 128 + SIGPIPE, as if the reader's end had stopped us


class Verb(NamedTuple):
    """Where a verb lives, and its line in `recon3d --help`."""

    module: str
    summary: str


# The order of VERBS in `recon3d --help`: the title of a group, before its first verb.
GROUPS = {
    "run": "images and bags",
    "node": "ROS 2",
    "models": "models",
    "train": "training",
    "completion": "shell",
}
VERBS: dict[str, Verb] = {
    "run": Verb("recon3d_ros.cli.run", "compute depth maps and point clouds from image files"),
    "process": Verb("recon3d_ros.cli.process", "process a recorded bag, without ROS"),
    "reconstruct": Verb("recon3d_ros.cli.reconstruct", "fuse images with known poses into one mesh"),
    "node": Verb("recon3d_ros.cli.node", "start the depth node without a launch file"),
    "map": Verb("recon3d_ros.cli.map", "start the map node without a launch file"),
    "play": Verb(
        "recon3d_ros.cli.play", "publish a folder, video, webcam or the procedural world as a camera"
    ),
    "view": Verb("recon3d_ros.cli.view", "show results, or a running node, in the viewer Rerun"),
    "doctor": Verb("recon3d_ros.cli.doctor", "find problems with live camera topics"),
    "demo": Verb("recon3d_ros.cli.demo", "run camera and node for ten seconds and write a report"),
    "models": Verb("recon3d_ros.cli.models", "list, add and verify models"),
    "evaluate": Verb("recon3d_ros.cli.evaluate", "measure the accuracy of models on data sets"),
    "benchmark": Verb("recon3d_ros.cli.benchmark", "measure the speed on this computer"),
    "convert": Verb("recon3d_ros.cli.convert", "make fp16 and int8 files of a model"),
    "engines": Verb("recon3d_ros.cli.engines", "list, build, check and prune TensorRT engines"),
    "train": Verb("recon3d_ros.cli.train", "train a network"),
    "export": Verb("recon3d_ros.cli.export", "write a checkpoint as an ONNX model with its manifest"),
    "completion": Verb("recon3d_ros.cli.completion", "print the script for Tab completion in a shell"),
}


_LONG = 2000  # an error may list paths


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after `recon3d`; None takes them from the process.

    Returns:
        The exit code: what the verb returned, the code of a Recon3dError (see `recon3d_ros.errors`),
        1 when the operating system refuses a file, 130 after Ctrl-C, SIGTERM or SIGHUP, 141 when the reader
        of our output went away.

    Raises:
        SystemExit: from argparse, with 0 after `--help` and 2 after no arguments, or some that do not parse.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    _prepare_streams()
    try:
        parser = build_parser(words)
        if not words:
            parser.print_help(sys.stderr)
            raise SystemExit(2)
        args, unknown = parser.parse_known_args(words)
        if unknown:
            raise _unknown_words(args.verb, unknown, args.verb_help())
        with logs_sent_to(TerminalHandler()), stop_signals_interrupt(last=argv is None):
            code: int = args.main(args)
        sys.stdout.flush()  # so that a closed pipe shows here and not in the interpreter's exit
        return code
    except Recon3dError as exc:
        print(f"recon3d: error: {printable(' '.join(str(exc).split()), _LONG)}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        _flush_or_silence_stdout()  # the terminal may be gone
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except OSError as exc:  # stdout on a full disk, a folder that may not be searched, a name too long
        said = printable(str(exc))
        print(f"recon3d: error: {said}: check the path, its permissions and the disk", file=sys.stderr)
        _flush_or_silence_stdout()
        return Recon3dError.exit_code


def _complete() -> None:
    """Give the shell what can follow on its line, and end (argcomplete exits)."""
    import argcomplete

    line = os.environ.get("COMP_LINE", "")
    typed = line[: int(os.environ.get("COMP_POINT") or len(line))].split()[1:]
    if line[-1:] != " ":
        typed = typed[:-1]  # the word that is being typed names no verb yet
    argcomplete.autocomplete(build_parser(typed), always_complete_options="long")


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser with every verb's name, but the arguments of the typed verb only.

    Args:
        words: the command line; its first word that is no option names the verb.
    """
    parser = argparse.ArgumentParser(
        prog="recon3d",
        description="Compute metric depth and point clouds from camera images.",
        usage="recon3d [-h] [--version] <verb> ...",
        epilog=_verbs_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"recon3d {__version__}")
    typed = next((word for word in words if not word.startswith("-")), None)
    # argparse knows no groups of verbs: they are in the epilog.
    verbs = parser.add_subparsers(
        dest="verb", metavar="<verb>", required=True, prog="recon3d", help=argparse.SUPPRESS
    )
    for name, verb in VERBS.items():
        if name != typed:
            verbs.add_parser(name)
            continue
        module = importlib.import_module(verb.module)
        # No abbreviations: the day --models-dir gets a neighbour, somebody's --mod would change its meaning.
        verb_parser = verbs.add_parser(name, description=module.HELP, allow_abbrev=False)
        module.add_arguments(verb_parser)
        verb_parser.set_defaults(main=module.main, verb_help=verb_parser.format_help)
    return parser


def _unknown_words(verb: str, unknown: Sequence[str], verb_help: str) -> ConfigError:
    """What to say of words that a verb does not take."""
    first = unknown[0].partition("=")[0]
    flags = sorted(set(re.findall(r"--[a-z][a-z0-9-]*", verb_help)))
    nearest = get_close_matches(first, flags, n=1) or [
        flag for flag in flags if first.startswith("--") and flag.startswith(first)
    ]
    hint = f"; the nearest is {nearest[0]}" if nearest else ""
    return ConfigError(
        f"expected arguments that {verb} has, got {' '.join(unknown)}{hint}: see recon3d {verb} --help"
    )


def _verbs_text() -> str:
    """The verbs in their groups, for the help."""
    lines = []
    for name, verb in VERBS.items():
        if name in GROUPS:
            lines += ["", f"{GROUPS[name]}:"]
        lines.append(f"    {name:<11} {verb.summary}")
    return "\n".join([*lines[1:], "", "recon3d <verb> --help shows the options of a verb."])


def _prepare_streams() -> None:
    """Let no stream that is closed, and no character that it cannot show, be an error."""
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8, nor terminals


def _flush_or_silence_stdout() -> None:
    """Say what was printed before an error, unless it is stdout that failed."""
    try:
        sys.stdout.flush()
    except OSError:
        _silence_stdout()


def _silence_stdout() -> None:
    """Point stdout at nothing, so the interpreter's last flush does not complain about the closed pipe."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # stdout is no real file (a test's capture): nothing will complain
