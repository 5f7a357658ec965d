"""Convert, compare on images that were not calibrated on, refuse what is too far off, tell the manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend, open_backend
from recon3d_ros.convert.half import to_fp16
from recon3d_ros.convert.images import ComparisonFrame, Images, feeds, split_images
from recon3d_ros.convert.integer import to_int8
from recon3d_ros.convert.objects import (
    CALIBRATION_SEEDS,
    COMPARISON_SEEDS,
    object_feeds,
    object_score,
)
from recon3d_ros.errors import BackendError, ManifestError, OutputError, Recon3dError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.metrics import abs_rel, bad_px, delta_1, epe_px
from recon3d_ros.model_zoo.manifest import Artifact, ExternalFile, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest
from recon3d_ros.model_zoo.onnx_file import external_files
from recon3d_ros.model_zoo.registry import sha256_of, verify
from recon3d_ros.preprocess import plan_fit, to_image_grid
from recon3d_ros.serving import GOLDEN_SHARES, least_difference, off_share, self_check
from recon3d_ros.system.progress import NO_PROGRESS, Progress

METHODS = ("fp16", "int8")
# Nodes stay in float until no more than this share of the pixels is off (see serving.off_share).
ALLOWED_SHARE = 0.02


@dataclass(frozen=True)
class PrecisionRow:
    """What one precision gives on the images for comparison.

    `off_share` is the share of pixels, 0 to 1, off from fp32 by more than 1 px and 5 % (mono: by 5 %), and
    `metrics` the accuracy against the truth where it is known, as in `recon3d_ros.metrics`; `float_nodes`
    the number of nodes that were left in float: of int8 those with weights, of fp16 all but constants.
    """

    precision: str
    size_mb: float
    off_share: float
    metrics: dict[str, float]
    float_nodes: int


@dataclass(frozen=True)
class Conversion:
    """The manifest as it was written, and a row per precision, fp32 first."""

    manifest: Manifest
    rows: tuple[PrecisionRow, ...]


def convert(
    manifest: Manifest,
    precisions: Sequence[str] = METHODS,
    images: Sequence[Images] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Conversion:
    """Write the artifacts of these precisions beside the manifest, and the manifest with them.

    All is written and compared in a draft folder; the model's folder gets the files if all are good.

    Args:
        manifest: With an fp32 artifact.
        precisions: Of `METHODS`.
        images: What the model will see: every second one finds the ranges of int8, the others compare. Scenes
            of the world without, and its objects for a model of whole shapes.
        progress: Receives what is done.

    Raises:
        DataError: there is only one image.
        ManifestError: the model is built in, or has a name for its outputs that the graph lacks.
        ArtifactError: there is no fp32 artifact, or it is not the one of the manifest.
        MissingDependencyError: onnx or onnxruntime is not installed.
        BackendError: the output of a precision is too far from that of fp32.
        OutputError: a file cannot be written.
    """
    if manifest.path is None:
        raise ManifestError(f"model {manifest.name} is built in and has no file: choose another model")
    verify(manifest)
    source = manifest.file_path(manifest.artifact("fp32").file)
    comparison = _Comparison(manifest, images)
    rows = [comparison.row("fp32", source, 0)]
    artifacts = {artifact.precision: artifact for artifact in manifest.artifacts}
    with tempfile.TemporaryDirectory(prefix="recon3d-convert-") as folder:
        for precision in precisions:
            draft = Path(folder) / f"{source.stem.removesuffix('_fp32')}_{precision}.onnx"
            kept = comparison.make(precision, source, draft, progress)
            progress.update(f"{precision}: comparing")
            rows.append(comparison.checked_row(precision, draft, len(kept)))
            artifacts[precision] = Artifact(draft.name, sha256_of(draft), precision)
        done = replace(manifest, artifacts=tuple(artifacts.values()))
        _install([Path(folder) / artifacts[p].file for p in precisions], done)
    return Conversion(done, tuple(rows))


class _Comparison:
    """The images or objects, and the outputs of fp32 for them that others are compared with."""

    def __init__(self, manifest: Manifest, images: Sequence[Images] | None) -> None:
        self._manifest = manifest
        backend = open_backend("onnxruntime", manifest, precision="fp32")
        if manifest.gives_shape:
            self._calibration, _ = object_feeds(manifest, CALIBRATION_SEEDS)
            self._comparison_feeds, truths = object_feeds(manifest, COMPARISON_SEEDS)
            self._scores = [partial(object_score, truth=truth) for truth in truths]
        else:
            frames, compared = split_images(manifest, images)
            self._calibration = feeds(manifest, frames, backend.inputs)
            self._comparison_feeds = feeds(manifest, [frame.images for frame in compared], backend.inputs)
            self._scores = [partial(self._score, frame=frame) for frame in compared]
        self._expected = {
            id(feed): self._output(backend, feed) for feed in self._calibration + self._comparison_feeds
        }
        backend.close()

    def make(self, precision: str, source: Path, draft: Path, progress: Progress) -> tuple[str, ...]:
        """Write the draft; returns the nodes left in float.

        Raises:
            BackendError: the converter fails on this graph.
        """
        try:
            if precision == "fp16":
                progress.update(precision)
                return to_fp16(source, draft)
            return to_int8(source, draft, self._calibration, self._mean_error, ALLOWED_SHARE, progress)
        except Recon3dError:
            raise
        except Exception as exc:  # of converters that do not know every graph
            raise BackendError(
                f"expected a graph that can be converted to {precision}, got one that cannot "
                f"({' '.join(str(exc).split()):.300}): use fp32, or export the model in this precision"
            ) from exc

    def checked_row(self, precision: str, draft: Path, float_nodes: int) -> PrecisionRow:
        """The row of a draft that may serve.

        Raises:
            BackendError: it is too far off.
            ModelError: its output is not the golden output.
        """
        row = self.row(precision, draft, float_nodes)
        if not row.off_share <= GOLDEN_SHARES[precision]:
            raise BackendError(
                f"expected {precision} of model {self._manifest.name} to differ from fp32 in at most "
                f"{100 * GOLDEN_SHARES[precision]:g} % of the pixels, got {100 * row.off_share:.1f} %: do "
                "not use this precision, or give representative images (--images)"
            )
        backend = self._open(precision, draft)
        self_check(self._manifest, backend)
        backend.close()
        return row

    def row(self, precision: str, file: Path, float_nodes: int) -> PrecisionRow:
        """Compare a file on the images for comparison, with fp32 and, where it is known, with the truth."""
        backend = self._open(precision, file)
        outputs = [self._output(backend, feed) for feed in self._comparison_feeds]
        backend.close()
        off = [self._off(got, feed) for got, feed in zip(outputs, self._comparison_feeds)]
        scores = [score(got) for score, got in zip(self._scores, outputs)]
        means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
        size = sum(path.stat().st_size for path in (file, *(file.parent / n for n in external_files(file))))
        return PrecisionRow(precision, size / 1e6, float(np.mean(off)), means, float_nodes)

    def _mean_error(self, file: Path, count: int) -> float:
        backend = self._open("int8", file)
        off = [self._off(self._output(backend, feed), feed) for feed in self._calibration[:count]]
        backend.close()
        return float(np.mean(off))

    def _open(self, precision: str, file: Path) -> Backend:
        """Open a file that lies anywhere as this model's artifact."""
        beside = tuple(ExternalFile(n, sha256_of(file.parent / n)) for n in external_files(file))
        artifact = Artifact(file.name, sha256_of(file), precision, beside)
        manifest = replace(self._manifest, artifacts=(artifact,), path=file.with_suffix(".yaml"))
        return open_backend("onnxruntime", manifest, precision=precision)

    def _output(self, backend: Backend, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return backend.infer(feed)[self._manifest.output.name]

    def _off(self, got: NDArray[Any], feed: dict[str, NDArray[Any]]) -> float:
        return off_share(got, self._expected[id(feed)], least_difference(self._manifest))

    def _score(self, output: NDArray[Any], frame: ComparisonFrame) -> dict[str, float]:
        image, sample = frame.images[0], frame.sample
        if sample is None:
            return {}
        fit = plan_fit(self._manifest.input, (image.shape[1], image.shape[0]))
        fit = fit.seen_by(sample.frame.camera.fx, sample.frame.camera.fy)
        values = to_image_grid(output, self._manifest.output, fit)
        if self._manifest.is_stereo:
            assert sample.disparity is not None  # the world knows it
            bad = {f"bad_px_{t}": bad_px(values, sample.disparity, t) for t in (1, 2, 3)}
            return {"epe_px": epe_px(values, sample.disparity), **bad}
        if not self._manifest.is_metric:
            return {}
        assert sample.depth is not None
        return {"abs_rel": abs_rel(values, sample.depth), "delta_1": delta_1(values, sample.depth)}


def to_text(rows: Sequence[PrecisionRow]) -> str:
    """The rows as a table; shares in percent."""
    keys = list(rows[0].metrics)
    lines = [["precision", "MB", "off %", *(f"{key} %" if _is_share(key) else key for key in keys), "float"]]
    for row in rows:
        cells = [
            f"{100 * row.metrics[key]:.2f}" if _is_share(key) else f"{row.metrics[key]:.3f}" for key in keys
        ]
        lines.append(
            [row.precision, f"{row.size_mb:.2f}", f"{100 * row.off_share:.2f}", *cells, str(row.float_nodes)]
        )
    return "\n".join(aligned(lines, left=0))


def _is_share(key: str) -> bool:
    return key.startswith(("bad_px", "delta"))


def _install(drafts: Sequence[Path], manifest: Manifest) -> None:
    """Move the files beside the manifest; the manifest last, as it names their sums."""
    from recon3d_ros.files import write_atomically

    assert manifest.path is not None
    try:
        for draft in drafts:
            write_atomically(manifest.path.parent / draft.name, draft.read_bytes())
    except OSError as exc:
        raise OutputError(f"cannot read back {exc.filename} ({exc.strerror}): free the disk") from exc
    dump_manifest(manifest, manifest.path)
