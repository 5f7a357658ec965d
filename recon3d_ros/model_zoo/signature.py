"""What the tensors of a model file say by themselves: which are images, and in which axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from recon3d_ros.model_zoo.contract import INPUT_DTYPES
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

_IMAGE_CHANNELS = (3, 1, 6, 2)
_MOST_CHANNELS = 8
# By rank, the first that suits is taken.
_INPUT_LAYOUTS = {3: ("CHW", "HWC"), 4: ("NCHW", "NHWC"), 5: ("NSCHW",)}
_RIGHT = re.compile(r"right|(^|[^a-z])(r|tgt|target)([^a-z]|$)|(?<!\d)2(?!\d)", re.IGNORECASE)
_LEFT = re.compile(r"left|(^|[^a-z])(l|ref|reference)([^a-z]|$)|(?<!\d)1(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Signature:
    """Tensors of a model file, and the notes that its exporter left in it.

    Attributes:
        inputs: Free sides are None.
        outputs: The same, or the shapes of one run, where the file leaves them open.
        metadata: Key and value of each note.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def images(self) -> tuple[ImageInput, ...]:
        """The inputs that can be images: the largest ones, left before right."""
        found = [image for spec in self.inputs if (image := _image(spec)) is not None]
        sizes = [image.size_wh for image in found if image.size_wh is not None]
        if sizes:
            found = [image for image in found if image.size_wh in (None, max(sizes))]
        most = max((image.channels for image in found), default=0)
        found = [image for image in found if image.channels == most and not _is_no_image(image.spec.name)]
        if len(found) > 2:
            found = _whole_pair(found)
        if len(found) == 2 and _RIGHT.search(found[0].spec.name) and _LEFT.search(found[1].spec.name):
            found.reverse()
        return tuple(found)

    @property
    def others(self) -> tuple[TensorSpec, ...]:
        """The inputs that are no images."""
        images = {image.spec.name for image in self.images}
        return tuple(spec for spec in self.inputs if spec.name not in images)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The outputs that can be pictures of numbers."""
        return tuple(plane for spec in self.outputs if (plane := _plane(spec)) is not None)


@dataclass(frozen=True)
class ImageInput:
    """An input that can hold an image.

    Attributes:
        spec: The tensor.
        layout: Its axes, as `InputContract.layout`.
        channels: 3 or 1 for one image; 6 or 2 for a pair.
        size_wh: None where the file leaves it open.
        batch: Fixed batch size, else 1.
    """

    spec: TensorSpec
    layout: str
    channels: int
    size_wh: tuple[int, int] | None
    batch: int


@dataclass(frozen=True)
class Plane:
    """An output that can hold a value for each pixel: its tensor, its axes and its channels."""

    spec: TensorSpec
    layout: str
    channels: int


def _image(spec: TensorSpec) -> ImageInput | None:
    for layout in _INPUT_LAYOUTS.get(len(spec.shape), ()):
        sides = dict(zip(layout, spec.shape, strict=True))
        channels = sides["C"]
        if channels not in _IMAGE_CHANNELS and not (channels is None and layout in ("NCHW", "NHWC")):
            continue
        if any(sides[axis] is not None and (sides[axis] or 0) <= _MOST_CHANNELS for axis in "HW"):
            continue
        if spec.dtype not in INPUT_DTYPES:
            return None
        width, height = sides["W"], sides["H"]
        size_wh = (width, height) if width is not None and height is not None else None
        count = (channels or 3) * (2 if sides.get("S") == 2 else 1)
        return ImageInput(spec, layout, count, size_wh, sides.get("N") or 1)
    return None


def _plane(spec: TensorSpec) -> Plane | None:
    shape, rank = spec.shape, len(spec.shape)
    first = "NHW" if shape[:1] in ((1,), (None,)) else "CHW"
    candidates = {2: ("HW",), 3: (first, "HWC"), 4: ("NCHW", "NHWC"), 5: ("NSCHW", "NSHWC")}.get(rank, ())
    for layout in candidates:
        sides = dict(zip(layout, shape, strict=True))
        channels = sides.get("C", 1) or 1
        large = all(sides[axis] is None or (sides[axis] or 0) > _MOST_CHANNELS for axis in "HW")
        if channels <= _MOST_CHANNELS and large:
            return Plane(spec, layout, channels)
    return None


def _is_no_image(name: str) -> bool:
    return re.search(r"flow|hidden|state|mask|rays?($|_)|intrinsic", name, re.IGNORECASE) is not None


def _whole_pair(images: list[ImageInput]) -> list[ImageInput]:
    """Of several pairs of open size, the one that is not named as a first or smaller one."""
    whole = [i for i in images if not re.search(r"init|half|small|low", i.spec.name, re.IGNORECASE)]
    return whole if len(whole) in (1, 2) else images
