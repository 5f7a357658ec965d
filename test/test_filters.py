from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.filters import invalidate_border, limit_depth

NAN, INF = np.nan, np.inf


def test_limits() -> None:
    depth = np.array([[0.0, 0.49, 0.5, 2.0], [3.0, 3.01, NAN, INF]], np.float32)
    before = depth.copy()
    limited = limit_depth(depth, 0.5, 3.0)
    np.testing.assert_array_equal(limited, [[NAN, NAN, 0.5, 2.0], [3.0, INF, NAN, INF]])
    assert limited.dtype == np.float32
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize(
    ("border", "rows", "columns"), [(0, 5, 7), (1, 3, 5), (2, 1, 3), (3, 0, 0), (9, 0, 0)]
)
def test_border(border: int, rows: int, columns: int) -> None:
    depth = np.arange(35, dtype=np.float32).reshape(5, 7)
    before = depth.copy()
    result = invalidate_border(depth, border)
    valid = np.isfinite(result)
    assert valid.sum() == rows * columns and result.dtype == np.float32
    np.testing.assert_array_equal(result[valid], depth[valid])
    if rows:
        assert valid[border : 5 - border, border : 7 - border].all()
    np.testing.assert_array_equal(depth, before)
    assert result is not depth
