"""YAML of unknown origin is read within bounds, or refused in one sentence."""

from __future__ import annotations

import os
import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import DataError
from recon3d_ros.files import yaml_document
from recon3d_ros.files.yaml_document import MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml

LETTERS = string.ascii_lowercase[:12]


def laughs(item: str) -> str:
    """Ten aliases of ten aliases of ten ...; `item` has a place for them."""
    lines = ["a: &a {x: 1}"]
    for before, name in zip(LETTERS, LETTERS[1:]):
        lines.append(f"{name}: &{name} " + item.format(", ".join([f"*{before}"] * 10)))
    return "\n".join(lines)


BOMBS = {
    "aliases": (laughs("[{}]"), "aliases that stand for more than 100000 values"),
    "merged keys": (laughs("{{<<: [{}]}}"), "aliases that stand for"),
    "an alias of itself": ("&a [*a]", "an alias that stands for what it is in"),
    "deep": ("[" * 200_000, "nested more than 50 deep"),
    "deep by aliases": (
        "a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)),
        "aliases nested more than 50",
    ),
    "digits": ("x: " + "9" * 100_000, "many digits"),
    "digits of base 16": ("x: 0x" + "f" * 100_000, "many digits"),
    "twice": ("x: 1\ny: 2\nx: 3", "line 3: the key x twice"),
    "no date": ("x: 2020-99-99", "month must be"),
    "no number": ("x: !!int ''", "index"),
    "no truth": ("x: !!bool maybe", "maybe"),
    "no time": ("x: !!timestamp soon", "NoneType"),
    "code": ("!!python/object/apply:os.getcwd []", "constructor"),
    "no text": (b"\xff\xfe\xfa", "utf-8"),
}


@pytest.mark.parametrize("content, why", BOMBS.values(), ids=BOMBS)
def test_what_grows_or_lies_is_one_sentence(tmp_path, content, why):
    path = tmp_path / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=why) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))
    assert "\n" not in str(caught.value)


def test_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr(yaml_document, "MAX_VALUES", 100)  # of the real number the reader takes seconds
    assert parse_yaml(str(list(range(90))), "x") == [list(range(90))]
    with pytest.raises(DataError, match="more than 100 values"):
        parse_yaml(str(list(range(100))), "x")


def test_a_pipe_a_large_file_and_two_documents_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "two").write_text("a: 1\n---\nb: 2\n")
    for name, why in (("pipe", "regular"), ("large", "at most"), ("two", "one document"), ("none", "check")):
        with pytest.raises(DataError, match=why):
            read_yaml(tmp_path / name)


def test_what_people_write_is_read():
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert len(parse_yaml(deep, "x")) == 1
    text = "base: &b {x: 1, y: [2, 3.5]}\nown: {<<: *b, x: 0x10}\nagain: *b\ntime: 1:30\nlong: 1:30.5"
    base = {"x": 1, "y": [2, 3.5]}
    own = {"x": 16, "y": [2, 3.5]}
    expected = {"base": base, "own": own, "again": base, "time": "1:30", "long": "1:30.5"}
    assert parse_yaml(text, "x") == [expected]
    assert parse_yaml("", "x") == [] and parse_yaml("\ufeffa: 1", "x") == [{"a": 1}]


# PyYAML itself does not read each of its line breaks as it writes them.
TEXTS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), include_characters="\n\t"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_reads_what_yaml_writes(value):
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True), "x") == [value]


@given(st.text(alphabet="abc019:-[]{},&*!|>'\"#%@?<=~.\n ", max_size=60))
def test_any_text_is_documents_or_one_error(text):
    try:
        assert isinstance(parse_yaml(text, "x"), list)
    except DataError as exc:
        assert "\n" not in str(exc)
