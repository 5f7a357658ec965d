"""An engine with a spare: what it cannot answer ONNX Runtime answers, within the same frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from recon3d_ros.backends import Backend, TensorSpec
from recon3d_ros.errors import BackendError, ContractError, Recon3dError


class GuardedBackend:
    """Answers by the engine; by the spare for sizes it was not built for, and for good once it failed.

    Offers what :class:`recon3d_ros.backends.base.DeviceBackend` does as long as the engine is sound.

    Args:
        engine: Checked.
        open_spare: Opens and checks the spare; called when it is needed first.
        warn: Told once why the spare answers.
    """

    def __init__(
        self, engine: Backend, open_spare: Callable[[], Backend], warn: Callable[[str], None]
    ) -> None:
        self._engine: Any = engine
        self._open_spare, self._warn = open_spare, warn
        self._spare: Backend | None = None
        self._failed = self._released = False
        self._told: set[str] = set()
        self._answered: Backend = engine
        self.inputs: tuple[TensorSpec, ...] = engine.inputs
        self.outputs: tuple[TensorSpec, ...] = engine.outputs

    @property
    def name(self) -> str:
        """Of the backend that answered last."""
        return self._answered.name

    @property
    def precision(self) -> str:
        """Of the backend that answered last."""
        return self._answered.precision

    @property
    def device(self) -> Any:
        """The GPU of the engine; None once it failed."""
        return None if self._failed else getattr(self._engine, "device", None)

    @property
    def can_capture(self) -> bool:
        """As the engine's."""
        return bool(self._engine.can_capture)

    def bind(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
        """As the engine's."""
        try:
            bound: dict[str, TensorSpec] = self._engine.bind(inputs)
            self._answered = self._engine  # here, as a frame by a CUDA graph calls nothing else
            return bound
        except BackendError as exc:
            self._give_up(exc)
            raise

    def enqueue(self, pointers: Mapping[str, int], stream: int) -> None:
        """As the engine's."""
        try:
            self._engine.enqueue(pointers, stream)
        except BackendError as exc:
            self._give_up(exc)
            raise

    def capture(self, pointers: Mapping[str, int], stream: int) -> None:
        """As the engine's, which stays in use when it cannot."""
        self._engine.capture(pointers, stream)

    def infer(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, as :meth:`recon3d_ros.backends.base.Backend.infer`."""
        if self._failed and not self._released:  # what lay on its device is free by now
            self._released = True
            with suppress(Recon3dError):
                self._engine.close()
        if not self._failed:
            try:
                answer: dict[str, NDArray[Any]] = self._engine.infer(feed)
                self._answered = self._engine
                return answer
            except BackendError as exc:
                self._give_up(exc)
            except ContractError as exc:  # a size, or what the spare will refuse as well
                self._tell(exc)
        if self._spare is None:
            self._spare = self._open_spare()
        self._answered = self._spare
        return self._spare.infer(feed)

    def close(self) -> None:
        """Release both."""
        with suppress(BackendError):
            self._engine.close()
        if self._spare is not None:
            self._spare.close()

    def _give_up(self, exc: BackendError) -> None:
        """Use the engine no more; the next `infer` releases it, as its device may be in use here."""
        self._failed = True
        self._tell(exc)

    def _tell(self, exc: Recon3dError) -> None:
        if str(exc) not in self._told:
            self._told.add(str(exc))
            self._warn(f"{exc}; ONNX Runtime answers instead")
