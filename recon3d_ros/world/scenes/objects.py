"""Which single objects there are: furniture, vehicles, plants, vessels, solids; all stand on z = 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.world.scenes import furniture, street_furniture, thin_objects, vessels
from recon3d_ros.world.scenes.scene import Scene, SceneBuilder

Rng = np.random.Generator

#: name -> what adds one, and how often it is drawn.
OBJECTS: dict[str, tuple[Callable[[SceneBuilder, Rng], object], float]] = {
    "chair": (furniture.chair, 0.1),
    "table": (furniture.table, 0.08),
    "sofa": (furniture.sofa, 0.07),
    "cabinet": (furniture.cabinet, 0.05),
    "shelf": (furniture.shelf, 0.04),
    "lamp": (lambda b, rng: furniture.lamp(b, rng, rng.uniform(0.4, 1.6)), 0.04),
    "stool": (lambda b, rng: thin_objects.stand(b, rng, rng.uniform(0.4, 1.2)), 0.03),
    "car": (lambda b, rng: street_furniture.car(b, rng, vans=0.0), 0.1),
    "van": (lambda b, rng: street_furniture.car(b, rng, vans=1.0), 0.04),
    "cart": (vessels.cart, 0.06),
    "person": (street_furniture.person, 0.04),
    "plant": (lambda b, rng: furniture.plant(b, rng, rng.uniform(0.3, 1.6)), 0.06),
    "bush": (lambda b, rng: street_furniture.bush(b, rng, rng.uniform(0.5, 2.0)), 0.03),
    "tree": (lambda b, rng: street_furniture.tree(b, rng, rng.uniform(2.0, 6.0)), 0.04),
    "cup": (vessels.cup, 0.08),
    "bottle": (vessels.bottle, 0.05),
    "vase": (vessels.vase, 0.04),
    "pot": (vessels.pot, 0.05),
    "thing": (lambda b, rng: furniture.thing(b, rng, rng.uniform(0.1, 0.8)), 0.05),
    "composed": (vessels.composed, 0.1),
}


def random_object(rng: Rng) -> tuple[str, SceneBuilder]:
    """A random object at the origin: the key of `OBJECTS`, and a builder with its primitives alone."""
    names, weights = list(OBJECTS), np.array([weight for _, weight in OBJECTS.values()])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    b = SceneBuilder()
    OBJECTS[name][0](b, rng)
    return name, b


def bounds(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner (3,) of the boxes around a scene's primitives, m."""
    signs = np.array([[u, v, n] for u in (-1, 1) for v in (-1, 1) for n in (-1, 1)], np.float64)
    local = signs[None] * scene.half[:, None, :]
    local[:, :, 2] += scene.middle[:, None]
    corners = (scene.origin[:, None, :] + local @ scene.axes).reshape(-1, 3)
    return corners.min(axis=0), corners.max(axis=0)
