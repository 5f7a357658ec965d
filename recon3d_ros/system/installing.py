"""Commands that install what is missing: for the Python that runs, and as this package is installed in it."""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from pathlib import Path

_PACKAGE = "recon3d_ros"
_ROOT = Path(__file__).parents[2]
# The folders that colcon --symlink-install links files into have no pyproject.toml.
_OF_A_CHECKOUT = ("setup.py", "pyproject.toml")
_EXTRA = re.compile(r"""(?:^|\s+and\s+)extra\s*==\s*["']([\w-]+)["']$""")


def pip_install(*requirements: str) -> str:
    """The command that installs requirements for the Python that runs.

    Outside of a virtual environment, where the distribution keeps pip out (PEP 668), it allows pip and
    installs for this user alone.
    """
    user = ["--user"] if _kept_out() else []
    return _pip("install", *user, *requirements)


def pip_uninstall(package: str) -> str:
    """The command that removes a package from the Python that runs."""
    return _pip("uninstall", package)


def how_to_install(extra: str) -> str:
    """The command that brings an extra, ``"rerun"``, to this installation.

    A checkout stays what it is: without ``--editable`` pip would put a copy of it into the environment, which
    no change of the checkout reaches. Where the package is a copy (by pip, or by colcon, of which pip knows
    nothing), the libraries of the extra are named: the package is in no index, its name there is nobody's.
    """
    if all((_ROOT / name).is_file() for name in _OF_A_CHECKOUT):
        return pip_install("--editable", f"{_ROOT}[{extra}]")
    requirements = _requirements(extra)
    if requirements:
        return pip_install(*requirements)
    return f"install the libraries of the extra {extra}, which setup.py of {_PACKAGE} lists"


def _pip(*words: str) -> str:
    command = [sys.executable or "python3", "-m", "pip", *words]
    return "PIP_BREAK_SYSTEM_PACKAGES=1 " * _kept_out() + shlex.join(command)


def _kept_out() -> bool:
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return sys.prefix == sys.base_prefix and marker.is_file()


def _requirements(extra: str) -> list[str]:
    """What an extra brings, as this package's metadata say it, with the other conditions of each."""
    from importlib.metadata import distributions  # 40 ms, for errors alone

    installed = next(iter(distributions(name=_PACKAGE, path=[str(_ROOT)])), None)
    found = []
    for line in (installed.requires if installed else None) or []:
        requirement, _, condition = line.partition(";")
        wanted = _EXTRA.search(condition.strip())
        if wanted and wanted[1] == extra:
            others = condition.strip()[: wanted.start()]
            found.append(f"{requirement.strip()}; {others}" if others else requirement.strip())
    return found
