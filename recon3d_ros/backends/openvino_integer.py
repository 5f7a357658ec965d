"""int8 graphs as OpenVINO computes them right: activations become unsigned where they are never negative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NON_NEGATIVE = frozenset({"Relu", "Exp", "Sigmoid", "Abs"})
# Values of their output are values of their inputs.
_PASSING = frozenset(
    {"Interpolate", "MaxPool", "StridedSlice", "Slice", "Split", "VariadicSplit", "Concat", "Reshape"}
)
_FEW_CHANNELS = 4
_DEQUANTIZE = ("Convert", "Convert", "Subtract", "Multiply")


def use_unsigned(vendor: Any, model: Any) -> int:
    """Give activations that are never negative the range 0 to 127 s in 256 steps in place of -128 s to 127 s.

    Our files have symmetric int8 activations, which TensorRT demands. The half of the range that nothing
    reaches is lost to them, and OpenVINO 2026.4 gives wrong values for some of them (x86-64, where a Concat
    reads them); unsigned ones come out as ONNX Runtime computes them.

    Args:
        vendor: openvino.
        model: As `Core.read_model` returns it; changed in place.

    Returns:
        How many activations it changed.
    """
    ops = vendor.opset13
    changed = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize" or not _is_non_negative(_source(node, 0)):
            continue
        last = _end_of_dequantize(node)
        if last is None:
            continue
        high = _source(node, 2).data.copy()
        low = 0.0 * high
        new = ops.fake_quantize(node.input_value(0), low, high, low, high, 256)
        last.output(0).replace(new.output(0))
        changed += 1
    if changed:
        model.validate_nodes_and_infer_types()
    return changed


def keep_few_channels_in_float(model: Any) -> int:
    """Leave images and other signed values of few channels as they are: no int8 before their convolutions.

    OpenVINO 2026.4 computes wrong values behind an image on processors with VNNI and without AMX (AMD EPYC:
    40 % of the disparities off by more than 1 px), and so few channels are hardly faster as int8.

    Args:
        model: As `Core.read_model` returns it; changed in place.

    Returns:
        How many activations it left.
    """

    def few(node: Any) -> bool:
        shape = node.output(0).get_partial_shape()
        known = shape.rank.is_static and len(shape) == 4 and shape[1].is_static
        return known and shape[1].get_length() <= _FEW_CHANNELS and not _is_non_negative(_source(node, 0))

    return _leave(model, few)


def keep_in_float(model: Any) -> int:
    """Leave all activations as they are; the weights stay rounded to int8, and convolutions compute in float.

    For x86-64 without VNNI and AMX, where OpenVINO 2026.4 is less exact in int8: up to 8 % of the disparities
    were off by more than 1 px, of ONNX Runtime 2 % (AMD EPYC with AVX2 alone).

    Args:
        model: As `Core.read_model` returns it; changed in place.

    Returns:
        How many activations it left.
    """
    return _leave(model, lambda node: True)


def _leave(model: Any, wanted: Callable[[Any], bool]) -> int:
    left = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize" or not wanted(node):
            continue
        last = _end_of_dequantize(node)
        if last is not None:
            last.output(0).replace(node.input_value(0))
            left += 1
    if left:
        model.validate_nodes_and_infer_types()
    return left


def _is_non_negative(node: Any) -> bool:
    kind = node.get_type_name()
    if kind in _NON_NEGATIVE:
        return True
    if kind == "FakeQuantize":
        low = _source(node, 3)
        return low.get_type_name() == "Constant" and float(low.data.min()) >= 0.0
    if kind not in _PASSING:
        return False
    count = node.get_input_size() if kind == "Concat" else 1
    return all(_is_non_negative(_source(node, i)) for i in range(count))


def _end_of_dequantize(node: Any) -> Any:
    """The Multiply that ends the int8 pair which a FakeQuantize begins; None when something else follows."""
    for kind in _DEQUANTIZE:
        readers = list(node.output(0).get_target_inputs())
        if len(readers) != 1 or readers[0].get_node().get_type_name() != kind:
            return None
        node = readers[0].get_node()
    return node


def _source(node: Any, index: int) -> Any:
    return node.input_value(index).get_node()
