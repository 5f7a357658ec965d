"""The model that serves now, and the one that is being opened to take its place between two frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recon3d_ros.config import ModelConfig, PipelineConfig, ScaleConfig
from recon3d_ros.estimation.estimator import MODEL_ROOMS
from recon3d_ros.messages.intake import RawFrame
from recon3d_ros.ros.node.engine_upgrade import CalledOff, EngineUpgrade
from recon3d_ros.ros.node.mailbox import Mailbox
from recon3d_ros.ros.node.processing import Camera, Processor, check_model
from recon3d_ros.ros.node.worker import Worker
from recon3d_ros.system.logs import KeptWarnings


@dataclass(frozen=True)
class Outcome:
    """How a change of the model ended: `failure` is None when `config` serves now.

    `engine` is True when only its engine was to come, and ONNX Runtime goes on if it does not.
    """

    config: ModelConfig
    failure: Exception | None
    seconds: float
    engine: bool = False


class ModelSwitch:
    """Keeps one worker serving; opens, checks and warms the next one beside it in that one's own thread.

    All methods belong to one thread, the executor's; only `open` and `close` wait.

    Args:
        cameras: the cameras, in the order of the slots.
        stereo: whether their frames have two images.
        report: receives, in the worker's thread, what no camera is to blame for.

    Attributes:
        config: of the model that serves, be it by its engine or, until that is built, by ONNX Runtime.
    """

    def __init__(self, cameras: Sequence[Camera], stereo: bool, report: Callable[[Exception], None]) -> None:
        self.config: ModelConfig | None = None
        self._cameras, self._stereo, self._report = cameras, stereo, report
        self._worker: Worker[RawFrame] | None = None
        self._loading: tuple[ModelConfig, Worker[RawFrame], float] | None = None
        self._requested: ModelConfig | None = None
        self._pipeline, self._scale = PipelineConfig(), ScaleConfig()
        self._upgrade = EngineUpgrade(stereo)
        self._warnings = KeptWarnings(MODEL_ROOMS)

    def open(self, model: ModelConfig, pipeline: PipelineConfig, scale: ScaleConfig) -> None:
        """Open the first model and wait for it.

        Raises:
            Recon3dError: it does not open.
        """
        self._pipeline, self._scale = pipeline, scale
        worker = self._make_worker(model)
        self._warnings.attach()
        try:
            worker.start()
        except BaseException:  # interrupted: it ends when it is open
            self._warnings.detach()
            worker.stop(timeout_s=0.0)
            raise
        self._worker, self.config = worker, model
        self._upgrade.serves(model)

    @property
    def labels(self) -> dict[str, str]:
        """Model and backend that serve, for people; empty when none does."""
        processor = self._processor
        return dict(processor.labels) if processor is not None else {}

    @property
    def loading(self) -> str:
        """What is being loaded, in words; empty when nothing is."""
        if self._loading is None:
            return ""
        config, _, began = self._loading
        words = f"{config.model} ({config.backend}, {config.precision})"
        step = f": {self._upgrade.step}" if self._upgrade.loading else ""
        return f"{words}{step}, for {time.monotonic() - began:.0f} s"

    def warnings(self) -> list[str]:
        """Return, once, what the models and engines warned of."""
        return self._warnings.take()

    def put(self, slot: int, raw: RawFrame) -> bool:
        """Hand a frame to the worker; return whether it replaced one that waited."""
        self._upgrade.see(raw.size_wh)
        return self._worker is not None and self._worker.mailbox.put(raw, slot)

    def take_back(self) -> list[tuple[int, RawFrame]]:
        """Return what waits for the worker, so that it is not processed."""
        return [] if self._worker is None else self._worker.mailbox.clear()

    def prepare(self, pipeline: PipelineConfig, scale: ScaleConfig) -> Callable[[], None]:
        """See whether a configuration of the pipeline and its scale works; return what applies it.

        Raises:
            Recon3dError: it does not work.
        """
        use = self._processor.prepare(pipeline, scale) if self._processor is not None else None

        def commit() -> None:
            self._pipeline, self._scale = pipeline, scale
            if use is not None:
                use()

        return commit

    def check(self, model: ModelConfig, scale: ScaleConfig) -> None:
        """Refuse at once what needs no opening to see that it cannot serve.

        Raises:
            Recon3dError: there is no such model, it is of the wrong kind, or nothing tells it metres.
        """
        if model != self.config:
            check_model(model, scale, self._stereo)

    def request(self, model: ModelConfig) -> bool:
        """Begin to change the model, unless it serves already; return whether something is to be loaded.

        One is loaded at a time: while one is, the newest request waits and the outcome of the older one is
        thrown away.
        """
        self._requested = None if model == self.config else model
        if self._loading is None and self._requested is not None:
            self._load(self._requested)
        elif self._requested is not None:
            self._upgrade.call_off()  # an engine takes minutes
        return self._requested is not None

    def poll(self) -> Outcome | None:
        """Switch if a model is ready; return the outcome that was last asked for, once."""
        if self._loading is None:
            engine = self._upgrade.next() if self._worker is not None else None
            if engine is not None:
                self._load(engine)
            return None
        if not self._loading[1].opened:
            return None
        config, worker, began = self._loading
        self._loading = None
        if self._upgrade.loading:
            return self._end_upgrade(config, worker, began)
        if config != self._requested:
            worker.stop(timeout_s=0.0)
            if self._requested is not None:
                self._load(self._requested)
            return None
        self._requested = None
        failure = worker.failure or self._adopt(worker)
        if failure is None:
            self.config = config
            self._upgrade.serves(config)
        return Outcome(config, failure, time.monotonic() - began)

    def close(self) -> bool:
        """End all workers; False when one did not finish its frame in time."""
        if self._loading is not None:
            self._upgrade.call_off()
            self._loading[1].stop(timeout_s=0.0)  # it may load for minutes: it ends when it is done
        ended = self._worker is None or self._worker.stop()
        self._warnings.detach()
        self._loading = self._worker = self.config = self._requested = None
        return ended

    @property
    def _processor(self) -> Processor | None:
        handler = self._worker.handler if self._worker is not None else None
        return handler if isinstance(handler, Processor) else None

    def _end_upgrade(self, config: ModelConfig, worker: Worker[RawFrame], began: float) -> Outcome | None:
        """Switch to an engine, unless another model is asked for meanwhile."""
        self._upgrade.ended()
        if self._requested is not None:
            worker.stop(timeout_s=0.0)
            self._load(self._requested)
            return None
        if isinstance(worker.failure, CalledOff):
            return None
        failure = worker.failure or self._adopt(worker)
        return Outcome(config, failure, time.monotonic() - began, engine=True)

    def _load(self, model: ModelConfig) -> None:
        worker = self._make_worker(model)
        self._loading = (model, worker, time.monotonic())
        worker.start(wait=False)

    def _adopt(self, worker: Worker[RawFrame]) -> Exception | None:
        """Let an opened worker take over; its filters may have changed while it was opening."""
        assert isinstance(worker.handler, Processor) and self._worker is not None
        try:
            worker.handler.prepare(self._pipeline, self._scale)()
        except Exception as exc:
            worker.stop(timeout_s=0.0)
            return exc
        worker.replace(self._worker)
        self._worker = worker
        return None

    def _make_worker(self, model: ModelConfig) -> Worker[RawFrame]:
        pipeline, scale = self._pipeline, self._scale
        now, progress = self._upgrade.now(model), self._upgrade.progress

        def open_processor() -> Processor:
            return Processor(now, pipeline, scale, self._stereo, self._cameras, progress)

        return Worker(Mailbox(len(self._cameras)), open_processor, self._report)
