"""The state of one training run, and one step of it; a checkpoint holds all of it but the rendered pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from recon3d_ros import world
from recon3d_ros.errors import ArtifactError, ConfigError
from recon3d_ros.networks import build_network, network_config, task_of
from recon3d_ros.networks.mono import MonoNetwork
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.checkpoint import load_checkpoint, load_progress, load_weights, save_checkpoint
from recon3d_ros.training.run.device import has_bf16, pick_device
from recon3d_ros.training.run.distributed import ProcessGroup
from recon3d_ros.training.run.objective import Objective
from recon3d_ros.training.run.warm_start import freeze, match_feature_statistics, warm_start
from recon3d_ros.training.samples.sources import all_sources, first_source
from recon3d_ros.training.samples.tasks import FeatureAdapter, task_for
from recon3d_ros.training.samples.teacher import TeacherFile, prepare

if TYPE_CHECKING:
    from recon3d_ros.networks import Network

Tensors = list[Tensor] | tuple[Tensor, ...]

AVERAGE_DECAY = 0.998
LARGEST_GRADIENT = 1.0
# Steps per point of the curve of the loss.
CURVE_STEPS = 20
# Of the learning rate: the part of the budget in which it rises, and its end as a share of the peak.
WARM_UP_SHARE, LOWEST_RATE = 0.05, 0.01
# Of the world, to see how a teacher's features are spread.
FIRST_PICTURES = 8


class TrainingRun:
    """Network, its running average, optimiser and progress.

    Attributes:
        samples: Crops seen so far by all processes; the next crop is drawn from this number and the seed.
        history: A row per validation.
        changes: What is otherwise than before it was resumed, in words.
        sources: [name, licence] of everything that has a part in the weights.
        losses: [step, mean loss of the `CURVE_STEPS` steps before], for the curve.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        device: torch.device,
        processes: ProcessGroup | None = None,
        teacher: TeacherFile | None = None,
    ) -> None:
        self.config = replace(config, device=str(device))  # no longer "auto": the checkpoint tells
        self.device = device
        network.to(device).train()
        self.processes = processes or ProcessGroup()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.task = task_for(network, config.size_wh, teacher)
        if config.keep_statistics:
            for module in self.network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        freeze(self.network, config.frozen)
        self.average = AveragedModel(self.network, multi_avg_fn=running_average, use_buffers=True)
        self.path = checkpoint_path(config)
        self.mixed = config.precision == "bf16" or (config.precision == "auto" and has_bf16(device))
        if config.compile:  # after the average was made: that one is looked at now and then alone
            self.network.analyse = torch.compile(self.network.analyse)
        adapters = feature_adapters(config, network, teacher)
        objective = Objective(self.network, self.task, config.loss_weights, self.mixed, adapters).to(device)
        self.adapters = objective.adapters
        trained = [weight for weight in objective.parameters() if weight.requires_grad]
        rate, decay = config.learning_rate, config.weight_decay
        self.optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=decay, fused=True)
        self.objective = self.processes.wrap(objective, device, all_used=objective.reaches_all_weights)
        self.sources: list[list[str]] = []
        self.step = self.samples = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.changes = ""
        self.losses: list[list[float]] = []
        self.loss_sum = torch.zeros((), device=device)

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, of time or of steps, whichever is more."""
        of_time = self.seconds / (60.0 * self.config.minutes) if self.config.minutes else 0.0
        return max(of_time, self.step / self.config.max_steps if self.config.max_steps else 0.0)

    def advance(self, stream: Iterator[list[torch.Tensor]]) -> torch.Tensor:
        """One step on the next batch; returns its loss, not yet waited for."""
        batch = [part.to(self.device, non_blocking=True) for part in next(stream)]
        batch = [x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in batch]
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * one_cycle(self.progress)
        loss = self.objective(*batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        self.samples += len(batch[0]) * self.processes.world_size
        self.loss_sum += loss.detach()
        if self.step % CURVE_STEPS == 0:
            self.losses.append([self.step, float(self.loss_sum) / CURVE_STEPS])
            self.loss_sum.zero_()
        return loss.detach()

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            OutputError: The disk is full or the folder not writable.
        """
        content = {
            "network": self.config.network,
            "config": network_config(self.network),
            "state": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "adapters": self.adapters.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sources": self.sources,
            "step": self.step,
            "samples": self.samples,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self.losses,
            "loss_sum": self.loss_sum,
            "run": asdict(self.config),
        }
        save_checkpoint(self.path, content)

    def describe(self) -> str:
        """One line: what is trained, where, from when on."""
        parameters = sum(p.numel() for p in self.network.parameters())
        device = (
            f"{self.processes.world_size} x {self.device}"
            if self.processes.world_size > 1
            else str(self.device)
        )
        how = f"{'bf16' if self.mixed else 'fp32'}{', compiled' if self.config.compile else ''}"
        text = f"network {self.config.network} with {parameters / 1e6:.2f} M parameters on {device} in {how}"
        text += f", from step {self.step} ({self.seconds / 60:.1f} min)"
        return f"{text}; changed: {self.changes}" if self.changes else text


def feature_adapters(
    config: TrainConfig, network: Network, teacher: TeacherFile | None
) -> dict[str, FeatureAdapter]:
    """By module, what brings its features into the teacher's space; empty where no loss compares them."""
    if not isinstance(network, MonoNetwork) or teacher is None or "features" not in config.loss_weights:
        return {}
    channels = network.config.distillable_channels
    return {
        name: FeatureAdapter(channels[name], n) for name, n in zip(config.teacher_tensors, teacher.channels)
    }


def one_cycle(progress: float) -> float:
    """The factor of the peak learning rate (Smith, Super-Convergence, 2018).

    Args:
        progress: How much of the budget is spent, 0 to 1.

    Returns:
        A linear rise from 0.1 to 1 in the first `WARM_UP_SHARE` of the budget, then half a cosine down to
        `LOWEST_RATE`.
    """
    if progress < WARM_UP_SHARE:
        return 0.1 + 0.9 * progress / WARM_UP_SHARE
    fall = min((progress - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE), 1.0)
    return LOWEST_RATE + (1.0 - LOWEST_RATE) * 0.5 * (1.0 + math.cos(math.pi * fall))


@torch.no_grad()
def running_average(averages: Tensors, current: Tensors, updates: Tensor | int) -> None:
    """Exponential average of weights and buffers, in place; short at first, so that it forgets the start."""
    decay = min(AVERAGE_DECAY, (1.0 + float(updates)) / (10.0 + float(updates)))
    for average, value in zip(averages, current):
        if average.is_floating_point():
            average.lerp_(value, 1.0 - decay)
        else:
            average.copy_(value)


def checkpoint_path(config: TrainConfig) -> Path:
    """Where a run keeps its checkpoint."""
    return Path(config.out) / "checkpoint.pt"


def start_run(
    config: TrainConfig, network_settings: dict[str, Any] | None, processes: ProcessGroup | None = None
) -> TrainingRun:
    """A new run with freshly initialised weights.

    Raises:
        ArtifactError: The checkpoint to start from is missing or corrupt.
        ConfigError: There is a run in `config.out` already, or the device is not there.
    """
    if checkpoint_path(config).exists():
        raise ConfigError(
            f"expected no run in {config.out}, got a checkpoint: add --resume, or choose another --out"
        )
    torch.manual_seed(config.seed)
    saved = load_checkpoint(Path(config.init)) if config.init else None
    if saved and not network_settings and task_of(saved["network"]) == "mono" == config.task:
        network_settings = saved["config"]  # a network that goes on learning stays what it is
    if config.task == "point_set":
        network_settings = {"side": config.width} | (network_settings or {})
    network = build_network(config.network, network_settings)
    teacher = find_teacher(config)
    if saved:
        warm_start(network, saved["average"], saved["config"])
    elif teacher and teacher.full_grid:
        match_feature_statistics(network, sample_teacher_features(config, teacher))
    run = TrainingRun(config, network, pick_device(config, processes), processes, teacher)
    run.sources = all_sources(config, saved or {})
    return run


def resume_run(config: TrainConfig, processes: ProcessGroup | None = None) -> TrainingRun:
    """The run that `config.out` holds, as it was when it was last saved.

    Raises:
        ArtifactError: There is no checkpoint, it is corrupt, or it belongs to another network or teacher.
        ConfigError: The device is not there, or another source would validate.
    """
    device = pick_device(config, processes)
    path = checkpoint_path(config)
    saved = load_checkpoint(path, str(device), resume=True)
    if saved["network"] != config.network:
        raise ArtifactError(
            f"expected a checkpoint of '{config.network}' in {path}, got '{saved['network']}': "
            "choose that one with --network"
        )
    validates, wanted = first_source(saved["run"]), next(iter(config.sources))
    if wanted != validates:
        raise ConfigError(
            f"expected {validates} first in data, as its frames validate the run in {config.out}, "
            f"got {wanted}: name {validates} first, or begin another run with --from"
        )
    network = build_network(saved["network"], saved["config"])
    load_weights(network, saved["state"], path)
    run = TrainingRun(config, network, device, processes, find_teacher(config))
    load_weights(run.adapters, saved.get("adapters", {}), path)
    run.sources = all_sources(config, saved)
    load_weights(run.average.module, saved["average"], path)
    run.average.n_averaged.fill_(saved["step"])
    load_progress(run.optimizer, saved, path)
    for group in run.optimizer.param_groups:
        group["weight_decay"] = config.weight_decay  # the learning rate is set at each step
    run.changes = config.changes(saved["run"])
    run.step, run.samples, run.seconds = saved["step"], saved["samples"], saved["seconds"]
    run.history = saved["history"]
    # Checkpoints of older versions have no curve of the loss.
    run.losses = saved.get("losses", [])
    run.loss_sum.copy_(saved.get("loss_sum", run.loss_sum))
    return run


def find_teacher(config: TrainConfig) -> TeacherFile | None:
    """The teacher of `config`, its graph with the features that are asked for in the folder of the run.

    Raises:
        ConfigError: It cannot teach.
        ModelError: Its files are wrong.
    """
    if not config.teacher:
        return None
    graph = Path(config.out) / "teacher.onnx"
    return prepare(
        Path(config.teacher), tuple(config.teacher_tensors.values()), graph, config.teacher_forcing
    )


def sample_teacher_features(config: TrainConfig, teacher: TeacherFile) -> dict[str, Tensor]:
    """A teacher's features of a few pictures of the world, by the module that learns them: (B, C, h, w)."""
    seeds = range(config.first_scene, config.first_scene + FIRST_PICTURES)
    images = (world.view_sample(seed, config.size_wh).frame.image for seed in seeds)
    predictions = [teacher.predict(image)[1:] for image in images]
    batches = (torch.from_numpy(np.stack(features)).float() for features in zip(*predictions))
    return dict(zip(config.teacher_tensors, batches))
