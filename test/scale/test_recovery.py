"""The scale over time: what is told, refused, forgotten and withheld."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recon3d_ros.config import ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.scale import Anchors, Mount, Scale, ScaleRecovery, from_depth_image, from_range

CAMERA = PinholeCamera.simple(61, 47, fx=50.0)
S = 1_000_000_000
V, U = np.mgrid[:47, :61]
TRUTH = (1.5 + U / 30 + V / 90).astype(np.float32)


def estimate(factor: float = 1.0, sigma: float | None = None) -> DepthMap:
    """The truth, too small by the factor."""
    depth = (TRUTH / np.float32(factor)).astype(np.float32)
    return DepthMap(depth, CAMERA, sigma_m=None if sigma is None else np.full_like(depth, sigma))


def relative(a: float, b: float) -> DepthMap:
    """1 / truth = a value + b."""
    values = ((1 / TRUTH - b) / a).astype(np.float32)
    return DepthMap(np.full_like(values, np.nan), CAMERA, relative_depth=values)


def scan(gain: float = 1.0, count: int = 16, source: str = "scan", seed: int = 0) -> Anchors:
    v, u = np.random.default_rng(seed).integers(0, (47, 61), (count, 2)).T
    return Anchors(source, u, v, TRUTH[v, u] * gain, np.full(count, 0.02), 0.01)


def recovery(*sources: str, **options: object) -> ScaleRecovery:
    return ScaleRecovery(ScaleConfig(scale_sources=sources, **options))


def test_a_factor_is_told_applied_and_carries_its_uncertainty():
    found = recovery("scan").update(0, estimate(1.6), [scan()])
    assert found.trusted and found.sources == ("scan",) and found.inliers == {"scan": 16}
    assert found.age_s == 0 and found.reason == "" and found.shift == 0
    assert found.scale == pytest.approx(1.6, rel=0.01) and 0.01 < found.sigma < 0.06
    before = estimate(1.6, sigma=0.1)
    kept = before.depth.copy()
    after = found.apply(before)
    np.testing.assert_allclose(after.depth, TRUTH, rtol=0.01)
    expected = np.hypot(0.1 * found.scale, after.depth * found.sigma)
    np.testing.assert_allclose(after.sigma_m, expected, rtol=1e-5)
    np.testing.assert_array_equal(before.depth, kept)


@pytest.mark.parametrize("gain", [0.5, 2.0, 3.7])
def test_the_size_of_the_answer_does_not_matter(gain):
    plain, other = recovery("scan"), recovery("scan")
    for i in range(5):
        known = [scan(gain=1 + 0.05 * i, seed=i)]
        one = plain.update(i * S // 10, estimate(1.3), known).apply(estimate(1.3))
        two = other.update(i * S // 10, estimate(1.3 * gain), known).apply(estimate(1.3 * gain))
        np.testing.assert_allclose(one.depth, two.depth, rtol=1e-5)


def test_scale_and_shift_of_relative_inverse_depth():
    found = recovery("scan").update(0, relative(0.4, -0.3), [scan()])
    assert found.scale == pytest.approx(0.4, rel=0.02) and found.shift == pytest.approx(-0.3, abs=0.02)
    after = found.apply(relative(0.4, -0.3))
    np.testing.assert_allclose(after.depth, TRUTH, rtol=0.03)
    assert found.trusted and after.relative_depth is not None


@pytest.mark.parametrize("rows", [0, 8, 20])
def test_a_sky_does_not_make_the_ground_unknown(rows):
    """Its inverse depth is 0 in truth, and a little more or less by the fit."""
    values = relative(0.4, -0.3).relative_depth.copy()
    values[:rows] = (0.0 + 0.3) / 0.4
    values *= np.exp(np.random.default_rng(1).normal(0, 0.02, values.shape)).astype(np.float32)
    v, u = np.random.default_rng(2).integers((rows, 0), (47, 61), (40, 2)).T
    known = Anchors("points", u, v, TRUTH[v, u], np.full(40, 0.02), 0.01)
    estimate = DepthMap(np.full_like(values, np.nan), CAMERA, relative_depth=values)
    found = recovery("points").update(0, estimate, [known])
    assert found.trusted and found.sigma < 0.15
    np.testing.assert_allclose(np.nanmedian(found.apply(estimate).depth[rows:] / TRUTH[rows:]), 1, atol=0.05)


def test_relative_inverse_depth_that_is_not_positive_is_no_depth():
    scale = Scale(1.0, -0.5, 0.1, ("scan",), {"scan": 9}, 0.0, True, "")
    values = np.full((47, 61), 0.6, np.float32)
    values[0], values[1], values[2] = 0.5, -1, np.nan
    depth = scale.apply(DepthMap(np.full_like(values, np.nan), CAMERA, relative_depth=values)).depth
    assert np.isnan(depth[:3]).all()
    np.testing.assert_allclose(depth[3:], 10.0, rtol=1e-5)


def test_depth_is_withheld_until_the_scale_is_known():
    follow = recovery("scan", "range")
    found = follow.update(0, estimate(1.6, 0.1))
    assert not found.trusted and math.isnan(found.scale) and math.isinf(found.sigma)
    assert "scan: no reading" in found.reason and "range: no reading" in found.reason
    assert "no depth is published" in found.reason
    after = found.apply(estimate(1.6, 0.1))
    assert np.isnan(after.depth).all() and np.isnan(after.sigma_m).all()
    few = follow.update(S, estimate(1.6), [scan(count=3)])
    assert "scan: 3 anchors in view of 8 needed" in few.reason and not few.trusted
    nothing = Anchors("range", *np.empty((4, 0)))
    assert "range: 0 anchors in view of 1 needed" in follow.update(2 * S, estimate(), [nothing]).reason
    assert follow.update(3 * S, estimate(1.6), [scan()]).trusted


def test_anchors_where_the_model_has_no_answer_are_none():
    holes = estimate(1.6)
    depth = holes.depth.copy()
    depth[:, ::2], depth[::2] = np.nan, np.inf
    found = recovery("scan", scale_min_anchors=1).update(0, DepthMap(depth, CAMERA), [scan(count=40)])
    assert 0 < found.inliers["scan"] < 25 and found.scale == pytest.approx(1.6, rel=0.02)


def test_a_scale_ages_visibly_and_is_then_no_longer_trusted():
    follow = recovery("scan", scale_max_age_s=2.0, scale_drift=0.1)
    first = follow.update(10 * S, estimate(1.6), [scan()])
    old = follow.update(11 * S, estimate(1.6))
    older = follow.update(12 * S, estimate(1.6))
    assert old.trusted and old.sources == () and old.age_s == 1.0 and older.age_s == 2.0
    assert old.scale == first.scale and old.sigma == pytest.approx(math.hypot(first.sigma, 0.1))
    assert older.sigma > old.sigma and "scan: no reading" in old.reason
    gone = follow.update(12 * S + 1, estimate(1.6))
    assert not gone.trusted and "the scale is 2.0 s old: no depth is published" in gone.reason
    assert np.isnan(gone.apply(estimate()).depth).all() and gone.scale == first.scale
    again = follow.update(13 * S, estimate(0.2), [scan()])
    assert again.trusted and again.scale == pytest.approx(0.2, rel=0.02), "the old one is forgotten"


def test_what_is_far_off_is_not_believed_until_the_old_scale_has_aged():
    follow = recovery("scan", scale_drift=0.1)
    for i in range(10):
        follow.update(i * S // 10, estimate(1.5), [scan(seed=i)])
    found = follow.update(S, estimate(1.5), [scan(gain=2.0)])
    assert found.scale == pytest.approx(1.5, rel=0.02) and found.age_s == pytest.approx(0.1)
    assert "scan gives 3, too far from 1.5" in found.reason
    later = [follow.update(S + i * S // 10, estimate(1.5), [scan(gain=2.0)]) for i in range(1, 60)]
    assert later[-1].scale == pytest.approx(3.0, rel=0.03)


def test_frames_of_one_scene_are_averaged_but_not_as_if_they_were_new():
    """Sixty frames a second tell no more than four: their errors are those of the scene."""

    def sigma(rate_hz: int) -> float:
        follow = recovery("range")
        known = [from_range(2.0, CAMERA, (0, 0, 0), (0, 0, 1), 0.0, (0.1, 9.0))]
        found = [follow.update(i * S // rate_hz, estimate(), known) for i in range(2 * rate_hz)]
        return found[-1].sigma

    assert sigma(60) == pytest.approx(sigma(4), rel=0.2) and sigma(4) > 0.1


def test_the_wide_cone_of_a_range_answers_with_its_nearest_surface():
    depth = np.full((47, 61), 4.0, np.float32)
    depth[18:30, 32:38] = 2.0  # a post beside the axis
    known = [from_range(3.0, CAMERA, (0, 0, 0), (0, 0, 1), 0.4, (0.1, 9.0))]
    found = recovery("range").update(0, DepthMap(depth, CAMERA), known)
    assert found.scale == pytest.approx(1.5, rel=1e-3)


def test_sources_are_weighed_and_disagreement_is_told():
    follow = recovery("scan", "depth_image")
    image = from_depth_image("depth_image", TRUTH, CAMERA)
    both = follow.update(0, estimate(1.4), [scan(), image])
    assert both.sources == ("scan", "depth_image") and both.scale == pytest.approx(1.4, rel=0.01)
    fresh = recovery("scan", "depth_image")
    torn = fresh.update(0, estimate(1.4), [scan(gain=1.5), image])
    assert "sources disagree: depth_image gives 1.4, scan gives 2.1" in torn.reason
    assert torn.sigma > 2 * both.sigma and torn.trusted
    # when it was known before, the one that left is not believed
    later = follow.update(S // 10, estimate(1.4), [scan(gain=4.0), image])
    assert later.sources == ("depth_image",) and "scan gives 5.6, too far" in later.reason


def test_anchors_that_do_not_agree_are_refused():
    u = np.arange(12) * 5.0
    wild = Anchors("points", u, u / 2, np.geomspace(0.01, 100, 12), np.zeros(12))
    found = recovery("points").update(0, estimate(), [wild])
    assert not found.trusted and "anchors agree" in found.reason


def test_a_fixed_factor_is_a_source_of_its_own_uncertainty():
    found = recovery("fixed", scale_factor=1.2, scale_factor_sigma=0.07).update(0, estimate())
    assert (
        found.trusted and found.scale == pytest.approx(1.2) and found.sigma == pytest.approx(0.07, rel=1e-3)
    )
    turned = recovery("fixed", scale_factor=0.4, scale_shift=-0.3).update(0, relative(0.4, -0.3))
    assert turned.trusted and turned.sigma == pytest.approx(0.05, rel=0.1)
    np.testing.assert_allclose(turned.apply(relative(0.4, -0.3)).depth, TRUTH, rtol=1e-3)


def test_a_fixed_shift_that_puts_the_middle_at_infinity_leaves_the_near_half():
    values = relative(1.0, 0.0)
    middle = float(np.median(values.relative_depth[::4, ::4]))
    follow = recovery("fixed", scale_shift=-middle)
    for i in range(3):
        found = follow.update(i * S, values)
        assert found.trusted and found.sources == ("fixed",)
        assert 0.4 < np.isfinite(found.apply(values).depth).mean() < 0.6


def test_a_relative_model_takes_the_fixed_scale_where_the_others_tell_nothing():
    follow = recovery("scan", "fixed", scale_factor=0.42, scale_shift=-0.3)
    first = follow.update(0, relative(0.4, -0.3), [scan(count=2)])
    assert first.sources == ("fixed",) and first.scale == pytest.approx(0.42) and "2 anchors" in first.reason
    later = [follow.update(i * S // 10, relative(0.4, -0.3), [scan(seed=i)]) for i in range(1, 20)]
    assert later[-1].sources == ("scan",) and later[-1].scale == pytest.approx(0.4, rel=0.02)


def test_one_range_tells_a_relative_model_nothing():
    known = [from_range(2.0, CAMERA, (0, 0, 0), (0, 0, 1), 0.0, (0.1, 9.0))]
    found = recovery("range").update(0, relative(1, 0), known)
    assert not found.trusted and "scale and shift need two anchors, got 1" in found.reason
    empty = DepthMap(np.full((47, 61), np.nan, np.float32), CAMERA, relative_depth=np.ones_like(TRUTH))
    assert "invalid or constant" in recovery("scan").update(0, empty, [scan()]).reason


def test_anchors_within_a_narrow_depth_leave_the_far_side_unknown():
    """Scale and shift from a strip of nearly one depth: what lies elsewhere is known too badly."""
    u = np.linspace(0, 60, 16)
    at = (np.full(16, 5), np.rint(u).astype(int))
    strip = Anchors("scan", u, np.full(16, 5.0), 2.0 + 0.001 * u, np.full(16, 0.3))
    values = (1 / (2.0 + (V - 5) ** 2 / 20 + 0.001 * U)).astype(np.float32)
    assert np.allclose(values[at], 1 / strip.depth, rtol=1e-3)
    found = recovery("scan").update(
        0, DepthMap(np.full_like(values, np.nan), CAMERA, relative_depth=values), [strip]
    )
    assert not found.trusted and (
        "uncertainty of the scale is" in found.reason or "cannot be determined" in found.reason
    )


def test_the_mount_of_a_frame_goes_before_the_configured_one():
    down = np.array([0, 0.8, 0.6])
    rays = np.stack([(U - CAMERA.cx) / CAMERA.fx, (V - CAMERA.cy) / CAMERA.fy, np.ones(U.shape)], axis=2)
    floor = (1.0 / np.maximum(rays @ down, 0.05)).astype(np.float32)
    follow = recovery("floor", camera_height_m=2.0, camera_pitch_deg=math.degrees(math.asin(0.6)))
    assert follow.update(0, DepthMap(floor, CAMERA)).scale == pytest.approx(2.0, rel=1e-3)
    told = recovery("floor").update(0, DepthMap(floor, CAMERA), [Mount(1.5, down)])
    assert told.scale == pytest.approx(1.5, rel=1e-3) and told.sources == ("floor",)
    unknown = recovery("floor").update(0, DepthMap(floor, CAMERA))
    assert "floor: the height of the camera is not known: set camera_height_m" in unknown.reason
    up = recovery("floor", camera_height_m=1.0, camera_pitch_deg=-80.0).update(0, DepthMap(floor, CAMERA))
    assert "floor: no floor in view" in up.reason and not up.trusted


def test_another_camera_or_a_clock_that_jumps_back_forgets():
    follow = recovery("scan")
    assert follow.update(5 * S, estimate(), [scan()]).trusted
    assert not follow.update(4 * S, estimate()).trusted
    assert follow.update(5 * S, estimate(), [scan()]).trusted
    other = PinholeCamera.simple(61, 47, fx=60.0)
    assert not follow.update(6 * S, DepthMap(TRUTH, other)).trusted


def test_sources_that_are_not_configured_are_left_aside_and_none_is_refused():
    found = recovery("scan").update(0, estimate(1.6), [scan(), scan(gain=3, source="points")])
    assert found.sources == ("scan",) and found.scale == pytest.approx(1.6, rel=0.01)
    assert ScaleRecovery.of(ScaleConfig()) is None
    with pytest.raises(ConfigError, match="expected a source of the scale, got none"):
        ScaleRecovery(ScaleConfig())


def test_a_scale_reads_as_a_sentence():
    told = Scale(1.31, 0.0, 0.072, ("floor",), {"floor": 90}, 0.0, True, "")
    assert str(told) == "scale 1.31 +- 7% from floor"
    old = Scale(1.31, 0.2, 0.2, (), {}, 1.25, True, "floor: no floor in view")
    assert str(old) == "scale 1.31, shift 0.2 1/m +- 20% 1.2 s old (floor: no floor in view)"
    none = Scale(math.nan, 0.0, math.inf, (), {}, math.inf, False, "scan: no reading")
    assert str(none) == "no scale: scan: no reading"
