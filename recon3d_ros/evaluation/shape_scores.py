"""How near networks come to whole objects, beside the mean shape and the nearest training shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.estimation.completion import ObjectCompleter
from recon3d_ros.estimation.objects import ObjectModel
from recon3d_ros.evaluation.world_objects import (
    OBJECT_SIZE_WH,
    WHOLE_POINTS,
    part_and_truth,
    point_rng,
    render_object,
    shown,
    thinned,
    unpack_object,
    view_and_truth,
)
from recon3d_ros.files.text_table import aligned
from recon3d_ros.geometry.object_in_view import ObjectInView
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.metrics import nearest_distances, shape_metrics

Points = NDArray[np.float32]
# What a method makes of an object: points in the same unit frame as the truth.
Method = Callable[[ObjectInView], Points]
# All points of an object in that frame.
Truth = Callable[[ObjectInView], Points]
# Of the world: what trains has seeds from here on, and so many views of it stand for all.
TRAINING_SEED, LIBRARY_VIEWS = 1_000_000, 400
# Of the world: objects that neither train nor select weights.
TEST_SEED, TEST_VIEWS = 800_000, 200
# Points of a visible part that find the nearest one, and the side of a mask that does.
_PROBE_POINTS, _PROBE_PX = 128, 32


def test_objects(count: int = TEST_VIEWS) -> Iterable[ObjectInView]:
    """Objects of the world that nothing was trained or selected on; every fourth view is of another shape."""
    for k in range(count):
        yield unpack_object(render_object(TEST_SEED + k, OBJECT_SIZE_WH))


def training_objects(count: int = LIBRARY_VIEWS) -> list[ObjectInView]:
    """Objects of the world that train, one view of each shape and then the next, for the baselines."""
    return [unpack_object(render_object(TRAINING_SEED + k, OBJECT_SIZE_WH)) for k in range(count)]


def of_images(model: ObjectModel, masked: bool = False) -> Method:
    """A network of the task `point_set`, shown the box around the object, or the object alone."""

    def method(one: ObjectInView) -> Points:
        view = ObjectView.of_box(one.camera, one.box)
        return model.unit_points(shown(one, view, model.side_px, masked))

    return method


def of_parts(model: ObjectCompleter) -> Method:
    """A network of the task `completion`."""
    count = model.manifest.completion_contracts[0].count
    return lambda one: model.unit_points(part_and_truth(one, count)[0])


def image_baselines(library: Sequence[ObjectInView]) -> dict[str, Method]:
    """`mean shape`; `nearest image`, of the training view whose crop is most alike; `nearest mask`.

    The last is of the training view whose outline has most in common with the object's. The outline is more
    than the network is shown.
    """
    wholes = [view_and_truth(one, _PROBE_PX)[1] for one in library]
    masks = np.stack([_outline(one) for one in library])
    images = np.stack([_small(one) for one in library])
    mean = mean_shape(wholes)

    def alike(one: ObjectInView) -> Points:
        return wholes[int(np.argmin(np.square(images - _small(one)).sum(axis=1)))]

    def nearest(one: ObjectInView) -> Points:
        own = _outline(one)
        both = np.minimum(masks, own).sum(axis=1)
        return wholes[int(np.argmax(both / np.maximum(masks, own).sum(axis=1)))]

    return {"mean shape": lambda one: mean, "nearest image": alike, "nearest mask": nearest}


def part_baselines(library: Sequence[ObjectInView], count: int) -> dict[str, Method]:
    """`visible part` as it is, `mean shape`, and `nearest part`: the whole of the most similar part."""
    pairs = [part_and_truth(one, count) for one in library]
    wholes, probes = [whole for _, whole in pairs], [_probe(part) for part, _ in pairs]
    mean = mean_shape(wholes)

    def nearest(one: ObjectInView) -> Points:
        own = _probe(part_and_truth(one, count)[0])
        apart = [sum(float(side.mean()) for side in nearest_distances(own, probe)) for probe in probes]
        return wholes[int(np.argmin(apart))]

    return {
        "visible part": lambda one: part_and_truth(one, count)[0],
        "mean shape": lambda one: mean,
        "nearest part": nearest,
    }


def mean_shape(wholes: Sequence[Points]) -> Points:
    """The best of what is the same for every object: all points together, or the shape in their middle.

    By the mean Chamfer distance to (at most 60 of) them.
    """
    rng = np.random.default_rng(0)
    some = [thinned(whole, 256, rng) for whole in wholes[:: max(1, len(wholes) // 60)]]
    together = thinned(np.concatenate(wholes), WHOLE_POINTS, rng)
    candidates = [together, *wholes[:: max(1, len(wholes) // 40)]]
    scores = [
        np.mean([shape_metrics(thinned(shape, 512, rng), one)["chamfer"] for one in some])
        for shape in candidates
    ]
    return candidates[int(np.argmin(scores))]


def _outline(one: ObjectInView) -> NDArray[np.float32]:
    view = ObjectView.of_box(one.camera, one.box)
    mask = np.where(one.mask, np.uint8(255), np.uint8(0))
    return (view.crop(mask, one.camera, _PROBE_PX, 0) / np.float32(255)).reshape(-1)


def _small(one: ObjectInView) -> NDArray[np.float32]:
    """The crop of an object at the size of a thumbnail, its mean and contrast taken away."""
    image, _ = view_and_truth(one, _PROBE_PX)
    values = image.astype(np.float32).reshape(-1)
    return (values - values.mean()) / max(float(values.std()), 1.0)


def _probe(part: Points) -> Points:
    return thinned(part, _PROBE_POINTS, point_rng(part))


@dataclass(frozen=True)
class ShapeScore:
    """Means of one method over the objects of a set; by kind where the set has kinds."""

    data: str
    method: str
    objects: int
    chamfer: float
    f_score: float

    def to_row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "set": self.data,
            "model": self.method,
            "objects": self.objects,
            "chamfer": self.chamfer,
            "f_score": self.f_score,
        }


def score_shapes(
    data: str,
    objects: Iterable[ObjectInView],
    methods: Mapping[str, Method],
    truth_of: Truth,
    look: Callable[[ObjectInView, Mapping[str, Points]], None] = lambda one, found: None,
) -> list[ShapeScore]:
    """Score methods on the same objects.

    Args:
        data: Name of the set.
        objects: Of the set.
        methods: By name.
        truth_of: All points of an object in the unit frame of the methods.
        look: Gets each object, and what each method made of it.
    """
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for one in objects:
        truth = truth_of(one)
        found = {name: method(one) for name, method in methods.items()}
        for name, points in found.items():
            metrics = shape_metrics(points, truth)
            rows[name].append((metrics["chamfer"], metrics["f_score"]))
        look(one, found)
    return [
        ShapeScore(data, name, len(values), *(float(mean) for mean in np.mean(values, axis=0)))
        for name, values in rows.items()
    ]


def to_text(scores: Sequence[ShapeScore]) -> str:
    """The scores as a table: Chamfer x 1000 in units of the object's frame, F-score in percent."""
    head = ["set", "model", "objects", "chamfer x 1000", "f_score %"]
    rows = [
        [s.data, s.method, str(s.objects), f"{1000 * s.chamfer:.1f}", f"{100 * s.f_score:.1f}"]
        for s in scores
    ]
    return "\n".join(aligned([head, *rows], left=2))
