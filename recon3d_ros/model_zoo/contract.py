"""What goes into a network and what comes out: the two contracts of a manifest."""
# long: two dataclasses, what a network sees and what it gives, each with its checks

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recon3d_ros.errors import ContractError, ManifestError
from recon3d_ros.model_zoo.contract_parts import ExtraInput, Invalid
from recon3d_ros.model_zoo.tensor_spec import FLOATS
from recon3d_ros.model_zoo.validation import (
    SIDES,
    UNIT_HINTS,
    as_tuple,
    check_choice,
    check_text,
    is_number,
    is_side,
    set_number,
)

# One letter an axis: batch, Sequence of the images of a pair (or of one), Channels, Height, Width.
INPUT_LAYOUTS = ("NCHW", "NHWC", "CHW", "HWC", "NSCHW")
OUTPUT_LAYOUTS = ("NCHW", "NHWC", "NHW", "HW", "CHW", "HWC", "NSCHW", "NSHWC")
INPUT_DTYPES = (*FLOATS, "uint8")
OUTPUT_DTYPES = (*FLOATS, "uint8", "int8", "uint16", "int16", "int32", "int64")
UNITS = ("px", "width", "m", "cm", "inverse_m", "relative_inverse_depth")
TRANSFORMS = ("none", "exp", "inverse")
FOCAL_AXES = ("y", "x", "mean")
CONFIDENCE_KINDS = ("probability", "error", "entropy")
CHANNELS_OF_COLOR = {"rgb": 3, "bgr": 3, "mono": 1}
FITS = ("pad", "stretch")
PADDINGS = ("bottom_right", "top_right", "bottom_left", "top_left", "center", "bottom", "top")
INTERPOLATIONS = ("auto", "linear", "cubic", "area", "nearest")


@dataclass(frozen=True)
class InputContract:
    """What the network wants to see: ``tensor = (image * scale - mean) / std``, channel by channel.

    ``names`` holds the left and the right tensor of a stereo network, or one name: then left and right are
    stacked along the channels (or along S). ``mean`` and ``std`` are in the channel order of the tensor.
    Floats of any width stand for each other: the tensor gets that of the file. Either ``size_wh`` (fixed) or
    ``multiple_of`` (any size that is a multiple) holds; an image larger than ``max_size_wh`` is shrunk first,
    ``short_side`` is what its shorter side is scaled to, and ``image_scale`` how many times its size the
    network sees it. ``fit`` says how an image reaches the network's size: ``pad`` keeps the aspect and pads
    at ``padding`` with ``pad_value`` (a grey level, or one for each channel; None repeats the edge),
    ``stretch`` resizes both axes; ``interpolation`` ``auto`` averages areas when it shrinks, and is linear
    otherwise. ``batch`` is the fixed batch size of the file: all its frames are the same one. ``extra`` are
    inputs beside the images.
    """

    names: tuple[str, ...]
    layout: str = "NCHW"
    dtype: str = "float32"
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    size_wh: tuple[int, int] | None = None
    multiple_of: int | None = None
    max_size_wh: tuple[int, int] | None = None
    short_side: int | None = None
    image_scale: float = 1.0
    fit: str = "pad"
    padding: str = "bottom_right"
    pad_value: tuple[float, ...] | None = None
    interpolation: str = "auto"
    batch: int = 1
    extra: tuple[ExtraInput, ...] = ()

    def __post_init__(self) -> None:
        check_choice(self, "layout", INPUT_LAYOUTS)
        check_choice(self, "dtype", INPUT_DTYPES)
        check_choice(self, "color", tuple(CHANNELS_OF_COLOR))
        check_choice(self, "fit", FITS)
        check_choice(self, "padding", PADDINGS)
        check_choice(self, "interpolation", INTERPOLATIONS)
        names = as_tuple(self.names)
        all_names = [*names, *(item.name for item in self.extra)]
        texts = all(isinstance(name, str) and name for name in names)
        if len(names) not in (1, 2) or not texts or len(set(names)) != len(names):
            raise ManifestError(
                f"input.names must be one tensor name or two different ones, got {self.names!r}"
            )
        if len(set(all_names)) != len(all_names):
            raise ManifestError(f"every input needs one entry, got {', '.join(all_names)}")
        object.__setattr__(self, "names", names)
        set_number(self, "scale")
        for field in ("mean", "std"):
            object.__setattr__(self, field, self._per_channel(field))
        if 0.0 in self.std:
            raise ManifestError("input.std must not contain 0")
        self._check_size()
        self._check_padding()
        if self.dtype == "uint8" and (self.scale != 1 or any(self.mean) or set(self.std) != {1.0}):
            raise ManifestError(
                "a uint8 input needs scale 1, mean 0 and std 1, as scaling is part of the network: leave out "
                "input.scale, mean and std (--pixels)"
            )

    @property
    def channels(self) -> int:
        """Colour channels of one image: 3, or 1 for mono."""
        return CHANNELS_OF_COLOR[self.color]

    @property
    def is_planar(self) -> bool:
        """Whether a tensor holds one channel after the other, not one pixel after the other."""
        return "CHW" in self.layout

    def tensor_shape(
        self, network_size_wh: tuple[int, int], image_count: int, batch: int = 1
    ) -> tuple[int, ...]:
        """Shape of each input tensor.

        Args:
            network_size_wh: Size of the network's input.
            image_count: Images of a frame, 2 of a stereo model; one tensor may stack them along the channels.
            batch: Frames; the file's own batch size where that is larger.
        """
        images, (width, height) = image_count // len(self.names), network_size_wh
        channels = self.channels * (1 if "S" in self.layout else images)
        sides = {"N": max(batch, self.batch), "S": images, "C": channels, "H": height, "W": width}
        return tuple(sides[axis] for axis in self.layout)

    def _per_channel(self, field: str) -> tuple[float, ...]:
        values = as_tuple(getattr(self, field))
        if len(values) not in (1, self.channels) or not all(is_number(value) for value in values):
            raise ManifestError(
                f"input.{field} must be one finite number, or one for each of the {self.channels} channels, "
                f"got {getattr(self, field)!r}"
            )
        values = values * self.channels if len(values) == 1 else values
        return tuple(float(value) for value in values)

    def _check_size(self) -> None:
        for field in ("size_wh", "max_size_wh"):
            value = getattr(self, field)
            if value is None:
                continue
            pair = as_tuple(value)
            if len(pair) != 2 or not all(map(is_side, pair)):
                raise ManifestError(f"input.{field} must be [width, height] {SIDES} in px, got {value!r:.60}")
            object.__setattr__(self, field, pair)
        if (self.size_wh is None) == (self.multiple_of is None):
            raise ManifestError("input needs either size_wh: [W, H] (fixed) or multiple_of: N, and not both")
        for field in ("max_size_wh", "short_side"):
            if self.size_wh is not None and getattr(self, field) is not None:
                raise ManifestError(f"input.{field} cannot be combined with size_wh: remove one of them")
        set_number(self, "image_scale")
        if self.image_scale <= 0 or (self.image_scale != 1 and (self.size_wh or self.short_side)):
            raise ManifestError("input.image_scale must be positive, 1 with size_wh or short_side")
        for field in ("multiple_of", "short_side", "batch"):
            value = getattr(self, field)
            if value is not None and not is_side(value):
                raise ManifestError(f"input.{field} must be a whole number {SIDES}, got {value!r:.60}")
        for field in ("max_size_wh", "short_side"):
            value = getattr(self, field)
            if value is not None and min(as_tuple(value)) < (self.multiple_of or 1):
                raise ManifestError(f"input.{field} must be at least multiple_of {self.multiple_of}")

    def _check_padding(self) -> None:
        if self.fit != "pad" and (self.padding != "bottom_right" or self.pad_value is not None):
            raise ManifestError("input.padding and input.pad_value are only for fit: pad")
        if self.pad_value is not None:
            object.__setattr__(self, "pad_value", self._per_channel("pad_value"))


@dataclass(frozen=True)
class OutputContract:
    """What the network gives: ``value in unit = transform(tensor * scale + offset)``.

    ``px`` are pixels of the network's INPUT grid, also when the output is smaller than the input; ``width``
    is a disparity as a share of the width of that grid; ``inverse_m`` is one over the depth in metres.
    ``channel`` is which one of several holds the value, counted from 0. ``transform`` is ``exp`` for the
    logarithm of the value, ``inverse`` for one over it.
    ``confidence`` names a second output, where ``confidence_kind`` says what it is: a ``probability``
    (higher is better), or an ``error`` or ``entropy`` (lower is better), of which ``confidence_max`` is the
    worst; times ``confidence_scale``. ``sigma`` names a third one: one standard
    deviation of the value, in its unit and times the same scale. Each may be smaller than the value's.
    Disparities above ``max_disparity_px`` are beyond what the network can predict and become invalid.
    ``focal_px`` is the focal length, in px of the network's input, at which its depth is right: for
    a camera with another one it is multiplied by f / focal_px (Yin et al., Metric3D, ICCV 2023). f is the one
    of ``focal_axis``: down the image, as a stretched one is judged by how high things are in it, along it, or
    the mean of both. Without focal_px the depth is taken as it is.
    """

    name: str
    unit: str
    layout: str = "NCHW"
    dtype: str = "float32"
    channel: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    transform: str = "none"
    confidence: str | None = None
    confidence_kind: str = "probability"
    confidence_scale: float = 1.0
    confidence_max: float = 1.0
    sigma: str | None = None
    invalid: Invalid | None = None
    max_disparity_px: float | None = None
    focal_px: float | None = None
    focal_axis: str = "y"

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_choice(self, "unit", UNITS, UNIT_HINTS)
        check_choice(self, "layout", OUTPUT_LAYOUTS)
        check_choice(self, "dtype", OUTPUT_DTYPES)
        check_choice(self, "transform", TRANSFORMS)
        check_choice(self, "confidence_kind", CONFIDENCE_KINDS)
        check_choice(self, "focal_axis", FOCAL_AXES)
        for field in ("scale", "offset", "confidence_scale", "confidence_max"):
            set_number(self, field)
        if self.channel is not None and (type(self.channel) is not int or self.channel < 0):
            raise ManifestError(f"output.channel must be a whole number from 0 on, got {self.channel!r}")
        if self.scale == 0 or self.confidence_scale == 0:
            raise ManifestError("output.scale and output.confidence_scale must not be 0")
        if self.confidence_max <= 0:
            raise ManifestError("output.confidence_max must be positive")
        for field in ("confidence", "sigma"):
            if getattr(self, field) is not None:
                check_text(self, field)
        if len(set(self.names)) != len(self.names):
            raise ManifestError(f"output needs one tensor each, got {', '.join(self.names)}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.transform == "inverse" and self.unit == "inverse_m":
            raise ManifestError("transform: inverse of the unit inverse_m is depth: write unit: m")
        if self.sigma is not None and not (self.is_linear and self.unit != "relative_inverse_depth"):
            raise ManifestError("output.sigma is for px, width, m and cm without a transform")
        if self.max_disparity_px is not None:
            set_number(self, "max_disparity_px")
            if self.unit not in ("px", "width") or self.max_disparity_px <= 0:
                raise ManifestError(
                    "output.max_disparity_px must be positive, and is only for the units px and width"
                )
        if self.focal_px is not None:
            set_number(self, "focal_px")
            if self.unit not in ("m", "cm", "inverse_m") or self.focal_px <= 0:
                raise ManifestError(
                    "output.focal_px must be positive, and is only for the units m, cm and inverse_m"
                )

    @property
    def is_linear(self) -> bool:
        """Whether the value is the tensor times a factor, plus an offset."""
        return self.transform == "none" and self.unit != "inverse_m"

    @property
    def names(self) -> tuple[str, ...]:
        """Every output that is used: the value, then confidence, sigma and invalid where there are any."""
        masks = (self.invalid.name,) if self.invalid is not None else ()
        return tuple(name for name in (self.name, self.confidence, self.sigma, *masks) if name is not None)

    def plane_index(self, shape: tuple[int, ...], layout: str | None = None) -> tuple[Any, ...]:
        """What selects the (rows, columns) of one frame of an output tensor.

        Args:
            shape: Of the tensor.
            layout: Of the tensor; None for that of the value.

        Raises:
            ContractError: the rank or the batch size is not that of the layout, or it is open or wrong which
                channel to take.
        """
        axes = self.layout if layout is None else layout
        channel = self.channel or 0
        several = any(side != 1 for axis, side in zip(axes, shape) if axis in "NS")
        if len(shape) != len(axes) or 0 in shape or several:
            raise ContractError(
                f"expected the output {self.name!r} as one {axes}, got shape {shape}: export one of them, of "
                "several iterations the last"
            )
        if layout is None and "C" in axes:
            self.check_channels(shape[axes.index("C")])
        chosen = {"N": 0, "S": 0, "C": channel if layout is None else 0, "H": slice(None), "W": slice(None)}
        return tuple(chosen[axis] for axis in axes)

    def check_channels(self, count: int) -> None:
        """Refuse an output of several channels where it is open which one to take.

        Raises:
            ContractError: see above, or there are fewer channels.
        """
        if (count > 1 and self.channel is None) or (self.channel or 0) >= count:
            given = "none" if self.channel is None else self.channel
            raise ContractError(
                f"the output {self.name!r} has {count} channels, of which output.channel of the manifest "
                f"must name one, 0 to {count - 1}, got {given}"
            )

    def plane_hw(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of one frame's output tensor.

        Raises:
            ContractError: as `plane_index`.
        """
        self.plane_index(shape)
        return shape[self.layout.index("H")], shape[self.layout.index("W")]
