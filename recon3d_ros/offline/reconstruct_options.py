"""All that `recon3d reconstruct` may be told, apart from where the images are and where results go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from recon3d_ros.config import ModelConfig, PipelineConfig, options
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import ConfigError

# Options of the pipeline for clouds of single frames, which are not made here.
OF_CLOUDS = tuple(
    spec.name
    for spec in options(PipelineConfig)
    if spec.name.startswith(("point_", "outlier_", "free_space")) or spec.name in ("voxel_m", "decimation")
)
DEPTHS = ("auto", "recorded", "model", "motion")


@dataclass(frozen=True)
class ReconstructOptions:
    """How a model is made of images.

    Attributes:
        mapping: Of the fusion.
        motion: Of depth from motion.
        odometry: Of poses that are estimated.
        model: Of depth.
        limits: Limits and filters of depth images; `max_depth_m` reaches as far as the map, see
            `as_far_as_the_map`.
        depth: Of `DEPTHS`.
        engine: Of the fusion, or auto.
        poses: File or folder of poses; empty = those that lie beside the images or in their bag, else they
            are estimated.
        estimate_poses: Whether they are estimated even so.
        poses_of: "camera" or "body"; empty = as the file's kind has it.
        fixed_frame: In which the poses of a bag are wanted; empty = see `poses_in_bag`.
        camera: Files of a calibration, for images without one.
        formats: Endings of mesh files beside `mesh.ply`, e.g. ".glb".
        for_print: Whether to write `print.stl`, too.
        grid: Of a map for driving; None = none is made.
        crop: Lower and upper corner of what is kept, m; empty = all.
        complete: Boxes of the world, as `crop`, around objects that are completed.
        completion_model: Of the task completion, by its name or the path of its manifest.
    """

    mapping: MappingConfig = field(default_factory=MappingConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    limits: PipelineConfig = field(default_factory=PipelineConfig)
    depth: str = "auto"
    engine: str = "auto"
    poses: str = ""
    estimate_poses: bool = False
    poses_of: str = ""
    fixed_frame: str = ""
    camera: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    for_print: bool = False
    grid: GridConfig | None = None
    crop: tuple[float, ...] = ()
    complete: tuple[tuple[float, ...], ...] = ()
    completion_model: str = ""

    def __post_init__(self) -> None:
        if self.estimate_poses and (self.poses or self.poses_of or self.fixed_frame):
            raise ConfigError("expected --odometry, or --poses or --fixed-frame, got both: give one of them")
        if bool(self.complete) != bool(self.completion_model):
            raise ConfigError(
                "expected --complete and --completion-model together, got one of them: give a box and a model"
            )


def as_far_as_the_map(limits: PipelineConfig, map_max_depth_m: float) -> PipelineConfig:
    """What the limit makes +Inf is free space for the map, as far as the map goes: it must not end before.

    Raises:
        ConfigError: A limit that was set is nearer than the map goes.
    """
    if limits.max_depth_m >= map_max_depth_m:
        return limits
    if limits.max_depth_m != PipelineConfig().max_depth_m:
        raise ConfigError(
            f"expected --max-depth-m of at least --map-max-depth-m ({map_max_depth_m:g} m), got "
            f"{limits.max_depth_m:g} m: raise it, or lower --map-max-depth-m"
        )
    return replace(limits, max_depth_m=map_max_depth_m)
