from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.backends import open_backend
from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import write_image
from recon3d_ros.geometry import XYZ, XYZI, XYZRGB, Frame, FrameRectifier, StereoRig, UnorganizedCloud
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.pipeline import Pipeline, RequestedOutputs
from recon3d_ros.scale import ScaleRecovery, from_points
from test.raw_cameras import SIZE_WH, raw_rigs

WIDTH, HEIGHT = 61, 47
HEAVY = ("rclpy", "torch", "tensorrt", "onnxruntime", "onnx", "pycuda", "open3d", "rosbags")


@pytest.fixture
def frame() -> Frame:
    """The fake answers disparities of about 1.2 to 6.5 px for it: depths of about 1 to 5 m."""
    left, right = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3), np.uint8)
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13)
    return Frame(7, left, rig.left, right, rig)


@pytest.fixture
def estimator() -> Estimator:
    return Estimator.open(ModelConfig(model="fake_stereo"))


def test_importing_the_core_loads_nothing_heavy() -> None:
    """Also with a model open: the fake needs none of them either."""
    code = (
        "import sys, recon3d_ros.pipeline as p;"
        "from recon3d_ros.config import ModelConfig, PipelineConfig;"
        "p.Pipeline(p.Estimator.open(ModelConfig(model='fake_stereo')), PipelineConfig());"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cloud_lies_where_the_depth_says(frame: Frame, estimator: Estimator) -> None:
    result = Pipeline(estimator, PipelineConfig()).process(frame)
    depth, camera = result.depth_map.depth, frame.camera
    assert np.isfinite(depth).all()
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    expected = np.stack(
        [(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], axis=2
    )
    np.testing.assert_allclose(result.cloud.xyz, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(result.cloud.rgb, frame.image)
    assert list(result.timings_ms) == ["estimate", "filter", "cloud"]
    assert all(time >= 0 for time in result.timings_ms.values())


def test_what_no_camera_saw_is_unknown_in_everything_that_comes_out(
    frame: Frame, estimator: Estimator
) -> None:
    valid = np.zeros((HEIGHT, WIDTH), bool)
    valid[:, : WIDTH // 2] = True
    seen = dataclasses.replace(frame, valid=valid)
    config = PipelineConfig(max_depth_m=2.5, free_space_frames=1, min_confidence=0.5, point_confidence=True)
    whole, part = (Pipeline(estimator, config).process(each) for each in (frame, seen))
    assert not np.isfinite(estimator.estimate_raw(seen)[~valid]).any()
    assert np.isposinf(whole.depth_map.depth[~valid]).any()
    assert np.isnan(part.depth_map.depth[~valid]).all() and np.isnan(part.depth_map.disparity[~valid]).all()
    np.testing.assert_array_equal(part.depth_map.depth[valid], whole.depth_map.depth[valid])
    assert not part.cloud.valid[~valid].any() and part.cloud.valid[valid].any()
    if part.depth_map.confidence is not None:
        assert not part.depth_map.confidence[~valid].any()
    free = part.free_points.xyz
    columns = free[:, 0] / free[:, 2] * frame.camera.fx + frame.camera.cx
    assert len(whole.free_points) > len(part.free_points) and (columns < WIDTH // 2).all()


def test_depth_limits_and_border(frame: Frame, estimator: Estimator) -> None:
    plain = estimator.estimate(frame)
    config = PipelineConfig(min_depth_m=1.5, max_depth_m=2.5, border_px=3)
    result = Pipeline(estimator, config).process(frame)
    depth = result.depth_map.depth
    inner = np.zeros((HEIGHT, WIDTH), bool)
    inner[3:-3, 3:-3] = True
    near, far = plain.depth < 1.5, plain.depth > 2.5
    for part in (inner & near, inner & far, inner & ~near & ~far):
        assert part.any()
    np.testing.assert_array_equal(np.isnan(depth), ~inner | near)
    np.testing.assert_array_equal(np.isposinf(depth), inner & far)
    kept = inner & ~near & ~far
    np.testing.assert_array_equal(depth[kept], plain.depth[kept])
    np.testing.assert_array_equal(result.cloud.valid, kept)
    # the disparity is missing where the depth is invalid, and stays where it is only far
    np.testing.assert_array_equal(
        result.depth_map.disparity, np.where(~inner | near, np.nan, plain.disparity)
    )


def test_cloud_goes_into_the_given_memory_or_is_left_out(frame: Frame, estimator: Estimator) -> None:
    pipeline = Pipeline(estimator, PipelineConfig())
    message = bytearray(HEIGHT * WIDTH * 16)
    into = np.frombuffer(message, np.float32).reshape(HEIGHT, WIDTH, 4)
    result = pipeline.process(frame, cloud_into=into)
    assert result.cloud.data is into and into[20, 30, 2] == result.depth_map.depth[20, 30]
    without = pipeline.process(frame, requested=RequestedOutputs(cloud=False))
    assert without.cloud is None and list(without.timings_ms) == ["estimate", "filter"]


def test_camera_may_change_between_frames(frame: Frame, estimator: Estimator) -> None:
    pipeline = Pipeline(estimator, PipelineConfig())
    first = pipeline.process(frame).cloud.xyz
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13, cx=20.0)
    moved = pipeline.process(dataclasses.replace(frame, camera=rig.left, rig=rig)).cloud.xyz
    assert not np.allclose(moved[..., 0], first[..., 0])
    np.testing.assert_allclose(moved[20, 20, 0], 0.0, atol=1e-6)
    np.testing.assert_array_equal(pipeline.process(frame).cloud.xyz, first)


def test_filters_run_and_the_estimate_stays_as_it_is(frame: Frame, estimator: Estimator, tmp_path) -> None:
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:, :20] = 0
    write_image(tmp_path / "mask.png", mask)
    estimate = estimator.estimate(frame)
    estimate = dataclasses.replace(
        estimate, confidence=np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    )
    before = estimate.depth.copy(), estimate.disparity.copy()
    config = PipelineConfig(roi_mask=str(tmp_path / "mask.png"), min_confidence=0.25)
    result = Pipeline(estimator, config).refine(frame, estimate)
    kept = (mask > 0) & (estimate.confidence >= 0.25)
    np.testing.assert_array_equal(np.isfinite(result.depth_map.depth), kept)
    np.testing.assert_array_equal(result.cloud.valid, kept)
    for array, kept_array in zip((estimate.depth, estimate.disparity), before):
        np.testing.assert_array_equal(array, kept_array)
    assert list(result.timings_ms) == ["filter", "cloud"]


def test_what_the_mask_cuts_out_is_as_if_no_camera_had_seen_it(
    frame: Frame, estimator: Estimator, tmp_path
) -> None:
    """The robot's own body: no depth, no confidence, no point, and no free space through it."""
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[5:, :20] = 0
    write_image(tmp_path / "mask.png", mask)
    limits = {"max_depth_m": 0.5, "free_space_frames": 1, "trust_calibration": True}
    with_mask = Pipeline(estimator, PipelineConfig(roi_mask=str(tmp_path / "mask.png"), **limits))
    result = with_mask.process(frame)
    expected = Pipeline(estimator, PipelineConfig(**limits)).process(frame.restricted(mask > 0))
    np.testing.assert_array_equal(result.depth_map.depth, expected.depth_map.depth)
    np.testing.assert_array_equal(result.depth_map.disparity, expected.depth_map.disparity)
    np.testing.assert_array_equal(result.cloud.data, expected.cloud.data)
    np.testing.assert_array_equal(result.free_points.data, expected.free_points.data)
    assert np.isnan(result.depth_map.depth[mask == 0]).all() and len(result.free_points) > 0
    assert not with_mask.masked(frame).valid[mask == 0].any()


@settings(max_examples=30)
@given(rig=raw_rigs(), seed=st.integers(0, 2**32 - 1))
def test_no_calibration_and_no_mask_lets_out_what_was_not_seen(
    rig: StereoRig, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Behind any lenses, any P and any mask, in everything that comes out, free space included."""
    rng, (width, height) = np.random.default_rng(seed), SIZE_WH
    mask = np.full((height, width), 255, np.uint8)
    u, v = rng.integers(0, width), rng.integers(0, height)
    mask[v : v + 30, u : u + 40] = 0
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    write_image(path, mask)
    left, right = rng.integers(0, 250, (2, height, width, 3), np.uint8)
    frame = FrameRectifier(rig).frame(left, right)
    config = PipelineConfig(
        roi_mask=str(path),
        min_depth_m=0.01,
        max_depth_m=3.0,
        free_space_frames=1,
        trust_calibration=True,
        point_fields="xyz",
    )
    with Estimator.open(ModelConfig(model="fake_stereo")) as estimator:
        result = Pipeline(estimator, config).process(frame)
        raw = estimator.estimate(dataclasses.replace(frame, valid=None, right_valid=None))
    assert not np.isnan(raw.disparity).any()
    seen = mask > 0 if frame.valid is None else frame.valid & (mask > 0)
    clear = np.ones_like(seen)
    if frame.right_valid is not None:
        match = np.arange(width) - raw.disparity
        nearest = np.rint(match).astype(int)
        inside = (nearest >= 0) & (nearest < width)
        seen &= inside & np.take_along_axis(frame.right_valid, np.clip(nearest, 0, width - 1), axis=1)
        clear = abs(match - nearest) < 0.45  # halfway between two pixels of the right image either may count
    depth = result.depth_map.depth
    np.testing.assert_array_equal(~np.isnan(depth[clear]), seen[clear])
    assert not result.cloud.valid[np.isnan(depth)].any()
    free = result.free_points.xyz.astype(float)
    camera = frame.camera
    columns = np.rint(free[:, 0] / free[:, 2] * camera.fx + camera.cx).astype(int)
    rows = np.rint(free[:, 1] / free[:, 2] * camera.fy + camera.cy).astype(int)
    assert (seen | ~clear)[rows, columns].all() and np.isposinf(depth[rows, columns]).all()


EVERYTHING = PipelineConfig(
    border_px=2,
    min_confidence=0.1,
    min_texture=1.0,
    max_edge_jump=0.5,
    speckle_px=2,
    temporal_weight=0.5,
    temporal_jump=0.5,
    point_fields="auto",
    point_confidence=True,
    point_sigma=True,
    point_normals=True,
    decimation=2,
    free_space_frames=1,
)


def test_every_filter_and_field_together(frame: Frame, estimator: Estimator) -> None:
    """Twice the same frame: also the filters that remember."""
    pipeline = Pipeline(estimator, EVERYTHING)
    names = [name for name, _ in pipeline.filters.steps]
    assert names == ["limits", "border", "confidence", "texture", "edges", "speckle", "temporal"]
    for _ in range(2):
        result = pipeline.process(frame)
        shape, fields = pipeline.cloud_layout(frame)
        assert result.cloud.data.shape == (*shape, len(fields)) == (24, 31, 9)
        assert result.cloud.fields == fields
        assert result.free_points.xyz.shape[1] == 3
        assert list(result.timings_ms) == ["estimate", "filter", "cloud", "free"]
        assert 0 < result.cloud.valid.sum()


def test_the_past_smooths_depth_and_disparity_alike_until_it_is_reset(
    frame: Frame, estimator: Estimator
) -> None:
    pipeline = Pipeline(estimator, PipelineConfig(temporal_weight=0.5, temporal_jump=0.2))
    first = estimator.estimate(frame)
    second = dataclasses.replace(first, depth=first.depth * np.float32(1.1))
    assert np.array_equal(pipeline.refine(frame, first).depth_map.depth, first.depth)
    smoothed = pipeline.refine(frame, second).depth_map
    np.testing.assert_allclose(1 / smoothed.depth, 0.5 / first.depth + 0.5 / second.depth, rtol=1e-5)
    np.testing.assert_allclose(frame.rig.depth_from_disparity(smoothed.disparity), smoothed.depth, rtol=1e-4)
    pipeline.reset()
    assert np.array_equal(pipeline.refine(frame, second).depth_map.depth, second.depth)
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13, cx=20.0)
    moved = dataclasses.replace(frame, camera=rig.left, rig=rig)
    other = dataclasses.replace(first, camera=rig.left)
    assert np.array_equal(pipeline.refine(moved, other).depth_map.depth, first.depth), "another calibration"


@pytest.mark.parametrize(
    ("choice", "grey", "fields"),
    [
        ("xyz", False, XYZ),
        ("xyzrgb", True, XYZRGB),
        ("xyzi", False, XYZI),
        ("auto", False, XYZRGB),
        ("auto", True, XYZI),
    ],
)
def test_fields_follow_the_choice_and_the_image(
    frame: Frame, estimator: Estimator, choice: str, grey: bool, fields: tuple[str, ...]
) -> None:
    if grey:
        left, right = frame.image[..., 0].copy(), frame.right[..., 0].copy()
        frame = dataclasses.replace(frame, image=left, right=right)
    pipeline = Pipeline(estimator, PipelineConfig(point_fields=choice))
    assert pipeline.cloud_layout(frame) == ((HEIGHT, WIDTH), fields)
    cloud = pipeline.process(frame).cloud
    assert cloud.fields == fields
    if fields == XYZI and grey:
        np.testing.assert_array_equal(cloud["intensity"], frame.image)


@pytest.mark.parametrize(
    "config",
    [
        PipelineConfig(voxel_m=0.3, point_confidence=True),
        PipelineConfig(outlier_radius_m=0.2, outlier_neighbours=25),
        PipelineConfig(voxel_m=0.1, outlier_radius_m=0.3, decimation=2),
    ],
)
def test_lists_of_points_have_no_layout_and_do_not_change_later(
    frame: Frame, estimator: Estimator, config: PipelineConfig
) -> None:
    pipeline = Pipeline(estimator, config)
    assert pipeline.cloud_layout(frame) is None
    cloud = pipeline.process(frame).cloud
    assert isinstance(cloud, UnorganizedCloud) and 0 < len(cloud) < HEIGHT * WIDTH
    before = cloud.data.copy()
    other = dataclasses.replace(frame, right=frame.right // 2)
    assert not np.array_equal(pipeline.process(other).cloud.data, before)
    np.testing.assert_array_equal(cloud.data, before)


def test_a_voxel_grid_has_the_points_of_the_cloud(frame: Frame, estimator: Estimator) -> None:
    whole = Pipeline(estimator, PipelineConfig()).process(frame).cloud
    cloud = Pipeline(estimator, PipelineConfig(voxel_m=0.25)).process(frame).cloud
    cubes = {tuple(cube) for cube in np.floor(whole.points().xyz / 0.25).astype(int)}
    assert len(cloud) == len(cubes)


def test_free_space_needs_frames_in_a_row_that_somebody_looked_at(frame: Frame, estimator: Estimator) -> None:
    config = PipelineConfig(max_depth_m=0.5, free_space_frames=2, trust_calibration=True)  # all is beyond
    pipeline = Pipeline(estimator, config)
    frame = dataclasses.replace(frame, image=np.minimum(frame.image, 200))
    numbers = []
    for free in (True, True, True, False, True, True):
        points = pipeline.process(frame, requested=RequestedOutputs(free=free)).free_points
        numbers.append(None if points is None else len(points))
    assert numbers == [0, 35, 35, None, 0, 35]
    pipeline.reset()
    assert len(pipeline.process(frame).free_points) == 0
    without = Pipeline(estimator, PipelineConfig(max_depth_m=0.5)).process(frame)
    assert without.free_points is None and "free" not in without.timings_ms


@pytest.mark.parametrize(
    ("baseline_m", "limits", "says"),
    [
        (130.0, {}, "millimetres"),
        (0.13, {"max_depth_m": 0.5}, "farther"),
        (0.13, {"min_depth_m": 9.0}, "nearer"),
    ],
)
def test_an_unlikely_scale_is_told_and_gives_no_free_space_unless_it_is_trusted(
    frame: Frame, estimator: Estimator, baseline_m: float, limits: dict[str, float], says: str
) -> None:
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=baseline_m)
    frame = dataclasses.replace(frame, camera=rig.left, rig=rig)
    config = PipelineConfig(**limits, free_space_frames=1)
    result = Pipeline(estimator, config).process(frame)
    (doubt,) = result.doubts
    assert says in doubt and result.free_points is None and "free" not in result.timings_ms
    trusted = Pipeline(estimator, dataclasses.replace(config, trust_calibration=True)).process(frame)
    assert trusted.doubts == () and trusted.free_points is not None
    np.testing.assert_array_equal(trusted.cloud.data, result.cloud.data)


def test_what_was_unlikely_of_the_raw_camera_is_told(frame: Frame, estimator: Estimator) -> None:
    result = Pipeline(estimator).process(dataclasses.replace(frame, doubts=("expected K, got another",)))
    assert result.doubts == ("expected K, got another",)
    assert Pipeline(estimator).process(frame).doubts == ()


def test_frames_of_a_doubted_scale_do_not_count_as_free(frame: Frame, estimator: Estimator) -> None:
    frame = dataclasses.replace(frame, image=np.minimum(frame.image, 200))
    doubted = dataclasses.replace(frame, doubts=("expected K, got another",))
    pipeline = Pipeline(estimator, PipelineConfig(max_depth_m=2.5, free_space_frames=2))
    free = [pipeline.process(each).free_points for each in (frame, frame, doubted, frame, frame)]
    assert free[2] is None and [len(free[i]) > 0 for i in (0, 1, 3, 4)] == [False, True, False, True]


def test_a_mask_that_cannot_be_read_or_is_of_another_camera_is_a_wrong_option(
    frame: Frame, estimator: Estimator, tmp_path
) -> None:
    with pytest.raises(ConfigError, match="roi_mask"):
        Pipeline(estimator, PipelineConfig(roi_mask=str(tmp_path / "absent.png")))
    write_image(tmp_path / "tall.png", np.zeros((WIDTH, HEIGHT), np.uint8))
    pipeline = Pipeline(estimator, PipelineConfig(roi_mask=str(tmp_path / "tall.png")))
    with pytest.raises(ConfigError, match=r"tall\.png is 47x61"):
        pipeline.process(frame)


def test_model_without_metres_is_refused_at_once() -> None:
    manifest = dataclasses.replace(
        BUILT_IN["fake_mono"],
        task="mono_relative_inverse_depth",
        output=OutputContract("relative", "relative_inverse_depth"),
    )
    with pytest.raises(ConfigError, match="use a metric or a stereo model"):
        Pipeline(Estimator(manifest, open_backend("fake", manifest)), PipelineConfig())


def mono_of(frame: Frame) -> Frame:
    return Frame(frame.stamp_ns, frame.image, frame.camera)


def relative_estimator() -> Estimator:
    manifest = dataclasses.replace(
        BUILT_IN["fake_mono"],
        name="relative",
        task="mono_relative_inverse_depth",
        input=InputContract(("image",), multiple_of=2),
        output=OutputContract("relative", "relative_inverse_depth"),
    )
    return Estimator(manifest, open_backend("fake", manifest))


def recovery(*sources: str) -> ScaleRecovery:
    return ScaleRecovery(ScaleConfig(scale_sources=sources, scale_factor=2.0))


def test_scale_comes_before_the_filters_and_its_state_with_the_result(frame: Frame) -> None:
    """Depth limits are metres: what they cut away depends on the scale."""
    mono = Estimator.open(ModelConfig(model="fake_mono"), stereo=False)
    config = PipelineConfig(min_depth_m=0.1, max_depth_m=4.0)
    plain = Pipeline(mono, config).process(mono_of(frame))
    result = Pipeline(mono, config, recovery("fixed")).process(mono_of(frame))
    assert plain.scale is None and result.scale.trusted and result.scale.scale == 2.0
    own = mono.estimate(mono_of(frame)).depth
    np.testing.assert_array_equal(np.isposinf(result.depth_map.depth), 2 * own > 4.0)
    near = 2 * own <= 4.0
    assert near.any() and not near.all()
    np.testing.assert_allclose(result.depth_map.depth[near], 2 * own[near], rtol=1e-6)
    np.testing.assert_array_equal(result.cloud.valid, near)
    assert list(result.timings_ms) == ["estimate", "scale", "filter", "cloud"]


def test_the_example_on_the_page_of_scales_runs(frame: Frame, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
    example = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0]
    points = np.random.default_rng(0).uniform((-0.5, -0.5, 2.0), (0.5, 0.5, 3.0), (50, 3))
    names = {"frame": mono_of(frame), "points": points}
    exec(example.replace("my_mono.yaml", "fake_mono"), names)
    assert names["result"].scale.sources == ("points",)
    assert capsys.readouterr().out.startswith("scale ")


def test_points_of_another_sensor_scale_the_cloud_and_the_state_outlives_a_pipeline(frame: Frame) -> None:
    mono, follow = Estimator.open(ModelConfig(model="fake_mono"), stereo=False), recovery("points")
    own = mono.estimate(mono_of(frame)).depth
    v, u = np.mgrid[5:45:10, 5:60:10]
    z = 1.5 * own[v, u].astype(float)
    camera = frame.camera
    points = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=2)
    known = [from_points("points", points.reshape(-1, 3), camera)]
    withheld = Pipeline(mono, PipelineConfig(), follow).process(mono_of(frame))
    assert not withheld.scale.trusted and not withheld.cloud.valid.any()
    first = Pipeline(mono, PipelineConfig(), follow).process(mono_of(frame), observations=known)
    np.testing.assert_allclose(first.depth_map.depth, 1.5 * own, rtol=1e-3)
    again = Pipeline(mono, PipelineConfig(max_depth_m=9.0), follow).process(mono_of(frame))
    assert again.scale.scale == first.scale.scale and again.scale.sources == ()


def test_a_relative_model_makes_a_cloud_once_something_tells_its_scale(frame: Frame) -> None:
    relative = relative_estimator()
    with pytest.raises(ConfigError, match="set scale_sources, or use a metric or a stereo model"):
        Pipeline(relative, PipelineConfig())
    result = Pipeline(relative, PipelineConfig(), recovery("fixed")).process(mono_of(frame))
    values = relative.estimate_raw(mono_of(frame))
    np.testing.assert_allclose(result.depth_map.depth, 1 / (2 * values), rtol=1e-5)
    assert result.cloud.valid.all()


def test_a_stereo_model_has_its_scale_from_its_baseline(estimator: Estimator) -> None:
    with pytest.raises(ConfigError, match="scale_sources are for mono models, got the stereo model"):
        Pipeline(estimator, PipelineConfig(), recovery("fixed"))


@pytest.mark.parametrize("decimation", [1, 3])
def test_labels_come_with_the_cloud_and_as_points(
    frame: Frame, estimator: Estimator, decimation: int
) -> None:
    config = PipelineConfig(point_labels="recon3d_point_labels", decimation=decimation, point_fields="xyz")
    pipeline = Pipeline(estimator, config)
    result = pipeline.process(frame)
    labels = result.labels.labels
    assert result.cloud.fields == (*XYZ, "label", "label_probability")
    assert np.array_equal(result.cloud.labels, labels[::decimation, ::decimation])
    known = np.isfinite(result.cloud["label_probability"])
    assert known.all() and labels.any()
    stops = np.isin(result.cloud.labels, (2, 3, 4, 6))
    np.testing.assert_allclose(result.obstacles.xyz, result.cloud.xyz[stops], rtol=1e-4, atol=1e-5)
    assert len(result.ground) == (result.cloud.labels == 1).sum()
    assert {"labels", "labelled"} <= result.timings_ms.keys()
    nothing = pipeline.process(frame, requested=RequestedOutputs(cloud=False, labelled=False))
    assert nothing.labels is None and nothing.ground is None and "labels" not in nothing.timings_ms


def test_a_voxel_has_the_label_of_its_likeliest_point(frame: Frame, estimator: Estimator) -> None:
    config = PipelineConfig(point_labels="recon3d_point_labels", voxel_m=0.5)
    cloud = Pipeline(estimator, config).process(frame).cloud
    assert set(np.unique(cloud.labels)) <= set(range(7)) and cloud.labels.any()
