"""Plug-in libraries of TensorRT: shared libraries with operators that a model needs and the vendor has not.

A library says what is in it in one of two ways. Newer ones have an entry that `IPluginRegistry.load_library`
calls; older ones, by the macro REGISTER_TENSORRT_PLUGIN, register themselves when they are loaded
(docs.nvidia.com, TensorRT: "Plugin Shared Libraries").
"""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from typing import Any

from recon3d_ros.backends.base import one_line
from recon3d_ros.backends.vendor import Vendor
from recon3d_ros.errors import ArtifactError, BackendError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import verify_plugin

_ENTRIES = ("getCreators", "getPluginCreators")  # since TensorRT 10, and before
# A process loads a library once: a second time the registry refuses it, as its operators are there.
_LOADED: set[tuple[str, str]] = set()


def load_plugins(vendor: Vendor, manifest: Manifest) -> None:
    """Load the plug-in libraries of a model, before its file is parsed or its engine is loaded.

    They are native code, which runs with all rights of this process.

    Raises:
        ArtifactError: A library is missing, not the one of the manifest, or there is none for this processor.
        BackendError: It cannot be loaded, or has no operators.
    """
    if manifest.plugins and not manifest.plugins_here:
        known = ", ".join(plugin.machine for plugin in manifest.plugins)
        raise ArtifactError(
            f"expected a plug-in library for {platform.machine()} under plugins of {manifest.name}, it lists "
            f"some for {known}: get that for {platform.machine()} and add it"
        )
    for plugin in manifest.plugins_here:
        path = verify_plugin(manifest, plugin)
        if (vendor.flavour, plugin.sha256) not in _LOADED:
            _load(vendor, path)
            _LOADED.add((vendor.flavour, plugin.sha256))


def _load(vendor: Vendor, path: Path) -> None:
    vendor.forget()
    vendor.module.init_libnvinfer_plugins(vendor.logger, "")  # those of the vendor, which others may need
    registry = vendor.module.get_plugin_registry()
    before = _creators(registry)
    try:
        library = ctypes.CDLL(str(path.absolute()), mode=ctypes.RTLD_GLOBAL)
    except OSError as exc:
        raise BackendError(
            f"cannot load the plug-in library {path} ({one_line(str(exc))}): get the one for "
            f"{vendor.flavour} {vendor.version} and for {platform.machine()}"
        ) from exc
    if _creators(registry) == before and any(hasattr(library, entry) for entry in _ENTRIES):
        registry.load_library(str(path.absolute()))  # gives None where it fails, or has nothing new
    if _creators(registry) == before:
        said = f" ({one_line(vendor.messages[-1])})" if vendor.messages else ""
        raise BackendError(
            f"expected operators for {vendor.flavour} {vendor.version} in the plug-in library {path}, it "
            f"registers none{said}: get the one for this version"
        )


def _creators(registry: Any) -> int:
    """How many operators there are."""
    found = getattr(registry, "all_creators", None)  # plugin_creator_list before TensorRT 10
    return len(registry.plugin_creator_list if found is None else found)
