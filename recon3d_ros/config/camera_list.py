"""The YAML that lists the cameras of a robot, and the nodes that are to be started for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon3d_ros.config.node import NodeConfig
from recon3d_ros.config.parameters import DEPTH_NODE, ParameterSet, is_of_rclpy, parameters
from recon3d_ros.errors import ConfigError
from recon3d_ros.files.yaml_document import read_yaml

_KEYS = ("one_process", "parameters", "cameras")
# Parameters that a list of cameras cannot set, and why.
REFUSED = {"cameras": "the namespaces below the key cameras: are its value"}


@dataclass(frozen=True)
class NodePlan:
    """One node to start: below which namespace, and with which parameters."""

    namespace: str
    parameters: Mapping[str, Any]


def read_camera_list(path: Path | str) -> list[NodePlan]:
    """Read a list of cameras; see config/cameras/two_pairs.yaml for what may stand in it.

    Returns:
        One node that serves all of them, or with ``one_process: false`` one node each.

    Raises:
        DataError: the file cannot be read, or is no YAML.
        ConfigError: an unknown key or parameter, a wrong value, or no cameras.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("cameras"), dict):
        raise ConfigError(f"expected a mapping cameras: of namespaces in {path}, got {document!r:.60}")
    unknown = [str(key) for key in document if key not in _KEYS]
    if unknown:
        raise ConfigError(f"{path} has {', '.join(unknown)}, which means nothing: take {', '.join(_KEYS)}")
    common = _named(document.get("parameters") or {}, "parameters", path)
    own = {
        str(name): _named(given or {}, f"cameras: {name}", path)
        for name, given in document["cameras"].items()
    }
    NodeConfig(cameras=tuple(own))  # as namespaces
    if not own:
        raise ConfigError(
            f"expected at least one camera in {path}, got none: name its namespace below cameras:"
        )
    special = [name for name, given in own.items() if given]
    if not document.get("one_process", True):
        plans = [NodePlan(name, {**common, **given}) for name, given in own.items()]
    elif special:
        raise ConfigError(
            f"{path} has parameters of its own for {', '.join(special)}, but one process has one set: "
            "move them to parameters: or set one_process: false"
        )
    else:
        plans = [NodePlan("", {**common, "cameras": list(own)})]
    for plan in plans:
        _check_values(plan, path)
    return plans


def _named(given: Any, where: str, path: Path | str) -> dict[str, Any]:
    """Parameters by names that a depth node has."""
    if not isinstance(given, dict):
        raise ConfigError(f"expected parameters by name below {where} in {path}, got {given!r:.60}")
    known = parameters(DEPTH_NODE)
    for name in map(str, given):
        if name in REFUSED:
            raise ConfigError(
                f"{where} in {path} has {name}, which is no parameter to be set there: {REFUSED[name]}"
            )
        if name not in known and not is_of_rclpy(name):
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"{where} in {path} has {name}, which is no parameter of depth_node: "
                + (f"did you mean {near[0]}?" if near else "docs/parameters.md lists them")
            )
    return dict(given)


def _check_values(plan: NodePlan, path: Path | str) -> None:
    """Refuse what the node would refuse at its start, but for what other parameter files could add to it."""
    known = parameters(DEPTH_NODE)
    try:
        ParameterSet.of(DEPTH_NODE, {name: v for name, v in plan.parameters.items() if name in known})
    except ConfigError as exc:
        where = f"the parameters of {plan.namespace}" if plan.namespace else "parameters"
        raise ConfigError(f"{where} in {path}: {exc}") from exc
