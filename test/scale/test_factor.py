from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.scale.factor import FactorMeasurement, fuse


def measured(source: str, factor: float, sigma: float, common: float = 0.0) -> FactorMeasurement:
    return FactorMeasurement(source, math.log(factor), sigma**2, common, 5)


def test_one_source_is_itself():
    fused = fuse([measured("range", 1.3, 0.1, 0.02)])
    assert math.exp(fused.log_factor) == pytest.approx(1.3)
    assert fused.variance == pytest.approx(0.01) and fused.common == pytest.approx(0.02) and not fused.reason


def test_two_that_agree_know_more_and_the_surer_one_counts_more():
    fused = fuse([measured("range", 1.2, 0.1), measured("floor", 1.3, 0.1)])
    assert math.exp(fused.log_factor) == pytest.approx(math.sqrt(1.2 * 1.3))
    assert fused.variance == pytest.approx(0.005) and not fused.reason
    drawn = fuse([measured("range", 1.2, 0.02), measured("floor", 1.3, 0.1)])
    assert math.exp(drawn.log_factor) == pytest.approx(1.2, rel=0.01)


def test_two_that_disagree_say_so_and_know_little():
    fused = fuse([measured("range", 2.0, 0.05), measured("floor", 1.0, 0.05)])
    assert fused.reason == "sources disagree: floor gives 1, range gives 2"
    assert math.sqrt(fused.variance) > 0.3


def test_one_of_three_that_disagrees_is_outvoted():
    fused = fuse([measured("range", 5.0, 0.05), measured("floor", 1.0, 0.05), measured("scan", 1.02, 0.05)])
    assert math.exp(fused.log_factor) == pytest.approx(1.02, abs=0.03)
    assert "range gives 5" in fused.reason


@given(st.lists(st.tuples(st.floats(0.2, 5), st.floats(0.01, 0.5)), min_size=1, max_size=5))
def test_the_result_lies_between_the_sources_whatever_their_order(pairs):
    parts = [measured(f"s{i}", factor, sigma) for i, (factor, sigma) in enumerate(pairs)]
    fused, turned = fuse(parts), fuse(parts[::-1])
    logs = [part.log_factor for part in parts]
    assert min(logs) - 1e-9 <= fused.log_factor <= max(logs) + 1e-9
    assert fused.variance > 0
    if len({part.log_factor for part in parts}) == len(parts):
        assert turned.log_factor == pytest.approx(fused.log_factor, abs=1e-9)
