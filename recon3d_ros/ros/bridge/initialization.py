"""The command line and the environment of a node: what is wrong with them is one sentence."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from recon3d_ros import __version__
from recon3d_ros.errors import ConfigError, DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.files.yaml_document import MAX_BYTES, parse_yaml

RCLError = rclpy_implementation.RCLError
_LAST_DOMAIN = 232  # the ports of the next would be beyond 65535 (DDSI-RTPS, 9.6.1.1)


def read_command_line(description: str) -> None:
    """Serve `--help` and `--version` of an executable; refuse words that are not for ROS.

    Raises:
        SystemExit: both of these, as argparse has it: 0 after a text, 2 after a refusal.
    """
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name,
        usage="%(prog)s [-h] [--version] [--ros-args -p NAME:=VALUE --params-file FILE -r FROM:=TO ...]",
        description=description,
        epilog="What stands after --ros-args is for ROS; docs/parameters.md lists the parameters.",
    )
    parser.add_argument("--version", action="version", version=f"recon3d_ros {__version__}")
    try:
        words = remove_ros_args(sys.argv)[1:]
    except RuntimeError:
        return  # `initialize` says what is wrong after --ros-args
    parser.parse_args(words)


def initialize(args: Sequence[str] | None) -> None:
    """Call `rclpy.init`.

    Args:
        args: as for `rclpy.init`.

    Raises:
        ConfigError: the arguments for ROS or the environment variables are wrong; it names them.
    """
    _check_files(sys.argv if args is None else args)
    _check_domain()
    try:
        words = None if args is None else list(args)
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as exc:  # RCLError and UnknownROSArgsError are RuntimeErrors
        if isinstance(exc, RCLError) and "Couldn't parse" not in str(exc):
            raise creation_error(exc) from exc
        raise ConfigError(
            f"expected ROS arguments that rclpy accepts, got: {exc}; correct the part after --ros-args "
            "(parameters are -p name:=value, files --params-file FILE)."
        ) from exc


def creation_error(exc: Exception) -> ConfigError:
    """Return an error that names the cause of a failed start of rcl or rclpy."""
    text = " ".join(str(exc).split())  # rcl and DDS break lines
    lower = text.lower()
    if isinstance(exc, ParameterException):
        return ConfigError(
            f"expected a value of its type for a parameter of every node, got: {text}; correct it (true and "
            "false stand without quotes)"
        )
    if "enclave name" in lower:
        return ConfigError(
            f"expected an enclave such as /robot/depth_node behind --enclave, got: {text}; correct the part "
            "after --ros-args, or ROS_SECURITY_ENCLAVE_OVERRIDE"
        )
    if _is_secure() and not os.environ.get("ROS_SECURITY_KEYSTORE"):
        return ConfigError(
            "expected the folder of the keys in ROS_SECURITY_KEYSTORE, as ROS_SECURITY_ENABLE is true, "
            "got none: set it, or ROS_SECURITY_ENABLE=false"
        )
    if "security" in lower or _is_secure():
        keystore = os.environ.get("ROS_SECURITY_KEYSTORE")
        return ConfigError(
            f"expected an enclave for this node in ROS_SECURITY_KEYSTORE ({keystore}), got: {text}; "
            "make it with ros2 security create_enclave, name it with --ros-args --enclave, "
            "or set ROS_SECURITY_ENABLE=false"
        )
    if "logging" in lower:
        return ConfigError(
            f"expected a folder for logs that can be written, got: {text}; set ROS_LOG_DIR to one "
            "(or ROS_HOME, or HOME)"
        )
    if "ROS_DOMAIN_ID" in text:
        return _domain_error(os.environ.get("ROS_DOMAIN_ID", ""))
    return ConfigError(
        f"expected that ROS starts, got: {text}; check the environment variables that begin with ROS_ or "
        "RMW_, and the middleware's own configuration"
    )


def _is_secure() -> bool:
    return (
        os.environ.get("ROS_SECURITY_ENABLE") == "true"
        and os.environ.get("ROS_SECURITY_STRATEGY") == "Enforce"
    )


def _check_domain() -> None:
    """Refuse a domain that has no ports: Fast DDS ends the process there with a message of its own."""
    domain = os.environ.get("ROS_DOMAIN_ID", "")
    if "fastrtps" in rclpy.get_rmw_implementation_identifier() and domain.isdecimal():
        if int(domain) > _LAST_DOMAIN:
            raise _domain_error(domain)


def _domain_error(domain: str) -> ConfigError:
    return ConfigError(
        f"expected a whole number from 0 to {_LAST_DOMAIN} in ROS_DOMAIN_ID, got {domain!r}: set another one "
        "(from 0 to 101 is safe on every system)"
    )


def _check_files(words: Sequence[str]) -> None:
    """Refuse parameter files that rcl takes for empty ones, or refuses with lines of its own source."""
    for flag, file in zip(words, words[1:]):
        if flag != "--params-file":
            continue
        try:
            content = read_bytes(file, MAX_BYTES)
        except DataError as exc:
            if not Path(file).exists():
                continue  # which rcl reports better
            raise ConfigError(f"expected a file of parameters behind --params-file: {exc}") from exc
        try:
            document = next(iter(parse_yaml(content, file)), None)
        except DataError:
            continue  # which rcl reports better; it may also take what we do not
        if document is not None and not _names_parameters(document):
            raise ConfigError(
                f"expected names of nodes, ros__parameters and parameters in {file}, got "
                f"{str(document)[:40]!r}; write '/**: {{ros__parameters: {{max_depth_m: 10.0}}}}', as the "
                "files in config/ have it"
            )


def _names_parameters(content: Any) -> bool:
    """Whether names of nodes lead to ros__parameters, and that to names, everywhere."""
    return isinstance(content, dict) and all(
        isinstance(below, dict) if name == "ros__parameters" else _names_parameters(below)
        for name, below in content.items()
    )
