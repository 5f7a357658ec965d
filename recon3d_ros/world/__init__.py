"""Procedural scenes as rectified stereo with exact depth: the demo's camera and the training data."""

from recon3d_ros.world.batch import StereoBatch, render_batch, training_batch
from recon3d_ros.world.camera import WorldCamera
from recon3d_ros.world.objects import ObjectSample, object_sample
from recon3d_ros.world.rendering.render import render_stereo
from recon3d_ros.world.sampling import ground_sample, is_outdoor, random_scene, training_sample, view_sample
from recon3d_ros.world.scenes.scene import Scene

__all__ = [
    "ObjectSample",
    "Scene",
    "StereoBatch",
    "WorldCamera",
    "ground_sample",
    "is_outdoor",
    "object_sample",
    "random_scene",
    "render_batch",
    "render_stereo",
    "training_batch",
    "training_sample",
    "view_sample",
]
