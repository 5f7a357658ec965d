"""What goes into a network and what comes out: the two contracts of a manifest, and what a tensor is."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.errors import ContractError, ManifestError
from recon3d_ros.model_zoo.validation import as_tuple, check_choice, check_text, is_number, set_number

INPUT_LAYOUTS = ("NCHW", "NHWC")
OUTPUT_LAYOUTS = ("NCHW", "NHWC", "NHW", "HW")
DTYPES = ("float32", "uint8")
UNITS = ("px", "m", "cm", "relative_inverse_depth")
CHANNELS_OF_COLOR = {"rgb": 3, "bgr": 3, "mono": 1}
FITS = ("pad", "stretch")


@dataclass(frozen=True)
class InputContract:
    """What the network wants to see: ``tensor = (image * scale - mean) / std``, channel by channel.

    ``names`` holds the left and the right tensor of a stereo network, or one name: then left and right are
    stacked along the channel axis. ``mean`` and ``std`` are in the channel order of the tensor. Either
    ``size_wh`` (fixed) or ``multiple_of`` (any size that is a multiple) holds; an image larger than
    ``max_size_wh`` is shrunk first. ``fit`` says how an image reaches the network's size: ``pad`` keeps the
    aspect and repeats the edge to the right and below, ``stretch`` resizes both axes.
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
    fit: str = "pad"

    def __post_init__(self) -> None:
        check_choice(self, "layout", INPUT_LAYOUTS)
        check_choice(self, "dtype", DTYPES)
        check_choice(self, "color", tuple(CHANNELS_OF_COLOR))
        check_choice(self, "fit", FITS)
        names = as_tuple(self.names)
        texts = all(isinstance(name, str) and name for name in names)
        if len(names) not in (1, 2) or not texts or len(set(names)) != len(names):
            raise ManifestError(
                f"input.names must be one tensor name or two different ones, got {self.names!r}"
            )
        object.__setattr__(self, "names", names)
        set_number(self, "scale")
        for field in ("mean", "std"):
            object.__setattr__(self, field, self._per_channel(field))
        if 0.0 in self.std:
            raise ManifestError("input.std must not contain 0")
        self._check_size()
        if self.dtype == "uint8" and (self.scale != 1 or any(self.mean) or set(self.std) != {1.0}):
            raise ManifestError(
                "a uint8 input needs scale 1, mean 0 and std 1: scaling must be part of the network"
            )

    @property
    def channels(self) -> int:
        """Colour channels of one image: 3, or 1 for mono."""
        return CHANNELS_OF_COLOR[self.color]

    def tensor_shape(
        self, network_size_wh: tuple[int, int], image_count: int, batch: int = 1
    ) -> tuple[int, int, int, int]:
        """Shape of each input tensor.

        Args:
            network_size_wh: Size of the network's input.
            image_count: Images of a frame, 2 of a stereo model; one tensor may stack them along the channels.
            batch: Frames.
        """
        channels = self.channels * image_count // len(self.names)
        width, height = network_size_wh
        return (batch, channels, height, width) if self.layout == "NCHW" else (batch, height, width, channels)

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
            if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
                raise ManifestError(f"input.{field} must be [width, height] in pixels, got {value!r}")
            object.__setattr__(self, field, pair)
        if (self.size_wh is None) == (self.multiple_of is None):
            raise ManifestError("input needs either size_wh: [W, H] (fixed) or multiple_of: N, and not both")
        if self.size_wh is not None and self.max_size_wh is not None:
            raise ManifestError("input.max_size_wh cannot be combined with size_wh: remove one of them")
        if self.multiple_of is not None:
            if type(self.multiple_of) is not int or self.multiple_of < 1:
                raise ManifestError(
                    f"input.multiple_of must be a whole number of at least 1, got {self.multiple_of!r}"
                )
            if self.max_size_wh is not None and min(self.max_size_wh) < self.multiple_of:
                raise ManifestError(f"input.max_size_wh must be at least multiple_of {self.multiple_of}")


@dataclass(frozen=True)
class OutputContract:
    """What the network gives: ``value in unit = tensor * scale``.

    ``px`` are pixels of the network's INPUT grid, also when the output is smaller than the input.
    ``confidence`` names a second output of the same layout in [0, 1], ``sigma`` a third one: one standard
    deviation of the value, in its unit and times the same scale. Each may be smaller than the value's.
    Disparities above ``max_disparity_px`` are beyond what the network can predict and become invalid.
    ``focal_px`` is the focal length, in px of the network's input, at which its depth is right: for
    a camera with another one it is multiplied by fy / focal_px (Yin et al., Metric3D, ICCV 2023); down the
    image, as a stretched one is judged by how high things are in it. Without it the depth is taken as it is.
    """

    name: str
    unit: str
    layout: str = "NCHW"
    dtype: str = "float32"
    scale: float = 1.0
    confidence: str | None = None
    sigma: str | None = None
    max_disparity_px: float | None = None
    focal_px: float | None = None

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_choice(self, "unit", UNITS)
        check_choice(self, "layout", OUTPUT_LAYOUTS)
        check_choice(self, "dtype", DTYPES)
        set_number(self, "scale")
        if self.scale == 0:
            raise ManifestError("output.scale must not be 0")
        for field in ("confidence", "sigma"):
            if getattr(self, field) is not None:
                check_text(self, field)
        if len(set(self.names)) != len(self.names):
            raise ManifestError(f"output needs one tensor each, got {', '.join(self.names)}")
        if self.sigma is not None and self.unit == "relative_inverse_depth":
            raise ManifestError("output.sigma is for px, m and cm: relative inverse depth has no scale")
        if self.max_disparity_px is not None:
            set_number(self, "max_disparity_px")
            if self.unit != "px" or self.max_disparity_px <= 0:
                raise ManifestError("output.max_disparity_px must be positive, and is only for the unit px")
        if self.focal_px is not None:
            set_number(self, "focal_px")
            if self.unit not in ("m", "cm") or self.focal_px <= 0:
                raise ManifestError("output.focal_px must be positive, and is only for the units m and cm")

    @property
    def names(self) -> tuple[str, ...]:
        """Every output that is used: the value, then confidence and sigma where there are any."""
        return tuple(name for name in (self.name, self.confidence, self.sigma) if name is not None)

    def plane_hw(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of one frame's output tensor.

        Raises:
            ContractError: the rank or the batch size is not that of the layout.
        """
        layout = self.layout
        if len(shape) != len(layout) or 0 in shape or (layout[0] == "N" and shape[0] != 1):
            raise ContractError(f"expected the output {self.name!r} as one {layout}, got shape {shape}")
        return (shape[1], shape[2]) if layout == "NHWC" else (shape[-2], shape[-1])


@dataclass(frozen=True)
class TensorSpec:
    """Name, NumPy dtype name and shape of a tensor; a dimension that may vary is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def known_shape(self) -> tuple[int, ...]:
        """The shape of a tensor whose sides are all known."""
        sides = tuple(side for side in self.shape if side is not None)
        assert len(sides) == len(self.shape)  # our own mistake: the shapes are not bound
        return sides

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if side is None else str(side) for side in self.shape)}]"

    def accepts(self, other: TensorSpec) -> bool:
        """True when every tensor described by ``other`` is also described by this one."""
        if self.dtype != other.dtype or len(self.shape) != len(other.shape):
            return False
        return all(mine is None or mine == its for mine, its in zip(self.shape, other.shape, strict=True))
