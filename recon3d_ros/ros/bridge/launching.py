"""What the launch files of the depth node share; the one module that imports launch."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.logging import get_logger
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from recon3d_ros.config.launch_arguments import (
    OWN_NAMES,
    Restarts,
    given_words,
    log_level_words,
    own_name,
    set_before,
)
from recon3d_ros.config.options import parse_bool


def described(arguments: dict[str, str], entities: list[Any], compared: bool = True) -> LaunchDescription:
    """Return a launch description whose defaults do not stay behind for files that are included later.

    Args:
        arguments: descriptions by parameter, or by former name of an argument; the defaults are empty.
        entities: what the file does.
        compared: warn of values that an earlier include has left behind.
    """
    names = [own_name(name) for name in arguments]

    def note(context: LaunchContext) -> None:
        if compared:
            warn(set_before(context.launch_configurations, names, context.argv))

    declared = [
        DeclareLaunchArgument(own_name(name), default_value="", description=text)
        for name, text in arguments.items()
    ]
    return forgotten(names, [OpaqueFunction(function=note), *declared, *entities])


def forgotten(names: Iterable[str], entities: list[Any]) -> LaunchDescription:
    """Return a launch description after which the defaults of its arguments are no longer there.

    Args:
        names: the arguments; what whoever includes the file gave for them stays.
        entities: what the file does, the declarations of the arguments included.
    """
    kept, before = set(names), set[str]()

    def note(context: LaunchContext) -> None:
        before.clear()
        before.update(context.launch_configurations)

    def forget(context: LaunchContext) -> None:
        for name in kept - before:
            context.launch_configurations.pop(name, None)

    return LaunchDescription([OpaqueFunction(function=note), *entities, OpaqueFunction(function=forget)])


def words_of(context: LaunchContext, names: Any) -> dict[str, str]:
    """Return what was given for arguments, by parameter or former name; warn of the latter."""
    words, warning = given_words(context.launch_configurations, names)
    warn(warning)
    return words


def warn(text: str) -> None:
    """Log a sentence of the launch files; an empty one is none."""
    if text:
        get_logger("recon3d").warning(text)


def can_show_rviz(word: str, argument: str = OWN_NAMES["rviz"]) -> bool:
    """Whether rviz is asked for and installed; say what to install where it is not.

    Args:
        word: what stands behind `:=`.
        argument: its name, for what is said.

    Raises:
        ConfigError: the word is no bool.
    """
    if not parse_bool(argument, word or "false"):
        return False
    try:
        get_package_prefix("rviz2")
    except (PackageNotFoundError, OSError):  # the latter without AMENT_PREFIX_PATH
        warn(
            "expected the package rviz2, which shows the results, got none: install ros-<distribution>-rviz2 "
            f"with apt, or give {argument}:=false; the nodes start without it"
        )
        return False
    return True


def typed(given: dict[str, Any]) -> dict[str, Any]:
    """Keep texts as texts: launch_ros would make a number of the model 1e3."""
    return {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in given.items()
    }


def depth_node(respawn: str, log_level: str, **options: Any) -> list[Any]:
    """Return the depth node, see `our_node`."""
    return our_node("depth_node", respawn, log_level, **options)


def our_node(name: str, respawn: str, log_level: str, **options: Any) -> list[Any]:
    """Return a node and what starts it again when it ended, see `Restarts`.

    Args:
        name: of the node and its executable.
        respawn: the word of the argument; empty is true.
        log_level: see `log_level_words`.
        options: of `launch_ros.actions.Node`.

    Raises:
        ConfigError: `respawn` is no bool, or `log_level` no level.
    """
    node = Node(
        package="recon3d_ros",
        executable=name,
        name=name,
        output="screen",
        emulate_tty=True,
        ros_arguments=log_level_words(log_level),
        **options,
    )
    # The handler first: a node may end before the next entity is visited.
    return [started_again(node), node] if parse_bool(own_name("respawn"), respawn or "true") else [node]


def started_again(node: ExecuteProcess) -> RegisterEventHandler:
    """Start a process again whenever it ended, as often and as late as `Restarts` says.

    In place of launch's own `respawn`, whose delay is always the same. What is started again is the finished
    command: by then the namespaces and parameters of the groups around the node are forgotten.
    """
    running: list[ExecuteProcess] = [node]
    restarts = Restarts(time.monotonic())

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Any]:
        if context.is_shutdown:
            return []
        name = event.process_name.rpartition("-")[0]
        delay_s, sentence = restarts.after(name, event.returncode, time.monotonic())
        if delay_s is None:
            get_logger("recon3d").error(sentence)
            return []
        get_logger("recon3d").info(sentence)
        again = ExecuteProcess(
            cmd=event.cmd, cwd=event.cwd, env=event.env, name=name, output="screen", emulate_tty=True
        )
        running[0] = again
        return [TimerAction(period=delay_s, actions=[again])]

    return RegisterEventHandler(
        OnProcessExit(target_action=lambda action: action is running[0], on_exit=on_exit)
    )
