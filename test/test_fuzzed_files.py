"""Files with changed bytes through every door that reads files: what they hold, or one error in one line.

Each door has a process of its own, see fuzz_child.py, which must live, go on and stay small. RECON3D_FUZZ
files for each door, 40 unless it says more, from the seed RECON3D_FUZZ_SEED on; the seed of a file that fails
is in the message, and RECON3D_FUZZ=1 RECON3D_FUZZ_SEED=SEED repeats it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).with_name("fuzz_child.py")
FILES = int(os.environ.get("RECON3D_FUZZ", "40"))
FIRST = int(os.environ.get("RECON3D_FUZZ_SEED", "0"))
START_S = 90.0
FILE_S = 30.0  # for one file, on a busy machine
GROWTH_MB = 300.0  # for one file
# What a door needs beyond what the package needs; without it there is no such door.
LIBRARIES = {
    "weights.pt": "torch", "model.onnx": "onnx", "bag.mcap": "rosbags", "bag.db3": "rosbags",
    "metadata.yaml": "rosbags", "mesh.ply": "trimesh",
}  # fmt: skip
DOORS = (
    "recon3d_stereo.yaml", "cameras.yaml", "options.json", "camera.yaml", "kalibr.yaml", "opencv.yml",
    "calib.txt", "poses.txt", "poses.csv", "transforms.json", "images.bin", "image.png", "image.jpg",
    "progressive.jpg", "image.webp", "image.tiff", "image.bmp", "image.ppm", "depth.pfm", "cloud.ply",
    "mesh.ply", "golden.npz", "bag.mcap", "bag.db3", "metadata.yaml", "clip.avi", "clip.mp4", "weights.pt",
    "model.onnx",
)  # fmt: skip


def answers(name: str, first: int, count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """What the process of a door says of each seed; a last one without `ended` when it ends or hangs."""
    command = [sys.executable, str(CHILD), name, str(first), str(count), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        open(folder / "stderr", "wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment) as child,
    ):
        assert child.stdout is not None
        limit_s, seed, ready = START_S, first, False
        try:
            while True:
                if not select.select([child.stdout], [], [], limit_s)[0]:
                    yield {"seed": seed, "fault": f"it takes more than {limit_s:.0f} s"}
                    return
                line = child.stdout.readline()
                if not line:
                    break
                answer = json.loads(line)
                if "seed" in answer:
                    seed = answer["seed"] + 1
                    yield answer
                limit_s, ready = FILE_S, True
        finally:
            child.kill()
    assert ready, f"{name} cannot be tried: {(folder / 'stderr').read_text(errors='replace')[-1000:]}"
    if seed < first + count:
        said = (folder / "stderr").read_text(errors="replace")[-1000:]
        yield {"seed": seed, "fault": f"the process ended with {child.returncode}: {said}"}


def faults(name: str, folder: Path) -> list[str]:
    """Read all files of a door, in a new process behind each seed that ends one."""
    found: list[str] = []
    seed = FIRST
    while seed < FIRST + FILES and len(found) < 20:
        for answer in answers(name, seed, FIRST + FILES - seed, folder):
            fault, seed = answer.get("fault", ""), answer["seed"] + 1
            if answer.get("ended", "read") not in ("read", "one error"):
                fault = answer["ended"]
            elif answer.get("grew_mb", 0) > GROWTH_MB:
                fault = f"it took {answer['grew_mb']:.0f} MB"
            if fault:
                found.append(f"{name}, seed {answer['seed']}: {fault}")
    return found


@pytest.mark.timeout(300 + FILES)
@pytest.mark.parametrize("name", DOORS)
def test_a_changed_file_is_read_or_one_error(tmp_path, name):
    library = LIBRARIES.get(name)
    if library is not None and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    found = faults(name, tmp_path)
    assert not found, "\n".join(found)


def test_every_door_is_tried():
    spec = importlib.util.spec_from_file_location("fuzz_child", CHILD)
    assert spec is not None and spec.loader is not None
    child = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(child)
    assert sorted(child.DOORS) == sorted(DOORS)
