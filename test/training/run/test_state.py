from __future__ import annotations

import multiprocessing

import pytest
import torch

from recon3d_ros.errors import ArtifactError, ConfigError, OutputError
from recon3d_ros.training.run.checkpoint import load_checkpoint, load_network
from recon3d_ros.training.run.loop import fit
from recon3d_ros.training.run.state import one_cycle, resume_run, running_average, start_run
from recon3d_ros.training.samples.batches import CropDataset, EndlessBatchSampler, batches


def stream_of(config, stores):
    crops = CropDataset({stores[0].folder: 1.0}, (config.width, config.height), 1)
    return batches(crops, EndlessBatchSampler(0, config.batch), 0, False)


def test_loss_falls_when_a_batch_is_repeated(make_config, stores, tiny_network):
    run = start_run(make_config(learning_rate=5e-3, minutes=1000.0), tiny_network)
    batch = next(stream_of(make_config(batch=4), stores))
    losses = [float(run.advance(iter([batch]))) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
def test_compiled_run_makes_the_same_step(make_config, stores, tiny_network, monkeypatch):
    """With torch's own tracer and no C++ compiler: what is compiled is what the step calls."""
    compiled = []

    def compile_(function):
        compiled.append(function)
        return real(function, backend="eager")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", compile_)
    batch = next(stream_of(make_config(batch=2), stores))
    plain = start_run(make_config(seed=3), tiny_network)
    loss = float(plain.advance(iter([batch])))
    run = start_run(make_config(seed=3, compile=True), tiny_network)
    assert float(run.advance(iter([batch]))) == pytest.approx(loss, rel=1e-4)
    assert len(compiled) == 1 and "compiled" in run.describe() and "compiled" not in plain.describe()
    run.save()
    assert load_network(run.path)[0].config == plain.network.config


def test_resume_continues_where_the_run_was_saved(make_config, stores, tiny_network):
    first = start_run(make_config(max_steps=3), tiny_network)
    fit(first, [(stores[0], 1.0)], stores[1])
    again = resume_run(make_config(max_steps=5))
    assert (again.step, again.samples) == (3, 6)
    assert again.seconds == pytest.approx(first.seconds) and again.history == first.history
    for name, value in first.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    # The next step is the one the first run would have made: weights, moments and rate are all there.
    batch = next(stream_of(make_config(), stores))
    first.config = again.config
    torch.testing.assert_close(again.advance(iter([batch])), first.advance(iter([batch])))
    for name, value in first.average.module.state_dict().items():
        torch.testing.assert_close(again.average.module.state_dict()[name], value)
    fit(again, [(stores[0], 1.0)], stores[1])
    assert again.step == 5 and load_checkpoint(again.path)["step"] == 5


@pytest.mark.parametrize("loaders", [0, 1])
def test_interrupted_run_is_saved_and_leaves_no_process(make_config, stores, tiny_network, loaders):
    run = start_run(make_config(loaders=loaders), tiny_network)

    def interrupt(loss):
        if run.step == 2:
            raise KeyboardInterrupt
        return real(loss)

    real, run.advance = run.advance, interrupt
    with pytest.raises(KeyboardInterrupt) as kept:
        fit(run, [(stores[0], 1.0)], stores[1])
    assert load_checkpoint(run.path)["step"] == 2
    assert kept.tb is not None and not multiprocessing.active_children()


def test_stopped_run_ends_after_its_step_without_a_validation(make_config, stores, tiny_network):
    run = start_run(make_config(), tiny_network)
    fit(run, [(stores[0], 1.0)], stores[1], stop=lambda: run.step == 3)
    saved = load_checkpoint(run.path)
    assert (saved["step"], saved["samples"], saved["history"]) == (3, 6, []) and saved["seconds"] > 0.0


def test_weights_of_another_checkpoint_to_start_from(make_config, stores, tiny_network, tmp_path):
    first = start_run(make_config(max_steps=2), tiny_network)
    fit(first, [(stores[0], 1.0)], stores[1])
    again = start_run(make_config(out=str(tmp_path / "second"), init=str(first.path)), tiny_network)
    assert again.step == 0 and again.seconds == 0.0
    for name, value in first.average.module.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    with pytest.raises(ArtifactError, match="nowhere"):
        start_run(make_config(out=str(tmp_path / "third"), init=str(tmp_path / "nowhere.pt")), tiny_network)


def test_lines_of_progress_and_history(make_config, stores, tiny_network, monkeypatch, caplog):
    monkeypatch.setattr("recon3d_ros.training.run.loop.LOG_EVERY_S", 0.0)
    caplog.set_level("INFO", "recon3d_ros.training")
    run = start_run(make_config(max_steps=2, validate_minutes=0.0), tiny_network)
    fit(run, [(stores[0], 1.0)], stores[1])
    lines = caplog.messages
    assert any("samples/s" in line and "loss" in line and "8 samples" in line for line in lines)
    assert "held-out" in lines[-1] and [row["step"] for row in run.history] == [1, 2, 2]
    assert 0.0 < run.history[-1]["bad_px_3"] <= 1.0 and run.history[-1]["epe_px"] > 0.0


def test_new_run_does_not_overwrite_another(make_config, tiny_network):
    start_run(make_config(), tiny_network).save()
    with pytest.raises(ConfigError, match="--resume"):
        start_run(make_config(), tiny_network)


def test_resume_without_a_run(make_config):
    with pytest.raises(ArtifactError, match="recon3d train"):
        resume_run(make_config())


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_corrupt_checkpoint_is_one_sentence(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="train again") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_truncated_checkpoint_is_one_sentence(make_config, tiny_network):
    run = start_run(make_config(), tiny_network)
    run.save()
    run.path.write_bytes(run.path.read_bytes()[:-2000])
    with pytest.raises(ArtifactError, match="train again"):
        load_network(run.path)


class Trap:
    def __reduce__(self):
        return (print, ("code of a foreign checkpoint ran",))


def test_checkpoint_with_code_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"network": Trap()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ArtifactError):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert capsys.readouterr().out == ""


def test_other_files_of_torch_are_no_checkpoint(tmp_path):
    torch.save({"weights": torch.zeros(2)}, tmp_path / "checkpoint.pt")
    with pytest.raises(ArtifactError, match="average"):
        load_checkpoint(tmp_path / "checkpoint.pt")


WRONG_PARTS = {
    "network": [3, None, ["stereo"], "other"],
    "config": [3, {"features": "many"}, {"features": (10**9, 10**9, 10**9)}, {"unknown": 1}, {1: 2}],
    "average": [None, [1, 2], {"weight": 3}, {}],
    "step": ["many", -1, True],
    "samples": [1.5],
    "seconds": ["long", float("nan")],
    "history": ["none", [3], [{"epe_px": "small"}]],
    "run": [[], None],
    "sources": [3, [3], [[3, 4]]],
    "state": [{"weight": 3}],
    "optimizer": [3, {}, {"state": 3, "param_groups": 4}],
}


def test_parts_of_a_wrong_type_are_one_sentence(make_config, tiny_network):
    run = start_run(make_config(), tiny_network)
    run.save()
    content = load_checkpoint(run.path)
    for part, values in WRONG_PARTS.items():
        for value in values:
            torch.save({**content, part: value}, run.path)
            with pytest.raises((ArtifactError, ConfigError), match="expected") as caught:
                load_network(run.path)
                resume_run(make_config())
            assert "\n" not in str(caught.value), part


def test_weights_of_another_config_are_refused(make_config, tiny_network):
    run = start_run(make_config(), tiny_network)
    run.save()
    content = load_checkpoint(run.path)
    content["config"]["matching"] = 4
    torch.save(content, run.path)
    for use in (lambda: load_network(run.path), lambda: resume_run(make_config())):
        with pytest.raises(ArtifactError, match="config"):
            use()


def test_checkpoint_older_than_the_refinement_goes_on_without_it(make_config, tiny_network, tmp_path):
    run = start_run(make_config(), {**tiny_network, "refinement": 0})
    run.save()
    content = load_checkpoint(run.path)
    del content["config"]["refinement"]
    torch.save(content, run.path)
    assert load_network(run.path)[0].refinement is None
    assert resume_run(make_config()).network.refinement is None
    # ... and a new run that starts from its weights has one that changes no answer yet.
    settings = {**tiny_network, "refinement": 8}
    again = start_run(make_config(out=str(tmp_path / "again"), init=str(run.path)), settings)
    pair = torch.rand(2, 1, 3, 64, 96).unbind()
    with torch.no_grad():
        ours, former = (one.network.eval()(*pair)[0] for one in (again, run))
    torch.testing.assert_close(ours, former)


def test_checkpoint_where_nothing_can_be_written(make_config, tiny_network, tmp_path):
    (tmp_path / "file").write_text("")
    run = start_run(make_config(out=str(tmp_path / "file" / "run")), tiny_network)
    with pytest.raises(OutputError, match="checkpoint"):
        run.save()


@pytest.mark.parametrize("device", ["cuda:77", "abacus"])
def test_device_that_is_not_there(make_config, tiny_network, device):
    with pytest.raises(ConfigError, match="device"):
        start_run(make_config(device=device), tiny_network)


def test_average_forgets_the_start_and_copies_counters():
    average, counter = torch.zeros(2), torch.tensor(0)
    for update in range(1, 200):
        running_average([average, counter], [torch.ones(2), torch.tensor(update)], torch.tensor(update))
    assert average.min() > 0.99 and counter == 199


def test_schedule_rises_then_falls():
    rates = [one_cycle(step / 100) for step in range(101)]
    peak = rates.index(max(rates))
    assert 0 < peak < 10 and max(rates) == pytest.approx(1.0)
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(
        rates[peak:], reverse=True
    )
    assert rates[-1] == pytest.approx(0.01) and one_cycle(1.5) == pytest.approx(0.01)


def test_tuning_may_keep_the_statistics_of_the_weights_it_starts_from(
    make_config, stores, tiny_network, tmp_path
):
    first = start_run(make_config(), tiny_network)
    first.save()

    def moved(**values) -> bool:
        config = make_config(out=str(tmp_path / str(values)), init=str(first.path), **values)
        run = start_run(config, tiny_network)
        run.advance(stream_of(config, stores))
        names = [name for name in run.network.state_dict() if name.endswith("running_mean")]
        return any(
            (run.network.state_dict()[name] != first.network.state_dict()[name]).any() for name in names
        )

    assert moved(keep_statistics=False) and not moved(keep_statistics=True)
    with pytest.raises(ConfigError, match="keep_statistics"):
        make_config(keep_statistics=True)


def test_frozen_modules_keep_weights_and_statistics(make_config, stores, tiny_network, tmp_path):
    first = start_run(make_config(), tiny_network)
    first.save()
    config = make_config(out=str(tmp_path / "tuned"), init=str(first.path), freeze="encoder, hourglass")
    run = start_run(config, tiny_network)
    run.advance(stream_of(config, stores))
    changed = {
        name.split(".")[0]
        for name, value in run.network.state_dict().items()
        if (value != first.network.state_dict()[name]).any()
    }
    assert "upsampler" in changed and not changed & {"encoder", "hourglass"}


def test_only_modules_that_are_there_are_frozen(make_config, tiny_network, tmp_path):
    first = start_run(make_config(), tiny_network)
    first.save()
    config = make_config(out=str(tmp_path / "tuned"), init=str(first.path), freeze="encoder,hourglas")
    with pytest.raises(ConfigError, match=r"modules of the network .*hourglass.* got .hourglas."):
        start_run(config, tiny_network)


def test_new_weights_are_not_frozen(make_config):
    with pytest.raises(ConfigError, match="expected --from with freeze"):
        make_config(freeze="encoder")
