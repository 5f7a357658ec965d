"""The path of a stereo pair through the code, from callback to publisher, is that of docs/architecture.md."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.node.processing import FrameProcessor
from recon3d_ros.ros.node.worker import Worker

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "recon3d_ros"
MOST_STEPS = 20


class Tracer:
    """Notes the modules of the package in which something is called below a root function, in any thread."""

    def __init__(self, *roots: CodeType) -> None:
        self.files: set[str] = set()
        self._roots = roots
        self._local = threading.local()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if code in self._roots and event in ("call", "return"):
            self._local.depth = getattr(self._local, "depth", 0) + (1 if event == "call" else -1)
        if event == "call" and getattr(self._local, "depth", 0) > 0:
            path = Path(code.co_filename)
            if path.is_relative_to(PACKAGE):
                self.files.add(path.relative_to(PACKAGE).as_posix())


@pytest.fixture
def tracer():
    (on_image,) = (c for c in CameraChannel._on_image.__code__.co_consts if isinstance(c, CodeType))
    tracer = Tracer(on_image, FrameProcessor.handle.__code__)
    threading.setprofile(tracer)  # of the threads that start from now on
    yield tracer
    threading.setprofile(None)


def test_one_stereo_pair_passes_the_modules_that_the_page_names(tracer, make_bench, scene):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("## The path of a frame")[2].partition("\n## ")[0]
    steps = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \|", section, re.MULTILINE)
    named = set(re.findall(r"`([\w/]+\.py)`", section))
    assert 0 < len(steps) <= MOST_STEPS and all((PACKAGE / file).is_file() for file in named)
    bench = make_bench({"model": "recon3d_stereo_light", "max_depth_m": 100.0}, "/path")
    for output in ("points", "depth/image"):  # what is made once, such as buffers, is no part of the path
        bench.expect(output, scene.images(), scene.infos())
    tracer.files.clear()
    bench.expect("points", scene.images(), scene.infos())
    passed = {*tracer.files, Path(Worker.start.__code__.co_filename).relative_to(PACKAGE).as_posix()}
    assert set(steps) <= passed <= named
