"""What the package logs goes where a node's own messages go: the console and /rosout."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

from recon3d_ros.system.logs import send_logs_to
from recon3d_ros.system.printable import printable


def forward_logs(node: Node) -> None:
    """Send the package's log to the logger of a node from now on; of several nodes the last one gets it.

    It stays so when the node is destroyed: a process that ends has something to say, too.
    """
    logger = node.get_logger()
    send_logs_to(NodeLogHandler(logger), int(logger.get_effective_level()))


class NodeLogHandler(logging.Handler):
    """Hands log records to a logger of rclpy, each at its own level."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record; called by `logging`, in any thread."""
        text = printable(self.format(record))
        # A line each: rclpy refuses a second level from the same line of code.
        if record.levelno >= logging.CRITICAL:
            self._logger.fatal(text)
        elif record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)
