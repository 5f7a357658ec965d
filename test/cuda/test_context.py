from __future__ import annotations

import re
import sys
import threading

import pytest

from recon3d_ros.cuda.context import Device
from recon3d_ros.errors import BackendError, MissingDependencyError
from recon3d_ros.system.installing import how_to_install


def test_the_context_is_current_within_active_alone(pycuda):
    device = Device()
    assert (device.name, device.compute_capability) == ("Stand-in", (8, 7))
    assert device.stream_handle == device.stream.handle != 0
    assert pycuda.depth == 0
    with device.active():
        with device.active():  # a stage calls a backend, which makes sure of its context, too
            assert pycuda.depth == 2
    device.close()
    device.close()
    assert pycuda.balanced and pycuda.calls.count("retain_primary_context") == 1
    assert pycuda.calls[-2:] == ["pop", "detach"]  # pycuda aborts when its stack is not empty at the end
    with pytest.raises(BackendError, match="closed"), device.active():
        pass


def test_another_thread_is_refused(pycuda):
    device, raised = Device(), []

    def use() -> None:
        try:
            with device.active():
                pass
        except BackendError as exc:
            raised.append(str(exc))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(raised) == 1 and "another thread" in raised[0]
    assert pycuda.balanced


def test_a_device_that_is_closed_while_active_leaves_no_trace(pycuda):
    """A backend whose engine fails closes its device in the middle of a frame."""
    device = Device()
    with pytest.raises(BackendError, match="engine"):
        with device.active():
            device.close()
            raise BackendError("the engine failed")
    assert pycuda.depth == 1  # pycuda's detach of a current context takes it from its stack


@pytest.mark.parametrize(
    ("kind", "text", "remedy"),
    [
        ("MemoryError", "cuMemAlloc failed: out of memory", "close other GPU programs"),
        ("RuntimeError", "cuInit failed: no CUDA-capable device is detected", "nvidia-smi"),
        ("LaunchError", "cuStreamSynchronize failed: unspecified launch failure", "Xid"),
        (
            "LogicError",
            "cuModuleLoadDataEx failed: no kernel image is available",
            "remove the compiled kernels",
        ),
        (
            "RuntimeError",
            "cuInit failed: system has unsupported display driver / cuda driver combination",
            "newer",
        ),
        ("LogicError", "cuMemAlloc failed: invalid device context", "Xid"),
    ],
)
def test_errors_of_the_driver_name_a_remedy(pycuda, kind, text, remedy):
    device = Device()
    with pytest.raises(BackendError, match=remedy) as caught, device.active("copying"):
        raise getattr(pycuda.driver, kind)(text)
    assert str(caught.value).startswith(f"copying failed, CUDA says {text!r}")
    assert pycuda.balanced


def test_a_failed_start_holds_nothing(pycuda):
    pycuda.fail["Stream"] = pycuda.driver.MemoryError("cuStreamCreate failed: out of memory")
    with pytest.raises(BackendError, match="out of memory"):
        Device()
    assert pycuda.balanced and pycuda.calls[-1] == "detach"


def test_a_driver_older_than_pycuda_is_named(pycuda):
    pycuda.driver.get_driver_version = lambda: 11040
    with pytest.raises(MissingDependencyError, match=r"CUDA 12.* supports 11\.4.*newer driver"):
        Device()


def test_without_pycuda(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.delitem(sys.modules, "pycuda.driver", raising=False)
    with pytest.raises(MissingDependencyError, match="pycuda.*" + re.escape(how_to_install("tensorrt"))):
        Device()
