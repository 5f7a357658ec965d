"""The command line and the environment of a node."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from rclpy.node import Node

from recon3d_ros import __version__
from recon3d_ros.errors import ConfigError
from recon3d_ros.ros.bridge.initialization import initialize
from recon3d_ros.ros.bridge.runtime import run_node

ROOT = Path(__file__).resolve().parents[3]
EXECUTABLES = {
    "depth_node": "node.depth_node",
    "map_node": "mapper.map_node",
    "image_source": "player.image_source",
}


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "- max_depth_m",
        "3.0",
        "max_depth_m: 3.0",
        "/**: {max_depth_m: 3.0}",
        "/**: {ros__parameters: }",
        "{a: {ros__parameters: {}}, b: 3}",
    ],
)
def test_a_parameter_file_without_names_is_refused(tmp_path, capfd, content):
    file = tmp_path / "params.yaml"
    file.write_text(content)
    made = []
    args = ["--ros-args", "--params-file", str(file)]
    assert run_node(lambda: made.append(Node("none")), args=args) == ConfigError.exit_code
    said = capfd.readouterr().err
    assert f"expected names of nodes, ros__parameters and parameters in {file}, got" in said
    assert "write '/**: {ros__parameters: {max_depth_m: 10.0}}'" in said
    assert not made


def test_a_parameter_file_is_a_regular_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    with pytest.raises(ConfigError, match="regular file"):
        initialize(["--ros-args", "--params-file", str(tmp_path / "pipe")])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# max_depth_m",
        "/**: {ros__parameters: {max_depth_m: 3.0}}",
        "/front: {depth_node: {ros__parameters: {max_depth_m: 3.0}}, other: {ros__parameters: {}}}",
    ],
)
def test_a_parameter_file_may_be_empty_or_of_several_nodes(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_text(content)

    def make_node():
        raise KeyboardInterrupt

    assert run_node(make_node, args=["--ros-args", "--params-file", str(file)]) == 0


def executable(name: str, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a node as its console script does: `main` without arguments."""
    module = f"recon3d_ros.ros.{EXECUTABLES[name]}"
    code = f"import sys; from {module} import main; sys.argv[0] = '/opt/{name}'; sys.exit(main())"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


@pytest.mark.parametrize("name", EXECUTABLES)
def test_an_executable_says_what_it_is(name):
    asked = executable(name, "--help")
    assert asked.returncode == 0 and f"usage: {name}" in asked.stdout and "--ros-args" in asked.stdout
    version = executable(name, "--version", "--ros-args", "-p", "rate_hz:=3.0")
    assert (version.returncode, version.stdout.strip()) == (0, f"recon3d_ros {__version__}")


@pytest.mark.parametrize("name", EXECUTABLES)
def test_words_that_are_not_for_ros_are_refused(name):
    done = executable(name, "--model", "--ros-args", "-p", "rate_hz:=3.0")
    assert done.returncode == 2 and "unrecognized arguments: --model" in done.stderr
    assert "Traceback" not in done.stderr


SECURE = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ROS_DOMAIN_ID": "999"}, "from 0 to 232 in ROS_DOMAIN_ID, got '999'"),
        ({"ROS_DOMAIN_ID": "abc"}, "from 0 to 232 in ROS_DOMAIN_ID, got 'abc'"),
        ({"ROS_LOG_DIR": "/proc/nowhere"}, "set ROS_LOG_DIR"),
        ({**SECURE, "ROS_SECURITY_KEYSTORE": "/no/keys"}, "ROS_SECURITY_KEYSTORE (/no/keys)"),
        ({**SECURE, "ROS_SECURITY_KEYSTORE": ""}, "set it, or ROS_SECURITY_ENABLE=false"),
        ({**SECURE, "ROS_SECURITY_KEYSTORE": "UNSIGNED"}, "ros2 security create_enclave"),
    ],
)
def test_a_wrong_environment_is_one_sentence_that_names_the_variable(tmp_path, environment, words):
    for file in ("enclaves/governance.p7s", "enclaves/permissions.p7s"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("no signature")
    environment = {name: value.replace("UNSIGNED", str(tmp_path)) for name, value in environment.items()}
    done = executable("depth_node", "--ros-args", "-p", "autostart:=false", **environment)
    fatal = [line for line in done.stderr.splitlines() if "[FATAL]" in line]
    assert done.returncode == ConfigError.exit_code, done.stderr
    assert len(fatal) == 1 and words in fatal[0]
    assert "Traceback" not in done.stderr and "correct the part after --ros-args" not in done.stderr


@pytest.mark.parametrize("name", EXECUTABLES)
@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["-p", "use_sim_time:='true'"], "'use_sim_time' to 'true' of type 'STRING'"),
        (["-p", "start_type_description_service:=5"], "start_type_description_service"),
        (["--enclave", "mine"], "behind --enclave"),
    ],
)
def test_a_node_that_cannot_be_made_says_why_in_one_sentence(name, words, cause):
    if "start_type" in words[-1] and find_spec("rclpy.type_description_service") is None:
        pytest.skip("Humble describes no types")
    done = executable(name, "--ros-args", *words)
    fatal = [line for line in done.stderr.splitlines() if "[FATAL]" in line]
    assert done.returncode == ConfigError.exit_code, done.stderr
    assert len(fatal) == 1 and cause in fatal[0] and "Traceback" not in done.stderr
