"""Configuration as frozen dataclasses: every default, unit, limit and description stands here, once.

The ROS room declares node parameters from :func:`options`, the command line builds its flags from it.
"""

from recon3d_ros.config.model import ModelConfig
from recon3d_ros.config.node import NodeConfig
from recon3d_ros.config.options import Config, Option, option, options
from recon3d_ros.config.pipeline import PipelineConfig
from recon3d_ros.config.process import ProcessConfig
from recon3d_ros.config.scale import SENSOR_SOURCES, ScaleConfig

__all__ = [
    "SENSOR_SOURCES",
    "Config",
    "ModelConfig",
    "NodeConfig",
    "Option",
    "PipelineConfig",
    "ProcessConfig",
    "ScaleConfig",
    "option",
    "options",
]
