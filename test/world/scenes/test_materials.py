"""Materials are what a scene can be made of: textures of the atlas, colours in range, by the seed alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recon3d_ros.world.scenes import materials, thin_objects
from recon3d_ros.world.scenes.scene import Material
from recon3d_ros.world.textures.atlas import texture_atlas
from recon3d_ros.world.textures.cutouts import CUTOUTS

MAKERS: list[Callable[[np.random.Generator], Material]] = [
    materials.wall,
    materials.floor,
    materials.wood,
    materials.fabric,
    materials.plastic,
    materials.metal,
    materials.paper,
    materials.carton,
    materials.wild,
    thin_objects.rod_material,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_material_can_be_rendered_and_comes_from_its_seed(make) -> None:
    count = sum(len(textures) for textures in texture_atlas().names.values())
    cut = {texture for group in CUTOUTS for texture in texture_atlas().names[group]}
    seen = []
    for seed in range(30):
        material, again = (make(np.random.default_rng(seed)) for _ in range(2))
        assert material == again
        row = np.array(material.row(np.array([0.5, 0.4])))
        assert np.isfinite(row).all()
        assert 0 <= material.texture < count and material.texture not in cut and 0 <= material.detail < count
        assert 0 <= min(material.low + material.high) and max(material.low + material.high) <= 1
        assert 0 <= material.gloss <= 1 and 0 <= material.mirror <= 1 and material.shininess > 0
        seen.append(material)
    assert len(set(seen)) > 20


@pytest.mark.parametrize(("make", "group"), [(materials.leaves, "foliage"), (materials.cut, "mesh")])
def test_cut_outs_are_stretched_over_their_patch(make, group: str) -> None:
    material = make(np.random.default_rng(2), group)
    assert material.tile_m is None and material.texture in texture_atlas().names[group]


def test_colours_and_their_darker_tones_stay_in_range() -> None:
    assert materials.hsv(1.0, 1.0, 1.0) == materials.hsv(0.0, 2.0, 1.5) == (1.0, 0.0, 0.0)
    assert materials.darker((0.5, 0.8, 1.0), 0.5) == (0.25, 0.4, 0.5)
    assert materials.darker((0.5, 0.8, 1.0), 2.0) == (1.0, 1.0, 1.0)


def test_contrast_is_the_distance_of_the_dark_tone() -> None:
    material = materials.surface(np.random.default_rng(0), ("wood",), (0.8, 0.6, 0.4), contrast=0.25)
    assert material.low == pytest.approx((0.6, 0.45, 0.3)) and material.high == (0.8, 0.6, 0.4)
    assert material.texture in texture_atlas().names["wood"]


def test_polished_keeps_the_material_and_adds_what_mirrors() -> None:
    rng = np.random.default_rng(1)
    dull = materials.wood(rng)
    polished = materials.polished(rng, dull)
    assert polished.mirror > dull.mirror == 0.0
    assert (polished.texture, polished.high, polished.tile_m) == (dull.texture, dull.high, dull.tile_m)
