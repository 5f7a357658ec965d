"""The node serves by ONNX Runtime from the first frame, by the engine once it is built and checked."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from recon3d_ros.errors import BackendError
from recon3d_ros.ros.bridge.conversions import cloud_from_msg

_numbers = count()


@pytest.fixture
def make_engine_bench(make_bench, fake_gpu):
    """Benches whose nodes close their model before the stand-ins go away."""
    made = []

    def make(parameters):
        made.append(make_bench(parameters, f"/engine{next(_numbers)}", outputs=("points",)))
        return made[-1]

    yield make
    fake_gpu.gate.set()
    for bench in made:
        assert bench.transit("deactivate") and bench.transit("cleanup")


@pytest.fixture
def served(fake_gpu, make_engine_bench):
    """A node whose engine is not ready before the gate opens."""
    fake_gpu.gate.clear()
    return fake_gpu, make_engine_bench({"model": fake_gpu.path, "backend": "tensorrt", "threads": 1})


def serve(bench, scene, backend, **more):
    """Send frames until the diagnostics name this backend; return the status."""

    def reached():
        status = bench.status()
        wanted = {"backend": backend, **more}
        return status if all(status.get(key) == value for key, value in wanted.items()) else None

    return bench.wait(reached, lambda: bench.send(scene.images(), scene.infos()), f"{backend} {more}")


def test_onnx_runtime_serves_until_the_engine_passed(served, scene):
    gpu, bench = served
    first = bench.expect("points", scene.images(), scene.infos())
    assert bench.status()["backend"] == "onnxruntime"
    status = bench.wait(
        lambda: s if "41 %" in (s := bench.status()).get("model_loading", "") else None,
        lambda: bench.send(scene.images(), scene.infos()),
        "a percentage",
    )
    assert "tensorrt" in status["model_loading"] and status["level"] == "0"
    assert bench.expect("points", scene.images(), scene.infos()).width == first.width
    gpu.gate.set()
    serve(bench, scene, "tensorrt", precision="fp16")
    after = bench.expect("points", scene.images(), scene.infos())
    assert cloud_from_msg(after).shape_hw == cloud_from_msg(first).shape_hw
    status = bench.status()
    assert status["dropped_model"] == status["dropped_internal"] == "0" and "model_loading" not in status
    assert [p for p, _ in gpu.built] == ["fp16"] and bench.node.get_parameter("backend").value == "tensorrt"
    assert [log for log in bench.logs() if "now using net on tensorrt" in log]


def test_a_wrong_engine_never_serves_and_the_warning_stays(fake_gpu, make_engine_bench, scene):
    fake_gpu.kinds = {"fp16": "wrong", "fp32": "wrong"}
    bench = make_engine_bench({"model": fake_gpu.path, "backend": "tensorrt", "threads": 1})
    status = bench.wait(
        lambda: s if "no engine for" in (s := bench.status())["message"] else None,
        lambda: bench.send(scene.images(), scene.infos()),
        "a warning",
    )
    assert status["backend"] == "onnxruntime" and status["level"] == "1"
    assert "does not reproduce its golden output" in status["message"]
    assert any("trying fp32" in log for log in bench.warnings())
    assert bench.node.get_parameter("backend").value == "tensorrt"
    bench.expect("points", scene.images(), scene.infos())
    assert [p for p, _ in fake_gpu.built] == ["fp16", "fp32"]  # and not again and again
    assert bench.status()["dropped_model"] == "0"


def test_the_next_safer_one_serves_with_a_warning(fake_gpu, make_engine_bench, scene):
    fake_gpu.kinds = {"int8": BackendError("takes no DequantizeLinear"), "fp16": "wrong"}
    parameters = {"model": fake_gpu.path, "backend": "tensorrt", "precision": "int8", "threads": 1}
    bench = make_engine_bench(parameters)
    serve(bench, scene, "tensorrt", precision="fp32")
    status = bench.wait(lambda: s if (s := bench.status())["level"] == "1" else None, what="a warning")
    assert "trying fp32" in status["message"]
    assert any("takes no DequantizeLinear; trying fp16" in log for log in bench.warnings())


def test_a_gpu_that_dies_costs_no_frame(fake_gpu, make_engine_bench, scene):
    bench = make_engine_bench({"model": fake_gpu.path, "backend": "tensorrt", "threads": 1})
    serve(bench, scene, "tensorrt")
    fake_gpu.module.dies = True
    bench.expect("points", scene.images(), scene.infos())
    serve(bench, scene, "onnxruntime")
    assert any("ONNX Runtime is used instead" in log for log in bench.warnings())
    assert bench.status()["dropped_model"] == bench.status()["dropped_internal"] == "0"


def test_another_model_does_not_wait_for_the_engine(served, scene):
    gpu, bench = served
    bench.expect("points", scene.images(), scene.infos())
    bench.wait(lambda: gpu.built, lambda: bench.send(scene.images(), scene.infos()), "a build")
    assert bench.set_parameters(model="fake_stereo", backend="fake")[0].successful
    bench.wait(lambda: bench.set_parameters(backend="fake")[0].successful)
    serve(bench, scene, "fake")
    assert not gpu.gate.is_set() and len(gpu.built) == 1


def test_without_a_gpu_the_node_says_so_and_goes_on(fake_gpu, make_engine_bench, scene, monkeypatch):
    for where in ("backends.vendor", "backends.engine_spec", "backends.tensorrt"):
        monkeypatch.setattr(f"recon3d_ros.{where}.find_gpu", lambda: None)
    bench = make_engine_bench({"model": fake_gpu.path, "backend": "tensorrt", "threads": 1})
    status = bench.wait(
        lambda: s if "no engine for" in (s := bench.status())["message"] else None,
        lambda: bench.send(scene.images(), scene.infos()),
        "a warning",
    )
    assert "nvidia-smi" in status["message"] and status["backend"] == "onnxruntime"
    bench.expect("points", scene.images(), scene.infos())


def test_the_gpu_makes_whole_frames(fake_gpu, pycuda, make_engine_bench, scene, monkeypatch):
    """Pixels to cloud in the worker's thread, as one graph: over the stand-in for the driver."""
    fake_gpu.use_stages(monkeypatch, pycuda)
    bench = make_engine_bench({"model": fake_gpu.path, "backend": "tensorrt", "threads": 1})
    serve(bench, scene, "tensorrt")
    clouds = [cloud_from_msg(bench.expect("points", scene.images(), scene.infos())) for _ in range(3)]
    assert pycuda.library.standin_graphs() == 1 and pycuda.calls.count("finish") >= 3
    assert bench.set_parameters(backend="onnxruntime")[0].successful
    serve(bench, scene, "onnxruntime")
    reference = cloud_from_msg(bench.expect("points", scene.images(), scene.infos()))
    for cloud in clouds:
        near = np.abs(cloud.xyz - reference.xyz) < 0.05 * np.abs(reference.xyz) + 0.01
        assert near[np.isfinite(reference.xyz)].mean() > 0.98
    assert bench.status()["dropped_internal"] == "0"
