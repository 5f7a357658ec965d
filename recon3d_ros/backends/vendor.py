"""TensorRT itself, as `tensorrt` or `tensorrt_rtx`: found, its log kept, its errors put into one sentence."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from recon3d_ros.backends.base import one_line
from recon3d_ros.backends.gpu import MEANWHILE, NO_GPU, find_gpu
from recon3d_ros.errors import BackendError, ConfigError, MissingDependencyError, Recon3dError
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.installing import how_to_install, pip_install
from recon3d_ros.system.lazy import require

FLAVOURS = ("tensorrt", "tensorrt_rtx")  # in the order that auto prefers
_KEPT_MESSAGES = 50

# What the vendor says -> what it means and which command helps. The first that fits counts.
_REFUSED = frozenset({3, 4, 5})  # those of them that another build may heal
_MEANINGS = (
    (
        r"out of ?memory|cudaErrorMemoryAllocation|INSUFFICIENT_GPU_MEMORY|insufficient memory",
        "the GPU has no memory left: end processes that nvidia-smi lists (Jetson: tegrastats), or give "
        "smaller engine_sizes",
    ),
    (
        r"driver version is insufficient|OLD_CUDA_DRIVER|OLD_CUDA_RUNTIME|cudaError 35\b|error: 35\b",
        "the NVIDIA driver is too old for it: run sudo ubuntu-drivers install and restart (Jetson: update "
        f"JetPack); {MEANWHILE}",
    ),
    (r"no CUDA-capable device|cudaError 100\b|error: 100\b", NO_GPU),
    (
        r"UNSUPPORTED_CC|incompatible device|compute capabilit(y|ies)|kernel image",
        "it is built for another GPU, or does not support this GPU: build it here with recon3d engines "
        "build --force, or set tensorrt_flavour to the other one",
    ),
    (
        r"[Vv]ersion tag|VERSION_MISMATCH|kSERIALIZATION_VERSION|plan file .*version",
        "it was built by another version: build it here with recon3d engines build --force",
    ),
    (
        r"MALFORMED_ENGINE|magic tag|corrupt",
        "the file is not a valid engine: build it again with recon3d engines build --force",
    ),
    (
        r"illegal (memory access|address|instruction)|launch fail|device-side assert|cudaError 7\d\d\b|"
        r"fallen off the bus|[Ee]CC error|device.{0,20}(lost|removed)",
        f"the GPU failed: see sudo dmesg | grep -i -e nvrm -e nvgpu and restart it; {MEANWHILE}",
    ),
)

# What the vendor calls an element -> what NumPy does.
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}


class EngineRefused(BackendError):
    """The vendor does not take a file as an engine for this machine; building it again may help."""


@dataclass
class Vendor:
    """One flavour of TensorRT, loaded; ``messages`` are its newest warnings and errors."""

    flavour: str
    version: str
    module: ModuleType
    messages: list[str] = field(default_factory=list)
    logger: Any = None

    def __post_init__(self) -> None:
        self.logger = _logger(self.module, self.messages)

    @property
    def is_rtx(self) -> bool:
        """Whether engines are portable among GPUs and finished where they are loaded."""
        return self.flavour == "tensorrt_rtx"

    def error(self, doing: str, exc: Exception | None = None) -> BackendError:
        """One sentence about what just failed, from what the vendor logged since `forget` and raised."""
        index, meaning = _meaning([*self.messages, *([str(exc)] if exc else [])])
        kind = EngineRefused if index in _REFUSED else BackendError
        return kind(f"{self.flavour} {self.version} cannot {doing}: {meaning}")

    def forget(self) -> None:
        """Forget the messages, before something new begins."""
        self.messages.clear()


def flavour_here(flavour: str) -> str | None:
    """Return the flavour that is installed and meant, ``auto`` being the first one; None when it is not."""
    wanted = FLAVOURS if flavour == "auto" else (flavour,)
    return next((name for name in wanted if importlib.util.find_spec(name) is not None), None)


def load_vendor(flavour: str) -> Vendor:
    """Import a flavour of TensorRT.

    Raises:
        ConfigError: there is no such flavour.
        MissingDependencyError: it is not installed, or older than 10.
    """
    if flavour not in ("auto", *FLAVOURS):
        raise ConfigError(f"tensorrt_flavour must be one of auto, {', '.join(FLAVOURS)}, got {flavour!r}")
    found = flavour_here(flavour)
    if found is None:
        name = "tensorrt or tensorrt_rtx" if flavour == "auto" else flavour
        extra = "tensorrt-rtx" if flavour == "tensorrt_rtx" else "tensorrt"
        raise MissingDependencyError(
            f"{name} is needed here and not installed: {how_to_install(extra)} (Jetson: sudo apt install "
            f"python3-libnvinfer); {MEANWHILE}"
        )
    module = (
        require("tensorrt", "tensorrt") if found == "tensorrt" else require("tensorrt_rtx", "tensorrt-rtx")
    )
    version = str(module.__version__)
    if found == "tensorrt" and int(version.partition(".")[0]) < 10:
        raise MissingDependencyError(
            f"expected TensorRT 10 or newer, got {version}: {pip_install('tensorrt>=10')} (Jetson: JetPack 6 "
            f"or newer); {MEANWHILE}"
        )
    return Vendor(found, version, module)


def tensor_spec(name: str, dtype: Any, dims: Any, batch: int | None = None) -> TensorSpec:
    """A vendor's tensor in our words; ``batch`` replaces a batch that may vary."""
    shape = [None if side < 0 else int(side) for side in dims]
    if shape and shape[0] is None:
        shape[0] = batch
    kind = str(dtype).rpartition(".")[2]
    return TensorSpec(name, _DTYPES.get(kind, kind.lower()), tuple(shape))


def refusal(vendor: Vendor, model: str, errors: list[Any]) -> Recon3dError:
    """One sentence about a model that the parser does not take.

    Args:
        vendor: whose parser.
        model: for people: name and precision.
        errors: of the parser, `IParserError`.
    """
    for error in errors:
        operator, node = error.node_operator(), error.node_name()
        if operator:
            reason = _reason(error.desc())
            return BackendError(
                f"{vendor.flavour} {vendor.version} does not support {operator} in node {node!r} of "
                f"{model} ({reason}): use another precision of the model (recon3d convert); {MEANWHILE}"
            )
    said = one_line("; ".join(error.desc() for error in errors) or "; ".join(vendor.messages[-1:]))
    return BackendError(
        f"{vendor.flavour} {vendor.version} cannot read {model} ({said or 'it gives no reason'}): use "
        f"another precision of the model (recon3d convert); {MEANWHILE}"
    )


def _reason(text: str) -> str:
    """What the parser objects to, without the places in its sources and what followed from it."""
    words = one_line(text).rpartition("Assertion failed: ")[2].partition(" [checkMacros")[0]
    return words.rpartition("API Usage Error ")[2].strip("( ).") if "API Usage" in words else words


def _meaning(said: list[str]) -> tuple[int, str]:
    """Index in the table and sentence of the first meaning that fits; -1 and the vendor's own words else."""
    text = one_line(" ".join(said))
    if re.search(r"cudaError 35\b|error: 35\b|driver version is insufficient", text) and find_gpu() is None:
        return -1, NO_GPU  # without any driver the vendor calls it too old
    for index, (pattern, meaning) in enumerate(_MEANINGS):
        if re.search(pattern, text, re.IGNORECASE):
            return index, meaning
    return -1, f"{one_line(said[-1]) if said else 'it gives no reason'}: {MEANWHILE}"


def _logger(module: ModuleType, messages: list[str]) -> Any:
    ignored = int(module.ILogger.Severity.INFO)

    class Logger(module.ILogger):  # type: ignore[name-defined]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if int(severity) < ignored:
                messages.append(message)
                del messages[:-_KEPT_MESSAGES]

    return Logger()
