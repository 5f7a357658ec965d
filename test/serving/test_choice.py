"""``auto`` on a CPU: measured once, remembered, told in one line; what fails its check is not taken."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ModelError
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.serving import choice

AUTO = ModelConfig()
LIGHT, FULL = "recon3d_stereo_light", "recon3d_stereo"


@dataclass
class Bench:
    """Backends that take as long as one says, by a clock of its own."""

    times_ms: dict[tuple[str, str], float]
    broken: set[str] = field(default_factory=set)
    now_s: float = 0.0
    opened: list[tuple[str, str]] = field(default_factory=list)

    def perf_counter(self) -> float:
        return self.now_s

    def open(self, manifest, config: ModelConfig):
        if config.backend in self.broken:
            raise ModelError(f"{config.backend} does not reproduce its golden output")
        self.opened.append((manifest.name, config.backend))
        bench, took = self, self.times_ms[manifest.name, config.backend]

        class Backend:
            name, precision, inputs, outputs = config.backend, "fp32", (), ()

            def infer(self, feed):
                assert feed["left"].shape == (1, 3, 480, 640) and feed["left"].dtype == np.float32
                bench.now_s += took / 1e3
                return {}

            def close(self) -> None:
                pass

        return Backend()

    def choose(self, config: ModelConfig = AUTO, stereo: bool = True) -> tuple[str, str]:
        chosen = choice.choose_on_cpu(config, stereo, self.open)
        assert replace(chosen, model=config.model, backend=config.backend) == config
        return chosen.model, chosen.backend


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: object())
    bench = Bench({(FULL, "onnxruntime"): 200, (FULL, "openvino"): 100})
    bench.times_ms |= {(LIGHT, "onnxruntime"): 120, (LIGHT, "openvino"): 60}
    monkeypatch.setattr(choice, "time", bench)
    return bench


def test_the_better_model_where_it_holds_the_rate_else_the_light_one(bench, caplog) -> None:
    caplog.set_level(logging.INFO)
    assert bench.choose() == (FULL, "openvino")
    (line,) = caplog.messages
    assert line.startswith(
        f"{FULL} in openvino: onnxruntime 200.0 ms, openvino 100.0 ms at 640x480, 10.0 Hz, "
    )
    assert "holds target_rate_hz 8" in line and "measured now" in line
    assert bench.choose(ModelConfig(target_rate_hz=12.0)) == (LIGHT, "openvino")
    assert bench.choose(ModelConfig(target_rate_hz=500.0)) == (LIGHT, "openvino")
    assert "16.7 Hz, which is below target_rate_hz 500" in caplog.messages[-1]


def test_what_was_measured_is_remembered(bench, caplog) -> None:
    caplog.set_level(logging.INFO)
    assert bench.choose() == bench.choose() == (FULL, "openvino")
    assert len(bench.opened) == 2 and "at an earlier start" in caplog.messages[-1]
    assert bench.choose(ModelConfig(threads=1)) == (FULL, "openvino")  # another question
    assert len(bench.opened) == 4
    for file in choice.speeds_folder().iterdir():
        file.write_text("{")
    assert bench.choose() == (FULL, "openvino") and len(bench.opened) == 6


def test_onnx_runtime_stays_where_the_other_is_not_faster(bench) -> None:
    bench.times_ms[LIGHT, "openvino"] = 118.0  # by less than a measurement varies
    assert bench.choose(ModelConfig(model=LIGHT)) == (LIGHT, "onnxruntime")


def test_what_fails_its_check_is_not_taken_and_tried_again(bench, warned) -> None:
    bench.broken = {"openvino"}
    assert bench.choose(ModelConfig(model=LIGHT)) == (LIGHT, "onnxruntime")
    assert "golden output; openvino is not used" in warned[0]
    bench.broken = set()
    assert bench.choose(ModelConfig(model=LIGHT)) == (LIGHT, "openvino")
    bench.broken = {"openvino", "onnxruntime"}
    config = ModelConfig(model=LIGHT, threads=3)
    assert choice.choose_on_cpu(config, True, bench.open) is config  # opening says why


def test_who_names_a_backend_gets_it_and_the_model_is_still_chosen(bench) -> None:
    assert bench.choose(ModelConfig(backend="openvino")) == (FULL, "openvino")
    assert bench.choose(ModelConfig(backend="openvino", model=LIGHT)) == (LIGHT, "openvino")
    assert bench.choose(ModelConfig(backend="onnxruntime")) == ("auto", "onnxruntime")
    assert len(bench.opened) == 1


def test_nothing_is_measured_without_openvino_or_a_file(bench, monkeypatch) -> None:
    assert bench.choose(ModelConfig(model="fake_stereo")) == ("fake_stereo", "auto")
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: name == "onnxruntime" or None)
    assert bench.choose() == ("auto", "auto") and not bench.opened
    assert find_model("auto").name == LIGHT


def test_a_cache_that_cannot_be_written_costs_only_time(bench, tmp_path, monkeypatch, warned) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert bench.choose() == (FULL, "openvino")
    assert "measured again at the next start" in warned[0]
