"""What `import recon3d_ros` offers: every name is there and says what it takes, and the examples run."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import cv2
import numpy as np
import pytest
import yaml

import recon3d_ros
from recon3d_ros.files import read_depth, read_ply, write_depth_png16, write_image
from recon3d_ros.geometry import Frame, Sample
from recon3d_ros.world import WorldCamera

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in recon3d_ros.__all__ if name != "__version__"]
SHAPE = re.compile(r"\((H, W|N|\d|\.\.\.)[^)]*\)")
DTYPE = re.compile(r"float32|float64|uint8|bool")
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_has_a_docstring(name):
    value = getattr(recon3d_ros, name)
    assert inspect.isclass(value) or inspect.isfunction(value)
    assert value.__name__ == name
    # that of a dataclass without one of its own is its signature
    assert value.__doc__ and not value.__doc__.startswith(f"{name}(")


def members(value: object) -> dict[str, object]:
    """A public function or class, and the public methods and properties that it has of its own."""
    found = {} if inspect.isclass(value) else {value.__name__: value}
    if inspect.isclass(value):
        for part, member in vars(value).items():
            function = getattr(member, "fget", None) or getattr(member, "func", None)
            function = function or getattr(member, "__func__", member)
            if not part.startswith("_") and isinstance(function, FunctionType):
                found[f"{value.__name__}.{part}"] = function
    return found


@pytest.mark.parametrize("name", NAMES)
def test_arrays_come_with_their_shape_and_dtype(name):
    value = getattr(recon3d_ros, name)
    parts = members(value)
    if inspect.isclass(value) and "NDArray" in str(getattr(value, "__annotations__", "")):
        parts[name] = value
    for part, member in parts.items():
        assert member.__doc__, f"{part} has no docstring"
        if "NDArray" in str(member.__annotations__):
            text = member.__doc__ + ("" if part == name else value.__doc__ or "")
            assert SHAPE.search(text) and DTYPE.search(text), (
                f"{part} says no shape or no dtype of its arrays"
            )


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(recon3d_ros.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {alias.asname: f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    assert seen == {name: f"{module}.{name}" for name, module in recon3d_ros._MODULE_OF.items()}


def test_what_is_not_public_is_not_there():
    assert set(NAMES) <= set(dir(recon3d_ros))
    with pytest.raises(AttributeError, match="has no attribute 'Estimatr'"):
        _ = recon3d_ros.Estimatr


def test_the_import_loads_no_module_of_ours_and_no_library():
    probe = "import sys; before = set(sys.modules); import recon3d_ros; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "recon3d_ros"
    }


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A rendered pair, as the examples find it, with its exact depth."""
    return WorldCamera(kind="indoor", size_wh=(252, 156)).sample(3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Sample) -> Path:
    """The current folder, with every file that the examples read."""
    monkeypatch.chdir(tmp_path)
    frame: Frame = sample.frame
    for name, image in (("left", frame.image), ("right", frame.right), ("room", frame.image)):
        write_image(tmp_path / f"{name}.png", image)
        np.save(tmp_path / f"{name}.npy", image)
    cameras = {"left": frame.rig.left.to_dict(), "right": frame.rig.right.to_dict()}
    (tmp_path / "pair.yaml").write_text(yaml.safe_dump(cameras))
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(cameras["left"]))
    video = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, (252, 156))
    for shift in range(3):
        video.write(np.roll(frame.image, shift, axis=1)[..., ::-1])
    video.release()
    return tmp_path


def run(example: str) -> None:
    assert len(example.strip().splitlines()) <= 12, "an example has ten lines and a blank one"
    exec(compile(example, "docs/python.md", "exec"), {"__name__": "example"})


def test_there_are_as_many_examples_as_tests_of_them():
    assert len(EXAMPLES) == 5


def test_a_stereo_pair_becomes_a_cloud(folder, sample, capsys):
    run(EXAMPLES[0])
    cloud = read_ply(folder / "cloud.ply")
    assert len(cloud) > 0.5 * sample.depth.size and cloud.fields[:4] == ("x", "y", "z", "rgb")
    near = sample.depth[sample.depth <= 10.0]
    assert np.median(cloud.xyz[:, 2]) == pytest.approx(np.median(near), rel=0.1)
    assert "[[" in capsys.readouterr().out


def test_one_image_becomes_a_cloud_or_a_reason(folder, capsys):
    run(EXAMPLES[1])
    said = capsys.readouterr().out
    cloud = read_ply(folder / "cloud.ply")
    assert ("from floor" in said) == (len(cloud) > 0) and "scale" in said


def test_a_video_becomes_depth(folder):
    run(EXAMPLES[2])
    names = sorted(path.name for path in folder.glob("depth_*.png"))
    assert names == [f"depth_{round(i * 1e9 / 30):012d}.png" for i in range(3)]
    depth = read_depth(folder / names[-1])
    assert depth.shape == (156, 252) and np.isfinite(depth).mean() > 0.5


def test_arrays_go_in_and_out(folder, sample):
    run(EXAMPLES[3])
    written = np.load(folder / "depth.npz")
    assert np.nanmedian(np.abs(written["disparity"] - sample.disparity)) < 0.5
    assert written["depth"] == pytest.approx(150.0 * 0.12 / written["disparity"], rel=1e-4)
    assert written["sigma_m"].shape == (156, 252)


def test_far_and_unknown_pixels_are_told_apart(folder, sample, capsys):
    run(EXAMPLES[4])
    said, median_m = capsys.readouterr().out.splitlines()
    known, far, unknown = (int(number) for number in re.findall(r"(\d+)%", said))
    assert 98 <= known + far + unknown <= 102
    near = sample.depth <= 3.0
    assert known == pytest.approx(100 * near.mean(), abs=8) and far > 10
    assert float(median_m) == pytest.approx(np.median(sample.depth[near]), rel=0.1)


def test_what_the_page_says_of_the_outputs_of_such_pixels_holds(tmp_path, sample):
    frame = sample.frame
    depth = np.full(sample.depth.shape, 2.0, np.float32)
    depth[1, 2], depth[3, 4], depth[5, 6], depth[7, 8] = 25.0, np.inf, np.nan, 0.01
    disparity = np.nan_to_num(frame.rig.disparity_from_depth(depth), nan=np.nan)
    estimate = recon3d_ros.DepthMap(depth, frame.camera, disparity)
    with recon3d_ros.load_model("fake_stereo") as model:
        result = recon3d_ros.Pipeline(model).refine(frame, estimate)
    found = result.depth_map
    write_depth_png16(tmp_path / "depth.png", found.depth)
    millimetres = cv2.imread(str(tmp_path / "depth.png"), cv2.IMREAD_UNCHANGED)
    for pixel, is_far in (((1, 2), True), ((3, 4), True), ((5, 6), False), ((7, 8), False)):
        assert np.isposinf(found.depth[pixel]) if is_far else np.isnan(found.depth[pixel])
        assert found.disparity[pixel] == disparity[pixel] if is_far else np.isnan(found.disparity[pixel])
        assert np.isnan(result.cloud.data[pixel][:3]).all() and millimetres[pixel] == 0
    assert not np.isneginf(found.depth).any() and millimetres[0, 0] == 2000
