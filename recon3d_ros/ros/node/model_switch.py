"""The model that serves now, and the one that is being opened to take its place between two frames."""

# long: one state machine: a model, the parameters that come with it and its engine change together

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from recon3d_ros.backends import device_of
from recon3d_ros.config import ModelConfig, NodeConfig, PipelineConfig, ScaleConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.config.parameters import ParameterSet, scale_plan
from recon3d_ros.config.scale_inputs import ScaleInputConfig
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.estimation.estimator import MODEL_ROOMS
from recon3d_ros.filters import DepthFilters
from recon3d_ros.messages.intake import RawFrame
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.ros.node.processing import MAX_SIZES, Camera, FrameProcessor
from recon3d_ros.ros.node.worker import Mailbox, Worker
from recon3d_ros.serving import interim_config, wants_engine
from recon3d_ros.system.logs import KeptWarnings
from recon3d_ros.system.progress import Progress, progress_text

_OF_PIPELINE = (PipelineConfig, ScaleConfig, ScaleInputConfig, MotionConfig)


@dataclass(frozen=True)
class SwitchResult:
    """How a change of the model ended.

    Attributes:
        model: what was to serve.
        failure: None when it serves now, else why the one before goes on.
        seconds: how long it took to open.
        engine: only the engine of the model that serves was to come; ONNX Runtime goes on without it.
    """

    model: ModelConfig
    failure: Exception | None
    seconds: float
    engine: bool = False


class Cancelled(Exception):
    """Ends an opening that nobody waits for; no `Recon3dError`, so that nothing else is tried."""


class _OpeningProgress(Progress):
    """How far an opening is; `update` is called in the thread that opens."""

    def __init__(self) -> None:
        self.text = "opening"
        self.cancelled = False

    def update(self, stage: str, share: float | None = None) -> None:
        if self.cancelled:
            raise Cancelled
        self.text = progress_text(stage, share)


@dataclass(frozen=True)
class _Opening:
    """A model that is being opened beside the one that serves; `engine` of that very model."""

    model: ModelConfig
    worker: Worker[RawFrame]
    progress: _OpeningProgress
    engine: bool = False
    began_s: float = field(default_factory=time.monotonic)

    def cancel(self) -> None:
        """Have it end soon; a check of a model without an end ends now."""
        self.progress.cancelled = True
        self.worker.interrupt()


class ModelSwitch:
    """Keeps one worker serving; opens, checks and warms the next one beside it in that one's own thread.

    A set of parameters that brings another model takes effect with that model, as a whole, or not at all:
    until it is open the old model goes on with the parameters it has. One model is opened at a time; while
    one is, the newest request waits, and an older one is given up.

    A model that is to run as an engine serves by ONNX Runtime first. Its engine is built for the sizes of the
    configuration and of the images that come; for a new size one for all of them is built, and the one before
    goes on until then. What failed is not tried again with the same sizes.

    All methods belong to one thread, the executor's; only `open` and `close` wait.

    Args:
        cameras: the cameras, in the order of the slots.
        stereo: whether the model compares two images.
        report: receives, in the worker's thread, what no camera is to blame for.
        apply: has the cameras use parameters, all or none of them; called before the model uses them.

    Attributes:
        serving: the parameters in use; None before `open`.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        stereo: bool,
        report: Callable[[Exception], None],
        apply: Callable[[ParameterSet], None] = lambda parameters: None,
    ) -> None:
        self.serving: ParameterSet | None = None
        self._cameras, self._stereo, self._report, self._apply = cameras, stereo, report, apply
        self._worker: Worker[RawFrame] | None = None
        self._requested: ParameterSet | None = None  # brings another model
        self._opening: _Opening | None = None
        self._warnings = KeptWarnings(MODEL_ROOMS)
        self._wants_engine = False
        self._sizes_wh: dict[tuple[int, int], None] = {}  # of the images that came, in their order
        self._tried_wh: frozenset[tuple[int, int]] = frozenset()

    def open(self, parameters: ParameterSet) -> None:
        """Open the first model and wait for it.

        Raises:
            Recon3dError: it does not open.
        """
        model = interim_config(parameters[ModelConfig], self._stereo)
        worker = self._make_worker(model, parameters, _OpeningProgress())
        self._warnings.attach()
        try:
            worker.start()
        except BaseException:  # interrupted: it ends when it is open
            self._warnings.detach()
            worker.stop(timeout_s=0.0)
            raise
        self._worker, self.serving = worker, parameters
        self._look_for_engine()

    def close(self) -> bool:
        """End all workers; False when one did not finish its frame in time."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening.worker.stop(timeout_s=0.0)  # it may load for minutes: it ends when it is done
        ended = self._worker is None or self._worker.stop()
        self._warnings.detach()
        self._opening = self._worker = self.serving = self._requested = None
        return ended

    @property
    def labels(self) -> dict[str, str]:
        """Model and backend that serve, for people; empty when none does."""
        return {} if self._worker is None else dict(_processor(self._worker).labels)

    @property
    def loading(self) -> str:
        """What is being opened, in words; empty when nothing is."""
        opening = self._opening
        if opening is None:
            return ""
        words = f"{opening.model.model} ({opening.model.backend}, {opening.model.precision})"
        step = f": {opening.progress.text}" if opening.engine else ""
        return f"{words}{step}, for {time.monotonic() - opening.began_s:.0f} s"

    def warnings(self) -> list[str]:
        """Return, once, what the models and engines warned of."""
        return self._warnings.take()

    def put(self, slot: int, raw: RawFrame) -> bool:
        """Hand a frame to the worker; return whether it replaced one that waited."""
        return self._worker is not None and self._worker.mailbox.put(raw, slot)

    def take_back(self) -> list[tuple[int, RawFrame]]:
        """Return what waits for the worker, so that it is not processed."""
        return [] if self._worker is None else self._worker.mailbox.clear()

    def prepare(self, new: ParameterSet, before: ParameterSet) -> Callable[[], None]:
        """Check a set of parameters against the model that it brings; return what applies it.

        Args:
            new: what is asked for.
            before: what was asked for before; it need not serve yet.

        Raises:
            Recon3dError: it does not work; nothing has changed. The same holds when applying raises.
        """
        assert self.serving is not None
        model = new[ModelConfig]
        if model == self.serving[ModelConfig]:
            use = self._prepare_serving(new)
            return lambda: self._use(new, use, None)
        check_parameters(new, self._stereo)
        kept = self.serving
        use = _nothing
        if model == before[ModelConfig]:  # it is being opened: what changes now holds for the old one, too
            try:
                kept = self.serving.replaced(new.difference(before))
                use = self._prepare_serving(kept)
            except Recon3dError:  # the old model cannot have it: it comes with the new one
                kept, use = self.serving, _nothing
        return lambda: self._use(kept, use, new)

    def poll(self) -> SwitchResult | None:
        """Switch if a model is open; return, once, how that ended."""
        opening = self._opening
        if opening is None:
            self._open_engine()
            return None
        if not opening.worker.opened:
            return None
        self._opening = None
        wanted = self.serving if opening.engine else self._requested
        # What was cancelled may be wanted again meanwhile, and has to be opened anew.
        if opening.progress.cancelled or wanted is None or not _brings(wanted, opening):
            opening.worker.stop(timeout_s=0.0)
            if self._requested is not None:
                self._open_beside(self._requested)
            return None
        failure = opening.worker.failure or self._adopt(opening.worker, wanted)
        if not opening.engine:
            self._requested = None
            if failure is None:
                self._look_for_engine()
        seconds = time.monotonic() - opening.began_s
        return SwitchResult(wanted[ModelConfig], failure, seconds, opening.engine)

    # --- parameters -----------------------------------------------------------------------------------

    def _prepare_serving(self, parameters: ParameterSet) -> Callable[[], None]:
        """See whether the model that serves can have these parameters; return what gives it them."""
        assert self._worker is not None and self.serving is not None
        if all(parameters[cls] == self.serving[cls] for cls in _OF_PIPELINE):
            return _nothing
        recovery = scale_plan(parameters).recovery
        return _processor(self._worker).prepare(parameters[PipelineConfig], recovery, _motion(parameters))

    def _use(self, parameters: ParameterSet, use: Callable[[], None], requested: ParameterSet | None) -> None:
        """Have the cameras and the model that serves use parameters; open the model of a request."""
        if parameters != self.serving:
            self._apply(parameters)  # what can fail comes first
            use()
            self.serving = parameters
        self._requested = requested
        opening = self._opening
        if opening is None:
            if requested is not None:
                self._open_beside(requested)
        elif opening.engine:
            if requested is not None:
                opening.cancel()  # an engine takes minutes
                self._tried_wh = frozenset()  # tried again when its model still serves then
        elif requested is None or not _brings(requested, opening):
            opening.cancel()

    # --- models ---------------------------------------------------------------------------------------

    def _open_beside(self, parameters: ParameterSet) -> None:
        model = parameters[ModelConfig]
        try:
            at_once = interim_config(model, self._stereo)
        except Recon3dError:  # its manifest went away: opening says so
            at_once = model
        self._begin(model, at_once, parameters, engine=False)

    def _begin(
        self, model: ModelConfig, executed: ModelConfig, parameters: ParameterSet, engine: bool
    ) -> None:
        progress = _OpeningProgress()
        worker = self._make_worker(executed, parameters, progress)
        self._opening = _Opening(model, worker, progress, engine)
        worker.start(wait=False)

    def _adopt(self, worker: Worker[RawFrame], parameters: ParameterSet) -> Exception | None:
        """Let an opened worker take over; parameters may have changed while it was opening."""
        assert self._worker is not None
        try:
            recovery = scale_plan(parameters).recovery
            use = _processor(worker).prepare(parameters[PipelineConfig], recovery, _motion(parameters))
            if parameters != self.serving:
                self._apply(parameters)
        except Exception as exc:
            worker.stop(timeout_s=0.0)
            return exc
        use()
        _processor(worker).continue_from(_processor(self._worker))
        worker.replace(self._worker)
        self._worker, self.serving = worker, parameters
        return None

    def _make_worker(
        self, model: ModelConfig, parameters: ParameterSet, progress: Progress
    ) -> Worker[RawFrame]:
        pipeline, scale = parameters[PipelineConfig], scale_plan(parameters).recovery
        motion = _motion(parameters)

        def open_processor() -> FrameProcessor:
            _check_model(model, scale, self._stereo, motion is not None)
            return FrameProcessor(model, pipeline, scale, self._stereo, self._cameras, progress, motion)

        return Worker(Mailbox(len(self._cameras)), open_processor, self._report)

    # --- engines --------------------------------------------------------------------------------------

    def _look_for_engine(self) -> None:
        """See whether an engine is to follow the model that has begun to serve."""
        assert self.serving is not None
        model, self._tried_wh = self.serving[ModelConfig], frozenset()
        try:
            self._wants_engine = (
                wants_engine(model, self._stereo) and interim_config(model, self._stereo) != model
            )
        except Recon3dError:  # its manifest went away meanwhile
            self._wants_engine = False

    def _open_engine(self) -> None:
        """Begin to build the engine of the model that serves, if it lacks one for a size that came."""
        if self.serving is None or not self._wants_engine:
            return
        model = self.serving[ModelConfig]
        if self._worker is not None:  # what camera_info says is no size before an image had it
            self._sizes_wh |= dict.fromkeys(_processor(self._worker).sizes_wh)
        sizes = dict.fromkeys([*model.engine_sizes_wh, *tuple(self._sizes_wh)[:MAX_SIZES]])
        if not sizes or self._tried_wh.issuperset(sizes):
            return
        self._tried_wh = frozenset(sizes)
        words = tuple(f"{width}x{height}" for width, height in sizes)
        engine = replace(model, backend="tensorrt", engine_sizes=words)
        self._begin(engine, engine, self.serving, engine=True)


def check_parameters(parameters: ParameterSet, stereo: bool) -> None:
    """See, by its manifest alone, whether the model of a set can work with the rest of the set.

    Raises:
        Recon3dError: there is no such model, it does not fit the mode, nothing gives its scale or two sources
            do, or the mask of the region of interest cannot be read.
    """
    motion = _motion(parameters) is not None
    _check_model(parameters[ModelConfig], scale_plan(parameters).recovery, stereo, motion)
    DepthFilters(parameters[PipelineConfig])


def _motion(parameters: ParameterSet) -> MotionConfig | None:
    """How images of a moving camera are compared; None = each frame has its own depth."""
    return parameters[MotionConfig] if parameters[NodeConfig].from_motion else None


def _check_model(model: ModelConfig, scale: ScaleConfig, stereo: bool, motion: bool) -> None:
    manifest = find_model(model.model, model.models_dir, device=device_of(model.backend), stereo=stereo)
    if manifest.is_stereo != stereo and motion:
        raise ConfigError(
            f"expected a stereo model for depth_from motion, got the mono model {model.model!r}: set "
            "depth_from to model, or model to another one (recon3d models lists them)"
        )
    if manifest.is_stereo != stereo:
        kind, mode = ("a stereo", "stereo") if manifest.is_stereo else ("a mono", "mono")
        raise ConfigError(
            f"expected a {'stereo' if stereo else 'mono'} model for this mode, got {kind} model "
            f"{model.model!r}; set parameter mode to {mode} or model to another one "
            "(recon3d models lists them)."
        )
    if not manifest.is_metric and not scale.is_on:
        raise ConfigError(
            "expected a metric model, or scale_sources for a relative one, got the relative model "
            f"{model.model!r} without; set scale_sources, or use a metric model."
        )
    if stereo and scale.is_on:
        raise ConfigError(
            f"scale_sources are for mono models, got the stereo model {manifest.name}, whose scale "
            "comes from its baseline: leave them empty"
        )


def _brings(parameters: ParameterSet, opening: _Opening) -> bool:
    """Whether an opening is that of the model of a set (an engine's always is: others cancel it)."""
    return opening.engine or parameters[ModelConfig] == opening.model


def _processor(worker: Worker[RawFrame]) -> FrameProcessor:
    assert isinstance(worker.handler, FrameProcessor)
    return worker.handler


def _nothing() -> None:
    """Nothing is to be done."""
