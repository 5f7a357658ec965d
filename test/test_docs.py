"""Pages name tests that exist; every row of the features has its answer; the changelog has versions."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import recon3d_ros
from recon3d_ros.cli.main import VERBS, build_parser
from recon3d_ros.files import read_camera, read_ply, write_image
from recon3d_ros.geometry import StereoRig

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FIRST_PAGES = [ROOT / "README.md", *sorted((ROOT / "models").glob("*.md"))]
TEST = re.compile(r"`(test/[\w/]+\.py)(?:::(\w+))?`")
ROW = re.compile(r"^\| (.+?) \| (yes|no) \| (.+) \|$", re.MULTILINE)
CAPABILITIES = 58


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def missing(text: str) -> list[str]:
    """The tests that a text names and that are not there."""
    wrong = []
    for file, name in TEST.findall(text):
        path = ROOT / file
        if not path.is_file() or (name and name not in functions(path)):
            wrong.append(f"{file}::{name}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_that_are_named_exist(page):
    assert not missing(page.read_text(encoding="utf-8"))


LINK = re.compile(r"\]\(((?!https?://|#)[^)#]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name} links {link}, which is not there"


def test_the_table_that_a_configuration_names_is_there():
    text = (ROOT / "config" / "cameras" / "two_pairs.yaml").read_text(encoding="utf-8")
    (page,) = re.findall(r"see the table in (\S+)", text)
    assert "| Parameter | Default |" in (ROOT / page).read_text(encoding="utf-8")


def test_the_table_of_the_first_page_links_every_other_one_once():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Documentation")[2].partition("\n## ")[0]
    linked = LINK.findall(table)
    pages = [link for link in linked if link.startswith("docs/") and link.endswith(".md")]
    assert sorted(pages) == [f"docs/{page.name}" for page in PAGES]


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_python_example_of_the_first_page_runs(tmp_path, monkeypatch, capsys):
    """In an empty folder, with the two images that it names."""
    pytest.importorskip("onnxruntime")
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    texture = np.random.default_rng(5).integers(0, 256, (14, 25, 3), dtype=np.uint8)
    wide = cv2.resize(texture, (400, 224), interpolation=cv2.INTER_CUBIC)
    disparity_px = 40
    write_image(tmp_path / "left.png", wide[:, :320])
    write_image(tmp_path / "right.png", wide[:, disparity_px : disparity_px + 320])
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "example"})
    assert np.median(read_ply(tmp_path / "cloud.ply").xyz[:, 2]) == pytest.approx(
        707.1 * 0.537 / 40, rel=0.05
    )
    assert "[[" in capsys.readouterr().out


def commands(page: Path) -> list[list[str]]:
    """The words of each `recon3d` command of a page: in its code blocks, or as code at the end of a line."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(recon3d [a-z]+ --[^`]+)`$", text, re.MULTILINE)
    return [
        shlex.split(line.strip(), comments=True)[1:] for line in lines if line.strip().startswith("recon3d ")
    ]


@pytest.mark.parametrize("page", [*PAGES, *FIRST_PAGES], ids=lambda page: page.stem)
def test_commands_have_flags_that_exist(page):
    for words in commands(page):
        if words[0] not in VERBS or "..." in words:
            continue
        try:
            build_parser(words).parse_args(words)
        except SystemExit as exc:
            assert exc.code == 0, f"{page.name}: recon3d {' '.join(words)}"


@pytest.mark.parametrize("page", [*PAGES, *FIRST_PAGES], ids=lambda page: page.stem)
def test_extras_exist_and_are_added_to_a_checkout_that_stays_one(page):
    """Without --editable, a copy replaces what `make` installed; a bare pip may be of any Python."""
    text, extras = page.read_text(encoding="utf-8"), (ROOT / "setup.py").read_text(encoding="utf-8")
    assert not re.findall(r"(?<!-m )pip3? (?:un)?install .*", text)
    for command, names in re.findall(r"(pip install [^`\n]*)'\.\[(.+?)\]'", text):
        assert command.endswith("--editable "), f"{page.name}: {command}"
        for name in names.split(","):
            assert f'\n    "{name}": ' in extras, f"{page.name} names the extra {name}"


def test_the_table_of_verbs_has_every_verb_once():
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| \S", page, re.MULTILINE)
    assert sorted(verb for row in rows for verb in re.findall(r"`([a-z]+)`", row)) == sorted(VERBS)


def test_the_camera_file_to_copy_is_the_pair_that_its_first_line_says(tmp_path):
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(# pair.yaml.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "pair.yaml").write_text(text)
    rig = read_camera(tmp_path / "pair.yaml")
    said = dict(re.findall(r"(cx|cy|fx|baseline) (?:= )?(?:fy = )?([\d.]+)", text.splitlines()[0]))
    numbers = {name: float(number) for name, number in said.items()}
    wh = tuple(map(int, re.search(r"(\d+)x(\d+) px", text).groups()))
    simple = StereoRig.simple(*wh, numbers["fx"], numbers["baseline"], numbers["cx"], numbers["cy"])
    for found, expected in ((rig.left, simple.left), (rig.right, simple.right)):
        assert found.image_size_wh == expected.image_size_wh and found.rectified and not found.d.any()
        for name in ("k", "r", "p"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(yaml.safe_load(text)["left"]))
    assert read_camera(tmp_path / "camera.yaml") == rig.left


def test_the_picture_of_the_first_page_moves_and_is_small():
    picture = ROOT / "docs" / "cloud.webp"
    content = picture.read_bytes()
    assert b"ANIM" in content[:64] and len(content) < 3e6
    assert any("--turntable" in words for words in commands(ROOT / "README.md"))


def test_every_topic_of_the_node_is_in_the_table():
    pytest.importorskip("rclpy")  # the ros room does not open without
    topics = import_module("recon3d_ros.ros.output.outputs").TYPES
    text = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(topics) > 5
    for topic in topics:
        assert f"`{topic}`" in text and f"`{topic}`" in readme


def test_the_api_reference_has_every_public_name_once():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", page, re.MULTILINE)
    assert sorted(names) == sorted(set(recon3d_ros.__all__) - {"__version__"})


def test_a_test_that_is_not_there_is_found():
    assert missing("`test/test_docs.py::test_nothing`") and missing("`test/test_nothing.py`")
    assert not missing("`test/test_docs.py::missing`")


def test_every_feature_is_proved_or_declined_with_a_reason():
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    names = [name for name, _, _ in rows]
    assert len(names) == len(set(names)) >= CAPABILITIES
    text = (ROOT / "test" / "features.yaml").read_text(encoding="utf-8")
    proofs = yaml.safe_load(text)
    assert set(proofs) <= set(names)
    for name, answer, note in rows:
        tests = proofs.get(name, [])
        assert tests if answer == "yes" else len(note) > 40, name
        assert not missing(" ".join(f"`{test}`" for test in tests)), name
        assert all(re.fullmatch(r"test/[\w/]+\.py::test_\w+", test) for test in tests), name
    assert "test_" not in page, "the page is for users; tests stand in test/features.yaml"


def test_promises_about_security_have_their_tests():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert len(TEST.findall(text)) >= 10


def test_the_changelog_is_what_ros_reads_releases_from():
    """Catkin_pkg is what `bloom` and `catkin_prepare_release` read it with."""
    changelog = pytest.importorskip("catkin_pkg.changelog")  # comes with colcon
    text = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert text.split("\n")[4] == "Forthcoming"  # what is not released stands on top, under this name
    read = changelog.get_changelog_from_path(str(ROOT / "CHANGELOG.rst"), package_name="recon3d_ros")
    released = [version for version, _, _ in read.foreach_version()]
    assert "0.1.0" in released and read.get_content_of_version("0.1.0")

    def number(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split("."))

    assert number(recon3d_ros.__version__) >= max(map(number, released))
