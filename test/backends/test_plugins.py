"""Plug-in libraries of TensorRT: real ones in tensorrt_rtx, and a stand-in for what a registry says."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from recon3d_ros.backends import EngineOptions
from recon3d_ros.backends.engine_spec import engine_spec
from recon3d_ros.backends.plugins import load_plugins
from recon3d_ros.backends.vendor import load_vendor
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, BackendError, ModelError
from recon3d_ros.model_zoo.manifest import MACHINES, Plugin
from recon3d_ros.model_zoo.manifest_file import dump_manifest, load_manifest
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.serving import interim_config, open_checked

WITHOUT_OPERATORS = """
#include <cstdint>
extern "C" void* const* getCreators(int32_t& count) noexcept { count = 0; return nullptr; }
extern "C" void setLoggerFinder(void*) noexcept {}
"""


@pytest.fixture
def library(tmp_path):
    """Compile a shared library beside the manifest, and name it: library(source) -> Plugin."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")

    def compiled(source, name="plugin"):
        (tmp_path / f"{name}.cpp").write_text(source)
        made = tmp_path / f"lib{name}.so"
        words = ["g++", "-shared", "-fPIC", "-Wl,-z,now", "-o", str(made), str(tmp_path / f"{name}.cpp")]
        subprocess.run(words, check=True)
        return Plugin(made.name, hashlib.sha256(made.read_bytes()).hexdigest(), platform.machine())

    return compiled


def with_plugins(manifest, folder, *plugins, golden=True):
    """The same model with plug-ins, read back from its YAML."""
    changed = replace(manifest, plugins=plugins, golden=manifest.golden if golden else None)
    dump_manifest(changed, folder / f"{manifest.name}.yaml")
    return load_manifest(folder / f"{manifest.name}.yaml")


class Registry:
    """Counts as TensorRT's registry does: `load_library` adds what the library has, once."""

    def __init__(self):
        self.all_creators, self.loaded = [], []

    def load_library(self, path):
        self.loaded.append(path)
        self.all_creators.append(SimpleNamespace(name="Correlation"))
        return object()


@pytest.fixture
def vendor(monkeypatch):
    """A vendor with an empty registry, which has loaded nothing yet."""
    monkeypatch.setattr("recon3d_ros.backends.plugins._LOADED", set())
    registry, started = Registry(), []
    module = SimpleNamespace(
        get_plugin_registry=lambda: registry,
        init_libnvinfer_plugins=lambda logger, namespace: started.append(namespace),
    )
    return SimpleNamespace(
        flavour="tensorrt",
        version="10.7.0",
        module=module,
        logger=None,
        messages=[],
        forget=lambda: None,
        registry=registry,
        started=started,
    )


def test_a_library_is_loaded_once_by_the_registry_or_registers_itself(tmp_path, library, vendor, monkeypatch):
    plugin, silent = library(WITHOUT_OPERATORS), library("void nothing() {}", "silent")
    manifest = with_plugins(BUILT_IN["fake_stereo"], tmp_path, plugin)
    load_plugins(vendor, manifest)
    load_plugins(vendor, manifest)
    assert vendor.registry.loaded == [str(tmp_path / "libplugin.so")] and vendor.started == [""]
    load = ctypes.CDLL

    def registering(path, **mode):  # as the macro REGISTER_TENSORRT_PLUGIN has it
        vendor.registry.all_creators.append(SimpleNamespace(name="Other"))
        return load(path, **mode)

    other = with_plugins(BUILT_IN["fake_stereo"], tmp_path, silent)
    with pytest.raises(BackendError, match=r"registers none.*get the one for this version"):
        load_plugins(vendor, other)
    monkeypatch.setattr(ctypes, "CDLL", registering)
    load_plugins(vendor, other)
    assert len(vendor.registry.loaded) == 1


def test_what_is_missing_changed_or_for_another_processor_is_refused(tmp_path, library, vendor):
    plugin = library(WITHOUT_OPERATORS)
    elsewhere = next(name for name in MACHINES if name != platform.machine())
    foreign = with_plugins(BUILT_IN["fake_stereo"], tmp_path, replace(plugin, machine=elsewhere))
    with pytest.raises(ArtifactError, match=f"for {platform.machine()} under plugins"):
        load_plugins(vendor, foreign)
    manifest = with_plugins(BUILT_IN["fake_stereo"], tmp_path, plugin)
    library(WITHOUT_OPERATORS.replace("count = 0", "count = 0 + 0 * 1") + "int more;")
    with pytest.raises(ArtifactError, match="is not the file of model fake_stereo"):
        load_plugins(vendor, manifest)
    (tmp_path / "libplugin.so").unlink()
    with pytest.raises(ArtifactError, match="does not exist"):
        load_plugins(vendor, manifest)
    assert vendor.registry.loaded == []


def test_the_real_registry_is_asked_and_what_cannot_be_linked_says_so(tmp_path, library):
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed (make test TENSORRT=0)")
    real = load_vendor("tensorrt_rtx")
    empty = with_plugins(BUILT_IN["fake_stereo"], tmp_path, library(WITHOUT_OPERATORS))
    with pytest.raises(BackendError, match=r"expected operators for tensorrt_rtx .* registers none"):
        load_plugins(real, empty)
    source = "extern void not_there(); void used() { not_there(); }"
    broken = with_plugins(BUILT_IN["fake_stereo"], tmp_path, library(source, "broken"))
    with pytest.raises(BackendError, match=r"libbroken.so.*undefined symbol.*get the one for tensorrt_rtx"):
        load_plugins(real, broken)


def test_an_engine_is_another_one_with_another_plugin(fake_gpu, library):
    manifest = fake_gpu.manifest
    sizes = EngineOptions("auto", ((64, 32),))
    plain = engine_spec(manifest, "fp32", sizes).key
    keys = [plain]
    for source in (WITHOUT_OPERATORS, "int other;"):
        with_library = with_plugins(manifest, fake_gpu.folder, library(source))
        keys.append(engine_spec(with_library, "fp32", sizes).key)
    elsewhere = next(name for name in MACHINES if name != platform.machine())
    foreign = replace(library(WITHOUT_OPERATORS), machine=elsewhere)
    assert len({key.stem for key in keys}) == 3
    assert engine_spec(with_plugins(manifest, fake_gpu.folder, foreign), "fp32", sizes).key == plain


def test_it_serves_with_a_golden_output_of_its_own_only(fake_gpu, library, vendor, monkeypatch):
    fake_gpu.module.get_plugin_registry = vendor.module.get_plugin_registry
    fake_gpu.module.init_libnvinfer_plugins = vendor.module.init_libnvinfer_plugins
    monkeypatch.setattr(
        "recon3d_ros.serving.opening.cross_check", lambda *args: pytest.fail("asked ONNX Runtime")
    )
    plugin = library(WITHOUT_OPERATORS)
    manifest = with_plugins(fake_gpu.manifest, fake_gpu.folder, plugin)
    config = ModelConfig(model=fake_gpu.path, backend="tensorrt", engine_sizes=("64x32",))
    assert interim_config(config) == config  # ONNX Runtime cannot serve until the engine is there
    backend = open_checked(manifest, config)
    assert backend.name == "tensorrt" and len(vendor.registry.loaded) == 1
    backend.close()
    bare = with_plugins(fake_gpu.manifest, fake_gpu.folder, plugin, golden=False)
    fake_gpu.built.clear()
    for check in (True, False):
        with pytest.raises(ModelError, match=r"expected a golden output of net, .*needs plug-ins"):
            open_checked(bare, config, check=check)
    assert fake_gpu.built == []
