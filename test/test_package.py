"""The package as users get it: built by colcon, installed by pip, described by package.xml."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

import recon3d_ros
from recon3d_ros.cli.main import VERBS
from recon3d_ros.config import Config, options
from recon3d_ros.config.parameters import NODES
from recon3d_ros.model_zoo.manifest_file import manifest_from_dict

ROOT = Path(__file__).resolve().parents[1]
EXECUTABLES = {"recon3d", "depth_node", "map_node", "image_source"}
# Run from a folder that holds no checkout: what is found was installed.
PROBE = """
import pathlib, recon3d_ros
from recon3d_ros.system.share import share_path
print(pathlib.Path(recon3d_ros.__file__).parent)
for name in ("config/fastdds.xml", "launch", "models"):
    print(share_path(*name.split("/")))
"""

needs_builders = pytest.mark.skipif(
    importlib.util.find_spec("colcon_core") is None, reason="colcon is not installed (extra dev)"
)


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, return its stdout; its whole output is the failure message."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shared_files(share: Path) -> set[str]:
    """The launch, config and model files below a share folder."""
    found = [p for top in ("launch", "config", "models") for p in (share / top).rglob("*") if p.is_file()]
    return {
        p.relative_to(share).as_posix()
        for p in found
        if "__pycache__" not in p.parts and p.name != ".gitkeep"
    }


def test_every_executable_has_its_function():
    """Without a build: a module that moves takes its executables along."""
    pytest.importorskip("rclpy")  # two of them are nodes
    found = re.findall(r"(\w+) = \{NAME\}\.([\w.]+):(\w+)", (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert {name for name, _, _ in found} == EXECUTABLES
    for _, module, function in found:
        assert callable(getattr(importlib.import_module(f"recon3d_ros.{module}"), function))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what the repository holds, so that no build leaves anything in the real one."""
    target = tmp_path_factory.mktemp("workspace") / "src" / "recon3d_ros"
    target.mkdir(parents=True)
    for name in (
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "MANIFEST.in",
        "package.xml",
        "README.md",
        "LICENSE",
    ):
        shutil.copy(ROOT / name, target)
    for name in ("recon3d_ros", "resource", "launch", "config", "models"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@needs_builders
def test_colcon_builds_a_workspace(checkout):
    workspace = checkout.parents[1]
    colcon = Path(sys.executable).with_name("colcon")
    run(colcon, "build", "--event-handlers", "console_direct+", cwd=workspace)
    prefix = workspace / "install" / "recon3d_ros"
    share = prefix / "share" / "recon3d_ros"

    assert {p.name for p in (prefix / "lib" / "recon3d_ros").iterdir()} >= EXECUTABLES
    assert (prefix / "share/ament_index/resource_index/packages/recon3d_ros").is_file()
    assert (share / "package.xml").is_file()
    assert shared_files(share) == shared_files(ROOT)

    # as after `source install/setup.bash`, in a folder away from the sources
    sourced = run(
        "bash",
        "-c",
        'set +u; . install/setup.bash && cd / && exec "$0" -c "$1"',
        sys.executable,
        PROBE,
        cwd=workspace,
    ).split()
    assert all(path.startswith(str(prefix)) for path in sourced), sourced
    help_text = run(
        "bash",
        "-c",
        ". install/setup.bash && exec install/recon3d_ros/lib/recon3d_ros/recon3d --help",
        cwd=workspace,
    )
    assert "evaluate" in help_text


@needs_builders
def test_pip_installs_a_wheel(checkout, tmp_path):
    pip = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, checkout, cwd=tmp_path)
    wheel = next(tmp_path.glob("recon3d_ros-*.whl"))
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", wheel, cwd=tmp_path, env={"PYTHONPATH": ""})

    assert {p.name for p in (tmp_path / "venv" / "bin").iterdir()} >= EXECUTABLES
    assert shared_files(tmp_path / "venv" / "share" / "recon3d_ros") == shared_files(ROOT)
    # the libraries of this Python, after the new environment's own packages
    borrowed = {"PYTHONPATH": sysconfig.get_path("purelib"), "AMENT_PREFIX_PATH": ""}
    found = run(python, "-c", PROBE, cwd=tmp_path, env=borrowed).split()
    assert all(path.startswith(str(tmp_path / "venv")) for path in found), found


def test_colcon_test_finds_the_tests():
    """Without an extra of this name that has pytest, `colcon test` runs none and reports success."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert re.search(r'"test": TEST,', setup) and re.search(r"^TEST = .*pytest.*pytest-timeout", setup, re.M)
    declared = {node.text for node in ElementTree.parse(ROOT / "package.xml").iter("test_depend")}
    assert declared >= {"python3-pytest", "python3-pytest-timeout", "python3-hypothesis"}


def test_versions_agree():
    declared = ElementTree.parse(ROOT / "package.xml").findtext("version")
    assert declared == recon3d_ros.__version__
    assert f'version="{declared}"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_package_xml_names_what_the_node_imports():
    """Every ROS package imported anywhere in the package is an exec_depend, and none is there for nothing."""
    declared = {node.text for node in ElementTree.parse(ROOT / "package.xml").iter("exec_depend")}
    sources = sorted((ROOT / "recon3d_ros").rglob("*.py")) + sorted((ROOT / "launch").glob("*.py"))
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources)
    imported = {
        "python3-numpy": "numpy",
        "python3-opencv": "cv2",
        "python3-argcomplete": "argcomplete",
        "python3-tqdm": "tqdm",
        "python3-yaml": "yaml",
        "tf2_ros_py": "tf2_ros",
    }
    for package in declared:
        name = imported.get(package, package)
        assert re.search(rf"\b{name}\b", text), f"package.xml depends on {package}, which nothing uses"
    messages = set(re.findall(r"^from (\w+(?:_msgs|_interfaces))\.msg import", text, re.MULTILINE))
    assert messages
    assert messages <= declared


def parameter_table(*configs: type[Config]) -> str:
    """A table of docs/parameters.md, as the configuration classes declare it."""
    lines = ["| Parameter | Default | | Meaning |", "|---|---|---|---|"]
    for spec in (spec for config in configs for spec in options(config)):
        default = {"": "''", "()": "[]", "True": "true", "False": "false"}.get(
            str(spec.default), spec.default
        )
        unit = f" {spec.unit}" if spec.unit else ""
        choices = f"; one of {', '.join(spec.choices)}" if spec.choices else ""
        live = "" if spec.read_only else "live"
        lines.append(f"| `{spec.name}` | `{default}`{unit} | {live} | {spec.description}{choices} |")
    return "\n".join(lines)


def assert_in_page(table: str) -> None:
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert table in page, f"the table in docs/parameters.md should read\n{table}"


def test_the_page_lists_the_parameters_of_the_node():
    pytest.importorskip("rclpy")  # the ros room does not open without
    assert_in_page(parameter_table(*NODES["depth_node"]))


def test_the_page_lists_the_parameters_of_the_image_source():
    pytest.importorskip("rclpy")  # the ros room does not open without
    assert_in_page(parameter_table(*NODES["image_source"]))


def test_the_page_lists_the_parameters_of_the_map_node():
    pytest.importorskip("rclpy")  # the ros room does not open without
    assert_in_page(parameter_table(*NODES["map_node"]))


def test_readme_manifest_example_is_a_manifest(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(name: .*?)```", readme, re.DOTALL)
    assert example is not None
    manifest = manifest_from_dict(yaml.safe_load(example[1]))
    assert manifest.is_stereo


def test_pages_speak_of_verbs_and_files_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [readme, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))]
    typed = set(re.findall(r"^\s*(?:\S*/)?recon3d ([a-z]+)", "\n".join(pages), re.MULTILINE))
    assert len(typed) > 8
    assert typed <= set(VERBS)
    for link in re.findall(r"\]\(((?!https?://|#)[^)]+)\)", readme):
        assert (ROOT / link).exists(), f"README.md links {link}, which is not there"


def test_the_ci_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make test")
