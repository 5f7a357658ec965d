"""A report page is one well-formed file that asks nobody for anything, whatever its words are."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recon3d_ros.errors import ImageError, OutputError
from recon3d_ros.reports import (
    Facts,
    Histogram,
    LineChart,
    Notes,
    Page,
    PictureCompare,
    SceneView,
    Series,
    Table,
    write_page,
)

HOSTILE = "</script><script>alert(1)</script> & \"quotes\" 'too' \u2028"
VOID = {"meta", "img", "input", "path", "rect"}


class Checker(HTMLParser):
    """Collects elements and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["script"]:
            self.text.append(data)


def checked(page: Page) -> Checker:
    checker = Checker()
    checker.feed(page.to_html())
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def full_page(rng):
    image = rng.integers(0, 256, (31, 47, 3), np.uint8)
    points = rng.normal(size=(500, 3))
    return Page(
        HOSTILE,
        HOSTILE,
        [
            Facts(HOSTILE, {HOSTILE: HOSTILE, "rate": 3.25, "none": None}),
            Table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, 1], ["b", None], ["c", float("nan")]]),
            PictureCompare(HOSTILE, {HOSTILE: image, "grey": image[..., 0]}, HOSTILE),
            SceneView(HOSTILE, points, rng.integers(0, 256, (500, 3), np.uint8), caption=HOSTILE),
            SceneView("mesh", points, faces=np.array([[0, 1, 2], [2, 3, 4]]), up="z"),
            Histogram(HOSTILE, HOSTILE, points),
            LineChart(HOSTILE, HOSTILE, HOSTILE, [Series(HOSTILE, [0, 1, 2], [0.5, float("nan"), 1.5])]),
            Notes(HOSTILE, [HOSTILE]),
        ],
    )


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_the_page_is_well_formed_and_words_stay_words(full_page):
    checker = checked(full_page)
    text = "".join(checker.text)
    assert text.count("alert(1)") >= 10  # shown, each time it was given
    scripts = [attributes for tag, attributes in checker.seen if tag == "script"]
    data = [one for one in scripts if one.get("type") == "application/json"]
    assert len(scripts) - len(data) == 2  # page.js and scene.js; none of the words became one
    assert len({one["id"] for one in data}) == len(data) == 3


def test_nothing_is_loaded_from_elsewhere(full_page):
    for tag, attributes in checked(full_page).seen:
        for name in ("src", "href", "action", "data", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    assert "default-src 'none'" in full_page.to_html()


def test_the_three_d_view_is_part_of_pages_that_have_one(full_page):
    assert len(Page("small", "", [Notes("n", ["one"])]).to_html()) < 20_000
    assert "MIT" in full_page.to_html()  # the licence of what draws it


def test_every_canvas_and_picture_has_words_for_who_does_not_see_it(full_page):
    for tag, attributes in checked(full_page).seen:
        if tag in ("canvas", "svg"):
            assert attributes["aria-label"] and attributes["role"] == "img"
        if tag == "img":
            assert attributes["alt"]
        if tag == "input":
            assert attributes["aria-label"]


def test_the_file_is_written_or_the_error_says_why(tmp_path, full_page):
    write_page(tmp_path / "report.html", full_page)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == full_page.to_html()
    with pytest.raises(OutputError):
        write_page(tmp_path / "missing" / "report.html", full_page)


def test_numbers_of_a_table_sort_by_their_value_and_read_well():
    html = Table("t", ["x"], [[1234567.0], [0.00012345], [float("nan")], [-2.5]]).to_html("t")
    assert re.findall(r'data-value="([^"]*)"', html) == ["1234567.0", "0.00012345", "", "-2.5"]
    assert re.findall(r">([^<>]+)</td>", html) == ["1,234,567", "0.0001234", "-", "-2.5"]


def test_points_come_back_to_the_step_of_their_box(rng):
    points = rng.uniform((-3, 0, 1), (5, 0, 9), (200, 3))
    points[7] = np.nan
    colours = rng.integers(0, 256, (200, 3), np.uint8)
    data = scene_data(SceneView("c", points, colours))
    keep = np.isfinite(points).all(axis=1)
    steps = decoded(data["positions"], "<u2").reshape(-1, 3)
    low, high = np.array(data["low"]), np.array(data["high"])
    found = low + steps / 65535 * (high - low)
    assert np.allclose(found, points[keep], atol=1e-9 + (high - low).max() / 65535)
    assert np.array_equal(decoded(data["colours"], "u1").reshape(-1, 3), colours[keep])


def test_too_many_points_are_thinned_and_far_ones_left_out_and_both_are_said(rng):
    points = np.vstack([rng.normal(size=(250_000, 3)), [[1e6, 0, 0]]])
    html = SceneView("c", points).to_html("c")
    assert "1 far points are left out" in html and "of 250,000 points" in html


def test_a_mesh_keeps_its_triangles(rng):
    faces = rng.integers(0, 40, (60, 3))
    data = scene_data(SceneView("m", rng.normal(size=(40, 3)), faces=faces, up="z"))
    assert np.array_equal(decoded(data["faces"], "<u4").reshape(-1, 3), faces) and data["up"] == "z"


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((4, 3), np.nan)])
def test_a_scene_without_points_says_so(points):
    assert SceneView("c", points).to_html("c") == "<p>no points</p>"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"points": np.zeros((3, 2))}, r"\(N, 3\)"),
        ({"points": np.zeros((3, 3)), "colours": np.zeros((3, 3))}, "uint8"),
        ({"points": np.zeros((3, 3)), "up": "y"}, "z or -y"),
    ],
)
def test_a_wrong_scene_is_refused(arguments, expected):
    with pytest.raises(ImageError, match=expected):
        SceneView("c", **arguments)


def test_a_picture_that_is_none_is_refused():
    with pytest.raises(ImageError, match="convert it first"):
        PictureCompare("p", {"a": np.zeros((4, 5, 3), np.float32)}).to_html("p")
    with pytest.raises(ImageError, match="at least one picture"):
        PictureCompare("p", {}).to_html("p")


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_charts_without_values_say_so(values):
    assert "no values" in Histogram("h", "x", values).to_html("h")
    assert "no values" in LineChart("l", "x", "y", [Series("", values, values)]).to_html("l")
    seconds = list(range(len(values)))  # known times of unknown values
    assert "no values" in LineChart("l", "x", "y", [Series("", seconds, values)]).to_html("l")


def test_one_value_has_a_chart():
    checked(Page("p", "", [Histogram("h", "x", [2.0]), LineChart("l", "x", "y", [Series("", [1], [2])])]))


def scene_data(view: SceneView) -> dict:
    return json.loads(re.search(r'application/json" id="s">(.*?)</script>', view.to_html("s"))[1])


def decoded(text: str, dtype: str) -> np.ndarray:
    import base64

    return np.frombuffer(base64.b64decode(text), dtype)


def test_a_chart_has_labels_that_fit_and_a_legend_of_named_lines_only():
    x = np.arange(3.0)
    chart = LineChart("Time", "frame", "time [ms]", [Series("", x, np.array([234.0, 1700.0, 2190.4]))])
    text = chart.to_html("t")
    assert ">2190<" in text and "e+03" not in text and 'class="legend"' not in text
    named = LineChart("Time", "frame", "time [ms]", [Series("one", x, x), Series("", x, x)]).to_html("t")
    assert named.count("<span") == 1 and ">one</span>" in named


def test_a_sentence_in_a_table_is_broken_into_lines():
    text = Table(
        "t", ["name", "what to do"], [["a", "start the camera driver " * 5], ["b", "nothing"]]
    ).to_html("t")
    assert text.count('class="long"') == 1 and '<td class="long">start' in text
