"""Recorded bags of ROS 2 (db3, mcap), read with the library rosbags; ROS itself is not needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from recon3d_ros.errors import DataError
from recon3d_ros.system import lazy

SUFFIXES = (".mcap", ".db3")
METADATA_FILE = "metadata.yaml"
# Of definitions in an mcap; other channels beside those of ROS are JSON or protobuf.
ROS_SCHEMAS = ("ros2msg", "ros2idl", "omgidl", "")


def is_bag(path: Path) -> bool:
    """Whether it is a file of a bag, or a folder that rosbag2 wrote."""
    if path.is_dir():
        return (path / METADATA_FILE).is_file()
    return path.is_file() and path.suffix in SUFFIXES


class BagMessage(NamedTuple):
    """One message: its topic, when it was recorded (ns), and itself, with the fields of its ROS 2 type."""

    topic: str
    logged_ns: int
    msg: Any


class Bag:
    """An open bag.

    Args:
        path: A rosbag2 folder (with metadata.yaml), or one of its files (which need none), `.mcap` or `.db3`.

    Attributes:
        topics: Name to type, as in "sensor_msgs/msg/Image", in the order of names.

    Raises:
        DataError: It is not there, is no bag, or is damaged.
        MissingDependencyError: rosbags is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise DataError(f"expected a bag at {self.path}, nothing is there: check the path")
        if not self.path.is_dir() and self.path.suffix not in SUFFIXES:
            raise DataError(
                f"expected a folder of rosbag2 or a file {' or '.join(SUFFIXES)}, got {self.path}: "
                "convert a bag of ROS 1 with rosbags-convert"
            )
        if self.path.is_dir() and not (self.path / METADATA_FILE).is_file():
            raise DataError(
                f"expected {METADATA_FILE} in {self.path}, found none: name one of the files, .mcap or .db3, "
                "or write it with `ros2 bag reindex`"
            )
        self._require_files()
        rosbag2 = lazy.require("rosbags.rosbag2", extra="bags")
        typesys = lazy.require("rosbags.typesys", extra="bags")
        _take_foreign_schemas()
        # What is read here are ROS's own types, which a bag need not define.
        self._types = typesys.get_typestore(typesys.Stores.LATEST)
        try:
            self._reader = rosbag2.Reader(self.path)
            self._reader.open()
        except Exception as exc:  # of rosbags, SQLite, zstd, struct: whatever damaged bytes lead to
            raise self._damaged(exc) from exc
        self._connections = [c for c in self._reader.connections if c.ext.serialization_format == "cdr"]
        self.topics = {c.topic: c.msgtype for c in sorted(self._connections, key=lambda c: c.topic)}

    def _require_files(self) -> None:
        """Refuse what would be waited for without an end: SQLite does not even serve signals meanwhile."""
        for path in self.path.iterdir() if self.path.is_dir() else (self.path,):
            if path.exists() and not path.is_file() and not path.is_dir():
                raise DataError(
                    f"expected regular files in a bag, {path} is a pipe or a device: check the path"
                )

    @property
    def span_ns(self) -> tuple[int, int]:
        """When the first message was recorded, and the time behind the last one."""
        return int(self._reader.start_time), int(self._reader.end_time)

    def messages(
        self, topics: Sequence[str], from_ns: int | None = None, until_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of their recording.

        Args:
            topics: Their names; those that are not in the bag have no messages.
            from_ns: Recorded then or later; None is the beginning.
            until_ns: Recorded before; None is the end.

        Raises:
            DataError: The bag is damaged, or cut off.
        """
        chosen = [c for c in self._connections if c.topic in topics]
        if not chosen:  # to rosbags an empty choice means all
            return
        stream = self._reader.messages(chosen, start=from_ns, stop=until_ns)
        while True:
            try:
                connection, logged_ns, data = next(stream)
                msg = self._types.deserialize_cdr(data, connection.msgtype)
            except StopIteration:
                return
            except Exception as exc:
                raise self._damaged(exc) from exc
            yield BagMessage(connection.topic, int(logged_ns), msg)

    def close(self) -> None:
        """Close the files."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _damaged(self, exc: Exception) -> DataError:
        said = " ".join(f"{type(exc).__name__}: {exc}".split())
        return DataError(
            f"expected a whole bag of ROS 2 at {self.path}, reading it failed ({said:.200}): copy it again, "
            "or repair it with `ros2 bag reindex` or `mcap recover`"
        )


@cache
def _take_foreign_schemas() -> None:
    """Have rosbags open an mcap with JSON or protobuf channels; up to 0.11 it refuses the whole file.

    Their definitions, binary ones too, are left unread, as nothing here reads their messages.
    """
    mcap: Any = importlib.import_module("rosbags.rosbag2.storage_mcap")
    read_definition = mcap.get_msgdef

    def read_string(file: Any) -> str:
        return str(mcap.read_bytes(file).decode(errors="replace"))

    def get_msgdef(schema: Any) -> Any:
        foreign = schema is not None and schema.encoding not in ROS_SCHEMAS
        return read_definition(None if foreign else schema)

    mcap.read_string, mcap.get_msgdef = read_string, get_msgdef
