"""Text from elsewhere for people's eyes: names and values of messages, parameters and files."""

from __future__ import annotations

import re

LINE = 900  # a sentence of ours with two long paths keeps its middle; with what is added, below 1000
# C0 and C1 controls, among them ESC and line breaks; what turns the direction of writing or breaks lines in
# Unicode; halves of surrogate pairs, which stand for bytes that are no UTF-8.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def printable(text: str, most: int = LINE) -> str:
    r"""One line of a text that does nothing to the terminal or the viewer that shows it.

    Controls become escapes as in Python's source (``\x1b``). Of a longer text the beginning and the end are
    left, and how much was between.
    """
    if len(text) > most:
        head, tail = most * 3 // 4, most // 4
        text = f"{text[:head]} ... ({len(text) - head - tail} characters) ... {text[-tail:]}"
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
