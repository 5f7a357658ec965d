"""A manifest for an ONNX file of which only the tensors are known: what they say, and what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recon3d_ros.errors import DataError, ManifestError
from recon3d_ros.files.yaml_document import parse_yaml, read_yaml
from recon3d_ros.model_zoo.signature import Plane, Signature
from recon3d_ros.model_zoo.templates import of_file
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

BLANK = "???"
# What --pixels can say: how the values 0 to 255 arrive in the tensor.
PIXELS: Mapping[str, Mapping[str, Any]] = {
    "raw": {"scale": 1.0, "mean": 0.0, "std": 1.0},
    "unit": {"scale": 1 / 255, "mean": 0.0, "std": 1.0},
    "half": {"scale": 1 / 255, "mean": 0.5, "std": 0.5},
    "imagenet": {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
}
QUESTIONS = {
    "task": "one image in: mono_metric_depth, or mono_relative_inverse_depth where there is no metric scale",
    "input.names": "which inputs are the image, or left and right: [left, right]",
    "input.color": "order of the colours: rgb or bgr",
    "input.scale": "values in the tensor: --pixels raw (0 to 255), unit (0 to 1), half (-1 to 1) or "
    "imagenet; or scale, mean and std",
    "input.multiple_of": "sides must be a multiple of this; or size_wh: [W, H]",
    "output.name": "which output has the depth or disparity",
    "output.channel": "which of its channels, from 0; 2 for points X, Y, Z",
    "output.scale": "the output is integers: the size of one step in output.unit, from the original network",
    "output.unit": "px or width for disparity; m, cm or inverse_m for depth; relative_inverse_depth",
}
_NO_VALUE = re.compile(
    r"conf|prob|uncert|sigma|entropy|std|var|mask|valid|sky|occ|normal|intrinsic", re.IGNORECASE
)
_VALUE = re.compile(r"depth|disp|inverse", re.IGNORECASE)
_RIVALS = {"size_wh": ("multiple_of", "short_side", "max_size_wh"), "multiple_of": ("size_wh",)}
_ROLES = (
    (r"^k_?inv|inv.*(k|intrin)", "K_inverse"),
    (r"^k$|intrin|camera", "K"),
    (r"focal|f_?px|^f$", "focal_px"),
    (r"rays?($|_)", "rays"),
    (r"flow|hidden|state|init", "constant"),
)


def draft(signature: Signature, multiple_of: int | None, task: str | None) -> dict[str, Any]:
    """The keys ``task``, ``input`` and ``output`` of a manifest, `BLANK` where the file does not say.

    Args:
        signature: Of the file.
        multiple_of: Found by trying, for a file that takes any size.
        task: If it is known already.

    Raises:
        ManifestError: no input can be an image, or no output a picture.
    """
    images = signature.images
    if not images or not signature.planes:
        what = "an input of 1, 3, 2 or 6 channels" if not images else "an output with a value for each pixel"
        hint = "is this a depth network?"
        if not images and any("int" in spec.dtype for spec in signature.inputs):
            what, hint = (
                "an image of floats or uint8",
                "export it so; inside it may compute with integers",
            )
        raise ManifestError(f"expected {what}, got {_told(signature)}: {hint}")
    stereo = len(images) == 2 or images[0].channels in (2, 6)
    if task is None:
        task = "stereo_disparity" if stereo else BLANK
    given: dict[str, Any] = {
        "names": [image.spec.name for image in images] if len(images) <= 2 else BLANK,
        **of_file(images[0]),
    }
    given["color"] = "mono" if images[0].channels in (1, 2) else BLANK
    if images[0].spec.dtype != "uint8":
        given |= {"scale": BLANK, "mean": BLANK, "std": BLANK}
    if images[0].size_wh is None:
        given["multiple_of"] = multiple_of or BLANK
    elif not stereo:
        given["fit"] = "stretch"
    if signature.others:
        given["extra"] = [_extra(spec, images[0].size_wh) for spec in signature.others]
    return {"task": task, "input": given, "output": _output(signature.planes)}


def _output(planes: tuple[Plane, ...]) -> dict[str, Any]:
    plane = _value_plane(planes)
    output: dict[str, Any] = {"name": BLANK, "unit": BLANK}
    if plane is not None:
        output = {"name": plane.spec.name, "unit": BLANK, "layout": plane.layout, "dtype": plane.spec.dtype}
        if plane.channels > 1:
            output["channel"] = BLANK
        if "int" in plane.spec.dtype:
            output["scale"] = BLANK
    return output


def _value_plane(planes: tuple[Plane, ...]) -> Plane | None:
    """The output that must be the value; None when several can be."""
    likely = [plane for plane in planes if not _NO_VALUE.search(plane.spec.name)] or list(planes)
    named = [plane for plane in likely if _VALUE.search(plane.spec.name)] or likely
    return named[0] if len(named) == 1 else None


def _extra(spec: TensorSpec, size_wh: tuple[int, int] | None) -> dict[str, Any]:
    for pattern, role in _ROLES:
        if re.search(pattern, spec.name, re.IGNORECASE):
            return {"name": spec.name, "role": role}
    if len(spec.shape) == 4 and size_wh is not None and spec.shape[2:] == (size_wh[1] // 2, size_wh[0] // 2):
        side = "right" if re.search(r"right|2|tgt", spec.name, re.IGNORECASE) else "left"
        return {"name": spec.name, "role": f"{side}_half"}
    return {"name": spec.name, "role": BLANK}


def read_document(path: Path) -> dict[str, Any]:
    """What a manifest says, whether it is complete or not.

    Raises:
        ManifestError: it is no YAML with keys.
    """
    try:
        document = read_yaml(path)
    except DataError as exc:
        raise ManifestError(f"{exc}, or give another --name") from exc
    sections = ("input", "output")
    if not isinstance(document, dict) or not all(isinstance(document.get(k, {}), dict) for k in sections):
        raise ManifestError(f"expected a manifest in {path}, got something else: give another --name")
    return document


def blanks(document: Mapping[str, Any]) -> dict[str, str]:
    """The keys of a document that are blank, each with what to fill in."""
    found = {}
    for key, value in flat(document):
        if value == BLANK and key not in ("input.mean", "input.std"):
            found[key] = QUESTIONS.get(key, "see docs/own-models.md, input.extra")
    return found


def set_key(document: dict[str, Any], text: str) -> None:
    """Set a key by ``output.unit=m``; the value is YAML.

    Raises:
        ManifestError: the text is none of that kind.
    """
    key, equals, value = text.partition("=")
    *path, last = key.strip().split(".")
    target: Any = document
    for part in path:
        target = target.setdefault(part, {}) if isinstance(target, dict) else None
    if not equals or not isinstance(target, dict):
        raise ManifestError(f"expected --set KEY=VALUE, such as output.unit=m, got {text!r}")
    try:
        target[last] = next(iter(parse_yaml(value, f"the value of --set {key}")), None)
    except DataError as exc:
        raise ManifestError(str(exc)) from exc
    for rival in _RIVALS.get(last, ()):
        target.pop(rival, None)


def to_yaml(document: Mapping[str, Any], remarks: list[str]) -> str:
    """The document as YAML: remarks in front, and behind each blank what to fill in."""
    questions = blanks(document)
    lines, section = [f"# {remark}" for remark in remarks], ""
    for line in yaml.safe_dump(dict(document), sort_keys=False, width=110).splitlines():
        section = line.rstrip(":") if not line.startswith((" ", "-")) else section
        word = line.strip().partition(":")[0]
        question = questions.get(word if not line.startswith(" ") else f"{section}.{word}", "")
        lines.append(f"{line}  # {question}" if BLANK in line and question else line)
    return "\n".join(lines) + "\n"


def flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The keys of a document with dots, ``input.scale``, each with its value."""
    found: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{prefix}{key}.")
        elif key == "extra" and isinstance(value, list):
            found += [(f"{prefix}extra.{item['name']}.role", item["role"]) for item in value]
        else:
            found.append((f"{prefix}{key}", value))
    return found


def incomplete(document: Mapping[str, Any], path: Path, missing: Mapping[str, str]) -> str:
    """What the file says already, and what cannot be known from it."""
    known = [key for key, value in flat(document) if value != BLANK]
    count = len(missing)
    return "\n".join(
        [
            f"{path} is there with {', '.join(known)}; {count} answer{'s'[: count != 1]} to be given:",
            *(f"  {key}: {question}" for key, question in missing.items()),
            f"fill in {BLANK} in {path}, or repeat the command with --set KEY=VALUE; then the model is tried",
        ]
    )


def run_flags(document: Mapping[str, Any]) -> str:
    """The flags of `recon3d run` that such a model needs."""
    if document["task"] == "stereo_disparity":
        return "--left LEFT --right RIGHT --fx FX --baseline-m BASELINE"
    return "--image IMAGE" + " --fx FX" * bool(document["task"] == "mono_metric_depth")


def hints(signature: Signature, document: Mapping[str, Any]) -> list[str]:
    """What a file has that its manifest does not use, and what a manifest cannot say."""
    found = []
    output = document["output"]
    known = (
        output.get("name"),
        output.get("confidence"),
        output.get("sigma"),
        output.get("invalid", {}).get("name"),
    )
    for plane in signature.planes:
        if plane.spec.name in known or output.get("name") == BLANK or not _NO_VALUE.search(plane.spec.name):
            continue
        found.append(
            f"not used: the output {plane.spec.name}; if it tells how sure the network is: --set "
            f"output.confidence={plane.spec.name}, and where more is worse --set output.confidence_kind=error"
        )
    images = signature.images
    if len(images) == 1 and images[0].batch == 2 and images[0].channels in (1, 3):
        found.append(
            f"{images[0].spec.name} takes two images in its batch: a picture is given twice; if they are "
            "left and right, export the network with two inputs"
        )
    return found


def _told(signature: Signature) -> str:
    specs = (*signature.inputs, *signature.outputs)
    return ", ".join(f"{spec.name} {spec}" for spec in specs)
