"""What our nodes with a life cycle share: start, transitions with their reasons, timers that survive."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from recon3d_ros.config import Config
from recon3d_ros.config.parameters import ParameterSet
from recon3d_ros.errors import Recon3dError
from recon3d_ros.ros.bridge.logs import forward_logs
from recon3d_ros.ros.bridge.parameters import LiveParameters, warn_of_unknown
from recon3d_ros.ros.bridge.requests import survive_wrong_requests
from recon3d_ros.ros.node.bond import Bond
from recon3d_ros.ros.node.node_status import NodeStatus
from recon3d_ros.system.printable import printable

TICK_S = 0.1  # how soon a first subscriber, a loaded model and a saved frame are noticed


class ManagedNode(LifecycleNode):
    """A node that configures and activates itself, or waits for a lifecycle manager.

    Args:
        name: of the node.
        classes: its parameters.
        own: the one of the classes that has `autostart` and `bond_heartbeat_period`.
        diagnostics_period_s: time between two diagnostics.
        options: keyword arguments of `rclpy.node.Node`, for tests and composition by hand.

    Raises:
        Recon3dError: a parameter is wrong; or, with `autostart`, a transition failed.
    """

    _status: NodeStatus

    def __init__(
        self,
        name: str,
        classes: Sequence[type[Config]],
        own: type[Any],
        diagnostics_period_s: float,
        **options: Any,
    ) -> None:
        # Kilted destroys what failed to start, too.
        self._bond: Bond | None = None
        super().__init__(name, **options)
        forward_logs(self)
        self._failure: Exception | None = None
        self._starting = False  # by itself: who made the node says why it failed
        try:
            self._start(classes, own, diagnostics_period_s)
        except BaseException:  # a start that failed or was interrupted leaves no thread and no handle behind
            self.destroy_node()
            raise

    def _start(self, classes: Sequence[type[Config]], own: type[Any], diagnostics_period_s: float) -> None:
        survive_wrong_requests(self)
        self._live = LiveParameters(self, classes, self._prepare)
        warn_of_unknown(self)
        self._bond = Bond(self, self._live.current[own].bond_heartbeat_period)
        self._prepare_services()
        backward = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jumps = self.get_clock().create_jump_callback(backward, post_callback=self._on_jump)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on while simulated time stands still
        self.create_timer(TICK_S, self._tick, clock=steady)
        self.create_timer(
            diagnostics_period_s, lambda: self._survive(self._publish_diagnostics), clock=steady
        )
        if self._live.current[own].autostart:
            self._starting = True
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() != TransitionCallbackReturn.SUCCESS:
                    raise self._failure or RuntimeError("the transition failed without a reason")
            self._starting = False
        else:
            self.get_logger().info("waiting for the transitions configure and activate (autostart is false)")

    # --- what a node does -----------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, new: ParameterSet, before: ParameterSet) -> Callable[[], None]:
        """Check a set of parameters as a whole; return what applies it."""

    @abstractmethod
    def _prepare_services(self) -> None:
        """Make `_status` and what is there in every state, once the parameters are."""

    @abstractmethod
    def _configure(self) -> None:
        """Make publishers and the worker, or nothing of it when that fails."""

    @abstractmethod
    def _activate(self) -> None:
        """Begin to listen, then `_make_bond`."""

    @abstractmethod
    def _deactivate(self) -> None:
        """Listen and publish no more."""

    @abstractmethod
    def _tear_down(self) -> None:
        """Close everything; also what was never made."""

    @abstractmethod
    def _tick(self) -> None:
        """Every `TICK_S`; each step with `_survive`."""

    @abstractmethod
    def _publish_diagnostics(self) -> None:
        """Publish the state."""

    @abstractmethod
    def _on_jump(self, jump: TimeJump) -> None:
        """The node's clock went back, or is another one."""

    # --- life cycle -----------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make publishers and worker."""
        return self._transit("configure", self._configure, TransitionCallbackReturn.FAILURE)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to listen."""
        return self._transit("activate", self._activate, TransitionCallbackReturn.ERROR)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen and publish no more; what was opened stays."""
        return self._transit("deactivate", self._deactivate, TransitionCallbackReturn.ERROR)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close worker and publishers."""
        return self._transit("cleanup", self._tear_down, TransitionCallbackReturn.ERROR)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close everything for good."""
        return self._transit("shutdown", self._tear_down, TransitionCallbackReturn.ERROR)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close everything, so that configure can be tried again."""
        try:
            self._tear_down()
        except Exception as exc:
            self.get_logger().error(
                printable(f"cannot clean up after the error: {type(exc).__name__}: {exc}")
            )
            return TransitionCallbackReturn.FAILURE  # finalized: nothing is known of what is left
        return TransitionCallbackReturn.SUCCESS

    def _transit(
        self, name: str, step: Callable[[], None], on_failure: TransitionCallbackReturn
    ) -> TransitionCallbackReturn:
        """Take one step; log why when it fails. FAILURE stays in the state before, ERROR unconfigures."""
        try:
            step()
        except Exception as exc:
            self._failure = exc
            known = isinstance(exc, Recon3dError)
            reason = str(exc) if known else f"{type(exc).__name__}: {exc}"
            self._status.fault(f"{name} failed: {reason}")
            if not (self._starting and known):
                self.get_logger().error(printable(f"{name} failed: {reason}"))
            if not known:
                self.get_logger().debug("".join(traceback.format_exception(exc)))
            return on_failure
        self._failure = None
        self._status.fault("")
        return TransitionCallbackReturn.SUCCESS

    def _make_bond(self) -> None:
        if self._bond is not None and not self._starting:  # nobody manages a node that starts by itself
            self._bond.start()

    def _break_bond(self) -> None:
        if self._bond is not None:
            self._bond.stop()

    # --- while it lives -------------------------------------------------------------------------------

    def _survive(self, step: Callable[[], None]) -> None:
        """Take a step of a timer, each for itself: nothing that goes wrong there is worth a robot's depth."""
        try:
            step()
        except Exception as exc:
            if self.context.ok():
                text = f"{type(exc).__name__}: {exc}"
                self.get_logger().error(printable(text), throttle_duration_sec=5.0)

    def destroy_node(self) -> None:
        """Stop the worker, then destroy the node."""
        jumps = getattr(self, "_jumps", None)
        if jumps is not None:
            jumps.unregister()
        self._tear_down()
        super().destroy_node()
