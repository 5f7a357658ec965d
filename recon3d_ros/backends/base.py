"""What every backend is: named tensors in, named tensors out, both checked against the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ContractError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from recon3d_ros.cuda.context import Device

Shapes = dict[str, tuple[int, ...]]
"""Of tensors, by name."""


class Backend(Protocol):
    """Executes one model. Not thread-safe: one thread at a time."""

    @property
    def name(self) -> str:
        """Name in the table of backends."""

    @property
    def precision(self) -> str:
        """Precision of the artifact it executes."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Tensors it wants."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Tensors it gives."""

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once, on one frame, or on several where N is free in `inputs`.

        The output arrays belong to the caller, the input arrays may be reused.

        Raises:
            ContractError: a tensor is missing, not expected, or of wrong dtype or shape.
            BackendError: the runtime failed.
        """

    def close(self) -> None:
        """Release the model; a closed backend runs no more."""


class DeviceBackend(Backend, Protocol):
    """A backend that can also run on tensors that stay in the memory of a GPU.

    The estimator then prepares images and brings outputs to their size on that GPU, too
    (:mod:`recon3d_ros.cuda.stages`); `infer` goes on working with arrays of the host.
    """

    @property
    def device(self) -> Device:
        """The GPU it runs on; everything below happens in its thread, within ``with device.active()``."""

    def bind(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
        """Fix the shapes of all inputs; returns dtype and shape of every output, all sides known.

        Raises:
            ContractError: the model does not take these shapes.
            BackendError: the runtime failed.
        """

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        """Put one inference into a CUDA stream, without waiting for it; shapes are those of `bind`.

        Args:
            pointers: Device address of every input and output.
            stream: Handle (CUstream) of the stream.

        Raises:
            BackendError: the runtime failed.
        """

    @property
    def can_capture(self) -> bool:
        """Whether `capture` may be tried with the shapes that are bound; nothing is captured yet."""

    def capture(self, pointers: Mapping[str, int], stream: int) -> None:
        """The same into a stream that is being captured: nothing runs, and the model is no worse if it fails.

        Raises:
            BackendError: this model cannot be captured.
        """


def device_of_backend(backend: Backend) -> DeviceBackend | None:
    """The backend as one that works on a GPU, or None when it offers no `enqueue` there."""
    offers = getattr(backend, "enqueue", None) is not None and getattr(backend, "device", None) is not None
    return cast(DeviceBackend, backend) if offers else None


def expected_inputs(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """Return the input tensors that :mod:`recon3d_ros.preprocess` makes for this manifest."""
    if manifest.labels_points:
        return _expected_points(manifest)
    if manifest.takes_points:
        given, _ = manifest.completion_contracts
        return (TensorSpec(given.names[0], "float32", (1, given.count, len(given.fields))),)
    contract, images = manifest.input, 2 if manifest.is_stereo else 1
    free = contract.size_wh is None
    sides = contract.tensor_shape(contract.size_wh or (1, 1), images)
    shape = tuple(None if free and axis in "HW" else side for axis, side in zip(contract.layout, sides))
    return tuple(TensorSpec(name, contract.dtype, shape) for name in contract.names)


def expected_outputs(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """Return the output tensors the manifest promises; their sizes are up to the network."""
    if manifest.labels_points:
        given, said = manifest.point_contracts
        return (TensorSpec(said.name, "float32", (1, given.count, len(said.classes))),)
    if manifest.gives_shape:
        return (TensorSpec(manifest.output.name, "float32", (1, manifest.shape_contract.count, 3)),)
    shape: tuple[int | None, ...] = (None,) * len(manifest.output.layout)
    return tuple(TensorSpec(name, manifest.output.dtype, shape) for name in manifest.output.names)


def _expected_points(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """The input tensors that :mod:`recon3d_ros.preprocess.points` makes."""
    given, _ = manifest.point_contracts
    grid, (points, cells, members) = given.grid, given.names
    return (
        TensorSpec(points, "float32", (1, given.count, len(given.fields))),
        TensorSpec(cells, "int32", (1, given.count)),
        TensorSpec(members, "int32", (1, grid.rows * grid.columns, grid.members)),
    )


def batch_is_free(
    manifest: Manifest, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> bool:
    """True when one inference may take several frames: N varies in every tensor."""
    layouts = (manifest.input.layout, manifest.output.layout)
    named = all(layout.startswith("N") and "S" not in layout for layout in layouts)
    if not named or manifest.input.extra or manifest.input.batch > 1:
        return False
    return all(len(spec.shape) > 0 and spec.shape[0] is None for spec in (*inputs, *outputs))


def check_contract(
    manifest: Manifest, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    """Compare the tensors of a model file with its manifest.

    Raises:
        ContractError: names, dtypes or shapes differ; one sentence naming expected and got.
    """
    for kind, wanted, offered in (
        ("input", expected_inputs(manifest), inputs),
        ("output", expected_outputs(manifest), outputs),
    ):
        by_name = {spec.name: spec for spec in offered}
        for spec in wanted:
            is_value = kind == "input" or spec.name == manifest.output.name
            if spec.name not in by_name:
                raise ContractError(
                    f"model {manifest.name}: the manifest names the {kind} {spec.name!r}, "
                    f"but the file has {_names(offered)}: correct the manifest"
                )
            file_spec = by_name[spec.name]
            good = file_spec.accepts(spec) if kind == "input" else spec.accepts(file_spec)
            if is_value and not good:
                raise ContractError(
                    f"model {manifest.name}: the {kind} {spec.name!r} is {spec} by the manifest, "
                    f"but {file_spec} in the file: correct the manifest"
                )
    if manifest.gives_depth:
        _check_channels(manifest, outputs)
    extra = {item.name for item in manifest.input.extra}
    if unknown := extra - {spec.name for spec in inputs}:
        raise ContractError(
            f"model {manifest.name}: input.extra of the manifest names {', '.join(sorted(unknown))}, but the "
            f"file has {_names(inputs)}: correct the manifest"
        )
    missing = [f"{s.name!r}" for s in inputs if s.name not in {*manifest.input.names, *extra}]
    if missing:
        raise ContractError(
            f"model {manifest.name}: the file wants the input {', '.join(missing)}, "
            f"which input.names of the manifest lacks, it has {_names(expected_inputs(manifest))}: "
            "correct the manifest, or give it a role under input.extra"
        )


def _check_channels(manifest: Manifest, outputs: tuple[TensorSpec, ...]) -> None:
    """Several channels of which none is chosen are an error now, not with the first frame."""
    contract = manifest.output
    for spec in outputs:
        if spec.name == contract.name and "C" in contract.layout:
            count = spec.shape[contract.layout.index("C")]
            if count is not None:
                contract.check_channels(count)


def check_feed(specs: tuple[TensorSpec, ...], feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Compare the arrays about to be fed with what the model wants, before any vendor sees them.

    Returns:
        The arrays, floats in the width that the model wants.

    Raises:
        ContractError: names, dtypes or shapes differ; one sentence naming expected and got.
    """
    if {spec.name for spec in specs} != set(feed):
        raise ContractError(
            f"expected the inputs {_names(specs)}, got {', '.join(map(repr, feed)) or 'none'}"
        )
    for spec in specs:
        array = feed[spec.name]
        got = TensorSpec(spec.name, np.dtype(array.dtype).name, array.shape)
        if not spec.accepts(got):
            raise ContractError(f"expected the input {spec.name!r} as {spec}, got {got}")
    return {spec.name: feed[spec.name].astype(spec.dtype, copy=False) for spec in specs}


def one_line(text: str) -> str:
    """The text with its line breaks and runs of blanks as single blanks."""
    return " ".join(text.split())


def _names(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name!r}" for spec in specs) or "none"
