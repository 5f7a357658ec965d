"""`recon3d run` with models of whole objects: networks that were never trained, in the real runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon3d_ros import world
from recon3d_ros.cli.main import main
from recon3d_ros.files import read_image, write_image
from recon3d_ros.files.ply import read_ply

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

SMALL = {
    "point_set": {"channels": (4, 8, 8, 8, 8), "latent": 16, "free": 64},
    "completion": {"point": (8, 16), "latent": 32, "coarse": 32, "kept": 32},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    from recon3d_ros.training.config import TrainConfig
    from recon3d_ros.training.export.export import export
    from recon3d_ros.training.run.state import start_run

    folder = tmp_path_factory.mktemp("models")
    for name, settings in SMALL.items():
        side = 64 if name == "point_set" else 32
        config = TrainConfig(
            network=name, out=str(folder / name), width=side, height=side, device="cpu", threads=1
        )
        run = start_run(config, settings)
        run.save()
        export(run.path, folder, name=name)
    return {name: folder / f"{name}.yaml" for name in SMALL}


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[list[str], Path, object]:
    """Flags of a pair that shows an object, its mask, and the object."""
    folder = tmp_path_factory.mktemp("pair")
    one = world.object_sample(20, (225, 161))
    frame = one.sample.frame
    write_image(folder / "left.png", frame.image)
    write_image(folder / "right.png", frame.right)
    write_image(folder / "mask.png", np.where(one.mask, np.uint8(255), np.uint8(0)))
    flags = ["--left", str(folder / "left.png"), "--right", str(folder / "right.png")]
    flags += ["--fx", str(frame.rig.fx), "--baseline-m", str(frame.rig.baseline_m)]
    return [*flags, "--depth-model", "recon3d_stereo_light"], folder / "mask.png", one


def test_a_pair_places_the_object_in_metres(models, pair, tmp_path, capsys):
    flags, mask, one = pair
    words = ["run", "--model", str(models["point_set"]), *flags, "--mask", str(mask), "--out", str(tmp_path)]
    assert main([*words, "--mesh", "poisson"]) == 0
    cloud = read_ply(tmp_path / "left_object.ply")
    assert cloud.fields == ("x", "y", "z", "guessed") and (cloud["guessed"] == 1).all()
    middle = np.median(one.points, axis=0)
    assert np.linalg.norm(np.median(cloud.xyz, axis=0) - middle) < 0.6 * np.linalg.norm(middle)
    assert read_image(tmp_path / "left_object.png").shape[1] == 4 * 192
    assert (tmp_path / "left_object.stl").stat().st_size > 1000
    said = capsys.readouterr().out
    assert "m away" in said and "guessed" in said


def test_one_image_of_no_camera_gives_a_shape_without_metres(models, pair, tmp_path, capsys):
    _, mask, _ = pair
    image = str(mask.with_name("left.png"))
    words = ["run", "--model", str(models["point_set"]), "--image", image, "--out", str(tmp_path)]
    assert main([*words, "--box", "60", "30", "90", "80"]) == 0
    assert "no camera, so the unit is half the side of the box" in capsys.readouterr().out
    first = read_ply(tmp_path / "left_object.ply").xyz.copy()
    assert main(words) == 0  # the whole image
    assert not np.array_equal(first, read_ply(tmp_path / "left_object.ply").xyz)


def test_a_visible_part_is_completed_and_marked(models, pair, tmp_path, capsys):
    flags, mask, one = pair
    words = ["run", "--model", str(models["completion"]), *flags, "--mask", str(mask), "--out", str(tmp_path)]
    assert main(words) == 0
    cloud = read_ply(tmp_path / "left_object.ply")
    measured = cloud.xyz[cloud["guessed"] == 0]
    assert 0.7 * one.mask.sum() < len(measured) <= one.mask.sum()
    assert (cloud["guessed"] == 1).sum() == (32 + 32) * 8
    assert "points seen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "more", "fault"),
    [
        ("point_set", ["--box", "900", "0", "10", "10"], "expected a box in the image of 225x161 px"),
        ("point_set", ["--turntable"], "expected no --turntable for models of whole objects"),
        ("completion", [], "expected the camera of the image for completion"),
    ],
)
def test_what_does_not_fit_is_told(task, more, fault, models, pair, tmp_path, capsys):
    image = str(pair[1].with_name("left.png"))
    assert main(["run", "--model", str(models[task]), "--image", image, "--out", str(tmp_path), *more]) != 0
    assert fault in capsys.readouterr().err


def test_a_mask_of_another_size_and_flags_for_depth_are_refused(models, pair, tmp_path, capsys):
    image = str(pair[1].with_name("left.png"))
    write_image(tmp_path / "mask.png", np.full((9, 9), 255, np.uint8))
    words = ["run", "--model", str(models["point_set"]), "--image", image, "--out", str(tmp_path)]
    assert main([*words, "--mask", str(tmp_path / "mask.png")]) != 0
    assert "expected a mask of 225x161 px, got 9x9" in capsys.readouterr().err
    assert main(["run", "--image", image, "--fx", "200", "--out", str(tmp_path), "--box", *"1234"]) != 0
    assert "expected no --box for models of depth" in capsys.readouterr().err
