"""What a report page consists of: tables, lists and pictures that lie over one another."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError

Cell = str | int | float | None

PICTURE_PX = 1280  # the longest side of a picture in the page
_LONG = 60  # characters of a cell, from which on it is broken into lines
_WEBP_QUALITY = 88


class Block(Protocol):
    """A part of a page."""

    @property
    def title(self) -> str:
        """Its heading."""

    def to_html(self, name: str) -> str:
        """The HTML below the title; `name` is unique in the page, for the ids of its elements."""


@dataclass(frozen=True)
class Table:
    """A table whose columns sort by a click.

    Attributes:
        title: Heading.
        columns: Names of the columns.
        rows: One value per column; floats are shown with `digits`, None and NaN as "-".
        digits: Significant digits of floats.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: int = 4

    def to_html(self, name: str) -> str:
        """The table; a column of numbers is aligned to the right."""
        numbers = [
            all(_is_number(row[i]) or row[i] is None for row in self.rows) for i in range(len(self.columns))
        ]
        kinds = [' class="number"' if number else "" for number in numbers]
        head = "".join(
            f'<th scope="col"{kind}><button type="button">{escape(column)}</button></th>'
            for column, kind in zip(self.columns, kinds)
        )
        body = "".join(
            "<tr>" + "".join(self._cell(value, kind) for value, kind in zip(row, kinds)) + "</tr>"
            for row in self.rows
        )
        return (
            f'<div class="scroll" role="region" aria-label="{escape(self.title)}" tabindex="0"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _cell(self, value: Cell, kind: str) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return f'<td{kind} data-value="">-</td>'
        if isinstance(value, float):
            return f'<td{kind} data-value="{value!r}">{shown(value, self.digits)}</td>'
        text = str(value)
        if len(text) > _LONG and not kind:  # a sentence, which would leave the page
            kind = ' class="long"'
        return f"<td{kind}>{escape(text)}</td>"


@dataclass(frozen=True)
class Facts:
    """Names with one value each."""

    title: str
    values: Mapping[str, Cell]

    def to_html(self, name: str) -> str:
        """A table with a heading in each row."""
        rows = "".join(
            f'<tr><th scope="row">{escape(key)}</th><td>{escape(_text(value))}</td></tr>'
            for key, value in self.values.items()
        )
        return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


@dataclass(frozen=True)
class Notes:
    """Sentences about the results, such as what was left out."""

    title: str
    sentences: Sequence[str]

    def to_html(self, name: str) -> str:
        """A list."""
        return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in self.sentences)}</ul>"


@dataclass(frozen=True, eq=False)
class PictureCompare:
    """Pictures of one view, two at a time with a slider between them.

    Attributes:
        title: Heading.
        pictures: Name to (H, W, 3) uint8 RGB or (H, W) uint8; all of one aspect ratio.
        caption: What the colours mean.
    """

    title: str
    pictures: Mapping[str, NDArray[np.uint8]]
    caption: str = ""

    def to_html(self, name: str) -> str:
        """The figure; with one picture it has no slider.

        Raises:
            ImageError: There is no picture, or one is no image.
        """
        if not self.pictures:
            raise ImageError(f"expected at least one picture for {self.title!r}, got none: leave it out")
        encoded = [{"name": key, "src": data_uri(image)} for key, image in self.pictures.items()]
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        first = f'<img alt="{escape(encoded[0]["name"])}" src="{encoded[0]["src"]}">'
        if len(encoded) == 1:
            return f'<figure class="compare"><div class="stack">{first}</div>{caption}</figure>'
        second = f'<img class="over" alt="{escape(encoded[1]["name"])}" src="{encoded[1]["src"]}">'
        label = escape(f"boundary between left and right picture of {self.title}")
        return (
            f'<figure class="compare" data-pictures="{name}"><div class="stack">{first}{second}'
            f'<div class="edge" hidden></div></div><div class="controls" hidden>'
            f"{self._select('left', 0)}"
            f'<input type="range" min="0" max="100" value="50" aria-label="{label}">'
            f"{self._select('right', 1)}</div>{caption}"
            f'<script type="application/json" id="{name}">{json_text(encoded)}</script></figure>'
        )

    def _select(self, side: str, chosen: int) -> str:
        options = "".join(
            f'<option value="{i}"{" selected" if i == chosen else ""}>{escape(key)}</option>'
            for i, key in enumerate(self.pictures)
        )
        return f"<label>{side} <select>{options}</select></label>"


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image as a WebP data URI, at most `PICTURE_PX` on its longest side.

    Args:
        image: (H, W, 3) uint8 RGB or (H, W) uint8.

    Raises:
        ImageError: The array is no image.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(
            f"expected an (H, W, 3) or (H, W) uint8 picture, got {image.dtype} {image.shape}: "
            "convert it first"
        )
    factor = PICTURE_PX / max(image.shape[:2])
    if factor < 1:
        image = np.asarray(
            cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
        )
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".webp", pixels, (cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY))
    if not done:
        raise ImageError(
            f"expected a picture that OpenCV can encode as WebP, got {image.shape}: check its size"
        )
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def json_text(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _is_number(value: Cell) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return shown(value) if isinstance(value, float) else str(value)


def shown(value: float, digits: int = 4) -> str:
    """A number for people: significant digits, and no exponent for thousands."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e12 else f"{value:.{digits}g}"
