"""TensorRT on an NVIDIA GPU, in both flavours: an engine from the cache, run by device pointers and a stream.

Execution was never run on a GPU so far: written against the documentation of TensorRT 10 and the bindings of
tensorrt_rtx 1.7, tested with stand-ins for both vendor and device. Parsing and building are tested for real.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import check_contract, check_feed
from recon3d_ros.backends.engine_spec import EngineSpec, engine_spec
from recon3d_ros.backends.engine_store import EngineOptions, EngineStore
from recon3d_ros.backends.gpu import NO_GPU, find_gpu
from recon3d_ros.backends.plugins import load_plugins
from recon3d_ros.backends.runtime_cache import RuntimeCache
from recon3d_ros.backends.vendor import EngineRefused, Vendor, tensor_spec
from recon3d_ros.cuda.context import Device
from recon3d_ros.errors import BackendError, ContractError, OutputError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

log = logging.getLogger(__name__)


class UnknownSizeError(ContractError):
    """Images of a size the engine was not built for; it is sound, and runs the others."""


class TensorRtBackend:
    """Executes an engine of an artifact of a model; opened, used and closed in one thread.

    Args:
        manifest: Says which file, and what its tensors must be.
        threads: Has no effect.
        precision: Of the artifact; ``auto`` is fp32, or what there is.
        engine: Flavour and sizes.

    Attributes:
        device: The GPU it runs on.

    Raises:
        MissingDependencyError: TensorRT or pycuda is not installed.
        ArtifactError: there is no such file, or it is not the one of the manifest.
        ContractError: the file does not keep what the manifest promises, or no size is given.
        BackendError: no GPU, the engine cannot be built or loaded, or it is in quarantine.
    """

    name = "tensorrt"

    def __init__(
        self,
        manifest: Manifest,
        threads: int = 0,
        precision: str = "auto",
        engine: EngineOptions | None = None,
    ) -> None:
        options = engine or EngineOptions()
        self._spec = spec = engine_spec(manifest, precision, options)
        self.precision = spec.artifact.precision
        gpu = find_gpu()
        if gpu is None:
            raise BackendError(f"{spec.vendor.flavour} {spec.vendor.version} cannot run: {NO_GPU}")
        self._store = EngineStore()
        self._bound: _Context | None = None
        self._contexts: dict[tuple[tuple[str, tuple[int, ...]], ...], _Context] = {}
        self.device = Device()  # before the build: what is missing for running shows at once
        try:
            self._engine = _load_engine(spec, self._store, options, self.device)
        except BaseException:
            self.device.close()
            raise
        self._cache = RuntimeCache(self._store.folder / spec.key.stem, gpu)
        self.inputs, self.outputs = self._engine.inputs, self._engine.outputs

    @property
    def can_capture(self) -> bool:
        """As :meth:`recon3d_ros.backends.base.DeviceBackend.can_capture`, of the shapes that are bound."""
        return self._bound is not None and self._bound.can_capture

    def bind(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
        """Fix the shapes, as :meth:`recon3d_ros.backends.base.DeviceBackend.bind`; within `device.active`."""
        wanted = dict(inputs)
        key = tuple(sorted(wanted.items()))
        if key not in self._contexts:
            if wanted not in self._spec.profiles:
                raise UnknownSizeError(
                    f"the engine of {self._spec.manifest.name} is built for "
                    f"{'; '.join(self._spec.key.shapes)}, got {wanted}: add the size of the images to "
                    "engine_sizes"
                )
            index = self._spec.profiles.index(wanted)
            with self.device.alone:
                self._contexts[key] = _Context(
                    self._vendor, self._live(), index, wanted, self.device, self._cache
                )
        self._bound = self._contexts[key]
        return self._bound.outputs

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        """Run without waiting, as :meth:`recon3d_ros.backends.base.DeviceBackend.enqueue`."""
        self._live()
        if self._bound is None:
            raise BackendError(f"no shapes are fixed for {self._spec.manifest.name}: bind them first")
        self._bound.enqueue(pointers, stream)

    def capture(self, pointers: Mapping[str, int], stream: int) -> None:
        """As `enqueue`, :meth:`recon3d_ros.backends.base.DeviceBackend.capture`."""
        self.enqueue(pointers, stream)

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        self._live()
        feed = check_feed(self.inputs, feed)
        with self.device.active(f"running {self._spec.manifest.name}"):
            self.bind({name: array.shape for name, array in feed.items()})
            assert self._bound is not None  # by bind
            return self._bound.run(feed, self._spec.manifest.output.names)

    def record_check(self, verdict: str) -> None:
        """Keep the result of the self-check with the engine: ``passed``, or why it must not serve."""
        try:
            self._store.record_check(self._spec.key, verdict)
            if verdict == "passed":
                self._cache.save()
        except OutputError as exc:
            log.warning("%s", exc)

    def close(self) -> None:
        """Free engine, buffers and context."""
        if self._engine.live is None:
            return
        with suppress(BackendError):  # a lost device cannot free, and has nothing left
            with self.device.active("closing the model"):
                self._contexts.clear()
                self._bound = None
                self._engine.live = None
        self._engine.live = self._bound = None
        self._contexts.clear()
        with suppress(BackendError):
            self.device.close()

    @property
    def _vendor(self) -> Vendor:
        return self._spec.vendor

    def _live(self) -> Any:
        if self._engine.live is None:
            raise BackendError(f"model {self._spec.manifest.name} is closed, open it again")
        return self._engine.live


class _Engine:
    """A deserialised engine whose tensors are those of the manifest."""

    def __init__(self, spec: EngineSpec, content: bytes) -> None:
        vendor, label = spec.vendor, spec.label
        load_plugins(vendor, spec.manifest)  # an engine names its plug-ins, and does not hold them
        vendor.forget()
        try:
            self._runtime = vendor.module.Runtime(vendor.logger)  # must outlive the engine
            _check_validity(vendor, self._runtime, content, label)
            self.live = self._runtime.deserialize_cuda_engine(content)
        except (TypeError, RuntimeError, MemoryError) as exc:
            raise vendor.error(f"load the engine of {label}", exc) from exc
        if self.live is None:
            raise vendor.error(f"load the engine of {label}")
        self.inputs = self._tensors(vendor.module.TensorIOMode.INPUT)
        self.outputs = self._tensors(vendor.module.TensorIOMode.OUTPUT)
        check_contract(spec.manifest, self.inputs, self.outputs)

    def _tensors(self, mode: Any) -> tuple[TensorSpec, ...]:
        names = [self.live.get_tensor_name(i) for i in range(self.live.num_io_tensors)]
        return tuple(
            tensor_spec(name, self.live.get_tensor_dtype(name), self.live.get_tensor_shape(name), batch=1)
            for name in names
            if self.live.get_tensor_mode(name) == mode
        )


def _load_engine(spec: EngineSpec, store: EngineStore, options: EngineOptions, device: Device) -> _Engine:
    """From the cache, or built; what the cache has and the vendor refuses is built once again."""
    content = spec.load_or_build(store, options)
    with device.alone, device.active("loading the engine"):
        try:
            return _Engine(spec, content)
        except (EngineRefused, ContractError) as exc:
            refused = exc
    log.warning("%s: building it again", refused)
    try:
        store.discard(spec.key.stem)
    except OutputError as exc:
        log.warning("%s", exc)
    content = spec.load_or_build(store, replace(options, rebuild=True))
    with device.alone, device.active("loading the engine"):
        return _Engine(spec, content)


class _Context:
    """An execution context for one profile, with host and device memory for `run`."""

    def __init__(
        self,
        vendor: Vendor,
        engine: Any,
        index: int,
        shapes: Mapping[str, tuple[int, ...]],
        device: Device,
        cache: RuntimeCache,
    ) -> None:
        vendor.forget()
        self._vendor, self._device = vendor, device
        self._context = cache.context(engine)
        if self._context is None:
            raise vendor.error("make an execution context")
        ready = self._context.set_optimization_profile_async(index, device.stream_handle)
        for name, shape in shapes.items():
            ready = ready and self._context.set_input_shape(name, shape)
        if not ready:
            raise vendor.error(f"take inputs of {dict(shapes)}")
        modes = vendor.module.TensorIOMode
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        specs = {
            name: tensor_spec(name, engine.get_tensor_dtype(name), self._context.get_tensor_shape(name))
            for name in names
        }
        self.outputs = {n: spec for n, spec in specs.items() if engine.get_tensor_mode(n) == modes.OUTPUT}
        self._specs, self._memory = specs, dict[str, tuple[Any, Any]]()
        device.synchronize()

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        self._vendor.forget()
        good = all(self._context.set_tensor_address(name, int(at)) for name, at in pointers.items())
        if not (good and self._context.execute_async_v3(stream)):
            raise self._vendor.error("run the engine")

    @cached_property
    def can_capture(self) -> bool:
        """Whether the vendor says so; older ones are not asked, they refuse then."""
        ask = getattr(self._context, "is_stream_capturable", None)
        return ask is None or bool(ask(self._device.stream_handle))

    def run(self, feed: Mapping[str, NDArray[Any]], wanted: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        driver, stream = self._device.driver, self._device.stream
        for name, spec in self._specs.items():
            if name not in self._memory:  # once per shape; pinned, so that copies run beside the host
                host = driver.pagelocked_empty(tuple(side or 1 for side in spec.shape), np.dtype(spec.dtype))
                self._memory[name] = (host, driver.mem_alloc(max(1, host.nbytes)))
        for name, array in feed.items():
            host, at = self._memory[name]
            np.copyto(host, array)
            driver.memcpy_htod_async(at, host, stream)
        self.enqueue({name: int(at) for name, (_, at) in self._memory.items()}, self._device.stream_handle)
        for name in wanted:
            host, at = self._memory[name]
            driver.memcpy_dtoh_async(host, at, stream)
        self._device.synchronize()
        return {name: self._memory[name][0].copy() for name in wanted}


def _check_validity(vendor: Vendor, runtime: Any, content: bytes, label: str) -> None:
    """Ask tensorrt_rtx whether an engine may run here, and why not."""
    ask = getattr(runtime, "get_engine_validity", None)
    if ask is None:
        return
    validity, diagnostics = ask(content)
    if validity == vendor.module.EngineValidity.INVALID:
        reasons = vendor.module.EngineInvalidityDiagnostics.__members__.items()
        vendor.messages += [name for name, bit in reasons if int(diagnostics) & int(bit)]
        raise vendor.error(f"load the engine of {label}")
