"""Words of launch arguments as parameters of the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.launch_arguments import describe, parameter_files, values
from recon3d_ros.config.options import parse_bool
from recon3d_ros.config.parameters import DEPTH_NODE, IMAGE_SOURCE, parameters
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("rectify", "TRUE", True),
        ("rectify", "0", False),
        ("use_sim_time", "1", True),
        ("camera_height_m", "1", 1.0),
        ("border_px", " 3", 3),
        ("model", "1e3", "1e3"),
        ("model", "on", "on"),
        ("scale_sources", "floor, range", ["floor", "range"]),
        ("scale_sources", "[floor, 'range']", ["floor", "range"]),
        ("scale_sources", "[]", []),
        ("scale_poses", "range 0 0 0 0 0 0, scan 0 0 0 0 0 0", ["range 0 0 0 0 0 0", "scan 0 0 0 0 0 0"]),
    ],
)
def test_a_word_becomes_a_value_of_its_type(name, word, value):
    given = values(DEPTH_NODE, {name: word})[name]
    assert given == value and type(given) is type(value)


def test_an_empty_word_gives_no_parameter():
    assert values(DEPTH_NODE, dict.fromkeys(parameters(DEPTH_NODE), "")) == {}


@pytest.mark.parametrize(
    ("name", "word", "words"),
    [
        ("rectify", "maybe", "rectify must be true or false, got 'maybe'"),
        ("border_px", "1.5", "border_px must be of type int, got '1.5'"),
        ("camera_height_m", "nan", "camera_height_m must be finite"),
        ("mode", "trinocular", "mode must be one of stereo, mono"),
    ],
)
def test_a_wrong_word_is_one_sentence(name, word, words):
    with pytest.raises(ConfigError, match=words):
        values(DEPTH_NODE, {name: word})


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "1", "yes", " on "])
def test_what_is_true(word):
    assert parse_bool("x", word) is True


def test_every_parameter_can_be_an_argument_with_a_description():
    for classes in (DEPTH_NODE, IMAGE_SOURCE):
        texts = describe(classes, parameters(classes))
        assert texts.keys() == parameters(classes).keys() and all(texts.values())
    assert describe(DEPTH_NODE, ["use_sim_time"])["use_sim_time"]
    assert describe(DEPTH_NODE, ["camera_height_m"])["camera_height_m"].endswith("[m]")


def test_a_parameter_file_has_to_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parameter_files("") == []
    with pytest.raises(DataError, match=r"found none: check params_file"):
        parameter_files("~/robot.yaml")
    (tmp_path / "robot.yaml").write_text("")
    assert parameter_files("~/robot.yaml") == [str(tmp_path / "robot.yaml")]


@pytest.mark.parametrize(
    ("config", "name"),
    [(ModelConfig, "model"), (ModelConfig, "models_dir"), (PipelineConfig, "roi_mask"),
     (SourceConfig, "source"), (SourceConfig, "camera")],
)  # fmt: skip
def test_a_path_may_begin_at_home(config, name):
    assert getattr(config(**{name: "~/x/y.yaml"}), name) == str(Path.home() / "x" / "y.yaml")
    assert getattr(config(**{name: "x~/y"}), name) == "x~/y"
