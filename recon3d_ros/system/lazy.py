"""Load heavy modules when they are needed, and say how to install what is missing."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from recon3d_ros.errors import MissingDependencyError
from recon3d_ros.system.installing import how_to_install


def load(import_string: str) -> Any:
    """Resolve ``"package.module:attribute"`` (an entry of a table such as ``BACKENDS``).

    Raises:
        ValueError: The string has no colon (our own mistake, not the user's).
        MissingDependencyError: The module asks `require` for a library that is not installed.
    """
    module_name, colon, attribute = import_string.partition(":")
    if not colon:
        raise ValueError(f"expected 'package.module:attribute', got {import_string!r}")
    return getattr(importlib.import_module(module_name), attribute)


def require(module: str, extra: str) -> ModuleType:
    """Import an optional third-party module.

    Args:
        module: Dotted name, e.g. ``"onnxruntime"``.
        extra: The extra of this package that installs it, e.g. ``"cpu"``.

    Raises:
        MissingDependencyError: It is not installed, or it is and its shared libraries do not load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise MissingDependencyError(
            f"{module} is needed here and cannot be imported ({exc}): {how_to_install(extra)}"
        ) from exc
