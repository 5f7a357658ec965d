"""One open model at a time, for who needs the same one again and again, and now and then another."""

from __future__ import annotations

from types import TracebackType

from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator


class KeptEstimator:
    """Opens models and keeps the last one; another one closes it, as a GPU may have no room for two."""

    def __init__(self) -> None:
        self._key: tuple[ModelConfig, bool] | None = None
        self._estimator: Estimator | None = None

    def __call__(self, config: ModelConfig, stereo: bool) -> Estimator:
        """The model of a config, opened unless it is the last one; see `Estimator.open`."""
        if self._estimator is None or self._key != (config, stereo):
            self.close()
            self._estimator = Estimator.open(config, stereo=stereo)
            self._key = (config, stereo)
        return self._estimator

    def close(self) -> None:
        """Close the last one."""
        if self._estimator is not None:
            self._estimator.close()
        self._estimator = None

    def __enter__(self) -> KeptEstimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
