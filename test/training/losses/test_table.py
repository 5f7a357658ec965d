from __future__ import annotations

import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.system import lazy
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.losses.table import DEFAULT_LOSSES, LOSSES, parse_losses


def test_names_and_weights_are_read():
    assert parse_losses("cross_entropy=1, smooth_l1 = 0.2,mae") == {
        "cross_entropy": 1.0,
        "smooth_l1": 0.2,
        "mae": 1.0,
    }
    assert parse_losses("mse=2,cosine=0") == {"mse": 2.0}


@pytest.mark.parametrize("name", LOSSES)
def test_each_name_is_a_function(name):
    assert callable(lazy.load(LOSSES[name])) and parse_losses(name) == {name: 1.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smoth_l1=1", "did you mean 'smooth_l1'"),
        ("crossentropy", "did you mean 'cross_entropy'"),
        ("xyz", "did you mean"),
        ("mae=much", "'much'"),
        ("mae=-1", "-1"),
        ("mae=inf", "inf"),
        ("mae=nan", "nan"),
        ("mae=", "weight"),
        ("mae=1,mae=2", "twice"),
        ("", "more than 0"),
        ("mae=0,mse=0", "more than 0"),
        ("=3", "got ''"),
    ],
)
def test_wrong_losses_are_one_sentence(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_losses(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    if text:  # nothing named is what the task has by default
        with pytest.raises(ConfigError):
            TrainConfig(losses=text)


@pytest.mark.parametrize("network", ["stereo", "stereo_light", "mono"])
def test_each_task_has_losses_of_its_own(network):
    config = TrainConfig(network=network)
    assert config.loss_weights == parse_losses(DEFAULT_LOSSES[config.task])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"network": "stereo", "losses": "normals"}, "normals"),
        ({"network": "stereo", "data": "nyuv2_train"}, "nyuv2_train"),
        ({"network": "stereo", "teacher": "t.yaml"}, "t.yaml"),
        ({"network": "mono", "losses": "distill"}, "got none: see --teacher"),
        ({"network": "mono", "losses": "features", "teacher": "t.yaml"}, "got none: see --teacher-features"),
        (
            {"network": "mono", "losses": "features", "teacher": "t.yaml", "teacher_features": "a"},
            "module=tensor",
        ),
        (
            {"network": "mono", "losses": "features", "teacher": "t.yaml", "teacher_features": "to_tenth=a"},
            "'to_tenth=a'",
        ),
        ({"network": "mono", "teacher": "t.yaml", "teacher_forcing": True}, "features=1"),
        ({"network": "mono", "teacher_features": "to_eighth=a"}, "see --teacher"),
        ({"network": "mono", "teacher_features": "to_eighth"}, "module=tensor"),
        ({"network": "mono", "data": "world=0"}, "above 0"),
        ({"network": "mono", "data": "world=much"}, "'much'"),
        ({"network": "mono", "data": ","}, "name world"),
        ({"network": "mono", "data": "world=2,world"}, "world twice"),
    ],
)
def test_what_a_task_cannot_do_is_one_sentence(values, said):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**values)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_shares_of_the_sources_sum_to_one():
    config = TrainConfig(network="mono", data="nyuv2_train=3, world")
    assert config.sources == {"nyuv2_train": 0.75, "world": 0.25}


def test_run_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="max_steps"):
        TrainConfig(minutes=0.0)
    assert TrainConfig(minutes=0.0, max_steps=3).max_steps == 3
