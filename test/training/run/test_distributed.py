"""Two processes of torch's own engine, on the processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from recon3d_ros.errors import ConfigError
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.checkpoint import load_checkpoint
from recon3d_ros.training.run.distributed import ProcessGroup, find_process_group
from recon3d_ros.training.run.loop import fit, render_jobs
from recon3d_ros.training.run.state import resume_run
from recon3d_ros.training.samples.sources import open_stores

# Two steps, then two more as a resumed run; each process keeps its weights to be compared.
MEMBER = """
import json, sys, torch
from dataclasses import replace
from pathlib import Path
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.distributed import joined_processes
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import resume_run, start_run
from recon3d_ros.training.samples.store import SampleStore
settings, network, stores = json.loads(sys.argv[1])
stores = [SampleStore(Path(folder)) for folder in stores]
for store in stores:
    store.refresh()
with joined_processes() as processes:
    for steps in (2, 4):
        config = TrainConfig(**{**settings, "max_steps": steps})
        run = resume_run(config, processes) if steps > 2 else start_run(config, network, processes)
        fit(run, [(stores[0], 1.0)], stores[1])
        torch.distributed.barrier()
        weights = dict(run.network.named_parameters())
        torch.save({"weights": {k: v.detach() for k, v in weights.items()}, "step": run.step,
            "samples": run.samples, "loss": run.loss_sum, "seconds": run.seconds, "history": run.history},
            Path(config.out) / f"{processes.rank}-{steps}.pt")
"""


@pytest.fixture
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_two_processes_have_one_network(make_config, stores, tiny_network, tmp_path):
    config = make_config(minutes=0.0, max_steps=4, width=64, height=32, losses="cross_entropy,smooth_l1=0.2")
    folders = [str(store.folder) for store in stores]
    words = json.dumps([asdict(config), tiny_network, folders])
    script = tmp_path / "member.py"
    script.write_text(MEMBER)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        + [str(script), words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for steps in (2, 4):
        first, second = (torch.load(tmp_path / f"{rank}-{steps}.pt") for rank in (0, 1))
        assert first["step"] == second["step"] == steps
        assert first["samples"] == second["samples"] == steps * config.batch * 2
        assert first["seconds"] == second["seconds"], "one clock"
        assert first["loss"] != second["loss"], "each has its own crops"
        for name, value in first["weights"].items():
            torch.testing.assert_close(second["weights"][name], value, rtol=0.0, atol=0.0)
        assert first["history"] and len(second["history"]) == (0 if steps == 2 else 1)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 4

    # One process alone goes on where two have stopped.
    run = resume_run(TrainConfig(**{**asdict(config), "max_steps": 5}))
    fit(run, [(stores[0], 1.0)], stores[1])
    assert (run.step, run.samples) == (5, 4 * config.batch * 2 + config.batch)


def test_without_torchrun_there_is_one_process(alone):
    assert find_process_group() == ProcessGroup() and ProcessGroup().is_main
    assert ProcessGroup().broadcast(0.125, 1.0) == [0.125, 1.0]
    module = torch.nn.Linear(1, 1)
    assert ProcessGroup().wrap(module, torch.device("cpu"), all_used=True) is module


def test_torchrun_tells_who_we_are(alone, monkeypatch):
    told = {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4, "GROUP_RANK": 1}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))
    processes = find_process_group()
    assert (
        processes.rank,
        processes.world_size,
        processes.local_rank,
        processes.node_rank,
        processes.nodes,
    ) == (
        5,
        8,
        1,
        1,
        2,
    )
    assert not processes.is_main
    monkeypatch.delenv("LOCAL_RANK")
    with pytest.raises(ConfigError, match="torchrun"):
        find_process_group()


def test_each_scene_is_rendered_by_one_machine(make_config):
    config = make_config(max_pairs=11, validation_pairs=3)
    sources = open_stores(config, 8)
    members = [ProcessGroup(rank, 4, rank % 2, 2, rank // 2, 2) for rank in range(4)]
    jobs = [render_jobs(config, processes, sources) for processes in members]
    assert jobs[1] == jobs[3] == [], "the second process of a machine renders nothing"
    assert [folder.name for folder, _ in jobs[0]] == ["validation", "pairs"]
    seeds = [*jobs[0][1][1], *jobs[2][0][1]]
    alone = render_jobs(config, ProcessGroup(), sources)
    assert sorted(seeds) == list(alone[1][1]) and len(set(seeds)) == 11
