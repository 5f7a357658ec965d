"""Each case is a Python of its own with the package beside it, as an installation leaves it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recon3d_ros.system import installing

PACKAGE = Path(installing.__file__).parents[1]
METADATA = """Metadata-Version: 2.1
Name: recon3d_ros
Version: 0.1.0
Requires-Dist: numpy>=1.26
Requires-Dist: rerun-sdk>=0.26; extra == "rerun"
Requires-Dist: tensorrt>=10; platform_machine == "x86_64" and extra == "tensorrt"
Requires-Dist: pycuda; extra == "tensorrt"
Requires-Dist: open3d>=0.18; (platform_machine != "x86_64" or sys_platform != "linux") and extra == "view"
"""


@pytest.fixture
def installed(tmp_path) -> Path:
    """A folder with a space in its name that holds the part of the package that makes the hints."""
    folder = tmp_path / "my robot"
    (folder / "recon3d_ros" / "system").mkdir(parents=True)
    for name in ("__init__.py", "system/__init__.py", "system/installing.py"):
        shutil.copy(PACKAGE / name, folder / "recon3d_ros" / name)
    return folder


def hint(folder: Path, extra: str) -> list[str]:
    """The words of the command, in a new Python that finds the package in a folder."""
    code = f"from recon3d_ros.system.installing import how_to_install; print(how_to_install({extra!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder.parent,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return shlex.split(done.stdout)


def copied(folder: Path) -> Path:
    (folder / "recon3d_ros-0.1.0.dist-info").mkdir()
    (folder / "recon3d_ros-0.1.0.dist-info" / "METADATA").write_text(METADATA)
    return folder


def test_a_checkout_stays_one(installed):
    for name in ("setup.py", "pyproject.toml"):
        (installed / name).touch()
    copied(installed)  # as setuptools leaves it there
    assert hint(installed, "rerun") == [
        sys.executable, "-m", "pip", "install", "--editable", f"{installed}[rerun]"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "requirements"),
    [
        ("rerun", ["rerun-sdk>=0.26"]),
        ("tensorrt", ['tensorrt>=10; platform_machine == "x86_64"', "pycuda"]),
        ("view", ['open3d>=0.18; (platform_machine != "x86_64" or sys_platform != "linux")']),
    ],
)
def test_a_copy_gets_the_libraries_themselves(installed, extra, requirements):
    (copied(installed) / "setup.py").touch()  # a link of colcon
    assert hint(installed, extra) == [sys.executable, "-m", "pip", "install", *requirements]


def test_a_copy_that_no_installer_made_says_where_the_libraries_are_listed(installed):
    assert "the extra rerun, which setup.py of recon3d_ros lists" in " ".join(hint(installed, "rerun"))


def test_where_the_distribution_keeps_pip_out_the_user_alone_gets_it(tmp_path, monkeypatch):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(installing.sysconfig, "get_path", lambda name: {"stdlib": str(tmp_path)}[name])
    in_environment, inside = sys.prefix != sys.base_prefix, installing.pip_install("onnx>=1.16")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    outside = installing.pip_install("onnx>=1.16")
    python = shlex.quote(sys.executable)
    if in_environment:
        assert inside == f"{python} -m pip install 'onnx>=1.16'"
    assert outside == f"PIP_BREAK_SYSTEM_PACKAGES=1 {python} -m pip install --user 'onnx>=1.16'"
    assert installing.pip_uninstall("onnx") == f"PIP_BREAK_SYSTEM_PACKAGES=1 {python} -m pip uninstall onnx"
