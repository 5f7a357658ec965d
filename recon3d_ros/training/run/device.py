"""Where a run computes: the torch device, and whether it multiplies bfloat16."""

from __future__ import annotations

from pathlib import Path

import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.system.machine import usable_cores
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.distributed import ProcessGroup


def pick_device(config: TrainConfig, processes: ProcessGroup | None = None) -> torch.device:
    """The device of `config.device`; on the CPU also sets the number of threads."""
    processes = processes or ProcessGroup()
    cuda = torch.cuda.is_available()
    name = config.device if config.device != "auto" else ("cuda" if cuda else "cpu")
    if name == "cuda" and processes.world_size > 1:
        name = f"cuda:{processes.local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ConfigError(f"expected a device such as cpu or cuda, got '{name}': correct --device") from exc
    here = torch.cuda.device_count() if cuda else 0
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= here):
        raise ConfigError(f"expected a device that torch has here, got '{name}': choose --device cpu")
    if device.type == "cpu":
        torch.set_num_threads(config.threads or max(usable_cores() // processes.local_world_size, 1))
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
