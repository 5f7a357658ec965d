"""The registry of the nodes' parameters, and sets of their values."""

from __future__ import annotations

import pytest

from recon3d_ros.config import ModelConfig, NodeConfig, PipelineConfig, ProcessConfig, ScaleConfig, options
from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.config.parameters import (
    DEPTH_NODE,
    NODES,
    OFFLINE,
    ParameterSet,
    is_of_rclpy,
    parameters,
    scale_plan,
)
from recon3d_ros.errors import ConfigError


@pytest.mark.parametrize("classes", NODES.values(), ids=NODES)
def test_no_two_parameters_of_a_node_have_the_same_name(classes):
    names = [spec.name for config in classes for spec in options(config)]
    assert len(names) == len(set(names)) == len(parameters(classes))
    assert not [name for name in names if is_of_rclpy(name)]


def test_what_works_on_files_is_part_of_the_node():
    assert set(OFFLINE) < set(DEPTH_NODE)


@pytest.mark.parametrize("verb", [DoctorConfig, ProcessConfig])
def test_flags_that_are_named_as_parameters_mean_the_same(verb):
    """Same type, unit and limits; a choice may have `auto` besides."""
    known = parameters(DEPTH_NODE)
    shared = [spec for spec in options(verb) if spec.name in known]
    assert {"mode", "rectify", "image_transport", "sync_tolerance_ms"} <= {spec.name for spec in shared}
    for spec in shared:
        node = known[spec.name]
        assert (spec.type, spec.unit, spec.minimum) == (node.type, node.unit, node.minimum)
        assert set(spec.choices) - {"auto"} == set(node.choices)


def test_a_set_has_a_value_for_every_parameter():
    plain = ParameterSet.of(DEPTH_NODE, {})
    assert plain.values() == {name: spec.default for name, spec in parameters(DEPTH_NODE).items()}
    given = ParameterSet.of(DEPTH_NODE, {"max_depth_m": 7, "mode": "mono", "scale_sources": ["floor"]})
    assert given[PipelineConfig] == PipelineConfig(max_depth_m=7.0)
    assert given[NodeConfig].mode == "mono" and given[ModelConfig] == ModelConfig()
    assert given.difference(plain) == {"max_depth_m": 7.0, "mode": "mono", "scale_sources": ("floor",)}


def test_a_set_never_changes():
    plain = ParameterSet.of(DEPTH_NODE, {})
    other = plain.replaced({"border_px": 3, "use_sim_time": True})
    assert (plain[PipelineConfig].border_px, other[PipelineConfig].border_px) == (0, 3)
    assert other != plain and other.replaced({"border_px": 0}) == plain
    assert other.difference(plain) == {"border_px": 3}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_dept_m": 3.0}, "max_dept_m"),
        ({"max_depth_m": -3.0}, "max_depth_m must be at least 0"),
        ({"min_depth_m": 30.0}, "min_depth_m must be less than max_depth_m"),
    ],
)
def test_what_is_wrong_in_a_set_is_said(values, words):
    with pytest.raises(ConfigError, match=words):
        ParameterSet.of(DEPTH_NODE, values)


def test_the_plan_of_the_scale_is_checked_over_two_configurations():
    floor = ParameterSet.of(DEPTH_NODE, {"scale_sources": ["floor"]})
    with pytest.raises(ConfigError, match="floor needs the height of the camera"):
        scale_plan(floor)
    plan = scale_plan(floor.replaced({"floor_frame": "base_footprint"}))
    assert plan.config == ScaleConfig(scale_sources=("floor",)) and plan.needs_tf


@pytest.mark.parametrize(
    ("name", "of_rclpy"),
    [
        ("use_sim_time", True),
        ("qos_overrides", True),
        ("qos_overrides./points.publisher.depth", True),
        ("use_sim_time_too", False),
        ("max_depth_m", False),
    ],
)
def test_what_rclpy_reads_itself(name, of_rclpy):
    assert is_of_rclpy(name) is of_rclpy
