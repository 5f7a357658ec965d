"""Flags made from configuration classes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from recon3d_ros.cli.flags import add_options, read_options
from recon3d_ros.cli.frames import add_image_arguments
from recon3d_ros.config import ModelConfig, NodeConfig, PipelineConfig, options
from recon3d_ros.errors import ConfigError


def _parser(config, **kwargs):
    parser = argparse.ArgumentParser()
    add_options(parser, config, **kwargs)
    return parser


@pytest.mark.parametrize("config", [ModelConfig, PipelineConfig, NodeConfig])
def test_without_words_the_config_is_the_default(config):
    assert read_options(_parser(config).parse_args([]), config) == config()


@pytest.mark.parametrize("config", [ModelConfig, PipelineConfig, NodeConfig])
def test_every_option_has_its_flag_and_text(config):
    text = " ".join(_parser(config).format_help().split())
    for spec in options(config):
        assert f"--{spec.name.replace('_', '-')}" in text
        assert spec.description.split(",")[0].split()[0] in text


def test_words_become_values_of_the_right_type():
    args = _parser(PipelineConfig).parse_args(["--max-depth-m", "7", "--border-px", "3"])
    config = read_options(args, PipelineConfig)
    assert (config.max_depth_m, config.border_px) == (7.0, 3) and isinstance(config.max_depth_m, float)
    args = _parser(NodeConfig).parse_args(["--rectify"])
    assert read_options(args, NodeConfig).rectify is True
    args = _parser(NodeConfig).parse_args(["--cameras", "front,rear"])
    assert read_options(args, NodeConfig).cameras == ("front", "rear")


def test_a_skipped_option_is_set_by_the_verb():
    parser = _parser(ModelConfig, skip=("model",))
    assert "model" not in vars(parser.parse_args([]))
    assert read_options(parser.parse_args([]), ModelConfig, model="mine").model == "mine"


def test_a_flag_that_is_not_given_is_as_in_the_former_config():
    parser = _parser(PipelineConfig)
    parser.set_defaults(**{spec.name: None for spec in options(PipelineConfig)})
    args = parser.parse_args(["--border-px", "0"])
    former = {"border_px": 3, "max_depth_m": 7.0}
    assert read_options(args, PipelineConfig, former) == PipelineConfig(border_px=0, max_depth_m=7.0)


def test_limits_are_those_of_the_config(capsys):
    args = _parser(PipelineConfig).parse_args(["--min-depth-m", "30"])
    with pytest.raises(ConfigError):
        read_options(args, PipelineConfig)
    with pytest.raises(SystemExit):
        _parser(NodeConfig).parse_args(["--mode", "tricorder"])


def test_home_stands_for_a_tilde_behind_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = argparse.ArgumentParser()
    add_image_arguments(parser)
    words = [
        "--left=~/l.png",
        "--right=~nobody-here/r.png",
        "--input=~/images",
        "--camera",
        "~/a.yaml",
        "b.yaml",
    ]
    args = parser.parse_args(words)
    assert (args.left, args.right) == (tmp_path / "l.png", Path("~nobody-here/r.png"))
    assert args.camera == [tmp_path / "a.yaml", Path("b.yaml")]
