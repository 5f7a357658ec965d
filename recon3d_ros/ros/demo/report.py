"""What the recorder leaves behind: report.json, report.md, report.html, cloud and pictures. Needs no ROS."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.files import (
    colour_depth,
    colour_limits,
    make_folder,
    write_image,
    write_json,
    write_ply,
    write_text,
)
from recon3d_ros.files.view import render_cloud
from recon3d_ros.geometry import OrganizedCloud
from recon3d_ros.reports import Facts, LineChart, Notes, Page, PictureCompare, SceneView, Series, write_page

# Key of report.json -> (its line in the table, format).
ROWS = {
    "frames_in": ("frames in", "d"),
    "clouds_out": ("clouds out", "d"),
    "dropped": ("dropped", "d"),
    "latency_ms_p50": ("latency p50, camera to cloud received [ms]", ".0f"),
    "latency_ms_p95": ("latency p95 [ms]", ".0f"),
    "rate_hz": ("rate [Hz]", ".2f"),
    "abs_rel": ("abs_rel against exact depth", ".4f"),
    "rmse_m": ("rmse [m]", ".3f"),
    "delta_1": ("delta_1 (within a factor of 1.25)", ".4f"),
    "coverage": ("coverage (answered pixels)", ".4f"),
}


@dataclass(frozen=True)
class ReportFrame:
    """One frame of the demo: each (H, W, ...) as on its topic, None where nothing came."""

    image: np.ndarray | None
    depth: np.ndarray | None
    cloud: OrganizedCloud | None


def write_report(
    folder: Path,
    values: Mapping[str, Any],
    frame: ReportFrame,
    latencies_ms: Sequence[tuple[float, float]] = (),
) -> None:
    """Write all files; a cloud that cannot be drawn is noted in the report.

    Args:
        folder: is made where it is missing.
        values: those of `ROWS`, NaN where not measured, and whatever else belongs into the JSON.
        frame: the frame of the pictures.
        latencies_ms: of each cloud, seconds since the first one and ms from stamp to arrival.

    Raises:
        OutputError: a file cannot be written.
    """
    make_folder(folder)
    pictures = _write_frame(folder, frame)
    document = {**values, "files": pictures["files"], "notes": [*values.get("notes", []), *pictures["notes"]]}
    write_json(folder / "report.json", document)
    write_text(folder / "report.md", to_markdown(document))
    write_page(folder / "report.html", to_page(document, frame, latencies_ms))


def to_page(
    values: Mapping[str, Any], frame: ReportFrame, latencies_ms: Sequence[tuple[float, float]]
) -> Page:
    """The same as a page to open in a browser, with the cloud to turn."""
    page = Page("Demo", ", ".join(f"{key}: {value}" for key, value in _summary_of(values.get("node", {}))))
    page.add(Facts("Measured", {label: values.get(key) for key, (label, _) in ROWS.items()}))
    pictures = {} if frame.image is None else {"image": frame.image}
    if frame.depth is not None and np.isfinite(frame.depth).any():
        pictures["depth"] = colour_depth(frame.depth, *colour_limits(frame.depth))
    if pictures:
        page.add(PictureCompare("Last frame", pictures, "near is red, far is blue, black is unknown"))
    if frame.cloud is not None:
        page.add(SceneView.of_cloud("Point cloud", frame.cloud))
    if latencies_ms:
        seconds, latency = zip(*latencies_ms)
        page.add(LineChart("Latency", "time [s]", "camera to cloud [ms]", [Series("", seconds, latency)]))
    if values.get("notes"):
        page.add(Notes("Notes", values["notes"]))
    return page


def to_markdown(values: Mapping[str, Any]) -> str:
    """The report as a page: the table, what was played by what, the pictures, the notes."""
    labels = [f"- {key}: {value}" for key, value in _summary_of(values.get("node", {}))]
    pictures = [f"![{name}]({name})" for name in values.get("files", []) if name.endswith(".png")]
    notes = [f"- {note}" for note in values.get("notes", [])]
    blocks = ["# Demo", to_table(values), "\n".join(labels), *pictures, "\n".join(notes)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def to_table(values: Mapping[str, Any]) -> str:
    """The rows of `ROWS` as a Markdown table that also reads well on a terminal."""
    cells = [(label, _cell(values.get(key), form)) for key, (label, form) in ROWS.items()]
    wide, narrow = (max(map(len, column)) for column in zip(*cells))
    lines = [f"| {label:<{wide}} | {value:>{narrow}} |" for label, value in cells]
    head = f"| {'measured':<{wide}} | {'value':>{narrow}} |"
    return "\n".join([head, f"|{'-' * (wide + 2)}|{'-' * (narrow + 1)}:|", *lines])


def _summary_of(node: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Of the node's diagnostics what the table has not: which ones reported, and why frames were dropped."""
    for key, value in node.items():
        if key in ("model", "backend", "mode") or (key.startswith("dropped_") and value != "0"):
            yield key, value


def _cell(value: Any, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)


def _write_frame(folder: Path, frame: ReportFrame) -> dict[str, list[str]]:
    files, notes = [], []
    for stale in ("input.png", "depth.png", "cloud.ply", "cloud.png"):
        (folder / stale).unlink(missing_ok=True)  # of an earlier run: must not be taken for this one's
    if frame.image is not None:
        write_image(folder / "input.png", frame.image)
        files.append("input.png")
    if frame.depth is not None and np.isfinite(frame.depth).any():
        # The limits of the node are far apart; the colours are for what is in this picture.
        near_m, far_m = colour_limits(frame.depth)
        write_image(folder / "depth.png", colour_depth(frame.depth, near_m, far_m))
        files.append("depth.png")
        notes.append(f"depth.png: red {near_m:.2f} m, dark blue {far_m:.2f} m and farther, black unknown")
    if frame.cloud is not None and frame.cloud.valid.any():
        write_ply(folder / "cloud.ply", frame.cloud)
        files.append("cloud.ply")
        try:
            render_cloud(frame.cloud, folder / "cloud.png")
            files.append("cloud.png")
        except MissingDependencyError as exc:
            notes.append(f"no cloud.png: {exc}")
    else:
        notes.append("no cloud had a valid point, so there is no cloud.ply and no cloud.png")
    return {"files": files, "notes": notes}
