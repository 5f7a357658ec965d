"""A backend that compiles for each size of input, checked at each of them before it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from recon3d_ros.backends import TensorSpec
from recon3d_ros.backends.openvino import OpenVinoBackend
from recon3d_ros.errors import BackendError, ModelError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.serving.check import cross_check


class SizeChecked:
    """OpenVINO, compared with ONNX Runtime once for each size of input; what passed is kept on the disk.

    Args:
        manifest: Of the model.
        backend: Checked by its golden output.
        threads: Of ONNX Runtime.
    """

    def __init__(self, manifest: Manifest, backend: OpenVinoBackend, threads: int) -> None:
        self._manifest, self._backend, self._threads = manifest, backend, threads
        self._passed: set[tuple[tuple[int, ...], ...]] = set()
        self.name, self.precision = backend.name, backend.precision
        self.inputs: tuple[TensorSpec, ...] = backend.inputs
        self.outputs: tuple[TensorSpec, ...] = backend.outputs

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`.

        Raises:
            BackendError: also when the model differs from ONNX Runtime at this size.
        """
        shapes = {name: array.shape for name, array in feed.items()}
        key = tuple(shapes[name] for name in sorted(shapes))
        if key not in self._passed:
            self._check(shapes)
            self._passed.add(key)
        return self._backend.infer(feed)

    def close(self) -> None:
        """Release the model."""
        self._backend.close()

    def _check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if self._backend.verdict(shapes) == "passed":
            return
        layout, shape = self._manifest.input.layout, shapes[self._manifest.input.names[0]]
        size_wh = (shape[layout.index("W")], shape[layout.index("H")])
        batch = shape[0] if layout.startswith("N") else 1
        try:
            cross_check(self._manifest, self._backend, size_wh, self._threads, batch)
        except ModelError as exc:
            self._backend.record_check(str(exc), shapes)
            raise BackendError(str(exc)) from exc
        self._backend.record_check("passed", shapes)
