"""A sequence whose elements are read from disk (or rendered) when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T], Generic[T]):
    """`load(key)` for each of `keys`; slicing keeps it lazy, nothing is cached.

    Attributes:
        note: What a reader left out, in words and with its count; empty when that is nothing.
    """

    def __init__(self, keys: Sequence[Any], load: Callable[[Any], T], note: str = "") -> None:
        self._keys = tuple(keys)
        self._load = load
        self.note = note

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> LazySequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | LazySequence[T]:
        if isinstance(index, slice):
            return LazySequence(self._keys[index], self._load, self.note)
        return self._load(self._keys[index])
