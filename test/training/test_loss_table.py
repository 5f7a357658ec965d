from __future__ import annotations

import pytest

from recon3d_ros import lazy
from recon3d_ros.errors import ConfigError
from recon3d_ros.training.config import TrainConfig
from recon3d_ros.training.loss_table import LOSSES, parse_losses


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
    with pytest.raises(ConfigError):
        TrainConfig(losses=text)


def test_run_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="max_steps"):
        TrainConfig(minutes=0.0)
    assert TrainConfig(minutes=0.0, max_steps=3).max_steps == 3
