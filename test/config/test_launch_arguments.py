"""Words of launch arguments as parameters of the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.launch_arguments import (
    Restarts,
    describe,
    given_words,
    log_level_words,
    parameter_files,
    set_before,
    values,
)
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
    with pytest.raises(DataError, match=r"found none: check depth_params_file"):
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


def test_a_former_name_counts_where_the_own_name_has_nothing():
    configurations = {"model": "robot.urdf", "rectify": "true", "depth_rectify": "false", "depth_points": ""}
    words, warning = given_words(configurations, ["model", "rectify", "points", "left_info"])
    assert words == {"model": "robot.urdf", "rectify": "false", "points": "", "left_info": ""}
    assert "depth_model:=robot.urdf instead of model" in warning and "rectify" not in warning
    assert given_words({"depth_model": "a"}, ["model"]) == ({"model": "a"}, "")


def test_what_comes_from_an_earlier_include():
    names = ["depth_model", "depth_rectify", "use_sim_time", "left_info"]
    scope = {"depth_rectify": "true", "use_sim_time": "true", "left_info": "/a"}
    assert set_before(scope, names, ["left_info:=/a"]) == ""
    scope["depth_model"] = "b"
    told = set_before(scope, names, ["left_info:=/a"])
    assert told.startswith("depth_rectify:=true as in an earlier include") and "left_info" not in told
    scope["depth_rectify"] = "false"
    assert set_before(scope, names, []).startswith("depth_model:=b as")


def test_a_log_level_is_one_of_ros():
    assert log_level_words("") is None
    for word in ("debug", "WARN", "depth_node:=debug", "a.b:=fatal"):
        assert log_level_words(word) == ["--log-level", word]
    for word in ("verbose", "depth_node:=", "debug:=depth_node", "warning"):
        with pytest.raises(ConfigError, match="log_level must be one of debug, info, warn, error, fatal"):
            log_level_words(word)


def ends(*codes: int, seconds: float = 1.0, restarts: Restarts | None = None):
    """Delays after ends with these codes, each so long after its start, and what is said of the last."""
    restarts, now_s, delays = restarts or Restarts(0.0), 0.0, []
    for code in codes:
        delay_s, sentence = restarts.after("depth_node", code, now_s := now_s + seconds)
        delays.append(delay_s)
        now_s += delay_s or 0.0
    return delays, sentence


def test_three_starts_that_fail_alike_are_enough():
    delays, sentence = ends(5, 2, -11, 5, 0, 9, 5, 7)
    assert None not in delays[:-1] and delays[-1] is None
    assert sentence.startswith("depth_node ended 3 times in a row with exit code 7 and is not started again")


def test_starts_in_vain_come_later_and_later():
    delays, sentence = ends(*[-11] * 8)
    assert delays == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert sentence == "depth_node is started again in 60 s"


def test_a_node_that_ran_well_is_started_soon():
    assert ends(-11, 1, 134, seconds=40.0)[0] == [2.0, 2.0, 2.0]
    assert ends(*[5] * 4, seconds=40.0)[0] == [2.0] * 4  # what it lacked was there when it started


def test_a_missing_middleware_stays_missing():
    assert ends(102, 102, 102)[0] == [2.0, 4.0, None]
