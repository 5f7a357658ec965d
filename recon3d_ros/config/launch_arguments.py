"""Arguments of the launch files: words that become parameters of the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recon3d_ros.config.options import Config, parse_bool
from recon3d_ros.config.parameters import parameters
from recon3d_ros.errors import ConfigError, DataError, MissingDependencyError, ModelError

# `launch` hands the arguments of a launch file to every file that it includes: what others call theirs, too,
# has a name of our own. Parameter (or former name of the argument) -> argument.
OWN_NAMES = {
    "mode": "depth_mode",
    "model": "depth_model",
    "rectify": "depth_rectify",
    "image_transport": "depth_image_transport",
    "autostart": "depth_autostart",
    "namespace": "depth_namespace",
    "params_file": "depth_params_file",
    "respawn": "depth_respawn",
    "rviz": "depth_rviz",
    "fixed_frame": "rviz_fixed_frame",
    "image": "image_topic",
    "camera_info": "camera_info_topic",
    "points": "points_topic",
}
# Ends of a node that come again with every start, until somebody corrects something.
_RMW_MISSING = 102  # rcl itself, when RMW_IMPLEMENTATION names what is not installed
_HOPELESS = {kind.exit_code for kind in (ConfigError, ModelError, DataError, MissingDependencyError)}
_HOPELESS.add(_RMW_MISSING)
_STARTS = 3
_DELAY_S, _LONGEST_DELAY_S = 2.0, 60.0  # before the next start; doubled while starts are in vain
_STEADY_S = 30.0  # whoever ran so long did start
_LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
_SEEN = "recon3d_arguments_before"
_SHARED = {"use_sim_time", "log_level", "depth_mode"}  # said for everybody, or by stereo and mono.launch.py


def describe(classes: Iterable[type[Config]], names: Iterable[str]) -> dict[str, str]:
    """Return the descriptions of arguments that are parameters of a node, by name."""
    known = parameters(classes)
    texts = {"use_sim_time": "take the time from /clock, for bags and simulators"}
    for name, spec in known.items():
        unit = f" [{spec.unit}]" if spec.unit else ""
        choices = f"; one of {', '.join(spec.choices)}" if spec.choices else ""
        texts[name] = f"{spec.description}{unit}{choices}"
    return {name: texts[name] for name in names}


def values(
    classes: Iterable[type[Config]], words: Mapping[str, str], own_names: Mapping[str, str] = OWN_NAMES
) -> dict[str, Any]:
    """Return the parameters that arguments give; an empty word gives none.

    Args:
        classes: the configurations of the node.
        words: what stands behind `:=`, by name.
        own_names: the arguments of those that have another name.

    Raises:
        ConfigError: a word is no value of its parameter.
    """
    known = parameters(classes)
    given: dict[str, Any] = {}
    for name, word in words.items():
        if not word:
            continue
        try:
            value = parse_bool(name, word) if name == "use_sim_time" else known[name].parsed(word)
        except ConfigError as exc:
            raise ConfigError(f"{exc}: correct {own_names.get(name, name)}:={word}") from exc
        given[name] = list(value) if isinstance(value, tuple) else value
    return given


def parameter_files(word: str, argument: str = OWN_NAMES["params_file"]) -> list[str]:
    """Return the parameter file that an argument names, with the home folder for `~`; an empty word is none.

    Args:
        word: what stands behind `:=`.
        argument: its name, for the error.

    Raises:
        DataError: there is no such file (a node would run on its defaults).
    """
    if not word:
        return []
    path = Path(word).expanduser()
    if not path.is_file():
        raise DataError(f"expected a parameter file at {word}, found none: check {argument}")
    return [str(path)]


def log_level_words(word: str) -> list[str] | None:
    """Return the ROS arguments for a log level, `debug` or `depth_node:=debug`; None for an empty word.

    Raises:
        ConfigError: it is no level of ROS 2.
    """
    if not word:
        return None
    if word.rpartition(":=")[2].lower() not in _LOG_LEVELS:
        raise ConfigError(
            f"log_level must be one of {', '.join(_LOG_LEVELS)}, or one of them for a logger, such as "
            f"depth_node:=debug, got {word!r}"
        )
    return ["--log-level", word]


def own_name(name: str) -> str:
    """Return the name of the argument for a parameter, or for the former name of an argument."""
    return OWN_NAMES.get(name, name)


def given_words(
    configurations: Mapping[str, str], names: Iterable[str], own_names: Mapping[str, str] = OWN_NAMES
) -> tuple[dict[str, str], str]:
    """Return what was given for arguments, and a warning about former names; both may be empty.

    Args:
        configurations: all values that `launch` knows, by argument.
        names: parameters, or former names of arguments.
        own_names: the arguments of those that others use, too.

    Returns:
        The words by `names`, empty where nothing was given, and one sentence for the log.
    """
    words, former = {}, []
    for name in names:
        own = own_names.get(name, name)
        words[name] = configurations.get(own, "")
        if own != name and not words[name] and configurations.get(name):
            words[name] = configurations[name]
            former.append(f"{own}:={words[name]} instead of {name}")
    warning = (
        "expected arguments by their new names, got old ones, which a launch file that includes this one may "
        f"have set for something else: write {', '.join(former)}"
        if former
        else ""
    )
    return words, warning


def set_before(configurations: dict[str, str], names: Iterable[str], typed: Iterable[str]) -> str:
    """Note what an include has, and compare it with an earlier one in the same scope.

    Args:
        configurations: all values that `launch` knows, by argument; one is added.
        names: the arguments of the launch file.
        typed: the command line, whose arguments are meant for all.

    Returns:
        One sentence for the log if arguments have the values of an earlier include, else nothing.
    """
    words = {word.partition(":=")[0] for word in typed} | _SHARED
    mine = {f"{name}:={configurations[name]}" for name in names if configurations.get(name)}
    mine = {each for each in mine if each.partition(":=")[0] not in words}
    same = sorted(mine & set(configurations.get(_SEEN, "").split("\n")))
    configurations[_SEEN] = "\n".join(sorted(mine))
    if not same:
        return ""
    return (
        f"{', '.join(same)} as in an earlier include of the depth node; if that was not meant, put each "
        "IncludeLaunchDescription into a GroupAction, or arguments of one reach the next"
    )


class Restarts:
    """Says when a node that ended is started again: later with every start that was in vain, at last not.

    Args:
        now_s: time of its first start, as `time.monotonic` tells it.
    """

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._short = self._hopeless = 0

    def after(self, name: str, exit_code: int, now_s: float) -> tuple[float | None, str]:
        """Take an end of the node.

        Args:
            name: of the node.
            exit_code: of its process, negative after a signal.
            now_s: time of its end.

        Returns:
            Seconds until it is to be started again, None when never, and one sentence for the log.
        """
        if now_s - self._began_s >= _STEADY_S:
            self._short = self._hopeless = 0
        self._hopeless = self._hopeless + 1 if exit_code in _HOPELESS else 0
        if self._hopeless >= _STARTS:
            return None, (
                f"{name} ended {self._hopeless} times in a row with exit code {exit_code} and is not started "
                "again: correct what its message above says, then launch it again"
            )
        delay_s = min(_DELAY_S * 2**self._short, _LONGEST_DELAY_S)
        self._short += 1
        self._began_s = now_s + delay_s
        return delay_s, f"{name} is started again in {delay_s:g} s"
