"""`recon3d evaluate` from its words to its table and JSON."""

from __future__ import annotations

import hashlib
import json
import re

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.main import main

WIDTH, HEIGHT, DISPARITY = 96, 64, 8


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder with two stereo pairs of `kitti2012` (a plane at 8 px) and two frames of `hololens`."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH + DISPARITY), np.uint8), (0, 0), 1.0)
    truth = np.full((HEIGHT, WIDTH), DISPARITY * 256, np.uint16)
    truth[:, :DISPARITY] = 0
    scenes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, image in (("left", texture[:, :WIDTH]), ("right", texture[:, DISPARITY:]), ("gt", truth)):
            cv2.imwrite(str(tmp_path / name / f"{file}.png"), image)
        files = {"left": f"{name}/left.png", "right": f"{name}/right.png", "gt": f"{name}/gt.png"}
        numbers = {"gt_to_px": 1 / 256, "gt_invalid": 0, "fx": 80.0, "baseline_m": 0.5, "doffs_px": 0.0}
        size = {"width": WIDTH, "height": HEIGHT, "cx": 48.0, "cy": 32.0}
        scenes.append({"id": name, "set": "kitti2012", **files, **numbers, **size})
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"rgb{i}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        cv2.imwrite(str(tmp_path / f"depth{i}.png"), np.full((HEIGHT, WIDTH), 2000, np.uint16))
    size = {"width": WIDTH, "height": HEIGHT, "fx": 80.0, "fy": 80.0, "cx": 48.0, "cy": 32.0}
    files = {"rgb": "rgb{i}.png", "depth": "depth{i}.png", "gt_to_m": 0.001, "gt_invalid": [0]}
    sequences = [{"id": "hololens", "n": 2, **files, **size}]
    index = {"stereo_scenes": scenes, "sequences": sequences}
    (tmp_path / "INDEX.json").write_text(json.dumps(index), encoding="utf-8")
    monkeypatch.delenv("RECON3D_DATA", raising=False)
    return tmp_path


@pytest.fixture
def sure_model(tmp_path):
    """A model of two files that answers 8 px, is 90 % sure of it, and tells a sigma of the brightness."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    node, info, kind = onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    constants = [("eight", 8.0), ("point_nine", 0.9), ("zero", 0.0)]
    nodes = [
        node("ReduceMean", ["left"], ["sigma"], axes=[1]),
        node("ReduceMean", ["right"], ["unused"], axes=[1]),
        node("Mul", ["unused", "zero"], ["nothing"]),
        node("Add", ["nothing", "eight"], ["disparity"]),
        node("Add", ["nothing", "point_nine"], ["confidence"]),
    ]
    outputs = [info(name, kind, ["n", 1, "h", "w"]) for name in ("disparity", "confidence", "sigma")]
    graph = onnx.helper.make_graph(
        nodes,
        "sure",
        [info(name, kind, ["n", 3, "h", "w"]) for name in ("left", "right")],
        outputs,
        [onnx.numpy_helper.from_array(np.float32(value), name) for name, value in constants],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "sure.onnx").write_bytes(model.SerializeToString())
    sha256 = hashlib.sha256((tmp_path / "sure.onnx").read_bytes()).hexdigest()
    file = {"file": "sure.onnx", "sha256": sha256}
    manifest = {
        "name": "sure",
        "task": "stereo_disparity",
        "artifacts": [{**file, "precision": precision} for precision in ("fp32", "fp16")],
        "input": {"names": ["left", "right"], "scale": 1 / 255, "multiple_of": 32},
        "output": {"name": "disparity", "unit": "px", "confidence": "confidence", "sigma": "sigma"},
        "licence": {"weights": "MIT"},
    }
    (tmp_path / "sure.yaml").write_text(json.dumps(manifest))
    return tmp_path / "sure.yaml"


def test_a_model_stands_beside_the_baseline(root, capsys):
    words = ["evaluate", "--data", "kitti2012", "--root", str(root), "--json", str(root / "scores.json")]
    assert main([*words, "--model", "fake_stereo", "--backend", "fake"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.pop() == f"wrote {root / 'scores.json'}"
    assert [line.split()[:4] for line in lines[1:]] == [
        ["kitti2012", "fake_stereo", "fp32", "2"],
        ["kitti2012", "sgbm", "-", "2"],
    ]
    document = json.loads((root / "scores.json").read_text())
    assert document["calibration"] == []
    rows = document["rows"]
    assert [(row["model"], row["precision"], row["scene"], row["pairs"]) for row in rows] == [
        ("fake_stereo", "fp32", "all", 2),
        ("fake_stereo", "fp32", "one", 1),
        ("fake_stereo", "fp32", "two", 1),
        ("sgbm", None, "all", 2),
        ("sgbm", None, "one", 1),
        ("sgbm", None, "two", 1),
    ]
    assert {row["set"] for row in rows} == {"kitti2012"}
    assert rows[3]["bad_px_1"] < 10 < rows[0]["bad_px_1"] <= 100
    assert 50 < rows[3]["coverage"] <= rows[0]["coverage"] == 100
    assert rows[3]["median_ms"] > 0


def test_the_root_may_come_from_the_environment_and_limit_shortens(root, capsys, monkeypatch):
    monkeypatch.setenv("RECON3D_DATA", str(root))
    assert main(["evaluate", "--data", "kitti2012", "--model", "none", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["kitti2012", "sgbm", "-", "1"]


def test_one_camera_is_scored_in_metres_and_sgbm_is_left_out(root, capsys):
    words = ["evaluate", "--data", "hololens,kitti2012", "--root", str(root), "--backend", "fake"]
    assert main([*words, "--model", "fake_mono"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split()[:2] for line in out.splitlines()[1:]]
    assert rows == [["hololens", "fake_mono"], ["kitti2012", "fake_mono"], ["kitti2012", "sgbm"]]
    assert "scaled: abs_rel" in out.splitlines()[0]
    assert err == ""  # SGBM is left out where there are no pairs
    assert main([*words, "--model", "none"]) == 0
    assert "sgbm needs pairs and hololens has none" in capsys.readouterr().err  # unless that is all


def test_auto_is_the_model_for_each_kind_of_set(root, capsys):
    words = ["evaluate", "--data", "kitti2012,hololens", "--root", str(root), "--baseline", "none"]
    assert main([*words, "--precision", "fp32"]) == 0
    out, err = capsys.readouterr()
    methods = [line.split()[:2] for line in out.splitlines()[1:3]]
    assert methods == [["kitti2012", "recon3d_stereo_light"], ["hololens", "recon3d_mono"]] and err == ""


def test_a_table_without_a_row_is_an_error(root, capsys):
    words = ["evaluate", "--data", "hololens", "--root", str(root), "--model", "recon3d_stereo"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("recon3d_stereo needs pairs and hololens has none") == 1
    assert "such as recon3d_mono" in err


def test_a_model_without_metres_is_refused_in_words_of_this_verb(root, capsys, mono_model):
    manifest = json.loads(mono_model.read_text())
    manifest["task"] = "mono_relative_inverse_depth"
    manifest["output"] = {"name": "depth", "unit": "relative_inverse_depth"}
    mono_model.write_text(json.dumps(manifest))
    words = ["evaluate", "--data", "hololens", "--root", str(root), "--model", str(mono_model)]
    assert main(words) == 2
    assert "no error in metres: evaluate a metric" in capsys.readouterr().err


def test_every_file_of_a_model_is_evaluated_unless_some_are_asked_for(root, capsys, sure_model):
    words = ["evaluate", "--data", "kitti2012", "--root", str(root), "--baseline", "none"]
    words += ["--model", str(sure_model)]
    assert main(words) == 0
    rows = [line.split()[:4] for line in capsys.readouterr().out.splitlines()[1:3]]
    assert rows == [["kitti2012", "sure", p, "2"] for p in ("fp32", "fp16")]
    assert main([*words, "--precision", "fp16"]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:2]] == ["fp16"]
    assert main([*words, "--precision", "int8"]) == 5
    assert main([*words, "--precision", "int4"]) == 2
    err = capsys.readouterr().err
    assert "has no int8 artifact" in err and "precision must be one of auto, fp32, fp16, int8" in err


def test_confidence_gets_its_calibration_and_pictures_are_drawn(root, capsys, sure_model):
    words = ["evaluate", "--data", "kitti2012,hololens", "--root", str(root), "--precision", "fp32"]
    words += ["--model", str(sure_model), "--json", str(root / "s.json"), "--pictures", str(root / "p")]
    words += ["--html", str(root / "report.html"), "--by", "width"]
    assert main(words) == 0
    html = (root / "report.html").read_text(encoding="utf-8")
    for words_of_page in ("kitti2012", "calibration of the confidence", "By group of pixels", "Every frame"):
        assert words_of_page in html
    pictures = re.findall(r'<option value="\d+"[^>]*>([^<]+)</option>', html)
    assert set(pictures) >= {
        "image",
        "sure fp32",
        "sure fp32: error",
        "sure fp32: confidence",
        "ground truth",
    }
    assert "data-scene" in html  # the cloud
    out, _ = capsys.readouterr()
    assert out.endswith(f"wrote {root / 's.json'}, {root / 'p'}, {root / 'report.html'}\n")
    assert "kitti2012  sure fp32: " in out and "largest gap" in out and "AUSE by sigma" in out
    (curve,) = json.loads((root / "s.json").read_text())["calibration"]
    assert (curve["model"], curve["precision"], curve["set"]) == ("sure", "fp32", "kitti2012")
    assert len(curve["confidence"]) == len(curve["trusted"]) == 10 and curve["pixels"] > 1000
    assert sorted(path.name for path in (root / "p").iterdir()) == [
        "kitti2012.png",
        "kitti2012_calibration.png",
    ]
    picture = cv2.imread(str(root / "p" / "kitti2012.png"))
    assert picture.shape == (3 * (HEIGHT + 22), 2 * WIDTH, 3)  # image and truth, the model, SGBM


@pytest.fixture
def mono_model(tmp_path):
    """A model that answers 2 m everywhere, is 90 % sure, and has a sigma of the brightness."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    node, info, kind = onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    constants = [("two", 2.0), ("point_nine", 0.9), ("zero", 0.0)]
    nodes = [
        node("ReduceMean", ["image"], ["sigma"], axes=[1]),
        node("Mul", ["sigma", "zero"], ["nothing"]),
        node("Add", ["nothing", "two"], ["depth"]),
        node("Add", ["nothing", "point_nine"], ["confidence"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "steady",
        [info("image", kind, ["n", 3, "h", "w"])],
        [info(name, kind, ["n", 1, "h", "w"]) for name in ("depth", "confidence", "sigma")],
        [onnx.numpy_helper.from_array(np.float32(value), name) for name, value in constants],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "steady.onnx").write_bytes(model.SerializeToString())
    manifest = {
        "name": "steady",
        "task": "mono_metric_depth",
        "artifacts": [
            {
                "file": "steady.onnx",
                "sha256": hashlib.sha256((tmp_path / "steady.onnx").read_bytes()).hexdigest(),
            }
        ],
        "input": {"names": ["image"], "scale": 1 / 255, "multiple_of": 32},
        "output": {"name": "depth", "unit": "m", "confidence": "confidence", "sigma": "sigma"},
        "licence": {"weights": "MIT"},
    }
    (tmp_path / "steady.yaml").write_text(json.dumps(manifest))
    return tmp_path / "steady.yaml"


def test_errors_are_told_by_group_when_asked_for(root, capsys, sure_model):
    words = ["--data", "kitti2012", "--model", str(sure_model), "--precision", "fp32"]
    told = ["--by", "disparity,visibility", "--root", str(root), "--json", str(root / "s.json")]
    assert main(["evaluate", *words, *told]) == 0
    rows = json.loads((root / "s.json").read_text())["breakdown"]
    assert {(row["model"], row["by"], row["group"]) for row in rows} == {
        (method, by, group)
        for method in ("sure", "sgbm")
        for by, group in (("disparity", "0 to 20 px"), ("visibility", "both cameras"))
    }
    # The left border has no truth, so the right image has a partner for all that has one.
    assert all(row["pixels"] == 2 * HEIGHT * (WIDTH - DISPARITY) and row["share"] == 100.0 for row in rows)
    assert [row["bad_px_3"] for row in rows if row["model"] == "sure"] == [0.0, 0.0]
    assert "both cameras" in capsys.readouterr().out
    assert main(["evaluate", *words, "--root", str(root), "--json", str(root / "s.json")]) == 0
    assert "breakdown" not in json.loads((root / "s.json").read_text())


def test_a_mono_model_has_its_rows_calibration_and_pictures(root, capsys, mono_model):
    words = ["evaluate", "--data", "hololens", "--root", str(root), "--model", str(mono_model)]
    words += ["--json", str(root / "s.json"), "--pictures", str(root / "p"), "--picture-frames", "1"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "error < 25 % of the depth" in out and err == ""
    document = json.loads((root / "s.json").read_text())
    (row,) = document["rows"]
    assert (row["model"], row["precision"], row["set"], row["frames"]) == ("steady", "fp32", "hololens", 2)
    assert row["abs_rel"] == row["abs_rel_median"] == pytest.approx(0, abs=1e-6)
    assert (row["delta_1"], row["delta_1_median"], row["coverage"]) == (1.0, 1.0, 100.0)
    assert row["median_ms"] > 0 and row["rmse_m"] == pytest.approx(0, abs=1e-5)
    (curve,) = document["calibration"]
    assert (curve["error"], curve["threshold"], curve["set"]) == ("relative_depth", 0.25, "hololens")
    assert curve["largest_gap"] == pytest.approx(0.1, abs=1e-3)  # 90 % sure, always right
    files = ["hololens.jpg", "hololens_calibration.png", "hololens_clouds.jpg"]
    assert sorted(path.name for path in (root / "p").iterdir()) == files
    assert cv2.imread(str(root / "p" / "hololens.jpg")).shape == (160 + 3 * 22, 4 * 240, 3)


def test_other_lenses_noise_and_denoisers_have_rows_of_their_own(root, capsys, mono_model):
    words = ["evaluate", "--data", "hololens", "--root", str(root), "--model", str(mono_model)]
    words += [
        "--zoom",
        "1,2",
        "--degrade",
        "none,noise=10",
        "--denoise",
        "none,median",
        "--json",
        str(root / "s.json"),
    ]
    assert main(words) == 0
    rows = json.loads((root / "s.json").read_text())["rows"]
    sets = ["hololens", "hololens noise 10", "hololens x2", "hololens x2 noise 10"]
    assert [(row["set"], row["model"]) for row in rows] == [
        (name, model) for name in sets for model in ("steady", "steady + median")
    ]
    assert all(row["frames"] == 2 and row["delta_1"] == 1.0 for row in rows)


def test_a_longer_lens_leaves_no_pairs(root, capsys):
    words = [
        "evaluate",
        "--data",
        "kitti2012",
        "--root",
        str(root),
        "--model",
        "fake_stereo",
        "--zoom",
        "1,1.5",
    ]
    assert main([*words, "--backend", "fake"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["kitti2012", "fake_stereo"],
        ["kitti2012", "sgbm"],
    ]
    said = "fake_stereo needs pairs and kitti2012 x1.5 has none (--zoom uses only the left image)"
    assert err == f"recon3d: {said}: left out\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--zoom", "0.5"], "expected numbers of at least 1, got '0.5'"),
        (["--zoom", "1,two"], "expected numbers of at least 1, got '1,two'"),
        (["--degrade", "noise=-1"], "size=SHARE, got 'noise=-1': correct it"),
        (["--degrade", "none,fog=2"], "expected degradations of none, noise=SIGMA, jpeg=QUALITY"),
        (["--by", "colour"], "some of width, brightness, disparity, visibility, got 'colour'"),
    ],
)
def test_parts_and_changes_are_numbers(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--data", "kitti2012", *words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_pairs_without_truth_are_scored_by_their_consistency(root, capsys):
    (root / "own" / "left").mkdir(parents=True)
    (root / "own" / "right").mkdir()
    for side in ("left", "right"):
        image = cv2.imread(str(root / "one" / f"{side}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(root / "own" / side / "1.png"), image)
    rig = {
        side: {
            "image_width": WIDTH,
            "image_height": HEIGHT,
            "camera_matrix": {"data": [80, 0, 48, 0, 80, 32, 0, 0, 1]},
            "distortion_model": "plumb_bob",
            "distortion_coefficients": {"data": [0, 0, 0, 0, 0]},
            "rectification_matrix": {"data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
            "projection_matrix": {"data": [80, 0, 48, shift, 0, 80, 32, 0, 0, 0, 1, 0]},
        }
        for side, shift in (("left", 0), ("right", -40))
    }
    (root / "own" / "camera.yaml").write_text(json.dumps(rig))
    words = ["evaluate", "--data", str(root / "own"), "--model", "none", "--json", str(root / "s.json")]
    assert main(words) == 0
    assert "consistent_px_1 %" in capsys.readouterr().out
    whole = json.loads((root / "s.json").read_text())["rows"][0]
    assert whole["epe_px"] is None and 70 < whole["consistent_px_1"] <= whole["consistent_px_3"] <= 100


def test_the_table_survives_a_json_that_cannot_be_written(root, capsys):
    words = ["evaluate", "--data", "kitti2012", "--root", str(root), "--model", "none"]
    assert main([*words, "--json", str(root / "INDEX.json" / "scores.json")]) == 8
    assert "kitti2012" in capsys.readouterr().out


def test_a_set_without_frames_is_one_sentence(root, capsys):
    index = json.loads((root / "INDEX.json").read_text())
    index["sequences"][0]["n"] = 0
    (root / "INDEX.json").write_text(json.dumps(index))
    assert main(["evaluate", "--data", "hololens", "--root", str(root), "--model", "fake_mono"]) == 7
    assert "expected frames in hololens, got none" in capsys.readouterr().err


def test_a_part_of_a_set_has_its_own_name(root, capsys):
    words = ["evaluate", "--root", str(root), "--model", "fake_mono", "--backend", "fake"]
    words += ["--json", str(root / "s.json"), "--data"]
    for name, count in (("hololens[1:]", 1), ("hololens[0:1]", 1), ("hololens", 2)):
        assert main([*words, name]) == 0
        (row,) = json.loads((root / "s.json").read_text())["rows"]
        assert (row["set"], row["frames"]) == (name, count)


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_the_limit_is_a_whole_number(limit, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--data", "kitti2012", "--limit", limit])
    assert stopped.value.code == 2
    assert f"expected a whole number of at least 1, got '{limit}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--data", "kiti2012"], 7, "did you mean kitti2012"),
        (["--data", "kitti2012", "--root", "/nowhere"], 7, "INDEX.json"),
        (["--data", ","], 2, "name a data set"),
        (["--data", "kitti2012", "--model", "none", "--baseline", "none"], 2, "give --model or --baseline"),
        (["--data", "kitti2012", "--model", "no_such_model"], 5, "no_such_model"),
        (["--data", "kitti2012", "--denoise", "medium"], 2, "nlmeans, got 'medium'"),
        (["--data", "hololens", "--zoom", "60"], 2, "expected a zoom"),
        (["--data", "hololens", "--degrade", "rows=2"], 2, "expected pairs for rows=2"),
        (["--data", "kitti2012", "--json", "/dev/null/scores.json"], 8, "/dev/null"),
    ],
)
def test_wrong_words_are_one_sentence_and_a_code(root, capsys, words, code, message):
    model = [] if "--model" in words else ["--model", "none"]
    folder = [] if "--root" in words else ["--root", str(root)]
    assert main(["evaluate", *words, *model, *folder]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("recon3d: error: ") and message in err


def test_a_model_that_labels_points_stands_beside_a_plane(tmp_path, capsys):
    words = ["--data", "world_indoor", "--limit", "2", "--json", str(tmp_path / "scores.json")]
    assert (
        main(
            ["evaluate", "--model", "recon3d_point_labels", *words, "--pictures", str(tmp_path / "pictures")]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "plane (RANSAC)" in out
    assert out.endswith(f"wrote {tmp_path / 'scores.json'}, {tmp_path / 'pictures'}\n")
    rows = json.loads((tmp_path / "scores.json").read_text())["rows"]
    assert [row["clouds"] for row in rows] == [2, 2, 2] and rows[0]["method"] == "recon3d_point_labels"
    assert len(list((tmp_path / "pictures").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "recon3d_point_labels", "--data", "nyuv2"], "expected sets with labelled points"),
        (
            ["--model", "recon3d_point_labels", "--data", "world_indoor", "--html", "a.html"],
            "expected no --html for models that label points",
        ),
        (["--model", "recon3d_point_labels,fake_stereo", "--data", "world_indoor"], "models of one kind"),
    ],
)
def test_models_that_label_points_have_sets_of_their_own(capsys, words, said):
    assert main(["evaluate", *words]) != 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["convert"], ["engines", "build"]])
def test_models_that_label_points_are_no_models_of_depth(capsys, verb):
    assert main([*verb, "recon3d_point_labels"]) != 0
    assert "expected a model of depth, got recon3d_point_labels" in capsys.readouterr().err
