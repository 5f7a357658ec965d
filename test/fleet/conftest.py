"""Small bags of the procedural world, and a job for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig, ProcessConfig, ScaleConfig
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.fleet.bags import BagJob
from recon3d_ros.world import WorldCamera

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
SIZE_WH = (48, 32)


@pytest.fixture(scope="session")
def record():
    """Write a bag of stereo pairs at 10 Hz: record(path, frames, seed).

    Of the pairs `alone` the right image is missing, those of `broken` are half as high as their camera says;
    nothing comes for a second after `pause_after`.
    """
    pytest.importorskip("rosbags")
    pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

    def record(path, frames=6, seed=0, alone=(), broken=(), pause_after=None):
        camera = WorldCamera(seed=seed, size_wh=SIZE_WH, rate_hz=10.0)
        kinds = {"image_rect": "sensor_msgs/msg/Image", "camera_info": "sensor_msgs/msg/CameraInfo"}
        topics = {f"/{side}/{name}": kind for side in ("left", "right") for name, kind in kinds.items()}
        writer = BagWriter(path, topics)
        for i in range(frames):
            frame = camera.sample(i).frame
            late = pause_after is not None and i > pause_after
            stamp_ns = T0 + i * NS // 10 + late * NS
            sides = (("left", frame.image, frame.rig.left), ("right", frame.right, frame.rig.right))
            for number, (side, image, model) in enumerate(sides):
                logged_ns = stamp_ns + 1_000_000 * (number + 1)
                writer.write(f"/{side}/camera_info", logged_ns, writer.camera_info(model, stamp_ns, side))
                if side == "right" and i in alone:
                    continue
                if i in broken:
                    image = image[: SIZE_WH[1] // 2]
                plane = writer.depth(image[..., 0].astype(np.float32), stamp_ns, side)
                pixels = {"step": 3 * SIZE_WH[0], "data": np.ascontiguousarray(image).reshape(-1)}
                writer.write(f"/{side}/image_rect", logged_ns, replace(plane, encoding="rgb8", **pixels))
        writer.close()
        return path

    return record


@pytest.fixture
def job(tmp_path):
    """Clouds as a bag and as PLY, by the fake model."""
    return BagJob(
        str(tmp_path / "out"),
        ProcessConfig(),
        ModelConfig(model="fake_stereo", threads=1),
        PipelineConfig(),
        ScaleConfig(),
        formats=("bag", "ply"),
    )
