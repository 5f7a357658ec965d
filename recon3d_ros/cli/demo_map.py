"""`recon3d demo --map`: a walk through the procedural house ends with its mesh."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from recon3d_ros.cli.flags import read_options
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.mapping.accuracy import ExactModel
from recon3d_ros.mapping.occupancy import OccupancyGrid
from recon3d_ros.mapping.surface import require_mesher
from recon3d_ros.offline.house import HouseWalk
from recon3d_ros.offline.reconstruction import Reconstruction, write_reconstruction
from recon3d_ros.pipeline import Pipeline


def main(args: argparse.Namespace) -> int:
    """Walk through the house, fuse what the stereo model sees, and compare it with the exact mesh."""
    if args.input != "world" or args.camera:
        raise ConfigError(
            "expected --map alone, which walks through a house of its own, got --input or --camera, too: use "
            "recon3d reconstruct for images"
        )
    require_mesher()
    walk = HouseWalk()
    with Estimator.open(read_options(args, ModelConfig), stereo=True) as estimator:
        pipeline = Pipeline(estimator, read_options(args, PipelineConfig))
        numbers = tqdm(range(len(walk)), unit="frame", disable=None, leave=False)
        done, exact = walk.reconstruct(pipeline, MappingConfig(), numbers)
    grid, exact_grid = _grid(done), _grid(exact)
    truth = ExactModel(exact.mesh(), exact_grid)
    summary = write_reconstruction(args.out, done, done.mesh(), (), False, grid, truth)
    print(
        f"{summary['frames_used']} frames along {summary['path_m']:.1f} m, {summary['faces']} faces; "
        f"F-score {summary['f_score_0.05_m']:.2f} at 5 cm and {summary['f_score_0.1_m']:.2f} at 10 cm "
        "against the mesh of exact depth"
    )
    if "grid_missing" in summary:
        print(
            f"map for driving: {summary['grid_free_cells']} free cells, of which "
            f"{summary['grid_free_on_obstacles']} on obstacles of the map of exact depth; of its free cells "
            f"{100 * summary['grid_missing']:.0f} % are missing"
        )
    print(f"mesh.ply, report.html and view_above.png beside view_above_exact.png in {args.out}")
    return 0


def _grid(done: Reconstruction) -> OccupancyGrid | None:
    try:
        return done.grid(GridConfig())
    except DataError as exc:
        print(f"no map for driving: {exc}")
        return None
