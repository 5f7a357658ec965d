"""Changed bytes of every message that the map node takes; see the test of the depth node of this name."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from recon3d_ros.ros.bench.soak import process_sample
from recon3d_ros.ros.bridge.conversions import camera_to_info, depth_to_msg, image_to_msg, ns_to_stamp
from test.fuzz_child import changed_message

pytest.importorskip("skimage")
MESSAGES = int(os.environ.get("RECON3D_FUZZ", "300"))
FIRST = int(os.environ.get("RECON3D_FUZZ_SEED", "0"))
GROWTH_MB = 150
START = (-1.6, 0.0, 0.0)
AT = (0, "camera_optical")


@pytest.mark.timeout(150 + MESSAGES / 10)
def test_a_map_node_lives_through_bytes_that_are_no_message(make_map_bench):
    bench = make_map_bench("/fuzz", outputs=("map/grid",), weights="confidence")
    pose = bench.room.pose(*START)
    depth, image = bench.room.view(pose)
    messages = {
        "depth/camera_info": camera_to_info(bench.room.camera, *AT),
        "image": image_to_msg(image, *AT),
        "depth/image": depth_to_msg(depth, *AT),
        "confidence": depth_to_msg(np.ones_like(depth), *AT),
    }
    for topic, msg in messages.items():
        bench.publish(topic, msg)
    bench.fuse(pose, confidence=np.ones_like(depth))
    before_mb = process_sample(os.getpid(), 0)["rss_mb"]
    for seed in range(FIRST, FIRST + MESSAGES):
        topic = random.Random(-seed).choice(list(messages))
        messages[topic].header.stamp = ns_to_stamp(bench.stamp_ns + 1 + seed // 4)  # some belong together
        bench.publish(topic, changed_message(serialize_message(messages[topic]), seed))
        time.sleep(0.003)
    assert bench.call(Trigger, "reset").success
    bench.fuse(pose, confidence=np.ones_like(depth))
    assert bench.dropped("internal") == 0, bench.logs()[-3:]
    assert process_sample(os.getpid(), 0)["rss_mb"] < before_mb + GROWTH_MB
