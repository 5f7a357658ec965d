from __future__ import annotations

import importlib.util
import json

import pytest

from recon3d_ros.errors import OutputError
from recon3d_ros.files import read_image
from recon3d_ros.training.run import records
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import CURVE_STEPS, resume_run, start_run


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_and_pictures_lie_beside_the_checkpoint(make_config, stores, tiny_network, tmp_path):
    config = make_config(minutes=0.0, max_steps=2 * CURVE_STEPS, width=32, height=32, batch=1)
    run = start_run(config, tiny_network)
    fit(run, [(stores[0], 1.0)], stores[1])
    assert rows(tmp_path / "history.jsonl") == run.history and run.history[-1]["step"] == config.max_steps
    assert [row["step"] for row in rows(tmp_path / "losses.jsonl")] == [CURVE_STEPS, 2 * CURVE_STEPS]
    assert all(row["loss"] > 0.0 for row in rows(tmp_path / "losses.jsonl"))
    for name in ("curve.png", "samples.png"):
        assert read_image(tmp_path / name).std() > 10.0


def test_files_ahead_of_the_checkpoint_are_put_right(make_config, stores, tiny_network, tmp_path):
    """A killed run has written what the last checkpoint does not know."""
    run = start_run(make_config(max_steps=2, minutes=0.0), tiny_network)
    fit(run, [(stores[0], 1.0)], stores[1])
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"step": 99}\n')
    again = resume_run(make_config(max_steps=3, minutes=0.0))
    fit(again, [(stores[0], 1.0)], stores[1])
    assert [row["step"] for row in rows(tmp_path / "history.jsonl")] == [2, 3]


def test_loss_that_is_no_number_is_null(make_config, tiny_network, tmp_path):
    run = start_run(make_config(), tiny_network)
    run.losses = [[20, float("nan")]]
    run.history = [{"step": 20, "bad_px_1": 1.0, "bad_px_2": 1.0, "bad_px_3": 1.0, "epe_px": float("nan")}]
    records.Records(run).write(run)
    assert rows(tmp_path / "losses.jsonl") == [{"step": 20, "loss": None}]


def test_events_for_tensorboard(make_config, stores, tiny_network, tmp_path):
    pytest.importorskip("tensorboard", reason="reads its events")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in (CURVE_STEPS, 2 * CURVE_STEPS):  # and on after a pause
        config = make_config(minutes=0.0, max_steps=steps, width=32, height=32, batch=1)
        run = start_run(config, tiny_network) if steps == CURVE_STEPS else resume_run(config)
        fit(run, [(stores[0], 1.0)], stores[1])
    told = EventAccumulator(str(tmp_path / "events"))
    told.Reload()
    assert [(event.step, event.value) for event in told.Scalars("train/loss")] == [
        (step, pytest.approx(loss)) for step, loss in run.losses
    ]
    assert [(event.step, event.value) for event in told.Scalars("held_out/bad_px_3")] == [
        (row["step"], pytest.approx(row["bad_px_3"])) for row in run.history
    ]
    assert told.Tags()["images"] == ["held_out/samples"]


def test_without_tensorboard_there_are_no_events(make_config, stores, tiny_network, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        records.importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name)
    )
    fit(
        start_run(make_config(max_steps=1, minutes=0.0), tiny_network),
        [(stores[0], 1.0)],
        stores[1],
    )
    assert (tmp_path / "curve.png").is_file() and not (tmp_path / "events").exists()


def test_records_that_cannot_be_written_are_one_sentence(make_config, stores, tiny_network, tmp_path):
    (tmp_path / "history.jsonl").mkdir()
    run = start_run(make_config(max_steps=1, minutes=0.0), tiny_network)
    with pytest.raises(OutputError, match=r"history\.jsonl"):
        fit(run, [(stores[0], 1.0)], stores[1])
    assert run.path.is_file(), "the weights are saved nevertheless"
