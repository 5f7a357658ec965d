from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.filters import drop_outliers, outliers
from recon3d_ros.geometry import XYZ, UnorganizedCloud


def slow(xyz, radius_m, neighbours):
    """The definition."""
    apart = xyz[:, None].astype(np.float64) - xyz
    near = (apart**2).sum(axis=2) <= radius_m**2
    return xyz[near.sum(axis=1) - 1 >= neighbours]


# Multiples of 1/8 meet the radius exactly.
coordinates = st.integers(-16, 16).map(lambda i: i / 8) | st.floats(-2, 2, width=32)


@given(
    arrays(np.float32, st.tuples(st.integers(0, 70), st.just(3)), elements=coordinates),
    st.sampled_from([0.125, 0.25, 0.5, 0.7, 3.0]),
    st.integers(1, 9),
)
def test_equals_the_definition(xyz, radius_m, neighbours):
    result = drop_outliers(UnorganizedCloud(xyz, XYZ), radius_m, neighbours)
    np.testing.assert_array_equal(result.xyz, slow(xyz, radius_m, neighbours))


@pytest.mark.parametrize("pairs_at_once", [1, 100, 1 << 20])
def test_parts_of_the_work_add_up(monkeypatch, pairs_at_once):
    monkeypatch.setattr(outliers, "_PAIRS_AT_ONCE", pairs_at_once)
    xyz = np.random.default_rng(0).normal(0, 1, (900, 3)).astype(np.float32)
    result = drop_outliers(UnorganizedCloud(xyz, XYZ), 0.35, 6)
    expected = slow(xyz, 0.35, 6)
    assert 100 < len(expected) < 800
    np.testing.assert_array_equal(result.xyz, expected)


def test_all_fields_go_along():
    rows = np.arange(40, dtype=np.float32).reshape(8, 5)
    rows[:, :3] = 1.0
    rows[5, :3] = 7.0
    fields = (*XYZ, "confidence", "sigma")
    result = drop_outliers(UnorganizedCloud(rows, fields), 0.5, 3)
    assert result.fields == fields
    np.testing.assert_array_equal(result.data, np.delete(rows, 5, axis=0))
