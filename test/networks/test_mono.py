from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.errors import ConfigError  # noqa: E402
from recon3d_ros.networks import build_network, task_of  # noqa: E402
from recon3d_ros.networks.mono_contract import DISTILLABLE  # noqa: E402

TINY = {
    "stem": 8,
    "encoder": ((8,), (8,), (16, 12), (16,)),
    "bottleneck": 10,
    "hidden": 8,
    "bins": 16,
    "uncertainty": 8,
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("mono", TINY).eval()


@pytest.mark.parametrize("shape_hw", [(32, 96), (96, 64), (224, 288)])
def test_answers_have_the_size_of_the_image_and_lie_in_the_range(network, shape_hw):
    with torch.no_grad():
        depth, confidence, sigma = network(torch.rand(2, 3, *shape_hw))
    for plane in (depth, confidence, sigma):
        assert plane.shape == (2, 1, *shape_hw) and torch.isfinite(plane).all()
    # Convex weights of logarithms between the outermost bins.
    assert network.config.near_m * 0.999 <= depth.min() and depth.max() <= network.config.far_m * 1.001
    assert 0.0 <= confidence.min() and confidence.max() <= 1.0 and sigma.min() > 0.0


def test_depth_is_the_mean_of_the_distribution_in_logarithms(network):
    with torch.no_grad():
        network.distribution.weight.zero_()
        network.distribution.bias.zero_()
        network.distribution.bias[5] = 40.0
        depth = network(torch.rand(1, 3, 32, 64))[0]
    torch.testing.assert_close(depth, torch.full_like(depth, float(network.log_centres[0, 5, 0, 0].exp())))


def test_images_of_a_batch_do_not_see_each_other(network):
    images = torch.rand(3, 3, 32, 64)
    with torch.no_grad():
        together, alone = network(images), network(images[1:2])
    for both, one in zip(together, alone):
        torch.testing.assert_close(both[1:2], one, atol=1e-4, rtol=1e-4)


def test_doubt_does_not_move_the_depth(network):
    network.train()
    output = network.analyse(torch.rand(2, 3, 32, 64))
    (output.confidence_logit.mean() + output.log_scale.mean()).backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"uncertainty"}


def test_what_can_be_taught_has_the_channels_it_says(network):
    with torch.no_grad():
        features = network.analyse(torch.rand(1, 3, 64, 96)).features
    assert tuple(features) == DISTILLABLE
    assert {name: int(x.shape[1]) for name, x in features.items()} == network.config.distillable_channels
    assert [int(x.shape[2]) for x in features.values()] == [16, 8, 4, 2, 4, 8, 16]


def test_given_what_it_would_see_anyway_nothing_changes(network):
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        alone = network.analyse(image)
        forced = network.analyse(image, alone.features)
    torch.testing.assert_close(forced.depth, alone.depth)


@pytest.mark.parametrize("name", DISTILLABLE)
def test_with_all_given_a_module_learns_by_itself(network, name):
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        given = {key: torch.rand_like(x) for key, x in network.analyse(image).features.items()}
    network.train()
    network.analyse(image, given).features[name].square().mean().backward()
    moved = {key.split(".")[0] for key, p in network.named_parameters() if p.grad is not None}
    before = {"to_quarter": {"to_half"}, "merge_sixteenth": {"bottleneck"}}
    assert moved == {name} | before.get(name, set())


def test_features_of_another_shape_are_one_sentence(network):
    with pytest.raises(ConfigError, match=r"\(1, 12, 4, 6\) in place of to_sixteenth, got \(1, 12, 2, 3\)"):
        network.analyse(torch.rand(1, 3, 64, 96), {"to_sixteenth": torch.rand(1, 12, 2, 3)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder": ((8,), (8,), (8,))},
        {"encoder": ((8,), (8,), (8,), ())},
        {"encoder": ((8,), (8,), (8, 0), (8,))},
        {"hidden": 0},
        {"bins": 1},
        {"near_m": 5.0, "far_m": 2.0},
        {"stem": 0},
    ],
)
def test_config_that_makes_no_network(wrong):
    with pytest.raises(ConfigError, match="expected"):
        build_network("mono", wrong)


def test_preset_is_small_enough_for_a_robot():
    parameters = sum(p.numel() for p in build_network("mono").parameters())
    assert 1e6 < parameters <= 6e6 and task_of("mono") == "mono"
