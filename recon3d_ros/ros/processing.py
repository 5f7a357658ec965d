"""What the worker does with one capture: rectify, estimate, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimator import Estimator
from recon3d_ros.messages.calibration import Calibration
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.health import Health
from recon3d_ros.ros.outputs import Outputs

NS_PER_MS = 1_000_000


@dataclass(frozen=True, eq=False)
class Capture:
    """Decoded images on their way to the worker.

    Attributes:
        stamp_ns: acquisition time of the (left) image.
        frame_id: its optical frame.
        image: (H, W, 3) uint8 RGB or (H, W) uint8 mono; raw or rectified, as the calibration expects.
        right: the same for the right image, None for one camera.
        calibration: the one that held when the images came.
    """

    stamp_ns: int
    frame_id: str
    image: np.ndarray
    right: np.ndarray | None
    calibration: Calibration


class Processor:
    """Owns the model; lives in the worker's thread.

    Args:
        model_config: which model to open.
        pipeline_config: depth limits and border at start.
        stereo: whether captures have two images.
        outputs: where results go.
        health: who counts them.
        now_ns: the node's clock.

    Raises:
        Recon3dError: the model does not open, or is of the other kind than `stereo`.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        pipeline_config: PipelineConfig,
        stereo: bool,
        outputs: Outputs,
        health: Health,
        now_ns: Callable[[], int],
    ) -> None:
        self._outputs, self._health, self._now_ns = outputs, health, now_ns
        self._estimator = Estimator.open(model_config)
        if self._estimator.is_stereo != stereo:
            kind, mode = ("a stereo", "stereo") if self._estimator.is_stereo else ("a mono", "mono")
            self._estimator.close()
            raise ConfigError(
                f"expected a {'stereo' if stereo else 'mono'} model for this mode, got {kind} model "
                f"{model_config.model!r}; set parameter mode to {mode} or model to another one "
                "(recon3d models lists them)."
            )
        self.configure(pipeline_config)

    @property
    def labels(self) -> dict[str, str]:
        """Model and backend, for people."""
        return {"model": self._estimator.manifest.name, "backend": self._estimator.backend_name}

    def configure(self, pipeline_config: PipelineConfig) -> None:
        """Change limits and border from the next capture on; may be called from any thread."""
        self._pipeline = Pipeline(self._estimator, pipeline_config)

    def handle(self, capture: Capture) -> None:
        """Process and publish one capture.

        Raises:
            Recon3dError: the capture cannot be processed.
        """
        started = time.perf_counter()
        pipeline = self._pipeline  # read once: another thread may replace it
        frame = capture.calibration.frame(capture.stamp_ns, capture.image, capture.right)
        into = self._outputs.prepare(frame, capture.frame_id)
        result = pipeline.process(frame, cloud_into=into, want_cloud=into is not None)
        self._outputs.publish(frame, capture.frame_id, result, pipeline.config)
        processing_ms = (time.perf_counter() - started) * 1e3
        self._health.count_published((self._now_ns() - capture.stamp_ns) / NS_PER_MS, processing_ms)

    def close(self) -> None:
        """Close the model."""
        self._estimator.close()
