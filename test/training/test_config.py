from __future__ import annotations

import pytest

from recon3d_ros.errors import ConfigError
from recon3d_ros.training.config import FIRST_TRAINING_SEED, TrainConfig


def test_defaults_are_valid_and_seeds_are_apart():
    assert TrainConfig().validation_pairs < FIRST_TRAINING_SEED


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"width": 100}, "multiples of 32"),
        ({"width": 1024}, "render_width"),
        ({"minutes": -1.0}, "minutes"),
        ({"batch": 0}, "batch"),
        ({"precision": "fp8"}, "precision"),
    ],
)
def test_impossible_values(values, word):
    with pytest.raises(ConfigError, match=word):
        TrainConfig(**values)
