"""The report page of a processed bag: what became of the frames, and a few of them to look at."""

from __future__ import annotations

import numpy as np

from recon3d_ros.files import colour_depth, colour_limits
from recon3d_ros.offline.processing import Summary
from recon3d_ros.offline.sinks import Processed
from recon3d_ros.reports import Facts, LineChart, Notes, Page, PictureCompare, SceneView, Series

_FRAMES = 8  # at most so many are kept to be shown


class PageSink:
    """Collects what the page shows while a bag is processed; memory does not grow with the frames shown."""

    def __init__(self) -> None:
        self._kept: list[Processed] = []
        self._every, self._count = 1, 0
        self._seconds: list[float] = []
        self._valid: list[float] = []
        self._median_m: list[float] = []
        self._times_ms: dict[str, list[float]] = {}

    def write(self, processed: Processed) -> None:
        """Take one result."""
        depth = processed.result.depth_map.depth
        known = np.isfinite(depth)
        self._seconds.append(processed.stamp_ns / 1e9)
        self._valid.append(100.0 * float(known.mean()))
        self._median_m.append(float(np.median(depth[known])) if known.any() else float("nan"))
        for stage, ms in processed.result.timings_ms.items():
            times = self._times_ms.setdefault(stage, [])
            times += [float("nan")] * (self._count - len(times)) + [ms]
        if self._count % self._every == 0:
            self._kept.append(processed)
            if len(self._kept) > _FRAMES:  # evenly spaced however many are to come
                del self._kept[1::2]
                self._every *= 2
        self._count += 1

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """Nothing was written."""

    def page(self, title: str, summary: Summary) -> Page:
        """The page.

        Args:
            title: Names the bag.
            summary: What became of its frames.
        """
        names = ("images", "unmatched", "frames", "written", "without_scale", "doubtful", "empty")
        page = Page(title, f"{summary.written} of {summary.frames} frames written")
        dropped = {f"dropped ({cause})": count for cause, count in sorted(summary.dropped.items())}
        page.add(Facts("Frames", {**{name: getattr(summary, name) for name in names}, **dropped}))
        if summary.reasons:
            page.add(
                Notes("Reasons", [f"{cause}: {text}" for cause, text in sorted(summary.reasons.items())])
            )
        if not self._seconds:  # of a piece that lies in a pause
            return page
        seconds = np.array(self._seconds) - self._seconds[0]
        page.add(
            LineChart("Pixels with depth", "time [s]", "share [%]", [Series("", seconds, self._valid)]),
            LineChart("Median depth", "time [s]", "depth [m]", [Series("", seconds, self._median_m)]),
            LineChart(
                "Time per frame",
                "time [s]",
                "time [ms]",
                [Series(stage, seconds[: len(times)], times) for stage, times in self._times_ms.items()],
            ),
        )
        for processed in self._kept:
            page.add(_pictures(processed))
        cloud = next((kept.result.cloud for kept in self._kept if kept.result.cloud is not None), None)
        if cloud is not None:
            page.add(SceneView.of_cloud("Cloud of the first frame", cloud))
        return page


def _pictures(processed: Processed) -> PictureCompare:
    frame, depth_map = processed.frame, processed.result.depth_map
    near_m, far_m = colour_limits(depth_map.depth)
    pictures = {"image": frame.image, "depth": colour_depth(depth_map.depth, near_m, far_m)}
    if frame.right is not None:
        pictures["right image"] = frame.right
    if depth_map.confidence is not None:
        pictures["confidence"] = (255 * depth_map.confidence).astype(np.uint8)
    caption = (
        f"Depth: red {near_m:.2f} m, blue {far_m:.2f} m and farther, black unknown. Confidence: white is 1."
    )
    return PictureCompare(
        f"Frame {processed.number}, stamp {processed.stamp_ns / 1e9:.3f} s", pictures, caption
    )
