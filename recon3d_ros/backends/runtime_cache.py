"""What tensorrt_rtx compiles for a device when an engine runs first, kept for the next start.

Never run on a GPU so far; without the file a start is slower, nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from recon3d_ros.backends.gpu import Gpu
from recon3d_ros.files.disk import write_atomically


class RuntimeCache:
    """The cache of one engine on one device; does nothing for `tensorrt`, which has none.

    Args:
        stem: Path of the engine without its suffix.
        gpu: The device; the file is named by it and its driver.
    """

    def __init__(self, stem: Path, gpu: Gpu) -> None:
        device = re.sub(r"[^A-Za-z0-9.]+", "_", f"{gpu.name}-{gpu.driver}")
        self.path = stem.with_name(f"{stem.name}.{device}.runtime")
        self._caches: list[Any] = []

    def context(self, engine: Any) -> Any:
        """An execution context of an engine that begins with what is kept; None when the vendor has none."""
        make = getattr(engine, "create_runtime_config", None)
        config = make() if make else None
        if config is None or not hasattr(config, "create_runtime_cache"):
            return engine.create_execution_context()
        _specialize_at_once(config)
        cache = config.create_runtime_cache()
        try:
            cache.deserialize(self.path.read_bytes())
        except (OSError, RuntimeError, TypeError, ValueError):
            pass  # none yet, or not one: it is compiled again
        config.set_runtime_cache(cache)
        self._caches.append(cache)
        return engine.create_execution_context(config)

    def save(self) -> None:
        """Keep what has been compiled until now.

        Raises:
            OutputError: it cannot be written.
        """
        content = self._caches[-1].serialize() if self._caches else None
        if content is not None:
            write_atomically(self.path, bytes(content))


def _specialize_at_once(config: Any) -> None:
    """Kernels for the shapes before the first frame, not beside it: a CUDA graph would keep the slow ones."""
    now = getattr(config, "dynamic_shapes_kernel_specialization_strategy", None)
    eager = getattr(type(now), "EAGER", None)
    if eager is not None:
        config.dynamic_shapes_kernel_specialization_strategy = eager
