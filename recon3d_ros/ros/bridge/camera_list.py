"""The YAML that lists the cameras of a robot, and the nodes that are to be started for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recon3d_ros.config import ModelConfig, NodeConfig, PipelineConfig, options
from recon3d_ros.errors import ConfigError, DataError

_KEYS = ("one_process", "parameters", "cameras")
_CLASSES = (NodeConfig, PipelineConfig, ModelConfig)


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
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise DataError(f"expected a YAML list of cameras in {path}, got: {exc}; check the path") from exc
    if not isinstance(document, dict) or not isinstance(document.get("cameras"), dict):
        raise ConfigError(f"expected a mapping cameras: of namespaces in {path}, got {document!r}")
    unknown = [str(key) for key in document if key not in _KEYS]
    if unknown:
        raise ConfigError(f"{path} has {', '.join(unknown)}, which means nothing: take {', '.join(_KEYS)}")
    common = _checked(document.get("parameters") or {}, "parameters", path)
    own = {
        str(name): _checked(given or {}, f"cameras: {name}", path)
        for name, given in document["cameras"].items()
    }
    NodeConfig(cameras=tuple(own))  # as namespaces
    if not own:
        raise ConfigError(
            f"expected at least one camera in {path}, got none: name its namespace below cameras:"
        )
    if not document.get("one_process", True):
        return [NodePlan(name, {**common, **given}) for name, given in own.items()]
    special = [name for name, given in own.items() if given]
    if special:
        raise ConfigError(
            f"{path} has parameters of its own for {', '.join(special)}, but one process has one set: "
            "move them to parameters: or set one_process: false"
        )
    return [NodePlan("", {**common, "cameras": list(own)})]


def _checked(given: Any, where: str, path: Path | str) -> dict[str, Any]:
    """Parameters as a node would take them."""
    if not isinstance(given, dict):
        raise ConfigError(f"expected parameters by name below {where} in {path}, got {given!r}")
    rest = {str(name): value for name, value in given.items() if name not in ("cameras", "use_sim_time")}
    try:
        for config in _CLASSES:
            known = {spec.name for spec in options(config)}
            config(**{name: rest.pop(name) for name in list(rest) if name in known})
    except ConfigError as exc:
        raise ConfigError(f"{where} in {path}: {exc}") from exc
    unknown = [*rest, *(["cameras"] if "cameras" in given else [])]
    if unknown:
        raise ConfigError(
            f"{where} in {path} has {', '.join(unknown)}, which is no parameter to be set there"
        )
    return dict(given)
