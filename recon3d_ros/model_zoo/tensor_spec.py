"""What a tensor of a model file is."""

from __future__ import annotations

from dataclasses import dataclass

# They differ in width only: a value of one can be given as another.
FLOATS = ("float32", "float16", "float64")


@dataclass(frozen=True)
class TensorSpec:
    """Name, NumPy dtype name and shape of a tensor; a dimension that may vary is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def known_shape(self) -> tuple[int, ...]:
        """The shape of a tensor whose sides are all known."""
        sides = tuple(side for side in self.shape if side is not None)
        assert len(sides) == len(self.shape)  # our own mistake: the shapes are not bound
        return sides

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if side is None else str(side) for side in self.shape)}]"

    def accepts(self, other: TensorSpec) -> bool:
        """True when every tensor described by ``other`` is also described by this one.

        Floats of any width describe each other.
        """
        floats = self.dtype in FLOATS and other.dtype in FLOATS
        if not (floats or self.dtype == other.dtype) or len(self.shape) != len(other.shape):
            return False
        return all(mine is None or mine == its for mine, its in zip(self.shape, other.shape, strict=True))
