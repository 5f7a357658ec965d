"""Measured accuracy for a manifest: of the run's own held-out pairs, and of `recon3d evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recon3d_ros.errors import DataError
from recon3d_ros.model_zoo.manifest import Accuracy
from recon3d_ros.training.samples.sources import WORLD, source_name

MONO_METRICS = ("abs_rel", "rmse_m", "delta_1", "abs_rel_median", "delta_1_median")


def held_out_accuracy(checkpoint: dict[str, Any]) -> tuple[Accuracy, ...]:
    """The last validation of a training run, if it had one."""
    if not checkpoint["history"]:
        return ()
    progress = ("step", "samples", "seconds")
    last = {key: round(value, 4) for key, value in checkpoint["history"][-1].items() if key not in progress}
    run = checkpoint["run"]
    source = source_name(run.get("data", WORLD).split(",")[0].split("=")[0])
    what = "scenes, clean images" if source == WORLD else "frames, at the canonical focal length"
    return (Accuracy(source, last, f"{run['validation_pairs']} held-out {what}"),)


def read_accuracy(path: Path, model: str) -> tuple[Accuracy, ...]:
    """What `recon3d evaluate --json` measured for the fp32 file of a model of this name, per data set.

    Raises:
        DataError: The file is not of `recon3d evaluate`, or has nothing about this model.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        wholes = [(row["model"], row["precision"], row) for row in rows if row.get("scene", "all") == "all"]
        found = tuple(_accuracy(row) for name, kind, row in wholes if (name, kind) == (model, "fp32"))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DataError(
            f"expected the JSON of 'recon3d evaluate' in {path}, got {exc}: evaluate again"
        ) from exc
    if not found:
        have = ", ".join(sorted({f"{name} {kind or ''}".strip() for name, kind, _ in wholes})) or "nothing"
        raise DataError(
            f"expected scores of '{model}' in fp32 in {path}, got those of {have}: evaluate it with --json"
        )
    return found


def _accuracy(row: dict[str, Any]) -> Accuracy:
    """Shares of stereo rows and coverage are percent in the rows, and fractions in a manifest."""
    metrics = {}
    for key in ("bad_px_1", "bad_px_2", "bad_px_3", "epe_px", *MONO_METRICS, "coverage"):
        if row.get(key) is not None:
            percent = key.startswith("bad_px") or key == "coverage"
            metrics[key] = round(row[key] / (100 if percent else 1), 4)
    count = f"{row['pairs']} pairs" if "pairs" in row else f"{row['frames']} frames"
    return Accuracy(row["set"], metrics, f"mean over {count}, never trained or selected on")
