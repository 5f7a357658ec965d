"""The tasks of models: units of the output, and contracts other than those of images and planes."""

from __future__ import annotations

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.points import LabelOutputContract, PointInputContract
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract

UNITS_OF_TASK = {
    "stereo_disparity": ("px", "width"),
    "mono_metric_depth": ("m", "cm", "inverse_m"),
    "mono_relative_inverse_depth": ("relative_inverse_depth",),
    "point_labels": ("label",),
    "point_set": ("unit",),
    "completion": ("unit",),
}
# What gives points of whole objects.
SHAPE_TASKS = ("point_set", "completion")
# Contracts of the input and the output where they are not those of images and planes.
INPUT_CONTRACTS: dict[str, type[InputContract]] = {
    "point_labels": PointInputContract,
    "completion": PartialInputContract,
}
OUTPUT_CONTRACTS: dict[str, type[OutputContract]] = {
    "point_labels": LabelOutputContract,
    **dict.fromkeys(SHAPE_TASKS, ShapeOutputContract),
}


class TaskOfPoints:
    """What a manifest says of models that take points, or give them; see `Manifest`."""

    name: str
    task: str
    input: InputContract
    output: OutputContract

    @property
    def labels_points(self) -> bool:
        """True when the model takes a cloud and gives classes; see `point_contracts`."""
        return self.task == "point_labels"

    @property
    def gives_shape(self) -> bool:
        """True when the model gives points of a whole object; see `shape_contract`."""
        return self.task in SHAPE_TASKS

    @property
    def takes_points(self) -> bool:
        """True when the model takes a cloud in place of images."""
        return self.task in INPUT_CONTRACTS

    @property
    def gives_depth(self) -> bool:
        """True when the model gives a value for each pixel, which becomes depth."""
        return self.task not in OUTPUT_CONTRACTS

    def require_depth(self) -> None:
        """Refuse a model of points where one of depth is needed.

        Raises:
            ManifestError: The model labels points, or gives those of an object.
        """
        if self.gives_shape:
            raise ManifestError(
                f"expected a model of depth, got {self.name}, a {self.task} model, which gives points of a "
                "whole object: name it with recon3d run --model, and another one here"
            )
        if self.labels_points:
            raise ManifestError(
                f"expected a model of depth, got {self.name}, which labels points: set point_labels to "
                f"it, and "
                "model to one of depth"
            )

    @property
    def point_contracts(self) -> tuple[PointInputContract, LabelOutputContract]:
        """Input and output of a model that labels points.

        Raises:
            ManifestError: The model is another one.
        """
        given, said = self.input, self.output
        if not isinstance(given, PointInputContract) or not isinstance(said, LabelOutputContract):
            raise self._another("labels points")
        return given, said

    @property
    def shape_contract(self) -> ShapeOutputContract:
        """Output of a model that gives points of a whole object.

        Raises:
            ManifestError: The model is another one.
        """
        if not isinstance(self.output, ShapeOutputContract):
            raise self._another("gives points of an object")
        return self.output

    @property
    def completion_contracts(self) -> tuple[PartialInputContract, ShapeOutputContract]:
        """Input and output of a model that completes objects.

        Raises:
            ManifestError: The model is another one.
        """
        if not isinstance(self.input, PartialInputContract):
            raise self._another("completes objects")
        return self.input, self.shape_contract

    def require_point_set(self) -> None:
        """Refuse a model that does not make an object of an image.

        Raises:
            ManifestError: It is another one, or takes an image that is no square.
        """
        if self.task != "point_set":
            raise self._another("makes an object of an image")
        size_wh = self.input.size_wh
        if size_wh is None or size_wh[0] != size_wh[1]:
            raise ManifestError(f"input.size_wh of a point_set model must be a square, got {size_wh}")

    def _another(self, wanted: str) -> ManifestError:
        return ManifestError(
            f"expected a model that {wanted}, got {self.name}, a {self.task} model: name another one "
            "('recon3d models' lists the tasks)"
        )
