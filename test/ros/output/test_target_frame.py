"""target_frame through the whole node: points move by tf, or stay away and are counted."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from std_srvs.srv import Trigger

from recon3d_ros import files
from recon3d_ros.ros.bridge.conversions import cloud_from_msg, depth_from_msg


class TransformException(Exception):
    """As tf2_py has it."""


class Buffer:
    """What is used of tf2_ros.Buffer: base_link stands 0.5 m behind the optical frame, x forward, z up."""

    connected = True

    def can_transform(self, target_frame, source_frame, time):
        return self.connected and (target_frame, source_frame) == ("base_link", "left_optical")

    def lookup_transform(self, target_frame, source_frame, time):
        if not self.can_transform(target_frame, source_frame, time):
            raise TransformException("two unconnected trees")
        found = TransformStamped()
        found.transform.translation.x = 0.5
        rotation = found.transform.rotation
        rotation.w, rotation.x, rotation.y, rotation.z = 0.5, -0.5, 0.5, -0.5
        return found

    def clear(self):
        """Nothing is kept."""


@pytest.fixture(scope="module")
def bench(make_bench):
    with pytest.MonkeyPatch.context() as patch:
        module = ModuleType("tf2_ros")
        module.Buffer, module.TransformException = Buffer, TransformException
        module.TransformListener = lambda buffer, node: SimpleNamespace(buffer=buffer, node=node)
        patch.setitem(sys.modules, "tf2_ros", module)
        yield make_bench({"model": "fake_stereo", "target_frame": "base_link"}, "/target_frame")


def test_points_are_in_the_target_frame_and_depth_is_not(bench, scene):
    msg = bench.expect("points", scene.images(), scene.infos())
    assert msg.header.frame_id == "base_link"
    depth = bench.expect("depth/image", scene.images(), scene.infos())
    assert depth.header.frame_id == "left_optical"
    z = depth_from_msg(depth)
    v, u = np.mgrid[: scene.height, : scene.width]
    camera = scene.rig.left.as_rectified()
    cloud = cloud_from_msg(msg)
    valid = np.isfinite(z)
    assert valid.any() and np.array_equal(np.isfinite(cloud["x"]), valid)
    np.testing.assert_allclose(cloud["x"][valid], z[valid] + 0.5, rtol=1e-5)
    np.testing.assert_allclose(cloud["y"][valid], (camera.cx - u[valid]) * z[valid] / camera.fx, atol=1e-4)
    np.testing.assert_allclose(cloud["z"][valid], (camera.cy - v[valid]) * z[valid] / camera.fy, atol=1e-4)
    np.testing.assert_array_equal(cloud.rgb, scene.picture(0))


def test_what_is_saved_is_in_the_optical_frame_and_says_so(bench, scene, tmp_path):
    assert bench.set_parameters(save_folder=str(tmp_path))[0].successful
    bench.expect("points", scene.images(), scene.infos())
    saved = bench.call(Trigger, "save", Trigger.Request(), lambda: bench.send(scene.images(), scene.infos()))
    assert saved.success, saved.message
    (result,) = tmp_path.glob("*/result")
    cloud, depth = files.read_ply(result / "cloud.ply"), files.read_pfm(result / "depth.pfm")
    np.testing.assert_array_equal(cloud["z"], depth[np.isfinite(depth)])
    assert cloud.frame_id == "left_optical"
    assert bench.received["points"][-1].header.frame_id == "base_link"


def test_without_a_transform_the_drop_is_counted_and_depth_goes_on(bench, scene, monkeypatch, tmp_path):
    bench.expect("points", scene.images(), scene.infos())
    with monkeypatch.context() as patch:
        patch.setattr(Buffer, "connected", False)
        before = int(bench.status()["dropped_no_transform"])

        def seen():
            return int(bench.status()["dropped_no_transform"]) >= before + 2

        lost: set[int] = set()
        bench.wait(seen, lambda: lost.add(bench.send(scene.images(), scene.infos())), "no counted drop")
        assert bench.wait(lambda: bench.received_at("depth/image", lost))
        assert not bench.received_at("points", lost)
        assert "base_link" in bench.status()["message"]
        assert any("two unconnected trees" in warning for warning in bench.warnings())
        assert bench.set_parameters(save_folder=str(tmp_path))[0].successful
        # What is wrong is what one wants to save.
        saved = bench.call(
            Trigger, "save", Trigger.Request(), lambda: bench.send(scene.images(), scene.infos())
        )
        assert saved.success, saved.message
    bench.expect("points", scene.images(), scene.infos())


def test_the_frame_changes_while_the_node_runs(bench, scene):
    assert bench.set_parameters(target_frame="")[0].successful
    try:
        msg = bench.wait(
            lambda: next((m for m in bench.received["points"] if m.header.frame_id == "left_optical"), None),
            lambda: bench.send(scene.images(), scene.infos()),
            "no cloud in the optical frame",
        )
        assert np.nanmin(cloud_from_msg(msg)["z"]) > 0
    finally:
        assert bench.set_parameters(target_frame="base_link")[0].successful
