"""The processes of the benchmarks: they reply, they are missed when they end, and none is left."""

from __future__ import annotations

import multiprocessing
import os
import time
from operator import attrgetter

import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.ros.bench.processes import Part, Processes, serve_camera, serve_consumer


class Sleepers(Processes):
    """Two nodes that sleep, a camera that resolves names, a consumer that says its own."""

    def __init__(self) -> None:
        super().__init__(
            {"first": Part(time.sleep, (600.0,)), "second": Part(time.sleep, (600.0,))},
            Part(serve_camera, (attrgetter("resolve_topic_name"),)),
            Part(serve_consumer, (attrgetter("get_name"),)),
        )

    def __enter__(self) -> Sleepers:
        self.start()
        return self


def test_both_reply_and_a_node_that_ends_is_named():
    with Sleepers() as processes:
        assert processes.ask_camera("image") == "/image"
        assert processes.ask_consumer("name") == "consumer"
        assert len(processes.pids) == 2 and processes.node_pid == processes.pids[0]
        os.kill(processes.pids[1], 9)
        processes._nodes[1].join()
        processes._camera.send(None)  # it ends, so that nothing replies
        with pytest.raises(DataError, match="expected the second to live"):
            processes.ask_camera("image")
    assert not multiprocessing.active_children()


def test_who_ends_instead_of_replying_is_named_too():
    with Sleepers() as processes:
        assert processes.ask_camera("image") == "/image"
        processes._camera.send(None)
        processes._others[0].join()
        with pytest.raises(DataError, match="expected the camera to live"):
            processes.ask_camera("image")
