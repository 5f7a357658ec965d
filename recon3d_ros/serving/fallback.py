"""A backend of the GPU, or OpenVINO, with another one to fall back to, within the same frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from recon3d_ros.backends import Backend, TensorSpec
from recon3d_ros.errors import BackendError, ContractError, Recon3dError

if TYPE_CHECKING:
    from recon3d_ros.cuda.context import Device

log = logging.getLogger(__name__)


class FallbackBackend:
    """Runs a backend; the fallback for sizes it was not built for, and for good once it failed.

    Offers what :class:`recon3d_ros.backends.base.DeviceBackend` does as long as the primary is sound. Why
    the fallback runs is logged, each reason once.

    Args:
        primary: Checked.
        open_fallback: Opens and checks the other one; called when it is needed first.
    """

    def __init__(self, primary: Backend, open_fallback: Callable[[], Backend]) -> None:
        self._primary: Any = primary
        self._open_fallback = open_fallback
        self._fallback: Backend | None = None
        self._failed = self._released = False
        self._reasons: set[str] = set()
        self._last: Backend = primary  # which ran last
        self.inputs: tuple[TensorSpec, ...] = primary.inputs
        self.outputs: tuple[TensorSpec, ...] = primary.outputs

    @property
    def name(self) -> str:
        """Of the backend that ran last."""
        return self._last.name

    @property
    def precision(self) -> str:
        """Of the backend that ran last."""
        return self._last.precision

    @property
    def device(self) -> Device | None:
        """The primary's GPU; None once it failed."""
        device: Device | None = getattr(self._primary, "device", None)
        return None if self._failed else device

    @property
    def can_capture(self) -> bool:
        """As the primary's."""
        return bool(self._primary.can_capture)

    def bind(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
        """As the primary's."""
        try:
            bound: dict[str, TensorSpec] = self._primary.bind(inputs)
            self._last = self._primary  # here, as a frame by a CUDA graph calls nothing else
            return bound
        except BackendError as exc:
            self._give_up(exc)
            raise

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        """As the primary's."""
        try:
            self._primary.enqueue(pointers, stream)
        except BackendError as exc:
            self._give_up(exc)
            raise

    def capture(self, pointers: Mapping[str, int], stream: int) -> None:
        """As the primary's, which stays in use when it cannot."""
        self._primary.capture(pointers, stream)

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        if self._failed and not self._released:  # what lay on its device is free by now
            self._released = True
            with suppress(Recon3dError):
                self._primary.close()
        if not self._failed:
            try:
                outputs: dict[str, NDArray[Any]] = self._primary.infer(feed)
                self._last = self._primary
                return outputs
            except BackendError as exc:
                self._give_up(exc)
            except ContractError as exc:  # a size, or what the fallback will refuse as well
                self._log_once(exc)
        if self._fallback is None:
            self._fallback = self._open_fallback()
        self._last = self._fallback
        return self._fallback.infer(feed)

    def close(self) -> None:
        """Release both."""
        with suppress(BackendError):
            self._primary.close()
        if self._fallback is not None:
            self._fallback.close()

    def _give_up(self, exc: BackendError) -> None:
        """Use the primary no more; the next `infer` releases it, as its device may be in use here."""
        self._failed = True
        self._log_once(exc)

    def _log_once(self, exc: Recon3dError) -> None:
        reason = str(exc)  # not the error itself, which keeps memory of the GPU where it is kept
        if reason not in self._reasons:
            self._reasons.add(reason)
            log.warning("%s; ONNX Runtime is used instead", reason)
