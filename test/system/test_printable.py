"""Text from elsewhere does nothing to the terminal that shows it."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.system.printable import LINE, printable


def test_escapes_and_lengths():
    assert printable("/camera \x1b[2J\x07 left\n\r\t") == "/camera \\x1b[2J\\x07 left\\n\\r\\t"
    assert printable("a\u202eb\u2066c\udce4d\x9be") == "a\\u202eb\\u2066c\\udce4d\\x9be"
    assert printable("Kamera vorn, 前 ü") == "Kamera vorn, 前 ü"
    text = "begin" + "x" * 2_000_000 + "end"
    assert printable(text).startswith("beginxxx") and printable(text).endswith("xend")
    assert "(1999108 characters)" in printable(text)
    assert printable("y" * LINE) == "y" * LINE


@given(st.text(st.characters(exclude_categories=())), st.integers(8, 60))
def test_nothing_harmful_is_left_and_it_stays_short(text, most):
    line = printable(text, most)
    line.encode()  # no half of a surrogate pair
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") for letter in line)
    assert len(line) <= 6 * most + 60  # an escape has up to six characters
