"""Start, stop and QoS of the nodes; exit codes of whole processes: test_depth_node_process."""

from __future__ import annotations

import threading

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSReliabilityPolicy

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bridge.runtime import reliable_qos, run_node, sensor_qos


def test_profiles():
    subscription, publisher = sensor_qos(), reliable_qos()
    assert subscription.reliability == QoSReliabilityPolicy.BEST_EFFORT
    assert publisher.reliability == QoSReliabilityPolicy.RELIABLE
    assert subscription.history == publisher.history == QoSHistoryPolicy.KEEP_LAST


def test_a_shutdown_from_outside_ends_with_zero_and_destroys_the_node():
    destroyed = []

    class Short(Node):
        def __init__(self):
            super().__init__("short")
            threading.Timer(0.2, rclpy.shutdown).start()

        def destroy_node(self):
            destroyed.append(True)
            super().destroy_node()

    assert run_node(Short, args=[]) == 0
    assert destroyed  # Kilted's rclpy destroys the nodes of a context itself, too
    assert not rclpy.ok()


def test_a_failed_start_returns_the_code_of_the_error(capfd):
    def make_node():
        raise DataError("expected a folder, got nothing; give one")

    assert run_node(make_node, args=[]) == DataError.exit_code
    assert "expected a folder, got nothing; give one" in capfd.readouterr().err
    assert not rclpy.ok()


def test_an_interrupt_while_starting_is_a_clean_end():
    def make_node():
        raise KeyboardInterrupt

    assert run_node(make_node, args=[]) == 0


def test_a_shutdown_in_the_middle_of_a_start_is_a_clean_end():
    def make_node():
        rclpy.shutdown()
        return Node("late")  # fails: there is no context any more

    assert run_node(make_node, args=[]) == 0


def test_a_bug_is_not_hidden():
    def make_node():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_node(make_node, args=[])
    assert not rclpy.ok()
