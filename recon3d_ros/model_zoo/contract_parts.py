"""Parts of the contracts that few networks need: inputs beside the images, and a mask beside the depth."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.validation import check_choice, check_text, set_number

# What a further input is given: of the images, of the camera, or nothing but one number.
ROLES = ("left_half", "right_half", "focal_px", "K", "K_inverse", "rays", "constant")
# Depth where `Invalid` says so: farther than measurable (+Inf), or not known (NaN).
MEANINGS = ("out_of_range", "unknown")


@dataclass(frozen=True)
class ExtraInput:
    """An input beside the images; its dtype and shape are those of the file.

    ``role`` says what it gets: ``left_half`` and ``right_half``, the image at half the size of the network's
    input; ``focal_px``, fx of the network's input; ``K`` and ``K_inverse``, the matrix of its intrinsics
    (3x3 or 4x4), or fx, fy, cx, cy where the input has four numbers; ``rays``, unit vectors of its pixels in
    the optical frame, (1, 3, H, W); ``constant``, ``value`` everywhere.
    """

    name: str
    role: str
    value: float = 0.0

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_choice(self, "role", ROLES)
        set_number(self, "value")
        if self.value and self.role != "constant":
            raise ManifestError("extra.value is only for the role constant")


@dataclass(frozen=True)
class Invalid:
    """A further output that says where there is no depth: where it is ``above`` or ``below`` a number.

    ``meaning`` is ``out_of_range`` for the sky, whose depth is +Inf, or ``unknown``, whose depth is NaN.
    """

    name: str
    above: float | None = None
    below: float | None = None
    meaning: str = "out_of_range"

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_choice(self, "meaning", MEANINGS)
        if (self.above is None) == (self.below is None):
            raise ManifestError("invalid needs either above: NUMBER or below: NUMBER, and not both")
        for field in ("above", "below"):
            if getattr(self, field) is not None:
                set_number(self, field)
