"""A model that teaches a mono network: its predictions and features, for the crops that the network sees.

The teacher needs no truth, so it also judges windows, mirrored and rolled images, and the world's pictures.
Its predictions are brought to the canonical focal length, as all depth is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from recon3d_ros.backends.onnxruntime import OnnxRuntimeBackend
from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.manifest import Artifact
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.registry import sha256_of, verify
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX
from recon3d_ros.preprocess import Fit, Preprocessor, plan_fit, to_image_grid
from recon3d_ros.system.lazy import require

# Of finer features one of so many pixels of the crop is kept: neighbours say nearly the same.
FEATURE_STEP_PX = 16
# Its prediction is kept at a quarter of the crop's size, as the network's own distribution is.
TEACHER_STEP_PX = 4


@dataclass(frozen=True)
class TeacherFile:
    """Where a teacher lies: its manifest, the graph that also outputs `features`, and their names.

    Attributes:
        manifest: Path of the manifest.
        graph: ONNX file with the features among its outputs.
        features: Tensors of that graph, (1, C, h, w) each.
        full_grid: Whether features are kept on their own grid, for modules to see in place of one another's.
    """

    manifest: str
    graph: str
    features: tuple[str, ...] = ()
    full_grid: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the features."""
        inferred = require("onnx", extra="train").shape_inference.infer_shapes(
            require("onnx", extra="train").load(self.graph)
        )
        shapes = {value.name: value.type.tensor_type.shape for value in inferred.graph.output}
        return tuple(shapes[name].dim[1].dim_value for name in self.features)

    def predict(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of (h, w, 3) uint8 RGB: (h/4, w/4) float32 canonical depth in m; features, float16."""
        return _open(self).predict(image)


def prepare(manifest: Path, features: tuple[str, ...], out: Path, full_grid: bool = False) -> TeacherFile:
    """Check a teacher, and write its graph with its features among the outputs to `out`.

    Raises:
        ConfigError: It is no metric mono model that says for which focal length, or lacks such a tensor.
        ModelError: Its manifest or file is wrong.
        MissingDependencyError: onnx is not installed.
    """
    found = load_manifest(manifest)
    verify(found)
    if found.task != "mono_metric_depth" or found.output.focal_px is None:
        raise ConfigError(
            f"expected task mono_metric_depth and output.focal_px in {manifest} of a teacher, "
            f"got {found.task} and {found.output.focal_px}: complete the manifest"
        )
    onnx = require("onnx", extra="train")
    model = onnx.shape_inference.infer_shapes(onnx.load(found.file_path(found.artifact().file)))
    values = {value.name: value for value in model.graph.value_info}
    if missing := [name for name in features if name not in values]:
        raise ConfigError(
            f"expected the tensors {', '.join(features)} in {found.name}, got none named {missing[0]}: "
            "look at the graph, for instance with netron"
        )
    model.graph.output.extend(values[name] for name in features)
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(out))
    return TeacherFile(str(manifest), str(out), features, full_grid)


class _Teacher:
    """A teacher that is open in this process."""

    def __init__(self, file: TeacherFile) -> None:
        manifest = load_manifest(Path(file.manifest))
        graph = Path(file.graph)
        self.manifest = replace(
            manifest, artifacts=(Artifact(graph.name, sha256_of(graph)),), path=graph.with_suffix(".yaml")
        )
        self.features, self.full_grid = file.features, file.full_grid
        self.backend = OnnxRuntimeBackend(self.manifest, threads=1, also=file.features)
        self._prepared: dict[tuple[int, ...], tuple[Fit, Preprocessor]] = {}

    def predict(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        height, width = image.shape[:2]
        if (width, height) not in self._prepared:
            fit = plan_fit(self.manifest.input, (width, height))
            self._prepared[width, height] = fit, Preprocessor(self.manifest.input, fit, 1, 1)
        fit, preprocessor = self._prepared[width, height]
        outputs = self.backend.infer(preprocessor.tensors([image]))
        output = self.manifest.output
        depth = to_image_grid(outputs[output.name], replace(output, focal_px=None), fit)
        assert output.focal_px is not None  # prepare has seen it
        # Its focal length in px of the crop, not of its input.
        focal_px = output.focal_px * fit.image_size_wh[1] / fit.content_size_wh[1]
        size_wh = (width // TEACHER_STEP_PX, height // TEACHER_STEP_PX)
        small = known_mean(depth, size_wh) * np.float32(CANONICAL_FOCAL_PX / focal_px)
        rows = height if self.full_grid else height // FEATURE_STEP_PX
        return (small, *(thinned(outputs[name][0], rows) for name in self.features))


def known_mean(depth: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(H, W) m, NaN = unknown, smaller: the mean of what is known, NaN where that is less than half."""
    known = np.isfinite(depth)
    share = cv2.resize(known.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(known, depth, np.float32(0.0)), size_wh, interpolation=cv2.INTER_AREA)
    return np.where(share > 0.5, total / np.maximum(share, 0.5), np.float32(np.nan)).astype(np.float32)


def thinned(feature: np.ndarray, rows: int) -> np.ndarray:
    """Of (C, h, w), the centres of about so many rows, float16."""
    step = max(1, feature.shape[1] // rows)
    return feature[:, step // 2 :: step, step // 2 :: step].astype(np.float16)


@lru_cache(maxsize=1)
def _open(file: TeacherFile) -> _Teacher:
    """Once in each process that makes crops."""
    return _Teacher(file)
