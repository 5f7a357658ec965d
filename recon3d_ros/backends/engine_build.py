"""Parse an ONNX file and build its engine, in this process; `engine_child` gives it one of its own."""

from __future__ import annotations

from typing import Any

from recon3d_ros.backends.base import Shapes, check_contract
from recon3d_ros.backends.plugins import load_plugins
from recon3d_ros.backends.vendor import Vendor, refusal, tensor_spec
from recon3d_ros.errors import BackendError
from recon3d_ros.model_zoo.manifest import Artifact, Manifest
from recon3d_ros.model_zoo.registry import read_verified, verify_artifact
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.progress import NO_PROGRESS, Progress


def build_engine(
    vendor: Vendor,
    manifest: Manifest,
    artifact: Artifact,
    profiles: tuple[Shapes, ...],
    progress: Progress = NO_PROGRESS,
) -> bytes:
    """Build the engine of an artifact.

    Args:
        vendor: The flavour of TensorRT.
        manifest: Of the model; what the file has must be what it promises.
        artifact: Which file of it.
        profiles: Shapes of the inputs, an optimisation profile each.
        progress: Gets the share done.

    Raises:
        ArtifactError: the file is not the one of the manifest.
        ContractError: its inputs or outputs are not what the manifest promises.
        BackendError: the vendor refuses the model or a plug-in of it, or cannot build it.
    """
    vendor.forget()
    module, label = vendor.module, f"{manifest.name} ({artifact.precision})"
    progress.update("parsing")
    load_plugins(vendor, manifest)
    vendor.forget()
    try:
        builder = module.Builder(vendor.logger)
        network = builder.create_network(_network_flags(module))
        parser = module.OnnxParser(network, vendor.logger)
        if not parser.parse(*_content_and_path(manifest, artifact)):
            raise refusal(vendor, label, [parser.get_error(i) for i in range(parser.num_errors)])
        check_contract(manifest, *_tensors(network))
        config = builder.create_builder_config()
        for shapes in profiles:
            _add_profile(builder, config, shapes)
        _report_to(progress, module, config)
        engine = _serialized(module, builder, network, config)
    except (TypeError, RuntimeError, ValueError, MemoryError) as exc:  # what pybind makes of C++ failures
        raise vendor.error(f"build {label}", exc) from exc
    if engine is None:
        raise vendor.error(f"build {label}")
    return bytes(engine)


def _serialized(module: Any, builder: Any, network: Any, config: Any) -> Any:
    """The engine; of tensorrt_rtx one that can be captured as a CUDA graph, unless the network forbids it."""
    flag = getattr(module.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if flag is not None:
        config.set_flag(flag)
        engine = builder.build_serialized_network(network, config)
        if engine is not None:
            return engine
        config.clear_flag(flag)  # outputs whose size depends on the data need memory while it runs
    return builder.build_serialized_network(network, config)


def _report_to(progress: Progress, module: Any, config: Any) -> None:
    """Have the builder report how far it is."""
    phases = BuildPhases()

    class Monitor(module.IProgressMonitor):
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            phases.start(name, parent, steps)

        def phase_finish(self, name: str) -> None:
            progress.update("building", phases.finish(name))

        def step_complete(self, name: str, number: int) -> bool:
            progress.update("building", phases.reach(name, number))
            return True

    config.progress_monitor = Monitor()


class BuildPhases:
    """The share done of nested phases, each of so many steps; it never falls and ends at 1."""

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}  # name -> parent, steps, steps done
        self._share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins within a step of its parent."""
        self._phases[name] = (parent, max(1, steps), 0)

    def reach(self, name: str, number: int) -> float:
        """A step of a phase is done; returns the share, 0 to 1."""
        if name in self._phases:
            parent, steps, done = self._phases[name]
            self._phases[name] = (parent, steps, max(done, min(number + 1, steps)))
        return self._done(name)

    def finish(self, name: str) -> float:
        """A phase is done; returns the share, 0 to 1."""
        parent = self._phases.pop(name)[0] if name in self._phases else None
        if parent is None:
            self._share = 1.0
        return self._done(parent)

    def _done(self, name: str | None) -> float:
        share = 0.0
        while name is not None and name in self._phases:
            parent, steps, done = self._phases[name]
            share = min(1.0, (done + share) / steps)
            name = parent
        self._share = max(self._share, share)
        return self._share


def _network_flags(module: Any) -> int:
    """Newer versions know no other than strongly typed networks and dropped the flag."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _content_and_path(manifest: Manifest, artifact: Artifact) -> tuple[bytes, str]:
    """The ONNX file, and where it lies: beside it the parser finds the files with values of its tensors."""
    content = read_verified(manifest, artifact.file, artifact.sha256)
    verify_artifact(manifest, artifact)
    return content, str(manifest.file_path(artifact.file))


def _tensors(network: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    return tuple(map(_spec, inputs)), tuple(map(_spec, outputs))


def _spec(tensor: Any) -> TensorSpec:
    return tensor_spec(tensor.name, tensor.dtype, tensor.shape)


def _add_profile(builder: Any, config: Any, shapes: Shapes) -> None:
    profile = builder.create_optimization_profile()
    for name, shape in shapes.items():
        profile.set_shape(name, shape, shape, shape)
    if config.add_optimization_profile(profile) < 0:
        raise BackendError(f"the builder does not accept inputs of {shapes}: give other engine_sizes")
