"""ROS parameters out of the configuration dataclasses: nothing about an option is written twice."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from recon3d_ros.config import Config, Option, options
from recon3d_ros.config.parameters import ParameterSet, is_of_rclpy
from recon3d_ros.errors import ConfigError, Recon3dError

C = TypeVar("C", bound=Config)

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple: Parameter.Type.STRING_ARRAY,
}
# Humble cannot give a value its type before rclpy refuses it, so some types are dynamic there.
_CAN_CORRECT_TYPES = hasattr(Node, "add_pre_set_parameters_callback")


def declare(node: Node, config_class: type[C]) -> C:
    """Declare one parameter per option and read their values.

    Raises:
        ConfigError: a value given at start has a wrong type or is outside its limits.
    """
    values = {}
    for spec in options(config_class):
        try:
            values[spec.name] = _declare(node, spec)
        except (ConfigError, ParameterException) as exc:
            raise ConfigError(f"{exc}; correct parameter {spec.name}: {_meaning(spec)}.") from exc
    return config_class(**values)


def _declare(node: Node, spec: Option) -> Any:
    given = node._parameter_overrides.get(spec.name)
    value = spec.default
    if given is not None:
        # cameras:=[] has no type to rcl, and so no value.
        found = [] if spec.type is tuple and given.value is None else given.value
        checked = spec.checked(found)
        value = found if spec.path else checked  # a path stays as it was given, with its ~
    if spec.type is not tuple:
        return node.declare_parameter(spec.name, value, describe(spec), ignore_override=True).value
    # rclpy takes an empty list for bytes unless the type is there before it.
    node.declare_parameter(
        spec.name, Parameter.Type.STRING_ARRAY, ParameterDescriptor(), ignore_override=True
    )
    node.set_parameters_atomically([Parameter(spec.name, Parameter.Type.STRING_ARRAY, list(value))])
    node.set_descriptor(spec.name, describe(spec))
    return value


def warn_of_unknown(node: Node) -> None:
    """Log which parameters were given at the start that the node does not have."""
    known = node.get_parameters_by_prefix("")
    for name in node._parameter_overrides:
        if name in known or is_of_rclpy(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        node.get_logger().warning(
            f"expected a parameter of {node.get_name()}, got {name}, which has no effect: "
            + (f"did you mean {near[0]}?" if near else "docs/parameters.md lists them")
        )


class LiveParameters:
    """Parameters that can be set while the node runs.

    A change is taken as a whole: the set that it makes is checked and prepared, and only when nothing speaks
    against it, it is applied.

    Args:
        node: declares the parameters; read-only ones never change (rclpy refuses them).
        classes: what to declare.
        prepare: called with the new set and the one before; raises (a `Recon3dError`, if all is well) to
            refuse the new one with that reason, else returns what applies it. That, too, may raise, when it
            has undone what it began.

    Attributes:
        current: the set that holds.

    Raises:
        ConfigError: a value given at start has a wrong type or is outside its limits.
    """

    def __init__(
        self,
        node: Node,
        classes: Sequence[type[Config]],
        prepare: Callable[[ParameterSet, ParameterSet], Callable[[], None]],
    ) -> None:
        self.current = ParameterSet(declare(node, cls) for cls in classes)
        self._node, self._prepare = node, prepare
        self._types = {spec.name: spec.type for config_class in classes for spec in options(config_class)}
        if _CAN_CORRECT_TYPES:
            node.add_pre_set_parameters_callback(self._with_types)
        node.add_on_set_parameters_callback(self._on_set)

    def set(self, values: Mapping[str, Any]) -> SetParametersResult:
        """Set several parameters together, as somebody outside the node would."""
        parameters = [
            Parameter(name, value=list(value) if isinstance(value, tuple) else value)
            for name, value in values.items()
        ]
        return self._node.set_parameters_atomically(self._with_types(parameters))

    def _with_types(self, parameters: list[Parameter]) -> list[Parameter]:
        """Make doubles of the whole numbers, and lists of words of the empty lists, that ROS has for them."""
        return [_typed(parameter, self._types.get(parameter.name)) for parameter in parameters]

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            new = self.current.replaced({parameter.name: parameter.value for parameter in parameters})
            if new != self.current:
                self._prepare(new, self.current)()
        except Exception as exc:  # the seam: what leaves this callback ends the executor, and so the node
            reason = str(exc) if isinstance(exc, Recon3dError) else f"{type(exc).__name__}: {exc}"
            return SetParametersResult(successful=False, reason=reason)
        self.current = new
        return SetParametersResult(successful=True)


def _typed(parameter: Parameter, wanted: type | None) -> Parameter:
    if wanted is float and parameter.type_ == Parameter.Type.INTEGER:
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    if wanted is tuple and parameter.type_.name.endswith("_ARRAY") and not len(parameter.value):
        return Parameter(parameter.name, Parameter.Type.STRING_ARRAY, [])
    return parameter


def describe(spec: Option) -> ParameterDescriptor:
    """Return the descriptor of one option: description with unit, limits, choices, read-only mark."""
    descriptor = ParameterDescriptor(
        name=spec.name,
        type=_TYPES[spec.type].value,
        description=_meaning(spec),
        read_only=spec.read_only,
        dynamic_typing=spec.type in (float, tuple) and not _CAN_CORRECT_TYPES,
    )
    descriptor.additional_constraints = f"one of {', '.join(spec.choices)}" if spec.choices else ""
    if spec.minimum is None and spec.maximum is None:
        return descriptor
    if spec.type is int:
        low = -(2**63) if spec.minimum is None else int(spec.minimum)
        high = 2**63 - 1 if spec.maximum is None else int(spec.maximum)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
    else:
        low_f = -math.inf if spec.minimum is None else float(spec.minimum)
        high_f = math.inf if spec.maximum is None else float(spec.maximum)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f, step=0.0)]
    return descriptor


def _meaning(spec: Option) -> str:
    return f"{spec.description} [{spec.unit}]" if spec.unit else spec.description
