"""A stand-in for pycuda.driver: memory is host memory, kernels are the host loops, all is written down.

It is as strict as the driver: a call without a current context, from another thread, or beyond the end of an
allocation fails.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

from recon3d_ros.cuda.arguments import Finish, Prepare, Restore

_LOOPS = {"prepare": Prepare, "restore": Restore, "finish": Finish}


class FakePycuda:
    """The module, and what was asked of it.

    Attributes:
        calls: Names in order.
        stack: Contexts pushed and not popped.
        allocated: Bytes of every live allocation on the GPU, by address.
        fail: Name of a call -> what it raises.
    """

    def __init__(self, host: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.stack: list[object] = []
        self.threads: set[int] = set()
        self.allocated: dict[int, int] = {}
        self.fail: dict[str, Exception] = {}
        self.clock_ms = 0.0
        driver = ModuleType("pycuda.driver")
        for name in ("Error",):
            setattr(driver, name, type(name, (Exception,), {}))
        for name in ("MemoryError", "LogicError", "LaunchError", "RuntimeError", "CompileError"):
            setattr(driver, name, type(name, (driver.Error,), {}))
        fake = self

        def call(name: str, current: bool = True) -> None:
            fake.calls.append(name)
            fake.threads.add(threading.get_ident())
            if name in fake.fail:
                raise fake.fail[name]
            if current and not fake.stack:
                raise driver.LogicError(f"{name} failed: invalid context")

        class Context:
            def push(self) -> None:
                call("push", current=False)
                fake.stack.append(self)

            @staticmethod
            def pop() -> None:
                call("pop")
                fake.stack.pop()

            def detach(self) -> None:
                call("detach", current=False)

        class Device:
            def __init__(self, index: int) -> None:
                call("Device", current=False)

            def name(self) -> str:
                return "Fake GPU"

            def compute_capability(self) -> tuple[int, int]:
                return (8, 7)

            def retain_primary_context(self) -> Context:
                call("retain_primary_context", current=False)
                return Context()

        class Stream:
            handle = 4711

            def __init__(self, flags: int) -> None:
                assert flags == 1
                call("Stream")

            def synchronize(self) -> None:
                call("synchronize")

        class Memory:
            def __init__(self, size: int) -> None:
                call("mem_alloc")
                self.bytes = np.full(size, 205, np.uint8)
                fake.allocated[int(self)] = size

            def __int__(self) -> int:
                return self.bytes.ctypes.data

            def free(self) -> None:
                call("free")
                del fake.allocated[int(self)]

        class Event:
            def __init__(self) -> None:
                call("Event")

            def record(self, stream: Stream) -> Event:
                assert isinstance(stream, Stream)
                call("record")
                fake.clock_ms += 1
                self.at = fake.clock_ms
                return self

            def time_since(self, other: Event) -> float:
                return self.at - other.at

        class Function:
            def __init__(self, name: str) -> None:
                self.name = name

            def prepare(self, formats: list[str]) -> Function:
                self.size = int(formats[0].removesuffix("s"))
                return self

            def prepared_async_call(self, grid, block, stream, packed: bytes) -> None:
                call(self.name)
                assert isinstance(stream, Stream) and len(packed) == self.size
                a = _LOOPS[self.name].from_buffer_copy(packed)
                width, height = (a.network_w, a.network_h) if self.name == "prepare" else (a.width, a.height)
                assert grid[0] * block[0] >= width and grid[1] * block[1] >= height
                assert np.prod(block) <= 1024
                getattr(host, f"host_{self.name}")(ctypes.byref(a), grid[2])

        class Module:
            def get_function(self, name: str) -> Function:
                return Function(name)

        def pagelocked_empty(shape, dtype):
            call("pagelocked_empty")
            return np.full(shape, 99, dtype)

        def copy_up(to: Memory, array: np.ndarray, stream: Stream) -> None:
            call("memcpy_htod_async")
            assert array.flags.c_contiguous and array.nbytes <= len(to.bytes)
            to.bytes[: array.nbytes] = array.reshape(-1).view(np.uint8)

        def copy_down(array: np.ndarray, at: Memory, stream: Stream) -> None:
            call("memcpy_dtoh_async")
            assert array.flags.c_contiguous and array.nbytes <= len(at.bytes)
            array.reshape(-1).view(np.uint8)[:] = at.bytes[: array.nbytes]

        def module_from_buffer(binary: bytes) -> Module:
            call("module_from_buffer")
            return Module()

        driver.Context, driver.Device, driver.Stream, driver.Event = Context, Device, Stream, Event
        driver.init = lambda: call("init", current=False)
        driver.get_version, driver.get_driver_version = lambda: (12, 6, 0), lambda: 12060
        driver.mem_alloc, driver.pagelocked_empty = Memory, pagelocked_empty
        driver.memcpy_htod_async, driver.memcpy_dtoh_async = copy_up, copy_down
        driver.module_from_buffer = module_from_buffer
        compiler = ModuleType("pycuda.compiler")

        def compile_source(source: str, options: list[str], no_extern_c: bool, arch: str) -> bytes:
            call("compile")
            assert no_extern_c and arch == "sm_87" and "-fmad=false" in options and "__global__" in source
            return b"cubin"

        compiler.compile = compile_source
        package = ModuleType("pycuda")
        package.__path__ = []
        package.driver, package.compiler = driver, compiler
        for name, module in (("pycuda", package), ("pycuda.driver", driver), ("pycuda.compiler", compiler)):
            monkeypatch.setitem(sys.modules, name, module)
        self.driver = driver

    @property
    def balanced(self) -> bool:
        """Every push has its pop, and one thread did it all."""
        return (
            not self.stack and self.calls.count("push") == self.calls.count("pop") and len(self.threads) == 1
        )
