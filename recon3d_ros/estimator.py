"""From rectified images to a depth map: preprocess, infer, restore to the grid of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend, open_backend
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.manifest import Manifest
from recon3d_ros.preprocess import Fit, Preprocessor, confidence_to_image_grid, plan_fit, to_image_grid
from recon3d_ros.zoo import find_model, verify


class Estimator:
    """One model, ready to answer. Not thread-safe: it belongs to the thread that calls it.

    Args:
        manifest: Describes the model.
        backend: Has the model open.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self._backend = backend
        self._fit: Fit | None = None
        self._preprocessor: Preprocessor | None = None

    @classmethod
    def open(cls, config: ModelConfig) -> Estimator:
        """Find a model, verify its files and open it in a backend.

        Raises:
            ModelError: no such model, its manifest is wrong, a file is missing or not the right one, or the
                file does not keep what the manifest promises.
            MissingDependencyError: the backend's library is not installed.
        """
        manifest = find_model(config.model, config.models_dir)
        verify(manifest)
        return cls(manifest, open_backend(config.backend, manifest, threads=config.threads))

    @property
    def backend_name(self) -> str:
        """Name of the backend that answers."""
        return self._backend.name

    @property
    def is_stereo(self) -> bool:
        """True when the model needs a pair of images."""
        return self.manifest.is_stereo

    @property
    def is_metric(self) -> bool:
        """True when :meth:`estimate` can answer: the model knows metres, or pixels of disparity."""
        return self.manifest.is_metric

    def estimate(self, frame: Frame) -> DepthMap:
        """Estimate the depth of the (left) image.

        Raises:
            ConfigError: a stereo model and a single image, or a model without metric scale.
            ImageError: an image that is no image.
            BackendError: the runtime failed.
        """
        self.require_metric()
        values, confidence = self._infer(frame)
        if not self.is_stereo:
            return DepthMap(depth=values, camera=frame.camera, confidence=confidence)
        assert frame.rig is not None  # _infer has seen the pair
        depth = frame.rig.depth_from_disparity(values)
        return DepthMap(depth=depth, camera=frame.camera, disparity=values, confidence=confidence)

    def estimate_raw(self, frame: Frame) -> NDArray[np.float32]:
        """Return what the model itself answers, on the grid of the (left) image.

        Returns:
            (H, W) disparity in px, depth in m, or relative inverse depth; NaN where there is no answer.

        Raises:
            ConfigError: a stereo model and a single image.
            ImageError: an image that is no image.
            BackendError: the runtime failed.
        """
        return self._infer(frame)[0]

    def require_metric(self) -> None:
        """Refuse a model that knows no metres.

        Raises:
            ConfigError: the model answers relative inverse depth.
        """
        if not self.is_metric:
            raise ConfigError(
                f"model {self.manifest.name} knows depth only up to scale and shift, which makes no cloud "
                "in metres: use a metric or a stereo model"
            )

    def close(self) -> None:
        """Release the model."""
        self._backend.close()

    def _infer(self, frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        images = self._images(frame)
        height, width = frame.image.shape[:2]
        if self._fit is None or self._preprocessor is None or self._fit.image_size_wh != (width, height):
            self._fit = plan_fit(self.manifest.input, (width, height))
            self._preprocessor = Preprocessor(self.manifest.input, self._fit, len(images))
        answers = self._backend.infer(self._preprocessor.tensors(images))
        contract = self.manifest.output
        values = to_image_grid(answers[contract.name], contract, self._fit)
        if contract.confidence is None:
            return values, None
        return values, confidence_to_image_grid(answers[contract.confidence], contract, self._fit)

    def _images(self, frame: Frame) -> list[NDArray[Any]]:
        if not self.is_stereo:
            return [frame.image]
        if frame.right is None:
            raise ConfigError(
                f"model {self.manifest.name} needs a stereo pair, the frame has one image: "
                "give a right image, or use a mono model"
            )
        return [frame.image, frame.right]
