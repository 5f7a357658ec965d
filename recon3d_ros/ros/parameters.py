"""ROS parameters out of the configuration dataclasses: nothing about an option is written twice."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from recon3d_ros.config import Config, Option, options
from recon3d_ros.errors import ConfigError

C = TypeVar("C", bound=Config)


def declare(node: Node, config_class: type[C]) -> C:
    """Declare one parameter per option and read their values.

    Raises:
        ConfigError: a value given at start has a wrong type or is outside its limits.
    """
    values = {}
    for spec in options(config_class):
        try:
            values[spec.name] = node.declare_parameter(spec.name, spec.default, describe(spec)).value
        except ParameterException as exc:
            raise ConfigError(f"{exc}; correct parameter {spec.name}: {_meaning(spec)}.") from exc
    return config_class(**values)


def follow(node: Node, configs: Sequence[Config], apply: Callable[[Config], None]) -> None:
    """Check and apply parameters that are set while the node runs.

    Args:
        node: the node that declared the parameters.
        configs: the current configurations; read-only options never change (rclpy refuses them).
        apply: called with every changed configuration, before the parameter change is confirmed.
    """
    current = list(configs)

    def on_set(parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        try:
            changed = [_replaced(config, values) for config in current]
        except ConfigError as exc:
            return SetParametersResult(successful=False, reason=str(exc))
        for i, config in enumerate(changed):
            if config != current[i]:
                apply(config)
        current[:] = changed
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def describe(spec: Option) -> ParameterDescriptor:
    """Return the descriptor of one option: description with unit, limits, choices, read-only mark."""
    descriptor = ParameterDescriptor(name=spec.name, description=_meaning(spec), read_only=spec.read_only)
    descriptor.additional_constraints = f"one of {', '.join(spec.choices)}" if spec.choices else ""
    if spec.type is float:
        # max_depth_m:=10 is an integer to ROS, which would refuse it; the configuration takes it as 10.0.
        descriptor.dynamic_typing = True
    if spec.minimum is None and spec.maximum is None:
        return descriptor
    if spec.type is int:
        low = -(2**63) if spec.minimum is None else int(spec.minimum)
        high = 2**63 - 1 if spec.maximum is None else int(spec.maximum)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
    else:
        low_f = -sys.float_info.max if spec.minimum is None else float(spec.minimum)
        high_f = sys.float_info.max if spec.maximum is None else float(spec.maximum)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f, step=0.0)]
    return descriptor


def _meaning(spec: Option) -> str:
    return f"{spec.description} [{spec.unit}]" if spec.unit else spec.description


def _replaced(config: Config, values: dict[str, object]) -> Config:
    known = {spec.name for spec in options(config)}
    return dataclasses.replace(config, **{name: value for name, value in values.items() if name in known})
