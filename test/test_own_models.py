"""What docs/own-models.md says of the YAML is so: every key, every sentence about a mistake, the example."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import Recon3dError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput, Invalid
from recon3d_ros.model_zoo.manifest import (
    Accuracy,
    Artifact,
    ExternalFile,
    Golden,
    Licence,
    Manifest,
    Plugin,
    TrainingSource,
)

PAGE = (Path(__file__).parents[1] / "docs" / "own-models.md").read_text(encoding="utf-8")
# What a key of a manifest holds, where it is no plain value.
PARTS = {
    "artifacts": ("artifacts[].", Artifact),
    "artifacts[].external": ("artifacts[].external[].", ExternalFile),
    "input": ("input.", InputContract),
    "output": ("output.", OutputContract),
    "input.extra": ("input.extra[].", ExtraInput),
    "output.invalid": ("output.invalid.", Invalid),
    "licence": ("licence.", Licence),
    "licence.sources": ("licence.sources[].", TrainingSource),
    "accuracy": ("accuracy[].", Accuracy),
    "golden": ("golden.", Golden),
    "plugins": ("plugins[].", Plugin),
}
KEY = re.compile(r"^\| `([\w.\[\]]+)` \| (\S+) \| .+ \|$", re.MULTILINE)
SENTENCE = re.compile(r"^\| (.+?) \| (.+) \|$", re.MULTILINE)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def keys_of(cls: type, before: str = "") -> Iterator[tuple[str, str]]:
    """Every key that a YAML may have, and its default as the page writes it."""
    for field in dataclasses.fields(cls):
        key = before + field.name
        if key in PARTS:
            prefix, part = PARTS[key]
            yield from keys_of(part, prefix)
        elif key != "path":
            yield key, default_of(field)


def default_of(field: dataclasses.Field) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "none"
    if field.default == "":
        return "empty"
    return f"`{list(field.default) if isinstance(field.default, tuple) else field.default}`"


def test_the_table_has_every_key_with_its_default():
    told, known = dict(KEY.findall(section("All keys"))), dict(keys_of(Manifest))
    assert told == known
    assert len(known) > 30


RIGHT = {
    "name": "own",
    "task": "mono_metric_depth",
    "input": {"names": ["image"], "size_wh": [48, 32]},
    "output": {"name": "depth", "unit": "m"},
    "licence": {"weights": "MIT"},
}
# One for each row of the page, in its order.
MISTAKES: dict[str, Callable[[dict, Path], object]] = {
    "unknown key": lambda data, _: data["input"].update(colour="rgb"),
    "two sizes": lambda data, _: data["input"].update(multiple_of=32),
    "name": lambda data, _: data.update(name="other"),
    "tensor": lambda data, _: data["input"].update(names=["img"]),
    "layout": lambda data, _: data["input"].update(layout="NHWC"),
    "size": lambda data, _: data["input"].update(size_wh=[32, 48]),
    "colour": lambda data, _: data["input"].update(color="mono"),
    "answer": lambda data, _: data["output"].update(layout="HW"),
    "unit": lambda data, _: data["output"].update(unit="px"),
    "uint8": lambda data, _: data["input"].update(dtype="uint8", scale=0.5),
    "file": lambda data, _: data["artifacts"][0].update(sha256="0" * 64),
    "weights outside": lambda data, folder: write_network(folder, data, outside=True),
    "operator": lambda data, folder: write_network(folder, data, operator="Own"),
    "golden": lambda data, folder: write_golden(folder, data),
}


def write_network(folder: Path, data: dict, *, outside: bool = False, operator: str = "Add") -> None:
    """The depth of a pixel is the mean of its colours, and a metre."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    metre = onnx.numpy_helper.from_array(np.ones((1, 1, 32, 48), np.float32), "metre")
    graph = h.make_graph(
        [
            h.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
            h.make_node(operator, ["grey", "metre"], ["depth"]),
        ],
        "own",
        [h.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 32, 48])],
        [h.make_tensor_value_info("depth", onnx.TensorProto.FLOAT, [1, 1, 32, 48])],
        [metre],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    file = folder / "own.onnx"
    onnx.save(model, file, save_as_external_data=outside, location="own.bin", size_threshold=0)
    data["artifacts"] = [{"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}]


def write_golden(folder: Path, data: dict) -> None:
    """An answer to another order of colours, as a golden answer is there to find."""
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    file = folder / "own.npz"
    expected = image[..., 2].astype(np.float32)[None, None] + 1
    np.savez(file, image=image, expected=expected)
    data["golden"] = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def opened(folder: Path, data: dict) -> Estimator:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return Estimator.open(ModelConfig(model=str(path), backend="onnxruntime", threads=1))


@pytest.fixture
def right(tmp_path: Path) -> dict:
    """What a right YAML says, beside its network."""
    pytest.importorskip("onnxruntime")
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in RIGHT.items()}
    write_network(tmp_path, data)
    return data


def test_the_right_one_answers(right, tmp_path):
    estimator = opened(tmp_path, right)
    depth = estimator.estimate(
        Frame(0, np.full((32, 48, 3), 3, np.uint8), PinholeCamera.simple(48, 32, 40.0))
    )
    np.testing.assert_allclose(depth.depth, 4.0)
    estimator.close()


@pytest.mark.parametrize("number, mistake", list(enumerate(MISTAKES)), ids=list(MISTAKES))
def test_a_mistake_has_the_sentence_of_the_page(right, tmp_path, number, mistake):
    table = section("Common mistakes").split("\n\n")[1]
    rows = SENTENCE.findall(table)[1:]
    assert len(rows) == len(MISTAKES)
    MISTAKES[mistake](right, tmp_path)
    with pytest.raises(Recon3dError) as caught:
        opened(tmp_path, right)
    assert rows[number][1] in str(caught.value)


def test_the_example_is_the_whole_manifest_of_fastdepth(data_dir, tmp_path):
    pytest.importorskip("onnxruntime")
    text = re.search(r"```yaml\n# ([\w.]+)\n(.*?)```", PAGE, re.DOTALL)
    assert text is not None
    path = tmp_path / text[1]
    path.write_text(text[2], encoding="utf-8")
    shutil.copy(data_dir / "models" / f"{path.stem}.onnx", tmp_path)
    estimator = Estimator.open(ModelConfig(model=str(path), threads=1))
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    depth = estimator.estimate(Frame(0, image, PinholeCamera.simple(64, 48, 50.0))).depth
    estimator.close()
    assert depth.shape == (48, 64) and 0.3 < np.nanmedian(depth) < 10.0
