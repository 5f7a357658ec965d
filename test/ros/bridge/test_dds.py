from __future__ import annotations

import fcntl
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
    text = Path(environment["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text()
    return int(re.search(r"<segment_size>(\d+)<", text)[1])


def test_the_variables_name_the_profile():
    environment = profile_environment({})
    # Fast DDS 3, which Kilted has, warns of the variable of Fast DDS 2
    kilted = "/libfastdds.so" in Path("/proc/self/maps").read_text()
    assert set(environment) == set(PROFILE_VARIABLES[1:] if kilted else PROFILE_VARIABLES)
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


needs_room = pytest.mark.skipif(
    not dds.SHARED_MEMORY.is_dir() or dds._free_bytes(dds.SHARED_MEMORY) < 300 * MIB,
    reason="/dev/shm has no room for the segment",
)
# prints the size of the largest segment that the process has mapped
LARGEST = (
    "mapped = {line.split()[-1] for line in open('/proc/self/maps') if '/dev/shm/' in line}\n"
    "print(max(os.stat(name).st_size for name in mapped))\n"
)


def run_code(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run Python code without the profile of the tests, in a domain that nobody uses."""
    # Ports that a killed process has left in a domain still name its segments, of whatever size.
    taken = {
        (int(path.name[13:]) - 7400) // 250 for path in Path("/dev/shm").glob("fastrtps_port[0-9]*[0-9]")
    }
    domain = next(number for number in range(1, 101) if number not in taken)
    clean = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **environment, "ROS_DOMAIN_ID": str(domain)},
    )


@needs_room
def test_fast_dds_takes_the_profile():
    """A participant with our profile has a segment of our size; without it, none so big."""
    code = (
        "import os, rclpy; rclpy.init(); node = rclpy.create_node('probe')\n"
        f"{LARGEST}node.destroy_node(); rclpy.shutdown()"
    )

    def largest(environment) -> int:
        done = run_code(code, environment)
        assert "XMLPARSER" not in done.stderr
        return int(done.stdout)

    assert largest(profile_environment({})) >= 128 * MIB
    assert largest({}) < 8 * MIB


STARTS = {
    "depth_node": ("recon3d_ros.ros.node.depth_node", "DepthNode", "autostart:=false"),
    "map_node": ("recon3d_ros.ros.mapper.map_node", "MapNode", "autostart:=false"),
    "image_source": ("recon3d_ros.ros.player.image_source", "ImageSource", "world_frames:=1"),
}


@needs_room
@pytest.mark.parametrize("own_profile", [False, True])
@pytest.mark.parametrize("name", STARTS)
def test_the_executables_take_the_profile_unless_the_user_has_one(tmp_path, name, own_profile):
    """As `ros2 run` starts them: by their `main`, with nothing in the environment."""
    module, node, parameter = STARTS[name]
    measure = "".join(f"        {line}\n" for line in LARGEST.splitlines())
    code = (
        f"import os, {module} as module\n"
        f"class Measured(module.{node}):\n"
        "    def __init__(self, **options):\n"
        "        super().__init__(**options)\n"
        f"{measure}"
        "        self.context.try_shutdown()\n"
        f"module.{node} = Measured\n"
        f"module.main(['{name}', '--ros-args', '-p', '{parameter}', '-p', 'width:=64', '-p', 'height:=48'])"
    )
    done = run_code(code, {PROFILE_VARIABLES[0]: own(tmp_path)} if own_profile else {})
    said = f"Fast DDS takes the profile {profile_environment({})[PROFILE_VARIABLES[1]]}"
    assert (said in done.stdout + done.stderr) is not own_profile
    mapped = int([line for line in done.stdout.splitlines() if line.isdigit()][-1])
    assert mapped >= 128 * MIB if not own_profile else 15 * MIB < mapped < 32 * MIB


def own(folder: Path) -> str:
    """The user's profile: ours with segments of 16 MiB."""
    text = Path(profile_environment({})[PROFILE_VARIABLES[1]]).read_text()
    path = folder / "mine.xml"
    path.write_text(re.sub(r"(?<=<segment_size>)\d+", str(16 * MIB), text))
    return str(path)


def test_segments_of_killed_processes_are_removed(tmp_path, monkeypatch):
    def segment(name, locked, with_lock=True):
        (tmp_path / name).write_bytes(b"\1" * 8192)
        if with_lock:
            lock = open(tmp_path / f"{name}_el", "w")
            if locked:
                fcntl.flock(lock, fcntl.LOCK_EX)
            return lock

    dead = [segment("fastrtps_ffffffffffffffff", False), segment("fastdds_fffffffffffffff0", False)]
    lives = [segment("fastdds_0123456789abcdef", True), segment("fastdds_port7411", False)]
    segment("fastdds_0123456789abcde0", False, with_lock=False)
    segment("someone_else", False)
    assert dds.remove_dead_segments(tmp_path) == (0, 0)  # they are too young
    monkeypatch.setattr(dds, "_SETTLED_S", -1.0)
    kept = {path.name for path in tmp_path.iterdir()} - {
        f"{name}{suffix}"
        for name in ("fastrtps_ffffffffffffffff", "fastdds_fffffffffffffff0")
        for suffix in ("", "_el")
    }
    count, taken = dds.remove_dead_segments(tmp_path)
    assert count == 2 and taken >= 16384
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert dead and lives


@needs_room
def test_a_killed_process_leaves_a_segment_that_counts_as_dead():
    code = "import rclpy; rclpy.init(args=[]); n = rclpy.create_node('x'); print('up', flush=True); input()"
    environment = {**os.environ, **profile_environment({})}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        maps = Path(f"/proc/{child.pid}/maps").read_text()
        mapped = {Path(line.split()[-1]) for line in maps.splitlines() if "/dev/shm/" in line}
        own = [path for path in mapped if dds.SEGMENT_FILE.fullmatch(path.name)]
        assert own and all(dds.is_locked(dds.lock_of(path)) for path in own)
        for path in own:
            path.touch()  # or a node of another test that starts now removes what was left long ago
        child.kill()
    assert all(path.exists() and not dds.is_locked(dds.lock_of(path)) for path in own)
    for path in own:
        path.unlink()
        dds.lock_of(path).unlink()
