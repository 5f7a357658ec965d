from __future__ import annotations

import subprocess
import sys

import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks import NETWORKS, build_network, network_config


def test_listing_the_networks_does_not_load_torch():
    code = "import sys, recon3d_ros.networks, recon3d_ros.training.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_preset_differs_from_the_defaults():
    pytest.importorskip("torch", reason="networks are torch modules")
    light = build_network("stereo_light")
    assert (light.config.step_px, light.config.bins, light.config.logits_kernel) == (4, 48, 1)
    assert build_network("stereo").config.step_px == 2


def test_a_config_of_an_earlier_version_means_the_network_of_that_version():
    pytest.importorskip("torch", reason="networks are torch modules")
    network = build_network("stereo", {"bins": 56})
    assert (network.config.bins, network.config.logits_kernel, network.config.refinement) == (56, 3, 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_config_survives_the_way_through_a_checkpoint(name):
    pytest.importorskip("torch", reason="networks are torch modules")
    network = build_network(name)
    again = build_network(name, network_config(network))
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize(
    ("name", "config", "word"),
    [
        ("nonsense", None, "stereo"),
        ("stereo", {"depth": 3}, "depth"),
        ("stereo", {"bins": 0}, "bins"),
        ("stereo_light", {"step_px": 3}, "step_px"),
        ("stereo", {"window": -1}, "window"),
        ("stereo", {"nearer": -0.5}, "nearer"),
        ("stereo", {"blocks": (1, 2)}, "three"),
    ],
)
def test_wrong_name_or_field_is_one_sentence(name, config, word):
    pytest.importorskip("torch", reason="networks are torch modules")
    with pytest.raises(ConfigError, match=word) as caught:
        build_network(name, config)
    assert "\n" not in str(caught.value)
