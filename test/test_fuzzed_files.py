"""Files with changed bytes through their readers: what they hold, or one error of ours in one line.

RECON3D_FUZZ files for each reader, 40 unless it says more; the seed of a file that fails is in the message.
"""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.config.camera_list import read_camera_list
from recon3d_ros.errors import Recon3dError
from recon3d_ros.files import read_camera, read_depth, read_image, read_ply, write_pfm, write_ply
from recon3d_ros.files.arrays import read_npz
from recon3d_ros.geometry import PinholeCamera, UnorganizedCloud
from recon3d_ros.model_zoo.manifest_file import load_manifest

FILES = int(os.environ.get("RECON3D_FUZZ", "40"))
TOKENS = (b"\xff\xff\xff\xff", b"\x00" * 8, b"-1", b"9" * 30, b"[", b"{", b"*a", b"&a ", b": ", b"\n", b"nan")
MODELS = Path(__file__).resolve().parents[1] / "models"


def _encoded(suffix: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _written(write, value, path: Path) -> bytes:
    write(path, value)
    return path.read_bytes()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, image=np.zeros((4, 5, 3), np.uint8), expected=np.ones((2, 3), np.float32))
    return buffer.getvalue()


CAMERA = yaml.safe_dump(PinholeCamera.simple(64, 48, 50.0).to_dict()).encode()
LIST = b"one_process: false\nparameters: {max_depth_m: 9.0}\ncameras:\n  front: {min_depth_m: 0.5}\n  rear:\n"
CLOUD = UnorganizedCloud(np.ones((9, 3), np.float32), ("x", "y", "z"))
READERS = {
    "manifest.yaml": (lambda path: sorted(MODELS.glob("*.yaml"))[0].read_bytes(), load_manifest),
    "camera.yaml": (lambda path: CAMERA, read_camera),
    "cameras.yaml": (lambda path: LIST, read_camera_list),
    "image.png": (lambda path: _encoded(".png"), read_image),
    "image.jpg": (lambda path: _encoded(".jpg"), read_image),
    "depth.pfm": (lambda path: _written(write_pfm, np.ones((5, 7), np.float32), path), read_depth),
    "golden.npz": (lambda path: _npz(), lambda path: read_npz(path.read_bytes(), path, 1 << 24)),
    "cloud.ply": (
        lambda path: _written(write_ply, CLOUD, path),
        read_ply,
    ),
}


def changed(content: bytes, seed: int) -> bytes:
    """A few bytes are others, cut out, doubled, or a token that means something to a reader."""
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randint(1, 16))
        data[at:end] = rng.choice(
            [rng.choice(TOKENS), b"", data[at:end] * 2, bytes(rng.randrange(256) for _ in data[at:end])]
        )
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_read_or_one_error(tmp_path, name):
    make, read = READERS[name]
    path = tmp_path / name
    whole = make(path)
    for seed in range(FILES):
        path.write_bytes(changed(whole, seed))
        try:
            read(path)
        except Recon3dError as exc:
            assert "\n" not in str(exc), f"{name}, seed {seed}"
        except Exception as exc:
            pytest.fail(f"{name}, seed {seed}: {type(exc).__name__}: {exc}")
