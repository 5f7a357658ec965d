"""int8: convolutions between Q and DQ nodes, by ONNX Runtime's static quantisation."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recon3d_ros.convert.graph import WEIGHTED, load, weighted_nodes
from recon3d_ros.convert.split import split_concats
from recon3d_ros.system.lazy import require
from recon3d_ros.system.progress import NO_PROGRESS, Progress

Feed = dict[str, NDArray[Any]]

# Values above this share of a tensor's are clipped: a few outliers would coarsen all others.
_PERCENTILE = 99.99
# The error by one node is measured on this many frames.
_PROBES = 2


class Quantizer:
    """Quantises one model, as a whole or in part.

    Weights are int8 per channel and activations int8 per tensor, both symmetric as TensorRT wants them.

    Args:
        source: The fp32 ONNX file.
        frames: What the ranges of the tensors are taken from.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
    """

    def __init__(self, source: Path, frames: Sequence[Feed]) -> None:
        self._vendor: Any = require("onnxruntime.quantization", extra="convert")
        model = load(str(source))  # which names its nodes
        if frames:
            split_concats(model, frames[0])
        self._content = model.SerializeToString()
        self._frames = frames
        self.nodes = weighted_nodes(model)

    def write(self, target: Path, nodes: Iterable[str], frames: int | None = None) -> None:
        """Write the model with these nodes in int8, all others in float."""
        vendor = self._vendor
        # Given as a file: older versions hand a model over by way of another file, which newer onnx refuses.
        named = target.with_suffix(".fp32")
        named.write_bytes(self._content)
        with _silence():
            vendor.quantize_static(
                str(named),
                str(target),
                _reader(vendor, self._frames[:frames]),
                quant_format=vendor.QuantFormat.QDQ,
                op_types_to_quantize=list(WEIGHTED),
                nodes_to_quantize=sorted(nodes),
                per_channel=True,
                activation_type=vendor.QuantType.QInt8,
                weight_type=vendor.QuantType.QInt8,
                calibrate_method=vendor.CalibrationMethod.Percentile,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "CalibPercentile": _PERCENTILE,
                    "QuantizeBias": False,  # TensorRT takes no int32 DequantizeLinear
                    # What a convolution reads is rounded; what it gives is added to, or clipped, first.
                    "OpTypesToExcludeOutputQuantization": list(WEIGHTED),
                },
            )
        named.unlink()


def to_int8(
    source: Path,
    target: Path,
    frames: Sequence[Feed],
    error: Callable[[Path, int], float],
    allowed: float,
    progress: Progress = NO_PROGRESS,
) -> tuple[str, ...]:
    """Write the model in int8, with those nodes in float whose rounding changes the output most.

    If the error with all nodes in int8 is too large, each is measured alone, and the worst 1, 2, 4, 8, ...
    stay in float until it is little enough; at most half of them.

    Args:
        source: The fp32 ONNX file.
        target: The file to write.
        frames: Tensors of calibration images.
        error: Of a file, on so many of the frames: how far it is from fp32.
        allowed: Largest error that needs no exception.
        progress: Receives what is done.

    Returns:
        Names of the weighted nodes that stay in float.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    quantizer = Quantizer(source, frames)
    progress.update("int8: all nodes")
    quantizer.write(target, quantizer.nodes)
    if error(target, len(frames)) <= allowed:
        return ()
    ranking = []
    for i, node in enumerate(quantizer.nodes):
        progress.update(f"int8: node {i + 1} of {len(quantizer.nodes)}")
        quantizer.write(target, [node], frames=_PROBES)
        ranking.append((error(target, _PROBES), node))
    worst = [node for _, node in sorted(ranking, reverse=True)]
    count = 1
    while True:
        progress.update(f"int8: {count} nodes in float")
        count = min(count, max(1, len(worst) // 2))
        quantizer.write(target, set(worst[count:]))
        if error(target, len(frames)) <= allowed or count >= len(worst) // 2:
            return tuple(worst[:count])
        count *= 2


def _reader(vendor: Any, frames: Sequence[Feed]) -> Any:
    """The frames as the vendor wants to be given them."""

    class Reader(vendor.CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[Feed] = iter(frames)

        def get_next(self) -> Feed | None:
            return next(self._left, None)

    return Reader()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the vendor's prints and warnings to ourselves; its errors come as exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
