"""What the launch files of the depth node share; the one module that imports launch."""

from __future__ import annotations

from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.logging import get_logger
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from recon3d_ros.config.launch_arguments import Restarts, given_words, own_name, set_before
from recon3d_ros.config.options import parse_bool

RESPAWN_DELAY_S = 2.0


def described(arguments: dict[str, str], entities: list[Any], compared: bool = True) -> LaunchDescription:
    """Return a launch description whose defaults do not stay behind for files that are included later.

    Args:
        arguments: descriptions by parameter, or by former name of an argument; the defaults are empty.
        entities: what the file does.
        compared: warn of values that an earlier include has left behind.
    """
    names = [own_name(name) for name in arguments]
    before: set[str] = set()

    def note(context: LaunchContext) -> None:
        before.clear()
        before.update(context.launch_configurations)
        if compared:
            warn(set_before(context.launch_configurations, names, context.argv))

    def forget(context: LaunchContext) -> None:
        for name in set(names) - before:
            context.launch_configurations.pop(name, None)

    declared = [
        DeclareLaunchArgument(own_name(name), default_value="", description=text)
        for name, text in arguments.items()
    ]
    first, last = OpaqueFunction(function=note), OpaqueFunction(function=forget)
    return LaunchDescription([first, *declared, *entities, last])


def words_of(context: LaunchContext, names: Any) -> dict[str, str]:
    """Return what was given for arguments, by parameter or former name; warn of the latter."""
    words, warning = given_words(context.launch_configurations, names)
    warn(warning)
    return words


def warn(text: str) -> None:
    """Log a sentence of the launch files; an empty one is none."""
    if text:
        get_logger("recon3d").warning(text)


def can_show_rviz(word: str) -> bool:
    """Whether rviz is asked for and installed; say what to install where it is not.

    Raises:
        ConfigError: the word is no bool.
    """
    if not parse_bool("rviz", word or "false"):
        return False
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        warn(
            "expected the package rviz2, which shows the clouds, got none: install ros-<distribution>-rviz2 "
            "with apt, or give depth_rviz:=false; the nodes start without it"
        )
        return False
    return True


def typed(given: dict[str, Any]) -> dict[str, Any]:
    """Keep texts as texts: launch_ros would make a number of the model 1e3."""
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in given.items()
    }


def log_level_arguments(level: str) -> list[str] | None:
    """Return the ROS arguments of a log level, such as `debug` or `depth_node:=debug`; None when empty."""
    return ["--log-level", level] if level else None


def depth_node(respawn: str, log_level: str, **options: Any) -> list[Any]:
    """Return the depth node and what ends its restarts when each would fail as the one before.

    Args:
        respawn: the word of the argument; empty is true.
        log_level: see `log_level_arguments`.
        options: of `launch_ros.actions.Node`.

    Raises:
        ConfigError: `respawn` is no bool.
    """
    node = Node(
        package="recon3d_ros",
        executable="depth_node",
        name="depth_node",
        output="screen",
        emulate_tty=True,
        ros_arguments=log_level_arguments(log_level),
        respawn=parse_bool("respawn", respawn or "true"),
        respawn_delay=RESPAWN_DELAY_S,
        **options,
    )
    restarts = Restarts()

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Any]:
        reason = restarts.last_word(event.process_name, event.returncode)
        if not reason:
            return []
        stop = ShutdownProcess(process_matcher=matches_action(node))  # launch waits for it before a respawn
        get_logger("recon3d").error(reason)
        return [EmitEvent(event=stop)]

    # The handler first: a node may end before the next entity is visited.
    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=on_exit)), node]
