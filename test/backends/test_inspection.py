from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends.inspection import OnnxFile
from recon3d_ros.errors import ArtifactError
from test.endless_model import endless_model
from test.published import Graph

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def patches(path: Path, step: int, shape: tuple) -> Path:
    """A network that looks at patches, and crops what is no multiple of them, as a ViT does."""
    graph = Graph()
    h = onnx.helper
    weights = graph.constant(np.full((1, 3, step, step), 1 / (3 * step * step)))
    small = graph.op("Conv", "image", weights, strides=[step, step])
    scales = graph.constant([1.0, 1.0, float(step), float(step)])
    graph.nodes.append(h.make_node("Resize", [small, "", scales], ["depth"], mode="nearest"))
    info = h.make_tensor_value_info
    graph.save(path, [info("image", 1, list(shape))], [info("depth", 1, [1, 1, "a", "b"])])
    return path


@pytest.mark.parametrize("step", [1, 8, 14, 32])
def test_the_step_that_a_network_does_not_crop(tmp_path: Path, step: int) -> None:
    found = OnnxFile(patches(tmp_path / "x.onnx", step, (1, 3, "h", "w")))
    assert found.multiple_of == step
    assert None not in found.signature.outputs[0].shape and None in found.outputs[0].shape


def test_a_fixed_size_is_run_once_for_the_shapes(tmp_path: Path) -> None:
    found = OnnxFile(patches(tmp_path / "x.onnx", 14, (1, 3, 28, 42)))
    assert found.multiple_of is None and found.signature.outputs[0].shape == (1, 1, 28, 42)


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"none")
    with pytest.raises(ArtifactError, match=r"ONNX Runtime cannot load .*x.onnx"):
        OnnxFile(tmp_path / "x.onnx")


def test_a_network_without_an_end_is_ended(tmp_path: Path) -> None:
    endless_model(tmp_path)
    with pytest.raises(ArtifactError, match=r"within 0.3 s, it was ended then: look for a loop"):
        OnnxFile(tmp_path / "endless.onnx", seconds=0.3)


def test_ctrl_c_ends_a_network_without_an_end(tmp_path: Path) -> None:
    endless_model(tmp_path)
    command = [sys.executable, "-m", "recon3d_ros", "models", "add", str(tmp_path / "endless.onnx")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        busy_s = child_cpu_s = 0.0
        while child_cpu_s < busy_s + 1.0:  # of its own start and of the inference
            time.sleep(0.05)
            assert child.poll() is None
            if not busy_s and "libonnxruntime" in Path(f"/proc/{child.pid}/maps").read_text():
                busy_s = cpu_s(child.pid)
            child_cpu_s = cpu_s(child.pid) if busy_s else 0.0
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["endless.onnx", "endless.yaml"]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_names_that_are_no_text_are_one_error(tmp_path: Path) -> None:
    info = onnx.helper.make_tensor_value_info
    graph = Graph()
    graph.nodes.append(onnx.helper.make_node("Relu", ["image"], ["depth"]))
    sides = [1, 3, "heightXX", "w"]
    graph.save(tmp_path / "x.onnx", [info("image", 1, sides)], [info("depth", 1, sides)])
    data = (tmp_path / "x.onnx").read_bytes()
    (tmp_path / "x.onnx").write_bytes(data.replace(b"heightXX", b"height\xe8\x94"))
    with pytest.raises(ArtifactError, match="expected tensors with names and sizes"):
        OnnxFile(tmp_path / "x.onnx")
