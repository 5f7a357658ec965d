"""The scripts of docs/own-models.md, run as they stand there, briefly; the node serves what they make.

They need what the page says: Keras for the first one, which no test run installs by itself.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from recon3d_ros.cli.main import main
from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg
from recon3d_ros.world import WorldCamera

# Two frameworks start, and train for a moment.
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"```python\n# (\w+)\.py: [^\n]+\n(.*?)```", PAGE, re.DOTALL))
NEEDS = {"keras_mono": ("keras", "torch", "onnx"), "torch_mono": ("torch", "onnx")}
SIZES = re.compile(r"^SCENES, (?:EPOCHS|STEPS) = \d+, \d+$", re.MULTILINE)


def environment(folder: Path) -> dict[str, str]:
    """For a child: our package, one thread, and Keras' settings out of the user's home."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(folder),
    }


@pytest.fixture(scope="module", params=NEEDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest that a script of the page makes from one scene in one round."""
    name, folder = request.param, tmp_path_factory.mktemp("own")
    for library in NEEDS[name]:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    script, changed = SIZES.subn(lambda line: re.sub(r"\d+", "1", line[0]), SCRIPTS[name])
    assert changed == 1
    (folder / f"{name}.py").write_text(script, encoding="utf-8")
    words = [sys.executable, f"{name}.py", "my_models"]
    done = subprocess.run(
        words, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^abs_rel 0\.\d+", done.stdout, re.MULTILINE), done.stdout
    return folder / "my_models" / f"{name}.yaml"


def test_the_page_has_a_script_for_each():
    assert SCRIPTS.keys() == NEEDS.keys()


def test_its_files_are_verified(model, capsys):
    assert main(["models", "--models-dir", str(model.parent), "--verify"]) == 0
    assert f"{model.stem}: ok" in capsys.readouterr().out


def test_it_answers_the_world_in_metres(model):
    """Its golden answer comes, and a picture of another size has depth of a room everywhere."""
    estimator = Estimator.open(ModelConfig(model=str(model), threads=1))
    assert estimator.manifest.golden is not None and estimator.manifest.accuracy
    depth = estimator.estimate(WorldCamera(0, "indoor", (200, 140)).sample(3).frame).depth
    estimator.close()
    assert depth.shape == (140, 200) and (depth > 0.01).all() and (depth < 100.0).all()
    assert depth.std() > 0


def test_the_node_makes_a_cloud_of_it(model, tmp_path):
    frame = WorldCamera(0, "indoor", (160, 120)).sample(3).frame
    estimator = Estimator.open(ModelConfig(model=str(model), threads=1))
    depth = estimator.estimate(frame).depth
    estimator.close()
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    probe = Node("probe", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(probe)
    clouds: list[PointCloud2] = []
    probe.create_subscription(PointCloud2, "points", clouds.append, 2)
    messages = {
        "image": image_to_msg(frame.image, 0, "camera", "rgb8"),
        "camera_info": camera_to_info(frame.camera, 0, "camera"),
    }
    publishers = {topic: probe.create_publisher(type(m), topic, 2) for topic, m in messages.items()}
    words = ["node", "--mode", "mono", "--model", str(model), "-p", "max_depth_m:=100.0"]
    log = tmp_path / "node.log"
    with open(log, "wb") as file:
        node = subprocess.Popen(
            [sys.executable, "-m", "recon3d_ros", *words],
            env=environment(tmp_path),
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + 60
        while not clouds and node.poll() is None and time.monotonic() < deadline:
            stamp = probe.get_clock().now().to_msg()
            for topic, message in messages.items():
                message.header.stamp = stamp
                publishers[topic].publish(message)
            executor.spin_once(timeout_sec=0.2)
    finally:
        node.kill()
        node.wait()
        probe.destroy_node()
        rclpy.shutdown(context=context)
    assert clouds, log.read_text(encoding="utf-8")
    cloud = cloud_from_msg(clouds[0])
    assert cloud.shape_hw == (120, 160) and cloud.valid.mean() > 0.5
    np.testing.assert_allclose(cloud.xyz[..., 2][cloud.valid], depth[cloud.valid], rtol=1e-5)
