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


class _Share(Progress):
    def __init__(self, bar: tqdm[None]) -> None:
        self._bar = bar

    def update(self, stage: str, share: float | None = None) -> None:
        self._bar.update((share or 0.0) - self._bar.n)


@contextmanager
def show_share(shown: bool = True) -> Iterator[Progress]:
    """Show a bar that fills up, with the time spent and left; `shown` is False in all processes but one."""
    style = "{percentage:3.0f} %|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, bar_format=style, disable=None if shown else True, leave=False) as bar:
        yield _Share(bar)


@contextmanager
def show_stages(label: str) -> Iterator[Progress]:
    """Show the stage of a long piece of work behind its label, with the time since it began."""
    with tqdm(desc=label, bar_format="{desc}: {postfix} [{elapsed}]", disable=None, leave=False) as bar:
        yield _Stages(bar)
