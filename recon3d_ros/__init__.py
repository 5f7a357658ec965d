"""Camera images in, metric point clouds out: a ROS 2 perception package, and a library without ROS.

    import recon3d_ros as r3d

    rig = r3d.read_camera("pair.yaml")  # as camera_calibration writes it, left: and right:
    rectifier = r3d.FrameRectifier(rig)
    with r3d.load_model() as model:
        pipeline = r3d.Pipeline(model, r3d.PipelineConfig(max_depth_m=10.0))
        frame = rectifier.frame(r3d.read_image("left.png"), r3d.read_image("right.png"))
        result = pipeline.process(frame)
    print(result.depth_map.depth)  # (H, W) float32, metres
    r3d.write_ply("cloud.ply", result.cloud)

The names in `__all__` are the public interface. From version 0.2.0 on they follow semantic versioning
(semver.org; below 1.0 the second number counts the changes that break something); modules below this one may
change in any version. Images are RGB or mono uint8, depth is in metres with NaN = invalid and +Inf = farther
than measurable. docs/python.md has more examples.

Importing this module loads nothing else: each name brings its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors; the same names as in the table below
    from recon3d_ros.config import ModelConfig as ModelConfig
    from recon3d_ros.config import PipelineConfig as PipelineConfig
    from recon3d_ros.config import ScaleConfig as ScaleConfig
    from recon3d_ros.datasets import VideoImages as VideoImages
    from recon3d_ros.datasets import folder_frames as folder_frames
    from recon3d_ros.errors import ArtifactError as ArtifactError
    from recon3d_ros.errors import BackendError as BackendError
    from recon3d_ros.errors import CalibrationError as CalibrationError
    from recon3d_ros.errors import ConfigError as ConfigError
    from recon3d_ros.errors import ContractError as ContractError
    from recon3d_ros.errors import DataError as DataError
    from recon3d_ros.errors import FrameError as FrameError
    from recon3d_ros.errors import ImageError as ImageError
    from recon3d_ros.errors import ManifestError as ManifestError
    from recon3d_ros.errors import MissingDependencyError as MissingDependencyError
    from recon3d_ros.errors import ModelError as ModelError
    from recon3d_ros.errors import OutputError as OutputError
    from recon3d_ros.errors import PartialResultError as PartialResultError
    from recon3d_ros.errors import Recon3dError as Recon3dError
    from recon3d_ros.estimation import Estimator as Estimator
    from recon3d_ros.estimation import load_model as load_model
    from recon3d_ros.files import read_camera as read_camera
    from recon3d_ros.files import read_depth as read_depth
    from recon3d_ros.files import read_image as read_image
    from recon3d_ros.files import read_ply as read_ply
    from recon3d_ros.files import write_depth_png16 as write_depth_png16
    from recon3d_ros.files import write_image as write_image
    from recon3d_ros.files import write_ply as write_ply
    from recon3d_ros.geometry import DepthMap as DepthMap
    from recon3d_ros.geometry import Frame as Frame
    from recon3d_ros.geometry import FrameRectifier as FrameRectifier
    from recon3d_ros.geometry import OrganizedCloud as OrganizedCloud
    from recon3d_ros.geometry import PinholeCamera as PinholeCamera
    from recon3d_ros.geometry import StereoRig as StereoRig
    from recon3d_ros.geometry import UnorganizedCloud as UnorganizedCloud
    from recon3d_ros.pipeline import Pipeline as Pipeline
    from recon3d_ros.pipeline import Result as Result
    from recon3d_ros.scale import Anchors as Anchors
    from recon3d_ros.scale import Scale as Scale
    from recon3d_ros.scale import ScaleRecovery as ScaleRecovery

__version__ = "0.1.0"

_NAMES_OF = {
    "recon3d_ros.config": ("ModelConfig", "PipelineConfig", "ScaleConfig"),
    "recon3d_ros.datasets": ("VideoImages", "folder_frames"),
    "recon3d_ros.errors": (
        "ArtifactError",
        "BackendError",
        "CalibrationError",
        "ConfigError",
        "ContractError",
        "DataError",
        "FrameError",
        "ImageError",
        "ManifestError",
        "MissingDependencyError",
        "ModelError",
        "OutputError",
        "PartialResultError",
        "Recon3dError",
    ),
    "recon3d_ros.estimation": ("Estimator", "load_model"),
    "recon3d_ros.files": (
        "read_camera",
        "read_depth",
        "read_image",
        "read_ply",
        "write_depth_png16",
        "write_image",
        "write_ply",
    ),
    "recon3d_ros.geometry": (
        "DepthMap",
        "Frame",
        "FrameRectifier",
        "OrganizedCloud",
        "PinholeCamera",
        "StereoRig",
        "UnorganizedCloud",
    ),
    "recon3d_ros.pipeline": ("Pipeline", "Result"),
    "recon3d_ros.scale": ("Anchors", "Scale", "ScaleRecovery"),
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    """Import what a public name stands for, when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
