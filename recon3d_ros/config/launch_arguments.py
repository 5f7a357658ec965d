"""Arguments of the launch files: words that become parameters of the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recon3d_ros.config.options import Config, parse_bool
from recon3d_ros.config.parameters import parameters
from recon3d_ros.errors import DataError


def describe(classes: Iterable[type[Config]], names: Iterable[str]) -> dict[str, str]:
    """Return the descriptions of arguments that are parameters of a node, by name."""
    known = parameters(classes)
    texts = {"use_sim_time": "take the time from /clock, for bags and simulators"}
    for name, spec in known.items():
        unit = f" [{spec.unit}]" if spec.unit else ""
        choices = f"; one of {', '.join(spec.choices)}" if spec.choices else ""
        texts[name] = f"{spec.description}{unit}{choices}"
    return {name: texts[name] for name in names}


def values(classes: Iterable[type[Config]], words: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that arguments give; an empty word gives none.

    Args:
        classes: the configurations of the node.
        words: what stands behind `:=`, by name.

    Raises:
        ConfigError: a word is no value of its parameter.
    """
    known = parameters(classes)
    given: dict[str, Any] = {}
    for name, word in words.items():
        if not word:
            continue
        if name == "use_sim_time":
            given[name] = parse_bool(name, word)
        else:
            value = known[name].parsed(word)
            given[name] = list(value) if isinstance(value, tuple) else value
    return given


def parameter_files(word: str) -> list[str]:
    """Return the parameter file that an argument names, with the home folder for `~`; an empty word is none.

    Raises:
        DataError: there is no such file (a node would run on its defaults).
    """
    if not word:
        return []
    path = Path(word).expanduser()
    if not path.is_file():
        raise DataError(f"expected a parameter file at {word}, found none: check params_file")
    return [str(path)]
