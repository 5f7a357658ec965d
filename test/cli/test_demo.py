"""The demo with real processes, real DDS and the fake model; the network's own demo is `make demo`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from recon3d_ros.cli import demo as demo_verb
from recon3d_ros.cli.children import Child
from recon3d_ros.cli.demo import choose_model, make_plan
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import CalibrationError, ConfigError, DataError, ManifestError, OutputError
from recon3d_ros.files import write_image
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.ros.demo.report import ROWS

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def pairs(tmp_path):
    """A folder of three pairs with their calibration."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "pairs"
    for side in ("left", "right"):
        (folder / side).mkdir(parents=True)
        for i in range(3):
            write_image(folder / side / f"{i}.png", rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=80.0, baseline_m=0.1)
    document = {"left": rig.left.to_dict(), "right": rig.right.to_dict()}
    (folder / "camera.yaml").write_text(yaml.safe_dump(document))
    return folder


def command(*words):
    return [sys.executable, "-m", "recon3d_ros", "demo", *map(str, words)]


def demo(*words, **environment):
    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )


def running(folder: Path) -> list[int]:
    """Processes that were started for this output folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in words:
                found.append(int(entry.name))
    return found


def test_pairs_from_a_folder_to_a_report(pairs, tmp_path):
    out = tmp_path / "out"
    done = demo("--input", pairs, "--model", "fake_stereo", "--out", out, "--seconds", 1, "--rate-hz", 10)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    assert report.keys() >= ROWS.keys()
    assert report["clouds_out"] > 0 and report["frames_in"] == report["clouds_out"] + report["dropped"]
    assert report["latency_ms_p50"] > 0 and report["abs_rel"] is None and report["coverage"] is None
    assert report["node"]["model"] == "fake_stereo"
    drawn = {"cloud.png"} if importlib.util.find_spec("open3d") else set()
    assert set(report["files"]) == {"input.png", "depth.png", "cloud.ply"} | drawn
    assert str(out / "report.md") in done.stdout and "clouds out" in done.stdout
    assert "starting" in done.stderr  # it showed life
    assert not running(tmp_path)


def test_a_crashed_node_ends_the_demo_with_its_last_lines(pairs, tmp_path):
    out = tmp_path / "out"
    words = ["--input", pairs, "--model", "fake_stereo", "--out", out]
    done = demo(*words, "--backend", "onnxruntime")  # which has no file to open for the fake
    assert done.returncode > 0
    assert "node ended with" in done.stderr and "fake_stereo" in done.stderr
    assert not (out / "report.json").exists()
    assert not running(tmp_path)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_interrupted_it_leaves_no_process(pairs, tmp_path, number, code):
    out = tmp_path / "out"
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the demo starts with what is ignored here
    with subprocess.Popen(command("--input", pairs, "--model", "fake_stereo", "--out", out)) as process:
        deadline = time.monotonic() + 60
        while not (out / "recorder.log").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        signal.signal(signal.SIGHUP, former)
        process.send_signal(number)
        assert process.wait(40) == code
    assert not running(tmp_path)


@pytest.mark.parametrize(
    "words, code, sentence",
    [
        (["--input", "/nowhere"], 7, "check the path"),
        (["--model", "nonsense"], 5, "nearest name"),
        (["--model", "fake_mono"], 2, "expected a stereo model"),
        (["--min-depth-m", "5", "--max-depth-m", "2"], 2, "min_depth_m must be less"),
        (["--model", "fake_stereo", "--out", "/dev/null/x"], 8, "choose another place"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_starts(words, code, sentence, tmp_path):
    done = demo("--out", tmp_path, *words)
    assert done.returncode == code
    assert sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_plan_follows_the_input(pairs):
    plan = make_plan(str(pairs), "")
    assert plan.stereo and not plan.rectify and plan.image_topic == "left/image_rect" and not plan.notes
    single = make_plan(str(pairs / "left"), "")
    assert not single.stereo and single.image_topic == "image"
    assert "60 degrees is assumed" in single.notes[0]
    raw = PinholeCamera(
        WIDTH, HEIGHT, PinholeCamera.simple(WIDTH, HEIGHT, 80.0).k, np.array([0.1, 0, 0, 0, 0])
    )
    (pairs / "left" / "camera.yaml").write_text(yaml.safe_dump(raw.to_dict()))
    calibrated = make_plan(str(pairs / "left"), "")
    assert calibrated.rectify and calibrated.image_topic == "image_raw" and not calibrated.notes
    (pairs / "camera.yaml").unlink()
    with pytest.raises(CalibrationError, match="left: and right:"):
        make_plan(str(pairs), "")
    with pytest.raises(DataError):
        make_plan(str(pairs / "nowhere"), "")


def test_a_model_for_the_kind_of_input(tmp_path):
    assert choose_model(ModelConfig(model="fake_mono"), stereo=False) == "fake_mono"
    assert choose_model(ModelConfig(model="fake_stereo"), stereo=True) == "fake_stereo"
    with pytest.raises(ManifestError, match="no model 'recon3d_mono' in"):
        choose_model(ModelConfig(models_dir=str(tmp_path)), stereo=False)
    with pytest.raises(ConfigError, match="expected a mono model"):
        choose_model(ModelConfig(model="fake_stereo"), stereo=False)


def child(code: str, folder: Path) -> Child:
    return Child("worker", ["-c", code], {"WORD": "hello"}, folder)


def test_a_child_logs_and_says_how_it_goes(tmp_path):
    code = (
        "import os; print('[INFO] [17.5] [a.b]: ' + os.environ['WORD']); print('[INFO] [17.6] [a.b]: done')"
    )
    worker = child(code, tmp_path)
    deadline = time.monotonic() + 60
    while worker.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert worker.exit_code == 0 and worker.last_message() == "done"
    assert worker.last_lines(5)[0].endswith("hello")
    worker.interrupt()  # of what has ended: nothing
    worker.stop()


def test_a_child_that_ignores_ctrl_c_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("recon3d_ros.cli.children.STOP_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up'); time.sleep(60)"
    worker = child(code, tmp_path)
    deadline = time.monotonic() + 60
    while not worker.last_message() and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.interrupt()
    worker.stop()
    assert worker.exit_code == -signal.SIGKILL


def test_a_second_ctrl_c_leaves_no_process_either(tmp_path, monkeypatch):
    monkeypatch.setattr("recon3d_ros.cli.children.STOP_S", 0.6)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up'); time.sleep(60)"
    monkeypatch.setattr(
        demo_verb, "_commands", lambda *rest: {name: ["-c", code] for name in ("one", "other")}
    )
    plan, args = make_plan("world", ""), argparse.Namespace(out=tmp_path)
    again = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    with (
        pytest.raises(KeyboardInterrupt),
        demo_verb._children(args, plan, "fake_stereo", PipelineConfig()) as children,
    ):
        deadline = time.monotonic() + 60
        while not all(one.last_message() for one in children) and time.monotonic() < deadline:
            time.sleep(0.02)
        again.start()
    try:
        assert [one.exit_code for one in children] == [-signal.SIGKILL] * 2
    finally:
        for one in children:
            one.stop()


def test_a_log_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="choose another place"):
        child("pass", tmp_path / "nowhere")


def test_too_short_a_demo_is_refused_before_it_starts(tmp_path, capsys):
    from recon3d_ros.cli.main import main

    assert main(["demo", "--seconds", "0", "--out", str(tmp_path / "out")]) == 2
    assert "--seconds of at least 0.5, got 0" in capsys.readouterr().err and not (tmp_path / "out").exists()
