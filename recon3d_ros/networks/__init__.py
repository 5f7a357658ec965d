"""Networks of our own: a `torch.nn.Module` with its config dataclass beside it, by name.

The table holds import strings, so listing the networks does not load torch.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recon3d_ros.errors import ConfigError
from recon3d_ros.system import lazy

if TYPE_CHECKING:
    from recon3d_ros.networks.completion import CompletionNetwork
    from recon3d_ros.networks.mono import MonoNetwork
    from recon3d_ros.networks.pillars import PillarsNetwork
    from recon3d_ros.networks.point_set import PointSetNetwork
    from recon3d_ros.networks.stereo import StereoNetwork

    Network = StereoNetwork | MonoNetwork | PillarsNetwork | PointSetNetwork | CompletionNetwork

MONO = ("recon3d_ros.networks.mono:MonoNetwork", "recon3d_ros.networks.mono:MonoConfig")
PILLARS = ("recon3d_ros.networks.pillars:PillarsNetwork", "recon3d_ros.networks.pillars:PillarsConfig")
POINT_SET = (
    "recon3d_ros.networks.point_set:PointSetNetwork",
    "recon3d_ros.networks.point_set:PointSetConfig",
)
COMPLETION = (
    "recon3d_ros.networks.completion:CompletionNetwork",
    "recon3d_ros.networks.completion:CompletionConfig",
)
STEREO = ("recon3d_ros.networks.stereo:StereoNetwork", "recon3d_ros.networks.stereo:StereoConfig")
# name -> (module, config dataclass beside it, fields that differ from its defaults); the checkpoint carries
# name and config.
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stereo": (
        *STEREO,
        {"logits_kernel": 1, "refinement": 64, "ordered": True, "nearer": 1.5, "context": True},
    ),
    "stereo_light": (
        *STEREO,
        {
            "bins": 48,
            "step_px": 4,
            "features": (32, 48, 96),
            "matching": 32,
            "guidance": 16,
            "hourglass": (48, 80, 128),
            "blocks": (1, 1, 2),
            "window": 1,
            "uncertainty": 24,
            "logits_kernel": 1,
            "ordered": True,
            "nearer": 1.5,
            "context": True,
        },
    ),
    "mono": (*MONO, {}),
    "point_labels": (*PILLARS, {}),
    "point_set": (*POINT_SET, {}),
    "completion": (*COMPLETION, {}),
}
# Of each module: what it is trained for.
_TASKS = {
    STEREO[0]: "stereo",
    MONO[0]: "mono",
    PILLARS[0]: "points",
    POINT_SET[0]: "point_set",
    COMPLETION[0]: "completion",
}
# Tasks that learn single objects.
SHAPE_TASKS = ("point_set", "completion")


def task_of(name: str) -> str:
    """What a network is trained for: `mono`, `points`, `point_set`, `completion`, or `stereo`.

    An unknown one is taken for the last.
    """
    return _TASKS[NETWORKS.get(name, STEREO)[0]]


def build_network(name: str, config: dict[str, Any] | None = None) -> Network:
    """A freshly initialised network.

    Args:
        name: A key of `NETWORKS`.
        config: Fields of the network's config dataclass, of which it has the defaults for those that are
            missing, as a checkpoint of an earlier version has them; None means what the table says.

    Raises:
        ConfigError: The name or a field is unknown, or a value is out of range.
        MissingDependencyError: torch is not installed.
    """
    if name not in NETWORKS:
        raise ConfigError(f"expected a network out of {sorted(NETWORKS)}, got '{name}': choose one of them")
    lazy.require("torch", extra="train")
    *targets, defaults = NETWORKS[name]
    module, config_class = (lazy.load(target) for target in targets)
    try:
        settings = config_class(**(defaults if config is None else config))
    except TypeError as exc:
        raise ConfigError(
            f"expected the fields of {config_class.__name__}, got {sorted(config or {})}: "
            "the checkpoint was made by another version of this network, train it again"
        ) from exc
    network: Network = module(settings)
    return network


def network_config(network: Network) -> dict[str, Any]:
    """The config of a network as a plain dict that `build_network` takes back."""
    return asdict(network.config)
