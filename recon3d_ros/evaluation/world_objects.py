"""Objects as they are stored: an image, its mask, the whole surface, and what our cameras see of it.

A stored object is (bytes, 1, 1) uint8: eight numbers, the image, the mask, and two clouds as little-endian
float32 in m in the optical frame.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.errors import DataError
from recon3d_ros.evaluation.world_clouds import estimated_depth
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.object_in_view import ObjectInView, visible_points
from recon3d_ros.geometry.unit_frame import ObjectView, near_middle, visible_frame

OBJECT_CHANNELS = 1
WHOLE_POINTS = 2048
PARTIAL_POINTS = 2048
OBJECT_SIZE_WH = (224, 160)
# What makes the depth of the visible part, and of how many; without a name it is exact, as of a depth camera.
OBJECT_DEPTH_SOURCES = (("recon3d_stereo_light", 0.55), ("recon3d_stereo", 0.25), ("", 0.2))
_HEAD = 8
# Of a visible part, to make anything of it.
LEAST_POINTS = 32
# What is beside an object when it is masked.
GREY = 127


def pack_object(stored: ObjectInView) -> np.ndarray:
    """As it is stored."""
    camera, (height, width) = stored.camera, stored.mask.shape
    counts = len(stored.whole), len(stored.partial)
    head = np.array([camera.fx, camera.fy, camera.cx, camera.cy, width, height, *counts], "<f4")
    clouds = [np.ascontiguousarray(cloud, "<f4").reshape(-1) for cloud in (stored.whole, stored.partial)]
    mask = np.ascontiguousarray(stored.mask, np.uint8)
    parts = [head.view(np.uint8), stored.image.reshape(-1), mask.reshape(-1)]
    return np.concatenate([*parts, *(cloud.view(np.uint8) for cloud in clouds)])[:, None, None]


def unpack_object(packed: np.ndarray) -> ObjectInView:
    """The inverse.

    Raises:
        DataError: It is none.
    """
    flat = np.ascontiguousarray(packed).reshape(-1)
    head = flat[: 4 * _HEAD].view("<f4").astype(float) if flat.size >= 4 * _HEAD else np.zeros(_HEAD)
    width, height, whole, partial = (int(value) for value in head[4:])
    sizes = np.cumsum([4 * _HEAD, 3 * width * height, width * height, 12 * whole, 12 * partial])
    if min(width, height, whole) < 1 or sizes[-1] != flat.size:
        raise DataError("expected a stored object, got other bytes: delete the folder of rendered scenes")
    image, mask, *clouds = (flat[start:end] for start, end in zip(sizes[:-1], sizes[1:]))
    whole_points, seen = (np.frombuffer(cloud.tobytes(), "<f4").reshape(-1, 3) for cloud in clouds)
    return ObjectInView(
        image.reshape(height, width, 3),
        mask.reshape(height, width).astype(bool),
        PinholeCamera.simple(width, height, head[0], head[2], head[3], fy=head[1]),
        whole_points.astype(np.float32),
        seen.astype(np.float32),
    )


def render_object(seed: int, size_wh: tuple[int, int], source: str | None = None) -> np.ndarray:
    """An object of the world as it is stored, the same for the same arguments.

    Args:
        seed: Of the object and the view of it.
        size_wh: Of the image, px.
        source: The model that makes the depth of the visible part, "" = exact depth; None draws one.
    """
    shown = world.object_sample(seed, size_wh)
    rng = np.random.default_rng([seed, 29])
    shares = [share for _, share in OBJECT_DEPTH_SOURCES]
    drawn = OBJECT_DEPTH_SOURCES[int(rng.choice(len(shares), p=shares))][0]
    source = drawn if source is None else source
    frame, exact = shown.sample.frame, shown.sample.depth
    assert exact is not None
    depth = estimated_depth(source, frame) if source else exact
    partial = visible_points(depth, shown.mask, frame.camera, PARTIAL_POINTS, rng)
    whole = thinned(shown.points, WHOLE_POINTS, rng)
    return pack_object(ObjectInView(frame.image, shown.mask, frame.camera, whole, partial))


def thinned(points: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """So many of (N, 3) points in random order; all of them, and some again, where there are fewer."""
    return points[np.resize(rng.permutation(len(points)), count)]


def point_rng(points: NDArray[np.float32]) -> np.random.Generator:
    """What chooses among the points of a held-out cloud always alike."""
    return np.random.default_rng(crc32(np.ascontiguousarray(points[:200]).tobytes()))


def shown(stored: ObjectInView, view: ObjectView, side_px: int, masked: bool = False) -> NDArray[np.uint8]:
    """(side_px, side_px, 3) uint8 RGB: what a view shows of a stored image, the object alone if masked."""
    image = stored.image
    if masked:
        image = np.where(stored.mask[..., None], image, np.uint8(GREY))
    return view.crop(image, stored.camera, side_px, GREY)


def view_and_truth(stored: ObjectInView, side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A held-out object in its box, unmasked, and its points in the unit frame; always the same."""
    view = ObjectView.of_box(stored.camera, stored.box)
    return shown(stored, view, side_px), view.frame(view.middle_m(stored.whole)).to_unit(stored.whole)


def part_and_truth(stored: ObjectInView, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What is seen of a held-out object, `count` points, and all of it, in the unit frame; as before."""
    partial = measured(stored)
    partial = partial if len(partial) >= LEAST_POINTS else stored.whole
    frame = visible_frame(partial)
    return frame.to_unit(thinned(partial, count, point_rng(partial))), frame.to_unit(stored.whole)


def measured(stored: ObjectInView) -> NDArray[np.float32]:
    """Its measured points without those of the background."""
    return stored.partial[near_middle(stored.partial)] if len(stored.partial) else stored.partial
