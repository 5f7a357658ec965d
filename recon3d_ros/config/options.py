"""What a configuration is made of: frozen dataclasses whose fields know unit, limits and description."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon3d_ros.errors import ConfigError

_METADATA_KEY = "option"
_SWITCH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True)
class Option:
    """One configurable value, as a parameter server or a command line needs to know it.

    ``type`` is bool, int, float, str or tuple (of str); ``choices`` is empty when any value within the limits
    is allowed; ``read_only`` values are fixed while a node runs; a ``path`` may begin with ``~/``.
    """

    name: str
    type: type
    default: Any
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    path: bool = False

    def checked(self, value: Any) -> Any:
        """Return ``value`` as this option's type; a whole number will do for a float, a list for a tuple.

        Raises:
            ConfigError: the type is wrong, or the value is outside the limits or choices.
        """
        if self.type is float and type(value) is int:
            value = float(value)
        if self.type is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = tuple(value)
        exact = type(value)  # a bool is an int to isinstance
        if exact is not self.type and self.type is tuple:
            raise ConfigError(
                f"{self.name} must be a list of words, such as [a, b] or [] for none, got {value!r}"
            )
        if exact is not self.type:
            raise ConfigError(f"{self.name} must be of type {self.type.__name__}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name} must be one of {', '.join(self.choices)}, got {value!r}")
        if self.type is float and not math.isfinite(value):
            raise ConfigError(f"{self.name} must be finite, got {value}")
        if self.path and value.startswith("~/"):  # no shell expands what stands behind := or in a YAML file
            value = str(Path(value).expanduser())
        too_small = self.minimum is not None and value < self.minimum
        too_big = self.maximum is not None and value > self.maximum
        if too_small or too_big:
            raise ConfigError(f"{self.name} must be {self._limits()}, got {value}")
        return value

    def parsed(self, text: str) -> Any:
        """Return the value that a word of a launch file means; `true`, `True` and `1` are all true.

        Raises:
            ConfigError: it is no value of this option.
        """
        if self.type is bool:
            return parse_bool(self.name, text)
        if self.type is tuple:
            words = text.strip().removeprefix("[").removesuffix("]").split(",")
            return self.checked(tuple(word for word in map(_unquoted, words) if word))
        if self.type is str:
            return self.checked(text)
        try:
            number = self.type(text)
        except ValueError:
            raise ConfigError(f"{self.name} must be of type {self.type.__name__}, got {text!r}") from None
        return self.checked(number)

    def _limits(self) -> str:
        limits = [f"at least {self.minimum:g}"] if self.minimum is not None else []
        limits += [f"at most {self.maximum:g}"] if self.maximum is not None else []
        return f"{' and '.join(limits)} {self.unit}".rstrip()


def parse_bool(name: str, text: str) -> bool:
    """Read a switch as launch files, YAML and people write it.

    Raises:
        ConfigError: it is neither true nor false.
    """
    word = text.strip().lower()
    if word not in _SWITCH:
        raise ConfigError(f"{name} must be true or false, got {text!r}")
    return _SWITCH[word]


def _unquoted(word: str) -> str:
    return word.strip().strip("\"'")


def option(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
    path: bool = False,
) -> Any:
    """Declare a field of a :class:`Config`; its type is that of ``default``."""
    spec = {
        "type": type(default),
        "default": default,
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "read_only": read_only,
        "path": path,
    }
    return dataclasses.field(default=default, metadata={_METADATA_KEY: spec})


def options(config: type[Config] | Config) -> tuple[Option, ...]:
    """List the options of a configuration class, in the order of declaration."""
    return tuple(Option(name=f.name, **f.metadata[_METADATA_KEY]) for f in dataclasses.fields(config))


@dataclass(frozen=True)
class Config:
    """Base of all configurations: checked at construction, so a config that exists is a valid one."""

    def __post_init__(self) -> None:
        for spec in options(self):
            object.__setattr__(self, spec.name, spec.checked(getattr(self, spec.name)))
        self.validate()

    def validate(self) -> None:
        """Check combinations of fields; single fields are already checked.

        Raises:
            ConfigError: two fields contradict each other.
        """
