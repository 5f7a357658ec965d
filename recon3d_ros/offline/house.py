"""A walk through the procedural house, fused into one mesh, beside the mesh of its exact depth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.geometry import DepthMap, Sample
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.surface import Mesh, extract_mesh
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
    ) -> tuple[Reconstruction, Mesh]:
        """Fuse the depth of a pipeline, with exact poses.

        Args:
            pipeline: Of a stereo model.
            config: Of both meshes.
            numbers: Of the frames, for example through a progress bar.

        Returns:
            The reconstruction, and the mesh of the exact depth of the same views.

        Raises:
            BackendError: The runtime of the model failed.
            DataError: No surface came out.
            MissingDependencyError: scikit-image is not installed.
        """
        exact = Fusion(config)

        def depth_of(sample: Sample, pose: Matrix) -> DepthMap:
            assert sample.depth is not None  # of the world
            exact.add(DepthMap(sample.depth, sample.frame.camera), sample.frame.image, pose)
            return pipeline.process(sample.frame, requested=_DEPTH_ALONE).depth_map

        done = Reconstruction(self.trajectory(), depth_of, Fusion(config))
        for number in numbers:
            done.add_sample(self.camera.sample(number), number)
        return done, extract_mesh(exact.store, config.voxel_m, config.min_weight)
