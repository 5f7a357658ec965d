from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from recon3d_ros.cli.main import main

pytest.importorskip("torch", reason="training needs it")

from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.training.export.calibration import calibrate
from recon3d_ros.training.run.checkpoint import load_checkpoint

SMALL = (
    "--size 64 32 --render-width 96 --render-height 64 --validation-pairs 1 --max-pairs 2 --batch 2".split()
)
QUIET = "--loaders 0 --threads 1 --device cpu --precision fp32".split()


def test_train_resume_and_export_from_the_command_line(tmp_path, capsys, monkeypatch):
    # Few and small scenes calibrate as well here, and render fifty times as fast.
    monkeypatch.setattr(
        "recon3d_ros.training.export.export.calibrate",
        lambda network, content, place, count: calibrate(network, content, place, min(count, 2)),
    )
    monkeypatch.setattr("recon3d_ros.training.export.calibration.CALIBRATION_SIZE_WH", (96, 64))
    # After two steps many disparities are about equally likely: rounding alone makes a few pixels jump.
    monkeypatch.setattr("recon3d_ros.training.export.export.LARGEST_SHARE", 0.02)
    out = str(tmp_path / "run")
    # Of two pairs it would depend on the renderer which one the first step sees, and so what is exported.
    small = [*SMALL, *QUIET, "--max-pairs", "1"]
    words = ["train", "--out", out, *small]
    assert main([*words, "--max-steps", "1"]) == 0
    first = capsys.readouterr().out
    assert "held-out" in first and "checkpoint.pt" in first

    assert main([*words, "--max-steps", "1"]) == 2
    assert "--resume" in capsys.readouterr().err

    models = tmp_path / "models"
    assert main([*words, "--max-steps", "2", "--resume", "--export", str(models), "--name", "mine"]) == 0
    resumed = capsys.readouterr().out
    assert "from step 1" in resumed and str(models / "mine.yaml") in resumed
    assert (models / "mine.onnx").is_file()

    pairs = ["--pairs", f"{out}/pairs"]  # those that are rendered
    begun = ["train", "--out", str(tmp_path / "next"), *pairs, *small, "--max-steps", "1", "--from"]
    assert main([*begun, str(models / "mine.pt")]) == 0
    assert "network stereo with" in capsys.readouterr().out
    assert main([*begun, str(models / "yours.pt")]) == 5 and "yours.pt" in capsys.readouterr().err
    mean = ["export", f"{out}/checkpoint.pt", str(models / "mine.yaml"), "--calibration-pairs", "2"]
    assert main([*mean, "--out", str(models)]) == 0
    assert "torch differ" in capsys.readouterr().out
    assert find_model("recon3d_stereo", models).origin.startswith("mean of 2 runs")
    assert main([*mean, "--out", str(models)]) == 2
    err = capsys.readouterr().err
    assert "--name" in err and "--force" in err and err.count("\n") == 1
    assert main([*mean, "--out", str(models), "--force"]) == 0
    capsys.readouterr()
    assert main(["models", "--models-dir", str(models)]) == 0
    assert "recon3d_stereo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", "100", "32"], "multiples of 32"),
        (["--network", "perceptron"], "stereo"),
        (["--device", "abacus"], "abacus"),
        (["--resume"], "checkpoint"),
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, capsys, words, said):
    assert main(["train", "--out", str(tmp_path), *SMALL, *words]) not in (0, 1)
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.slow
def test_bar_on_a_terminal_and_a_checkpoint_after_sigterm(tmp_path):
    """As batch systems and torchrun end a run; the bar moves meanwhile."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    words = [*SMALL, *QUIET, "--minutes", "30", "--validate-minutes", "1000"]
    child = subprocess.Popen(
        [sys.executable, "-m", "recon3d_ros", "train", "--out", str(tmp_path), *words],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    seen = ""
    try:
        end = time.monotonic() + 60.0
        # Time left is told once there were steps.
        while not re.search(r"0 %\|.*\d\d:\d\d<\d", seen) and time.monotonic() < end:
            seen += os.read(screen, 4096).decode(errors="replace")
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 130, seen
    finally:
        child.kill()
        child.wait()
        os.close(screen)
    assert "from step 0" in seen
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt")
    assert checkpoint["step"] > 0 and checkpoint["seconds"] > 0.0


@pytest.mark.slow
def test_a_mono_network_goes_on_at_its_own_size(tmp_path):
    """Served at the size that trained it, it would see another one if tuned at the usual size."""
    words = ["train", *QUIET, *SMALL[3:], "--max-steps", "1", "--losses", "log_l1=1"]
    assert main([*words, "--network", "mono", "--out", str(tmp_path / "first"), "--size", "96", "64"]) == 0
    start = str(tmp_path / "first" / "checkpoint.pt")
    assert main([*words, "--from", start, "--out", str(tmp_path / "second")]) == 0
    run = load_checkpoint(tmp_path / "second" / "checkpoint.pt")["run"]
    assert (run["network"], run["width"], run["height"]) == ("mono", 96, 64)


@pytest.mark.parametrize("name", ["", "..", "a/c"])
def test_a_name_that_no_file_can_have_is_refused_before_the_training(tmp_path, capsys, name):
    words = ["train", "--out", str(tmp_path / "run"), *SMALL, *QUIET, "--max-steps", "1"]
    assert main([*words, "--export", str(tmp_path / "models"), "--name", name]) == 2
    err = capsys.readouterr().err
    assert "--name" in err and err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_model_that_is_there_is_refused_before_the_training(tmp_path, capsys):
    models = tmp_path / "models"
    models.mkdir()
    (models / "recon3d_stereo.yaml").write_text("somebody's")
    words = [
        "train",
        "--out",
        str(tmp_path / "run"),
        *SMALL,
        *QUIET,
        "--max-steps",
        "1",
        "--export",
        str(models),
    ]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "--name" in err and "--force" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_resumed_run_stays_what_it_is_and_says_what_a_flag_changed(tmp_path, capsys):
    out = ["train", "--out", str(tmp_path / "run")]
    assert main([*out, *SMALL, *QUIET, "--max-steps", "1", "--losses", "smooth_l1=1"]) == 0
    assert "changed" not in capsys.readouterr().out
    before = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["run"]
    assert main([*out, "--resume", "--max-steps", "2"]) == 0
    assert "; changed: max_steps 2 (was 1)\n" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["run"] == before | {"max_steps": 2}

    words = ["--resume", "--size", "32", "32", "--weight-decay", "0.5", "--max-steps", "3"]
    assert main([*out, *words]) == 0
    said = capsys.readouterr().out
    assert "width 32 (was 64)" in said and "weight_decay 0.5 (was 0.0001)" in said
    saved = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert (saved["run"]["width"], saved["run"]["losses"]) == (32, "smooth_l1=1")
    assert saved["optimizer"]["param_groups"][0]["weight_decay"] == 0.5

    assert main([*out, "--resume", "--from", "other.pt"]) == 2
    assert "--from other.pt" in capsys.readouterr().err
    assert main([*out, "--resume", "--network", "mono"]) == 5
    assert "--network" in capsys.readouterr().err


def test_unknown_loss_names_its_neighbour(tmp_path, capsys):
    assert main(["train", "--out", str(tmp_path), *SMALL, "--losses", "smooth_l2=1"]) == 2
    assert "did you mean 'smooth_l1'" in capsys.readouterr().err


def test_torchrun_that_tells_half_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "--out", str(tmp_path), *SMALL]) == 2
    assert "LOCAL_RANK" in capsys.readouterr().err
