from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.cli import results
from recon3d_ros.cli.main import main
from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.files import read_image, read_pfm, read_ply, read_ply_points, write_image
from recon3d_ros.geometry import Rectifier, StereoRig, stereo_rectified_pair
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.world import WorldCamera

WIDTH, HEIGHT = 97, 61
RIG = StereoRig.simple(WIDTH, HEIGHT, 80.0, 0.1, doffs_px=1.0)
STEREO_FILES = ["cloud.ply", "depth.pfm", "depth.png", "depth_colour.png", "disparity.pfm"]
MONO_FILES = [name for name in STEREO_FILES if name != "disparity.pfm"]


def picture(seed):
    noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def stereo_yaml(path, rig):
    path.write_text(yaml.safe_dump({"left": rig.left.to_dict(), "right": rig.right.to_dict()}))


@pytest.fixture
def folder(tmp_path):
    """left/ and right/ with two frames, l.png and r.png, and camera files."""
    for seed, side in enumerate(("left", "right")):
        (tmp_path / side).mkdir()
        for name in ("a", "b"):
            write_image(tmp_path / side / f"{name}.png", picture(seed))
        write_image(tmp_path / f"{side[0]}.png", picture(seed))
        (tmp_path / f"{side}.yaml").write_text(yaml.safe_dump((RIG.left, RIG.right)[seed].to_dict()))
    stereo_yaml(tmp_path / "stereo.yaml", RIG)
    return tmp_path


def run(folder, *words, model="fake_stereo", view=False):
    words = [str(folder / word[1:]) if word.startswith("@") else word for word in words]
    flags = ["--out", str(folder / "out"), "--model", model, *([] if view else ["--no-view"])]
    return main(["run", *words, *flags])


def written(folder):
    return sorted(path.name for path in (folder / "out").iterdir())


PAIR = ("--left", "@l.png", "--right", "@r.png")


def test_a_pair_gives_every_file_and_they_agree(folder, capsys):
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", "--max-depth-m", "3.5") == 0
    assert written(folder) == [f"l_{name}" for name in STEREO_FILES]
    out = folder / "out"
    depth, disparity = read_pfm(out / "l_depth.pfm"), read_pfm(out / "l_disparity.pfm")
    assert depth.shape == (HEIGHT, WIDTH)
    valid = np.isfinite(depth)
    assert 0 < valid.sum() and np.nanmax(depth[valid]) <= 3.5
    assert np.allclose(RIG.depth_from_disparity(disparity)[valid], depth[valid])
    depth_mm = cv2.imread(str(out / "l_depth.png"), cv2.IMREAD_UNCHANGED)
    assert depth_mm.dtype == np.uint16
    assert np.abs(depth_mm[valid] / 1000 - depth[valid]).max() <= 0.0005 + 1e-6
    xyz, colours = read_ply_points(out / "l_cloud.ply")
    assert np.array_equal(xyz[:, 2], depth[valid])
    assert np.array_equal(colours, picture(0)[valid]), "colours are those of the left image, RGB"
    assert read_image(out / "l_depth_colour.png").shape == (HEIGHT, WIDTH, 3)
    said = capsys.readouterr().out
    assert "l 97x61" in said and "1 frame of fake_stereo" in said


def test_confidence_of_a_model_that_answers_it_is_written_and_used(folder, monkeypatch):
    manifest = BUILT_IN["fake_stereo"]
    sure = replace(manifest, output=replace(manifest.output, confidence="confidence"))
    monkeypatch.setitem(BUILT_IN, "fake_stereo", sure)
    flags = ("--point-confidence", "--min-confidence", "0.5", "--point-fields", "xyz")
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", *flags) == 0
    assert written(folder) == sorted(
        f"l_{name}" for name in (*STEREO_FILES, "confidence.pfm", "confidence.png")
    )
    confidence = read_pfm(folder / "out" / "l_confidence.pfm")
    assert confidence.shape == (HEIGHT, WIDTH) and (confidence == 1).all()
    assert (read_image(folder / "out" / "l_confidence.png") == 255).all()
    cloud = read_ply(folder / "out" / "l_cloud.ply")
    assert cloud.fields == ("x", "y", "z", "confidence") and (cloud["confidence"] == 1).all()


def test_a_voxel_grid_thins_the_cloud_and_leaves_the_depth(folder):
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", "--voxel-m", "0.2") == 0
    depth = read_pfm(folder / "out" / "l_depth.pfm")
    assert 0 < len(read_ply(folder / "out" / "l_cloud.ply")) < np.isfinite(depth).sum() / 2


def test_the_ends_of_free_rays_are_a_cloud_too(folder):
    # Everything is beyond.
    flags = ("--max-depth-m", "0.5", "--free-space-frames", "1", "--trust-calibration")
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", *flags) == 0
    free = read_ply(folder / "out" / "l_free.ply")
    assert len(free) > 0
    np.testing.assert_allclose(free["z"], 0.5)


def test_what_the_limit_takes_from_a_wide_scene_is_told(folder, capsys):
    words = ("--input", "@", "--camera", "@stereo.yaml")
    assert run(folder, *words) == 0
    assert "max_depth_m" not in capsys.readouterr().out
    assert run(folder, *words, "--max-depth-m", "50") == 0
    whole = read_pfm(folder / "out" / "a_depth.pfm")
    limit_m = float(np.quantile(whole, 0.7))
    assert run(folder, *words, "--max-depth-m", str(limit_m)) == 0
    beyond = (whole > limit_m).mean()
    assert 0.1 < beyond < 0.9 and whole.max() < 4 * limit_m
    assert np.isposinf(read_pfm(folder / "out" / "a_depth.pfm")).mean() == beyond
    said = capsys.readouterr().out
    assert f"{beyond:.0%} of the pixels are at {limit_m:g} to {4 * limit_m:g} m, beyond max_depth_m" in said
    assert f"--max-depth-m {4 * limit_m:g} keeps them" in said


def test_an_unlikely_baseline_is_told_once_and_gives_no_free_space(folder, capsys):
    words = ("--input", "@", "--fx", "80", "--baseline-m", "100", "--free-space-frames", "1")
    assert run(folder, *words) == 0
    said = capsys.readouterr()
    assert said.err.count("got 100 m: P[0, 3] in millimetres?") == 1 and "--trust-calibration" in said.err
    assert "2 of them with an unlikely calibration" in said.out
    assert not list((folder / "out").glob("*_free.ply")) and (folder / "out" / "a_cloud.ply").exists()
    assert run(folder, *words, "--trust-calibration") == 0
    said = capsys.readouterr()
    assert "millimetres" not in said.err and "with an unlikely" not in said.out
    assert len(list((folder / "out").glob("*_free.ply"))) == 2


def test_two_camera_files_and_flags_are_the_same_camera(folder):
    depths = []
    for camera in (
        ("--camera", "@stereo.yaml"),
        ("--camera", "@left.yaml", "@right.yaml"),
        ("--fx", "80", "--baseline-m", "0.1", "--doffs-px", "1"),
    ):
        assert run(folder, *PAIR, *camera) == 0
        depths.append(read_pfm(folder / "out" / "l_depth.pfm"))
    assert np.array_equal(depths[0], depths[1], equal_nan=True)
    assert np.array_equal(depths[0], depths[2], equal_nan=True)


@pytest.mark.parametrize("camera", [("--camera", "@stereo.yaml"), ("--fx", "80", "--baseline-m", "0.1"), ()])
def test_a_folder_of_pairs(folder, camera):
    if not camera:
        stereo_yaml(folder / "camera.yaml", RIG)
    assert run(folder, "--input", str(folder), *camera) == 0
    assert written(folder) == [f"{frame}_{name}" for frame in "ab" for name in STEREO_FILES]


def test_a_baseline_must_be_positive(folder, capsys):
    assert run(folder, *PAIR, "--fx", "80", "--baseline-m", "-0.1") == 2
    assert "expected a positive --baseline-m, got -0.1" in capsys.readouterr().err


def test_a_folder_of_left_and_right_names_is_a_pair(folder):
    (folder / "both").mkdir()
    for side in ("left", "right"):
        shutil.copy(folder / f"{side[0]}.png", folder / "both" / f"{side}.png")
    assert run(folder, "--input", "@both", "--fx", "80", "--baseline-m", "0.1") == 0
    assert written(folder) == [f"left_{name}" for name in STEREO_FILES]


@pytest.mark.parametrize("images", [("--image", "@l.png"), ("--input", "@left")])
@pytest.mark.parametrize("camera", [("--fx", "80", "--baseline-m", "0.1"), ("--camera", "@stereo.yaml")])
def test_a_stereo_calibration_of_single_images_is_refused(folder, images, camera, capsys):
    assert run(folder, *images, *camera, model="auto") in (2, 7)
    assert "expected" in capsys.readouterr().err and not (folder / "out").exists()


@pytest.mark.parametrize("broken", ["0", "1"])
def test_one_bad_image_of_many_is_counted_and_the_others_are_done(folder, capsys, broken):
    (folder / "many").mkdir()
    for name in "0123":
        shutil.copy(folder / "l.png", folder / "many" / f"{name}.png")
    (folder / "many" / f"{broken}.png").write_bytes(b"no image")
    assert run(folder, "--input", "@many", "--fx", "80", model="fake_mono") == 11
    assert written(folder) == [f"{name}_{kind}" for name in "0123" if name != broken for kind in MONO_FILES]
    said = capsys.readouterr()
    assert "3 frames of fake_mono" in said.out
    assert "1 of 4 frames could not be read, first: expected a whole image" in said.err


def test_nothing_but_bad_images_is_the_error_of_the_first(folder, capsys):
    for name in "ab":
        (folder / "left" / f"{name}.png").write_bytes(b"no image")
    write_image(folder / "c.png", picture(3))
    assert run(folder, "--input", "@left", "--camera", "@left.yaml", model="fake_mono") == 4
    assert "a.png" in capsys.readouterr().err


def test_a_folder_of_single_images_with_a_mono_model(folder):
    assert run(folder, "--input", "@left", "--camera", "@left.yaml", model="fake_mono") == 0
    assert written(folder) == [f"{frame}_{name}" for frame in "ab" for name in MONO_FILES]


def test_a_fixed_factor_scales_a_mono_model(folder, capsys):
    words = ("--image", "@l.png", "--fx", "80", "--max-depth-m", "50")
    assert run(folder, *words, model="fake_mono") == 0
    plain = read_pfm(folder / "out" / "l_depth.pfm")
    capsys.readouterr()
    assert run(folder, *words, "--scale-sources", "fixed", "--scale-factor", "2", model="fake_mono") == 0
    np.testing.assert_allclose(read_pfm(folder / "out" / "l_depth.pfm"), 2 * plain, rtol=1e-6)
    assert "scale 2 +- 5% from fixed" in capsys.readouterr().out


def test_separate_images_know_nothing_of_each_other(folder):
    write_image(folder / "left" / "b.png", np.minimum(picture(0), 250) + np.uint8(5))
    words = ("--input", str(folder), "--camera", "@stereo.yaml", "--temporal-jump", "0.5")
    depths = []
    for more in (("0.9",), ("0.9", "--separate"), ("0",)):
        assert run(folder, *words, "--temporal-weight", *more) == 0
        depths.append(read_pfm(folder / "out" / "b_depth.pfm"))
    sequence, separate, alone = depths
    np.testing.assert_array_equal(separate, alone)
    assert not np.array_equal(sequence, alone)


@pytest.mark.parametrize("separate", [False, True])
def test_separate_images_do_not_inherit_the_scale(folder, monkeypatch, capsys, separate):
    """The floor is seen in the first image alone."""
    from recon3d_ros.scale import Anchors, recovery
    from recon3d_ros.scale.fits import Unobservable

    u = np.arange(5, 60, 5)

    def floor(values, *_):
        if calls.append(1) or len(calls) > 1:
            raise Unobservable("no floor in view")
        return Anchors("floor", u, u, 2 * values[u, u], np.full(u.size, 0.02), 0.01)

    calls = []
    monkeypatch.setattr(recovery, "floor_anchors", floor)
    words = ["--input", "@left", "--camera", "@left.yaml", "--scale-sources", "floor"]
    words += ["--camera-height-m", "1", *(["--separate"] if separate else [])]
    assert run(folder, *words, model="fake_mono") == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "scale 2" in first and len(calls) == 2
    assert ("no scale: floor: no floor in view" in second) == separate


def test_without_a_scale_there_is_no_depth_and_the_reason_is_told(folder, capsys):
    """The made-up depth of the fake is a ramp and no floor."""
    words = ("--input", "@left", "--camera", "@left.yaml", "--scale-sources", "floor")
    flags = ("--camera-height-m", "1.2", "--camera-pitch-deg", "-80")
    assert run(folder, *words, *flags, model="fake_mono") == 7
    assert not (read_pfm(folder / "out" / "a_depth.pfm") > 0).any()
    assert "no scale: floor: no floor in view" in capsys.readouterr().out
    assert run(folder, *words, model="fake_mono") == 2
    assert "floor needs camera_height_m" in capsys.readouterr().err
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", "--scale-sources", "fixed") == 2
    assert "scale_sources are for mono models" in capsys.readouterr().err


def test_one_image_and_fx(folder):
    assert run(folder, "--image", "@l.png", "--fx", "80", model="fake_mono") == 0
    assert written(folder) == [f"l_{name}" for name in MONO_FILES]


def test_raw_images_are_rectified(folder):
    k = RIG.left.k
    T = np.eye(4)
    T[0, 3] = -0.1
    rig = stereo_rectified_pair(k, [-0.2, 0.05, 0, 0], k, [-0.15, 0.03, 0, 0], T, (WIDTH, HEIGHT))
    stereo_yaml(folder / "raw.yaml", rig)
    assert run(folder, *PAIR, "--camera", "@raw.yaml", "--min-depth-m", "0", "--max-depth-m", "1e6") == 0
    _, colours = read_ply_points(folder / "out" / "l_cloud.ply")
    expected = Rectifier(rig.left).rectify(picture(0))
    valid = np.isfinite(read_pfm(folder / "out" / "l_depth.pfm"))
    assert valid.any() and np.array_equal(colours, expected[valid])
    assert not np.array_equal(expected, picture(0))


def test_the_view_is_drawn(folder):
    pytest.importorskip("open3d")
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", view=True) == 0
    if "l_view.png" not in written(folder):
        pytest.skip("no graphics driver here")
    assert len(np.unique(read_image(folder / "out" / "l_view.png").reshape(-1, 3), axis=0)) > 100


@pytest.mark.skipif(not hasattr(cv2, "imencodeanimation"), reason="OpenCV is older than 4.11")
def test_the_turntable_is_drawn(folder, monkeypatch, capsys):
    pytest.importorskip("open3d")
    short = partial(results.render_turntable, size_wh=(96, 72), pictures=3)  # forty take half a minute
    monkeypatch.setattr(results, "render_turntable", short)
    code = run(folder, *PAIR, "--camera", "@stereo.yaml", "--turntable")
    if code == MissingDependencyError.exit_code and "graphics driver" in capsys.readouterr().err:
        pytest.skip("no graphics driver here")
    assert code == 0
    done, animation = cv2.imreadanimation(str(folder / "out" / "l_turntable.webp"))
    assert done and len(animation.frames) == 3


@pytest.mark.skipif(hasattr(cv2, "imencodeanimation"), reason="OpenCV is 4.11 or newer")
def test_a_turntable_without_animations_is_refused_before_the_first_frame(folder, capsys):
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", "--turntable") == MissingDependencyError.exit_code
    assert "OpenCV 4.11 or newer, got 4" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_without_open3d_the_rest_is_written_and_it_says_so_once(folder, monkeypatch, capsys):
    def missing(*_):
        raise MissingDependencyError("no open3d here")

    monkeypatch.setattr(results, "render_cloud", missing)
    assert run(folder, "--input", str(folder), "--camera", "@stereo.yaml", view=True) == 0
    assert len(written(folder)) == 2 * len(STEREO_FILES)
    assert capsys.readouterr().err.count("no open3d here") == 1


def test_nothing_within_the_limits_is_said_and_written(folder, capsys):
    assert (
        run(folder, *PAIR, "--camera", "@stereo.yaml", "--max-depth-m", "0.011", "--min-depth-m", "0.01") == 0
    )
    assert "no valid depth" in capsys.readouterr().out
    assert len(read_ply_points(folder / "out" / "l_cloud.ply")[0]) == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "--image"),
        (("--left", "@l.png"), 2, "--right"),
        ((*PAIR, "--image", "@l.png", "--fx", "80"), 2, "give one"),
        (PAIR, 2, "--camera"),
        ((*PAIR, "--fx", "80"), 2, "--baseline-m"),
        ((*PAIR, "--baseline-m", "0.1"), 2, "--fx"),
        ((*PAIR, "--fx", "80", "--camera", "@stereo.yaml"), 2, "both"),
        ((*PAIR, "--baseline-m", "0.1", "--camera", "@stereo.yaml"), 2, "both"),
        ((*PAIR, "--doffs-px", "1", "--camera", "@stereo.yaml"), 2, "both"),
        (("--input", "@euroc", "--camera", "@stereo.yaml"), 2, "its own camera"),
        (("--input", "@euroc", "--fx", "80"), 2, "its own camera"),
        (("--input", "kitti2012", "--camera", "@stereo.yaml"), 2, "its own camera"),
        ((*PAIR, "--camera", "@stereo.yaml", "@left.yaml"), 2, "two of single cameras"),
        (("--input", "@absent", "--fx", "80"), 2, "folder"),
        (("--image", "@l.png", "--camera", "@left.yaml"), 2, "pair"),  # a stereo model and one image
        ((*PAIR, "--camera", "@stereo.yaml", "--min-depth-m", "30"), 2, "min_depth_m"),
        ((*PAIR, "--camera", "@right.yaml", "@left.yaml"), 3, "swapped"),
        ((*PAIR, "--camera", "@small.yaml"), 3, "97x61"),
        ((*PAIR, "--fx", "-80", "--baseline-m", "0.1"), 3, "focal"),
        (("--left", "@l.png", "--right", "@stereo.yaml", "--camera", "@stereo.yaml"), 4, "stereo.yaml"),
        (("--left", "@l.png", "--right", "@absent.png", "--camera", "@stereo.yaml"), 7, "absent.png"),
        ((*PAIR, "--camera", "@absent.yaml"), 7, "absent.yaml"),
        (("--input", "@absent"), 7, "absent"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(folder, words, code, says, capsys):
    stereo_yaml(folder / "small.yaml", RIG.scaled((48, 30)))
    for name in ("cam0", "cam1"):  # enough to be taken for a EuRoC recording
        (folder / "euroc" / name).mkdir(parents=True)
        (folder / "euroc" / f"{name}.yaml").touch()
    assert run(folder, *words) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and says in said[0]


def test_unknown_model_and_bad_target(folder, capsys):
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", model="nonsense") == 5
    (folder / "out2").touch()
    assert (
        main(
            [
                "run",
                *(str(folder / w[1:]) if w[0] == "@" else w for w in PAIR),
                "--fx",
                "80",
                "--baseline-m",
                "0.1",
                "--model",
                "fake_stereo",
                "--out",
                str(folder / "out2" / "x"),
            ]
        )
        == 8
    )
    assert "out2" in capsys.readouterr().err


def test_binned_camera_files_work(folder):
    """A camera file of the full sensor with binning describes the half-size images."""
    full = RIG.scaled((2 * WIDTH, 2 * HEIGHT))
    stereo_yaml(
        folder / "binned.yaml",
        StereoRig(*(replace(camera, binning_x=2, binning_y=2) for camera in (full.left, full.right))),
    )
    assert run(folder, *PAIR, "--camera", "@binned.yaml") == 0
    assert read_pfm(folder / "out" / "l_depth.pfm").shape == (HEIGHT, WIDTH)


def relative_model(folder):
    """An ONNX whose answer is the mean of the channels minus 127: of any sign, as up to a shift means."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [
            make.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
            make.make_node("Sub", ["mean", "shift"], ["answer"]),
        ],
        "tiny",
        [make.make_tensor_value_info("image", floats, (1, 3, "h", "w"))],
        [make.make_tensor_value_info("answer", floats, (1, 1, "h", "w"))],
        [onnx.numpy_helper.from_array(np.array(127, np.float32), "shift")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    (folder / "tiny.onnx").write_bytes(model.SerializeToString())
    manifest = {
        "name": "tiny",
        "task": "mono_relative_inverse_depth",
        "artifacts": [{"file": "tiny.onnx", "sha256": hashlib.sha256(model.SerializeToString()).hexdigest()}],
        "input": {"names": ["image"], "multiple_of": 1},
        "output": {"name": "answer", "unit": "relative_inverse_depth"},
        "licence": {"weights": "Apache-2.0"},
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(manifest))
    return str(folder / "tiny.yaml")


RELATIVE_FILES = ["relative.pfm", "relative_colour.png"]


@pytest.mark.parametrize("camera", [(), ("--fx", "80")])
def test_a_relative_model_gives_its_answer_and_a_picture_of_it_alone(folder, camera, capsys):
    assert run(folder, "--image", "@l.png", *camera, model=relative_model(folder)) == 0
    assert written(folder) == [f"l_{name}" for name in RELATIVE_FILES]
    relative = read_pfm(folder / "out" / "l_relative.pfm")
    np.testing.assert_allclose(relative, picture(0).mean(2) - 127, atol=1e-3)
    assert relative.min() < 0 < relative.max()
    colours = read_image(folder / "out" / "l_relative_colour.png").astype(int)
    near, far = (colours[tuple(np.argwhere(relative == end)[0])] for end in (relative.max(), relative.min()))
    assert near[0] > near[2] and far[2] > far[0], "red is near, blue far"
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("l 97x61: 100% valid") and "no point clouds" in said[1]


def test_a_relative_model_with_a_known_scale_gives_metres(folder, capsys):
    model, scale = relative_model(folder), ("--scale-sources", "fixed", "--scale-factor", "0.01")
    words = ("--image", "@l.png", "--fx", "80", "--max-depth-m", "50", *scale, "--scale-shift", "0.4")
    assert run(folder, *words, model=model) == 0
    assert written(folder) == [f"l_{name}" for name in MONO_FILES]
    inverse = 0.01 * (picture(0).mean(2) - 127) + 0.4
    depth = read_pfm(folder / "out" / "l_depth.pfm")
    np.testing.assert_allclose(depth[inverse > 0.02], 1 / inverse[inverse > 0.02], rtol=1e-3)
    assert "from fixed" in capsys.readouterr().out
    assert run(folder, "--image", "@l.png", *scale, model=model) == 2
    assert "expected the camera of the images, got none" in capsys.readouterr().err


def test_a_relative_model_and_a_folder(folder):
    model = relative_model(folder)
    write_image(folder / "left" / "b.png", picture(1)[:40, :50])  # without a camera each may have its size
    assert run(folder, "--input", "@left", model=model) == 0
    assert written(folder) == [f"{frame}_{name}" for frame in "ab" for name in RELATIVE_FILES]
    assert read_pfm(folder / "out" / "b_relative.pfm").shape == (40, 50)


def test_a_part_of_a_folder_without_and_with_a_camera(folder, capsys):
    assert run(folder, "--input", "@left[1:2]", model=relative_model(folder)) == 0
    assert written(folder) == [f"b_{name}" for name in RELATIVE_FILES]
    shutil.rmtree(folder / "out")
    words = ("--input", "@left[0:1]", "--camera", "@left.yaml")
    assert run(folder, *words, model="fake_mono") == 0
    assert written(folder) == [f"a_{name}" for name in MONO_FILES if name != "view.png"]
    assert run(folder, "--input", "@left[1:3]", model=relative_model(folder)) == 7
    assert "within the 2 frames of" in capsys.readouterr().err


def test_a_relative_model_rectifies_where_the_camera_is_known(folder):
    model = relative_model(folder)
    k = [[60.0, 0, 48], [0, 60, 30], [0, 0, 1]]
    rig = stereo_rectified_pair(
        k, [-0.2, 0.05, 0, 0], k, [-0.2, 0.05, 0, 0], np.eye(4) + np.eye(4, k=3) * -0.1, (WIDTH, HEIGHT)
    )
    (folder / "left" / "camera.yaml").write_text(yaml.safe_dump(rig.left.to_dict()))
    assert run(folder, "--input", "@left", model=model) == 0
    expected = Rectifier(rig.left).rectify(picture(0)).mean(2) - 127
    np.testing.assert_allclose(read_pfm(folder / "out" / "a_relative.pfm"), expected, atol=1e-3)


@pytest.mark.parametrize(("words", "code"), [(PAIR, 2), (("--input", "@"), 7), (("--input", "@absent"), 7)])
def test_a_relative_model_needs_the_camera_of_a_pair(folder, words, code, capsys):
    (folder / "stereo.yaml").unlink()
    assert run(folder, *words, model=relative_model(folder)) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("layout", "axis"), [("side_by_side", 1), ("top_bottom", 0)])
@pytest.mark.parametrize(
    "camera", [("--camera", "@stereo.yaml"), ("--fx", "80", "--baseline-m", "0.1", "--doffs-px", "1")]
)
def test_an_image_with_both_views_gives_what_the_pair_gives(folder, layout, axis, camera):
    assert run(folder, *PAIR, *camera) == 0
    expected = read_pfm(folder / "out" / "l_depth.pfm")
    both = np.concatenate([picture(0), picture(1)], axis)
    write_image(folder / "both.png", both)
    (folder / "many").mkdir()
    for name in ("0", "1"):
        write_image(folder / "many" / f"{name}.png", both)
    assert run(folder, "--image", "@both.png", "--layout", layout, *camera) == 0
    assert run(folder, "--input", "@many", "--layout", layout, *camera) == 0
    for name in ("both", "0", "1"):
        np.testing.assert_array_equal(read_pfm(folder / "out" / f"{name}_depth.pfm"), expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "@l.png", "--camera", "@stereo.yaml"), "got that of a pair: give --left and --right"),
        (("--input", "@", "--layout", "top_bottom", "--camera", "@stereo.yaml"), "leave the layout out"),
        ((*PAIR, "--layout", "top_bottom", "--camera", "@stereo.yaml"), "leave the layout out"),
        (("--image", "@l.png", "--layout", "side_by_side", "--camera", "@stereo.yaml"), "even number of"),
        (("--input", "world_indoor", "--layout", "side_by_side"), "expected a folder of images"),
    ],
)
def test_a_layout_that_does_not_fit_is_one_sentence(folder, capsys, words, said):
    assert run(folder, *words) != 0
    assert said in capsys.readouterr().err


def test_swapped_images_are_named_once(folder, capsys):
    scenes = [WorldCamera(size_wh=(240, 180)).sample(i).frame for i in range(2)]
    for i, scene in enumerate(scenes):
        write_image(folder / "left" / f"{'ab'[i]}.png", scene.right)
        write_image(folder / "right" / f"{'ab'[i]}.png", scene.image)
    stereo_yaml(folder / "stereo.yaml", scenes[0].rig)
    assert run(folder, "--input", "@", "--camera", "@stereo.yaml") == 0
    assert capsys.readouterr().err.count("left and right are swapped") == 1


def test_no_depth_anywhere_is_an_error_and_the_files_are_there(folder, capsys):
    limits = ("--min-depth-m", "90", "--max-depth-m", "95")
    assert run(folder, *PAIR, "--camera", "@stereo.yaml", *limits) == 7
    assert "got none in 1 frame:" in capsys.readouterr().err
    assert "l_depth.pfm" in written(folder)


def test_covered_cameras_are_named_once(folder, capsys):
    for side in ("left", "right"):
        for name in ("a", "b"):
            write_image(folder / side / f"{name}.png", np.zeros((160, 200, 3), np.uint8))
    assert run(folder, "--input", "@", "--fx", "150", "--baseline-m", "0.1") == 0
    assert capsys.readouterr().err.count("the image is dark") == 1
