"""What images tell about their cameras: every fault put into healthy scenes, and no finding without one."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.datasets import euroc_raw, open_dataset
from recon3d_ros.geometry.image_checks import check_image, check_pair
from recon3d_ros.world import WorldCamera

SCENES = [("indoor", 0), ("indoor", 17), ("outdoor", 5), ("outdoor", 23)]


@cache
def pair(kind="indoor", index=0):
    """Render a healthy pair: 322x240, so odd when halved."""
    frame = WorldCamera(seed=3, kind=kind, size_wh=(322, 240)).sample(index).frame
    return frame.image, frame.right


def kinds(findings):
    return [finding.kind for finding in findings]


@pytest.fixture(params=SCENES, ids=str)
def scene(request):
    return pair(*request.param)


def test_healthy_scenes_give_no_finding(scene):
    left, right = scene
    assert check_image(left) == check_image(right) == check_pair(left, right) == []
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in scene]
    assert check_image(grey[0]) == check_pair(*grey) == []


def noisy(image, sigma=2.0):
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def finger(image):
    """Skin over the lens: an even tone with a soft gradient."""
    ramp = np.linspace(70, 110, image.shape[1])[None, :, None]
    return noisy(np.broadcast_to(ramp, image.shape) * (1.0, 0.6, 0.5))


IMAGE_FAULTS = {
    "dark": [lambda image: image // 12, lambda image: noisy(np.zeros_like(image))],
    "saturated": [lambda image: np.minimum(image.astype(int) * 6 + 60, 255).astype(np.uint8)],
    "blocked": [finger, lambda image: np.full_like(image, 90)],
    "blurred": [
        lambda image: cv2.GaussianBlur(image, (0, 0), 3.5),
        lambda image: noisy(cv2.GaussianBlur(image, (0, 0), 5)),
        lambda image: cv2.blur(image, (15, 1)),  # moved while it was exposed
    ],
}


@pytest.mark.parametrize(
    ("kind", "fault"), [(k, fault) for k, faults in IMAGE_FAULTS.items() for fault in faults]
)
def test_faults_of_one_image(scene, kind, fault):
    (finding,) = check_image(fault(scene[0]), "left image")
    assert (finding.kind, finding.subject) == (kind, "left image")
    assert finding.message.startswith("left image: expected") and "got" in finding.message


def test_blur_is_told_in_pixels(scene):
    (finding,) = check_image(cv2.GaussianBlur(scene[0], (0, 0), 4))
    assert finding.value == pytest.approx(4, abs=1.5)


def shifted(image, dy):
    return cv2.warpAffine(
        image, np.array([[1, 0, 0], [0, 1, dy]], float), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )


@pytest.mark.parametrize("dy", [-9.0, -2.0, 2.0, 6.5])
def test_vertical_error_is_told_in_pixels(scene, dy):
    (finding,) = check_pair(scene[0], shifted(scene[1], dy))
    assert finding.kind == "vertical_error"
    assert finding.value == pytest.approx(abs(dy), abs=0.4)
    assert "rectify" in finding.message


def test_a_vertical_error_below_a_pixel_is_accepted(scene):
    assert check_pair(scene[0], shifted(scene[1], 0.5)) == []


def test_a_rolled_camera_has_a_vertical_error(scene):
    height, width = scene[1].shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 2.0, 1.0)
    rolled = cv2.warpAffine(scene[1], turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    (finding,) = check_pair(scene[0], rolled)
    assert finding.kind == "vertical_error"
    assert 1.0 < finding.value < 0.035 * width / 2  # tan 2 degrees times up to half the width


def test_vertical_error_of_big_images_is_in_their_pixels():
    big = [cv2.resize(image, None, fx=4, fy=4) for image in pair()]
    (finding,) = check_pair(big[0], shifted(big[1], 10))
    assert finding.value == pytest.approx(10, abs=1)


def test_swapped(scene):
    left, right = scene
    assert kinds(check_pair(right, left)) == ["swapped"]
    crossed = np.roll(right, 40, axis=1)  # as if the principal points were 40 px apart
    assert kinds(check_pair(left, crossed)) == ["swapped"]
    assert check_pair(left, crossed, doffs_px=-40.0) == []


def test_one_lens_covered(scene):
    left, right = scene
    assert "decorrelated" in kinds(check_pair(left, finger(right)))
    assert "decorrelated" in kinds(check_pair(finger(left), right))
    (finding,) = [f for f in check_pair(left, finger(right)) if f.kind == "decorrelated"]
    assert "the right camera" in finding.message
    assert kinds(check_pair(left, noisy(np.full_like(right, 8)))) == ["exposure", "decorrelated"]


def test_two_scenes_are_no_pair():
    assert kinds(check_pair(pair("indoor", 0)[0], pair("outdoor", 5)[1])) == ["decorrelated"]


def test_other_exposure(scene):
    left, right = scene
    (finding,) = check_pair(left, (right * 0.35).astype(np.uint8))
    assert finding.kind == "exposure" and finding.value > 2


def test_the_same_image_twice(scene):
    assert kinds(check_pair(scene[0], scene[0].copy())) == ["identical"]


def test_two_dark_images_say_nothing_about_geometry():
    dark = [noisy(np.zeros((240, 320), np.uint8), 1.0 + i) for i in range(2)]
    assert set(kinds(check_pair(*dark))) <= {"exposure"}


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 260), st.integers(1, 330), st.sampled_from([None, 3])),
    fill=st.sampled_from(["zeros", "white", "noise", "ramp"]),
)
def test_any_image_is_survived(shape, fill):
    shape = tuple(size for size in shape if size)
    rng = np.random.default_rng(shape[0])
    image = {
        "zeros": lambda: np.zeros(shape, np.uint8),
        "white": lambda: np.full(shape, 255, np.uint8),
        "noise": lambda: rng.integers(0, 256, shape).astype(np.uint8),
        "ramp": lambda: np.resize(np.arange(256, dtype=np.uint8), shape),
    }[fill]()
    check_pair(image, image[::-1])
    findings = check_image(image)
    assert not findings or (shape[0] >= 120 and shape[1] >= 160)


def test_pairs_of_two_sizes_are_left_to_others():
    left, right = pair()
    assert check_pair(left, right[:-1]) == []


@pytest.mark.parametrize("name", ["kitti2012", "middlebury", "euroc"])
def test_real_pairs_give_no_finding(data_dir, name):
    samples = open_dataset(name, data_dir)
    for i in range(0, len(samples), max(1, len(samples) // 25)):
        frame = samples[i].frame
        found = [*check_image(frame.image), *check_image(frame.right)]
        found += check_pair(frame.image, frame.right, frame.rig.doffs_px)
        assert found == [], frame.name
        assert "swapped" in kinds(check_pair(frame.right, frame.image, -frame.rig.doffs_px)), frame.name


def test_unrectified_pairs_have_a_vertical_error(data_dir):
    _, raw = euroc_raw(data_dir / "video" / "euroc")
    for shot in list(raw)[:5]:
        (finding,) = check_pair(shot.left, shot.right)
        assert finding.kind == "vertical_error" and finding.value > 5
