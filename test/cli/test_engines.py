"""`recon3d engines` over stand-ins for vendor and device, and for real where tensorrt_rtx is installed."""

from __future__ import annotations

import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.errors import BackendError


@pytest.fixture
def engines(fake_gpu, capsys):
    """Runs the verb on the stand-in's model; returns exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["engines", *words, "--models-dir", str(fake_gpu.folder)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_build_list_check_and_prune(fake_gpu, engines):
    code, out, _ = engines("build", "--all", "--sizes", "100x60")
    assert code == 0 and [line.split(":")[0] for line in out.splitlines()] == [
        "net (fp32)",
        "net (fp16)",
        "net (int8)",
    ]
    assert len(fake_gpu.built) == 3 and engines("build", "net", "--sizes", "100x60")[0] == 0
    assert len(fake_gpu.built) == 3  # they were there
    _, out, _ = engines("list")
    assert out.count("not run yet") == 3 and "Fake Orin, driver 540.3.0" in out and "1x3x64x128" in out
    code, out, _ = engines("check", "net", "--precision", "fp16", "--sizes", "100x60")
    assert (code, out) == (0, "net (fp16): passed on images of 100x60\n")
    assert engines("list")[1].count("passed") == 1
    assert "0 removed, 3 kept" in engines("prune")[1]
    fake_gpu.module.__version__ = "10.9.0"
    assert "3 removed, 0 kept" in engines("prune")[1] and not fake_gpu.store.entries()


def test_a_wrong_engine_is_told_pruned_or_forced(fake_gpu, engines):
    fake_gpu.kinds = {"fp16": "wrong"}
    words = ("net", "--precision", "fp16,fp32", "--sizes", "100x60")
    code, out, err = engines("check", *words)
    assert code == 5 and "golden output" in err and out.startswith("net (fp32): passed")
    code, _, err = engines("build", *words)
    assert code == 6 and "quarantine" in err and "--force" in err
    assert "1 removed, 1 kept" in engines("prune")[1]
    fake_gpu.kinds = {}
    assert engines("check", *words)[0] == 0 and len(fake_gpu.built) == 3
    assert engines("build", *words, "--force")[0] == 0 and len(fake_gpu.built) == 5


def test_one_that_cannot_be_built_hides_no_other(fake_gpu, engines):
    fake_gpu.kinds = {"int8": BackendError("takes no DequantizeLinear")}
    code, out, err = engines("build", "net", "--sizes", "100x60", "--precision", "int8,fp16")
    assert code == 6 and "takes no DequantizeLinear" in err and "net (fp16): " in out


def test_one_reason_is_told_once(engines):
    code, _, err = engines("check", "net", "--sizes", "640", "--precision", "fp32,fp16")
    assert code == 2 and err.count("must be sizes such as 640x480") == 1 and "net (fp16): the same" in err


def test_damaged_files_are_listed_and_pruned(fake_gpu, engines):
    engines("build", "net", "--precision", "fp32")
    (path,) = fake_gpu.store.folder.glob("*.json")
    path.write_text("{")
    assert "no readable description" in engines("list")[1]
    assert "1 removed, 0 kept" in engines("prune")[1]


@pytest.mark.parametrize(("words", "said"), [(("build",), "neither"), (("check", "net", "--all"), "both")])
def test_a_model_or_all_of_them(engines, words, said):
    code, _, err = engines(*words)
    assert code == 2 and said in err
