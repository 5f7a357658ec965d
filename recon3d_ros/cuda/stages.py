"""The way of a frame on the GPU: images up, prepare, inference, restore, and down again; then finish.

Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`. The kernels are compared with the NumPy
pipeline as host code, and this way with a stand-in for pycuda that runs them so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.cuda import layout
from recon3d_ros.cuda.arguments import Restore, pixels
from recon3d_ros.cuda.buffers import Buffer, Timeline
from recon3d_ros.cuda.context import Device
from recon3d_ros.cuda.finisher import Finisher
from recon3d_ros.cuda.graph import Replays
from recon3d_ros.cuda.kernels import Kernels
from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract

Enqueue = Callable[[Mapping[str, int], int], None]
"""Puts the inference into the stream, given device addresses by name, and the stream."""
Plane = NDArray[np.float32]
_STAGES = ("upload", "preprocess", "infer", "postprocess", "download")


class Tensor(Protocol):
    """An output of the network: :class:`recon3d_ros.backends.base.TensorSpec` with all sides known."""

    @property
    def dtype(self) -> str:
        """NumPy's name."""

    @property
    def shape(self) -> tuple[Any, ...]:
        """All sides known."""


@dataclass(frozen=True)
class Model:
    """What is known of a network; ``limits``: the factor to the image's unit, and the values kept there."""

    input: InputContract
    output: OutputContract
    fit: layout.Fit
    limits: tuple[float, float, float]
    input_dtype: str
    outputs: Mapping[str, Tensor]


class CudaStages:
    """All memory for frames of one size and encoding, and what is done in it.

    Everything here is called within ``with device.active()``.

    Args:
        device: The GPU.
        kernels: Compiled for it.
        model: The network, and how images of this size lie in it.
        encodings: Of each image, `ENCODINGS` of :mod:`recon3d_ros.cuda.arguments`.

    Attributes:
        timings_ms: Of the last frame on the GPU, by stage; ``graph``, all of them, when they were one.
    """

    def __init__(
        self,
        device: Device,
        kernels: Kernels,
        model: Model,
        encodings: Sequence[str],
    ) -> None:
        self._device, self._kernels, self._model = device, kernels, model
        self._buffers: list[Buffer] = []
        self._tables: list[Buffer] = []  # which no frame changes
        self._timeline, self._graph_time = Timeline(device, _STAGES), Timeline(device, ("graph",))
        self._replays = Replays(device)
        self.timings_ms: dict[str, float] = {}
        width, height = model.fit.image_size_wh
        if len(set(encodings)) != 1:
            raise ImageError(f"expected both images in one encoding on the GPU, got {', '.join(encodings)}")
        self._encoding = encodings[0]
        size = layout.pixel_bytes(self._encoding)
        self._images = [self._buffer((height, width, size), np.uint8) for _ in encodings]
        self._prepare = self._wire_inputs(len(encodings))
        self._answers = {
            name: self._buffer(tuple(spec.shape), spec.dtype, pinned=False)
            for name, spec in model.outputs.items()
        }
        names = (
            "values",
            "depth",
            *(name for name in ("confidence", "sigma") if getattr(model.output, name)),
        )
        self._planes = {name: self._buffer((height, width), np.float32) for name in names}
        self._parts = self._wire_answers()
        self._finishers: dict[tuple[object, ...], Finisher] = {}

    def estimate(
        self,
        images: Sequence[NDArray[np.uint8]],
        camera: PinholeCamera,
        rig: StereoRig | None,
        enqueue: Enqueue,
        capture: Enqueue | None = None,
    ) -> dict[str, Plane]:
        """Answer one frame.

        Args:
            images: (H, W) or (H, W, C) uint8 in the encoding given, left before right.
            camera: Of the (left) image.
            rig: Of a stereo network's pair.
            enqueue: The inference.
            capture: The same into a stream that is captured; None starts every frame call by call.

        Returns:
            New (H, W) float32 arrays: ``values`` as the network answers them (px, m), ``depth`` in m, and
            ``confidence`` and ``sigma`` in m where the network has them.
        """
        for buffer, image in zip(self._images, images, strict=True):
            buffer.fill(image.reshape(buffer.shape))
        restore = self._restore(camera, rig)
        key = bytes(restore)
        if capture is not None and self._replay(key):
            return self._answer()
        self._timeline.start()
        self._work(restore, enqueue, self._timeline.mark)
        self._device.synchronize()
        self.timings_ms = self._timeline.read_ms()
        planes = self._answer()
        if capture is not None:
            written = {name: (buffer.host, planes[name]) for name, buffer in self._planes.items()}
            again = partial(self._work, restore, capture, _no_mark)
            if not self._replays.done(key, again, self._spoil, written):
                self._work(restore, enqueue, _no_mark)  # `finish` starts from what is on the GPU
                self._device.synchronize()
        return planes

    @property
    def why_no_graph(self) -> str:
        """Why frames are not started as one CUDA graph any more; empty while they are, or may be."""
        return self._replays.given_up

    def _replay(self, key: bytes) -> bool:
        """Answer by the graph of such frames, if there is one."""
        graph = self._replays.find(key)
        if graph is None:
            return False
        self._graph_time.start()
        graph.launch()
        self._graph_time.mark()
        self._device.synchronize()
        self.timings_ms = self._graph_time.read_ms()
        return True

    def _work(self, restore: Restore, infer: Enqueue, mark: Callable[[], None]) -> None:
        """Put a frame whose images are in pinned memory into the stream, stage by stage."""
        for buffer in self._images:
            buffer.upload()
        mark()
        self._kernels.launch(self._prepare, self._model.fit.network_size_wh, len(self._images))
        mark()
        pointers = {name: buffer.address for name, buffer in (*self._tensors.items(), *self._answers.items())}
        infer(pointers, self._device.stream_handle)
        mark()
        self._kernels.launch(restore, self._model.fit.image_size_wh)
        mark()
        for buffer in self._planes.values():
            buffer.download()
        mark()

    def _spoil(self) -> None:
        """Make all of a frame wrong but its images in pinned memory."""
        for buffer in self._buffers:
            buffer.spoil()

    def _answer(self) -> dict[str, Plane]:
        return {name: buffer.host.copy() for name, buffer in self._planes.items()}

    def finish(
        self,
        camera: PinholeCamera,
        limits: layout.FilterLimits,
        decimation: int,
        intensity: bool,
        cloud_into: Plane | None,
    ) -> tuple[Plane, Plane]:
        """Filter the depth of the last frame, and pack its cloud straight into the memory of a message.

        Args:
            camera: Of the (left) image.
            limits: What is taken away.
            decimation: Of every so many rows and columns one makes points.
            intensity: Grey levels as the fourth field, instead of colours.
            cloud_into: (rows, columns, 4) float32 in C order; None when no cloud is wanted.

        Returns:
            New (H, W) float32 arrays: depth in m; and the values (px of stereo), NaN where depth is.
        """
        key = (camera, decimation)
        if key not in self._finishers:
            for old in self._finishers.values():
                old.free()
            self._finishers = {key: Finisher(self._device, camera, decimation)}
        a = layout.finish_layout(camera, limits, decimation, intensity)
        left = self._images[0]
        a.image = pixels(self._encoding, left.nbytes // left.shape[0], left.address)
        a.depth, a.disparity = self._planes["depth"].address, self._planes["values"].address
        if "confidence" in self._planes:
            a.confidence = self._planes["confidence"].address
        return self._finishers[key].finish(self._kernels, a, cloud_into)

    def free(self) -> None:
        """Give all memory back."""
        self._replays.free()
        for finisher in self._finishers.values():
            finisher.free()
        for buffer in (*self._buffers, *self._tables):
            buffer.free()
        self._finishers.clear()

    def _buffer(self, shape: tuple[int, ...], dtype: Any, pinned: bool = True) -> Buffer:
        self._buffers.append(Buffer(self._device, shape, dtype, pinned))
        return self._buffers[-1]

    def _constant(self, table: NDArray[Any]) -> int:
        self._tables.append(Buffer.of(self._device, table))
        return self._tables[-1].address

    def _wire_inputs(self, count: int) -> Any:
        contract, fit = self._model.input, self._model.fit
        a = layout.prepare_layout(contract, fit, count, self._encoding, self._model.input_dtype)
        a.columns, a.rows = (self._constant(table) for table in layout.input_taps(fit))
        shape = layout.tensor_shape(contract, fit, count)
        self._tensors = {
            name: self._buffer(shape, self._model.input_dtype, pinned=False) for name in contract.names
        }
        targets = list(self._tensors.values())
        for i, image in enumerate(self._images):
            a.image[i] = pixels(self._encoding, image.nbytes // image.shape[0], image.address)
            a.target[i] = targets[i % len(targets)].address
            if i >= len(targets):
                a.target[i] += layout.second_image_offset(contract, fit) * targets[0].dtype.itemsize
        return a

    def _wire_answers(self) -> dict[str, Any]:
        contract, parts = self._model.output, {}
        for part, name in (
            ("value", contract.name),
            ("confidence", contract.confidence),
            ("sigma", contract.sigma),
        ):
            if name is None:
                continue
            spec = self._model.outputs[name]
            if part == "value":
                answer = layout.answer_layout(contract, spec.shape, spec.dtype, self._model.limits)
            elif part == "confidence":
                answer = layout.confidence_layout(contract, spec.shape, spec.dtype)
            else:
                answer = layout.sigma_layout(contract, spec.shape, spec.dtype, self._model.limits[0])
            answer_hw, _ = layout.answer_plane(contract, spec.shape)
            tables = layout.answer_taps(self._model.fit, answer_hw)
            answer.columns, answer.rows = (self._constant(table) for table in tables)
            answer.data = self._answers[name].address
            parts[part] = answer
        return parts

    def _restore(self, camera: PinholeCamera, rig: StereoRig | None) -> Restore:
        a = layout.restore_layout(camera, rig)
        for part, answer in self._parts.items():
            setattr(a, part, answer)
        for name, buffer in self._planes.items():
            setattr(a, name if name in ("values", "depth") else f"out_{name}", buffer.address)
        return a


def _no_mark() -> None:
    """Events that are captured have no time."""
