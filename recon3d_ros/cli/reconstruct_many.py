"""`recon3d reconstruct --inputs`: many recordings, side by side or on a cluster."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from recon3d_ros.cli.fleet import require_success, run_many, threads_of
from recon3d_ros.errors import ConfigError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.fleet import find_inputs
from recon3d_ros.fleet.reconstructions import ReconstructJob, plan_reconstructions
from recon3d_ros.fleet.storage import split_suffix
from recon3d_ros.offline.reconstruct_options import ReconstructOptions


def reconstruct_many(args: argparse.Namespace, options: ReconstructOptions) -> int:
    """Reconstruct all recordings that match; print a table, write summary.json beside the results."""
    if args.input is not None:
        raise ConfigError("expected INPUT or --inputs, got both: give one of them")
    if os.path.isabs(options.poses):
        raise ConfigError(
            f"expected --poses as a path inside each recording, got {options.poses}: poses belong to one"
        )
    pattern, suffix = split_suffix(args.inputs)
    options = replace(options, model=threads_of(options.model, args))
    shared = {name: read_bytes(name) for name in options.camera if Path(name).is_file()}
    job = ReconstructJob(args.out, options, suffix, shared)
    require_success(run_many(list(plan_reconstructions(find_inputs(pattern), job)), job.out, args))
    return 0
