"""Look into an ONNX file without a manifest: its tensors, its notes, and the sizes that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.base import one_line
from recon3d_ros.backends.inference_limit import InferenceLimit
from recon3d_ros.backends.onnxruntime import open_session, run_options, tensors_of
from recon3d_ros.errors import ArtifactError, BackendError, OperatorError
from recon3d_ros.model_zoo.onnx_file import tensors_in
from recon3d_ros.model_zoo.signature import Signature
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

# Candidates for multiple_of, in their order; 14 is the patch of DINOv2.
STEPS = (1, 2, 4, 8, 14, 16, 32, 64, 128)
_SIDES = {"H": 11, "W": 13}  # in steps, prime: only a right step divides them
_LEAST_PX = 96


class OnnxFile:
    """An ONNX file on the CPU.

    Args:
        path: Of the file; the files with its weights lie beside it.
        seconds: How long a run may take; None is what an inference may take.

    Attributes:
        signature: Its tensors; outputs of open shape have that of one run, where one succeeds.
        outputs: The same as the file has them.
        multiple_of: Of a file that takes any size, what sides must be a multiple of; None when the size is
            fixed, or none was found.
        unknown_operator: Why ONNX Runtime cannot run it, where it does not know an operator; else empty. What
            is here is then what the file declares.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        ArtifactError: ONNX Runtime cannot load it, or one run takes longer than `seconds`.
    """

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self._path, self.unknown_operator = path, ""
        self.multiple_of: int | None = None
        try:
            self._session = open_session(path)
        except OperatorError as exc:
            self.unknown_operator = str(exc)
            inputs, self.outputs = tensors_in(path)
            self.signature = Signature(inputs, self.outputs)
            return
        self._limit = InferenceLimit(seconds)
        inputs, outputs = tensors_of(self._session, path)
        self.outputs = outputs
        try:
            metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError:  # notes for people; the model works without
            metadata = {}
        self.signature = Signature(inputs, outputs, metadata)
        try:
            self._look()
        finally:
            self._limit.close()

    def _look(self) -> None:
        """Run it for what the file leaves open."""
        images, outputs = self.signature.images, self.outputs
        if images and images[0].size_wh is None:
            self._find_step()
        elif images and any(None in spec.shape for spec in outputs):
            with suppress(BackendError):
                self._take_shapes(self._run(_SIDES))

    def _find_step(self) -> None:
        """The smallest step whose odd multiples the network takes without cropping them."""
        for step in STEPS:
            least = -(-_LEAST_PX // (_SIDES["H"] * step)) | 1
            sides = {axis: step * count * least for axis, count in _SIDES.items()}
            with suppress(BackendError):
                found = self._run(sides)
                if _keeps_size(Signature(self.signature.inputs, found), sides):
                    self.multiple_of = step
                    self._take_shapes(found)
                    return

    def _take_shapes(self, found: tuple[TensorSpec, ...]) -> None:
        self.signature = Signature(self.signature.inputs, found, self.signature.metadata)

    def _run(self, sides: Mapping[str, int]) -> tuple[TensorSpec, ...]:
        """Run it on noise; returns its outputs with known shapes.

        Raises:
            BackendError: it does not take this size.
        """
        rng = np.random.default_rng(0)
        layouts = {image.spec.name: image.layout for image in self.signature.images}
        feed: dict[str, NDArray[Any]] = {}
        for spec in self.signature.inputs:
            axes = layouts.get(spec.name, "NCHW"[-len(spec.shape) :] if len(spec.shape) > 2 else "")
            free = [sides.get(axis, 1) for axis in axes] or [1] * len(spec.shape)
            shape = tuple(side if side is not None else free[i] for i, side in enumerate(spec.shape))
            feed[spec.name] = rng.uniform(0, 1, shape).astype(spec.dtype)
        try:
            outputs = self._limit.run(lambda options: self._session.run(None, feed, options), run_options())
        except Exception as exc:  # the vendor's exceptions have no common base
            if self._limit.expired:
                raise ArtifactError(
                    f"expected an inference of {self._path} within {self._limit.seconds:g} s, it was ended "
                    "then: look for a loop without an end in the model"
                ) from exc
            raise BackendError(f"the network does not take {dict(sides)}: {one_line(str(exc))}") from exc
        specs = zip(self.signature.outputs, outputs, strict=True)
        return tuple(TensorSpec(spec.name, array.dtype.name, array.shape) for spec, array in specs)


def _keeps_size(signature: Signature, sides: Mapping[str, int]) -> bool:
    """Whether each picture of the outputs is as large as the input, or an equal part of it."""
    for plane in signature.planes:
        shape = plane.spec.known_shape
        height, width = shape[plane.layout.index("H")], shape[plane.layout.index("W")]
        times = sides["H"] // height
        if (height * times, width * times) != (sides["H"], sides["W"]):
            return False
    return bool(signature.planes)
