from __future__ import annotations

import subprocess
import sys

import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks import NETWORKS, build_network, network_config


def test_listing_the_networks_does_not_load_torch():
    code = "import sys, recon3d_ros.networks, recon3d_ros.training.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_config_survives_the_way_through_a_checkpoint(name):
    pytest.importorskip("torch", reason="networks are torch modules")
    network = build_network(name)
    again = build_network(name, network_config(network))
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize(
    ("name", "config", "word"),
    [("nonsense", None, "stereo"), ("stereo", {"depth": 3}, "depth"), ("stereo", {"bins": 0}, "bins")],
)
def test_wrong_name_or_field_is_one_sentence(name, config, word):
    pytest.importorskip("torch", reason="networks are torch modules")
    with pytest.raises(ConfigError, match=word) as caught:
        build_network(name, config)
    assert "\n" not in str(caught.value)
