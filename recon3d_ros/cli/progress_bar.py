"""Progress on a terminal; nothing where no person looks on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from recon3d_ros.system.progress import Progress, progress_text


class _Stages(Progress):
    def __init__(self, bar: tqdm[None]) -> None:
        self._bar = bar

    def update(self, stage: str, share: float | None = None) -> None:
        self._bar.set_postfix_str(progress_text(stage, share))


@contextmanager
def show_stages(label: str) -> Iterator[Progress]:
    """Show the stage of a long piece of work behind its label, with the time since it began."""
    with tqdm(desc=label, bar_format="{desc}: {postfix} [{elapsed}]", disable=None, leave=False) as bar:
        yield _Stages(bar)
