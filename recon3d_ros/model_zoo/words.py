"""A manifest in words, for people who check it against the code of the network."""

from __future__ import annotations

from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Manifest

_UNITS = {
    "px": "disparity in pixels of the network's input",
    "width": "disparity as a share of the width of the network's input",
    "m": "depth in metres",
    "cm": "depth in centimetres",
    "inverse_m": "inverse depth in 1/m",
    "relative_inverse_depth": "inverse depth without metric scale",
}


def of_default_mono(manifest: Manifest) -> str:
    """What to expect of the model that ``auto`` selects for single images, in one line."""
    scores = [(item.data, item.metrics["abs_rel"]) for item in manifest.accuracy if "abs_rel" in item.metrics]
    errors = ", ".join(f"{100 * error:.0f} % on {data}" for data, error in scores) or "not measured"
    return (
        f"{manifest.name} is small: mean error of depth {errors}, more in other places; add a stronger "
        "network with recon3d models add (docs/published-models.md)"
    )


def describe(manifest: Manifest) -> list[str]:
    """The contract of a model, a sentence a line."""
    lines = [f"{manifest.name}: {manifest.description or manifest.task}"]
    for artifact in manifest.artifacts:
        more = "".join(f", {item.file}" for item in artifact.external)
        lines.append(f"file: {artifact.file} ({artifact.precision}){more}")
    for plugin in manifest.plugins:
        lines.append(f"plug-in of TensorRT: {plugin.file}" + f" ({plugin.machine})" * bool(plugin.machine))
    if manifest.labels_points:
        lines += _points(manifest)
    elif manifest.gives_shape:
        lines += _shape(manifest)
    else:
        lines += [*_input(manifest), *_output(manifest.output, manifest.is_stereo)]
    lines.append(
        "check: a golden output is compared at each start"
        if manifest.golden
        else "check: none; a golden output of the original code finds a wrong contract (docs/own-models.md)"
    )
    lines.append(f"licence of the weights: {manifest.licence.weights}")
    if manifest.origin:
        lines.append(f"origin: {manifest.origin}")
    return lines


def _points(manifest: Manifest) -> list[str]:
    given, said = manifest.point_contracts
    grid = given.grid
    return [
        f"input: {', '.join(given.fields)} of up to {given.count} points, m in the level frame",
        f"grid: {grid.rows} ranges, {grid.range_m[0]:g} to {grid.range_m[1]:g} m, {grid.columns} directions",
        f"output: {said.name}, the probability of {', '.join(said.classes)}",
    ]


def _shape(manifest: Manifest) -> list[str]:
    said = manifest.shape_contract
    output = f"output: {said.name}, {said.count} points of the whole object in the unit frame of the input"
    if not manifest.takes_points:
        return [*_input(manifest), output]
    given, _ = manifest.completion_contracts
    return [f"input: {', '.join(given.fields)} of {given.count} points of the visible part", output]


def _input(manifest: Manifest) -> list[str]:
    contract, stereo = manifest.input, manifest.is_stereo
    names = " and ".join(contract.names)
    stacked = ", left and right stacked" if stereo and len(contract.names) == 1 else ""
    color = {"rgb": "RGB", "bgr": "BGR", "mono": "grey"}[contract.color]
    lines = [f"input: {names}, {contract.layout} {contract.dtype}, {color}{stacked}; {_values(contract)}"]
    lines.append(f"size: {_size(contract)}")
    lines += [f"further input: {item.name} gets {item.role}" for item in contract.extra]
    return lines


def _values(contract: InputContract) -> str:
    low = [0.0 - mean / std for mean, std in zip(contract.mean, contract.std)]
    high = [(255 * contract.scale - mean) / std for mean, std in zip(contract.mean, contract.std)]
    spans = [f"{a:.4g} to {b:.4g}" for a, b in zip(low, high)]
    return f"pixels 0 to 255 become {spans[0] if len(set(spans)) == 1 else ', '.join(spans)}"


def _size(contract: InputContract) -> str:
    if contract.size_wh is not None:
        words = f"always {contract.size_wh[0]}x{contract.size_wh[1]}"
    else:
        words = f"any multiple of {contract.multiple_of}"
        if contract.image_scale != 1:
            words += f", the image at {contract.image_scale:g} times its size"
        if contract.short_side is not None:
            words += f", the shorter side scaled to {contract.short_side}"
        if contract.max_size_wh is not None:
            words += f", at most {contract.max_size_wh[0]}x{contract.max_size_wh[1]}"
    if contract.fit == "stretch":
        return f"{words}; images are stretched to it"
    filling = "the edge repeated" if contract.pad_value is None else f"grey level {contract.pad_value}"
    return f"{words}; images keep their shape, padding at {contract.padding.replace('_', ' ')} with {filling}"


def _output(contract: OutputContract, stereo: bool) -> list[str]:
    place = f", channel {contract.channel}" if contract.channel is not None else ""
    lines = [f"output: {contract.name}, {contract.layout} {contract.dtype}{place}: {_UNITS[contract.unit]}"]
    formula = "y" if contract.scale == 1 else f"{contract.scale:g} y"
    formula += f" + {contract.offset:g}" if contract.offset else ""
    formula = {"none": formula, "exp": f"exp({formula})", "inverse": f"1 / ({formula})"}[contract.transform]
    if contract.unit == "inverse_m":
        formula = f"1 / ({formula})"
    if contract.focal_px is not None:
        axis = {"x": "fx", "y": "fy", "mean": "mean(fx, fy)"}[contract.focal_axis]
        formula = f"({formula}) * {axis} / {contract.focal_px:g}, {axis} of the network's input"
    lines.append(f"value: {formula}, where y is the output")
    if contract.confidence is not None:
        kind = {"probability": "higher is better", "error": "an error", "entropy": "an entropy"}
        words = kind[contract.confidence_kind]
        if contract.confidence_kind != "probability":
            words += f", lower is better, {contract.confidence_max:g} is the worst"
        lines.append(f"confidence: {contract.confidence}, {words}")
    if contract.sigma is not None:
        lines.append(f"standard deviation: {contract.sigma}")
    if contract.invalid is not None:
        side = f"above {contract.invalid.above:g}" if contract.invalid.above is not None else ""
        side = side or f"below {contract.invalid.below:g}"
        meaning = contract.invalid.meaning.replace("_", " ")
        lines.append(f"no depth: where {contract.invalid.name} is {side}, depth is {meaning}")
    return lines
