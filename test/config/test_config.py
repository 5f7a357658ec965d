from __future__ import annotations

import pytest

from recon3d_ros.config import (
    Config,
    ModelConfig,
    NodeConfig,
    PipelineConfig,
    ProcessConfig,
    ScaleConfig,
    option,
    options,
)
from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.config.recorder import RecorderConfig
from recon3d_ros.config.scale_inputs import ScaleInputConfig
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.errors import ConfigError

CONFIGS = (
    *(ModelConfig, PipelineConfig, NodeConfig, ScaleConfig, ProcessConfig),
    *(DoctorConfig, RecorderConfig, ScaleInputConfig, SourceConfig, MapNodeConfig),
)


@pytest.mark.parametrize("config", CONFIGS)
def test_defaults_are_valid_and_described(config: type[Config]) -> None:
    instance = config()
    for spec in options(config):
        assert spec.type in (bool, int, float, str, tuple)
        assert getattr(instance, spec.name) == spec.default
        assert spec.description


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (PipelineConfig, {"min_depth_m": -0.1}, "min_depth_m must be at least 0 m, got -0.1"),
        (PipelineConfig, {"max_depth_m": float("nan")}, "max_depth_m must be finite, got nan"),
        (PipelineConfig, {"border_px": 2000}, "at least 0 and at most 1024 px, got 2000"),
        (PipelineConfig, {"border_px": 1.5}, "border_px must be of type int, got 1.5"),
        (NodeConfig, {"cameras": "front"}, "cameras must be a list of words, such as .*, got 'front'"),
        (NodeConfig, {"cameras": ["a", 1]}, "cameras must be a list of words"),
        (NodeConfig, {"cameras": ["a", "a"]}, "cameras must be different namespaces, got a, a"),
        (NodeConfig, {"cameras": ["a b"]}, "cameras must be namespaces such as front"),
        (PipelineConfig, {"border_px": True}, "border_px must be of type int, got True"),
        (PipelineConfig, {"min_depth_m": 5, "max_depth_m": 5}, "min_depth_m must be less than max_depth_m"),
        (PipelineConfig, {"voxel_m": 0.0005}, "voxel_m must be 0 .off. or at least 0.001 m, got 0.0005"),
        (PipelineConfig, {"outlier_radius_m": 1e-9}, "outlier_radius_m must be 0 .off. or at least 0.001 m"),
        (PipelineConfig, {"point_fields": "rgb"}, "point_fields must be one of auto, xyz, xyzrgb, xyzi"),
        (PipelineConfig, {"temporal_weight": 1.0}, "temporal_weight must be at least 0 and at most 0.95"),
        (PipelineConfig, {"decimation": 0}, "decimation must be at least 1 and at most 64, got 0"),
        (NodeConfig, {"mode": "trinocular"}, "mode must be one of stereo, mono, got 'trinocular'"),
        (NodeConfig, {"bond_heartbeat_period": 1e-9}, "must be 0 .off. or at least 0.01 s, got 1e-09"),
        (MapNodeConfig, {"cameras": ["a", "a"]}, "cameras must be different namespaces, got a, a"),
        (MapNodeConfig, {"map_frame": "/"}, "map_frame must be the name of a fixed frame"),
        (MapNodeConfig, {"poses": "odometry", "cameras": ["a", "b"]}, "odometry follows one camera, got 2"),
        (MapNodeConfig, {"bond_heartbeat_period": 1e-9}, "must be 0 .off. or at least 0.01 s, got 1e-09"),
        (ModelConfig, {"backend": "tensorflow"}, "backend must be one of"),
        (ScaleConfig, {"scale_sources": ["sonar"]}, "scale_sources must be of fixed, .* got sonar"),
        (ScaleConfig, {"scale_sources": ["scan", "scan"]}, "scale_sources must be different ones"),
        (ScaleConfig, {"scale_factor": 0.0}, "scale_factor must be at least 1e-06"),
        (ScaleConfig, {"camera_pitch_deg": 91.0}, "at least -90 and at most 90 deg, got 91"),
        (ScaleConfig, {"scale_drift": 0.0}, "scale_drift must be at least 0.001"),
    ],
)
def test_wrong_values_are_named(config: type[Config], values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**values)


def test_images_in_files_have_no_sensors_beside_them() -> None:
    ScaleConfig(scale_sources=("fixed", "floor"), camera_height_m=1.0).require_offline()
    ScaleConfig().require_offline()
    with pytest.raises(ConfigError, match="must be of fixed, floor, got scan: remove them, or use the node"):
        ScaleConfig(scale_sources=("fixed", "scan")).require_offline()
    with pytest.raises(ConfigError, match="floor needs camera_height_m, got 0"):
        ScaleConfig(scale_sources=("floor",)).require_offline()
    with pytest.raises(ConfigError, match="need the source fixed in scale_sources, got none"):
        ScaleConfig(scale_factor=1.3).require_offline()


def test_whole_number_is_good_enough_for_a_float() -> None:
    value = PipelineConfig(max_depth_m=7).max_depth_m
    assert value == 7.0 and isinstance(value, float)


def test_only_the_declared_limit_is_named() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class OneSided(Config):
        rate_hz: float = option(10.0, "rate", unit="Hz", maximum=60.0)

    with pytest.raises(ConfigError, match=r"^rate_hz must be at most 60 Hz, got 61.0$"):
        OneSided(rate_hz=61.0)
