"""All that an engine is built from, and what it is called in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.backends.base import Shapes
from recon3d_ros.backends.engine_child import build_in_child
from recon3d_ros.backends.engine_store import EngineKey, EngineOptions, EngineStore
from recon3d_ros.backends.gpu import NO_GPU, find_gpu
from recon3d_ros.backends.vendor import Vendor, load_vendor
from recon3d_ros.errors import BackendError, ContractError
from recon3d_ros.model_zoo.manifest import Artifact, Manifest

_OPTIONS = "strongly typed, no allocation while it runs"
# What tensorrt_rtx builds for when nothing is said.
_PORTABLE = {"devices": "compute capability 8.0 and newer"}


@dataclass(frozen=True)
class EngineSpec:
    """One engine, built or not.

    Attributes:
        manifest: of the model and
        artifact: the file of it.
        vendor: the flavour of TensorRT.
        profiles: shapes of the inputs, an optimisation profile each.
        key: all that it depends on.
    """

    manifest: Manifest
    artifact: Artifact
    vendor: Vendor
    profiles: tuple[Shapes, ...]
    key: EngineKey

    @property
    def label(self) -> str:
        """For people: model and precision."""
        return f"{self.manifest.name} ({self.artifact.precision})"

    def load_or_build(self, store: EngineStore, options: EngineOptions) -> bytes:
        """The serialized engine: from the cache, or built by a child process and kept there.

        Raises:
            ModelError: the file is not what its manifest promises.
            BackendError: it is in quarantine, the vendor refuses the model, or the build failed.
        """

        def build() -> bytes:
            return build_in_child(
                self.vendor.flavour, self.manifest, self.artifact, self.profiles, options.progress
            )

        return store.get_or_build(self.key, build, options)


def engine_spec(manifest: Manifest, precision: str, options: EngineOptions) -> EngineSpec:
    """See what engine a model needs here.

    Raises:
        ArtifactError: the model has no such precision.
        ContractError: the model takes any size, and none is given.
        MissingDependencyError: the flavour of TensorRT is not installed.
        BackendError: engines of this flavour are for one GPU, and there is none.
    """
    artifact = manifest.artifact(precision)
    vendor = load_vendor(options.flavour)
    profiles = profile_shapes(manifest, options.sizes_wh)
    key = EngineKey(
        manifest.name,
        artifact.precision,
        manifest.engine_digest(artifact),
        vendor.flavour,
        vendor.version,
        target_of(vendor),
        tuple(_shapes_text(shapes) for shapes in profiles),
        _OPTIONS,
    )
    return EngineSpec(manifest, artifact, vendor, profiles, key)


def profile_shapes(manifest: Manifest, sizes_wh: tuple[tuple[int, int], ...]) -> tuple[Shapes, ...]:
    """Shapes of all inputs, once for every size: an optimisation profile each.

    Args:
        manifest: Of the model; where it fixes the size, that is the only one.
        sizes_wh: Sizes of the network's input.

    Raises:
        ContractError: no size is known, or the model has inputs beside its images.
    """
    if manifest.input.extra:
        raise ContractError(
            f"model {manifest.name} has inputs beside its images (input.extra), which engines do not take: "
            "set backend to onnxruntime"
        )
    sizes = [manifest.input.size_wh] if manifest.input.size_wh else list(dict.fromkeys(sizes_wh))
    if not sizes:
        raise ContractError(
            f"model {manifest.name} accepts images of any size, an engine only the sizes it is built for: "
            "give engine_sizes, such as 640x480"
        )
    images = 2 if manifest.is_stereo else 1
    return tuple(
        dict.fromkeys(manifest.input.names, manifest.input.tensor_shape(size, images)) for size in sizes
    )


def target_of(vendor: Vendor) -> dict[str, str]:
    """What engines of a flavour built here are for, in words.

    Raises:
        BackendError: for one GPU, and there is none.
    """
    if vendor.is_rtx:
        return _PORTABLE
    gpu = find_gpu()
    if gpu is None:
        raise BackendError(
            f"{vendor.flavour} {vendor.version} builds engines on the GPU that runs them: {NO_GPU}"
        )
    return {
        "device": gpu.name,
        "compute_capability": gpu.compute_capability,
        "driver": gpu.driver,
        "cuda": gpu.cuda,
    }


def _shapes_text(shapes: Shapes) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
