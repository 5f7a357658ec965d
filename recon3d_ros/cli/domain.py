"""A DDS domain of its own for a group of processes: other robots and demos neither hear nor disturb it."""

from __future__ import annotations

import os
import socket

from recon3d_ros.errors import ConfigError

# Domains above would put DDS ports into Linux's ephemeral range.
LAST_DOMAIN = 101


def claim_domain() -> tuple[int, socket.socket]:
    """Find a DDS domain for processes of our own.

    Returns:
        The domain, and the claim to keep open while it is used: an abstract Unix socket, which like DDS on
        loopback is bounded by the network namespace, and which ends with the process.

    Raises:
        ConfigError: all are claimed.
    """
    claim = socket.socket(socket.AF_UNIX)
    for offset in range(LAST_DOMAIN):
        domain = 1 + (os.getpid() + offset) % LAST_DOMAIN
        try:
            claim.bind(f"\0recon3d_ros-domain-{domain}")
        except OSError:
            continue
        return domain, claim
    claim.close()
    raise ConfigError(
        f"expected a free DDS domain, got all {LAST_DOMAIN} taken; end other demos and tests first"
    )
