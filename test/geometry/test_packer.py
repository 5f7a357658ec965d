from __future__ import annotations

import array
import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import XYZ, XYZI, XYZRGB, PinholeCamera, PointPacker
from recon3d_ros.geometry.cloud import NORMAL
from recon3d_ros.geometry.normals import surface_curvature, surface_normals

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0]


def slow_pack(depth, image, camera):
    """The definition, point by point: bytes of x, y, z, 0x00RRGGBB."""
    packed = bytearray()
    for v, row in enumerate(depth):
        for u, z in enumerate(row):
            r, g, b = (0, 0, 0) if image is None else np.broadcast_to(image[v, u], 3)
            if np.isfinite(z) and z != 0:
                x = z * np.float32((u - camera.cx) / camera.fx)
                y = z * np.float32((v - camera.cy) / camera.fy)
            else:
                x = y = z = np.float32(np.nan)
            packed += struct.pack("<fffI", x, y, z, int(r) << 16 | int(g) << 8 | int(b))
    return np.frombuffer(bytes(packed), np.float32).reshape(*depth.shape, 4)


def same_bits(a, b):
    """Equal to the bit, except which NaN a NaN is."""
    missing = np.isnan(a[..., :3]) & np.isnan(b[..., :3])
    equal_xyz = (a[..., :3].view(np.uint32) == b[..., :3].view(np.uint32)) | missing
    return equal_xyz.all() and np.array_equal(a[..., 3].view(np.uint32), b[..., 3].view(np.uint32))


@st.composite
def scenes(draw):
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 70))
    elements = st.floats(0.125, 1000, width=32) | st.sampled_from(SPECIAL)
    depth = draw(arrays(np.float32, (height, width), elements=elements))
    shape = draw(st.sampled_from([(height, width), (height, width, 3), None]))
    image = None if shape is None else draw(arrays(np.uint8, shape))
    camera = PinholeCamera.simple(
        width, height, draw(st.floats(1, 2000)), draw(st.floats(-5, 80)), draw(st.floats(-5, 80)), 17.5
    )
    return depth, image, camera


@given(scenes())
def test_packer_equals_the_definition_bit_for_bit(scene):
    depth, image, camera = scene
    cloud = PointPacker(camera).pack(depth, image)
    assert same_bits(cloud.data, slow_pack(depth, image, camera))
    assert np.array_equal(cloud.valid, np.isfinite(depth) & (depth != 0))
    if image is not None:
        assert np.array_equal(cloud.rgb, np.broadcast_to(image.reshape(*depth.shape, -1), (*depth.shape, 3)))


@pytest.mark.parametrize(("width", "height"), [(641, 479), (333, 97), (1, 300), (300, 1)])
def test_odd_sizes_cross_every_block_border(width, height):
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.3, 20, (height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.1] = np.nan
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    camera = PinholeCamera.simple(width, height, 300.0, 0.4 * width, 0.6 * height)
    assert same_bits(PointPacker(camera).pack(depth, image).data, slow_pack(depth, image, camera))


@given(scenes())
def test_projecting_the_cloud_gives_the_pixels_back(scene):
    depth, image, camera = scene
    cloud = PointPacker(camera).pack(depth, image)
    xyz = cloud.xyz[cloud.valid].astype(np.float64)
    pixels = xyz @ camera.p[:, :3].T
    v, u = np.nonzero(cloud.valid)
    assert np.allclose(pixels[:, :2] / pixels[:, 2:], np.stack([u, v], axis=1), atol=1e-3)
    assert np.array_equal(cloud.xyz[..., 2][cloud.valid], depth[cloud.valid])


def test_rgb_bits_and_field_offsets():
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2] = (0xAB, 0xCD, 0xEF)
    cloud = PointPacker(PinholeCamera.simple(3, 2, 10.0)).pack(np.ones((2, 3), np.float32), image)
    assert cloud.data[1, 2, 3].view(np.uint32) == 0x00ABCDEF
    assert cloud.data.strides[1] == cloud.point_step == 16
    assert cloud.fields == ("x", "y", "z", "rgb")
    assert cloud.shape_hw == (2, 3)


@pytest.mark.parametrize("special", SPECIAL)
def test_what_has_no_depth_is_nan_and_keeps_its_neighbours(special):
    depth = np.full((4, 5), 2.0, np.float32)
    depth[1, 3] = special
    cloud = PointPacker(PinholeCamera.simple(5, 4, 10.0)).pack(depth)
    assert np.isnan(cloud.xyz[1, 3]).all()
    assert cloud.valid.sum() == 19 and np.isfinite(cloud.xyz[cloud.valid]).all()


def test_fills_the_given_message_buffer_and_nothing_else():
    buffer = array.array("B", bytes(6 * 7 * 16))
    out = np.frombuffer(buffer, np.float32).reshape(6, 7, 4)
    packer = PointPacker(PinholeCamera.simple(7, 6, 10.0))
    depth = np.linspace(1, 3, 42, dtype=np.float32).reshape(6, 7)
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    kept = depth.copy(), image.copy()
    cloud = packer.pack(depth, image, out=out)
    assert np.shares_memory(cloud.data, out)
    assert np.array_equal(np.frombuffer(buffer, np.float32).reshape(6, 7, 4)[..., 2], depth)
    assert np.array_equal(depth, kept[0]) and np.array_equal(image, kept[1])


def test_a_second_frame_leaves_no_trace_of_the_first():
    packer = PointPacker(PinholeCamera.simple(7, 6, 10.0))
    first = packer.pack(np.full((6, 7), 1.0, np.float32), np.full((6, 7, 3), 255, np.uint8))
    kept = first.data.copy()
    second = packer.pack(np.full((6, 7), np.nan, np.float32))
    assert not second.valid.any() and not second.rgb.any()
    assert same_bits(first.data, kept), "a cloud that was handed out does not change"


def test_views_and_slices_are_fine_as_input():
    big = np.random.default_rng(0).uniform(1, 5, (12, 14)).astype(np.float32)
    colours = np.random.default_rng(1).integers(0, 256, (12, 14, 3), np.uint8)
    depth, image = big[::2, ::2], colours[::2, ::2, ::-1]
    camera = PinholeCamera.simple(7, 6, 10.0)
    assert same_bits(PointPacker(camera).pack(depth, image).data, slow_pack(depth, image, camera))


def test_rays_are_those_of_the_rectified_projection():
    camera = PinholeCamera(
        5,
        4,
        np.diag([99.0, 99.0, 1.0]),
        np.array([-0.3, 0.1, 0, 0]),
        p=np.array([[10.0, 0, 2, -3], [0, 20, 1, 0], [0, 0, 1, 0]]),
    )
    xyz = PointPacker(camera).pack(np.full((4, 5), 2.0, np.float32)).xyz
    assert xyz[0, 0] == pytest.approx([-0.4, -0.1, 2.0])
    assert xyz[3, 4] == pytest.approx([0.4, 0.2, 2.0])


def test_wrong_shapes_are_refused():
    packer = PointPacker(PinholeCamera.simple(5, 4, 10.0))
    depth = np.ones((4, 5), np.float32)
    for call, error in (
        (lambda: packer.pack(depth.T), ImageError),
        (lambda: packer.pack(depth.astype(np.float64)), ImageError),
        (lambda: packer.pack(depth, np.zeros((5, 4, 3), np.uint8)), CalibrationError),
        (lambda: packer.pack(depth, np.zeros((4, 5, 4), np.uint8)), ImageError),
        (lambda: packer.pack(depth, out=np.empty((5, 4, 4), np.float32)), ImageError),
        (lambda: packer.pack(depth, out=np.empty((4, 5, 4), np.float64)), ImageError),
        (lambda: packer.pack(depth, confidence=depth[:3]), ImageError),
        (lambda: packer.pack(depth, sigma=depth.astype(np.float64)), ImageError),
        (lambda: PointPacker(packer.camera, ("x", "y", "z", "colour")), ImageError),
    ):
        with pytest.raises(error):
            call()


def test_a_read_only_target_is_refused():
    out = np.frombuffer(bytes(4 * 5 * 16), np.float32).reshape(4, 5, 4)
    with pytest.raises(ImageError, match="writable"):
        PointPacker(PinholeCamera.simple(5, 4, 10.0)).pack(np.ones((4, 5), np.float32), out=out)


@cache
def whole(width, height, grey):
    """An image with depth, its camera, and its points by the definition, which takes its time."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.3, 20, (height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.1] = np.nan
    image = rng.integers(0, 256, (height, width) if grey else (height, width, 3), np.uint8)
    camera = PinholeCamera.simple(width, height, 300.0, 0.4 * width, 0.6 * height)
    return depth, image, camera, slow_pack(depth, image, camera)


EVERY = (*XYZ, "sigma", "rgb", *NORMAL, "confidence", "curvature", "intensity")


@pytest.mark.parametrize("fields", [XYZ, XYZRGB, XYZI, EVERY])
@pytest.mark.parametrize(("width", "height"), [(41, 27), (333, 197)])
@pytest.mark.parametrize("decimation", [1, 2, 3, 7])
@pytest.mark.parametrize("grey", [False, True])
def test_every_field_of_every_kept_pixel_is_that_of_the_whole_image(fields, width, height, decimation, grey):
    depth, image, camera, packed = whole(width, height, grey)
    confidence, sigma = np.random.default_rng(1).random((2, height, width), np.float32)
    packer = PointPacker(camera, fields, decimation)
    cloud = packer.pack(depth, image, confidence=confidence, sigma=sigma)
    assert cloud.fields == fields and cloud.shape_hw == packer.shape_hw
    some = np.s_[::decimation, ::decimation]
    plain = packed[some]
    assert same_bits(cloud.data[..., [0, 1, 2, 2]], plain[..., [0, 1, 2, 2]])
    expected = {"confidence": confidence, "sigma": sigma}
    normals = surface_normals(depth, camera)
    expected.update(zip(NORMAL, normals), curvature=surface_curvature(depth, camera, normals))
    luma = image if grey else image @ np.array([0.299, 0.587, 0.114])
    for name in fields[3:]:
        if name == "rgb":
            np.testing.assert_array_equal(cloud["rgb"].view(np.uint32), plain[..., 3].view(np.uint32))
        elif name == "intensity":
            np.testing.assert_allclose(cloud[name], luma[some], atol=0 if grey else 0.6)
        else:
            np.testing.assert_array_equal(cloud[name], expected[name][some])


def test_what_the_model_does_not_answer_is_nan():
    packer = PointPacker(PinholeCamera.simple(7, 6, 10.0), (*XYZ, "confidence", "sigma"))
    cloud = packer.pack(np.full((6, 7), 2.0, np.float32), sigma=np.full((6, 7), 0.1, np.float32))
    assert np.isnan(cloud["confidence"]).all() and (cloud["sigma"] == np.float32(0.1)).all()
    assert cloud.valid.all()
