"""Parts of data sets and topics of bags, as they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.datasets import open_dataset
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.spec import DatasetSpec, parse_spec
from recon3d_ros.errors import DataError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("hololens", DatasetSpec("hololens")),
        ("hololens[60:80]", DatasetSpec("hololens", (), 60, 80)),
        ("some/folder[:40]", DatasetSpec("some/folder", (), 0, 40)),
        ("some/folder[40:]", DatasetSpec("some/folder", (), 40, None)),
        ("a.mcap:/cam/image:/cam/depth", DatasetSpec("a.mcap", ("/cam/image", "/cam/depth"))),
        ("a.mcap:/i:/d:/camera_info[3:5]", DatasetSpec("a.mcap", ("/i", "/d", "/camera_info"), 3, 5)),
    ],
)
def test_a_text_is_a_place_topics_and_a_part(text, spec):
    assert parse_spec(text) == spec


def test_a_path_that_is_there_is_taken_as_it_stands(tmp_path):
    odd = tmp_path / "walk[0:3]"
    odd.mkdir()
    assert parse_spec(str(odd)) == DatasetSpec(str(odd))
    assert parse_spec(f"{odd}[1:2]") == DatasetSpec(str(odd), (), 1, 2)


@given(st.integers(1, 60), st.data())
def test_a_part_is_what_slicing_gives(length, data):
    first = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(first + 1, length))
    samples = LazySequence(range(length), lambda i: i, "a note")
    part = parse_spec(f"x[{first}:{end}]").part_of(samples)
    assert list(part) == list(range(first, end)) and part.note == "a note"


@pytest.mark.parametrize("part", ["[0:21]", "[20:]", "[5:5]", "[7:3]", "[:0]"])
def test_a_part_that_is_not_there_is_one_sentence(part):
    with pytest.raises(DataError, match=r"within the 20 frames of world_indoor, \[0:20\], got \["):
        open_dataset(f"world_indoor{part}")


@pytest.mark.parametrize("part", ["[3]", "[a:b]", "[-3:]", "[0:9:2]", "[]"])
def test_what_is_no_part_says_how_one_looks(part):
    with pytest.raises(DataError, match=r"expected frames as \[first:end\].*hololens\[60:80\]"):
        open_dataset(f"world_indoor{part}")


def test_parts_of_rendered_sets_are_those_frames():
    assert [s.name for s in open_dataset("world_indoor[3:5]")] == [
        s.name for s in open_dataset("world_indoor")[3:5]
    ]


def test_topics_belong_to_bags(tmp_path):
    with pytest.raises(DataError, match="expected a bag before the topics /a /b"):
        open_dataset("world_indoor:/a:/b")
    with pytest.raises(DataError, match="expected a bag before the topics"):
        open_dataset(f"{tmp_path}:/a:/b")


def test_hololens_60_to_80_are_its_last_twenty(data_dir):
    names = [sample.name for sample in open_dataset("hololens[60:80]", data_dir)]
    assert names == [f"hololens_{i:04d}" for i in range(60, 80)]


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = parse_spec("~/a.mcap:/image[3:]")
    assert (spec.place, spec.topics) == (f"{tmp_path}/a.mcap", ("/image",))
    (tmp_path / "odd[name]").mkdir()
    assert parse_spec("~/odd[name]").place == f"{tmp_path}/odd[name]"
