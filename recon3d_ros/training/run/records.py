"""What a run leaves beside its checkpoint to be looked at: rows, curves, pictures, TensorBoard events."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon3d_ros.files import finite, make_folder, write_atomically, write_image
from recon3d_ros.training.run.curves import draw_curves, draw_results
from recon3d_ros.training.run.state import TrainingRun
from recon3d_ros.training.samples.tasks import ValidationResult

# Pairs in the sample picture.
EXAMPLES = 6


class Records:
    """Writes after each validation, into the folder of the run.

    `history.jsonl` (a row per validation), `losses.jsonl` (the loss of training), `curve.png`, `samples.png`,
    and `events/` for TensorBoard where the package `tensorboard` is installed. The checkpoint holds the same
    numbers, so files that a killed run left ahead of it are put right by the run that goes on.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.folder = Path(run.config.out)
        self.results: list[ValidationResult] = []
        self._events = _open_events(self.folder / "events", run.step)
        self._told = len(run.losses)

    def look(self, result: ValidationResult) -> None:
        """Keep the first pairs of a validation for the picture."""
        if len(self.results) < EXAMPLES:
            self.results.append(result)

    def write(self, run: TrainingRun) -> None:
        """Write all after a validation.

        Raises:
            OutputError: The disk is full or the folder not writable.
        """
        make_folder(self.folder)
        curve = [{"step": step, "loss": loss} for step, loss in run.losses]
        for name, rows in (("history.jsonl", run.history), ("losses.jsonl", curve)):
            write_atomically(self.folder / name, b"".join(_line(row) for row in rows))
        write_image(self.folder / "curve.png", draw_curves(run.losses, run.history))
        samples = draw_results(self.results)
        write_image(self.folder / "samples.png", samples)
        if self._events is not None:
            for step, loss in run.losses[self._told :]:
                self._events.add_scalar("train/loss", loss, int(step))
            for key, value in run.history[-1].items():
                self._events.add_scalar(f"held_out/{key}", value, run.step)
            self._events.add_image("held_out/samples", samples, run.step, dataformats="HWC")
            self._events.flush()
        self._told = len(run.losses)
        self.results.clear()

    def close(self) -> None:
        """Give the file of events back."""
        if self._events is not None:
            self._events.close()


def _line(row: Mapping[str, float]) -> bytes:
    return (json.dumps(finite(row), allow_nan=False) + "\n").encode()


def _open_events(folder: Path, step: int) -> Any:
    """A `SummaryWriter` that forgets what was written from `step` on, or None without the package."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)
