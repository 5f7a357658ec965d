"""A stand-in for pycuda over the stand-in for the driver, for machines without pycuda.

All calls are written down. `cuda/device_checks.py` runs the real pycuda over the same driver.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import pytest

_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_ERRORS = {1: "LogicError", 2: "MemoryError", 201: "LogicError", 719: "LaunchError"}


class FakePycuda:
    """The module, and what was asked of it.

    Attributes:
        library: The stand-in for the driver.
        calls: Names in order.
        allocated: Bytes of every live allocation on the GPU, by address.
        fail: Name of a call -> what it raises.
    """

    def __init__(self, library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library = library
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.allocated: dict[int, int] = {}
        self.fail: dict[str, Exception] = {}
        self._functions: list[Any] = []
        self.driver = _driver_module(self)
        compiler = ModuleType("pycuda.compiler")
        compiler.compile = self._compile
        package = ModuleType("pycuda")
        package.__path__, package.__spec__ = [], ModuleSpec("pycuda", None)
        package.driver, package.compiler = self.driver, compiler
        for name, module in (
            ("pycuda", package),
            ("pycuda.driver", self.driver),
            ("pycuda.compiler", compiler),
        ):
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("recon3d_ros.cuda.graph._library", lambda: library)

    @property
    def balanced(self) -> bool:
        """Every push has its pop, and one thread did it all."""
        return self.calls.count("push") == self.calls.count("pop") and len(self.threads) == 1

    @property
    def depth(self) -> int:
        """Contexts pushed and not popped."""
        return self.calls.count("push") - self.calls.count("pop")

    def note(self, name: str) -> None:
        """Write a call down; it may have to fail."""
        self.calls.append(name)
        self.threads.add(threading.get_ident())
        if name in self.fail:
            raise self.fail[name]

    def call(self, name: str, *arguments: Any) -> None:
        """Ask the driver, and raise as pycuda does."""
        code = getattr(self.library, name)(*arguments)
        if code:
            words = ctypes.c_char_p()
            self.library.cuGetErrorString(code, ctypes.byref(words))
            kind = getattr(self.driver, _ERRORS.get(code, "RuntimeError"))
            raise kind(f"{name.removesuffix('_v2')} failed: {(words.value or b'').decode()}")

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Bring work of the host into a stream."""
        function = _HOST_FUNCTION(lambda _: work())
        self._functions.append(function)  # it may be done at any time, and again by a graph
        self.call("cuLaunchHostFunc", ctypes.c_void_p(stream), function, None)

    def _compile(self, source: str, options: list[str], no_extern_c: bool, arch: str) -> bytes:
        self.note("compile")
        assert no_extern_c and arch == "sm_87" and "-fmad=false" in options and "__global__" in source
        return b"cubin"


def _driver_module(fake: FakePycuda) -> Any:
    module: Any = ModuleType("pycuda.driver")
    module.Error = type("Error", (Exception,), {})
    for name in ("MemoryError", "LogicError", "LaunchError", "RuntimeError", "CompileError"):
        setattr(module, name, type(name, (module.Error,), {}))
    module.init = lambda: fake.note("init")
    module.get_version, module.get_driver_version = lambda: (12, 6, 0), lambda: 12060
    for kind in (_Context, _Device, _Stream, _Event, _Memory):
        setattr(module, kind.__name__.strip("_"), type(kind.__name__, (kind,), {"fake": fake}))
    module.mem_alloc = module.Memory
    module.Device.context = module.Context

    def pagelocked_empty(shape, dtype) -> np.ndarray:
        fake.note("pagelocked_empty")
        at = ctypes.c_void_p()
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        fake.call("cuMemHostAlloc", ctypes.byref(at), ctypes.c_size_t(max(1, size)), 0)
        memory = (ctypes.c_uint8 * size).from_address(at.value)  # until the test ends, as nobody frees it
        return np.frombuffer(memory, np.dtype(dtype)).reshape(shape)

    def copy_up(to: _Memory, array: np.ndarray, stream: _Stream) -> None:
        _copy(fake, "memcpy_htod_async", to, array, stream)

    def copy_down(array: np.ndarray, at: _Memory, stream: _Stream) -> None:
        _copy(fake, "memcpy_dtoh_async", at, array, stream)

    def memset(at: _Memory, value: int, size: int, stream: _Stream) -> None:
        fake.note("memset_d8_async")
        fake.call("cuMemsetD8Async", at.at, ctypes.c_ubyte(value), ctypes.c_size_t(size), stream.at)

    def module_from_buffer(binary: bytes) -> _Module:
        fake.note("module_from_buffer")
        return _Module(fake)

    module.pagelocked_empty, module.module_from_buffer = pagelocked_empty, module_from_buffer
    module.memset_d8_async = memset
    module.memcpy_htod_async, module.memcpy_dtoh_async = copy_up, copy_down
    return module


def _copy(fake: FakePycuda, name: str, device: _Memory, array: np.ndarray, stream: _Stream) -> None:
    fake.note(name)
    assert array.flags.c_contiguous
    ends = [device.at, ctypes.c_void_p(array.ctypes.data)]
    if name == "memcpy_dtoh_async":
        ends.reverse()
    c_name = {"memcpy_htod_async": "cuMemcpyHtoDAsync_v2", "memcpy_dtoh_async": "cuMemcpyDtoHAsync_v2"}[name]
    fake.call(c_name, *ends, ctypes.c_size_t(array.nbytes), stream.at)


class _Context:
    fake: FakePycuda

    def push(self) -> None:
        self.fake.note("push")
        self.at = ctypes.c_void_p()
        self.fake.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.at), 0)
        self.fake.call("cuDevicePrimaryCtxRelease_v2", 0)  # the handle alone was wanted
        self.fake.call("cuCtxPushCurrent_v2", self.at)

    @classmethod
    def pop(cls) -> None:
        cls.fake.note("pop")
        cls.fake.call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def detach(self) -> None:
        self.fake.note("detach")
        self.fake.call("cuDevicePrimaryCtxRelease_v2", 0)


class _Device:
    fake: FakePycuda
    context: type[_Context]

    def __init__(self, index: int) -> None:
        self.fake.note("Device")

    def name(self) -> str:
        return "Stand-in"

    def compute_capability(self) -> tuple[int, int]:
        return (8, 7)

    def retain_primary_context(self) -> _Context:
        self.fake.note("retain_primary_context")
        self.fake.call("cuDevicePrimaryCtxRetain", ctypes.byref(ctypes.c_void_p()), 0)
        return self.context()


class _Stream:
    fake: FakePycuda

    def __init__(self, flags: int) -> None:
        self.at = ctypes.c_void_p()
        self.fake.note("Stream")
        self.fake.call("cuStreamCreate", ctypes.byref(self.at), flags)

    @property
    def handle(self) -> int:
        return self.at.value or 0

    def synchronize(self) -> None:
        self.fake.note("synchronize")
        self.fake.call("cuStreamSynchronize", self.at)

    def __del__(self) -> None:
        if self.at:
            self.fake.library.cuStreamDestroy_v2(self.at)


class _Event:
    fake: FakePycuda

    def __init__(self) -> None:
        self.fake.note("Event")
        self.at = ctypes.c_void_p()
        self.fake.call("cuEventCreate", ctypes.byref(self.at), 0)

    def record(self, stream: _Stream) -> _Event:
        self.fake.note("record")
        self.fake.call("cuEventRecord", self.at, stream.at)
        return self

    def time_since(self, other: _Event) -> float:
        took = ctypes.c_float()
        self.fake.call("cuEventElapsedTime", ctypes.byref(took), other.at, self.at)
        return took.value


class _Memory:
    fake: FakePycuda

    def __init__(self, size: int) -> None:
        self.at = ctypes.c_void_p()
        self.fake.note("mem_alloc")
        self.fake.call("cuMemAlloc_v2", ctypes.byref(self.at), ctypes.c_size_t(size))
        self.fake.allocated[int(self)] = size

    def __int__(self) -> int:
        return self.at.value or 0

    def free(self) -> None:
        self.fake.note("free")
        del self.fake.allocated[int(self)]
        self.fake.call("cuMemFree_v2", self.at)

    def __del__(self) -> None:
        if self.fake.allocated.pop(int(self), None) is not None:
            self.fake.library.cuMemFree_v2(self.at)


class _Module:
    def __init__(self, fake: FakePycuda) -> None:
        self.fake = fake

    def get_function(self, name: str) -> _Function:
        return _Function(self.fake, name)


class _Function:
    def __init__(self, fake: FakePycuda, name: str) -> None:
        self.fake, self.name, self.at = fake, name, ctypes.c_void_p()
        fake.call("cuModuleGetFunction", ctypes.byref(self.at), None, name.encode())

    def prepare(self, formats: list[str]) -> _Function:
        self.size = int(formats[0].removesuffix("s"))
        return self

    def prepared_async_call(self, grid, block, stream: _Stream, packed: bytes) -> None:
        self.fake.note(self.name)
        assert len(packed) == self.size
        size = ctypes.c_size_t(len(packed))
        extra = (ctypes.c_void_p * 5)(1, ctypes.cast(packed, ctypes.c_void_p), 2, ctypes.addressof(size), 0)
        self.fake.call("cuLaunchKernel", self.at, *grid, *block, 0, stream.at, None, extra)
