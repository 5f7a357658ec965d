"""What an exported model says of itself, by task: contracts, licence, known images, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest, TrainingSource
from recon3d_ros.networks import task_of
from recon3d_ros.training.losses.scored import Scored
from recon3d_ros.training.samples.sources import KNOWN_SOURCES, WORLD, first_source, source_name
from recon3d_ros.training.samples.store import VIEW_CHANNELS, SampleStore, pack_pair
from recon3d_ros.training.samples.tasks import StereoTask, mono_input, task_for

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

# World scenes that neither train nor validate: the golden one, and one to compare on. Sizes of pairs differ
# because H and W must be free in the graph; a mono model has one size.
KNOWN_SEEDS = (900_000, 900_001)
KNOWN_SIZES_WH = ((320, 192), (416, 256))
CALIBRATION_SEED, CALIBRATION_SIZE_WH = 800_000, (640, 384)
Images = tuple[NDArray[np.uint8], ...]


def describe(network: Network, content: Mapping[str, Any], name: str) -> Manifest:
    """The manifest of a network without its files: contracts, licence, origin."""
    task = task_of(content["network"])
    parameters = sum(p.numel() for p in network.parameters())
    contracts = _mono_contracts(network, content) if task == "mono" else _stereo_contracts(network)
    return Manifest(
        name=name,
        task="mono_metric_depth" if task == "mono" else "stereo_disparity",
        description=f"{task} network of 2-D convolutions, {parameters / 1e6:.2f} M parameters",
        input=contracts[0],
        output=contracts[1],
        licence=_licence(content),
        origin=_origin(content),
    )


def _stereo_contracts(network: Any) -> tuple[InputContract, OutputContract]:
    # All that is nearer gathers in the last bin, so an answer within half a bin of it may be anything nearer.
    largest_px = network.config.step_px * (network.config.bins - 1.5)
    given = InputContract(("left", "right"), scale=1.0 / 255.0, multiple_of=network.MULTIPLE_OF)
    answer = OutputContract(
        "disparity", "px", confidence="confidence", sigma="sigma_px", max_disparity_px=largest_px
    )
    return given, answer


def _mono_contracts(network: Any, content: Mapping[str, Any]) -> tuple[InputContract, OutputContract]:
    answer = OutputContract("depth", "m", confidence="confidence", sigma="sigma_m", focal_px=network.FOCAL_PX)
    return mono_input(_crop_size_wh(content)), answer


def _crop_size_wh(content: Mapping[str, Any]) -> tuple[int, int]:
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
    return (
        f"{mean}recon3d train --network {content['network']}{data}{teacher}: {content['step']} steps of "
        f"{crops} crops of {run['width']}x{run['height']} px, {content['seconds'] / 60:.0f} minutes "
        f"on {run['device']}, seed {run['seed']}"
    )


def known_images(contract: InputContract) -> list[Images]:
    """Scenes of the world, (H, W, 3) uint8 RGB each: left and right, or one. The first is the golden one.

    No network resizes them.
    """
    task = "stereo" if len(contract.names) == 2 else "mono"
    sizes = (contract.size_wh,) * 2 if contract.size_wh else KNOWN_SIZES_WH
    return [_world_images(task, *known) for known in zip(KNOWN_SEEDS, sizes)]


def _world_images(task: str, seed: int, size_wh: tuple[int, int]) -> Images:
    if task == "mono":
        return (world.view_sample(seed, size_wh).frame.image,)
    frame = world.training_sample(seed, size_wh, 96.0).frame
    assert frame.right is not None
    return frame.image, frame.right


@torch.no_grad()
def calibration_answers(
    network: Network, content: Mapping[str, Any], folder: Path, count: int, lenses: Sequence[float] = (1.0,)
) -> Iterator[Scored]:
    """Answers beside the truth to set scale, confidence and sigma by.

    Of stereo, scenes of the world that nothing else has seen. Of mono, what the run held out, when it lies in
    `folder`, through lenses that are so many times as long; without it nothing: the weights have been
    calibrated when they were exported.
    """
    task = task_for(network, _crop_size_wh(content))
    if isinstance(task, StereoTask):
        samples = (pack_pair(_calibration_pair(seed, task.largest_px)) for seed in range(count))
    else:
        store = _held_out(folder)
        held_out = (store.open(index) for index in range(min(count, len(store))))
        samples = (middle(packed, lens) for packed in held_out for lens in lenses)
    for packed in samples:
        yield task.whole(network, packed)


def held_out_places(content: Mapping[str, Any], folder: Path) -> int:
    """At how many places the images were taken that a mono run in `folder` held out.

    Frames of a film that follow each other show one place, every scene of the world its own.
    """
    seeds = _held_out(folder).seeds
    if first_source(content["run"]) == WORLD:
        return len(seeds)
    return len(set(seeds) - {seed + 1 for seed in seeds})


def _held_out(folder: Path) -> SampleStore:
    store = SampleStore(folder / "validation", VIEW_CHANNELS)
    store.refresh()
    return store


def middle(packed: np.ndarray, lens: float) -> np.ndarray:
    """Of a stored (H, W, C) image, what the camera would have seen through a lens so many times as long."""
    height, width = packed.shape[:2]
    h, w = round(height / lens), round(width / lens)
    y, x = (height - h) // 2, (width - w) // 2
    return packed[y : y + h, x : x + w]


def _calibration_pair(index: int, largest_px: float) -> Any:
    """Training scenes are harder than what a camera mostly sees: every second one is a walk instead."""
    seed = CALIBRATION_SEED + index
    if seed % 2:
        kind = ("indoor", "outdoor")[seed // 2 % 2]
        return world.WorldCamera(seed, kind, CALIBRATION_SIZE_WH).sample(seed)
    return world.training_sample(seed, CALIBRATION_SIZE_WH, largest_px)
