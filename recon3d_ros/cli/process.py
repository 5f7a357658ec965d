"""`recon3d process`: a recorded bag through the pipeline, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from tqdm import tqdm

from recon3d_ros.cli.depth_from import add_depth_from, from_motion, open_motion, poses_of_bag, tell_blind
from recon3d_ros.cli.flags import add_options, read_options, user_path
from recon3d_ros.cli.fleet import refuse_fleet_flags
from recon3d_ros.cli.process_many import add_many_arguments, process_many
from recon3d_ros.cli.terminal import tell_written
from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.config.parameters import OFFLINE
from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import ConfigError, DataError, PartialResultError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import write_json
from recon3d_ros.offline import BagSink, PageSink, PlySink, Sink, Summary, find_images, process_bag
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.reports import write_page
from recon3d_ros.scale import ScaleRecovery

HELP = (
    "Process every frame of a recorded bag (rosbag2: mcap, db3) once with the pipeline of the node, "
    "without ROS. No frame is dropped for lack of time, and the same bag and options give the same bytes. "
    "Point clouds, depth and its camera_info can be written to a new bag, clouds also as PLY files."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument(
        "bag", type=user_path, nargs="?", metavar="BAG", help="folder of a rosbag2, or its .mcap or .db3 file"
    )
    add_many_arguments(parser)
    out = parser.add_argument_group("results (at least one of)")
    out.add_argument(
        "--out-bag",
        type=user_path,
        metavar="PATH",
        help="output bag: a new folder, or a single .mcap or .db3 file",
    )
    out.add_argument(
        "--out-ply",
        type=user_path,
        metavar="DIR",
        help="output folder, one PLY per frame; created if missing",
    )
    out.add_argument(
        "--out-json", type=user_path, metavar="FILE", help="write a summary that accounts for every frame"
    )
    out.add_argument(
        "--out-html",
        type=user_path,
        metavar="FILE",
        help="write a report page: one HTML file with counts, pictures, charts and a 3-D view",
    )
    parser.add_argument(
        "--storage",
        choices=("mcap", "sqlite3"),
        default="mcap",
        help="format of an --out-bag folder (default %(default)s)",
    )
    add_depth_from(parser)
    add_options(parser, ProcessConfig)
    for config in OFFLINE:
        add_options(parser, config)


def main(args: argparse.Namespace) -> int:
    """Process the bag; print what became of its frames."""
    motion = from_motion(args)
    if args.bags is not None:
        return process_many(args)
    refuse_fleet_flags(args, "bags")
    if args.bag is None:
        raise ConfigError("expected a bag, got none: name one, or several with --bags and --out")
    if (args.out_bag, args.out_ply, args.out_json, args.out_html) == (None,) * 4:
        raise ConfigError("expected an output, got none: give --out-bag, --out-ply, --out-json or --out-html")
    config = read_options(args, ProcessConfig)
    limits = read_options(args, PipelineConfig)
    scale = read_options(args, ScaleConfig)
    scale.require_offline()
    model = read_options(args, ModelConfig)
    config = replace(config, mode="mono") if motion else config
    pages = [PageSink()] if args.out_html is not None else []
    with Bag(args.bag) as bag:
        poses = poses_of_bag(args, bag, find_images(bag, config)[0]) if motion else None
        estimator = open_motion(args, model) if motion else Estimator.open(model, stereo=config.is_stereo)
        try:
            pipeline = Pipeline(estimator, limits, ScaleRecovery.of(scale))
            with tqdm(unit="frame", disable=None, leave=False) as bar:
                sinks = [*_sinks(args, config), *pages]
                summary = process_bag(bag, pipeline, config, sinks, bar.update, poses=poses)
        finally:
            estimator.close()
    if args.out_json is not None:
        write_json(args.out_json, _document(summary))
    for page in pages:
        write_page(args.out_html, page.page(f"{args.bag.name} processed", summary))
    print(_text(summary))
    tell_blind(estimator)
    tell_written(args.out_bag, args.out_ply, args.out_json, args.out_html)
    _require_depth(summary, args)
    return 0


def _require_depth(summary: Summary, args: argparse.Namespace) -> None:
    if summary.empty == summary.written:
        raise DataError(
            f"expected depth in the frames of {args.bag}, got none in {summary.written}: check the "
            "calibration, which topic is left, and the limits (--min-depth-m, --max-depth-m)"
        )
    if summary.dropped:
        cause = min(summary.dropped)
        raise PartialResultError(
            f"{summary.dropped.total()} of {summary.frames} frames could not be processed, first of "
            f"{cause}: {summary.reasons[cause]}"
        )


def _sinks(args: argparse.Namespace, config: ProcessConfig) -> Sequence[Sink]:
    sinks: list[Sink] = [PlySink(args.out_ply)] if args.out_ply is not None else []
    return [*sinks, BagSink(args.out_bag, config, args.storage)] if args.out_bag is not None else sinks


def _document(summary: Summary) -> dict[str, object]:
    names = ("images", "unmatched", "frames", "written", "without_scale", "doubtful", "empty")
    counts = {name: getattr(summary, name) for name in names}
    return {**counts, "dropped": dict(summary.dropped), "reasons": summary.reasons}


def _text(summary: Summary) -> str:
    dropped = "".join(f" + {count} dropped ({cause})" for cause, count in sorted(summary.dropped.items()))
    lines = [f"{summary.frames} frames = {summary.written} written{dropped}"]
    if summary.unmatched:
        lines[0] += f"; {summary.unmatched} of {summary.images} images without a partner"
    if summary.without_scale:
        lines[0] += f"; {summary.without_scale} of the written frames have no scale and therefore no depth"
    if summary.doubtful:
        lines[0] += f"; {summary.doubtful} of the written frames have an unlikely calibration or scale"
    if summary.empty:
        lines[0] += f"; {summary.empty} of the written frames have no depth in any pixel"
    return "\n".join([*lines, *(f"{cause}: {reason}" for cause, reason in sorted(summary.reasons.items()))])
