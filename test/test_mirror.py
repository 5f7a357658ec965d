"""Tests stand where their module stands: of `geometry/camera.py` in `test/geometry/test_camera.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "recon3d_ros"
NAMED = re.compile(r"recon3d_ros(?:\.[a-z_0-9]+)+")
FOLDERS = {
    ".".join(path.parent.relative_to(PACKAGE).parts): path for path in sorted(PACKAGE.rglob("*/__init__.py"))
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem not in ("__init__", "__main__")
}
# What has no test file of its name, and where its behaviour is tested. The test imports the module, or one
# of its room that uses it: a part that nobody uses alone is tested where somebody uses it.
TESTED_IN = {
    "backends.base": "backends/test_onnxruntime.py",
    "backends.engine_spec": "backends/test_tensorrt.py",
    "backends.gpu": "backends/test_vendor.py",
    "backends.runtime_cache": "backends/test_tensorrt.py",
    "cli.children": "cli/test_demo.py",
    "cli.evaluate_labels": "cli/test_evaluate.py",
    "cli.demo_map": "offline/test_house.py",
    "cli.doctor": "ros/doctor/test_doctor.py",
    "cli.frames": "cli/test_run.py",
    "cli.map": "cli/test_node.py",
    "cli.play": "cli/test_main.py",
    "cli.process": "offline/test_processing.py",
    "cli.progress_bar": "cli/test_engines.py",
    "offline.depth_sources": "cli/test_reconstruct.py",
    "offline.reconstruct_options": "cli/test_reconstruct.py",
    "offline.reconstruct_recording": "cli/test_reconstruct.py",
    "cli.results": "cli/test_run.py",
    "cli.evaluate_reconstruction": "cli/test_reconstruct.py",
    "cli.terminal": "cli/test_main.py",
    "config.camera_topics": "messages/test_intake.py",
    "config.doctor": "config/test_config.py",
    "config.mapping": "mapping/test_fusion.py",
    "config.mapper": "config/test_config.py",
    "config.motion": "estimation/test_motion.py",
    "config.odometry": "odometry/test_visual.py",
    "config.model": "config/test_config.py",
    "config.node": "config/test_config.py",
    "config.options": "config/test_config.py",
    "config.pipeline": "config/test_config.py",
    "config.process": "config/test_config.py",
    "config.recorder": "config/test_config.py",
    "config.scale": "config/test_config.py",
    "config.source": "config/test_config.py",
    "convert.half": "convert/test_conversion.py",
    "convert.images": "convert/test_conversion.py",
    "cuda.arguments": "cuda/test_build.py",
    "cuda.buffers": "cuda/test_stages.py",
    "cuda.graph": "cuda/test_stages.py",
    "cuda.kernels": "cuda/test_build.py",
    "cuda.layout": "cuda/test_kernels_prepare.py",
    "datasets.bags.writer": "datasets/bags/test_reader.py",
    "datasets.index": "datasets/test_catalogue.py",
    "datasets.rgbd.sets": "datasets/test_catalogue.py",
    "datasets.stereo.sets": "datasets/test_catalogue.py",
    "estimation.cpu_model": "estimation/test_objects.py",
    "estimation.gpu_stages": "cuda/test_engine_frames.py",
    "evaluation.runs": "cli/test_evaluate.py",
    "evaluation.set_scores": "cli/test_evaluate.py",
    "files.camera_document": "files/test_camera_formats.py",
    "files.camera_kitti": "files/test_camera_formats.py",
    "files.tiff": "files/test_exif.py",
    "filters.cells": "filters/test_voxel.py",
    "evaluation.label_pictures": "evaluation/test_label_scores.py",
    "geometry.checks": "geometry/test_camera.py",
    "geometry.labels": "world/scenes/test_terrain.py",
    "datasets.rgbd.seven_scenes": "cli/test_reconstruct.py",
    "mapping.blocks": "mapping/test_fusion.py",
    "mapping.integrate_numba": "mapping/test_fusion.py",
    "mapping.integrate_numpy": "mapping/test_fusion.py",
    "mapping.mesh_files": "mapping/test_surface.py",
    "mapping.observation": "mapping/test_fusion.py",
    "mapping.picture": "mapping/test_surface.py",
    "odometry.keyframe": "odometry/test_visual.py",
    "odometry.loops": "odometry/test_graph.py",
    "offline.reconstruction": "cli/test_reconstruct.py",
    "messages.cloud": "offline/test_view_bag.py",
    "messages.kinds": "messages/test_camera_info.py",
    "model_zoo.contract": "model_zoo/test_manifest_file.py",
    "model_zoo.manifest_faults": "model_zoo/test_manifest_file.py",
    "model_zoo.contract_parts": "model_zoo/test_manifest_file.py",
    "model_zoo.manifest": "model_zoo/test_manifest_file.py",
    "model_zoo.plugin_file": "cli/test_models_add.py",
    "model_zoo.tasks": "model_zoo/test_shapes.py",
    "model_zoo.tensor_spec": "backends/test_onnxruntime.py",
    "model_zoo.validation": "model_zoo/test_manifest_file.py",
    "networks.mono_contract": "networks/test_mono.py",
    "offline.far_pixels": "offline/test_processing.py",
    "offline.given_poses": "cli/test_reconstruct.py",
    "offline.doubts": "offline/test_processing.py",
    "offline.sinks": "offline/test_processing.py",
    "preprocess.tensors": "preprocess/test_preprocess.py",
    "ros.bench.cloud": "cli/test_benchmark.py",
    "ros.doctor.finding": "ros/doctor/test_checks.py",
    "ros.doctor.graph_monitor": "ros/doctor/test_doctor.py",
    "ros.doctor.topic_monitor": "ros/doctor/test_frames.py",
    "ros.health.outcome": "ros/health/test_health.py",
    "ros.mapper.map_outputs": "ros/mapper/test_map_node.py",
    "ros.mapper.map_services": "ros/mapper/test_map_node.py",
    "ros.mapper.map_worker": "ros/mapper/test_map_node.py",
    "ros.mapper.depth_channel": "ros/mapper/test_map_node.py",
    "ros.mapper.odometry_output": "ros/mapper/test_poses.py",
    "ros.node.managed_node": "ros/node/test_depth_node_lifecycle.py",
    "ros.node.node_status": "ros/node/test_multi_camera.py",
    "ros.output.image_message": "ros/output/test_outputs.py",
    "ros.scale.inputs": "ros/scale/test_node.py",
    "scale.affine": "scale/test_recovery.py",
    "scale.correspondences": "scale/test_factor.py",
    "scale.tracks": "scale/test_recovery.py",
    "serving.fallback": "serving/test_opening.py",
    "system.progress": "backends/test_engine_child.py",
    "training.export.fixed_graph": "training/export/test_shapes.py",
    "training.export.description": "training/export/test_export.py",
    "training.losses.loss_input": "training/losses/test_terms.py",
    "training.run.checkpoint": "training/run/test_resume.py",
    "training.run.device": "training/run/test_state.py",
    "training.run.loop": "training/run/test_state.py",
    "evaluation.page": "cli/test_evaluate.py",
    "cli.process_many": "cli/test_fleet.py",
    "cli.reconstruct_many": "cli/test_fleet.py",
    "cli.evaluate_many": "cli/test_fleet.py",
    "fleet.tasks": "fleet/test_work.py",
    "offline.page": "offline/test_processing.py",
    "reports.blocks": "reports/test_page.py",
    "reports.charts": "reports/test_page.py",
    "ros.player.source_cameras": "ros/player/test_sources.py",
    "cli.view": "reports/test_saved.py",
    "reports.rerun_log": "reports/test_saved.py",
    "reports.scene": "reports/test_page.py",
    "training.run.objective": "training/run/test_warm_start.py",
    "training.samples.results": "training/samples/test_clouds.py",
    "training.samples.sources": "training/test_mono_training.py",
    "training.samples.tasks": "training/samples/test_rendering.py",
    "training.samples.teacher": "training/test_mono_training.py",
    "training.samples.validation": "training/test_learning.py",
    "world.rendering.shading": "world/rendering/test_render.py",
    "world.rendering.visibility": "world/rendering/test_render.py",
    "world.scenes.house": "world/test_camera.py",
    "world.scenes.indoor": "world/scenes/test_scene.py",
    "world.scenes.outdoor": "world/test_sampling.py",
    "world.scenes.showcase": "world/test_camera.py",
    "world.scenes.street_furniture": "world/scenes/test_furniture.py",
    "world.textures.cutouts": "world/textures/test_patterns.py",
    "world.textures.noise": "world/textures/test_patterns.py",
    "world.textures.prints": "world/textures/test_patterns.py",
}


def own_test(module: str) -> Path:
    """Where the tests of a module stand by its name."""
    *rooms, name = module.split(".")
    return TESTS.joinpath(*rooms, f"test_{name}.py")


@cache
def imported_by(path: Path) -> frozenset[str]:
    """The modules of ours that a file imports or names, in functions and strings, too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(module for name in _names(tree) if (module := _module_of(name)) is not None)


def _names(tree: ast.Module) -> Iterator[str]:
    """Dotted names of ours in the order of the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from NAMED.findall(node.value)


def _module_of(name: str) -> str | None:
    """The module or folder that a dotted name lies in; the module that a folder takes it from."""
    parts = name.split(".")[1:] if name.startswith("recon3d_ros.") else []
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        if module in MODULES:
            return module
        if module in FOLDERS:
            return _offered(module).get(".".join(parts[count:]), module)
    return None


@cache
def _offered(folder: str) -> dict[str, str]:
    """What a folder's `__init__` offers under which name, and the module that it takes it from."""
    return {
        alias.asname or alias.name: node.module.removeprefix("recon3d_ros.")
        for node in ast.walk(ast.parse(FOLDERS[folder].read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recon3d_ros.")
        for alias in node.names
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_tests(module):
    if own_test(module).is_file():
        assert module not in TESTED_IN, f"{module} has tests of its own: take it out of the table"
        assert reaches(own_test(module), module), f"{own_test(module)} does not import what it tests"
        return
    assert module in TESTED_IN, f"write {own_test(module).relative_to(TESTS.parent)}, or add to TESTED_IN"
    path = TESTS / TESTED_IN[module]
    assert path.is_file(), f"{path}, where {module} is tested, is not there"
    assert reaches(path, module), f"neither {path} nor what it imports imports {module}"


def reaches(test: Path, module: str) -> bool:
    """Whether a test, or a conftest.py above it, imports a module, by way of others of either room, too."""
    folders = [folder for folder in test.parents if folder.is_relative_to(TESTS)]
    files = [test, *(path for folder in folders if (path := folder / "conftest.py").is_file())]
    rooms = {module.partition(".")[0], test.relative_to(TESTS).parts[0]}
    seen: set[str] = set()
    new = {used for path in files for used in imported_by(path)}
    new |= {used for one in new for used in imported_by((MODULES | FOLDERS)[one])}
    while new and module not in seen:
        seen |= new
        mine = [used for used in new if used.partition(".")[0] in rooms]
        new = {used for one in mine for used in imported_by((MODULES | FOLDERS)[one])} - seen
    return module in seen


def test_the_table_names_modules_that_are_there():
    assert set(TESTED_IN) <= set(MODULES)


def test_reading_imports_follows_what_a_folder_offers():
    assert imported_by(TESTS / "geometry" / "test_camera.py") >= {"geometry.camera"}
    assert not reaches(TESTS / "geometry" / "test_camera.py", "training.config")
