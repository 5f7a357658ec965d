"""Manifests as YAML files: reading and writing.

An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recon3d_ros.errors import DataError, ManifestError
from recon3d_ros.files import write_text
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
    Plugin,
    TrainingSource,
)
from recon3d_ros.model_zoo.manifest_faults import Faults, keys_of
from recon3d_ros.model_zoo.points import PolarGrid
from recon3d_ros.model_zoo.tasks import INPUT_CONTRACTS, OUTPUT_CONTRACTS, UNITS_OF_TASK


def load_manifest(path: Path | str) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: not readable, not YAML, or it breaks a rule above; one sentence starting with the path.
    """
    path = Path(path)
    try:
        data = read_yaml(path)
    except DataError as exc:
        raise ManifestError(f"expected the manifest of a model: {exc}") from exc
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
        ManifestError: unknown or missing keys, or values that break a rule: one sentence with all of them.
    """
    faults = Faults()
    values = faults.keys(Manifest, data, "")
    if "task" in values and values["task"] not in UNITS_OF_TASK:
        faults.add(f"task must be one of {', '.join(UNITS_OF_TASK)}, got {values['task']!r:.60}")
    task = values["task"] if isinstance(values.get("task"), str) else ""
    if "input" in values and task in INPUT_CONTRACTS:
        values["input"] = _cloud_input(faults, INPUT_CONTRACTS[task], values["input"])
    elif "input" in values:
        given = faults.keys(InputContract, values["input"], "input")
        given["extra"] = faults.blocks(ExtraInput, given.get("extra"), "input.extra")
        values["input"] = faults.built(InputContract, given)
    if "output" in values and task in OUTPUT_CONTRACTS:
        values["output"] = faults.block(OUTPUT_CONTRACTS[task], values["output"], "output")
    elif "output" in values:
        output = faults.keys(OutputContract, values["output"], "output")
        if output.get("invalid") is not None:
            output["invalid"] = faults.block(Invalid, output["invalid"], "output.invalid")
        values["output"] = faults.built(OutputContract, output)
    if "licence" in values:
        licence = faults.keys(Licence, values["licence"], "licence")
        licence["sources"] = faults.blocks(TrainingSource, licence.get("sources"), "licence.sources")
        values["licence"] = faults.built(Licence, licence)
    values["artifacts"] = _artifacts(faults, values.get("artifacts"))
    values["accuracy"] = faults.blocks(Accuracy, values.get("accuracy"), "accuracy")
    if values.get("golden") is not None:
        values["golden"] = faults.block(Golden, values["golden"], "golden")
    values["plugins"] = faults.blocks(Plugin, values.get("plugins"), "plugins")
    faults.raise_all()
    return Manifest(**values, path=path)


def _cloud_input(faults: Faults, contract: type[InputContract], data: Any) -> InputContract | None:
    given = faults.keys(contract, data, "input")
    if isinstance(given.get("grid"), dict):
        given["grid"] = faults.block(PolarGrid, given["grid"], "input.grid")
    return faults.built(contract, given)


def _artifacts(faults: Faults, data: Any) -> tuple[Artifact, ...]:
    if isinstance(data, list):
        data = [
            {**item, "external": faults.blocks(ExternalFile, item["external"], f"artifacts[{i}].external")}
            if isinstance(item, dict) and "external" in item
            else item
            for i, item in enumerate(data)
        ]
    return faults.blocks(Artifact, data, "artifacts")


def dump_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write a manifest as YAML; reading it back gives an equal manifest.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    text = yaml.safe_dump(_plain(dataclasses.replace(manifest, path=None)), sort_keys=False, width=110)
    write_text(path, text)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts without their empty fields, tuples as lists: what YAML can hold."""
    if dataclasses.is_dataclass(value):
        items = ((name, getattr(value, name)) for name in keys_of(type(value)))
        return {name: _plain(item) for name, item in items if item not in (None, "", ())}
    if isinstance(value, Mapping):
        return {str(key): float(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
