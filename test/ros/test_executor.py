import threading
import time

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger

from recon3d_ros.ros.channel import Gate
from recon3d_ros.ros.executor import ShortWayExecutor


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = Node("turning", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def executor(node):
    executor = ShortWayExecutor(context=node.context)
    executor.add_node(node)
    return executor


def turn_until(executor, condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        executor.spin_once(timeout_sec=0.1)


def test_messages_timers_services_and_tasks_are_all_served(node, executor):
    seen, beats = [], []
    node.create_subscription(String, "words", lambda msg: seen.append(msg.data), 10)
    out = node.create_publisher(String, "words", 10)
    node.create_timer(0.02, lambda: beats.append(1))

    def answer(request, response):
        response.message = "here"
        return response

    node.create_service(Trigger, "ask", answer)
    client = node.create_client(Trigger, "ask")
    turn_until(executor, lambda: client.service_is_ready() and out.get_subscription_count())
    for word in ("a", "b", "c"):
        out.publish(String(data=word))
    future = client.call_async(Trigger.Request())
    tasks = [executor.create_task(lambda: 7), executor.create_task(lambda: 8)]
    turn_until(executor, lambda: future.done() and len(seen) == 3 and len(beats) > 3)
    assert future.result().message == "here" and seen == ["a", "b", "c"]
    assert [task.result() for task in tasks] == [7, 8]


def test_a_service_may_await_what_a_timer_brings(node, executor):
    arrived = Future()

    async def answer(request, response):
        response.message = await arrived
        return response

    node.create_service(Trigger, "later", answer, callback_group=ReentrantCallbackGroup())
    client = node.create_client(Trigger, "later")
    turn_until(executor, client.service_is_ready)
    future = client.call_async(Trigger.Request())
    timer = node.create_timer(0.3, lambda: (arrived.set_result("late"), timer.cancel()))
    turn_until(executor, future.done)
    assert future.result().message == "late"


def test_a_turn_without_anything_ends_in_time_and_counts_a_timer_once(node, executor):
    turns = []
    node.create_timer(60.0, lambda: turns.append(1))
    for _ in range(20):
        executor.spin_once(timeout_sec=0.01)
    assert not turns


def test_what_is_new_is_heard_by_an_executor_that_waits(node, executor):
    seen = []
    out = node.create_publisher(String, "late", 10)
    thread = threading.Thread(target=turn_until, args=(executor, lambda: bool(seen)))
    thread.start()
    executor.create_task(lambda: node.create_subscription(String, "late", seen.append, 10))
    while thread.is_alive():
        out.publish(String(data="x"))
        thread.join(0.05)
    assert seen


def test_behind_a_shut_gate_messages_wait(node, executor):
    gate, seen = Gate(), []
    node.create_subscription(String, "gated", lambda msg: seen.append(msg.data), 1, callback_group=gate)
    out = node.create_publisher(String, "gated", 10)
    turn_until(executor, out.get_subscription_count)
    gate.is_open = False
    for word in ("old", "new"):
        out.publish(String(data=word))
    for _ in range(5):
        executor.spin_once(timeout_sec=0.02)
    assert not seen
    gate.is_open = True
    turn_until(executor, lambda: seen)
    assert seen == ["new"]


def test_a_callback_may_destroy_what_is_ready_behind_it(node, executor):
    seen = []
    subscriptions = []

    def first(_):
        seen.append("first")
        node.destroy_subscription(subscriptions[1])

    subscriptions.append(node.create_subscription(String, "both", first, 10))
    subscriptions.append(node.create_subscription(String, "both", lambda _: seen.append("second"), 10))
    out = node.create_publisher(String, "both", 10)
    turn_until(executor, lambda: out.get_subscription_count() == 2)
    out.publish(String())
    turn_until(executor, lambda: seen)
    for _ in range(5):
        executor.spin_once(timeout_sec=0.02)
    assert seen[0] == "first" and len(seen) <= 2


def test_an_error_of_a_callback_goes_to_who_spins(node, executor):
    def fail():
        raise ValueError("a bug")

    node.create_timer(0.01, fail)
    with pytest.raises(ValueError, match="a bug"):
        turn_until(executor, lambda: False)


def test_shutdown_ends_the_spin(node, executor):
    threading.Timer(0.2, lambda: rclpy.shutdown(context=node.context)).start()
    with pytest.raises(ExternalShutdownException):
        executor.spin()
        raise ExternalShutdownException  # the context was gone between two turns: that ends it as well
