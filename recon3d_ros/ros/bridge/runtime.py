"""What every node of this package shares: start, spin, stop and the QoS of its topics."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import rclpy
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.subscription import Subscription

from recon3d_ros.config.camera_topics import transport_topic
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.ros.bridge.dds import PROFILE_VARIABLES, SHARED_MEMORY, remove_dead_segments, use_profile
from recon3d_ros.ros.bridge.initialization import RCLError, creation_error, initialize, read_command_line
from recon3d_ros.ros.bridge.stop_signals import StopSignals
from recon3d_ros.system.allocator import keep_memory
from recon3d_ros.system.printable import printable
from recon3d_ros.system.streams import open_standard_streams

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

SIGNAL_LATENCY_S = 0.2  # Python sees a signal between two turns of the executor; this long may one wait
DAEMONS_S = 1.0  # for threads to end before a process does

# What rclpy raises for a qos_overrides parameter of a wrong type or value.
_BAD_QOS = (ParameterException, InvalidQosOverridesError, RuntimeError, TypeError)

_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def sensor_qos(depth: int = 2) -> QoSProfile:
    """Return the profile of subscriptions: best effort (matches every publisher), the newest `depth` kept."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=QoSReliabilityPolicy.BEST_EFFORT
    )


def reliable_qos(depth: int = 2) -> QoSProfile:
    """Return the profile of publishers: reliable (matches every subscriber), the newest `depth` kept."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=QoSReliabilityPolicy.RELIABLE
    )


class PausableCallbackGroup(MutuallyExclusiveCallbackGroup):
    """A callback group that can be paused: subscriptions stay, their newest messages wait in the middleware.

    Every message costs a turn of the executor, whatever the callback does; in a paused group it costs none.
    """

    paused = False

    def can_execute(self, entity: Any) -> bool:
        """Whether the executor may wait for the entity, as rclpy asks it."""
        return not self.paused and bool(super().can_execute(entity))


def subscribe(
    node: Node,
    msg_type: type,
    topic: str,
    callback: Callable[[Any], None],
    *,
    qos: QoSProfile | None = None,
    callback_group: CallbackGroup | None = None,
    raw: bool = False,
) -> Subscription:
    """Subscribe with `sensor_qos` (or `qos`), overridable by `qos_overrides.<topic>.subscription.*`.

    Args:
        node: who subscribes.
        msg_type: class of the messages.
        topic: relative name.
        callback: receives every message.
        qos: in place of `sensor_qos`.
        callback_group: give one that is dropped with the subscription when it will be destroyed before the
            node: groups keep a reference of each entity they ever had.
        raw: give the callback serialized messages, as bytes.

    Raises:
        ConfigError: an override is no value of its policy.
    """
    try:
        return node.create_subscription(
            msg_type,
            topic,
            callback,
            qos or sensor_qos(),
            callback_group=callback_group,
            # rclpy's own event callbacks cost every turn of the executor; `qos_watch` says it in more words.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
            raw=raw,
        )
    except _BAD_QOS as exc:
        raise _qos_error("subscription", topic, exc) from exc


def advertise(node: Node, msg_type: type, topic: str, *, qos: QoSProfile | None = None) -> Publisher:
    """Create a publisher with `reliable_qos` (or `qos`), overridable by `qos_overrides.<topic>.publisher.*`.

    Raises:
        ConfigError: an override is no value of its policy.
    """
    try:
        return node.create_publisher(
            msg_type,
            topic,
            qos or reliable_qos(),
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
        )
    except _BAD_QOS as exc:
        raise _qos_error("publisher", topic, exc) from exc


def transported(node: Node, base: str, transport: str) -> str:
    """Return the name to subscribe to or advertise for an image topic.

    As in image_transport, remapping the base name moves its compressed topic too. A raw topic keeps its name
    as it is: the entity remaps it itself, and twice would undo a remapping that swaps two topics.

    Args:
        node: the node whose remappings hold.
        base: name of the image topic.
        transport: raw or compressed.
    """
    return base if transport == "raw" else transport_topic(node.resolve_topic_name(base), transport)


def _qos_error(entity: str, topic: str, exc: Exception) -> ConfigError:
    return ConfigError(
        f"expected valid QoS for the {entity} of {topic!r}, got: {exc}; correct the qos_overrides parameters "
        "(for example reliability: reliable | best_effort, history: keep_last, depth: 5)."
    )


def run_node(make_node: Callable[[], Node], args: Sequence[str] | None = None, description: str = "") -> int:
    """Run one node until SIGINT, SIGTERM or shutdown of the context; the body of every node's `main`.

    However the node is started, Fast DDS takes the profile with which clouds arrive (`dds.use_profile`).

    Args:
        make_node: builds the node after `rclpy.init`; a `Recon3dError` it raises is a failed start.
        args: command line for `rclpy.init`. None: that of the process, an executable of its own, which
            serves `--help` and `--version` and refuses words that are none of ROS.
        description: what the executable does, for `--help`.

    Returns:
        0 after an asked-for stop, else the `exit_code` of the error, which is logged in one sentence. The
        process ends here with it when a thread of the node is still busy in a library.
    """
    open_standard_streams()
    if args is None:
        read_command_line(description)
    keep_memory()
    former = threading.enumerate()
    with StopSignals() as signals:
        code = _run(make_node, args, signals)
        _leave_busy_threads([thread for thread in threading.enumerate() if thread not in former], code)
    return code


def _run(make_node: Callable[[], Node], args: Sequence[str] | None, signals: StopSignals) -> int:
    node: Node | None = None
    initialised = False
    try:
        profile = use_profile()
        dead = remove_dead_segments()
        initialize(args)
        initialised = True
        _tell_profile(profile)
        _tell_dead_segments(*dead)
        with signals.interrupting():
            node = _made(make_node)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        with signals.interrupting():
            while rclpy.ok() and not signals.came:
                executor.spin_once(timeout_sec=SIGNAL_LATENCY_S)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as exc:
        if initialised and not rclpy.ok():
            return 0  # somebody shut the context down in the middle of a start or a callback
        if not isinstance(exc, Recon3dError):
            raise
        get_logger(node.get_name() if node else "recon3d").fatal(printable(str(exc)))
        return exc.exit_code
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _made(make_node: Callable[[], Node]) -> Node:
    try:
        return make_node()
    except (RCLError, ParameterException) as exc:
        if not rclpy.ok():
            raise  # somebody shut the context down: no failure
        raise creation_error(exc) from exc


def _tell_profile(path: str) -> None:
    if path and "fastrtps" in rclpy.get_rmw_implementation_identifier():
        get_logger("recon3d").info(
            f"Fast DDS takes the profile {path} (set {' or '.join(PROFILE_VARIABLES)} for one of your own)"
        )


def _tell_dead_segments(count: int, taken: int) -> None:
    if count:
        get_logger("recon3d").info(
            f"removed {count} segments ({taken / 1e6:.0f} MB) that killed processes left in {SHARED_MEMORY}"
        )


def _leave_busy_threads(threads: Sequence[threading.Thread], code: int) -> None:
    """End the process at once if daemons of the node are still in a library, opening a model or a camera.

    Python 3.13 and older ends a daemon that comes back from C++ while the interpreter goes down by an
    exception, which C++ turns into abort(): a core dump for a Ctrl-C.
    """
    deadline_s = time.monotonic() + DAEMONS_S
    daemons = [thread for thread in threads if thread.daemon]
    for thread in daemons:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    if any(thread.is_alive() for thread in daemons):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads any more
                stream.flush()
        os._exit(code)
