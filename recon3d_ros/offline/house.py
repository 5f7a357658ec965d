"""A walk through the procedural house, fused into one model, beside that of its exact depth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.offline.reconstruction import Matrix, Reconstruction
from recon3d_ros.pipeline import Pipeline, RequestedOutputs
from recon3d_ros.world import WorldCamera

_DEPTH_ALONE = RequestedOutputs(cloud=False, free=False)


class HouseWalk:
    """Rectified pairs of one turn through the house, with exact depth and poses; rendered when asked for.

    Args:
        size_wh: Of the images, px.
        frames: Of the turn.

    Attributes:
        camera: Renders them.
    """

    def __init__(self, size_wh: tuple[int, int] = (480, 360), frames: int = 80) -> None:
        self.camera = WorldCamera(kind="house", size_wh=size_wh, loop_frames=frames)

    def __len__(self) -> int:
        return self.camera.loop_frames

    def trajectory(self) -> Trajectory:
        """The exact poses, by the order of the images."""
        poses = np.stack([self.camera.pose(i) for i in range(len(self))])
        return Trajectory(np.arange(len(self)), poses, key="order")

    def reconstruct(
        self, pipeline: Pipeline, config: MappingConfig, numbers: Iterable[int]
    ) -> tuple[Reconstruction, Reconstruction]:
        """Fuse the depth of a pipeline, with exact poses.

        Args:
            pipeline: Of a stereo model.
            config: Of both.
            numbers: Of the frames, for example through a progress bar.

        Returns:
            The reconstruction, and that of the exact depth of the same views.

        Raises:
            BackendError: The runtime of the model failed.
        """

        def estimated(sample: Sample, pose: Matrix) -> DepthMap:
            return pipeline.process(sample.frame, requested=_DEPTH_ALONE).depth_map

        def true(sample: Sample, pose: Matrix) -> DepthMap:
            assert sample.depth is not None  # of the world
            return DepthMap(sample.depth, sample.frame.camera)

        done, exact = (
            Reconstruction(
                self.trajectory(),
                depth_of,
                Fusion(config),
                ObservedSpace(config.voxel_m, config.map_max_depth_m),
            )
            for depth_of in (estimated, true)
        )
        for number in numbers:
            sample = self.camera.sample(number)
            done.add_sample(sample, number)
            exact.add_sample(sample, number)
        return done, exact
