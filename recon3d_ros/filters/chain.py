"""The filters of the depth image, in their order, as the configuration asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig
from recon3d_ros.filters.edges import drop_flying_pixels
from recon3d_ros.filters.evidence import require_confidence, require_texture
from recon3d_ros.filters.limits import RegionOfInterest, cut_border, is_within, limit_depth
from recon3d_ros.filters.speckle import drop_speckles
from recon3d_ros.filters.temporal import TemporalFilter
from recon3d_ros.geometry import DepthMap, Frame

Step = Callable[[NDArray[np.float32], DepthMap, Frame], None]


class DepthFilters:
    """In this order: limits, border, region, confidence, texture, flying pixels, speckles, and the past.

    Cheap ones that take away come first; patches are looked at when all else is gone; and what is left is
    smoothed. Not thread-safe: the past belongs to one camera.

    Args:
        config: Says which of them run.

    Attributes:
        steps: (name, step); a step changes depth in place and looks at the estimate and the frame it is of.

    Raises:
        ConfigError: The mask of the region of interest cannot be read.
    """

    def __init__(self, config: PipelineConfig) -> None:
        c = config
        self._temporal = TemporalFilter(c.temporal_weight, c.temporal_jump) if c.temporal_weight else None
        self.steps: list[tuple[str, Step]] = [
            ("limits", lambda depth, *_: limit_depth(depth, c.min_depth_m, c.max_depth_m))
        ]
        if c.border_px:
            self.steps.append(("border", lambda depth, *_: cut_border(depth, c.border_px)))
        self._region = RegionOfInterest(c.roi_mask) if c.roi_mask else None
        if self._region is not None:
            region = self._region
            self.steps.append(("region", lambda depth, *_: region.apply(depth)))
        if c.min_confidence:
            self.steps.append(("confidence", self._require_confidence))
        if c.min_texture:
            self.steps.append(
                ("texture", lambda depth, _, frame: require_texture(depth, frame.image, c.min_texture))
            )
        if c.max_edge_jump:
            self.steps.append(("edges", lambda depth, *_: drop_flying_pixels(depth, c.max_edge_jump)))
        if c.speckle_px:
            self.steps.append(
                ("speckle", lambda depth, *_: drop_speckles(depth, c.speckle_px, c.speckle_jump))
            )
        if self._temporal is not None:
            past = self._temporal
            self.steps.append(("temporal", lambda depth, _, frame: past.apply(depth, frame.image)))
        self._min_confidence = c.min_confidence
        self._limits_m = c.min_depth_m, c.max_depth_m

    def masked(self, frame: Frame) -> Frame:
        """The frame with what the region of interest cuts out as not seen by the camera (`Frame.valid`).

        Raises:
            ConfigError: The region of interest is of an image of another aspect.
        """
        if self._region is None:
            return frame
        return frame.restricted(~self._region.cut(frame.camera.image_shape_hw))

    def apply(self, estimate: DepthMap, frame: Frame) -> DepthMap:
        """Filter one estimate.

        Args:
            estimate: Of the frame; it stays as it is.
            frame: The images it was made from.

        Returns:
            A depth map: NaN where depth is not believed, +Inf where it is beyond the limit; its disparity is
            missing where the depth is invalid, and stays where it is only far. The estimate itself if
            nothing changes.

        Raises:
            ConfigError: The region of interest is of an image of another aspect.
        """
        if len(self.steps) == 1 and is_within(estimate.depth, *self._limits_m):
            return estimate
        depth = estimate.depth.copy()
        for _, step in self.steps:
            step(depth, estimate, frame)
        disparity = estimate.disparity
        if disparity is not None:  # what is invalid as depth must not come back as disparity
            disparity = np.where(np.isnan(depth), np.float32(np.nan), disparity)
            if self._temporal is not None and frame.rig is not None:  # two ways to say one smoothed depth
                np.copyto(disparity, frame.rig.disparity_from_depth(depth), where=np.isfinite(depth))
        return replace(estimate, depth=depth, disparity=disparity)

    def reset(self) -> None:
        """Forget the past."""
        if self._temporal is not None:
            self._temporal.reset()

    def _require_confidence(self, depth: NDArray[np.float32], estimate: DepthMap, _: Frame) -> None:
        if estimate.confidence is not None:
            require_confidence(depth, estimate.confidence, self._min_confidence)
