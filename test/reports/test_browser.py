"""A report page in a real browser: no error, tables sort, the slider moves, the cloud turns."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from recon3d_ros.reports import Notes, Page, PictureCompare, SceneView, Table, write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (.[browser])")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (4000, 3)) * (1, 0.3, 0.6)
    colours = rng.integers(0, 256, (4000, 3), np.uint8)
    red, blue = (np.full((40, 60, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    path = tmp_path_factory.mktemp("page") / "report.html"
    rows = [["b", 10.0], ["a", 9.0], ["c", None], ["d", 200.0]]
    blocks = [
        Table("Table", ["name", "value"], rows),
        PictureCompare("Pictures", {"red": red, "blue": blue}),
        SceneView("Cloud", points, colours),
        SceneView("Mesh", points[:30], colours[:30], np.arange(30).reshape(10, 3), up="z"),
        Notes("Notes", ["done"]),
    ]
    write_page(path, Page("Report", "of a test", blocks))
    return path


@pytest.fixture
def opened(page_file):
    with sync_api.sync_playwright() as playwright:
        # A software renderer: a test machine has no GPU.
        flags = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        errors: list[str] = []
        requested: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requested.append(request.url[:5]))
        page.goto(page_file.as_uri())
        yield page
        assert errors == [] and set(requested) <= {"file:", "data:"}
        browser.close()


def test_it_works_in_a_browser(opened):
    """One start of the browser for all of it: that is what takes the time."""
    check_that_columns_sort(opened)
    check_that_the_slider_moves(opened)
    for canvas in opened.locator("canvas").all():
        check_that_it_turns(canvas)


def check_that_columns_sort(page):
    def column():
        return page.locator("tbody tr td:last-child").all_inner_texts()

    button = page.get_by_role("button", name="value")
    button.focus()
    button.press("Enter")  # as without a mouse
    assert column() == ["9", "10", "200", "-"]
    assert page.locator("th").nth(1).get_attribute("aria-sort") == "ascending"
    button.click()
    assert column() == ["200", "10", "9", "-"]


def check_that_the_slider_moves(page):
    slider = page.get_by_role("slider")
    assert slider.input_value() == "50"
    over = page.locator("img.over")
    slider.press("ArrowRight")
    assert "51%" in over.evaluate("image => image.style.clipPath")
    assert over.get_attribute("alt") == "blue"
    page.locator("select").nth(1).select_option("red")
    assert over.get_attribute("alt") == "red"


def check_that_it_turns(canvas):
    canvas.scroll_into_view_if_needed()
    before = canvas.screenshot()
    assert canvas.evaluate("c => c.getContext('webgl2') !== null") and not canvas.evaluate("c => c.hidden")
    canvas.press("ArrowLeft")
    turned = canvas.screenshot()
    assert turned != before
    canvas.press("ArrowRight")
    assert canvas.screenshot() == before
    canvas.press("+")
    assert canvas.screenshot() != before
