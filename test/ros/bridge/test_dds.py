from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recon3d_ros.ros.bridge import dds
from recon3d_ros.ros.bridge.dds import PROFILE_VARIABLES, fit_profile, profile_environment

MIB = 1 << 20


def segment(environment) -> int:
    text = Path(environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
    return int(re.search(r"<segment_size>(\d+)<", text)[1])


def test_both_variables_name_the_profile():
    environment = profile_environment({})
    assert set(environment) == set(PROFILE_VARIABLES)
    assert segment(environment) == 128 * MIB


@pytest.mark.parametrize("name", PROFILE_VARIABLES)
def test_the_users_profile_stays(name):
    assert profile_environment({name: "/mine.xml"}) == {}


def test_enough_room_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(dds, "_free_bytes", lambda path: 1024 * MIB)
    environment = profile_environment({})
    assert fit_profile(environment, 3, tmp_path) == ""
    assert environment == profile_environment({}) and not list(tmp_path.iterdir())


def test_a_small_shared_memory_gets_small_segments(tmp_path, monkeypatch):
    monkeypatch.setattr(dds, "_free_bytes", lambda path: 64 * MIB)
    environment = profile_environment({})
    assert "64 MiB" in fit_profile(environment, 3, tmp_path)
    assert 8 * MIB <= segment(environment) <= 64 * MIB // 3
    assert set(environment.values()) == {str(tmp_path / "fastdds.xml")}


@pytest.mark.skipif(
    not dds.SHARED_MEMORY.is_dir() or dds._free_bytes(dds.SHARED_MEMORY) < 300 * MIB,
    reason="/dev/shm has no room for the segment",
)
def test_fast_dds_takes_the_profile():
    """A participant with our profile has a segment of our size; without it, none so big."""
    code = (
        "import os, rclpy; rclpy.init(); node = rclpy.create_node('probe')\n"
        "mapped = {line.split()[-1] for line in open('/proc/self/maps') if '/dev/shm/' in line}\n"
        "print(max(os.stat(name).st_size for name in mapped))\n"
        "node.destroy_node(); rclpy.shutdown()"
    )

    # Ports that a killed process has left in a domain still name its segments, of whatever size.
    taken = {
        (int(path.name[13:]) - 7400) // 250 for path in Path("/dev/shm").glob("fastrtps_port[0-9]*[0-9]")
    }
    domain = next(number for number in range(1, 101) if number not in taken)

    def biggest(environment) -> int:
        clean = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**clean, **environment, "ROS_DOMAIN_ID": str(domain)},
        )
        assert "XMLPARSER" not in done.stderr
        return int(done.stdout)

    assert biggest(profile_environment({})) >= 128 * MIB
    assert biggest({}) < 8 * MIB
