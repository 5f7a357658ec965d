"""Procedural scenes as rectified stereo with exact depth: the demo's camera and the training data."""

from recon3d_ros.world.camera import WorldCamera
from recon3d_ros.world.render import render_stereo
from recon3d_ros.world.sampling import random_scene, training_sample
from recon3d_ros.world.scene import Scene

__all__ = ["Scene", "WorldCamera", "random_scene", "render_stereo", "training_sample"]
