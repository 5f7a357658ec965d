from __future__ import annotations

import socket

import pytest

from recon3d_ros.cli.domain import LAST_DOMAIN, claim_domain
from recon3d_ros.errors import ConfigError


def test_two_claims_two_domains():
    (first, a), (second, b) = claim_domain(), claim_domain()
    with a, b:
        assert first != second and {first, second} <= set(range(1, LAST_DOMAIN + 1))


def test_all_domains_taken_is_one_sentence(monkeypatch):
    class Taken(socket.socket):
        def bind(self, address):
            raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket, "socket", Taken)
    with pytest.raises(ConfigError, match="end other demos and tests first"):
        claim_domain()
