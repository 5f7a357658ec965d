from __future__ import annotations

import pytest

from recon3d_ros.cli.main import main

pytest.importorskip("torch", reason="training needs it")

SMALL = (
    "--size 64 32 --render-width 96 --render-height 64 --validation-pairs 1 --max-pairs 2 --batch 2".split()
)
QUIET = "--loaders 0 --threads 1 --device cpu --precision fp32".split()


def test_train_resume_and_export_from_the_command_line(tmp_path, capsys):
    out = str(tmp_path / "run")
    words = ["train", "--out", out, *SMALL, *QUIET]
    assert main([*words, "--max-steps", "1"]) == 0
    first = capsys.readouterr().out
    assert "held-out" in first and "checkpoint.pt" in first

    assert main([*words, "--max-steps", "1"]) == 2
    assert "--resume" in capsys.readouterr().err

    assert main([*words, "--max-steps", "2", "--resume"]) == 0
    assert "from step 1" in capsys.readouterr().out

    models = tmp_path / "models"
    assert main(["export", f"{out}/checkpoint.pt", "--out", str(models)]) == 0
    assert "torch differ" in capsys.readouterr().out
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
