"""Options of a training run; no torch here, so that `recon3d train --help` works without it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recon3d_ros.config import Config, option, options
from recon3d_ros.datasets.shapes import is_shape_source
from recon3d_ros.errors import ConfigError
from recon3d_ros.networks import NETWORKS, SHAPE_TASKS, task_of
from recon3d_ros.networks.mono_contract import DISTILLABLE
from recon3d_ros.training.losses.table import (
    DEFAULT_LOSSES,
    DEPTH_ONLY,
    DISPARITY_ONLY,
    LABELS_ONLY,
    LOSSES,
    SHAPES_ONLY,
    parse_losses,
)

# Scenes of the world below this seed validate, those from it on train: never the same scene for both.
FIRST_TRAINING_SEED = 1_000_000
# Of the crops. A mono model is served at it, too: a square is what a stretched image of either way up needs.
# A crop of a cloud has as many points.
DEFAULT_SIZES_WH = {
    "stereo": (352, 224),
    "mono": (224, 224),
    "points": (128, 64),
    "point_set": (128, 128),
    "completion": (32, 32),
}
# Of rendered images: an object is in the middle of a small one.
RENDER_SIZE_WH, OBJECT_SIZE_WH = (640, 384), (224, 160)
SIZES_TEXT = "; ".join(f"{task}: {width}x{height}" for task, (width, height) in DEFAULT_SIZES_WH.items())

# Options of the place where a run goes on; the others make it the run that it is.
HERE = frozenset({"out", "device"})


@dataclass(frozen=True)
class TrainConfig(Config):
    """One training run. Time counts over all resumed parts of it."""

    out: str = option("out/train", "folder of checkpoints, log, rendered scenes and imported data")
    network: str = option("stereo", f"network to train: {', '.join(NETWORKS)}")
    init: str = option(
        "", "checkpoint with initial weights, used where name and shape match; empty = random weights"
    )
    data: str = option(
        "world",
        "training data and how often each is used, name=weight,name=weight: world, for mono any data "
        "set or recording with depth (docs/datasets.md), for point_set and completion meshes:FOLDER and "
        "shapenet:FOLDER; the first one is also used for validation",
    )
    pairs: str = option("", "folder of rendered training scenes; empty = inside --out")
    teacher: str = option("", "for mono: manifest of a metric mono model used as a teacher; empty = none")
    teacher_features: str = option(
        "",
        "tensors of the teacher that modules of the network learn, module=tensor,module=tensor, out of "
        f"{', '.join(DISTILLABLE)}; empty = none",
    )
    teacher_forcing: bool = option(
        False,
        "train the modules of teacher_features independently, with the teacher's features as input: for "
        "the first of two runs, and a teacher with the same numbers of channels",
    )
    minutes: float = option(
        60.0,
        "training time, at the end of which the learning rate reaches its minimum; 0 = use max_steps",
        minimum=0.0,
    )
    max_steps: int = option(0, "stop after this many steps; 0 = when the time is over", minimum=0)
    losses: str = option(
        "",
        f"losses to minimize, name=weight,name=weight: {', '.join(LOSSES)}; "
        f"empty = {'; '.join(f'{task}: {losses}' for task, losses in DEFAULT_LOSSES.items())}",
    )
    device: str = option("auto", "cpu, cuda, or auto = cuda if available")
    precision: str = option(
        "auto",
        "precision of the convolutions; auto = bf16 if the processor supports it",
        choices=("auto", "fp32", "bf16"),
    )
    compile: bool = option(
        False,
        "compile the network for training (torch.compile): steps on a CPU take a quarter less time, but "
        "the first one starts minutes later; needs a C++ compiler",
    )
    width: int = option(0, f"width of the crops, a multiple of 32; 0 = {SIZES_TEXT}", unit="px", minimum=0)
    height: int = option(0, "height of the crops, as the width", unit="px", minimum=0)
    batch: int = option(4, "crops per step", minimum=1)
    learning_rate: float = option(1e-3, "peak of the one-cycle schedule", minimum=0.0)
    keep_statistics: bool = option(
        False, "keep the batch normalization statistics of the initial weights: for tuning with few images"
    )
    freeze: str = option(
        "",
        "modules of the network that keep the weights and statistics of --from, name,name, for example "
        "encoder,hourglass; empty = all are trained",
    )
    weight_decay: float = option(1e-4, "weight decay of AdamW", minimum=0.0)
    workers: int = option(1, "processes that render scenes of the world", minimum=0, maximum=1024)
    loaders: int = option(1, "processes that crop and augment; 0 = in the training process", minimum=0)
    threads: int = option(0, "threads of the training process; 0 = all cores", minimum=0)
    renderer: str = option(
        "numpy",
        "numpy = on the CPU, one scene at a time; torch = batches on the training device",
        choices=("numpy", "torch"),
    )
    render_width: int = option(
        0,
        "width of the rendered images, and the largest width of other images; 0 = "
        f"{RENDER_SIZE_WH[0]}, of single objects {OBJECT_SIZE_WH[0]}",
        unit="px",
        minimum=0,
    )
    render_height: int = option(
        0,
        "height of the rendered images, and the largest height of other images; 0 = "
        f"{RENDER_SIZE_WH[1]}, of single objects {OBJECT_SIZE_WH[1]}",
        unit="px",
        minimum=0,
    )
    max_pairs: int = option(
        5000, "number of rendered scenes to keep; a pair has 2 MB at the default size", minimum=1
    )
    validation_pairs: int = option(
        16,
        "number of scenes of the world, or frames of another first source, held out for validation",
        minimum=1,
        maximum=FIRST_TRAINING_SEED,
    )
    validate_minutes: float = option(3.0, "time between validations", minimum=0.0)
    seed: int = option(0, "random seed of the initial weights, crops and rendered scenes", minimum=0)

    @property
    def task(self) -> str:
        """`stereo`, `mono`, `points`, `point_set` or `completion`."""
        return task_of(self.network)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the crops, px."""
        return self.width, self.height

    @property
    def first_scene(self) -> int:
        """Seed of the first scene of the world that trains; the others follow."""
        return FIRST_TRAINING_SEED * (1 + self.seed)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses by name, the task's own where none are named."""
        return parse_losses(self.losses or DEFAULT_LOSSES[self.task])

    @property
    def frozen(self) -> list[str]:
        """The modules that are not trained."""
        return [name.strip() for name in self.freeze.split(",") if name.strip()]

    @property
    def sources(self) -> dict[str, float]:
        """How often each source of `data` is drawn, by name; the sum is 1."""
        return parse_sources(self.data)

    @property
    def teacher_tensors(self) -> dict[str, str]:
        """The tensors of `teacher_features` by the module that learns them."""
        tensors: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in self.teacher_features.split(","))):
            module, _, tensor = part.partition("=")
            if module not in DISTILLABLE or module in tensors or not tensor:
                raise ConfigError(
                    "expected module=tensor in teacher_features, each module once out of "
                    f"{', '.join(DISTILLABLE)}, got '{part}': to_sixteenth=some_tensor"
                )
            tensors[module] = tensor
        return tensors

    def changes(self, former: Mapping[str, Any]) -> str:
        """What is otherwise than in the options of a checkpoint: `name value (was value)`, ..."""
        pairs = [
            (spec.name, getattr(self, spec.name), former.get(spec.name, spec.default))
            for spec in options(self)
            if spec.name not in HERE
        ]
        return ", ".join(f"{name} {now!r} (was {before!r})" for name, now, before in pairs if now != before)

    def _check_task(self) -> None:
        losses, sources = self.loss_weights, self.sources
        kind = "labels" if self.task == "points" else "shapes" if self.task in SHAPE_TASKS else "depth"
        if strangers := [name for name in losses if _kind_of(name) != kind]:
            raise ConfigError(
                f"expected losses of {kind} for {self.network}, got {', '.join(strangers)}: omit --losses"
            )
        if self.task in SHAPE_TASKS:
            self._check_shapes()
            return
        if self.task != "mono":
            if self.teacher or sources != {"world": 1.0} or (alone := set(DEPTH_ONLY) & set(losses)):
                got = self.teacher or (self.data if sources != {"world": 1.0} else ", ".join(sorted(alone)))
                raise ConfigError(
                    f"expected the world's pairs, no teacher and losses of disparity for {self.network}, "
                    f"got {got}: that is for --network mono"
                )
            return
        if of_pairs := set(DISPARITY_ONLY) & set(losses):
            raise ConfigError(
                f"expected losses of depth for {self.network}, got {', '.join(sorted(of_pairs))}: "
                "that is for --network stereo"
            )
        needs = (("distill", "teacher"), ("features", "teacher"), ("features", "teacher_features"))
        for loss, need in needs:
            if loss in losses and not getattr(self, need):
                flag = need.replace("_", "-")
                raise ConfigError(f"expected {need} for the loss '{loss}', got none: see --{flag}")
        if self.teacher_tensors and not self.teacher:
            raise ConfigError("expected a teacher with teacher_features, got none: see --teacher")
        if self.teacher_forcing and "features" not in losses:
            raise ConfigError(
                "expected the loss 'features' with teacher_forcing, got none that a module learns by itself: "
                "add features=1 to --losses"
            )

    def _check_shapes(self) -> None:
        others = [name for name in self.sources if name != "world" and not is_shape_source(name)]
        if self.teacher or others:
            raise ConfigError(
                f"expected world, meshes:FOLDER or shapenet:FOLDER, and no teacher, for {self.network}, "
                f"got {self.teacher or ', '.join(others)}: correct --data"
            )
        if self.task == "point_set" and self.width != self.height:
            raise ConfigError(
                f"expected a square for {self.network}, got {self.width}x{self.height} px: make both equal"
            )

    def validate(self) -> None:
        """Fill in the size, check the losses, the budget, and sizes against each other."""
        rendered = OBJECT_SIZE_WH if self.task in SHAPE_TASKS else RENDER_SIZE_WH
        names = ("width", "height", "render_width", "render_height")
        for name, usual in zip(names, (*DEFAULT_SIZES_WH[self.task], *rendered)):
            object.__setattr__(self, name, getattr(self, name) or usual)
        self._check_task()
        if self.keep_statistics and not self.init:
            raise ConfigError("expected --from with keep_statistics, got new weights: they have none to keep")
        if self.frozen and not self.init:
            raise ConfigError("expected --from with freeze, got new weights: they have nothing to keep")
        if not self.minutes and not self.max_steps:
            raise ConfigError("expected minutes or max_steps above 0, got 0 for both: give the run an end")
        for name in ("width", "height"):
            crop, render = getattr(self, name), getattr(self, f"render_{name}")
            if crop % 32 or render % 32:
                raise ConfigError(
                    f"expected {name} and render_{name} to be multiples of 32, got {crop} and {render}"
                )
            if crop > render and self.task != "completion":
                raise ConfigError(
                    f"expected {name} <= render_{name}, got {crop} > {render}: render larger pairs"
                )


def _kind_of(loss: str) -> str:
    """What a loss is about: `labels`, `shapes` or `depth`."""
    return "labels" if loss in LABELS_ONLY else "shapes" if loss in SHAPES_ONLY else "depth"


def parse_sources(data: str) -> dict[str, float]:
    """How often each source is drawn, by name, from `name=weight,name`; the sum is 1.

    Raises:
        ConfigError: There is none, one stands there twice, or a weight is not above 0.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in data.split(","))):
        name, _, number = part.partition("=")
        if name in weights:
            raise ConfigError(
                f"expected each source once in data, got {name} twice in {data}: keep one of them"
            )
        try:
            weights[name] = float(number or 1)
        except ValueError:
            weights[name] = -1.0
        if not 0.0 < weights[name] < math.inf:
            raise ConfigError(f"expected a weight above 0 for {name} in data, got '{number}': {name}=1")
    if not weights:
        raise ConfigError("expected something to learn from in data, got nothing: name world")
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
