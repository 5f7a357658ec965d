"""The parameters of the nodes: one registry for nodes, camera lists, launch files, command line and docs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.config.model import ModelConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.config.node import NodeConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.config.options import Config, Option, options
from recon3d_ros.config.pipeline import PipelineConfig
from recon3d_ros.config.scale import ScaleConfig
from recon3d_ros.config.scale_inputs import ScaleInputConfig, ScalePlan
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.errors import ConfigError

C = TypeVar("C", bound=Config)

# What needs no ROS: the flags of `recon3d run` and `recon3d process` are parameters of the depth node.
OFFLINE: tuple[type[Config], ...] = (ModelConfig, PipelineConfig, ScaleConfig)
DEPTH_NODE: tuple[type[Config], ...] = (
    NodeConfig,
    PipelineConfig,
    ModelConfig,
    MotionConfig,
    ScaleConfig,
    ScaleInputConfig,
)
IMAGE_SOURCE: tuple[type[Config], ...] = (SourceConfig,)
MAP_NODE: tuple[type[Config], ...] = (MapNodeConfig, MappingConfig, GridConfig, OdometryConfig)
# By the name of the executable.
NODES = {"depth_node": DEPTH_NODE, "image_source": IMAGE_SOURCE, "map_node": MAP_NODE}

# Every node has them: read by rclpy itself, some by its newer versions alone, or when a topic is made.
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides")


def parameters(classes: Iterable[type[Config]]) -> dict[str, Option]:
    """List the options of several configurations by name, in the order of declaration."""
    return {spec.name: spec for config in classes for spec in options(config)}


def is_of_rclpy(name: str) -> bool:
    """Whether a parameter is read by rclpy itself, such as `qos_overrides./points.publisher.depth`."""
    return name.partition(".")[0] in _OF_RCLPY


class ParameterSet:
    """The values of all parameters of a node: one configuration of each class. It never changes.

    Args:
        configs: of different classes, whose options have different names.
    """

    def __init__(self, configs: Iterable[Config]) -> None:
        self._configs: dict[type[Config], Config] = {type(config): config for config in configs}

    @classmethod
    def of(cls, classes: Iterable[type[Config]], values: Mapping[str, Any]) -> ParameterSet:
        """Make a set of values by name; what is not named has its default.

        Raises:
            ConfigError: a name is unknown, a value is outside its limits, or two of a class contradict.
        """
        classes = tuple(classes)
        unknown = [name for name in values if name not in parameters(classes)]
        if unknown:
            raise ConfigError(f"expected names of parameters, got {', '.join(unknown)}: correct them")
        return cls(config(**_own(config, values)) for config in classes)

    def __getitem__(self, config_class: type[C]) -> C:
        config = self._configs[config_class]
        assert isinstance(config, config_class)
        return config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterSet) and self._configs == other._configs

    __hash__ = None  # type: ignore[assignment]

    def values(self) -> dict[str, Any]:
        """Return the value of every parameter by its name."""
        return {
            spec.name: getattr(config, spec.name)
            for config in self._configs.values()
            for spec in options(config)
        }

    def replaced(self, values: Mapping[str, Any]) -> ParameterSet:
        """Return a set with other values; names that no configuration has are passed over.

        Raises:
            ConfigError: a value is outside its limits, or two of a class contradict each other.
        """
        return ParameterSet(
            replace(config, **_own(type(config), values)) for config in self._configs.values()
        )

    def difference(self, before: ParameterSet) -> dict[str, Any]:
        """Return by name the values that are not those of another set of the same classes."""
        others = before.values()
        return {name: value for name, value in self.values().items() if value != others[name]}


def scale_plan(parameters: ParameterSet) -> ScalePlan:
    """Return where the scale of a depth node comes from.

    Raises:
        ConfigError: the floor is asked for, and nothing tells how high the camera is.
    """
    return ScalePlan(parameters[ScaleConfig], parameters[ScaleInputConfig])


def require_single_camera(parameters: ParameterSet) -> None:
    """Check that depth from motion is asked of single cameras, with the scale of their poses.

    Raises:
        ConfigError: of pairs, or with sources of the scale.
    """
    node = parameters[NodeConfig]
    if not node.from_motion:
        return
    if node.mode != "mono":
        raise ConfigError(
            f"depth_from motion is for single cameras, got mode {node.mode}: set mode to mono, or depth_from "
            "to model"
        )
    if parameters[ScaleConfig].is_on:
        raise ConfigError(
            "expected no scale_sources with depth_from motion, whose scale is that of the poses: leave them "
            "empty"
        )
    if not node.motion_frame.strip("/"):
        raise ConfigError("motion_frame must be the name of a fixed frame, such as odom, got an empty one")


def _own(config: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    return {spec.name: values[spec.name] for spec in options(config) if spec.name in values}
