"""The state of one training run, and one step of it; a checkpoint holds all of it but the rendered pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from recon3d_ros.errors import ArtifactError, ConfigError
from recon3d_ros.networks import build_network, network_config
from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.losses import stereo_loss
from recon3d_ros.training.schedule import one_cycle
from recon3d_ros.training.warm_start import warm_start

Tensors = list[Tensor] | tuple[Tensor, ...]

AVERAGE_DECAY = 0.998
LARGEST_GRADIENT = 1.0


class Run:
    """Network, its running average, optimiser and progress."""

    def __init__(self, config: TrainConfig, network: StereoNetwork, device: torch.device) -> None:
        self.config = replace(config, device=str(device))  # no longer "auto": the checkpoint tells
        self.device = device
        network.to(device).train()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=running_average, use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.path = checkpoint_path(config)
        self.mixed = config.precision == "bf16" or (config.precision == "auto" and has_bf16(device))
        self.step = self.samples = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, of time or of steps, whichever is more."""
        of_time = self.seconds / (60.0 * self.config.minutes) if self.config.minutes else 1.0
        return max(of_time, self.step / self.config.max_steps if self.config.max_steps else 0.0)

    def advance(self, stream: Iterator[list[torch.Tensor]]) -> torch.Tensor:
        """One step on the next batch; returns its loss, not yet waited for."""
        left, right, truth = (part.to(self.device, non_blocking=True) for part in next(stream))
        left, right = (x.contiguous(memory_format=torch.channels_last) for x in (left, right))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * one_cycle(self.progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            output = self.network.analyse(left, right)
        loss = stereo_loss(output, truth, self.network.config.step_px)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        self.samples += len(truth)
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
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "samples": self.samples,
            "seconds": self.seconds,
            "history": self.history,
            "run": asdict(self.config),
        }
        save_checkpoint(self.path, content)

    def describe(self) -> str:
        """One line: what is trained, where, from when on."""
        parameters = sum(p.numel() for p in self.network.parameters())
        return (
            f"network {self.config.network} with {parameters / 1e6:.2f} M parameters on {self.device} in "
            f"{'bf16' if self.mixed else 'fp32'}, from step {self.step} ({self.seconds / 60:.1f} min)"
        )


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


def start_run(config: TrainConfig, network_settings: dict[str, Any] | None) -> Run:
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
    network = build_network(config.network, network_settings)
    if config.init:
        saved = load_checkpoint(Path(config.init))
        warm_start(network, saved["average"], saved["config"])
    return Run(config, network, pick_device(config))


def resume_run(config: TrainConfig) -> Run:
    """The run that `config.out` holds, as it was when it was last saved.

    Raises:
        ArtifactError: There is no checkpoint, it is corrupt, or it belongs to another network.
        ConfigError: The device is not there.
    """
    device = pick_device(config)
    path = checkpoint_path(config)
    saved = load_checkpoint(path, str(device))
    if saved["network"] != config.network:
        raise ArtifactError(
            f"expected a checkpoint of '{config.network}' in {path}, got '{saved['network']}': "
            "choose that one with --network"
        )
    run = Run(config, build_network(saved["network"], saved["config"]), device)
    load_weights(run.network, saved["state"], path)
    load_weights(run.average.module, saved["average"], path)
    run.average.n_averaged.fill_(saved["step"])
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step, run.samples, run.seconds = saved["step"], saved["samples"], saved["seconds"]
    run.history = saved["history"]
    return run


def pick_device(config: TrainConfig) -> torch.device:
    """The device of `config.device`; on the CPU also sets the number of threads."""
    cuda = torch.cuda.is_available()
    name = config.device if config.device != "auto" else ("cuda" if cuda else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ConfigError(f"expected a device such as cpu or cuda, got '{name}': correct --device") from exc
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not cuda):
        raise ConfigError(f"expected a device that torch has here, got '{name}': choose --device cpu")
    if device.type == "cpu":
        torch.set_num_threads(config.threads or os.cpu_count() or 1)
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 itself; emulated it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    flags = torch.backends.cpu.get_cpu_capability()
    return (
        "AVX512" in flags and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _cpu_flag("avx512_bf16")
    )


def _cpu_flag(flag: str) -> bool:
    try:
        return f" {flag} " in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
