"""The bond of the depth node: signs of life for Nav2's lifecycle manager while the node is active.

The message package `bond` is in no wheel. Where it is installed (apt, a workspace), the heartbeats go over
DDS, to a subscriber and to bondpy, the protocol's own Python. Elsewhere a double of the message stands in for
it, and what is published is written down.
"""

from __future__ import annotations

import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from recon3d_ros.ros.node import bond

PERIOD_S = 0.05
PARAMETERS = {"model": "fake_stereo", "autostart": False, "bond_heartbeat_period": PERIOD_S}


class Status:
    """bond/msg/Status without a type support: the same fields."""

    def __init__(self, **values):
        assert set(values) <= {"id", "instance_id", "active", "heartbeat_timeout", "heartbeat_period"}
        self.header = SimpleNamespace(stamp=None)
        self.__dict__.update(values)


@pytest.fixture
def written(monkeypatch):
    """What is published on bond, with a double of the message."""
    package, messages, published = ModuleType("bond"), ModuleType("bond.msg"), []
    messages.Status = Status
    monkeypatch.setitem(sys.modules, "bond", package)
    monkeypatch.setitem(sys.modules, "bond.msg", messages)

    def advertise(node, msg_type, topic, *, qos):
        assert (msg_type, topic, qos.depth) == (Status, "bond", 5)
        return SimpleNamespace(publish=published.append)

    monkeypatch.setattr(bond, "advertise", advertise)
    return published


def settled(published) -> int:
    """How much was published when nothing more comes."""
    count = len(published)
    time.sleep(6 * PERIOD_S)
    assert len(published) == count
    return count


def check_a_round(bench, published):
    """Activate and deactivate; check the messages that came; return the instance."""
    first = settled(published)
    assert bench.transit("activate")
    bench.wait(lambda: len(published) >= first + 4, what="no heartbeats")
    assert bench.transit("deactivate")
    bench.wait(lambda: not published[-1].active, what="the end is not told")
    beats = published[first : settled(published)]
    assert [beat.active for beat in beats] == [True] * (len(beats) - 1) + [False]
    assert {beat.id for beat in beats} == {"depth_node"}
    assert {round(beat.heartbeat_period, 6) for beat in beats} == {PERIOD_S}
    assert {beat.heartbeat_timeout for beat in beats} == {4.0}
    stamps = [beat.header.stamp.sec + beat.header.stamp.nanosec * 1e-9 for beat in beats]
    assert stamps == sorted(stamps) and stamps[-1] > stamps[0] + 2 * PERIOD_S
    (instance,) = {beat.instance_id for beat in beats}
    return instance


def test_the_node_gives_signs_of_life_while_it_is_active(make_bench, written):
    bench = make_bench(PARAMETERS, "/bond_double", outputs=())
    assert bench.transit("configure")
    instances = [check_a_round(bench, written) for _ in range(2)]
    assert instances[0] != instances[1]  # a sister that saw one end takes the next for somebody new


@pytest.mark.parametrize("way", ["cleanup", "shutdown", "close", "error"])
def test_whatever_ends_the_active_state_breaks_the_bond(make_bench, written, monkeypatch, way):
    bench = make_bench(PARAMETERS, f"/bond_{way}", outputs=())
    assert bench.transit("configure") and bench.transit("activate")
    bench.wait(lambda: len(written) >= 2, what="no heartbeats")
    if way == "close":
        bench.node.destroy_node()
    elif way == "shutdown":
        bench.transit("shutdown")
    elif way == "error":
        monkeypatch.setattr(bench.node._channels[0], "deactivate", lambda: 1 / 0)
        assert not bench.transit("deactivate")
        monkeypatch.undo()
    else:
        assert bench.transit("deactivate") and bench.transit("cleanup")
    assert [beat.active for beat in written[:-1]] == [True] * (len(written) - 1) and not written[-1].active
    settled(written)


@pytest.mark.parametrize("parameters", [{"autostart": True}, {"bond_heartbeat_period": 0.0}])
def test_nobody_is_told_who_does_not_wait_for_it(make_bench, written, parameters):
    started = "auto" if "autostart" in parameters else "off"
    bench = make_bench({**PARAMETERS, **parameters}, f"/bond_{started}", outputs=())
    if bench.state() != "active":
        assert bench.transit("configure") and bench.transit("activate")
    assert settled(written) == 0


def test_without_the_package_the_node_works_and_says_so_once(make_bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "bond", None)
    bench = make_bench(PARAMETERS, "/bond_missing", outputs=())
    assert bench.transit("configure")
    for _ in range(2):
        assert bench.transit("activate") and bench.state() == "active"
        assert bench.transit("deactivate")
    told = bench.wait(lambda: [text for text in bench.logs() if "ros-<distribution>-bond" in text])
    assert len(told) == 1 and not bench.warnings()


def test_the_heartbeats_over_dds(make_bench):
    messages = pytest.importorskip("bond.msg", reason="bond is in no wheel; ROS 2 from apt has it")
    bench = make_bench(PARAMETERS, "/bond_real", outputs=())
    bench.listen("bond", messages.Status)
    assert bench.transit("configure")
    assert bench.transit("activate")  # matched from here on
    bench.wait(lambda: bench.received["bond"], what="no heartbeats")
    assert bench.transit("deactivate")
    instances = [check_a_round(bench, bench.received["bond"]) for _ in range(2)]
    assert instances[0] != instances[1]


def test_bondpy_forms_the_bond_and_sees_it_break(make_bench):
    bondpy = pytest.importorskip("bondpy.bondpy", reason="bondpy is in no wheel; ROS 2 from apt has it")
    bench = make_bench(PARAMETERS, "/bond_sister", outputs=())
    assert bench.transit("configure")

    def form_and_break():
        assert bench.transit("activate")
        manager = Node("manager", context=bench.context, namespace="/bond_sister")
        executor = SingleThreadedExecutor(context=bench.context)
        executor.add_node(manager)
        sister, broken = bondpy.Bond(manager, "bond", "depth_node"), threading.Event()
        sister.set_broken_callback(broken.set)
        sister.start()

        def turn():  # in this thread, as bondpy destroys its subscription in it
            executor.spin_once(timeout_sec=0.01)

        bench.wait(lambda: turn() or sister.sister_instance_id, what="no bond")
        assert not broken.is_set()
        assert bench.transit("deactivate")
        bench.wait(lambda: turn() or broken.is_set(), what="the bond does not break")
        sister.shutdown()
        executor.shutdown()
        manager.destroy_node()

    for _ in range(2):
        form_and_break()
