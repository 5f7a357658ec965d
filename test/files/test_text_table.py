from __future__ import annotations

import pytest

from recon3d_ros.files.text_table import aligned

ROWS = [("name", "ms"), ("a", "12.5"), ("longer one", "3")]


@pytest.mark.parametrize(
    ("left", "lines"),
    [
        (None, ["name        ms", "a           12.5", "longer one  3"]),
        (1, ["name          ms", "a           12.5", "longer one     3"]),
        (0, ["      name    ms", "         a  12.5", "longer one     3"]),
    ],
)
def test_cells_stand_below_each_other(left, lines):
    assert aligned(ROWS, left) == lines
