"""`recon3d models add`: from an ONNX file to a manifest, with a look at what the model answers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros import files
from recon3d_ros.backends.inspection import OnnxFile
from recon3d_ros.cli.flags import user_path
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, DataError, ManifestError, PartialResultError, Recon3dError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.evaluation.first_look import FirstLook, first_look, others_for, sample_for
from recon3d_ros.files.disk import write_text
from recon3d_ros.model_zoo.draft import (
    BLANK,
    PIXELS,
    blanks,
    draft,
    hints,
    incomplete,
    read_document,
    run_flags,
    set_key,
    to_yaml,
)
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.manifest_file import manifest_from_dict
from recon3d_ros.model_zoo.onnx_file import external_files, stored_precision
from recon3d_ros.model_zoo.plugin_file import plugin_beside
from recon3d_ros.model_zoo.registry import sha256_of
from recon3d_ros.model_zoo.signature import Signature
from recon3d_ros.model_zoo.tasks import UNITS_OF_TASK
from recon3d_ros.model_zoo.templates import Template, contract_by, find_template, recognised, similar
from recon3d_ros.serving import open_checked

HELP = (
    "Write the manifest of an ONNX file, NAME.yaml beside it: what the tensors of the file say, and what a "
    "template knows (recon3d models templates). What cannot be known is asked for, with exit code 11: fill "
    "it in, or repeat the command with --set; what NAME.yaml says already is kept. Then the model is shown a "
    "rendered picture whose depth is known: NAME_look.png has the answer, and what looks wrong is printed."
)
_NO_LICENCE = "not stated, ask the authors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `recon3d models add`."""
    parser.add_argument("file", type=user_path, metavar="FILE", help="the ONNX file")
    parser.add_argument(
        "--as", dest="template", metavar="TEMPLATE", help="network that the file is an export of"
    )
    parser.add_argument("--name", help="name of the model (default: that of the file)")
    parser.add_argument("--task", choices=tuple(UNITS_OF_TASK), help="what the model computes")
    parser.add_argument(
        "--pixels",
        choices=tuple(PIXELS),
        help="values of the input: raw = 0 to 255, unit = 0 to 1, half = -1 to 1, imagenet: its mean, std",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the manifest: output.unit=m"
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        type=user_path,
        metavar="FILE",
        help="plug-in library of TensorRT that the model needs, in the folder of FILE or below; can be "
        "repeated, for x86_64 and aarch64",
    )
    parser.add_argument("--licence", help="licence of the weights")


def main(args: argparse.Namespace) -> int:
    """Inspect, write, look; with questions left, the exit code is that of a result in part."""
    file: Path = args.file
    if not file.is_file():
        raise DataError(f"expected an ONNX file, {file} does not exist: check the path")
    path = file.with_name(f"{args.name or file.stem}.yaml")
    onnx = OnnxFile(file)
    _print_tensors(onnx)
    document = _existing(path) or {"name": path.stem}
    remarks = _fill_contract(document, args, onnx)
    _apply(document, args)
    for hint in hints(onnx.signature, document):
        print(hint)
    document.setdefault("licence", {"weights": _NO_LICENCE})
    document["artifacts"] = _artifacts(document, file)
    if args.plugin:
        document["plugins"] = [asdict(plugin_beside(library, file.parent)) for library in args.plugin]
    write_text(path, to_yaml(document, remarks))
    print(f"wrote {path}")
    missing = blanks(document)
    if onnx.unknown_operator:
        return _say_unchecked(document, path, missing, onnx.unknown_operator)
    if missing:
        _trial(document, path)
        print(incomplete(document, path, missing))
        return PartialResultError.exit_code
    _look(manifest_from_dict(document, path), path)
    if document["licence"]["weights"] == _NO_LICENCE:
        print("licence of the weights: not stated; give it with --licence")
    print(
        f"next: recon3d models show {path}, then recon3d run --model {path} {run_flags(document)} --out OUT"
    )
    return 0


def _say_unchecked(document: Mapping[str, Any], path: Path, missing: Mapping[str, str], why: str) -> int:
    """What is left to do for a model that ONNX Runtime cannot run; the exit code."""
    print(f"not tried: {why}")
    if missing:
        print(incomplete(document, path, missing))
        return PartialResultError.exit_code
    if manifest_from_dict(document, path).golden is not None:
        return 0
    hint = "" if "plugins" in document else "with --plugin LIBRARY.so if a plug-in has the operator, and "
    print(f"it is served {hint}only with a golden output of the original code, see docs/own-models.md")
    return PartialResultError.exit_code


def _print_tensors(onnx: OnnxFile) -> None:
    for kind, specs in (("input", onnx.signature.inputs), ("output", onnx.outputs)):
        for spec in specs:
            print(f"{kind}: {spec.name} {spec}")
    if onnx.multiple_of is not None:
        print(f"size: any multiple of {onnx.multiple_of}, found by trying")
    for key, value in sorted(onnx.signature.metadata.items()):
        if not key.startswith("pkg."):  # of the exporter, about its own nodes
            print(f"note of the file: {key}: {value:.200}")


def _existing(path: Path) -> dict[str, Any] | None:
    """What the manifest says already, whether it is complete or not."""
    if not path.is_file():
        return None
    print(f"{path} is there already: what it says is kept")
    return read_document(path)


def _fill_contract(document: dict[str, Any], args: argparse.Namespace, onnx: OnnxFile) -> list[str]:
    """Task, input and output: of the template, of the manifest that is there, or a draft; returns remarks."""
    template = _template(args.template, onnx.signature, fresh="input" not in document)
    if template is not None:
        document.update(contract_by(template, onnx.signature))
        document.setdefault("description", template.title)
        document.setdefault("origin", template.source)
        if document.get("licence", {}).get("weights") in (None, _NO_LICENCE):
            document["licence"] = {"weights": template.licence}
        remarks = [f"template {template.name}: {template.title}", template.source]
        return [*remarks, *_doubts_of_step(template, onnx)]
    if "input" not in document:
        document.update(draft(onnx.signature, onnx.multiple_of, args.task))
    return [f"written by recon3d models add; {BLANK} is to be filled in"] if blanks(document) else []


def _template(name: str | None, signature: Signature, fresh: bool) -> Template | None:
    if name is not None:
        return find_template(name)
    found = similar(signature) if fresh else []
    known = recognised(signature) if fresh else None
    if known is not None:
        print(f"recognised by its tensors: {known.name} ({known.title}); another one: --as TEMPLATE")
        return known
    if found:
        names = ", ".join(template.name for template in found)
        print(f"the tensors have the names of {names}: if it is one of them, add --as NAME")
    return None


def _doubts_of_step(template: Template, onnx: OnnxFile) -> list[str]:
    step = template.input.get("multiple_of")
    if step and onnx.multiple_of and step % onnx.multiple_of:
        doubt = f"the network crops what is no multiple of {onnx.multiple_of}, the template has {step}"
        print(f"looks wrong: {doubt}: --set input.multiple_of={onnx.multiple_of}")
        return [doubt]
    return []


def _apply(document: dict[str, Any], args: argparse.Namespace) -> None:
    """What the command line says."""
    if args.task is not None:
        document["task"] = args.task
    if args.pixels is not None:
        if document["input"].get("dtype") == "uint8":
            raise ManifestError(
                f"expected no --pixels for an input of uint8, which takes 0 to 255, got {args.pixels}: leave "
                "it out"
            )
        document["input"].update(deepcopy(dict(PIXELS[args.pixels])))
        if document["input"].get("color") == "mono" and args.pixels == "imagenet":
            raise ManifestError(
                "--pixels imagenet is for three channels: give --set input.mean and input.std"
            )
    for text in args.set:
        _set(document, text)
    if args.licence is not None:
        document["licence"] = {"weights": args.licence}


def _set(document: dict[str, Any], text: str) -> None:
    """One --set; input.extra.NAME.role names one of a list."""
    key = text.partition("=")[0].strip()
    extra = {item["name"]: item for item in document["input"].get("extra", [])}
    parts = key.split(".")
    if parts[:2] == ["input", "extra"] and len(parts) == 4 and parts[2] in extra:
        set_key(extra[parts[2]], f"{parts[3]}={text.partition('=')[2]}")
        return
    set_key(document, text)
    if key == "input.scale":
        for name, value in (("mean", 0.0), ("std", 1.0)):
            if document["input"].get(name) == BLANK:
                document["input"][name] = value


def _artifacts(document: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """The file with its sums; other precisions that the manifest has stay."""
    said = [a.get("precision", "fp32") for a in document.get("artifacts") or [] if a.get("file") == file.name]
    precision = said[0] if said else stored_precision(file)
    item: dict[str, Any] = {"file": file.name, "sha256": sha256_of(file), "precision": precision}
    external = external_files(file)
    for name in external:
        if not (file.parent / name).is_file():
            raise ArtifactError(
                f"{file} needs the file {name} beside it, which does not exist: copy it there"
            )
    if external:
        item["external"] = [{"file": name, "sha256": sha256_of(file.parent / name)} for name in external]
    others = [a for a in document.get("artifacts") or [] if a.get("precision", "fp32") != precision]
    return [item, *others]


def _look(manifest: Manifest, path: Path) -> None:
    """Show the model a picture, print what was seen."""
    with _opened(manifest) as estimator:
        look = first_look(estimator, sample_for(manifest), others_for(manifest))
    _write(look, path)
    for doubt in look.doubts:
        print(f"looks wrong: {doubt}")


def _write(look: FirstLook, path: Path) -> None:
    picture = path.with_name(f"{path.stem}_look.png")
    files.write_image(picture, look.picture)
    print(f"{picture}: {look.summary}")


def _opened(manifest: Manifest) -> Estimator:
    config = ModelConfig(model=str(manifest.path), backend="onnxruntime")
    return Estimator(manifest, open_checked(manifest, config))


def _trial(document: Mapping[str, Any], path: Path) -> None:
    """A look with every way of giving pixels, where the blanks allow one: which way suits best is a hint."""
    trial = deepcopy(dict(document))
    trial["name"] = path.stem
    stereo = str(trial["task"]).startswith("stereo")
    if trial["task"] == BLANK:
        trial["task"] = "mono_relative_inverse_depth"
    if trial["output"].get("unit") == BLANK:
        metric = trial["task"] == "mono_metric_depth"
        trial["output"]["unit"] = "px" if stereo else "m" if metric else "relative_inverse_depth"
    if trial["output"].get("scale") == BLANK:
        trial["output"]["scale"] = 1.0
    if trial["input"].get("color") == BLANK:
        trial["input"]["color"] = "rgb"
    pixels = PIXELS if trial["input"].get("scale") == BLANK else {"as written": {}}
    looks: dict[str, FirstLook] = {}
    for name, values in pixels.items():
        if isinstance(values.get("mean"), list) and trial["input"].get("color") == "mono":
            continue
        trial["input"].update(values)
        with suppress(Recon3dError), _opened(manifest_from_dict(trial, path)) as estimator:
            looks[name] = first_look(estimator, sample_for(estimator.manifest))
    if not looks:
        return
    if (
        stereo
        and all(np.isnan(look.likeness) for look in looks.values())
        and trial["output"].get("scale", 1) == 1
    ):
        print("no value is positive: if its disparities are negative, repeat with --set output.scale=-1")
    best = max(looks, key=lambda name: np.nan_to_num(abs(looks[name].likeness), nan=-1.0))
    what = "disparity" if stereo else "depth" if trial["task"] == "mono_metric_depth" else "inverse depth"
    told = ", ".join(f"{name} {look.likeness:.2f}" for name, look in looks.items())
    print(f"a first try, taken as {what}: rank correlation with the true {what} of a picture: {told}")
    _write(looks[best], path)
