from __future__ import annotations

import json
import math

import numpy as np
import pytest

from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.files import finite, read_image, read_ply_points
from recon3d_ros.geometry import OrganizedCloud, PinholeCamera, PointPacker
from recon3d_ros.ros.demo import report
from recon3d_ros.ros.demo.report import ROWS, ReportFrame, to_markdown, to_table, write_report

WIDTH, HEIGHT = 40, 26
VALUES = {
    "frames_in": 50,
    "clouds_out": 48,
    "dropped": 2,
    "latency_ms_p50": 151.4,
    "latency_ms_p95": 203.6,
    "rate_hz": 4.9,
    "abs_rel": math.nan,
    "rmse_m": 0.1234,
    "delta_1": 0.97,
    "coverage": 1.0,
    "node": {"model": "some_model", "dropped_busy": "2", "dropped_image": "0"},
    "notes": ["assumed something"],
}


def shown() -> ReportFrame:
    depth = np.linspace(1.0, 5.0, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    depth[0, 0], depth[1, 1] = np.nan, np.inf
    image = np.full((HEIGHT, WIDTH, 3), (250, 0, 0), np.uint8)
    cloud = PointPacker(PinholeCamera.simple(WIDTH, HEIGHT, fx=30.0)).pack(depth, image)
    return ReportFrame(image, depth, cloud)


@pytest.fixture
def drawn(monkeypatch):
    """Stands in for Open3D, which test_view.py tries for real."""
    clouds: list[OrganizedCloud] = []
    monkeypatch.setattr(
        report, "render_cloud", lambda cloud, path: (clouds.append(cloud), path.write_bytes(b""))
    )
    return clouds


def test_all_files(tmp_path, drawn):
    folder = tmp_path / "new" / "folder"
    write_report(folder, VALUES, shown())
    files = {"report.json", "report.md", "report.html", "input.png", "depth.png", "cloud.ply", "cloud.png"}
    assert {path.name for path in folder.iterdir()} == files
    document = json.loads((folder / "report.json").read_text())
    assert document.keys() >= ROWS.keys() and document["abs_rel"] is None and document["frames_in"] == 50
    assert set(document["files"]) == files - {"report.json", "report.md", "report.html"}
    assert read_image(folder / "input.png")[0, 0].tolist() == [250, 0, 0]
    depth = read_image(folder / "depth.png")
    assert depth[0, 0].tolist() == [0, 0, 0] and depth[0, 1, 0] > depth[0, 1, 2] and depth[-1, -1, 0] < 100
    xyz, rgb = read_ply_points(folder / "cloud.ply")
    assert len(xyz) == WIDTH * HEIGHT - 2 and rgb[0].tolist() == [250, 0, 0]
    assert len(drawn) == 1


def test_a_page_names_what_counts():
    page = to_markdown({**VALUES, "files": ["cloud.png", "cloud.ply"]})
    assert "![cloud.png](cloud.png)" in page and "cloud.ply" not in page
    assert "- model: some_model" in page and "- dropped_busy: 2" in page and "dropped_image" not in page
    assert "- assumed something" in page


def test_the_table_is_aligned_and_says_what_is_missing():
    lines = to_table(VALUES).splitlines()
    assert len(lines) == len(ROWS) + 2 and len({len(line) for line in lines}) == 1
    row = next(line for line in lines if "abs_rel" in line)
    assert row.split("|")[2].strip() == "-"
    assert any(line.endswith("0.123 |") for line in lines)


def test_a_cloud_that_cannot_be_drawn_is_a_note(tmp_path, monkeypatch):
    def no_driver(cloud, path):
        raise MissingDependencyError("install a driver")

    (tmp_path / "cloud.png").write_bytes(b"of an earlier run")
    monkeypatch.setattr(report, "render_cloud", no_driver)
    write_report(tmp_path, VALUES, shown())
    assert not (tmp_path / "cloud.png").exists()
    assert "install a driver" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "cloud.ply").exists()


def test_nothing_seen_is_said(tmp_path, drawn):
    nan = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    empty = PointPacker(PinholeCamera.simple(WIDTH, HEIGHT, fx=30.0)).pack(nan, None)
    write_report(tmp_path, VALUES, ReportFrame(None, nan, empty))
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["files"] == [] and not drawn
    assert any("no cloud had a valid point" in note for note in document["notes"])


def test_json_knows_no_nan():
    assert finite({"a": [math.inf, 1, "x"], "b": math.nan}) == {"a": [None, 1, "x"], "b": None}
