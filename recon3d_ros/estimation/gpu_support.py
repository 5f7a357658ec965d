"""Which contracts the kernels of the GPU can serve: what they do not know is prepared on the CPU."""

from __future__ import annotations

from recon3d_ros.backends.base import Backend
from recon3d_ros.model_zoo.manifest import Manifest

# What `cuda.layout` can put into the arguments of a kernel.
_LAYOUTS = {"input.layout": ("NCHW", "NHWC"), "output.layout": ("NCHW", "NHWC", "NHW", "HW")}
_DTYPES = ("float32", "float16", "uint8")


def why_not_on_gpu(manifest: Manifest, backend: Backend) -> str:
    """Return the key of a manifest, and its value, that the kernels do not know; empty when they know all.

    Args:
        manifest: Of the model.
        backend: In which it is open: dtypes and axes are those of the file.
    """
    given, out = manifest.input, manifest.output
    wanted = {
        "input.padding": (given.padding, ("bottom_right",)),
        "input.pad_value": (given.pad_value, (None,)),
        "input.interpolation": (given.interpolation, ("auto",)),
        "input.batch": (given.batch, (1,)),
        "input.extra": (given.extra, ((),)),
        "input.layout": (given.layout, _LAYOUTS["input.layout"]),
        "output.layout": (out.layout, _LAYOUTS["output.layout"]),
        "output.channel": (out.channel, (None, 0)),
        "output.unit": (out.unit, ("px", "m", "cm")),
        "output.offset": (out.offset, (0.0,)),
        "output.transform": (out.transform, ("none",)),
        "output.focal_axis": (out.focal_axis if out.focal_px else "y", ("y",)),
        "output.confidence_kind": (
            out.confidence_kind if out.confidence else "probability",
            ("probability",),
        ),
        "output.confidence_scale": (out.confidence_scale, (1.0,)),
        "output.invalid": (out.invalid, (None,)),
    }
    for key, (value, known) in wanted.items():
        if value not in known:
            return f"{key} is {_text(value)}"
    for spec in (*backend.inputs, *backend.outputs):
        used = spec.name in given.names or spec.name in out.names
        if used and spec.dtype not in _DTYPES:
            return f"the tensor {spec.name!r} is {spec.dtype}"
        if spec.name in out.names and len(spec.shape) != len(out.layout):
            return f"the output {spec.name!r} has other axes than {out.layout}"
    return ""


def _text(value: object) -> str:
    return "given" if isinstance(value, tuple) or not isinstance(value, (str, int, float)) else str(value)
