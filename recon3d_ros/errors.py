"""The one error tree. A message is one sentence: what was expected, what came, what to do.

    Exception
    └── Recon3dError                  exit code 1   anything below, or not further specified
        ├── ConfigError               exit code 2   an option or a combination of options
        ├── CalibrationError          exit code 3   camera matrices, sizes, stereo geometry
        ├── ImageError                exit code 4   pixels: dtype, shape, encoding, unreadable file
        ├── ModelError                exit code 5   a model and what stands beside it
        │   ├── ManifestError                       the YAML
        │   ├── ArtifactError                       the file: missing, wrong sha256, corrupt
        │   │   └── OperatorError                   an operator in it that the runtime does not know
        │   └── ContractError                       tensor names, dtypes, shapes
        ├── BackendError              exit code 6   the runtime failed on a model that was accepted
        ├── DataError                 exit code 7   data sets, folders, videos, bags
        │   └── ParallaxError                       views of a moving camera that show no depth
        │       └── NoParallaxError             it stood, turned or drove ahead: nobody's fault
        ├── OutputError               exit code 8   a result could not be written
        ├── MissingDependencyError    exit code 9   an optional library or system package
        ├── FrameError                exit code 10  no transform between two coordinate frames
        │   └── PoseError                           where a camera is: not known, or not to be believed
        └── PartialResultError        exit code 11  a part of the results is there, the message names the rest

The command line exits with ``exit_code``; the node counts the error, warns and goes on.
"""

from __future__ import annotations


class Recon3dError(Exception):
    """Root of every error this package raises on purpose."""

    exit_code = 1


class ConfigError(Recon3dError):
    """An option has an impossible value, or two options exclude each other."""

    exit_code = 2


class CalibrationError(Recon3dError):
    """Camera matrices that cannot be used, or that do not belong to the image."""

    exit_code = 3


class ImageError(Recon3dError):
    """Pixels that cannot be used: dtype, shape, encoding, truncated data."""

    exit_code = 4


class ModelError(Recon3dError):
    """A model cannot be used as it stands."""

    exit_code = 5


class ManifestError(ModelError):
    """The manifest (YAML) of a model is wrong."""


class ArtifactError(ModelError):
    """A file of a model is missing, corrupt, or not the one its manifest names."""


class OperatorError(ArtifactError):
    """A file of a model has an operator that the runtime does not know."""


class ContractError(ModelError):
    """Tensor names, dtypes or shapes of a model file differ from its manifest."""


class BackendError(Recon3dError):
    """The runtime failed on a model that was accepted."""

    exit_code = 6


class DataError(Recon3dError):
    """Input data is missing or cannot be read."""

    exit_code = 7


class ParallaxError(DataError):
    """Views of a moving camera from which no depth can be measured."""


class NoParallaxError(ParallaxError):
    """The camera did not move to a side, which is nobody's fault: it stood, turned away or drove ahead."""


class OutputError(Recon3dError):
    """A result cannot be written."""

    exit_code = 8


class MissingDependencyError(Recon3dError):
    """An optional library, or a system package it needs, is not installed."""

    exit_code = 9


class FrameError(Recon3dError):
    """Two coordinate frames are not connected at the time in question."""

    exit_code = 10


class PoseError(FrameError):
    """The pose of a camera is not known, or not to be believed."""


class PartialResultError(Recon3dError):
    """Some inputs could not be processed; the results of the others are written."""

    exit_code = 11
