from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.cli import benchmark
from recon3d_ros.cli.main import main
from recon3d_ros.system import lazy


# Those of several processes take their time: ros/bench and fleet/test_benchmark.py run them shortly.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "cloud" else pytest.mark.slow)
        for name, one in benchmark.BENCHMARKS.items()
        if not one.processes and name != "fleet"
    ],
)
def test_every_benchmark_measures_and_writes_rows(name, tmp_path, capsys):
    pytest.importorskip("rclpy")
    assert main(["benchmark", name, "--frames", "5", "--json", str(tmp_path / "rows.json")]) == 0
    written = json.loads((tmp_path / "rows.json").read_text())
    rows = written["rows"]
    *table, last = capsys.readouterr().out.splitlines()
    assert last == f"wrote {tmp_path / 'rows.json'}"
    notes = {row["note"] for row in rows if row.get("note")}
    assert len(table) == 1 + len(rows) + len(notes) + 1
    assert table[0].split() == [key for key in rows[0] if key != "note"]
    assert table[-1].startswith(f"processor {written['machine']['processor']}; ") and "numpy" in table[-1]
    measured = [row for row in rows if not row.get("note")]  # a backend that is not there says why
    assert measured and {row["frames"] for row in measured} == {5}
    for row in measured:
        assert 0 < row["median_ms"] <= row["p95_ms"]


def test_cloud_is_measured_at_the_sizes_that_were_promised():
    pytest.importorskip("rclpy")
    rows = lazy.load(benchmark.BENCHMARKS["cloud"].function)(frames=3)
    assert [(row["width"], row["height"]) for row in rows] == [(640, 480), (1280, 720)]


def test_cloud_times_a_whole_message(monkeypatch):
    """What is timed ends as a message whose data are the points of the depth that went in."""
    pytest.importorskip("rclpy")
    from recon3d_ros.ros.bench import cloud as ros_benchmark
    from recon3d_ros.ros.bridge.conversions import cloud_from_msg

    taken = []

    class Kept(ros_benchmark.CloudMessages):
        def take(self, *args, **kwargs):
            msg, points = super().take(*args, **kwargs)
            taken.append(msg)
            return msg, points

    monkeypatch.setattr(ros_benchmark, "CloudMessages", Kept)
    ros_benchmark.benchmark_cloud([(32, 24)], frames=1)
    msg = taken[-1]
    depth, image = ros_benchmark._scene((24, 32), (len(taken) - 1) % 3)
    assert (msg.width, msg.height, msg.point_step, len(msg.data)) == (32, 24, 16, 32 * 24 * 16)
    assert msg.header.frame_id == "camera_left_optical_frame"
    cloud = cloud_from_msg(msg)
    assert np.array_equal(cloud.xyz[..., 2], np.where(np.isinf(depth), np.nan, depth), equal_nan=True)
    assert np.array_equal(cloud.rgb, image)


def test_the_table_survives_a_json_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lazy, "load", lambda _: lambda: [{"median_ms": 1.25}])
    (tmp_path / "file").touch()
    assert main(["benchmark", "cloud", "--json", str(tmp_path / "file" / "rows.json")]) == 8
    assert "1.250" in capsys.readouterr().out


def test_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "nonsense"])
    assert stopped.value.code == 2
    assert "cloud" in capsys.readouterr().err


def test_a_flag_of_another_benchmark_names_it(capsys):
    assert main(["benchmark", "cloud", "--data", "kitti2012"]) == 2
    assert "--data only with backends, got it with cloud" in capsys.readouterr().err
