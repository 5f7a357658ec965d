"""The one reader of YAML for everything that is opened: files of unknown origin, within bounds.

A small file must not cost gigabytes or minutes: aliases of aliases, deep nesting, numbers that take a million
digits to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from recon3d_ros.errors import DataError
from recon3d_ros.files.disk import read_bytes

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000  # each alias counts as all that it stands for
MAX_DEPTH = 50
_MAX_DIGITS = 40  # 64 bits have 20 decimal digits
# What PyYAML raises of a document, beside its own errors: a date 2020-99-99 (ValueError), !!bool maybe
# (KeyError), !!int '' (IndexError), !!timestamp soon (AttributeError).
_WRONG = (
    yaml.YAMLError,
    ValueError,
    OverflowError,
    LookupError,
    AttributeError,
    TypeError,
    RecursionError,
)


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file of one document.

    Numbers of base 60 (``1:30``), which YAML 1.2 does not know any more, are texts.

    Raises:
        DataError: it cannot be read, is no regular file, is too large, or is not YAML; a key stands in it
            twice. One sentence with the path.
    """
    documents = parse_yaml(read_bytes(path, MAX_BYTES), path)
    if len(documents) > 1:
        raise DataError(f"{path} is not YAML of one document: it has {len(documents)}, leave one")
    return documents[0] if documents else None


def parse_yaml(content: bytes | str, name: Path | str) -> list[Any]:
    """Return the documents of a text, as `read_yaml`; `name` says in errors where it is from."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        loader = _BoundedLoader(text)
        try:
            return list(_documents(loader))
        finally:
            loader.dispose()
    except _WRONG as exc:
        raise DataError(f"{name} is not YAML that can be read ({_reason(exc)}): correct it") from exc


def _reason(exc: Exception) -> str:
    """What is wrong, and in which line where that is known, without the text around it."""
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        return f"line {exc.problem_mark.line + 1}: {exc.problem:.160}"
    return f"{' '.join(str(exc).split()):.160}"


def _documents(loader: _BoundedLoader) -> Iterator[Any]:
    while loader.check_data():  # type: ignore[no-untyped-call]
        yield loader.get_data()


class _BoundedLoader(yaml.SafeLoader):
    """A SafeLoader that refuses what would grow out of bounds, before it makes objects of it."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._level = 0
        self._count = 0
        # By the id of a node: how many values it stands for, and how deep they are nested. Nodes are kept
        # with it, so that no other one gets the id.
        self._extents: dict[int, tuple[int, int, yaml.Node]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Make a node of the next events, as PyYAML asks for it."""
        alias = bool(self.check_event(yaml.AliasEvent))
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._level += 1
        self._count += 1
        self.require(self._level <= MAX_DEPTH, f"nested more than {MAX_DEPTH} deep", mark)
        self.require(self._count <= MAX_VALUES, f"more than {MAX_VALUES} values", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        if node is None:
            return None
        if alias:
            self.require(id(node) in self._extents, "an alias that stands for what it is in", mark)
            return node
        extents = [self._extents[id(child)] for child in _children(node)]
        values = 1 + sum(extent[0] for extent in extents)
        depth = 1 + max((extent[1] for extent in extents), default=0)
        self.require(values <= MAX_VALUES, f"aliases that stand for more than {MAX_VALUES} values", mark)
        self.require(depth <= MAX_DEPTH, f"aliases nested more than {MAX_DEPTH} deep", mark)
        self._extents[id(node)] = values, depth, node
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping; a key that stands there twice is an error, one that is merged is not."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                word = (key.tag, key.value)
                self.require(word not in seen, f"the key {key.value:.60} twice", key.start_mark)
                seen.add(word)
        return dict(super().construct_mapping(node, deep))

    def require(self, holds: bool, what: str, mark: Any) -> None:
        """Refuse the document unless something holds; `what` it has instead stands at the mark."""
        if not holds:
            raise yaml.composer.ComposerError(problem=what, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _opencv_matrix(loader: _BoundedLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


def _whole_number(loader: _BoundedLoader, node: yaml.ScalarNode) -> int | str:
    """What a parameter or a size could be; `1:30` stays a text."""
    value = str(loader.construct_scalar(node))
    loader.require(len(value) <= _MAX_DIGITS or ":" in value, "a number of many digits", node.start_mark)
    return value if ":" in value else int(loader.construct_yaml_int(node))


def _number(loader: _BoundedLoader, node: yaml.ScalarNode) -> float | str:
    """A number; `1:30.5` stays a text."""
    value = str(loader.construct_scalar(node))
    return value if ":" in value else float(loader.construct_yaml_float(node))


# OpenCV's matrices are the mappings that they are written as.
for _tag, _construct in (("opencv-matrix", _opencv_matrix), ("int", _whole_number), ("float", _number)):
    _BoundedLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)
