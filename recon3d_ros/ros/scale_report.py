"""What the scale of a camera's model is, for /diagnostics and for the topic `scale`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from recon3d_ros.ros.conversions import make_header
from recon3d_ros.scale import Scale

AGEING_S = 1.0  # sensors may be slower than the camera: a scale of that age is no reason to warn


@dataclass(frozen=True)
class ScaleState:
    """The scale of a frame, and what its sources have been worth so far.

    Attributes:
        scale: of the last frame.
        unused: why sources told nothing of that frame, one sentence for each.
        frames_used: frames that each source has told something of.
        frames_unused: frames that it has not.
    """

    scale: Scale
    unused: Mapping[str, str] = field(default_factory=dict)
    frames_used: Mapping[str, int] = field(default_factory=dict)
    frames_unused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def after(cls, before: ScaleState | None, scale: Scale, unused: Mapping[str, str]) -> ScaleState:
        """The state with one more frame counted."""
        used, lost = (dict(before.frames_used), dict(before.frames_unused)) if before else ({}, {})
        for source in scale.sources:
            used[source] = used.get(source, 0) + 1
        for source in unused:
            lost[source] = lost.get(source, 0) + 1
        return cls(scale, unused, used, lost)

    @property
    def reason(self) -> str:
        """Why sources told nothing, or were refused; empty when all went well."""
        told = [f"{source}: {why}" for source, why in self.unused.items()]
        return "; ".join([self.scale.reason, *told] if self.scale.reason else told)

    @property
    def is_ageing(self) -> bool:
        """Whether it is trusted still, but was told too long ago."""
        return self.scale.trusted and self.scale.age_s > AGEING_S

    @property
    def message(self) -> str:
        """What there is to say of a scale that ages, or is not trusted."""
        if self.scale.trusted:
            return f"expected the scale to be told, got nothing for {self.scale.age_s:.0f} s; {self.reason}"
        return f"expected a scale to give out depth by, got none that can be trusted; {self.reason}"

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

    def to_msg(self, name: str, stamp_ns: int, frame_id: str) -> DiagnosticArray:
        """Make the message of the topic `scale`: OK told by this frame, WARN ageing, ERROR not trusted.

        Args:
            name: node and camera.
            stamp_ns: of the image.
            frame_id: its optical frame.
        """
        scale = self.scale
        level = DiagnosticStatus.WARN if scale.trusted else DiagnosticStatus.ERROR
        if scale.trusted and scale.sources:
            level = DiagnosticStatus.OK
        status = DiagnosticStatus(level=level, name=name, message=self.reason or "all sources agree")
        status.values = [KeyValue(key=key, value=value) for key, value in self.values().items()]
        return DiagnosticArray(header=make_header(stamp_ns, frame_id), status=[status])
