"""Groups of pixels on truths drawn by hand, and counts worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.evaluation.breakdown import BREAKDOWNS, BreakdownCollector, to_text
from recon3d_ros.geometry import DepthMap, Frame, Sample, StereoRig

HEIGHT, WIDTH = 24, 96
RIG = StereoRig.simple(WIDTH, HEIGHT, 100.0, 0.2)


def sample_of(truth: np.ndarray, image: np.ndarray | None = None) -> Sample:
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8) if image is None else image
    return Sample(Frame(0, picture, RIG.left, picture, RIG), truth.astype(np.float32), None, "")


def plane(value: float = 10.0) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), value, np.float32)


def masks_of(name: str, truth: np.ndarray, image: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return BREAKDOWNS[name](sample_of(truth, image), truth)


@pytest.mark.parametrize("sparse", [False, True])
def test_posts_are_found_by_their_width(sparse):
    truth = plane()
    widths = {20: 1, 30: 6, 50: 7, 70: 12}
    for column, width in widths.items():
        truth[:, column : column + width] = 30.0
    truth[:, 88:] = 30.0  # it goes on beyond the image: nobody knows how wide it is, but no less than 8 px
    truth[4, :] = 12.0  # 2 px nearer is no thing
    if sparse:  # what each post hides has no truth, nor has every second row
        for column in widths:
            truth[:, column - 6 : column] = np.nan
        truth[::2] = np.nan
    masks = masks_of("width", truth)
    known = np.isfinite(truth)
    expected = {name: np.zeros_like(known) for name in ("1 to 6 px", "7 to 12 px")}
    for column, width in widths.items():
        expected["1 to 6 px" if width <= 6 else "7 to 12 px"][:, column : column + width] = True
    for name, mask in expected.items():
        mask[4] = False
        np.testing.assert_array_equal(masks[name], mask & known)
    np.testing.assert_array_equal(masks["wider"], known & ~masks["1 to 6 px"] & ~masks["7 to 12 px"])


def test_width_of_a_truth_that_knows_nothing():
    masks = masks_of("width", plane(np.nan))
    assert not any(mask.any() for mask in masks.values())


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_is_that_of_all_around(channels):
    grey = np.full((HEIGHT, WIDTH), 128, np.uint8)
    grey[:, 40:60], grey[:, 60:80], grey[10, 50] = 252, 20, 100
    image = grey if channels == 1 else np.repeat(grey[..., None], 3, axis=2)
    masks = masks_of("brightness", plane(), image)
    assert masks["saturated"][0, 43:57].all() and not masks["saturated"][0, [42, 57]].any()
    assert not masks["saturated"][7:14, 47:54].any() and masks["saturated"][14, 50]
    assert masks["dark"][:, 63:77].all() and not masks["dark"][:, 62].any()
    np.testing.assert_array_equal(masks["other"], ~masks["saturated"] & ~masks["dark"])


def test_disparities_have_limits_and_no_end():
    truth = np.tile(np.arange(WIDTH, dtype=np.float32) * 2, (HEIGHT, 1))
    masks = masks_of("disparity", truth)
    assert {name: int(mask[0].sum()) for name, mask in masks.items()} == {
        "0 to 20 px": 10,
        "20 to 40 px": 10,
        "40 to 80 px": 20,
        "80 to 160 px": 40,
        "160 px and more": 16,
    }
    assert sum(mask.astype(int) for mask in masks.values()).max() == 1


def test_what_the_right_camera_cannot_see():
    truth = plane(10.0)
    truth[:, 60:80] = 24.0
    masks = masks_of("visibility", truth)
    expected = np.zeros(WIDTH, bool)
    expected[:10] = True
    np.testing.assert_array_equal(masks["outside"][3], expected)
    # The near thing covers columns 36 to 55 of the right image; what lies 10 px right of these is behind it.
    expected[:] = False
    expected[46:60] = True
    np.testing.assert_array_equal(masks["occluded"][3], expected)
    assert sum(mask.astype(int) for mask in masks.values()).min() == 1


@pytest.mark.parametrize("name", BREAKDOWNS)
def test_groups_cover_what_is_known_once(name):
    truth = np.random.default_rng(3).uniform(0, 90, (HEIGHT, WIDTH)).astype(np.float32)
    truth[5:9, 20:50] = np.nan
    masks = masks_of(name, truth)
    total = sum((mask & np.isfinite(truth)).astype(int) for mask in masks.values())
    np.testing.assert_array_equal(total, np.isfinite(truth).astype(int))


def predicted(disparity: np.ndarray, confidence: np.ndarray | None) -> DepthMap:
    return DepthMap(RIG.depth_from_disparity(disparity), RIG.left, disparity, confidence)


def test_counts_of_two_frames():
    truth = plane(10.0)
    truth[:, :48] = 50.0
    truth[12:] = np.nan
    got, confidence = truth.copy(), plane(0.9)
    got[:, 0:12] = 20.0  # more than twice too far
    got[:, 12:24] = 46.0  # wrong by 4 px
    got[:, 24:36] = np.nan
    got[:, 48:60] = 13.0  # not more than 3 px
    confidence[:, 0:6] = 0.4
    collector = BreakdownCollector(["disparity"])
    for _ in range(2):
        collector.add(sample_of(truth), predicted(got, confidence))
    (near,) = (row for row in collector.rows("set", "net", "fp32") if row["group"] == "40 to 80 px")
    assert near == {
        "model": "net",
        "precision": "fp32",
        "set": "set",
        "by": "disparity",
        "group": "40 to 80 px",
        "pixels": 2 * 12 * 48,
        "share": 50.0,
        "bad_px_3": 75.0,
        "coverage": 75.0,
        "trusted_bad_px_3": 100 * 18 / 48,
        "trusted_too_far": 100 * 6 / 48,
    }
    (far,) = (row for row in collector.rows("set", "net", "fp32") if row["group"] == "0 to 20 px")
    assert (far["bad_px_3"], far["share"]) == (0.0, 50.0)
    assert len(collector.rows("set", "net", "fp32")) == 2  # groups without pixels say nothing


def test_method_without_confidence_trusts_nothing_and_says_so():
    collector = BreakdownCollector(["disparity", "width"])
    collector.add(sample_of(plane(10.0)), predicted(plane(90.0), None))
    rows = collector.rows("set", "sgbm", None)
    assert [(row["by"], row["bad_px_3"], row["trusted_bad_px_3"]) for row in rows] == [
        ("disparity", 100.0, None),
        ("width", 100.0, None),
    ]
    json.dumps(rows)
    lines = to_text(rows).splitlines()
    assert len(lines) == 3 and lines[1].split()[-5:] == ["100.00", "100.00", "100.00", "-", "-"]


def test_methods_of_a_group_stand_together():
    rows = []
    for method in ("net", "sgbm"):
        collector = BreakdownCollector(["disparity"])
        truth = plane(10.0)
        truth[:, 40:] = 30.0
        collector.add(sample_of(truth), predicted(truth, None))
        rows += collector.rows("set", method, None)
    groups = [line.split("  ")[2:4] for line in to_text(rows).splitlines()[1:]]
    assert [" ".join(parts) for parts in groups] == sorted(" ".join(parts) for parts in groups)


def test_frames_without_disparity_are_left_out():
    sample = Sample(Frame(0, np.zeros((HEIGHT, WIDTH, 3), np.uint8), RIG.left), None, plane(2.0), "")
    collector = BreakdownCollector(["width"])
    collector.add(sample, predicted(plane(10.0), None))
    assert collector.rows("set", "net", None) == []
