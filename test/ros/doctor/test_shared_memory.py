"""Fast DDS's profile and segments, on files like its own."""

from __future__ import annotations

import fcntl

import pytest

from recon3d_ros.ros.bridge.dds import PROFILE_VARIABLES
from recon3d_ros.ros.doctor.shared_memory import check_profile, check_segments, live_segments


def segment(folder, name, size, locked):
    (folder / name).write_bytes(b"\0" * size)
    lock = open(folder / f"{name}_el", "w")
    if locked:
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_small_segments_matter_where_messages_get_lost(tmp_path):
    held = [
        segment(tmp_path, "fastrtps_0123456789abcdef", 500, True),
        segment(tmp_path, "fastdds_0123456789abcde0", 5000, True),
        segment(tmp_path, "fastrtps_ffffffffffffffff", 400, False),  # its process is gone
        segment(tmp_path, "fastrtps_port7411", 300, True),
    ]
    assert sorted(live_segments(tmp_path)) == [500, 5000]
    (finding,) = check_segments(1000, True, tmp_path)
    assert "1 of 2 processes" in finding.message
    assert list(check_segments(1000, False, tmp_path)) == list(check_segments(400, True, tmp_path)) == []
    assert held


@pytest.mark.parametrize(
    ("text", "rmw", "size", "words"),
    [
        ("<segment_size>134217728</segment_size>", "rmw_fastrtps_cpp", 5e6, None),
        ("<segment_size>1000000</segment_size>", "rmw_fastrtps_cpp", 5e6, "got 1.0 MB"),
        ("<profiles/>", "rmw_fastrtps_cpp", 5e6, "got 0.5 MB"),
        (None, "rmw_fastrtps_cpp", 5e6, "cannot be read"),
        (None, "rmw_fastrtps_cpp", 1e5, None),
        (None, "rmw_cyclonedds_cpp", 5e6, None),
    ],
)
def test_profiles(tmp_path, text, rmw, size, words):
    path = tmp_path / "profile.xml"
    if text is not None:
        path.write_text(text)
    findings = list(check_profile({PROFILE_VARIABLES[0]: str(path)}, rmw, size))
    assert [words in finding.message for finding in findings] == ([] if words is None else [True])
