"""Manifests as YAML files: reading and writing.

An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from recon3d_ros.errors import DataError, ManifestError
from recon3d_ros.files import write_atomically
from recon3d_ros.files.yaml_document import read_yaml
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput, Invalid
from recon3d_ros.model_zoo.manifest import (
    Accuracy,
    Artifact,
    ExternalFile,
    Golden,
    Licence,
    Manifest,
    TrainingSource,
)

_T = TypeVar("_T")


def load_manifest(path: Path | str) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: not readable, not YAML, or it breaks a rule above; one sentence starting with the path.
    """
    path = Path(path)
    try:
        data = read_yaml(path)
    except DataError as exc:
        raise ManifestError(f"cannot read the model manifest: {exc}") from exc
    try:
        manifest = manifest_from_dict(data, path)
        if manifest.name != path.stem:
            raise ManifestError(f"name must equal the file name: expected {path.stem}, got {manifest.name}")
    except ManifestError as exc:
        raise ManifestError(f"{path}: {exc}") from exc
    return manifest


def manifest_from_dict(data: Any, path: Path | None = None) -> Manifest:
    """Build a manifest from the content of its YAML.

    Raises:
        ManifestError: unknown or missing key, or a value that breaks a rule.
    """
    values = _checked_keys(Manifest, data, "")
    values.pop("path", None)
    given = _checked_keys(InputContract, values["input"], "input")
    given["extra"] = _build_all(ExtraInput, given.get("extra"), "input.extra")
    values["input"] = InputContract(**given)
    output = _checked_keys(OutputContract, values["output"], "output")
    if output.get("invalid") is not None:
        output["invalid"] = _build(Invalid, output["invalid"], "output.invalid")
    values["output"] = OutputContract(**output)
    licence = _checked_keys(Licence, values["licence"], "licence")
    licence["sources"] = _build_all(TrainingSource, licence.get("sources"), "licence.sources")
    values["licence"] = Licence(**licence)
    values["artifacts"] = _artifacts(values.get("artifacts"))
    values["accuracy"] = _build_all(Accuracy, values.get("accuracy"), "accuracy")
    if values.get("golden") is not None:
        values["golden"] = _build(Golden, values["golden"], "golden")
    return Manifest(**values, path=path)


def _artifacts(data: Any) -> tuple[Artifact, ...]:
    if isinstance(data, list):
        data = [
            {**item, "external": _build_all(ExternalFile, item["external"], f"artifacts[{i}].external")}
            if isinstance(item, dict) and "external" in item
            else item
            for i, item in enumerate(data)
        ]
    return _build_all(Artifact, data, "artifacts")


def dump_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write a manifest as YAML; reading it back gives an equal manifest.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    text = yaml.safe_dump(_plain(dataclasses.replace(manifest, path=None)), sort_keys=False, width=110)
    write_atomically(path, text.encode())


def _build(cls: type[_T], data: Any, where: str) -> _T:
    return cls(**_checked_keys(cls, data, where))


def _build_all(cls: type[_T], data: Any, where: str) -> tuple[_T, ...]:
    if data is not None and not isinstance(data, list):
        raise ManifestError(f"{where} must be a list, got {data!r}")
    return tuple(_build(cls, item, f"{where}[{i}]") for i, item in enumerate(data or []))


def _checked_keys(cls: type, data: Any, where: str) -> dict[str, Any]:
    """Copy of a YAML mapping whose keys are all fields of ``cls`` and hold every required one."""
    if not isinstance(data, dict):
        raise ManifestError(f"{where or 'a manifest'} must be a mapping of keys to values, got {data!r:.60}")
    fields = [f for f in dataclasses.fields(cls) if f.name != "path"]
    known = [f.name for f in fields]
    prefix = f"{where}." if where else ""
    for key in data:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise ManifestError(f"unknown key {prefix}{key}, the nearest known key is {prefix}{nearest}")
    required = [f.name for f in fields if f.default is dataclasses.MISSING]
    for key in required:
        if key not in data:
            hint = ", get it with sha256sum" if key == "sha256" else ""
            raise ManifestError(f"key {prefix}{key} is missing{hint}")
    return dict(data)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts without their empty fields, tuples as lists: what YAML can hold."""
    if dataclasses.is_dataclass(value):
        items = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: _plain(item) for name, item in items if item not in (None, "", ())}
    if isinstance(value, Mapping):
        return {str(key): float(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
