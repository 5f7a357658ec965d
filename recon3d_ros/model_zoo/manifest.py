"""Model manifests: everything the package knows about a model file stands in one YAML beside it.

The keys are the field names of the dataclasses below. All checks happen at construction: who has a manifest
can trust it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recon3d_ros.errors import ArtifactError, ManifestError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.tasks import UNITS_OF_TASK, TaskOfPoints
from recon3d_ros.model_zoo.validation import (
    check_choice,
    check_file,
    check_sha256,
    check_text,
    is_number,
    set_number,
)

PRECISIONS = ("fp32", "fp16", "int8")
# Processors that TensorRT runs beside, as `uname -m` names them.
MACHINES = ("x86_64", "aarch64")


@dataclass(frozen=True)
class ExternalFile:
    """A file with values of tensors beside an ONNX file, named as the ONNX file names it."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        check_text(self, "file")
        check_file(self.file)
        check_sha256(self.sha256, self.file)


@dataclass(frozen=True)
class Artifact:
    """One ONNX file, beside the manifest, and the files that hold values of its tensors, if there are any."""

    file: str
    sha256: str
    precision: str = "fp32"
    external: tuple[ExternalFile, ...] = ()

    def __post_init__(self) -> None:
        check_text(self, "file")
        check_choice(self, "precision", PRECISIONS)
        check_file(self.file)
        check_sha256(self.sha256, self.file)

    @property
    def digest(self) -> str:
        """One sha256 for all files together: that of the ONNX file where it is the only one."""
        if not self.external:
            return self.sha256
        files = sorted((item.file, item.sha256) for item in self.external)
        return hashlib.sha256(repr((self.sha256, files)).encode()).hexdigest()

    def external_path(self, external: ExternalFile) -> str:
        """Path of such a file as the manifest would name it: ONNX files name it from their own folder."""
        return (PurePosixPath(self.file).parent / external.file).as_posix()


@dataclass(frozen=True)
class Plugin:
    """A shared library with operators for TensorRT, beside the manifest or in a folder below it.

    ``machine`` is the processor that it is compiled for, as ``uname -m`` says; empty = any one.
    """

    file: str
    sha256: str
    machine: str = ""

    def __post_init__(self) -> None:
        check_text(self, "file")
        check_file(self.file)
        check_sha256(self.sha256, self.file)
        check_choice(self, "machine", ("", *MACHINES), {"amd64": "write x86_64", "arm64": "write aarch64"})


@dataclass(frozen=True)
class TrainingSource:
    """A training source and the licence it came under."""

    name: str
    licence: str

    def __post_init__(self) -> None:
        check_text(self, "name", "licence")


@dataclass(frozen=True)
class Licence:
    """Licence of the weights, and of every source they were trained on."""

    weights: str
    sources: tuple[TrainingSource, ...] = ()

    def __post_init__(self) -> None:
        check_text(self, "weights")


@dataclass(frozen=True)
class Accuracy:
    """Measured accuracy on one data set; the keys of ``metrics`` are those of ``recon3d_ros.metrics``."""

    data: str
    metrics: Mapping[str, float]
    note: str = ""

    def __post_init__(self) -> None:
        check_text(self, "data")
        if not isinstance(self.metrics, Mapping) or not all(is_number(v) for v in self.metrics.values()):
            raise ManifestError(f"accuracy.metrics of {self.data} must map names to finite numbers")


@dataclass(frozen=True)
class Golden:
    """A known output: an npz of one uint8 image per input, and ``expected``, the raw network output.

    Of a model that takes points it holds N of them as its first input, (N, 3) float32, and their output.

    ``share`` is the share of pixels, 0 to 1, that may differ; without it serving.py has one per precision.
    """

    file: str
    sha256: str
    share: float | None = None

    def __post_init__(self) -> None:
        check_text(self, "file")
        check_file(self.file)
        check_sha256(self.sha256, self.file)
        if self.share is not None:
            set_number(self, "share")
            if not 0.0 <= self.share <= 1.0:
                raise ManifestError(f"golden.share must be between 0 and 1, got {self.share}")


@dataclass(frozen=True)
class Manifest(TaskOfPoints):
    """A model: its task, files, contracts, licence, origin, accuracy, golden output and plug-ins.

    ``path`` is where the YAML lies; None for the models that are built in and need no file.
    """

    name: str
    task: str
    input: InputContract
    output: OutputContract
    licence: Licence
    description: str = ""
    artifacts: tuple[Artifact, ...] = ()
    origin: str = ""
    accuracy: tuple[Accuracy, ...] = ()
    golden: Golden | None = None
    plugins: tuple[Plugin, ...] = ()
    path: Path | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_text(self, "name")
        for field in ("description", "origin"):
            if getattr(self, field):
                check_text(self, field)
        check_choice(self, "task", tuple(UNITS_OF_TASK))
        units = UNITS_OF_TASK[self.task]
        if self.output.unit not in units:
            raise ManifestError(
                f"output.unit of a {self.task} model must be {' or '.join(units)}, got {self.output.unit}"
            )
        if self.takes_points:
            return
        if len(self.input.names) == 2 and not self.is_stereo:
            raise ManifestError(f"a {self.task} model takes one image, but input.names has two")

    @property
    def is_stereo(self) -> bool:
        """True when the model needs a left and a right image."""
        return self.task == "stereo_disparity"

    @property
    def is_metric(self) -> bool:
        """True when the model knows metres, or pixels of disparity."""
        return self.task != "mono_relative_inverse_depth"

    @property
    def plugins_here(self) -> tuple[Plugin, ...]:
        """The plug-in libraries for the processor of this computer."""
        return tuple(plugin for plugin in self.plugins if plugin.machine in ("", platform.machine()))

    def engine_digest(self, artifact: Artifact) -> str:
        """One sha256 for all that an engine of an artifact is made of: its files, and the plug-ins here."""
        if not self.plugins_here:
            return artifact.digest
        sums = sorted(plugin.sha256 for plugin in self.plugins_here)
        return hashlib.sha256(repr((artifact.digest, sums)).encode()).hexdigest()

    def artifact(self, precision: str = "auto") -> Artifact:
        """Return the artifact of one precision; ``auto`` is fp32, or the first one where there is none.

        Raises:
            ArtifactError: the model has none of it.
        """
        wanted = "fp32" if precision == "auto" else precision
        for artifact in self.artifacts:
            if artifact.precision == wanted:
                return artifact
        if precision == "auto" and self.artifacts:
            return self.artifacts[0]
        have = ", ".join(artifact.precision for artifact in self.artifacts) or "none"
        raise ArtifactError(
            f"model {self.name} has no {wanted} artifact, its manifest lists {have}: "
            f"{'choose one of these, or ' if self.artifacts else ''}add the file under artifacts"
        )

    def file_path(self, file: str) -> Path:
        """Return where a file named in the manifest lies: beside the YAML, or in a folder below it."""
        return (self.path.parent if self.path else Path()) / file
