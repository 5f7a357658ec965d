"""What the scale of a camera's model is, for /diagnostics and for the topic `scale`. Needs no ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recon3d_ros.scale import Scale

AGEING_S = 1.0  # sensors may be slower than the camera: a scale of that age is no reason to warn


@dataclass(frozen=True)
class ScaleState:
    """The scale of a frame, and what its sources have been worth so far.

    Attributes:
        scale: of the last frame.
        unused: why sources gave nothing for that frame, one sentence for each.
        frames_used: frames that each source gave a scale for.
        frames_unused: frames that it has not.
    """

    scale: Scale
    unused: Mapping[str, str] = field(default_factory=dict)
    frames_used: Mapping[str, int] = field(default_factory=dict)
    frames_unused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def after(
        cls, before: ScaleState | None, scale: Scale, asked: Sequence[str], unused: Mapping[str, str]
    ) -> ScaleState:
        """The state with one more frame counted.

        Args:
            before: of the frame before; None begins to count.
            scale: of the frame.
            asked: the sources of the scale.
            unused: why some of them gave nothing for the frame; others may have been refused.
        """
        used, lost = (dict(before.frames_used), dict(before.frames_unused)) if before else ({}, {})
        for source in asked:
            counts = used if source in scale.sources else lost
            counts[source] = counts.get(source, 0) + 1
        return cls(scale, unused, used, lost)

    @property
    def reason(self) -> str:
        """Why sources gave nothing, or were refused; empty when all went well."""
        reasons = [f"{source}: {why}" for source, why in self.unused.items()]
        known = {f"{source}: no reading" for source in self.unused}  # recovery knows no more of those
        return "; ".join(
            [*reasons, *(why for why in self.scale.reason.split("; ") if why and why not in known)]
        )

    @property
    def is_ageing(self) -> bool:
        """Whether it is trusted still, but its last measurement is too old."""
        return self.scale.trusted and self.scale.age_s > AGEING_S

    @property
    def message(self) -> str:
        """What there is to say of a scale that ages, or is not trusted."""
        if self.scale.trusted:
            return f"expected a scale measurement, got none for {self.scale.age_s:.0f} s; {self.reason}"
        return f"expected a scale that can be trusted, got none, so no depth is published; {self.reason}"

    def values(self) -> dict[str, str]:
        """Keys and values; docs/diagnostics.md says what each means."""
        scale = self.scale
        used = {f"scale_frames_used_{source}": str(n) for source, n in self.frames_used.items()}
        unused = {f"scale_frames_unused_{source}": str(n) for source, n in self.frames_unused.items()}
        return {
            "scale": f"{scale.scale:.6g}",
            "scale_shift": f"{scale.shift:.6g}",
            "scale_sigma": f"{scale.sigma:.4g}",
            "scale_age_s": f"{scale.age_s:.3f}",
            "scale_trusted": str(scale.trusted).lower(),
            "scale_sources": " ".join(scale.sources) or "none",
            "scale_inliers": " ".join(f"{source}:{n}" for source, n in scale.inliers.items()) or "none",
            "scale_reason": self.reason or "none",
            **used,
            **unused,
        }
