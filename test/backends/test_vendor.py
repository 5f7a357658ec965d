"""What the vendor says becomes one sentence that names a command that helps."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from recon3d_ros.backends import vendor as vendors
from recon3d_ros.backends.gpu import Gpu, find_gpu
from recon3d_ros.backends.vendor import EngineRefused, Vendor, load_vendor, refusal
from recon3d_ros.errors import BackendError, ConfigError, MissingDependencyError
from recon3d_ros.system.installing import how_to_install

SAID = [
    ("Requested amount of GPU memory could not be allocated: out of memory", "nvidia-smi lists", False),
    ("CUDA initialization failure with error: 35", "ubuntu-drivers install", False),
    ("(cudaError 35: CUDA driver version is insufficient for CUDA runtime version)", "too old", False),
    ("OLD_CUDA_DRIVER", "too old", False),
    ("no CUDA-capable device is detected", "nvidia-smi", False),
    (
        "The engine plan file is generated on an incompatible device, expecting compute 8.9 got compute 8.6, "
        "please rebuild.",
        "recon3d engines build --force",
        True,
    ),
    ("UNSUPPORTED_CC", "another GPU", True),
    (
        "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.Version tag does not match. "
        "Note: Current Version: 239, Serialized Engine Version: 238",
        "another version",
        True,
    ),
    ("MALFORMED_ENGINE", "not a valid engine", True),
    ("an illegal memory access was encountered (cudaError 700)", "dmesg", False),
    ("something\n  new", "something new", False),
]


class Logger:
    Severity = SimpleNamespace(INFO=3)

    def __init__(self) -> None:
        pass


def fake(messages: list[str]) -> Vendor:
    made = Vendor("tensorrt", "10.3", SimpleNamespace(ILogger=Logger))  # type: ignore[arg-type]
    for message in messages:
        made.logger.log(1, message)
    made.logger.log(3, "an information is nothing to remember")
    return made


@pytest.mark.parametrize(("said", "words", "heals"), SAID, ids=[s[0][:25] for s in SAID])
def test_every_failure_names_what_helps(said, words, heals, monkeypatch):
    monkeypatch.setattr(vendors, "find_gpu", lambda: Gpu("RTX", "8.9", "550", "12.4"))
    error = fake([said]).error("load the engine")
    assert isinstance(error, BackendError) and isinstance(error, EngineRefused) == heals
    assert re.match(r"tensorrt 10.3 cannot load the engine: ", str(error)) and words in str(error)
    assert "\n" not in str(error) and str(error).count(": ") <= 3


def test_without_a_driver_the_driver_is_not_called_old(monkeypatch):
    monkeypatch.setattr(vendors, "find_gpu", lambda: None)
    assert "no NVIDIA GPU" in str(fake(["CUDA initialization failure with error: 35"]).error("build"))


def test_what_is_forgotten_is_not_told_again():
    made = fake(["out of memory"])
    made.forget()
    assert "memory" not in str(made.error("build"))


def test_the_parser_without_an_operator_is_quoted():
    made = fake(["Unsupported ONNX version"])
    assert "Unsupported ONNX version" in str(refusal(made, "net (fp32)", []))


@pytest.mark.parametrize("flavour", ["auto", "tensorrt", "tensorrt_rtx"])
def test_not_installed_is_one_sentence(flavour, monkeypatch):
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    command = how_to_install("tensorrt-rtx" if flavour == "tensorrt_rtx" else "tensorrt")
    with pytest.raises(
        MissingDependencyError, match=f"not installed: {re.escape(command)} .Jetson: sudo apt"
    ):
        load_vendor(flavour)
    with pytest.raises(ConfigError, match="one of auto, tensorrt, tensorrt_rtx"):
        load_vendor("tensorflow")


def test_the_search_for_a_gpu_ends_without_an_exception():
    gpu = find_gpu()
    assert gpu is None or (gpu.name and re.fullmatch(r"\d+\.\d+", gpu.compute_capability))
