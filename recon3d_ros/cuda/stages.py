"""The way of a frame on the GPU: images up, prepare, inference, restore, and down again; then finish.

Never run on a GPU so far: see :mod:`recon3d_ros.cuda.context`. The kernels are compared with the NumPy
pipeline as host code, and this way with a stand-in for pycuda that runs them so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig
from recon3d_ros.cuda import layout
from recon3d_ros.cuda.arguments import Output, Pixels, Prepare, Restore
from recon3d_ros.cuda.buffers import Buffer, StageTimer
from recon3d_ros.cuda.context import Device
from recon3d_ros.cuda.graph import GraphCache
from recon3d_ros.cuda.kernels import Kernels
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.geometry.packer import ray_slopes
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess import Fit

Enqueue = Callable[[Mapping[str, int], int], None]
"""Puts the inference into the stream, given device addresses by name, and the stream."""
Plane = NDArray[np.float32]
_STAGES = ("upload", "preprocess", "infer", "postprocess", "download")


class CudaStages:
    """All memory for frames of one size and encoding, and what is done in it.

    Everything here is called within ``with device.active()``.

    Args:
        device: The GPU.
        kernels: Compiled for it.
        manifest: Describes the model.
        fit: How images of this size lie in the network's input.
        input_dtype: Of the network's inputs.
        outputs: Of the network, their shapes known.
        channels: Of an image: 1 for grey, 3 for colours.

    Attributes:
        timings_ms: Of the last frame on the GPU, by stage; ``graph``, all of them, when they were one.
    """

    def __init__(
        self,
        device: Device,
        kernels: Kernels,
        manifest: Manifest,
        fit: Fit,
        input_dtype: str,
        outputs: Mapping[str, TensorSpec],
        channels: int,
    ) -> None:
        self._device, self._kernels, self._fit = device, kernels, fit
        self._input, self._output = manifest.input, manifest.output
        self._buffers: list[Buffer] = []
        self._tables: list[Buffer] = []  # which no frame changes
        self._timer, self._graph_timer = StageTimer(device, _STAGES), StageTimer(device, ("graph",))
        self._graphs = GraphCache(device)
        self.timings_ms: dict[str, float] = {}
        width, height = fit.image_size_wh
        count = 2 if manifest.is_stereo else 1
        self._images = [self._buffer((height, width, channels), np.uint8) for _ in range(count)]
        self._seen = [self._buffer((height, width), np.uint8) for _ in range(count)]
        shape = self._input.tensor_shape(fit.network_size_wh, count)
        self._inputs = {name: self._buffer(shape, input_dtype, pinned=False) for name in self._input.names}
        self._prepare = self._wire_inputs(input_dtype)
        self._outputs = {
            name: self._buffer(spec.known_shape, spec.dtype, pinned=False) for name, spec in outputs.items()
        }
        optional = (name for name in ("confidence", "sigma") if getattr(self._output, name))
        self._planes = {
            name: self._buffer((height, width), np.float32) for name in ("values", "depth", *optional)
        }
        self._parts = self._wire_outputs(outputs)
        self._cloud: tuple[object, _CloudBuffers] | None = None

    def estimate(
        self,
        images: Sequence[NDArray[np.uint8]],
        camera: PinholeCamera,
        rig: StereoRig | None,
        enqueue: Enqueue,
        capture: Enqueue | None = None,
        seen: Sequence[NDArray[np.bool_] | None] = (),
    ) -> dict[str, Plane]:
        """Estimate one frame.

        Args:
            images: (H, W) or (H, W, 3) uint8 RGB, left before right.
            camera: Of the (left) image.
            rig: Of a stereo network's pair.
            enqueue: The inference.
            capture: The same into a stream that is captured; None starts every frame call by call.
            seen: (H, W) of each image, False where its camera saw nothing; None = everywhere something.

        Returns:
            New (H, W) float32 arrays: ``values`` in px of the image or m, ``depth`` in m, and
            ``confidence`` and ``sigma`` in m where the network has them.
        """
        for buffer, image in zip(self._images, images, strict=True):
            buffer.fill(image.reshape(buffer.shape))
        restore = self._restore(camera, rig)
        for name, buffer, plane in zip(("valid", "right_valid"), self._seen, seen):
            if plane is not None:
                buffer.fill(plane)
                setattr(restore, name, buffer.address)
        key = bytes(restore)
        if capture is not None and self._replay(key):
            return self._copies()
        self._timer.start()
        self._work(restore, enqueue, self._timer.mark)
        self._device.synchronize()
        self.timings_ms = self._timer.read_ms()
        planes = self._copies()
        if capture is not None:
            written = {name: (buffer.host, planes[name]) for name, buffer in self._planes.items()}
            again = partial(self._work, restore, capture, _no_mark)
            if not self._graphs.offer(key, again, self._poison, written):
                self._work(restore, enqueue, _no_mark)  # `finish` starts from what is on the GPU
                self._device.synchronize()
        return planes

    @property
    def why_no_graph(self) -> str:
        """Why frames are not started as one CUDA graph any more; empty while they are, or may be."""
        return self._graphs.given_up

    def _replay(self, key: bytes) -> bool:
        """Run the graph of such frames, if there is one."""
        graph = self._graphs.find(key)
        if graph is None:
            return False
        self._graph_timer.start()
        graph.launch()
        self._graph_timer.mark()
        self._device.synchronize()
        self.timings_ms = self._graph_timer.read_ms()
        return True

    def _work(self, restore: Restore, infer: Enqueue, mark: Callable[[], None]) -> None:
        """Put a frame whose images are in pinned memory into the stream, stage by stage."""
        planes = zip((restore.valid, restore.right_valid), self._seen)
        for buffer in (*self._images, *(buffer for address, buffer in planes if address)):
            buffer.upload()
        mark()
        self._kernels.launch(self._prepare, self._fit.network_size_wh, len(self._images))
        mark()
        pointers = {name: buffer.address for name, buffer in (*self._inputs.items(), *self._outputs.items())}
        infer(pointers, self._device.stream_handle)
        mark()
        self._kernels.launch(restore, self._fit.image_size_wh)
        mark()
        for buffer in self._planes.values():
            buffer.download()
        mark()

    def _poison(self) -> None:
        """Make all of a frame wrong but its images in pinned memory."""
        for buffer in self._buffers:
            buffer.poison()

    def _copies(self) -> dict[str, Plane]:
        return {name: buffer.host.copy() for name, buffer in self._planes.items()}

    def finish(
        self, camera: PinholeCamera, config: PipelineConfig, intensity: bool, cloud_into: Plane | None
    ) -> tuple[Plane, Plane]:
        """Filter the depth of the last frame, and pack its cloud straight into the memory of a message.

        Args:
            camera: Of the (left) image.
            config: Its limits, border, confidence, flying pixels and decimation; nothing else is done here.
            intensity: Grey levels as the fourth field, instead of colours.
            cloud_into: (rows, columns, 4) float32 in C order; None when no cloud is wanted.

        Returns:
            New (H, W) float32 arrays: depth in m; and the values (px of stereo), NaN where depth is.
        """
        buffers = self._cloud_buffers(camera, config.decimation)
        a = layout.finish_layout(camera, config, intensity)
        a.image = _pixels(self._images[0])
        a.depth, a.disparity = self._planes["depth"].address, self._planes["values"].address
        if "confidence" in self._planes:
            a.confidence = self._planes["confidence"].address
        a.out_depth, a.out_disparity = buffers.depth.address, buffers.values.address
        a.rays_x, a.rays_y = (buffer.address for buffer in buffers.rays)
        a.cloud = buffers.cloud.address if cloud_into is not None else None
        self._kernels.launch(a, camera.image_size_wh)
        buffers.depth.download()
        buffers.values.download()
        if cloud_into is not None:
            buffers.cloud.download(cloud_into)
        self._device.synchronize()
        return buffers.depth.host.copy(), buffers.values.host.copy()

    def free(self) -> None:
        """Give all memory back."""
        self._graphs.free()
        if self._cloud is not None:
            self._cloud[1].free()
        for buffer in (*self._buffers, *self._tables):
            buffer.free()
        self._cloud = None

    def _cloud_buffers(self, camera: PinholeCamera, decimation: int) -> _CloudBuffers:
        """Those of the last frame, unless its camera or density was another."""
        key = (camera, decimation)
        if self._cloud is None or self._cloud[0] != key:
            if self._cloud is not None:
                self._cloud[1].free()
            self._cloud = None  # should the next line fail
            self._cloud = key, _CloudBuffers(self._device, camera, decimation)
        return self._cloud[1]

    def _buffer(self, shape: tuple[int, ...], dtype: Any, pinned: bool = True) -> Buffer:
        self._buffers.append(Buffer(self._device, shape, dtype, pinned))
        return self._buffers[-1]

    def _constant(self, table: NDArray[Any]) -> int:
        self._tables.append(Buffer.of(self._device, table))
        return self._tables[-1].address

    def _wire_inputs(self, dtype: str) -> Prepare:
        contract, fit, targets = self._input, self._fit, list(self._inputs.values())
        a = layout.prepare_layout(contract, fit, len(self._images), dtype)
        a.columns, a.rows = (self._constant(table) for table in layout.input_taps(fit))
        for i, image in enumerate(self._images):
            a.image[i] = _pixels(image)
            a.target[i] = targets[i % len(targets)].address
            if i >= len(targets):
                a.target[i] += layout.second_image_offset(contract, fit) * targets[0].dtype.itemsize
        return a

    def _wire_outputs(self, outputs: Mapping[str, TensorSpec]) -> dict[str, Output]:
        contract, fit = self._output, self._fit
        parts = {"value": layout.value_layout(contract, outputs[contract.name], fit)}
        names = {"value": contract.name}
        if contract.confidence is not None:
            names["confidence"] = contract.confidence
            parts["confidence"] = layout.confidence_layout(contract, outputs[contract.confidence])
        if contract.sigma is not None:
            names["sigma"] = contract.sigma
            parts["sigma"] = layout.sigma_layout(contract, outputs[contract.sigma], fit)
        for part, a in parts.items():
            output_hw = contract.plane_hw(outputs[names[part]].known_shape)
            a.columns, a.rows = (self._constant(table) for table in layout.output_taps(fit, output_hw))
            a.data = self._outputs[names[part]].address
        return parts

    def _restore(self, camera: PinholeCamera, rig: StereoRig | None) -> Restore:
        a = layout.restore_layout(camera, rig)
        for part, output in self._parts.items():
            setattr(a, part, output)
        for name, buffer in self._planes.items():
            setattr(a, name if name in ("values", "depth") else f"out_{name}", buffer.address)
        return a


def _no_mark() -> None:
    """Events that are captured have no time."""


class _CloudBuffers:
    """The memory of `CudaStages.finish` for one camera and one density of the cloud."""

    def __init__(self, device: Device, camera: PinholeCamera, decimation: int) -> None:
        shape, tables = camera.image_shape_hw, ray_slopes(camera, decimation)
        self.depth, self.values = (Buffer(device, shape, np.float32) for _ in range(2))
        self.cloud = Buffer(device, (len(tables[1]), len(tables[0]), 4), np.float32, pinned=False)
        self.rays = [Buffer.of(device, table) for table in tables]

    def free(self) -> None:
        """Give the memory back."""
        for buffer in (self.depth, self.values, self.cloud, *self.rays):
            buffer.free()


def _pixels(image: Buffer) -> Pixels:
    _, width, channels = image.shape
    return Pixels(image.address, width, channels)
