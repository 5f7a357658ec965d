"""The depth node under launch: how it is started again, and what includes hand to each other."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("launch.actions", reason="launch is in no wheel; a ROS 2 workspace has it")
pytest.importorskip("launch_ros", reason="launch_ros is in no wheel; a ROS 2 workspace has it")

from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

from launch import LaunchDescription, LaunchService
from recon3d_ros.config import launch_arguments
from recon3d_ros.ros.bridge.launching import started_again

LAUNCH = Path(__file__).resolve().parents[3] / "launch"


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Stand in for the executable: write its arguments down and end with the codes of a list, then with 0."""
    monkeypatch.setattr(launch_arguments, "_DELAY_S", 0.05)
    monkeypatch.setattr(launch_arguments, "_LONGEST_DELAY_S", 0.1)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    packages, folder = tmp_path / "share/ament_index/resource_index/packages", tmp_path / "lib/recon3d_ros"
    for each in (packages, folder):
        each.mkdir(parents=True)
    (packages / "recon3d_ros").touch()
    starts = tmp_path / "starts"

    def ends_with(*codes: int) -> Path:
        cases = "".join(f"{number + 1}) exit {code};; " for number, code in enumerate(codes))
        script = folder / "depth_node"
        script.write_text(
            f'#!/bin/sh\necho "$LEFT_BY $@" >> {starts}\n'
            f"case $(wc -l < {starts}) in {cases}*) exec sleep 60;; esac\n"
        )
        os.chmod(script, 0o755)
        return starts

    return ends_with


def run(*entities, until) -> None:
    """Run a launch until a condition holds or every process has ended."""
    watched = OpaqueFunction(function=lambda context: [EmitEvent(event=Shutdown())] if until() else [watch()])

    def watch() -> TimerAction:
        return TimerAction(period=0.05, actions=[watched])

    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([*entities, watch()]))
    assert service.run() in (0, 1)


def include(**arguments: str) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(LAUNCH / "stereo.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def lines(starts: Path) -> list[str]:
    return starts.read_text().splitlines() if starts.exists() else []


def test_what_cannot_start_is_tried_three_times(node, launch_log):
    starts = node(5, 5, 5)
    run(include(), until=lambda: "is not started again" in " ".join(launch_log))
    assert len(lines(starts)) == 3
    assert "3 times in a row with exit code 5" in " ".join(launch_log)


def test_what_crashes_is_started_again_and_again(node):
    starts = node(5, 5, 1, 139, 1, 5, 5, 134)
    run(include(), until=lambda: len(lines(starts)) == 9)
    assert len(lines(starts)) == 9


def test_a_node_keeps_what_its_group_gave_it_when_started_again(node, tmp_path):
    starts = node(1)
    group = [PushRosNamespace("robot"), SetEnvironmentVariable("LEFT_BY", "the group")]
    run(
        GroupAction([*group, include(depth_namespace="front", depth_model="fake_stereo")]),
        until=lambda: len(lines(starts)) == 2,
    )
    first, second = lines(starts)
    assert "__ns:=/robot/front" in first and first == second
    assert "--params-file" in first and first.startswith("the group ")


def test_a_wrong_argument_of_the_source_starts_no_node(node):
    starts = node()
    source = PythonLaunchDescriptionSource(str(LAUNCH / "demo.launch.py"))
    arguments = {"rate_hz": "x", "depth_rviz": "false"}
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments.items())])
    )
    assert service.run() == 1
    assert not lines(starts)


def test_the_delays_grow(node, launch_log):
    starts = node(1, 1, 1)
    run(include(), until=lambda: len(lines(starts)) == 4)
    said = [text for text in launch_log if "is started again" in text]
    assert said == [f"depth_node is started again in {delay_s} s" for delay_s in ("0.05", "0.1", "0.1")]


def test_any_process_can_be_started_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    monkeypatch.setattr(launch_arguments, "_DELAY_S", 0.05)
    starts = tmp_path / "starts"
    process = ExecuteProcess(
        cmd=["sh", "-c", f"echo $LEFT $PWD >> {starts}"], cwd=str(tmp_path), additional_env={"LEFT": "over"}
    )
    run(started_again(process), process, until=lambda: len(lines(starts)) == 3)
    assert set(lines(starts)) == {f"over {tmp_path}"}


def test_a_launch_that_ends_waits_for_no_restart(node, monkeypatch):
    monkeypatch.setattr(launch_arguments, "_DELAY_S", 60.0)
    monkeypatch.setattr(launch_arguments, "_LONGEST_DELAY_S", 60.0)
    starts, began_s = node(1), time.monotonic()
    run(include(), until=lambda: lines(starts) and time.monotonic() > began_s + 0.5)
    assert len(lines(starts)) == 1 and time.monotonic() < began_s + 30


def test_a_node_that_is_not_to_be_started_again_is_not(node):
    starts, began_s = node(1), time.monotonic()
    run(include(depth_respawn="0"), until=lambda: lines(starts) and time.monotonic() > began_s + 0.5)
    assert len(lines(starts)) == 1


@pytest.mark.parametrize("grouped", [False, True])
def test_what_an_include_hands_to_the_next_is_told(node, launch_log, grouped):
    starts = node()
    first, second = include(depth_rectify="true"), include(depth_namespace="rear")
    both = [GroupAction([each]) for each in (first, second)] if grouped else [first, second]
    run(*both, until=lambda: len(lines(starts)) == 2)
    assert ("depth_rectify:=true as in an earlier include" in " ".join(launch_log)) is not grouped
