"""Contracts of networks that other people publish, and how a file gets one of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from recon3d_ros.errors import ManifestError
from recon3d_ros.files.yaml_document import read_yaml
from recon3d_ros.model_zoo.signature import ImageInput, Plane, Signature
from recon3d_ros.system.share import share_path

FILE = "model_templates.yaml"
# Names that the library transformers gives to the tensors of all of its depth models.
_INPUT, _OUTPUT = "pixel_values", "predicted_depth"
_OPEN_SIZE = ("multiple_of", "short_side", "max_size_wh")


@dataclass(frozen=True)
class Template:
    """What is known of one published network.

    Attributes:
        name: For ``--as``.
        title: In words.
        source: Address of the code that the contract is taken from.
        how: How to get the ONNX file.
        licence: Of the weights.
        task: As in a manifest.
        input: As in a manifest.
        output: As in a manifest.
        distinctive: Whether names of tensors alone identify it.
        others: Further outputs of the file, which are not used.
        transformers: Whether the library transformers has it, with names of its own.
    """

    name: str
    title: str
    source: str
    how: str
    licence: str
    task: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    distinctive: bool = False
    others: tuple[str, ...] = ()
    transformers: bool = False

    def has_names(self, inputs: set[str], outputs: set[str]) -> bool:
        """Whether tensors of these names can be its own."""
        if self.transformers and inputs == {_INPUT} and outputs == {_OUTPUT}:
            return True
        own = {*self.output_names, *self.others}
        return set(self.input_names) == inputs and set(self.output_names) <= outputs <= own

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of all input tensors."""
        return (*self.input["names"], *(item["name"] for item in self.input.get("extra", ())))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of all output tensors that are used."""
        named = (self.output.get(key) for key in ("name", "confidence", "sigma"))
        mask = self.output.get("invalid", {}).get("name")
        return tuple(name for name in (*named, mask) if name)


@cache
def templates() -> Mapping[str, Template]:
    """All templates by name.

    Raises:
        DataError: the installation lacks the file.
    """
    return {
        name: Template(name, **{**entry, "others": tuple(entry.get("others", ()))})
        for name, entry in read_yaml(share_path("config", FILE)).items()
    }


def find_template(name: str) -> Template:
    """Return the template of this name.

    Raises:
        ManifestError: there is none; the message names the nearest.
    """
    known = templates()
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ManifestError(f"no template {name!r}, the nearest is {nearest}: give one of {', '.join(known)}")


def recognised(signature: Signature) -> Template | None:
    """The one network whose tensors have all the names of a file, where no other network has such names."""
    outputs = {spec.name for spec in signature.outputs}
    found = [
        template
        for template in similar(signature)
        if template.distinctive and outputs == {*template.output_names, *template.others}
    ]
    return found[0] if len(found) == 1 else None


def similar(signature: Signature) -> list[Template]:
    """Templates whose tensors can have the names of those of a file."""
    inputs = {spec.name for spec in signature.inputs}
    outputs = {spec.name for spec in signature.outputs}
    return [
        template
        for template in templates().values()
        if template.has_names(inputs, outputs) and not _why_not(template, signature)
    ]


def contract_by(template: Template, signature: Signature) -> dict[str, Any]:
    """The keys ``task``, ``input`` and ``output`` of a manifest: of the template, for the tensors of a file.

    Tensors of other names are taken in their order. Axes, dtypes and a fixed size are those of the file.

    Raises:
        ManifestError: the file has not the tensors of such a network.
    """
    if why := _why_not(template, signature):
        raise ManifestError(f"the file is no export of {template.name} as it is known: {why}")
    images = _in_order(template.input["names"], signature.images)
    given = {**template.input, "names": [image.spec.name for image in images], **of_file(images[0])}
    if images[0].size_wh is not None:
        given = {key: value for key, value in given.items() if key not in _OPEN_SIZE}
    if "extra" in given:
        others = [spec.name for spec in signature.others]
        given["extra"] = [
            {**item, "name": item["name"] if item["name"] in others else others[i]}
            for i, item in enumerate(given["extra"])
        ]
    return {"task": template.task, "input": given, "output": _output(template, signature)}


def of_file(image: ImageInput) -> dict[str, Any]:
    """What an input tensor says itself of its contract."""
    known: dict[str, Any] = {"layout": image.layout, "dtype": image.spec.dtype}
    if image.size_wh is not None:
        known["size_wh"] = list(image.size_wh)
    if image.batch > 1:
        known["batch"] = image.batch
    return known


def _output(template: Template, signature: Signature) -> dict[str, Any]:
    planes = {plane.spec.name: plane for plane in signature.planes}
    plane = planes.get(template.output["name"]) or _likeliest(template, signature)
    output = {**template.output, "name": plane.spec.name, "layout": plane.layout, "dtype": plane.spec.dtype}
    if plane.channels == 1:
        output.pop("channel", None)
    for key in ("confidence", "sigma"):
        if key in output and output[key] not in planes:
            output = {name: value for name, value in output.items() if not name.startswith(key)}
    if "invalid" in output and output["invalid"]["name"] not in planes:
        del output["invalid"]
    return output


def _likeliest(template: Template, signature: Signature) -> Plane:
    """An output of another name: the only one, or the last of those with the channels of the template."""
    wanted = (template.output.get("channel") or 0) + 1
    suiting = [plane for plane in signature.planes if plane.channels >= wanted]
    return suiting[0] if template.output.get("confidence") else suiting[-1]


def _in_order(names: list[str], images: tuple[ImageInput, ...]) -> list[ImageInput]:
    by_name = {image.spec.name: image for image in images}
    return [by_name[name] for name in names] if set(names) <= set(by_name) else list(images)


def _why_not(template: Template, signature: Signature) -> str:
    """What of a file does not suit a template; empty when it does."""
    images, extra = signature.images, template.input.get("extra", [])
    names = template.input["names"]
    if len(images) != len(names):
        return f"expected {len(names)} input images, got {_told(signature)}"
    if len(signature.others) != len(extra):
        return f"expected {len(extra)} inputs beside the images, got {_told(signature)}"
    pairs = 2 if template.task.startswith("stereo") and len(names) == 1 else 1
    channels = (1 if template.input.get("color") == "mono" else 3) * pairs
    if images[0].channels != channels:
        return f"expected {channels} channels, got {images[0].spec}"
    wanted = (template.output.get("channel") or 0) + 1
    if not any(plane.channels >= min(wanted, 2) for plane in signature.planes):
        return f"expected an output of {wanted} channels, got {_told(signature)}"
    integers = template.input.get("dtype") == "uint8"
    if integers != (images[0].spec.dtype == "uint8"):
        return (
            f"expected inputs of {'uint8' if integers else 'floats'}, got {images[0].spec}, of an export in "
            "another precision: leave --as out and answer what is asked"
        )
    return ""


def _told(signature: Signature) -> str:
    inputs = ", ".join(f"{spec.name} {spec}" for spec in signature.inputs)
    outputs = ", ".join(f"{spec.name} {spec}" for spec in signature.outputs)
    return f"{inputs} -> {outputs}"
