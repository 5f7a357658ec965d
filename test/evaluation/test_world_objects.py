from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.evaluation.world_objects import (
    GREY,
    WHOLE_POINTS,
    measured,
    pack_object,
    part_and_truth,
    render_object,
    shown,
    thinned,
    unpack_object,
    view_and_truth,
)
from recon3d_ros.geometry.unit_frame import ObjectView
from recon3d_ros.metrics import nearest_distances

SIZE_WH = (112, 80)


def test_what_is_packed_comes_back():
    packed = render_object(0, SIZE_WH, source="")
    one = unpack_object(packed)
    assert packed.dtype == np.uint8 and packed.shape[1:] == (1, 1)
    assert one.image.shape == (80, 112, 3) and one.whole.shape == (WHOLE_POINTS, 3)
    assert np.array_equal(pack_object(one), packed)
    for broken in (packed[:-1], packed[:5], np.zeros_like(packed)):
        with pytest.raises(DataError, match="expected a stored object"):
            unpack_object(broken)


def test_exact_depth_lies_on_the_surface_and_that_of_a_network_about_there():
    pytest.importorskip("onnxruntime")
    exact, noisy = (unpack_object(render_object(20, SIZE_WH, source=s)) for s in ("", "recon3d_stereo_light"))
    size = float(np.ptp(exact.whole, axis=0).max())
    assert np.array_equal(exact.whole, noisy.whole) and np.array_equal(exact.image, noisy.image)
    far = [float(np.median(nearest_distances(measured(one), one.whole)[0])) for one in (exact, noisy)]
    assert far[0] < 0.03 * size and far[0] < far[1] < 0.5 * size


def test_held_out_objects_are_always_shown_alike():
    one = unpack_object(render_object(4, SIZE_WH, source=""))
    (image, points), (again, same) = (view_and_truth(one, 48) for _ in range(2))
    assert np.array_equal(image, again) and np.array_equal(points, same) and image.shape == (48, 48, 3)
    part, whole = part_and_truth(one, 77)
    assert part.shape == (77, 3) and np.array_equal(part, part_and_truth(one, 77)[0])
    assert np.median(nearest_distances(part, whole)[0]) < 0.1
    masked = shown(one, ObjectView.of_box(one.camera, one.box), 48, masked=True)
    assert (masked == GREY).all(axis=2).mean() > (image == GREY).all(axis=2).mean() + 0.1


def test_few_points_are_repeated_and_many_thinned():
    points = np.arange(15, dtype=np.float32).reshape(5, 3)
    more, fewer = (thinned(points, count, np.random.default_rng(0)) for count in (8, 3))
    assert more.shape == (8, 3) and np.array_equal(np.unique(more[:5], axis=0), points)
    assert len(np.unique(fewer, axis=0)) == 3
