"""Measured accuracy for a manifest: of the run's own held-out pairs, and of `recon3d evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recon3d_ros.errors import DataError
from recon3d_ros.manifest import Accuracy


def held_out_accuracy(checkpoint: dict[str, Any]) -> tuple[Accuracy, ...]:
    """The last validation of a training run, if it had one."""
    if not checkpoint["history"]:
        return ()
    last = checkpoint["history"][-1]
    metrics = {
        key: round(value, 4) for key, value in last.items() if key.startswith("bad_px") or key == "epe_px"
    }
    return (
        Accuracy("world", metrics, f"{checkpoint['run']['validation_pairs']} held-out scenes, clean images"),
    )


def read_accuracy(path: Path, model: str) -> tuple[Accuracy, ...]:
    """What `recon3d evaluate --json` measured for a model of this name, one entry per data set.

    Raises:
        DataError: The file is not of `recon3d evaluate`, or has nothing about this model.
    """
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
        rows = [row for row in sets if Path(row["method"]).stem == model]
        found = tuple(_accuracy(row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DataError(
            f"expected the JSON of 'recon3d evaluate' in {path}, got {exc}: evaluate again"
        ) from exc
    if not found:
        have = ", ".join(sorted({row["method"] for row in sets})) or "nothing"
        raise DataError(
            f"expected scores of '{model}' in {path}, got those of {have}: evaluate it with --json"
        )
    return found


def _accuracy(row: dict[str, Any]) -> Accuracy:
    wanted = ("bad_px_1", "bad_px_2", "bad_px_3", "epe_px", "coverage")
    metrics = {key: round(row["metrics"][key], 4) for key in wanted if row["metrics"].get(key) is not None}
    return Accuracy(row["data"], metrics, f"mean over {row['frames']} pairs, never trained or selected on")
