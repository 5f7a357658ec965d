"""From a model to the engine it needs here: what it is called, what it depends on, how it is built."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.backends.engine_build import OPTIONS, Shapes, profile_shapes
from recon3d_ros.backends.engine_child import build_in_child
from recon3d_ros.backends.engines import EngineKey, EngineOptions, EngineStore, obtain
from recon3d_ros.backends.gpu import find_gpu
from recon3d_ros.backends.vendor import NO_GPU, Vendor, load_vendor
from recon3d_ros.errors import BackendError
from recon3d_ros.model_zoo.manifest import Artifact, Manifest

PORTABLE = {
    "devices": "compute capability 8.0 and newer"
}  # what tensorrt_rtx builds for when nothing is said


@dataclass(frozen=True)
class EnginePlan:
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

    def obtain(self, store: EngineStore, options: EngineOptions) -> bytes:
        """The engine, from the store or built by a child process.

        Raises:
            ModelError: the file is not what its manifest promises.
            BackendError: it is in quarantine, the vendor refuses the model, or the build failed.
        """

        def build() -> bytes:
            return build_in_child(
                self.vendor.flavour, self.manifest, self.artifact, self.profiles, options.step
            )

        return obtain(store, self.key, build, options)


def plan_engine(manifest: Manifest, precision: str, options: EngineOptions) -> EnginePlan:
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
        artifact.sha256,
        vendor.flavour,
        vendor.version,
        target_of(vendor),
        tuple(_words(shapes) for shapes in profiles),
        OPTIONS,
    )
    return EnginePlan(manifest, artifact, vendor, profiles, key)


def target_of(vendor: Vendor) -> dict[str, str]:
    """What engines of a flavour built here are for, in words.

    Raises:
        BackendError: for one GPU, and there is none.
    """
    if vendor.is_rtx:
        return PORTABLE
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


def _words(shapes: Shapes) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
