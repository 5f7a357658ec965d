"""All that is wrong with the content of a manifest, not only the first thing."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput, Invalid
from recon3d_ros.model_zoo.manifest import (
    Accuracy,
    Artifact,
    ExternalFile,
    Golden,
    Licence,
    Plugin,
    TrainingSource,
)
from recon3d_ros.model_zoo.points import LabelOutputContract, PointInputContract, PolarGrid
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract

# What stands in for a missing or wrong value while the others of its block are checked.
_SOUND: Mapping[type, Mapping[str, Any]] = {
    InputContract: {"names": "x", "multiple_of": 1},
    ExtraInput: {"name": "x", "role": "K"},
    OutputContract: {"name": "x", "unit": "m"},
    Invalid: {"name": "x", "above": 0.0},
    Artifact: {"file": "x", "sha256": "0" * 64},
    ExternalFile: {"file": "x", "sha256": "0" * 64},
    Plugin: {"file": "x", "sha256": "0" * 64},
    Golden: {"file": "x", "sha256": "0" * 64},
    Licence: {"weights": "x"},
    TrainingSource: {"name": "x", "licence": "x"},
    Accuracy: {"data": "x", "metrics": {}},
    PointInputContract: {},
    PolarGrid: {},
    LabelOutputContract: {},
    PartialInputContract: {},
    ShapeOutputContract: {},
}
_BLOCKS = {"input": InputContract, "output": OutputContract, "licence": Licence, "golden": Golden}

_T = TypeVar("_T")


class Faults:
    """Gathers what is wrong while the blocks of a manifest are built."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, fault: str) -> None:
        """One more sentence."""
        self._found.append(fault)

    def raise_all(self) -> None:
        """End here if anything is wrong.

        Raises:
            ManifestError: with everything, each once.
        """
        if self._found:
            raise ManifestError("; ".join(dict.fromkeys(self._found)))

    def keys(self, cls: type, data: Any, where: str) -> dict[str, Any]:
        """The keys of a mapping that are fields of a class; any other one, and a missing one, is a fault."""
        if not isinstance(data, dict):
            self.add(f"{where or 'a manifest'} must be a mapping of keys to values, got {data!r:.60}")
            return {}
        fields = [f for f in dataclasses.fields(cls) if f.name in keys_of(cls)]
        known = [f.name for f in fields]
        prefix = f"{where}." if where else ""
        for key in data:
            if key not in known:
                self.add(f"unknown key {prefix}{key}, {_nearest(str(key), known, where)}")
        for field in fields:
            if field.default is dataclasses.MISSING and field.name not in data:
                hint = ", get it with sha256sum" if field.name == "sha256" else ""
                self.add(f"key {prefix}{field.name} is missing{hint}")
        return {key: value for key, value in data.items() if key in known}

    def built(self, cls: type[_T], values: dict[str, Any]) -> _T | None:
        """Build a block; None when it is wrong, with a fault for each value that is."""
        left = {**{k: v for k, v in _SOUND[cls].items() if _is_required(cls, k)}, **values}
        for _ in range(len(left) + 1):
            try:
                return cls(**left)
            except ManifestError as exc:
                self.add(str(exc))
                better = _without_cause(cls, left, str(exc))
                if better is None:
                    return None
                left = better
        return None

    def block(self, cls: type[_T], data: Any, where: str) -> _T | None:
        """Check the keys of a mapping and build it."""
        values = self.keys(cls, data, where)
        return self.built(cls, values) if isinstance(data, dict) else None

    def blocks(self, cls: type[_T], data: Any, where: str) -> tuple[_T, ...]:
        """The same for a list of them."""
        if data is not None and not isinstance(data, list):
            self.add(f"{where} must be a list, got {data!r:.60}")
            return ()
        found = [self.block(cls, item, f"{where}[{i}]") for i, item in enumerate(data or [])]
        return tuple(item for item in found if item is not None)


def keys_of(cls: type) -> tuple[str, ...]:
    """The keys of a block of the YAML."""
    names = tuple(f.name for f in dataclasses.fields(cls) if f.name != "path")
    keys: tuple[str, ...] = getattr(cls, "KEYS", names)
    return keys


def _without_cause(cls: type, values: dict[str, Any], fault: str) -> dict[str, Any] | None:
    """The values without the one that makes this fault; None when it is no single one."""
    changed = None
    for key in values:
        other = {name: value for name, value in values.items() if name != key}
        if key in _SOUND[cls] and values[key] != _SOUND[cls][key]:
            other[key] = _SOUND[cls][key]
        elif _is_required(cls, key):
            continue
        try:
            cls(**other)
        except ManifestError as exc:
            if str(exc) != fault and changed is None:
                changed = other
        else:
            return other
    return changed


def _is_required(cls: type, key: str) -> bool:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    return fields[key].default is dataclasses.MISSING


def _nearest(key: str, known: list[str], where: str) -> str:
    """The nearest key of the same block, or the block that has just this one."""
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    homes = [name for name, cls in _BLOCKS.items() if key in {f.name for f in dataclasses.fields(cls)}]
    if homes and not nearest and where not in homes:
        return f"which belongs under {' or '.join(homes)}"
    nearest = nearest or difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"the nearest known key is {where}{'.' if where else ''}{nearest[0]}"
