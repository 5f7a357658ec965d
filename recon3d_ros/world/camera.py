"""A stereo camera that walks a smooth loop through a procedural place: the demo's camera."""

from __future__ import annotations

import numpy as np

from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import Sample, StereoRig
from recon3d_ros.world.rendering.render import build_lighting, render_stereo
from recon3d_ros.world.scenes.house import house
from recon3d_ros.world.scenes.showcase import living_room, street

PLACES = {"indoor": living_room, "outdoor": street, "house": house}


class WorldCamera:
    """Rectified stereo frames with exact depth along a closed path; the same for the same arguments.

    Args:
        seed: Changes colours, textures and things, not the layout.
        kind: ``indoor`` (a living room), ``outdoor`` (a street) or ``house`` (the living room, a study, and a
            walk through both).
        size_wh: Width and height, px.
        rate_hz: Frames a second; only the stamps depend on it.
        loop_frames: Frames of one turn; frame i and frame i + loop_frames show the same. None = as many as
            suit the place.

    Raises:
        ConfigError: Unknown kind, or a size, rate or length that is not positive.
    """

    def __init__(
        self,
        seed: int = 0,
        kind: str = "indoor",
        size_wh: tuple[int, int] = (640, 480),
        rate_hz: float = 10.0,
        loop_frames: int | None = None,
    ) -> None:
        if kind not in PLACES:
            raise ConfigError(
                f"expected a world of kind {' or '.join(PLACES)}, got {kind!r}: choose one of them"
            )
        if min(size_wh) < 8 or not rate_hz > 0 or (loop_frames is not None and loop_frames < 1):
            raise ConfigError(
                f"expected a size of at least 8x8 px, a positive rate and at least one frame, got {size_wh}, "
                f"{rate_hz} Hz and {loop_frames}: correct the world's parameters"
            )
        self.rate_hz = float(rate_hz)
        self._kind = kind
        self._place = PLACES[kind](seed)
        self.loop_frames = int(loop_frames or self._place.frames)
        self._lighting = build_lighting(self._place.scene, smooth=True)
        self._rig = StereoRig.simple(*size_wh, 0.82 * size_wh[0], self._place.baseline_m)

    @property
    def rig(self) -> StereoRig:
        """The rectified rig of all frames."""
        return self._rig

    def pose(self, index: int) -> np.ndarray:
        """Return the (4, 4) world pose of the left optical frame at frame `index`."""
        return self._place.path.pose(index % self.loop_frames / self.loop_frames)

    def sample(self, index: int) -> Sample:
        """Render frame `index` >= 0; its stamp is index / rate_hz."""
        return render_stereo(
            self._place.scene,
            self._rig,
            self.pose(index),
            gain=self._place.gain,
            lighting=self._lighting,
            stamp_ns=round(index * 1e9 / self.rate_hz),
            name=f"{self._kind}_{index:06d}",
        )
