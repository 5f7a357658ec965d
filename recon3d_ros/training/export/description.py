"""What an exported model says of itself: contracts, licence, origin, and its measured accuracy.

Measured are the run's own held-out samples, and what `recon3d evaluate` scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d_ros.errors import DataError
from recon3d_ros.files.disk import read_json
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Accuracy, Licence, Manifest, TrainingSource
from recon3d_ros.model_zoo.points import LabelOutputContract, PointInputContract, PolarGrid
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract
from recon3d_ros.networks import SHAPE_TASKS, task_of
from recon3d_ros.training.samples.sources import KNOWN_SOURCES, WORLD, source_name
from recon3d_ros.training.samples.tasks import mono_input

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

_MAX_SCORES_BYTES = 1 << 26
MONO_METRICS = ("abs_rel", "rmse_m", "delta_1", "abs_rel_median", "delta_1_median")


def describe(network: Network, content: Mapping[str, Any], name: str) -> Manifest:
    """The manifest of a network without its files: contracts, licence, origin."""
    task = task_of(content["network"])
    parameters = sum(p.numel() for p in network.parameters())
    contracts = _CONTRACTS[task](network, content)
    return Manifest(
        name=name,
        task=_MANIFEST_TASKS[task],
        description=_DESCRIPTIONS.get(
            task, f"{task} network of 2-D convolutions, {{:.2f}} M parameters"
        ).format(parameters / 1e6),
        input=contracts[0],
        output=contracts[1],
        licence=_licence(content),
        origin=_origin(content),
    )


def _stereo_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    # All that is nearer gathers in the last bin, so an output within half a bin of it may be anything nearer.
    largest_px = network.config.step_px * (network.config.bins - 1.5)
    given = InputContract(("left", "right"), scale=1.0 / 255.0, multiple_of=network.MULTIPLE_OF)
    output = OutputContract(
        "disparity", "px", confidence="confidence", sigma="sigma_px", max_disparity_px=largest_px
    )
    return given, output


def _mono_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    output = OutputContract("depth", "m", confidence="confidence", sigma="sigma_m", focal_px=network.FOCAL_PX)
    return mono_input(crop_size_wh(content)), output


def _point_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    config = network.config
    grid = PolarGrid(config.rows, config.columns, config.members)
    return PointInputContract(grid=grid), LabelOutputContract()


def _point_set_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    side = network.config.side
    given = InputContract(("image",), scale=1.0 / 255.0, size_wh=(side, side), fit="stretch")
    return given, ShapeOutputContract(count=network.config.points)


def _completion_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    width, height = crop_size_wh(content)
    return PartialInputContract(count=width * height), ShapeOutputContract(count=network.config.points)


_CONTRACTS = {
    "stereo": _stereo_contracts,
    "mono": _mono_contracts,
    "points": _point_contracts,
    "point_set": _point_set_contracts,
    "completion": _completion_contracts,
}
_MANIFEST_TASKS = {
    "stereo": "stereo_disparity",
    "mono": "mono_metric_depth",
    "points": "point_labels",
    "point_set": "point_set",
    "completion": "completion",
}
_DESCRIPTIONS = {
    "points": "classes of points: pillars over a polar grid and 2-D convolutions, {:.3f} M parameters",
    "point_set": "points of a whole object from one image: encoder and decoder, {:.2f} M parameters",
    "completion": "points of a whole object from its visible part: PCN, {:.2f} M parameters",
}


def crop_size_wh(content: Mapping[str, Any]) -> tuple[int, int]:
    """Of the crops that trained the network of a checkpoint, at which a mono network is served, too."""
    return content["run"]["width"], content["run"]["height"]


def _licence(content: Mapping[str, Any]) -> Licence:
    """Of the weights, by all that had a part in them; where that was not kept yet, it was the world."""
    sources = tuple(TrainingSource(*pair) for pair in content.get("sources", ())) or (KNOWN_SOURCES[WORLD],)
    free = all(source.licence == KNOWN_SOURCES[WORLD].licence for source in sources)
    return Licence("Apache-2.0" if free else "as its sources allow", sources)


def _origin(content: Mapping[str, Any]) -> str:
    run = content["run"]
    weighed = [part.partition("=") for part in run.get("data", WORLD).split(",")]
    named = ",".join(source_name(name.strip()) + equals + weight for name, equals, weight in weighed)
    data = "" if named == WORLD else f" --data {named}"
    teacher = f" --teacher {Path(run['teacher']).name}" if run.get("teacher") else ""
    # Of all processes together.
    crops = content["samples"] // max(content["step"], 1)
    mean = f"mean of {parts} runs, the first " if (parts := content.get("parts", 1)) > 1 else ""
    points = task_of(content["network"]) in ("points", "completion")
    size = f"{run['width'] * run['height']} points" if points else f"{run['width']}x{run['height']} px"
    return (
        f"{mean}recon3d train --network {content['network']}{data}{teacher}: {content['step']} steps of "
        f"{crops} crops of {size}, {content['seconds'] / 60:.0f} minutes "
        f"on {run['device']}, seed {run['seed']}"
    )


def held_out_accuracy(checkpoint: dict[str, Any]) -> tuple[Accuracy, ...]:
    """The last validation of a training run, if it had one."""
    if not checkpoint["history"]:
        return ()
    progress = ("step", "samples", "seconds")
    last = {key: round(value, 4) for key, value in checkpoint["history"][-1].items() if key not in progress}
    run = checkpoint["run"]
    source = source_name(run.get("data", WORLD).split(",")[0].split("=")[0])
    what = "scenes, clean images" if source == WORLD else "frames, at the canonical focal length"
    if task_of(checkpoint["network"]) == "points":
        what = "scenes, depth of our networks; means over the clouds"
    if task_of(checkpoint["network"]) in SHAPE_TASKS:
        what = "views of shapes that do not train, in units of the object's frame"
    return (Accuracy(source, last, f"{run['validation_pairs']} held-out {what}"),)


def read_accuracy(path: Path, model: str) -> tuple[Accuracy, ...]:
    """What `recon3d evaluate --json` measured for the fp32 file of a model of this name, per data set.

    Raises:
        DataError: The file is not of `recon3d evaluate`, or has nothing about this model.
    """
    try:
        rows = read_json(path, _MAX_SCORES_BYTES)["rows"]
        wholes = [(row["model"], row["precision"], row) for row in rows if row.get("scene", "all") == "all"]
        found = tuple(_accuracy(row) for name, kind, row in wholes if (name, kind) == (model, "fp32"))
    except (DataError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise DataError(
            f"expected the JSON of 'recon3d evaluate' in {path}, got {exc}: evaluate again"
        ) from exc
    if not found:
        have = ", ".join(sorted({f"{name} {kind or ''}".strip() for name, kind, _ in wholes})) or "nothing"
        raise DataError(
            f"expected scores of '{model}' in fp32 in {path}, got those of {have}: evaluate it with --json"
        )
    return found


def _accuracy(row: dict[str, Any]) -> Accuracy:
    """Shares of stereo rows and coverage are percent in the rows, and fractions in a manifest."""
    metrics = {}
    for key in ("bad_px_1", "bad_px_2", "bad_px_3", "epe_px", *MONO_METRICS, "coverage"):
        if row.get(key) is not None:
            percent = key.startswith("bad_px") or key == "coverage"
            metrics[key] = round(row[key] / (100 if percent else 1), 4)
    count = f"{row['pairs']} pairs" if "pairs" in row else f"{row['frames']} frames"
    return Accuracy(row["set"], metrics, f"mean over {count}, never trained or selected on")
