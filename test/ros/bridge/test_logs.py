"""What the package logs, on the console and in /rosout, under the node's name."""

from __future__ import annotations

import logging

import pytest
import rclpy
from rcl_interfaces.msg import Log
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from recon3d_ros.ros.bridge.logs import forward_logs
from recon3d_ros.system.logs import logs_sent_to

log = logging.getLogger("recon3d_ros.backends.a_module_of_this_test")
LEVELS = {
    "debug": Log.DEBUG,
    "info": Log.INFO,
    "warning": Log.WARN,
    "error": Log.ERROR,
    "critical": Log.FATAL,
}


@pytest.fixture
def context():
    with logs_sent_to(logging.NullHandler()):  # what was before comes back afterwards
        context = rclpy.Context()
        rclpy.init(args=[], context=context)
        yield context
        rclpy.shutdown(context=context)


def test_every_level_reaches_rosout_at_its_own(context):
    node, probe = Node("logs", context=context), Node("probe", context=context)
    received: list[Log] = []
    probe.create_subscription(Log, "/rosout", received.append, 10)
    node.get_logger().set_level(10)
    forward_logs(node)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(probe)
    for _ in range(2):  # the same line of code at another level is no matter
        for level in LEVELS:
            getattr(log, level)("%s of %d", level, 7)
    for _ in range(200):
        executor.spin_once(timeout_sec=0.05)
        if sum(msg.name == "logs" for msg in received) == 2 * len(LEVELS):
            break
    assert [(msg.msg, msg.level) for msg in received if msg.name == "logs"] == 2 * [
        (f"{name} of 7", level) for name, level in LEVELS.items()
    ]
    for each in (node, probe):
        each.destroy_node()


def test_the_level_of_the_node_holds_and_nobody_else_hears_it(context, capfd):
    node = Node("quiet", context=context)
    node.get_logger().set_level(30)
    forward_logs(node)
    log.info("too little")
    log.warning("enough")
    err = capfd.readouterr().err
    assert err.count("enough") == 1 and "[quiet]" in err and "too little" not in err
    node.destroy_node()
    log.warning("after the node")
    assert "after the node" in capfd.readouterr().err
