"""A run that was killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.checkpoint import load_checkpoint
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import resume_run, start_run

STEPS, SAVED, KILLED = 50, 27, 30
# Saves at step 27, dies at step 30 without a chance to tidy up: what came after 27 is lost.
VICTIM = """
import json, os, signal, sys
from pathlib import Path
from recon3d_ros.system.progress import Progress
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import start_run
from recon3d_ros.training.samples.store import SampleStore
settings, network, stores, saved, killed = json.loads(sys.argv[1])
run = start_run(TrainConfig(**settings), network)
class Look(Progress):
    def update(self, stage, share=None):
        if run.step == saved:
            run.save()
        if run.step == killed:
            os.kill(os.getpid(), signal.SIGKILL)
stores = [SampleStore(Path(folder)) for folder in stores]
for store in stores:
    store.refresh()
fit(run, [(stores[0], 1.0)], stores[1], progress=Look())
"""


@pytest.mark.slow
def test_killed_run_goes_on_with_the_same_curve(make_config, stores, tiny_network, tmp_path):
    def config(name: str) -> TrainConfig:
        return make_config(
            out=str(tmp_path / name), minutes=0.0, max_steps=STEPS, width=64, height=32, learning_rate=3e-3
        )

    whole = start_run(config("whole"), tiny_network)
    fit(whole, [(stores[0], 1.0)], stores[1])

    folders = [str(store.folder) for store in stores]
    words = json.dumps([asdict(config("killed")), tiny_network, folders, SAVED, KILLED])
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_checkpoint(tmp_path / "killed" / "checkpoint.pt")["step"] == SAVED

    again = resume_run(config("killed"))
    fit(again, [(stores[0], 1.0)], stores[1])
    assert again.losses == whole.losses and [step for step, _ in whole.losses] == [20, 40]
    assert (again.step, again.samples) == (whole.step, whole.samples)
    for mine, theirs in ((again.network, whole.network), (again.average.module, whole.average.module)):
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], value, rtol=0.0, atol=0.0)
    scores = [{key: row[key] for key in row if key != "seconds"} for row in again.history]
    assert scores == [{key: row[key] for key in row if key != "seconds"} for row in whole.history]


def test_checkpoint_of_an_older_version_goes_on(make_config, stores, tiny_network):
    """Those of before the curve of the loss."""
    run = start_run(make_config(max_steps=1, minutes=0.0), tiny_network)
    fit(run, [(stores[0], 1.0)], stores[1])
    content = load_checkpoint(run.path)
    for key in ("losses", "loss_sum"):
        del content[key]
    torch.save(content, run.path)
    again = resume_run(make_config(max_steps=2, minutes=0.0))
    fit(again, [(stores[0], 1.0)], stores[1])
    assert again.step == 2
