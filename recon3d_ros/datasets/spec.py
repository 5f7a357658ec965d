"""Data sets as people type them: `hololens[60:80]`, `my_folder`, `run.mcap:/color/image:/depth/image`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, TypeVar

from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError

T = TypeVar("T")
_PART = re.compile(r"(?P<place>.+)\[(?P<first>\d*):(?P<end>\d*)\]")


class DatasetSpec(NamedTuple):
    """A data set and which part of it.

    Attributes:
        place: A name of the catalogue or a path.
        topics: Of a bag, where some are named.
        first: The first frame, counted from 0.
        end: The frame behind the last; None is all of them.
    """

    place: str
    topics: tuple[str, ...] = ()
    first: int = 0
    end: int | None = None

    def part_of(self, samples: LazySequence[T]) -> LazySequence[T]:
        """The part of the samples that is meant.

        Raises:
            DataError: They are fewer, or the part is empty.
        """
        end = len(samples) if self.end is None else self.end
        if (self.first, self.end) == (0, None):
            return samples
        if not self.first < end <= len(samples):
            raise DataError(
                f"expected a part within the {len(samples)} frames of {self.place}, [0:{len(samples)}], got "
                f"[{self.first}:{end}]: correct it"
            )
        return samples[self.first : end]


def parse_spec(text: str) -> DatasetSpec:
    """Take a data set's text apart; what is a path as it stands is only that. It may begin with `~/`.

    Raises:
        DataError: What stands in brackets at the end is no part.
    """
    text = os.path.expanduser(text)
    if Path(text).exists():
        return DatasetSpec(text)
    part = _PART.fullmatch(text)
    if part is None and text.endswith("]"):
        raise DataError(
            f"expected frames as [first:end], the first counted from 0 and the end left out, got {text!r}: "
            "write for example hololens[60:80]"
        )
    place, first, end = part.group("place", "first", "end") if part else (text, "", "")
    path, *topics = place.split(":/")
    return DatasetSpec(
        path, tuple(f"/{topic}" for topic in topics), int(first or 0), int(end) if end else None
    )
