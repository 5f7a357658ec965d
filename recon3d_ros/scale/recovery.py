"""The scale of a mono model over time, from all its sources.

It takes the estimate as a `DepthMap` instead of bare values and a camera: that has both, and says whether
the values are depth or relative inverse depth. A floor is no list of anchors but a `Mount`: which pixels are
floor is for the estimate to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from recon3d_ros.config import ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import DepthMap
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.answer import Scale
from recon3d_ros.scale.mount import Mount

Observation: TypeAlias = Anchors | Mount


class ScaleRecovery:
    """Finds the scale of each frame and remembers it; one for each camera.

    Not thread-safe: it belongs to the thread that calls it.

    Args:
        config: Its sources are on.

    Raises:
        ConfigError: No source is named.
    """

    def __init__(self, config: ScaleConfig) -> None:
        if not config.is_on:
            raise ConfigError("expected a source of the scale, got none: set scale_sources")
        self.config = config
        self._mount = Mount.of(config)

    @classmethod
    def of(cls, config: ScaleConfig) -> ScaleRecovery | None:
        """Recovery as configured; None when it is off, and the model's own metres count."""
        return cls(config) if config.is_on else None

    def update(self, stamp_ns: int, estimate: DepthMap, observations: Sequence[Observation] = ()) -> Scale:
        """Find the scale of a frame.

        Args:
            stamp_ns: Of the frame; when time runs backwards, everything is forgotten.
            estimate: The model's own answer, unscaled; another camera than before forgets everything.
            observations: Anchors of the sources that have some, and the mount when it is known better than
                the configuration knows it (from tf). Sources that are not configured are left aside.

        Returns:
            The scale, or why there is none; `Scale.apply` gives the estimate its metres.
        """
        return Scale(math.nan, 0.0, math.inf, (), {}, math.inf, False, "nothing has told the scale yet")

    def reset(self) -> None:
        """Forget the scale."""
