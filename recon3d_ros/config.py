"""Configuration as frozen dataclasses: every default, unit, limit and description stands here, once.

The ROS room declares node parameters from :func:`options`, the command line builds its flags from it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from recon3d_ros.errors import ConfigError

_METADATA_KEY = "option"


@dataclass(frozen=True)
class Option:
    """One configurable value, as a parameter server or a command line needs to know it.

    ``type`` is bool, int, float or str; ``choices`` is empty when any value within the limits is allowed;
    ``read_only`` values are fixed while a node runs.
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

    def checked(self, value: Any) -> Any:
        """Return ``value`` as this option's type; a whole number will do for a float.

        Raises:
            ConfigError: the type is wrong, or the value is outside the limits or choices.
        """
        if self.type is float and type(value) is int:
            value = float(value)
        exact = type(value)  # a bool is an int to isinstance
        if exact is not self.type:
            raise ConfigError(f"{self.name} must be of type {self.type.__name__}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name} must be one of {', '.join(self.choices)}, got {value!r}")
        if self.type is float and not math.isfinite(value):
            raise ConfigError(f"{self.name} must be finite, got {value}")
        too_small = self.minimum is not None and value < self.minimum
        too_big = self.maximum is not None and value > self.maximum
        if too_small or too_big:
            raise ConfigError(f"{self.name} must be {self._limits()}, got {value}")
        return value

    def _limits(self) -> str:
        limits = [f"at least {self.minimum:g}"] if self.minimum is not None else []
        limits += [f"at most {self.maximum:g}"] if self.maximum is not None else []
        return f"{' and '.join(limits)} {self.unit}".rstrip()


def option(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
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


@dataclass(frozen=True)
class ModelConfig(Config):
    """Which model answers, and how it is executed."""

    model: str = option("recon3d_stereo", "name of a model, or path to its manifest (.yaml)", read_only=True)
    backend: str = option(
        "auto",
        "runtime that executes the model",
        choices=("auto", "onnxruntime", "fake"),
        read_only=True,
    )
    threads: int = option(
        0, "CPU threads for inference, 0 = all cores", minimum=0, maximum=1024, read_only=True
    )
    models_dir: str = option(
        "", "folder of model manifests, empty = those of the installation", read_only=True
    )


@dataclass(frozen=True)
class PipelineConfig(Config):
    """Which part of an estimate is kept."""

    min_depth_m: float = option(0.2, "nearer points are invalid", unit="m", minimum=0.0)
    max_depth_m: float = option(20.0, "farther points are out of range (+Inf)", unit="m", minimum=0.0)
    border_px: int = option(
        0, "width of the image border whose depth is discarded", unit="px", minimum=0, maximum=1024
    )

    def validate(self) -> None:
        """Check that the depth limits leave something between them."""
        if not self.min_depth_m < self.max_depth_m:
            raise ConfigError(
                f"min_depth_m must be less than max_depth_m, "
                f"got {self.min_depth_m:g} m and {self.max_depth_m:g} m"
            )


@dataclass(frozen=True)
class NodeConfig(Config):
    """How the ROS node takes in images."""

    mode: str = option("stereo", "stereo pair or single camera", choices=("stereo", "mono"), read_only=True)
    rectify: bool = option(
        False, "subscribe to image_raw and rectify by camera_info instead of image_rect", read_only=True
    )
    image_transport: str = option(
        "raw", "transport of the incoming images", choices=("raw", "compressed"), read_only=True
    )
    sync_tolerance_ms: float = option(
        0.0, "largest stamp difference of a stereo pair, 0 = stamps must be equal", unit="ms", minimum=0.0
    )
    # Off by default: a bag played without use_sim_time, or a camera computer whose clock differs, would
    # otherwise lose every frame; the one-slot mailbox bounds the node's own delay anyway.
    max_age_ms: float = option(
        0.0,
        "frames older by the node's clock are dropped on arrival, 0 = never (bags: set use_sim_time)",
        unit="ms",
        minimum=0.0,
    )
