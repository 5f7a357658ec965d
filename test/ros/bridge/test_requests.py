"""Requests that rclpy's services let through or break on are answered with no."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters

from recon3d_ros.ros.bridge import requests
from recon3d_ros.ros.bridge.requests import survive_wrong_requests


@pytest.fixture
def node():
    """A node with one service, in the state inactive; `said` has its warnings, `reached` what was served."""
    reached, said = [], []
    node = SimpleNamespace(
        services=[SimpleNamespace(callback=lambda request, response: reached.append(request) or response)],
        get_logger=lambda: SimpleNamespace(warning=said.append),
        _state_machine=SimpleNamespace(
            current_state=(2, "inactive"),
            available_transitions=[(2, "cleanup", 2, "inactive", 1, "unconfigured")],
        ),
    )
    survive_wrong_requests(node)
    return SimpleNamespace(
        serve=node.services[0].callback, reached=reached, said=said, services=node.services
    )


@pytest.mark.parametrize(
    ("transition", "served"),
    [
        (Transition(id=2), True),
        (Transition(id=99, label="cleanup"), True),  # the label counts
        (Transition(id=1), False),
        (Transition(id=2, label="configure"), False),
        (Transition(id=2, label="\x1b[2J" + "x" * 100_000), False),
    ],
)
def test_a_transition_reaches_rcl_only_where_the_state_has_it(node, transition, served):
    request, response = ChangeState.Request(transition=transition), ChangeState.Response(success=True)
    assert node.serve(request, response).success is served
    assert node.reached == ([request] if served else [])
    assert len(node.said) == (not served)
    if node.said:
        assert "the state inactive has" in node.said[0] and "it has cleanup" in node.said[0]
        assert len(node.said[0]) < 1000 and "\x1b" not in node.said[0]


def test_each_service_warns_once_in_a_while(node, monkeypatch):
    for _ in range(500):
        node.serve(ChangeState.Request(transition=Transition(id=1)), ChangeState.Response())
    assert len(node.said) == 1
    monkeypatch.setattr(requests.time, "monotonic", lambda: float("inf"))
    node.serve(ChangeState.Request(transition=Transition(id=1)), ChangeState.Response())
    assert len(node.said) == 2


def test_other_requests_pass(node):
    assert node.serve(GetParameters.Request(names=["x"]), GetParameters.Response()).values == []
    assert len(node.reached) == 1 and not node.said
