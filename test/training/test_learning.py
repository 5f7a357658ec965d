"""Some seconds of training beat what needs none."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.metrics import disparity_metrics
from recon3d_ros.training.config import FIRST_TRAINING_SEED
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import start_run
from recon3d_ros.training.samples.rendering import Renderer
from recon3d_ros.training.samples.store import SampleStore, unpack_pair
from recon3d_ros.training.samples.tasks import StereoTask
from recon3d_ros.training.samples.validation import validate

SIZE_WH = (160, 96)


@pytest.fixture(scope="module")
def world_stores(tmp_path_factory):
    """Forty small scenes of the world to train on, eight others held out."""
    folder = tmp_path_factory.mktemp("world")
    pairs, held_out = SampleStore(folder / "pairs"), SampleStore(folder / "validation")
    renderer = Renderer(SIZE_WH, StereoTask(30.0))
    renderer.render(pairs.folder, range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + 40))
    renderer.render(held_out.folder, range(8))
    pairs.refresh(), held_out.refresh()
    return pairs, held_out


def best_constant(held_out: SampleStore, metric: str) -> float:
    """What the best single disparity would score, chosen with the truth at hand."""
    truths = [unpack_pair(held_out.open(index))[2] for index in range(len(held_out))]
    return min(
        float(np.mean([disparity_metrics(np.full_like(t, value), t)[metric] for t in truths]))
        for value in np.arange(0.0, 45.0, 0.25)
    )


@pytest.mark.slow
def test_few_steps_beat_the_best_constant_and_the_untrained_network(
    world_stores, make_config, tiny_network, tmp_path
):
    pairs, held_out = world_stores
    config = make_config(minutes=0.0, max_steps=400, batch=4, learning_rate=4e-3, validate_minutes=100.0)
    run = start_run(config, tiny_network)
    untrained = validate(run.network, run.task, held_out, run.device)
    fit(run, [(pairs, 1.0)], held_out)
    trained = run.history[-1]
    for metric in ("bad_px_3", "epe_px"):
        # Seen: less than two thirds of the constant's.
        assert trained[metric] < 0.75 * best_constant(held_out, metric)
        assert trained[metric] < 0.4 * untrained[metric]
    losses = [loss for _, loss in run.losses]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]
