"""Flags made from the options of a `Config` class, so that names, defaults, limits and texts stand once."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from recon3d_ros.config import Config, Option, options
from recon3d_ros.errors import ConfigError

C = TypeVar("C", bound=Config)
T = TypeVar("T")


def add_options(parser: argparse.ArgumentParser, config: type[Config], skip: Collection[str] = ()) -> None:
    """Add `--max-depth-m` for an option `max_depth_m`, and so on.

    Args:
        parser: of the verb.
        config: whose options become flags; a bool becomes `--rectify` and `--no-rectify`.
        skip: names of options the verb sets itself.
    """
    for spec in options(config):
        if spec.name in skip:
            continue
        kind: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if spec.type is not bool:
            words = _split if spec.type is tuple else spec.type
            kind = {"type": words, "choices": spec.choices or None, "metavar": _metavar(spec)}
        flag = "--" + spec.name.replace("_", "-")
        parser.add_argument(flag, default=spec.default, help=_help(spec), **kind)


def user_path(text: str) -> Path:
    """A path with the home folder for `~`, which no shell expands behind `=` or in quotes."""
    return Path(os.path.expanduser(text))


def read_options(
    args: argparse.Namespace, config: type[C], former: Mapping[str, Any] | None = None, **values: Any
) -> C:
    """Build the config from the parsed flags.

    Args:
        args: parsed by a parser that `add_options` extended.
        config: the same class.
        former: options by name that stand in for flags that are None, before the defaults do.
        values: options the verb sets itself, by name.

    Raises:
        ConfigError: a value is outside its limits, or two exclude each other.
    """
    defaults = {spec.name: spec.default for spec in options(config)} | dict(former or {})
    given = {name: value for name in defaults if (value := getattr(args, name, None)) is not None}
    return config(**{**defaults, **given, **values})


def _metavar(spec: Option) -> str | None:
    words = {int: "N", float: "X", str: "TEXT", tuple: "TEXT,TEXT"}
    return None if spec.choices else (spec.unit or words[spec.type]).upper()


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _help(spec: Option) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    default = "" if spec.default in ("", ()) else f" (default {spec.default}{unit})"
    return (spec.description + default).replace("%", "%%")


def positive_integer(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def numbers_from(low: float) -> Callable[[str], tuple[float, ...]]:
    """A reader of numbers with commas between them, none below `low`."""

    def read(text: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in text.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(low <= number < math.inf for number in numbers):
            raise argparse.ArgumentTypeError(f"expected numbers of at least {low:g}, got {text!r}")
        return numbers

    return read


def list_of(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A reader of what `parse` reads, with commas between them; a `ConfigError` is a fault of the flag."""

    def read(text: str) -> tuple[T, ...]:
        try:
            return tuple(parse(part) for part in text.split(","))
        except ConfigError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return read


def some_of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """A reader of names with commas between them, all of them known, or `all`."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(known) if text == "all" else tuple(dict.fromkeys(text.split(",")))
        if not set(known) >= set(names):
            raise argparse.ArgumentTypeError(f"expected all or some of {', '.join(known)}, got {text!r}")
        return names

    return read


def refuse(args: argparse.Namespace, names: Collection[str], what: str) -> None:
    """Refuse options that a part of a verb does not have, rather than ignore them.

    Raises:
        ConfigError: One of them is given.
    """
    for name in names:
        if getattr(args, name):
            raise ConfigError(f"expected no --{name.replace('_', '-')} for {what}, got it: leave it out")
