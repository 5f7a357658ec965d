"""When the engine of the model that serves is to be built, and for which sizes of images."""

from __future__ import annotations

from dataclasses import replace

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import Recon3dError
from recon3d_ros.serving import interim_config, wants_engine
from recon3d_ros.system.progress import Progress, progress_text

_MAX_SIZES = 8  # each is a profile, and a good part of a minute to build


class CalledOff(Exception):
    """Ends a build that nobody waits for any more; no `Recon3dError`, so that nothing else is tried."""


class EngineUpgrade:
    """A model that is to run as an engine serves by ONNX Runtime first; this says what comes then.

    The sizes of the images are those of the configuration, or those that come. When another one comes, an
    engine for all of them is built, and the one before goes on until it is ready. What failed is not tried
    again with the same sizes.

    Methods belong to the executor's thread; `progress` is told in those that open.

    Args:
        stereo: whether pairs are answered.

    Attributes:
        progress: to be given to who opens the model.
        step: what the building thread did last.
        loading: whether an engine is being opened.
    """

    def __init__(self, stereo: bool) -> None:
        self._stereo = stereo
        self._model: ModelConfig | None = None
        self._seen: dict[tuple[int, int], None] = {}
        self._tried: frozenset[tuple[int, int]] = frozenset()
        self.progress: Progress = _Steps(self)
        self.step = ""
        self.loading = False
        self._called_off = False

    def now(self, model: ModelConfig) -> ModelConfig:
        """What to open for a model: itself while its engine is loaded, else what serves at once."""
        return model if self.loading else interim_config(model, self._stereo)

    def serves(self, model: ModelConfig) -> None:
        """A model has begun to serve; see whether an engine is to follow."""
        self._tried = frozenset()
        try:
            follows = wants_engine(model, self._stereo) and interim_config(model, self._stereo) != model
        except Recon3dError:  # its manifest went away meanwhile
            follows = False
        self._model = model if follows else None

    def see(self, size_wh: tuple[int, int]) -> None:
        """Images of this size come."""
        if size_wh not in self._seen and len(self._seen) < _MAX_SIZES:
            self._seen[size_wh] = None

    def next(self) -> ModelConfig | None:
        """The engine to be loaded now, with its sizes; None when there is nothing to do."""
        if self._model is None:
            return None
        sizes = dict.fromkeys([*self._model.engine_sizes_wh, *self._seen])
        if not sizes or self._tried.issuperset(sizes):
            return None
        self._tried = frozenset(sizes)
        self.loading, self.step, self._called_off = True, "opening", False
        words = tuple(f"{width}x{height}" for width, height in sizes)
        return replace(self._model, backend="tensorrt", engine_sizes=words)

    def ended(self) -> None:
        """The engine is open, or failed."""
        self.loading = False

    def call_off(self) -> None:
        """End the build with the next thing it tells; it is tried again when its model still serves then."""
        self._called_off = self.loading
        self._tried = frozenset()

    def on_progress(self, text: str) -> None:
        """Keep how far the building thread is; ends the build that was called off."""
        if self.loading and self._called_off:
            raise CalledOff
        self.step = text


class _Steps(Progress):
    def __init__(self, upgrade: EngineUpgrade) -> None:
        self._upgrade = upgrade

    def update(self, stage: str, share: float | None = None) -> None:
        self._upgrade.on_progress(progress_text(stage, share))
