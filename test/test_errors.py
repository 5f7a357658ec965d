from __future__ import annotations

import inspect
import re

import pytest

from recon3d_ros import errors
from recon3d_ros.system import lazy
from recon3d_ros.system.installing import how_to_install

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_docstring_draws_every_error_with_its_exit_code(cls):
    line = re.search(rf"[─\s]{cls.__name__}\s+(exit code (\d+))?", errors.__doc__)
    assert line, "not in the drawing"
    if line[2]:
        assert cls.exit_code == int(line[2])
    else:
        assert cls.__base__ is not errors.Recon3dError and cls.exit_code == cls.__base__.exit_code
    assert issubclass(cls, errors.Recon3dError)


def test_exit_codes_tell_the_branches_apart():
    branches = [cls for cls in TREE if cls.__base__ is errors.Recon3dError]
    codes = {cls.exit_code for cls in branches} | {errors.Recon3dError.exit_code}
    assert len(codes) == len(branches) + 1
    assert 0 not in codes


def test_load_resolves_an_import_string():
    assert lazy.load("recon3d_ros.errors:ModelError") is errors.ModelError
    with pytest.raises(ValueError, match=r"package\.module:attribute"):
        lazy.load("recon3d_ros.errors")


def test_require_names_the_extra_and_keeps_the_cause(tmp_path, monkeypatch):
    assert lazy.require("json", extra="cpu").loads("1") == 1
    with pytest.raises(errors.MissingDependencyError, match=re.escape(how_to_install("view"))) as caught:
        lazy.require("no_such_lib", extra="view")
    assert isinstance(caught.value.__cause__, ImportError)
    # installed, but a shared library of it is missing
    (tmp_path / "broken_lib.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingDependencyError, match=r"libGL\.so\.1"):
        lazy.require("broken_lib", extra="view")
