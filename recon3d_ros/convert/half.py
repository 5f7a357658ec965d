"""fp16: weights and activations as half floats where that is safe, by ONNX Runtime's converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recon3d_ros.convert.graph import drop_casts, load, regression
from recon3d_ros.system.lazy import require

# Means, sums of squares and roots of the normalisation before a correlation, and what follows a softmax: sums
# over channels overflow half precision at 65504 and lose small terms. Left in float they cost no time.
FLOAT_OPS = frozenset(
    "ReduceSum ReduceMean ReduceSumSquare ReduceL1 ReduceL2 ReduceLogSumExp Sqrt Reciprocal Pow Div Softmax "
    "LogSoftmax Exp Log Range InstanceNormalization LayerNormalization GroupNormalization".split()
)


def delicate(model: Any) -> set[str]:
    """Names of the nodes of `FLOAT_OPS`, and of the products that are summed up: squares overflow first."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found = set()
    for node in model.graph.node:
        if node.op_type in FLOAT_OPS:
            found.add(node.name)
            before = [makers[name] for name in node.input if name in makers]
            found |= {maker.name for maker in before if maker.op_type == "Mul"}
    return found


def to_fp16(source: Path, target: Path) -> tuple[str, ...]:
    """Write the model in half precision, its inputs and outputs as they were.

    Returns:
        Names of the nodes that stay in float, but for constants: those of `FLOAT_OPS`, and the final
        regression.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    vendor: Any = require("onnxruntime.transformers.float16", extra="convert")
    model = load(str(source))
    kept = {*delicate(model), *regression(model)}
    converted = vendor.convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=list(vendor.DEFAULT_OP_BLOCK_LIST),
        node_block_list=sorted(kept),
    )
    drop_casts(converted)
    require("onnx", extra="convert").checker.check_model(converted)
    target.write_bytes(converted.SerializeToString())
    constants = {node.name for node in model.graph.node if node.op_type == "Constant"}
    return tuple(sorted(kept - constants))
