"""A mono network from its sources to its model: data sets, a teacher, a few steps, the export."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import yaml

from recon3d_ros.config import ModelConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.errors import ArtifactError, ConfigError, DataError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.networks import build_network
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX
from recon3d_ros.preprocess import Preprocessor, plan_fit
from recon3d_ros.training.export import export as exporting
from recon3d_ros.training.export.calibration import held_out_predictions, magnified
from recon3d_ros.training.export.export import known_images
from recon3d_ros.training.run.checkpoint import load_checkpoint
from recon3d_ros.training.run.loop import train
from recon3d_ros.training.run.state import resume_run, start_run
from recon3d_ros.training.samples import sources
from recon3d_ros.training.samples.batches import CropDataset, EndlessBatchSampler, batches
from recon3d_ros.training.samples.sources import import_data, open_stores, shrunk, split
from recon3d_ros.training.samples.store import SampleStore, pack_view, unpack_view
from recon3d_ros.training.samples.tasks import CPU, VARIANTS, FeatureAdapter, MonoTask, as_tensor, mono_input
from recon3d_ros.training.samples.teacher import known_mean, prepare, thinned

TINY = {
    "stem": 8,
    "encoder": ((12,), (12,), (16,), (24,)),
    "bottleneck": 16,
    "hidden": 12,
    "bins": 24,
    "uncertainty": 8,
}


@pytest.fixture
def world_views(tmp_path):
    """Twelve small scenes of the world as a store."""
    store = SampleStore(tmp_path / "pairs", MonoTask.channels)
    for seed in range(2_000_000, 2_000_012):
        store.write(seed, MonoTask((128, 96)).render(seed, (128, 96)))
    store.refresh()
    return store


@pytest.fixture
def mono_config(make_config):
    def make(**values):
        small = {"network": "mono", "minutes": 0.0, "max_steps": 3, "width": 64, "height": 32}
        return make_config(
            **{**small, "validation_pairs": 2, "render_width": 96, "render_height": 64, **values}
        )

    return make


@pytest.fixture
def teacher(tmp_path):
    """A network that answers 0.01 x (red + 100), described as a model for a focal length of 130 px."""
    onnx = pytest.importorskip("onnx", reason="makes a teacher")
    from onnx import TensorProto, helper

    size = [1, 3, 64, 64]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["depth"], name="answer"),
        helper.make_node("AveragePool", ["image"], ["coarse"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("AveragePool", ["image"], ["coarser"], kernel_shape=[32, 32], strides=[32, 32]),
    ]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 64, 64])],
        [helper.make_tensor("w", TensorProto.FLOAT, [1, 3, 1, 1], [2.0, 0.0, 0.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "teacher.onnx")
    digest = hashlib.sha256((tmp_path / "teacher.onnx").read_bytes()).hexdigest()
    manifest = {
        "name": "teacher",
        "task": "mono_metric_depth",
        "artifacts": [{"file": "teacher.onnx", "sha256": digest}],
        "input": {"names": ["image"], "scale": 1 / 255, "size_wh": [64, 64], "fit": "stretch"},
        "output": {"name": "depth", "unit": "m", "focal_px": 130.0},
        "licence": {"weights": "MIT", "sources": [{"name": "somebody's rooms", "licence": "research use"}]},
    }
    path = tmp_path / "teacher.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def test_teacher_answers_in_canonical_metres_and_with_features(teacher, tmp_path):
    file = prepare(teacher, ("coarse", "coarser"), tmp_path / "run" / "graph.onnx")
    assert file.channels == (3, 3)
    image = np.full((48, 128, 3), (100, 0, 0), np.uint8)
    depth, coarse, coarser = file.predict(image)
    # 130 px of 64 rows are 97.5 px of the 48 of the crop.
    np.testing.assert_allclose(depth, np.full((12, 32), 200 / 255 * CANONICAL_FOCAL_PX / 97.5), rtol=1e-4)
    # Of more rows than the crop has at 1/16, the centres.
    assert coarse.shape == (3, 4, 4) and coarser.shape == (3, 2, 2) and coarse.dtype == np.float16
    higher = file.predict(cv2.resize(image, (128, 96)))[0]
    np.testing.assert_allclose(higher, np.full((24, 32), 200 / 255 * CANONICAL_FOCAL_PX / 195), rtol=1e-4)


@pytest.fixture
def free_teacher(teacher, tmp_path):
    """The same for images of any size."""
    import onnx

    model = onnx.load(tmp_path / "teacher.onnx")
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in ((0, "n"), (2, "h"), (3, "w")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(model, tmp_path / "teacher.onnx")
    manifest = yaml.safe_load(teacher.read_text())
    manifest["artifacts"][0]["sha256"] = hashlib.sha256((tmp_path / "teacher.onnx").read_bytes()).hexdigest()
    manifest["input"] = {"names": ["image"], "scale": 1 / 255, "multiple_of": 32}
    teacher.write_text(yaml.safe_dump(manifest))
    return teacher


def test_teacher_of_any_size_sees_the_crop_as_it_is(free_teacher, tmp_path):
    image = np.zeros((64, 128, 3), np.uint8)
    image[16:32, 48:64] = 200
    depth, coarse = prepare(free_teacher, ("coarse",), tmp_path / "graph.onnx").predict(image)
    assert depth.shape == (16, 32) and coarse.shape == (3, 4, 8)
    # Its focal length is that of its input, and so of the crop.
    assert depth[5, 13] == pytest.approx(2 * 200 / 255 * CANONICAL_FOCAL_PX / 130.0, rel=1e-3)
    assert coarse[0, 1, 3] == pytest.approx(200 / 255, rel=1e-3) and (coarse > 0).sum() == 3


def test_modules_see_the_teachers_features_on_their_own_grid(
    free_teacher, world_views, mono_config, tmp_path
):
    """Of the very image: nothing is thinned, and no other light is shown."""
    teacher = prepare(free_teacher, ("coarse",), tmp_path / "graph.onnx", full_grid=True)
    task = MonoTask((64, 64), teacher)
    image, _, _, coarse = crop = CropDataset({world_views.folder: 1.0}, (96, 64), 3, task)[0]
    assert task.variants == 1 and coarse.shape == (3, 4, 6)
    pooled = image.reshape(3, 4, 16, 6, 16).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse, pooled, atol=2e-3)
    forcing = {"teacher": str(free_teacher), "teacher_features": "to_sixteenth=coarse", "losses": "features"}
    config = mono_config(**forcing, teacher_forcing=True, out=str(tmp_path / "forced"))
    run = start_run(config, TINY | {"encoder": ((12,), (12,), (3,), (24,))})
    # Its answers begin as spread as the teacher's: values of pixels.
    last = run.network.to_sixteenth[-1].mix[1]
    assert (last.bias < 0.8).all() and (last.bias > 0.1).all() and (last.weight < 0.4).all()
    assert (run.network.to_eighth[-1].mix[1].weight == 1.0).all()
    before = {name: p.clone() for name, p in run.network.named_parameters()}
    run.advance(iter([[torch.from_numpy(part)[None] for part in crop]]))
    changed = {
        name.split(".")[0] for name, p in run.network.named_parameters() if not torch.equal(p, before[name])
    }
    assert changed == {"to_half", "to_quarter", "to_eighth", "to_sixteenth"}
    other = start_run(mono_config(**forcing, teacher_forcing=True, out=str(tmp_path / "other")), TINY)
    with pytest.raises(ConfigError, match="in place of to_sixteenth"):
        other.advance(iter([[torch.from_numpy(part)[None] for part in crop]]))


def test_what_a_teacher_does_not_know_is_not_near():
    depth = np.array([[2.0, 4.0, np.nan, np.nan], [2.0, np.nan, np.nan, 8.0]], np.float32)
    np.testing.assert_allclose(known_mean(depth, (2, 1)), [[8.0 / 3.0, np.nan]], rtol=1e-6)


def test_fine_features_are_thinned_to_the_centres_of_sixteen_pixels():
    fine = np.arange(2 * 8 * 16, dtype=np.float32).reshape(2, 8, 16)
    np.testing.assert_array_equal(thinned(fine, 4), fine[:, 1::2, 1::2])
    np.testing.assert_array_equal(thinned(fine, 2), fine[:, 2::4, 2::4])
    np.testing.assert_array_equal(thinned(fine, 16), fine)


def test_adapter_compares_the_same_places():
    """What the teacher kept of a fine map lies where the adapter looks in ours."""
    places = torch.arange(8 * 16, dtype=torch.float32).reshape(1, 1, 8, 16)
    for rows in (2, 4, 8):
        theirs = torch.from_numpy(thinned(places[0].numpy(), rows))[None]
        ours, standard = FeatureAdapter(1, 1)(places, theirs.float())
        torch.testing.assert_close(ours, standard)
        assert standard.shape == theirs.shape and abs(float(standard.mean())) < 1e-3


def test_adapter_projects_to_other_channels_only():
    ours, theirs = torch.rand(2, 5, 8, 12), 3.0 * torch.rand(2, 4, 4, 6) + 1.0
    projected, standard = FeatureAdapter(5, 4)(ours, theirs)
    assert projected.shape == standard.shape == (2, 4, 4, 6)
    torch.testing.assert_close(standard.std(dim=(0, 2, 3)), torch.ones(4), atol=0.02, rtol=0.0)
    assert not list(FeatureAdapter(4, 4).parameters()) and list(FeatureAdapter(5, 4).parameters())


def test_a_taught_view_is_learnt_in_several_lights(world_views, teacher, tmp_path):
    task = MonoTask((64, 64), prepare(teacher, ("coarse",), tmp_path / "graph.onnx"))
    crops = CropDataset({world_views.folder: 1.0}, (96, 64), 3, task)
    taught = [crops[index] for index in range(2 * VARIANTS)]
    for first in (0, VARIANTS):
        one, *others = taught[first : first + VARIANTS]
        for other in others:
            assert not np.array_equal(one[0], other[0])
            for a, b in zip(one[1:], other[1:], strict=True):
                np.testing.assert_array_equal(a, b)
    assert not np.array_equal(taught[0][2], taught[VARIANTS][2])
    # Whoever begins in the middle of a view sees the same.
    late = CropDataset({world_views.folder: 1.0}, (96, 64), 3, task)[VARIANTS + 1]
    for a, b in zip(late, taught[VARIANTS + 1], strict=True):
        np.testing.assert_array_equal(a, b)
    # Of two images in one nobody knows the depth, but the teacher has an answer.
    known = [np.isfinite(crops[index * VARIANTS][1]).any() for index in range(40)]
    assert 6 < sum(known) < 28 and all(np.isfinite(crops[i * VARIANTS][2]).all() for i in range(40))


@pytest.mark.parametrize(
    ("change", "said"),
    [({"output": {"name": "depth", "unit": "m"}}, "focal_px"), ({}, "none named finest")],
)
def test_teacher_that_cannot_teach_is_one_sentence(teacher, tmp_path, change, said):
    teacher.write_text(yaml.safe_dump(yaml.safe_load(teacher.read_text()) | change))
    with pytest.raises(ConfigError, match=said):
        prepare(teacher, ("coarse", "finest"), tmp_path / "graph.onnx")


def test_frames_that_validate_are_spread_and_guarded():
    assert split(20, 8) == ([0, 1, 2, 3], list(range(5, 20))) and split(3, 16) == ([0], [1, 2])
    assert split(5, 0) == ([], [0, 1, 2, 3, 4])
    held, rest = split(860, 48)
    assert len(held) == 48 and not set(held) & set(rest)
    assert [first for first in held if first - 1 not in held] == [0, 215, 430, 645]
    assert min(abs(a - b) for a in held for b in rest) == 11


def test_larger_images_are_shrunk_as_their_camera(mono_config):
    depth = np.full((467, 627), 2.0, np.float32)
    image, small, fy = shrunk(np.zeros((467, 627, 3), np.uint8), depth, 519.0, (384, 288))
    assert image.shape[:2] == small.shape == (286, 384) and fy == pytest.approx(519.0 * 286 / 467)
    assert shrunk(image, small, fy, (384, 288))[0] is image


def test_frames_that_validate_and_the_guard_after_them_do_not_train(
    mono_config, tmp_path, monkeypatch, caplog
):
    frames = [
        Frame(i, np.full((48, 64, 3), i, np.uint8), PinholeCamera.simple(64, 48, 52.0), name=str(i))
        for i in range(20)
    ]

    class Film:
        def __len__(self):
            return len(frames)

        def __getitem__(self, i):
            from recon3d_ros.geometry import Sample

            return Sample(frames[i], None, np.full((48, 64), 1.0, np.float32), str(i))

    monkeypatch.setattr(sources, "open_dataset", lambda name: Film())
    config = mono_config(data="film=3,world", validation_pairs=8)
    found = open_stores(config, 5)
    caplog.set_level("INFO", "recon3d_ros.training")
    import_data(config, found)
    lines = caplog.messages
    film = found.training[0][0]
    shown = [int(unpack_view(film.open(i))[0][0, 0, 0]) for i in range(len(film))]
    assert shown == list(range(5, 20)) and len(found.held_out) == 4
    assert [share for _, share in found.training] == [0.75, 0.25]
    _, depth = unpack_view(film.open(0))
    np.testing.assert_allclose(depth, CANONICAL_FOCAL_PX / 52.0, rtol=1e-3)
    assert "15 frames" in lines[0] and "4 held out" in lines[0]


def test_parts_of_one_set_have_stores_of_their_own_and_its_licence(mono_config):
    found = open_stores(mono_config(data="robot[:40]=2,robot[40:],nyuv2_train"), 5)
    folders = [store.folder.name for store, _ in found.training]
    assert len(set(folders)) == 3 and folders[2] == "nyuv2_train"
    parts = ["nyuv2_train[0:100]", "/home/me/robot[40:]", "walks/run.mcap:/image:/depth"]
    assert sources.sources_of(parts, None, []) == [
        ["NYU Depth v2", "research use"],
        ["robot", "of the owner of these images"],
        ["run.mcap", "of the owner of these images"],
    ]


def test_set_without_depth_is_one_sentence(mono_config, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), np.zeros((48, 64, 3), np.uint8))
    (folder / "camera.yaml").write_text(
        yaml.safe_dump(
            {
                "image_width": 64,
                "image_height": 48,
                "camera_matrix": {"rows": 3, "cols": 3, "data": [50, 0, 32, 0, 50, 24, 0, 0, 1]},
            }
        )
    )
    assert open_dataset(folder)[0].depth is None
    config = mono_config(data=str(folder), out=str(tmp_path / "run"))
    with pytest.raises(DataError, match="depth"):
        import_data(config, open_stores(config, 5))


def test_few_steps_beat_the_best_constant(mono_config, world_views):
    """Overfitting twelve scenes: what a step does is right, not how good a network gets."""
    config = mono_config(
        max_steps=150,
        width=96,
        height=64,
        batch=4,
        learning_rate=5e-3,
        losses="log_l1=1,cross_entropy=0.5",
    )
    run = start_run(config, TINY)
    crops = CropDataset({world_views.folder: 1.0}, (96, 64), 1, run.task)
    stream = batches(crops, EndlessBatchSampler(0, 4), 0, False)
    for _ in range(150):
        run.advance(stream)
    run.network.eval()
    deltas, constants = [], []
    for index in range(len(world_views)):
        packed = world_views.open(index)
        with torch.no_grad():
            deltas.append(run.task.evaluate(run.network, packed, run.device).metrics["delta_1"])
        truth = unpack_view(packed)[1]
        known = truth[np.isfinite(truth)]
        constants.append((np.maximum(known / 2.2, 2.2 / known) < 1.25).mean())
    assert np.mean(deltas) > np.mean(constants) + 0.1


def test_trained_with_a_teacher_and_exported_it_serves_metres(mono_config, teacher, tmp_path):
    config = mono_config(
        out=str(tmp_path / "run"),
        workers=1,
        max_pairs=3,
        teacher=str(teacher),
        teacher_features="to_sixteenth=coarse,merge_quarter=coarser",
        losses="log_l1=1,distill=1,features=1,uncertainty=0.1",
    )
    checkpoint = train(config, network_settings=TINY)
    saved = load_checkpoint(checkpoint)
    assert saved["step"] == 3 and saved["adapters"] and 0.0 <= saved["history"][-1]["delta_1"] <= 1.0
    with pytest.raises(ArtifactError, match="losses and teacher"):
        resume_run(replace(config, losses="log_l1=1,distill=1"))
    done = exporting.export(checkpoint, tmp_path / "models", name="mine", calibration_pairs=2)
    manifest = load_manifest(done.manifest.path)
    assert manifest.task == "mono_metric_depth" and manifest.output.focal_px == CANONICAL_FOCAL_PX
    assert manifest.licence.weights == "as its sources allow"
    assert ("somebody's rooms", "research use") in {(s.name, s.licence) for s in manifest.licence.sources}
    assert manifest.accuracy[0].data == "world" and "delta_1" in manifest.accuracy[0].metrics
    estimator = Estimator.open(ModelConfig(model=str(done.manifest.path)))
    image = np.random.default_rng(0).integers(0, 256, (93, 120, 3), np.uint8)
    near, far = (
        estimator.estimate(Frame(0, image, PinholeCamera.simple(120, 93, fx))) for fx in (100.0, 250.0)
    )
    estimator.close()
    np.testing.assert_allclose(far.depth, near.depth * 2.5, rtol=1e-5)
    np.testing.assert_allclose(far.sigma_m, near.sigma_m * 2.5, rtol=1e-5)
    np.testing.assert_array_equal(far.confidence, near.confidence)
    # It goes on from its weights, as the network that it is, and remembers what they are made of.
    run = start_run(mono_config(out=str(tmp_path / "tuned"), init=str(tmp_path / "models" / "mine.pt")), None)
    assert run.network.config.bins == TINY["bins"]
    assert ["somebody's rooms", "research use"] in run.sources


def test_a_resumed_run_tells_what_else_it_learns_from_and_keeps_what_validates(mono_config):
    start_run(mono_config(), TINY).save()
    more = resume_run(mono_config(data="world=2,/robots/kitchen"))
    assert [name for name, _ in more.sources] == ["procedural world of recon3d_ros", "kitchen"]
    with pytest.raises(ConfigError, match="expected world first in data"):  # its frames may have trained
        resume_run(mono_config(data="/robots/kitchen,world"))


@pytest.mark.parametrize("task", ["stereo", "mono"])
def test_known_images_are_served_as_they_are(task):
    """Golden answers are written without the way an image takes to the network."""
    contract = mono_input((96, 64)) if task == "mono" else InputContract(("left", "right"), multiple_of=32)
    images = [image for images in known_images(contract) for image in images]
    fits = {plan_fit(contract, image.shape[1::-1]) for image in images}
    assert all(fit.image_size_wh == fit.network_size_wh for fit in fits)
    assert len(fits) == (1 if task == "mono" else 2), "height and width of pairs must be free"
    assert not np.array_equal(images[0], images[-1])


@pytest.mark.parametrize("size_wh", [(500, 281), (96, 128), (224, 160)])
def test_served_view_is_what_the_estimator_shows_the_network(size_wh):
    task = MonoTask((224, 160))
    packed = task.render(7, size_wh)
    image, depth = task.served_view(packed)
    contract = mono_input(task.size_wh)
    preprocessor = Preprocessor(contract, plan_fit(contract, size_wh), 1)
    (shown,) = preprocessor.tensors([unpack_view(packed)[0]]).values()
    np.testing.assert_allclose(as_tensor(image, CPU).numpy(), shown, atol=1e-6)
    assert depth.shape == (160, 224)


@pytest.mark.parametrize(
    "data, frames, many",
    [("robot,world", range(8), False), ("robot", [0, 1, 20, 40, 41, 60], True), ("world", range(4), True)],
)
def test_one_place_sets_no_scale_and_leaves_trust_as_it_was(mono_config, tmp_path, data, frames, many):
    def exported(name, depth_m, **options):
        run = start_run(mono_config(data=data, out=str(tmp_path / name), **options), TINY)
        run.save()
        store = SampleStore(tmp_path / name / "validation", MonoTask.channels)
        for frame in frames:
            image = np.random.default_rng(frame).integers(0, 256, (48, 64, 3), np.uint8)
            depth = np.full((48, 64), depth_m, np.float32)
            store.write(frame, pack_view(image, depth, CANONICAL_FOCAL_PX))
        exporting.export(run.path, tmp_path / "models", name=name)
        weights = load_checkpoint(tmp_path / "models" / f"{name}.pt")["average"]
        return float(weights["log_gain"]), float(weights["uncertainty.scale_offset"])

    gain, offset = exported("first", 9.0)
    assert (abs(gain) > 0.1) == many
    assert offset != 0.0  # better than nothing
    tuned_gain, tuned_offset = exported("tuned", 3.0, init=str(tmp_path / "models" / "first.pt"))
    assert (tuned_gain != gain) == many and (tuned_offset != offset) == many


def test_confidence_is_calibrated_through_other_lenses_too(tmp_path):
    """Through a lens twice as long things stand as they would at half the distance, and the truth says so."""
    store = SampleStore(tmp_path / "validation", MonoTask.channels)
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    store.write(0, pack_view(image, np.full((48, 64), 2.0, np.float32), CANONICAL_FOCAL_PX))
    network = build_network("mono", TINY).eval()
    content = {"run": {"width": 64, "height": 32}}
    short, long = held_out_predictions(network, content, tmp_path, 5, lenses=(1.0, 2.0))
    assert short.truth.shape == long.truth.shape == (1, 32, 64)
    np.testing.assert_allclose(short.truth, 2.0 * 48 / 32, rtol=1e-3)
    np.testing.assert_allclose(long.truth, 2.0 * 24 / 32, rtol=1e-3)
    np.testing.assert_array_equal(magnified(image, 2.0), image[12:36, 16:48])
