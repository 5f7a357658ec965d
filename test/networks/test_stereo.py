from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")

from recon3d_ros.networks import NETWORKS, build_network, task_of  # noqa: E402

TINY = {
    "bins": 12,
    "stem": 4,
    "features": (8, 8, 8),
    "matching": 8,
    "guidance": 4,
    "hourglass": (8, 8, 8),
    "blocks": (1, 0, 0),
    "window": 2,
    "uncertainty": 8,
}


KINDS = {
    "2 px": {"step_px": 2},
    "4 px": {"step_px": 4},
    "refined": {"step_px": 2, "refinement": 8},
    "nearer": {"step_px": 4, "nearer": 2.0, "context": True, "ordered": True},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def network(request):
    torch.manual_seed(0)
    return build_network("stereo", {**TINY, **request.param}).eval()


@pytest.mark.parametrize("shape_hw", [(32, 64), (96, 32), (64, 256)])
def test_answer_has_the_size_of_the_image_and_the_range_of_the_bins(network, shape_hw):
    left, right = torch.rand(2, 2, 3, *shape_hw).unbind()
    with torch.no_grad():
        output = network.analyse(left, right)
    for plane in (output.disparity, output.log_scale, output.confidence_logit):
        assert plane.shape == (2, 1, *shape_hw)
    assert output.logits.shape == (2, 12, shape_hw[0] // 4, shape_hw[1] // 4)
    assert output.quarter.shape == (2, 1, shape_hw[0] // 4, shape_hw[1] // 4)
    assert network.config.largest_px == 11 * network.config.step_px
    assert 0.0 <= output.disparity.min() and output.disparity.max() <= network.config.largest_px


def test_three_answers_have_their_units(network):
    left, right = torch.rand(2, 1, 3, 64, 96).unbind()
    with torch.no_grad():
        disparity, confidence, sigma_px = network(left, right)
        output = network.analyse(left, right)
    assert disparity.shape == confidence.shape == sigma_px.shape == (1, 1, 64, 96)
    assert 0.0 <= confidence.min() and confidence.max() <= 1.0 and confidence.std() > 0.0
    assert sigma_px.min() > 0.0 and torch.isfinite(sigma_px).all()
    # One standard deviation of a Laplace distribution.
    torch.testing.assert_close(sigma_px.square() / 2.0, torch.exp(output.log_scale).square())


def test_uncertainty_looks_on_and_moves_nothing(network):
    """Whatever is asked of confidence and scale, only the head that answers it learns."""
    network.train()
    output = network.analyse(*torch.rand(2, 2, 3, 64, 96).unbind())
    (output.log_scale.square() + output.confidence_logit.square()).mean().backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"uncertainty"}
    # ... while the disparity moves all of the others.
    network.zero_grad(set_to_none=True)
    output = network.analyse(*torch.rand(2, 2, 3, 64, 96).unbind())
    output.disparity.mean().backward()
    parts = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    refinement = {"refinement"} if network.refinement is not None else set()
    assert parts == {"encoder", "hourglass", "upsampler", "temperature"} | refinement


def test_calibration_changes_confidence_and_sigma_and_not_the_disparity(network):
    left, right = torch.rand(2, 1, 3, 32, 64).unbind()
    with torch.no_grad():
        before = network(left, right)
        network.uncertainty.trust_offset.fill_(2.0)
        network.uncertainty.scale_offset.fill_(1.0)
        after = network(left, right)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] > before[1]).all()
    torch.testing.assert_close(after[2], before[2] * 2.718281828)


def test_the_whole_image_has_a_say_in_confidence_and_sigma_alone():
    torch.manual_seed(0)
    network = build_network("stereo", {**TINY, "context": True}).eval()
    plain = build_network("stereo", TINY).eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    pair = torch.rand(2, 1, 3, 32, 64).unbind()
    with torch.no_grad():
        for mine, other in zip(network(*pair), plain(*pair)):  # it starts as nothing
            torch.testing.assert_close(mine, other)
        network.uncertainty.context.weight.fill_(0.5)
        changed, before = network(*pair), plain(*pair)
    torch.testing.assert_close(changed[0], before[0])
    assert ((changed[1] - before[1]).abs() > 1e-3).any() and ((changed[2] - before[2]).abs() > 1e-3).any()


def test_pairs_of_a_batch_do_not_see_each_other(network):
    left, right = torch.rand(2, 3, 3, 32, 64).unbind()
    with torch.no_grad():
        together = network(left, right)
        alone = network(left[1:2], right[1:2])
    for both, one in zip(together, alone):
        torch.testing.assert_close(both[1:2], one, atol=1e-3, rtol=1e-4)


def test_left_and_right_swapped_is_another_answer(network):
    left, right = torch.rand(2, 1, 3, 32, 64).unbind()
    with torch.no_grad():
        assert not torch.allclose(network(left, right)[0], network(right, left)[0])


def test_finer_descriptors_start_as_the_coarse_ones_twice():
    """The refinement is nothing before it is trained, so that it can be added to a trained network."""
    network = build_network("stereo", {**TINY, "step_px": 2}).eval()
    with torch.no_grad():
        _, descriptors = network.encoder.match(*network.encoder(torch.rand(2, 3, 32, 64)))
    assert descriptors.shape == (1, 8, 8, 32)
    torch.testing.assert_close(descriptors[..., ::2], descriptors[..., 1::2])


def test_left_descriptors_are_what_the_right_ones_of_their_columns_would_be():
    network = build_network("stereo", {**TINY, "step_px": 2}).eval()
    torch.nn.init.normal_(network.encoder.refine.weight)
    same = torch.rand(1, 3, 32, 64).expand(2, 3, 32, 64)
    with torch.no_grad():
        left, right = network.encoder.match(*network.encoder(same))
    assert not torch.allclose(right[..., ::2], right[..., 1::2], atol=1e-2)
    torch.testing.assert_close(left, right[..., ::2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if task_of(name) == "stereo"])
def test_presets_are_small_enough_for_a_robot(name):
    network = build_network(name)
    parameters = sum(p.numel() for p in network.parameters())
    assert 1e5 < parameters <= 8e6
    assert network.config.largest_px >= 188.0, "KITTI's and Middlebury's nearest surfaces are in the range"
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_light_preset_is_the_smaller_one():
    sizes = {name: sum(p.numel() for p in build_network(name).parameters()) for name in NETWORKS}
    assert sizes["stereo_light"] < 0.7 * sizes["stereo"]


@pytest.mark.parametrize("bins", [11, 12])  # 11 + 4 of the guidance + 1 are 16 channels already
def test_channels_aligned_for_runtimes_leave_the_answer_as_it_is(bins):
    torch.manual_seed(0)
    network = build_network("stereo", {**TINY, "bins": bins}).eval()
    left, right = torch.rand(2, 1, 3, 32, 96).unbind()
    with torch.no_grad():
        before = network(left, right)
        network.hourglass.align_channels()
        after = network(left, right)
    assert network.hourglass.enter[0][0].weight.shape[1] == (16 if bins == 11 else 32)
    for one, other in zip(before, after):
        torch.testing.assert_close(one, other)
