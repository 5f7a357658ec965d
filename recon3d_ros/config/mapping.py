"""Options of the map: how depth maps are fused into one surface."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option


@dataclass(frozen=True)
class MappingConfig(Config):
    """How depth is fused; see docs/mapping.md."""

    voxel_m: float = option(0.03, "edge of a voxel", unit="m", minimum=0.005, maximum=0.5)
    map_max_depth_m: float = option(
        5.0,
        "depth beyond this is not fused; it still clears what stands in front",
        unit="m",
        minimum=0.1,
        maximum=200.0,
    )
    truncation_voxels: float = option(
        4.0, "distance from a surface up to which voxels are changed, at least", minimum=2.0, maximum=7.5
    )
    min_weight: float = option(
        0.01,
        "a surface is made where observations weigh at least this (a good one weighs 1)",
        minimum=0.0,
        maximum=64.0,
    )
    max_weight: float = option(
        64.0,
        "the past counts at most as this many good observations: less forgets faster",
        minimum=1.0,
        maximum=200.0,
    )
    max_mb: float = option(
        1024.0,
        "memory of the voxels; when it is full, the blocks farthest from the camera are dropped",
        unit="MB",
        minimum=1.0,
        maximum=65536.0,
    )


@dataclass(frozen=True)
class GridConfig(Config):
    """A map for driving, made of the surfaces; see docs/mapping.md."""

    grid_cell_m: float = option(0.05, "edge of a cell", unit="m", minimum=0.01, maximum=1.0)
    obstacle_min_height_m: float = option(
        0.1,
        "what is higher above the floor, or that far below it, is in the way",
        unit="m",
        minimum=0.01,
        maximum=2.0,
    )
    obstacle_max_height_m: float = option(
        1.5, "what is higher is driven under", unit="m", minimum=0.05, maximum=10.0
    )
    grid_margin_m: float = option(
        0.15,
        "cells nearer to an obstacle are unknown, not free; a cell at least",
        unit="m",
        minimum=0.0,
        maximum=2.0,
    )
