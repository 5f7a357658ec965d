from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy

from recon3d_ros.cli import map as map_verb
from recon3d_ros.cli import node
from recon3d_ros.config.parameters import scale_plan
from recon3d_ros.errors import DataError
from recon3d_ros.ros.node.depth_node import DepthNode


def words(*typed):
    parser = argparse.ArgumentParser()
    node.add_arguments(parser)
    return node.ros_words(parser.parse_args(list(typed)))


def test_later_words_win_so_files_come_first(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("")
    typed = ["-p", "max_depth_m:=9.5", "--mode", "mono", "--params-file", str(path), "-r", "__ns:=/front"]
    assert words(*typed, "--ros-args", "--log-level", "debug") == [
        "--ros-args", "--params-file", str(path), "-p", "max_depth_m:=9.5", "-p", "mode:=mono",
        "-r", "__ns:=/front", "--log-level", "debug",
    ]  # fmt: skip


def test_depth_from_motion_is_a_flag():
    typed = words("--mode", "mono", "--depth-from", "motion")
    assert typed == ["--ros-args", "-p", "mode:=mono", "-p", "depth_from:=motion"]


def test_a_flag_that_is_not_given_leaves_the_parameter_alone():
    assert words() == ["--ros-args"]


def test_the_map_node_has_flags_of_its_own(monkeypatch):
    given = []
    monkeypatch.setattr("recon3d_ros.ros.mapper.map_node.main", lambda words: given.append(words) or 0)
    parser = argparse.ArgumentParser()
    map_verb.add_arguments(parser)
    typed = ["--mode", "mono", "--poses", "odometry", "-p", "voxel_m:=0.05"]
    assert map_verb.main(parser.parse_args(typed)) == 0
    assert given == [["--ros-args", "-p", "voxel_m:=0.05", "-p", "mode:=mono", "-p", "poses:=odometry"]]


def test_a_parameter_file_that_is_not_there():
    with pytest.raises(DataError, match="check the path"):
        words("--params-file", "/nowhere.yaml")


def test_the_command_on_the_page_of_scales_needs_no_tf():
    page = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^recon3d node (.*)$", page, re.MULTILINE)
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        typed = shlex.split(command.replace("my_mono.yaml", "fake_mono"))
        example = DepthNode(context=context, cli_args=words(*typed))
        plan = scale_plan(example._live.current)
        assert plan.sensors == ("scan",) and not plan.needs_tf
        example.destroy_node()
    finally:
        context.try_shutdown()


@contextmanager
def start(*typed):
    process = subprocess.Popen(
        [sys.executable, "-m", "recon3d_ros", "node", *typed],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RCUTILS_COLORIZED_OUTPUT": "0"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process, text):
    """The first line of stderr that holds the text; what comes before is about the DDS profile."""
    lines = []
    for line in process.stderr:  # no end comes before the test's own deadline while the node runs
        if text in line:
            return line
        lines.append(line)
    raise AssertionError(f"expected {text!r}, got {lines}")


def test_it_runs_until_it_is_stopped():
    with start("--mode", "mono", "--model", "fake_mono", "-r", "__ns:=/front") as process:
        assert "/front/image" in said(process, "fake_mono")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_it_says_that_it_waits_for_its_transitions():
    with start("-p", "autostart:=false") as process:
        assert said(process, "waiting for the transitions configure and activate")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    "typed, code, sentence",
    [
        (["--model", "nonsense"], 5, "nearest name"),
        (["--model", "fake_stereo", "-p", "max_depth_m:=much"], 2, "max_depth_m"),
        (["--mode", "mono", "--model", "fake_stereo"], 2, "fake_stereo"),
    ],
)
def test_it_fails_in_one_sentence(typed, code, sentence):
    with start(*typed) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert sentence in stderr and "Traceback" not in stderr
