from __future__ import annotations

import math
import re

import pytest

from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.system import lazy
from recon3d_ros.system.installing import how_to_install


def test_an_import_string_names_an_attribute():
    assert lazy.load("math:tau") == math.tau
    with pytest.raises(ValueError, match=r"expected 'package\.module:attribute', got 'math\.tau'"):
        lazy.load("math.tau")


def test_what_is_installed_is_imported():
    assert lazy.require("math", extra="cpu") is math


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it():
    command = re.escape(how_to_install("view"))
    with pytest.raises(MissingDependencyError, match=rf"no_such_library is needed .*{command}"):
        lazy.require("no_such_library", extra="view")


def test_a_library_whose_shared_objects_do_not_load_is_missing_too(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"libGL\.so\.1"):
        lazy.require("broken_library", extra="view")
