"""Parse an ONNX file and build its engine, in this process; `engine_child` gives it one of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from recon3d_ros.backends.base import TensorSpec, check_contract, expected_inputs
from recon3d_ros.backends.vendor import Vendor, refusal
from recon3d_ros.errors import ArtifactError, BackendError, ContractError
from recon3d_ros.model_zoo.manifest import Artifact, Manifest

OPTIONS = "strongly typed, no allocation while it runs"
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}

Shapes = dict[str, tuple[int, ...]]


def profile_shapes(manifest: Manifest, sizes_wh: tuple[tuple[int, int], ...]) -> tuple[Shapes, ...]:
    """Shapes of all inputs, once for every size: an optimisation profile each.

    Args:
        manifest: Of the model; where it fixes the size, that is the only one.
        sizes_wh: Sizes of the network's input.

    Raises:
        ContractError: no size is known.
    """
    sizes = [manifest.input.size_wh] if manifest.input.size_wh else list(dict.fromkeys(sizes_wh))
    if not sizes:
        raise ContractError(
            f"model {manifest.name} takes images of any size, an engine only those it is built for: give "
            "engine_sizes, such as 640x480"
        )
    planar = manifest.input.layout == "NCHW"

    def shape(spec: TensorSpec, width: int, height: int) -> tuple[int, ...]:
        channels = spec.shape[1 if planar else 3]
        assert channels is not None  # expected_inputs knows them
        return (1, channels, height, width) if planar else (1, height, width, channels)

    specs = expected_inputs(manifest)
    return tuple({spec.name: shape(spec, *size) for spec in specs} for size in sizes)


def tensor_spec(name: str, dtype: Any, dims: Any, batch: int | None = None) -> TensorSpec:
    """A vendor's tensor in our words; ``batch`` replaces a batch that may vary."""
    shape = [None if side < 0 else int(side) for side in dims]
    if shape and shape[0] is None:
        shape[0] = batch
    kind = str(dtype).rpartition(".")[2]
    return TensorSpec(name, _DTYPES.get(kind, kind.lower()), tuple(shape))


def build_engine(
    vendor: Vendor,
    manifest: Manifest,
    artifact: Artifact,
    profiles: tuple[Shapes, ...],
    step: Callable[[str], None],
) -> bytes:
    """Build the engine of an artifact.

    Args:
        vendor: The flavour of TensorRT.
        manifest: Of the model; what the file has must be what it promises.
        artifact: Which file of it.
        profiles: From `profile_shapes`.
        step: Told how far it is, in per cent.

    Raises:
        ArtifactError: the file is not the one of the manifest.
        ContractError: its inputs or outputs are not what the manifest promises.
        BackendError: the vendor refuses the model or cannot build it.
    """
    vendor.forget()
    module, label = vendor.module, f"{manifest.name} ({artifact.precision})"
    step("parsing")
    try:
        builder = module.Builder(vendor.logger)
        network = builder.create_network(_network_flags(module))
        parser = module.OnnxParser(network, vendor.logger)
        if not parser.parse(_content(manifest, artifact)):
            raise refusal(vendor, label, [parser.get_error(i) for i in range(parser.num_errors)])
        check_contract(manifest, *_tensors(network))
        config = builder.create_builder_config()
        for shapes in profiles:
            _add_profile(builder, config, shapes)
        with_progress(module, config, step)
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


def with_progress(module: Any, config: Any, step: Callable[[str], None]) -> None:
    """Have the builder tell how far it is."""
    meter = Meter()

    class Monitor(module.IProgressMonitor):
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            meter.start(name, parent, steps)

        def phase_finish(self, name: str) -> None:
            step(f"building, {meter.finish(name)} %")

        def step_complete(self, name: str, number: int) -> bool:
            step(f"building, {meter.reach(name, number)} %")
            return True

    config.progress_monitor = Monitor()


class Meter:
    """Makes one percentage of nested phases, each of so many steps; it never falls and ends at 100."""

    def __init__(self) -> None:
        self._phases: dict[str, list[Any]] = {}  # name -> parent, steps, steps done
        self._percent = 0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins within a step of its parent."""
        self._phases[name] = [parent, max(1, steps), 0]

    def reach(self, name: str, number: int) -> int:
        """A step of a phase is done; returns the percentage."""
        if name in self._phases:
            self._phases[name][2] = max(self._phases[name][2], min(number + 1, self._phases[name][1]))
        return self._told(name)

    def finish(self, name: str) -> int:
        """A phase is done; returns the percentage."""
        parent, _, _ = self._phases.pop(name, (None, 1, 1))
        if parent is None:
            self._percent = 100
        return self._told(parent)

    def _told(self, name: str | None) -> int:
        share = 0.0
        while name in self._phases:
            parent, steps, done = self._phases[name]
            share = min(1.0, (done + share) / steps)
            name = parent
        self._percent = max(self._percent, int(100 * share))
        return self._percent


def _network_flags(module: Any) -> int:
    """Newer versions know no other than strongly typed networks and dropped the flag."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _content(manifest: Manifest, artifact: Artifact) -> bytes:
    path = manifest.file_path(artifact.file)
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ArtifactError(f"cannot read {path} ({exc.strerror}): copy it there") from exc
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise ArtifactError(f"{path} is not the file of model {manifest.name}: see recon3d models --verify")
    return content


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
        raise BackendError(f"the builder takes no inputs of {shapes}: give other engine_sizes")
