"""The life cycle of the depth node: transitions over DDS, a hundred times, and transitions that fail."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters, SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn

from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.ros.bridge.conversions import cloud_from_msg
from recon3d_ros.ros.node.channel import CameraChannel

ROUND = ("configure", "activate", "deactivate", "cleanup")


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench({"model": "fake_stereo", "autostart": False}, "/managed", outputs=("points",))


def entities(bench):
    """What the node has open: publishers, subscriptions, timers, services."""
    node = bench.node
    return [len(list(found)) for found in (node.publishers, node.subscriptions, node.timers, node.services)]


def resident_kib():
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def test_a_managed_node_waits_then_works_then_stops(bench, scene):
    assert bench.state() == "unconfigured"
    bench.wait(lambda: bench.status()["message"].startswith("unconfigured"))
    assert bench.status()["level"] == "0"
    assert bench.transit("configure") and bench.state() == "inactive"
    bench.wait(lambda: bench.status()["message"].startswith("inactive"))
    topics = dict(bench.node.get_subscriber_names_and_types_by_node("depth_node", "/managed"))
    assert "/managed/left/camera_info" not in topics
    assert bench.transit("activate") and bench.state() == "active"
    bench.expect("points", scene.images(), scene.infos())
    assert bench.transit("deactivate")
    clouds = len(bench.received["points"])
    assert bench.transit("activate")
    bench.expect("points", scene.images(), scene.infos())
    assert len(bench.received["points"]) > clouds
    assert bench.transit("deactivate") and bench.transit("cleanup") and bench.state() == "unconfigured"


def test_what_is_on_its_way_at_deactivate_is_not_published_but_accounted_for(bench, scene, monkeypatch):
    entered, go_on, estimate = threading.Event(), threading.Event(), Estimator.estimate_many

    def slow(self, frames):
        entered.set()
        assert go_on.wait(20)
        return estimate(self, frames)

    assert bench.transit("configure") and bench.transit("activate")
    bench.expect("points", scene.images(), scene.infos())
    bench.wait(lambda: accounted(bench.status()))
    monkeypatch.setattr(Estimator, "estimate_many", slow)
    sent: set[int] = set()

    def send():
        sent.add(bench.send(scene.images(), scene.infos()))

    bench.wait(entered.is_set, send)
    waiting = int(bench.status()["frames_in"])
    # one with the worker, one in the mailbox
    bench.wait(lambda: int(bench.status()["frames_in"]) > waiting, send)
    assert bench.transit("deactivate")
    go_on.set()
    bench.wait(lambda: accounted(bench.status()), what="every frame's fate")
    assert int(bench.status()["skipped_without_subscribers"]) >= 2
    assert not bench.received_at("points", sent)
    assert bench.transit("cleanup")


def accounted(status):
    fates = ("frames_out", "dropped", "skipped_without_subscribers")
    unmatched = int(status["dropped_unmatched"])  # these are images, not frames
    return int(status["frames_in"]) == sum(int(status[fate]) for fate in fates) - unmatched


def test_a_hundred_rounds_leave_nothing_behind(bench, scene):
    def go_round(times):
        for _ in range(times):
            for label in ROUND:
                assert bench.transit(label), label

    go_round(5)
    gc.collect()
    before, threads = entities(bench), threading.active_count()
    files = len(os.listdir("/proc/self/fd"))
    resident = resident_kib()
    go_round(95)
    gc.collect()
    assert entities(bench) == before
    assert threading.active_count() <= threads  # those of a test before may end late
    assert len(os.listdir("/proc/self/fd")) < files + 10  # DDS opens one or other late; a leak leaves 95
    assert resident_kib() - resident < 20_000
    assert len(bench.node.default_callback_group.entities) < 60  # it keeps what it ever had
    assert bench.transit("configure") and bench.transit("activate")
    assert cloud_from_msg(bench.expect("points", scene.images(), scene.infos())).shape_hw == (48, 64)
    assert bench.transit("deactivate") and bench.transit("cleanup")


def test_a_transition_that_the_state_does_not_have_is_refused_and_survived(bench):
    assert not bench.transit("activate")
    assert not bench.transit(Transition.TRANSITION_ACTIVATE)  # by number, as a lifecycle manager asks
    assert not bench.transit("no_such_transition")
    assert bench.state() == "unconfigured"
    said = bench.wait(
        lambda: [log.msg for log in bench.received["/rosout"] if "the state unconfigured has" in log.msg]
    )
    assert len(said) == 1 and "it has configure, shutdown" in said[0]


def test_what_a_parameter_holds_does_nothing_to_who_reads_the_log(bench):
    former = bench.node.get_parameter("model").value
    for model in ("\x1b[2J" + "x" * 100_000, "\x1b[2J.yaml"):
        assert bench.set_parameters(model=model)[0].successful
        assert not bench.transit("configure")
        said = bench.wait(lambda: [text for text in bench.logs() if "configure failed" in text])
        assert all(len(text) < 1000 and "\x1b" not in text for text in said)
    assert bench.set_parameters(model=former)[0].successful


def test_a_parameter_of_an_unknown_type_is_refused_and_survived(bench):
    good = Parameter(name="min_depth_m", value=ParameterValue(type=3, double_value=0.4))
    wrong = [Parameter(name="min_depth_m", value=ParameterValue(type=number)) for number in (10, 99, 255)]
    for parameter in wrong:
        answer = bench.call(
            SetParameters, "set_parameters", SetParameters.Request(parameters=[good, parameter, good])
        )
        assert [result.successful for result in answer.results] == [True, False, False]
        assert "expected a valid request SetParameters" in answer.results[1].reason
        asked = SetParametersAtomically.Request(parameters=[good, parameter])
        assert not bench.call(SetParametersAtomically, "set_parameters_atomically", asked).result.successful
    for parameter in (Parameter(), Parameter(name="\0" + "x" * 100_000), Parameter(name="cameras")):
        bench.call(SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter]))
    bench.call(ListParameters, "list_parameters", ListParameters.Request(prefixes=["." * 9999], depth=2**63))
    bench.call(GetParameters, "get_parameters", GetParameters.Request(names=["", "no.such", "\n"]))
    assert bench.state() == "unconfigured"
    assert bench.wait(lambda: [w for w in bench.warnings() if "expected a valid request SetParameters" in w])


def test_a_model_that_does_not_open_leaves_the_node_ready_for_another_one(bench, scene, monkeypatch):
    assert bench.set_parameters(model="no_such_model")[0].successful  # nothing is open that could refuse it
    idle = entities(bench)
    assert not bench.transit("configure")
    assert bench.state() == "unconfigured" and entities(bench) == idle
    bench.wait(lambda: "configure failed: no model 'no_such_model'" in bench.status()["message"])
    assert bench.status()["level"] == "2"
    assert any("configure failed" in log for log in bench.logs())
    assert bench.set_parameters(model="fake_stereo")[0].successful
    assert bench.transit("configure") and bench.transit("activate")
    bench.expect("points", scene.images(), scene.infos())
    bench.wait(lambda: bench.status()["level"] == "0" and "failed" not in bench.status()["message"])
    assert bench.transit("deactivate") and bench.transit("cleanup")


@pytest.mark.parametrize("label", ["configure", "activate", "deactivate", "cleanup"])
def test_a_bug_in_a_transition_ends_unconfigured_and_the_next_try_works(bench, scene, monkeypatch, label):
    method = {"configure": "__init__", "activate": "activate", "deactivate": "deactivate", "cleanup": "close"}
    calls = []
    original = getattr(CameraChannel, method[label])

    def fails_once(self, *args):
        original(self, *args)
        if not calls:
            calls.append(label)
            raise ZeroDivisionError("a bug of this test")

    idle = entities(bench)
    for step in ROUND[: ROUND.index(label)]:
        assert bench.transit(step)
    monkeypatch.setattr(CameraChannel, method[label], fails_once)
    assert not bench.transit(label)
    monkeypatch.undo()
    assert bench.state() == "unconfigured"
    assert bench.wait(lambda: f"{label} failed: ZeroDivisionError" in bench.status()["message"])
    if label != "configure":  # there the channel that could not be made could not be closed either
        assert entities(bench) == idle
    assert bench.transit("configure") and bench.transit("activate")
    bench.expect("points", scene.images(), scene.infos())
    assert bench.transit("deactivate") and bench.transit("cleanup")


def test_it_works_as_navs_lifecycle_manager_asks(make_bench, scene):
    """nav2_lifecycle_manager without bond: transitions by number, each followed by a look at the state."""
    bench = make_bench({"model": "fake_stereo", "autostart": False}, "/nav", outputs=("points",))
    up = ((Transition.TRANSITION_CONFIGURE, "inactive"), (Transition.TRANSITION_ACTIVATE, "active"))
    for transition, state in up:
        assert bench.transit(transition) and bench.state() == state
    bench.expect("points", scene.images(), scene.infos())
    down = (
        (Transition.TRANSITION_DEACTIVATE, "inactive"),
        (Transition.TRANSITION_CLEANUP, "unconfigured"),
        (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "finalized"),
    )
    for transition, state in down:
        assert bench.transit(transition) and bench.state() == state


def test_shutdown_is_final_from_every_state(make_bench):
    for i, steps in enumerate(((), ("configure",), ("configure", "activate"))):
        bench = make_bench({"model": "fake_stereo", "autostart": False}, f"/final{i}", outputs=())
        for step in steps:
            assert bench.transit(step)
        assert bench.node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
        assert bench.state() == "finalized"
        assert not bench.transit("configure")
        bench.wait(lambda bench=bench: "start the node again" in bench.status()["message"])
