"""The environment in which big messages arrive: Fast DDS's profile with a large shared-memory segment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from recon3d_ros.share import share_path

# Fast DDS 2 (Humble to Jazzy) reads the first, Fast DDS 3 (Kilted and newer) the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def profile_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables to add so that clouds arrive; none where the user has chosen a profile already.

    Raises:
        DataError: config/fastdds.xml is not installed.
    """
    if any(environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(share_path("config", "fastdds.xml")))
