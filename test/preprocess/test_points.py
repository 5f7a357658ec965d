from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ContractError
from recon3d_ros.model_zoo.points import PointInputContract, PolarGrid
from recon3d_ros.preprocess.points import group_points, point_tensors

GRID = PolarGrid(rows=6, columns=8, members=5, range_m=(0.5, 32.0), azimuth_deg=60.0)


def test_cells_are_polar_and_logarithmic():
    xy = [[0.6, 0], [0.1, 0], [31.0, 0], [90.0, 0], [2, 3.4], [2, -3.4]]
    points = np.array([[*place, 0.5] for place in xy], np.float32)
    rows, columns = np.divmod(group_points(points, GRID).cells, 8)
    assert rows.tolist() == [0, 0, 5, 5, 2, 2]  # a row is a factor of 2
    assert columns.tolist() == [4, 4, 4, 4, 7, 0]  # from right to left


def test_members_are_points_of_their_cell_spread_over_all_of_them():
    rng = np.random.default_rng(0)
    points = rng.uniform([0.5, -3, 0], [6, 3, 2], (700, 3)).astype(np.float32)
    grouped = group_points(points, GRID)
    assert grouped.members.shape == (48, 5) and grouped.cells.dtype == grouped.members.dtype == np.int32
    for cell, members in enumerate(grouped.members):
        inside = np.flatnonzero(grouped.cells == cell)
        there = members[members < 700]
        assert set(there.tolist()) <= set(inside.tolist()) and len(set(there.tolist())) == len(there)
        assert len(there) == min(len(inside), 5)
        if len(inside) > 40:  # not only the first ones of the cell
            assert there.max() > np.quantile(inside, 0.7)


def test_few_points_are_repeated_and_too_many_refused():
    contract = PointInputContract(count=64, grid=GRID)
    points = np.random.default_rng(1).uniform(1, 2, (10, 3)).astype(np.float32)
    tensors = point_tensors(points, contract)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "points": (1, 64, 3),
        "cells": (1, 64),
        "members": (1, 48, 5),
    }
    assert np.array_equal(tensors["points"][0, 10:20], points)
    for wrong in (points[:0], np.ones((65, 3), np.float32)):
        with pytest.raises(ContractError, match="expected 1 to 64 points"):
            point_tensors(wrong, contract)
