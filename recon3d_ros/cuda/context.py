"""One GPU in one thread: its primary context, one stream, and the vendor's errors in our words.

Never run on a GPU so far: tested with the real pycuda on a stand-in for the driver (test/cuda).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

from recon3d_ros.errors import BackendError, MissingDependencyError
from recon3d_ros.system.lazy import require

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy stream, so that it can be captured
_DRIVER = "restart the computer if the driver was updated, else install a newer NVIDIA driver"
_RECOMPILE = "remove the compiled kernels of pycuda from the user's cache and start again"
_INCOMPLETE = "reinstall the NVIDIA driver: one of its libraries is missing"
# What the driver says (cuGetErrorString) -> what to do about it.
_REMEDIES = (
    ("out of memory", "close other GPU programs, or give smaller images (max_size_wh in the manifest)"),
    (
        "no cuda-capable device",
        "look at nvidia-smi and at the container's --gpus option, or set backend to onnxruntime",
    ),
    ("busy or unavailable", "end the program that uses the GPU exclusively, see nvidia-smi"),
    ("device ordinal", "choose a device that nvidia-smi lists"),
    ("no kernel image", _RECOMPILE),
    ("kernel image is invalid", _RECOMPILE),
    ("ecc error", "the memory of the GPU is defective: look at nvidia-smi -q, restart the computer"),
    ("file not found", _INCOMPLETE),
    ("shared object", _INCOMPLETE),
    ("stub library", "take the toolkit's folder stubs out of LD_LIBRARY_PATH"),
    ("unsupported toolchain", _DRIVER),
    ("installed cuda driver", _DRIVER),
    ("driver combination", _DRIVER),
    ("forward compatibility", _DRIVER),
    ("initialization error", _DRIVER),
    ("system not yet initialized", _DRIVER),
)
_LOST = "the GPU is lost until the program starts again: look at the kernel log (dmesg) for Xid messages"


class Device:
    """A GPU, opened and used by the thread that makes this object, and by no other.

    The primary context is retained, because TensorRT and ONNX Runtime compute in it; a context of our own
    would not see their memory. It is current within `active` only, so that nobody else in the process finds a
    foreign context on the stack.

    Args:
        index: Which GPU, as the driver counts them.

    Attributes:
        alone: Held while a stream is captured, and by who loads an engine: each disturbs the other, in any
            thread of the process.
        driver: The module pycuda.driver.
        stream: The one stream (pycuda.driver.Stream) of this thread.

    Raises:
        MissingDependencyError: pycuda is not installed, knows no driver as old as this one, or there is none.
        BackendError: no such GPU, or its driver fails.
    """

    alone: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, index: int = 0) -> None:
        self._thread = threading.get_ident()
        self.index = index
        self.driver = _driver()
        _check_version(self.driver)
        with translated(self.driver, f"opening GPU {index}"):
            self.driver.init()
            device = self.driver.Device(index)
            self.name = str(device.name())
            self.compute_capability: tuple[int, int] = tuple(device.compute_capability())
            self._context: Any = device.retain_primary_context()
        try:
            with self.active():
                self.stream: Any = self.driver.Stream(_NON_BLOCKING)
        except BackendError:
            self._context.detach()
            raise

    @property
    def stream_handle(self) -> int:
        """The stream as others take it (CUstream)."""
        return int(self.stream.handle)

    @contextmanager
    def active(self, doing: str = "computing on the GPU") -> Iterator[None]:
        """Make the context current, and translate what the driver raises meanwhile.

        Args:
            doing: What is done, for the message.

        Raises:
            BackendError: another thread than the device's calls, the device is closed, or the driver fails.
        """
        self._check_thread()
        if self._context is None:
            raise BackendError(f"GPU {self.index} is closed, open the model again")
        with translated(self.driver, doing):
            self._context.push()
            try:
                yield
            finally:
                if self._context is not None:  # closed meanwhile: then nothing is left to pop
                    self.driver.Context.pop()

    def synchronize(self) -> None:
        """Wait until the stream has done everything; within `active`."""
        self.stream.synchronize()

    def close(self) -> None:
        """Release stream and context; free everything that was allocated here first. Twice is harmless.

        pycuda's `detach` of a primary context that is not current pushes it and leaves it on the driver's
        stack of this thread; the worker's thread ends then, and its stack with it.
        """
        if self._context is None:
            return
        self._check_thread()
        context, self._context = self._context, None
        with translated(self.driver, f"closing GPU {self.index}"):
            context.push()
            try:
                self.stream = None  # destroys it while its context is current
            finally:
                self.driver.Context.pop()
                context.detach()

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise BackendError(
                f"GPU {self.index} was opened in another thread than the one that uses it: open the model "
                "in the thread that runs it"
            )


@contextmanager
def translated(driver: ModuleType, doing: str) -> Iterator[None]:
    """Turn what pycuda raises into one sentence with a remedy.

    Raises:
        BackendError: anything of pycuda's error tree.
    """
    try:
        yield
    except driver.Error as exc:
        what = " ".join(str(exc).split())
        remedy = next((remedy for sign, remedy in _REMEDIES if sign in what.lower()), _LOST)
        raise BackendError(f"{doing} failed, CUDA says {what!r}: {remedy}") from exc


def _check_version(driver: ModuleType) -> None:
    """Refuse a driver older than the CUDA that pycuda was built with: its errors would name nothing."""
    built, runs = tuple(driver.get_version())[:2], int(driver.get_driver_version())
    if (runs // 1000, 0) < (built[0], 0):  # within one major version an older driver will do
        raise MissingDependencyError(
            f"expected an NVIDIA driver for CUDA {built[0]}, for which pycuda was built, the installed one "
            f"supports {runs // 1000}.{runs % 1000 // 10}: install a newer driver, or build pycuda again"
        )


def _driver() -> ModuleType:
    """Import pycuda.driver; what its extension module needs may be missing, too."""
    try:
        return require("pycuda.driver", extra="tensorrt")
    except MissingDependencyError as exc:
        if "libcuda" in str(exc):
            raise MissingDependencyError(
                f"pycuda is installed, but not the NVIDIA driver it needs ({exc.__cause__}): install it, "
                "start the container with --gpus all, or set backend to onnxruntime"
            ) from exc
        raise
