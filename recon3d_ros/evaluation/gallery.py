"""Keeps predictions while a set is scored, to draw them when all methods are through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recon3d_ros.evaluation import panels
from recon3d_ros.evaluation.cloud_views import cloud_views
from recon3d_ros.evaluation.reliability import Reliability
from recon3d_ros.files import make_folder, write_image
from recon3d_ros.geometry import DepthMap, Sample

# Frames of a set whose clouds are drawn.
_CLOUDS = 2


@dataclass
class _SetPictures:
    """Of a set: samples by their place in it, and what each method predicted for them."""

    samples: dict[int, Sample] = field(default_factory=dict)
    predictions: dict[int, list[tuple[str, DepthMap]]] = field(default_factory=dict)

    @property
    def in_px(self) -> bool:
        """Whether a method predicts disparity."""
        return any(
            prediction.disparity is not None
            for predictions in self.predictions.values()
            for _, prediction in predictions
        )


class Gallery:
    """Keeps what is to be drawn of sets, for pictures in a folder and for a report page.

    Args:
        folder: For the pictures, made here; None = none are written.
        frames: So many of each set, evenly spaced, where the methods predict depth; of pairs the first.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path | None, frames: int) -> None:
        if folder is not None:
            make_folder(folder)
        self._folder, self._frames = folder, frames
        self._kept: dict[str, _SetPictures] = {}

    def recorder(self, data: str, count: int, title: str) -> Callable[[Sample, DepthMap], None]:
        """A callback for each of the `count` samples of a set, in order, and a method's depth map."""
        wanted = evenly_spaced(count, self._frames)
        kept = self._kept.setdefault(data, _SetPictures())
        place = iter(range(count))

        def watch(sample: Sample, prediction: DepthMap) -> None:
            i = next(place)
            if i == 0 or (i in wanted and prediction.disparity is None):
                kept.samples.setdefault(i, sample)
                kept.predictions.setdefault(i, []).append((title, prediction))

        return watch

    def write(self, curves: Sequence[Reliability]) -> None:
        """Write the pictures of each set, and `curves` into `<set>_calibration.png`, if there is a folder.

        Depth: `<set>.jpg` and the clouds of two of its frames in `<set>_clouds.jpg`. Disparity: the first
        pair in `<set>.png`.

        Raises:
            OutputError: a file cannot be written.
        """
        for data, stem in zip(self._kept, self._stems(self._folder) if self._folder is not None else []):
            kept = self._kept[data]
            if kept.in_px:
                write_image(
                    stem.with_name(f"{stem.name}.png"), panels.compare(kept.samples[0], kept.predictions[0])
                )
            elif kept.samples:
                self._write_depth(stem, kept)
            drawn = [curve for curve in curves if curve.data == data]
            if drawn:
                write_image(stem.with_name(f"{stem.name}_calibration.png"), panels.plot(drawn))

    def kept(self, data: str) -> Iterator[tuple[Sample, list[tuple[str, DepthMap]]]]:
        """The kept samples of a set in order, each with the title and the depth map of every method."""
        kept = self._kept.get(data, _SetPictures())
        return ((kept.samples[i], kept.predictions[i]) for i in sorted(kept.samples))

    def _stems(self, folder: Path) -> list[Path]:
        """What the names of a set's files begin with: that of its path, numbered where another set has it."""
        stems: list[Path] = []
        for data in self._kept:
            stem = folder / Path(data).name.replace(" ", "_")
            while stem in stems:
                stem = stem.with_name(f"{stem.name}_{len(stems) + 1}")
            stems.append(stem)
        return stems

    @staticmethod
    def _write_depth(stem: Path, kept: _SetPictures) -> None:
        places = sorted(kept.samples)
        samples, predictions = [kept.samples[i] for i in places], [kept.predictions[i] for i in places]
        write_image(stem.with_name(f"{stem.name}.jpg"), panels.sheet(samples, predictions))
        shown = evenly_spaced(len(places), _CLOUDS + 2)[1:-1] or [0]
        views = [cloud_views(samples[i], predictions[i]) for i in shown]
        write_image(stem.with_name(f"{stem.name}_clouds.jpg"), np.vstack(views))


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """At most `wanted` places among `count`, from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(wanted, count))})
