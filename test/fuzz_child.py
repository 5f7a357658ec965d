"""A process that reads changed files through one door, and says after each what came of it.

A fault of a library in C (a crash, an endless loop, gigabytes) ends or stops this process, not the tests:
who started it sees at which seed. A line of JSON per seed on stdout; the first one says that it is ready.

    python test/fuzz_child.py DOOR FIRST COUNT FOLDER
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from recon3d_ros.errors import Recon3dError

MODELS = Path(__file__).resolve().parents[1] / "models"
WORD = 4  # bytes; the numbers of CDR are aligned
TOKENS = (
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80" * 9 + b"\x01", b"\x00" * 8, b"\x01",
    b"-1", b"9" * 30, b"1e999999999", b"nan", b"-inf", b"[", b"{", b"]", b"}", b"*a", b"&a ", b": ", b"\n",
    b"\"", b"../", b"\xc3\x28", b"\x1b[2J", b"null", b"!!binary ", b"0x7fffffffffffffff",
)  # fmt: skip


def changed(content: bytes, seed: int) -> bytes:
    """A few bytes are others, cut out, doubled, or a token that means something to a reader."""
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 1, 2, 4, 8, rng.randint(1, 64)]))
        data[at:end] = rng.choice(
            [
                rng.choice(TOKENS),
                b"",
                data[at:end] * 2,
                bytes(rng.randrange(256) for _ in data[at:end]),
                bytes(byte ^ 1 << rng.randrange(8) for byte in data[at:end]),
                bytes(rng.choice((0, 255)) for _ in data[at:end]),
            ]
        )
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


def changed_message(encoded: bytes, seed: int) -> bytes:
    """Some numbers, such as lengths, are others; or any bytes, so that all behind them is shifted."""
    rng = random.Random(seed)
    if seed % 2:
        return encoded[:4] + changed(encoded[4:], seed)  # CDR begins with its byte order
    data = bytearray(encoded)
    for _ in range(rng.randint(1, 3)):
        at = WORD * rng.randrange(min(len(data), 400) // WORD)
        value = rng.choice((0, 1, 2, 0x7F, 0xFF, 2**16, 2**31 - 1, 2**31, 2**32 - 1, rng.getrandbits(32)))
        data[at : at + WORD] = value.to_bytes(WORD, "little")
    return bytes(data)


# --- files -----------------------------------------------------------------------------------------------


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)


def _encoded(suffix: str, *flags: int) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        import cv2

        return bytes(cv2.imencode(suffix, _pixels(), flags)[1])

    return make


def _pfm(path: Path) -> bytes:
    from recon3d_ros.files import write_pfm

    write_pfm(path, np.ones((5, 7), np.float32))
    return path.read_bytes()


def _ply(path: Path) -> bytes:
    from recon3d_ros.files import write_ply
    from recon3d_ros.geometry import UnorganizedCloud

    write_ply(path, UnorganizedCloud(np.ones((9, 3), np.float32), ("x", "y", "z")))
    return path.read_bytes()


def _npz(path: Path) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, image=np.zeros((4, 5, 3), np.uint8), expected=np.ones((2, 3), np.float32))
    return buffer.getvalue()


def _camera(path: Path) -> bytes:
    from recon3d_ros.geometry import PinholeCamera

    return yaml.safe_dump(PinholeCamera.simple(64, 48, 50.0).to_dict()).encode()


KALIBR = """
cam0: {camera_model: pinhole, intrinsics: [50.0, 51.0, 31.0, 23.0], distortion_model: radtan,
  distortion_coeffs: [0.1, 0.01, 0.0, 0.0], resolution: [64, 48]}
cam1: {camera_model: pinhole, intrinsics: [50.0, 51.0, 31.0, 23.0], distortion_model: radtan,
  distortion_coeffs: [0.1, 0.01, 0.0, 0.0], resolution: [64, 48],
  T_cn_cnm1: [[1.0, 0.0, 0.0, -0.1], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}
"""
OPENCV = """%YAML:1.0
---
image_width: 64
image_height: 48
K: !!opencv-matrix {rows: 3, cols: 3, dt: d, data: [50., 0., 31., 0., 51., 23., 0., 0., 1.]}
D: !!opencv-matrix {rows: 1, cols: 5, dt: d, data: [0.1, 0., 0., 0., 0.]}
"""
KITTI = "".join(
    f"S_0{i}: 6.5e+01 4.9e+01\nK_0{i}: 50 0 31 0 50 23 0 0 1\nD_0{i}: 0 0 0 0 0\n"
    f"S_rect_0{i}: 6.4e+01 4.8e+01\n"
    f"R_rect_0{i}: 1 0 0 0 1 0 0 0 1\nP_rect_0{i}: 50 0 31 {-5 * i} 0 50 23 0 0 0 1 0\n"
    for i in range(4)
)
TRANSFORMS = """{"fl_x": 50.0, "frames": [
 {"file_path": "images/0001.png", "transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]},
 {"file_path": "images/0002.png", "transform_matrix": [[1,0,0,1],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]}
"""
EUROC = "#timestamp,x,y,z,qw,qx,qy,qz\n" + "".join(f"14036365{i}0000000000,{i},0,0,1,0,0,0\n" for i in (3, 4))
INFO = """{"version": 1, "steps": [1, 2, 3], "name": "x", "sizes": [[640, 480]], "nested": {"a": null}}"""


def _colmap(path: Path) -> bytes:
    one = struct.pack("<I7dI", 1, 1, 0, 0, 0, 0, 0, 0, 1) + b"a.png\0" + struct.pack("<Q2dq", 1, 0.5, 0.5, 7)
    return struct.pack("<Q", 2) + one + one.replace(b"a.png", b"b.png")


def _metadata(path: Path) -> bytes:
    """Of a folder that rosbag2 wrote, beside its file."""
    from recon3d_ros.datasets.bags.writer import BagWriter

    folder = path.parent / "bag"
    if not folder.exists():
        _record(BagWriter(folder, TOPICS))
    for file in folder.iterdir():
        (path.parent / file.name).write_bytes(file.read_bytes())
    return (folder / path.name).read_bytes()


def _bag(path: Path) -> bytes:
    from recon3d_ros.datasets.bags.writer import BagWriter

    path.unlink(missing_ok=True)
    _record(BagWriter(path, TOPICS))
    return path.read_bytes()


SIDES = ("left", "right")
KINDS = {"image_rect": "sensor_msgs/msg/Image", "camera_info": "sensor_msgs/msg/CameraInfo"}
TOPICS = {f"/{side}/{name}": kind for side in SIDES for name, kind in KINDS.items()}


def _record(bag: Any) -> None:
    from recon3d_ros.geometry import StereoRig

    rig = StereoRig.simple(64, 48, 50.0, 0.1)
    types = bag._store.types
    for i in range(3):
        stamp_ns = 1_700_000_000_000_000_000 + i * 100_000_000
        for side, camera in zip(SIDES, (rig.left, rig.right)):
            bag.write(f"/{side}/camera_info", stamp_ns, bag.camera_info(camera, stamp_ns, "optical"))
            rows = np.random.default_rng(i).integers(0, 256, 48 * 64 * 3, np.uint8)
            image = types[KINDS["image_rect"]](bag._header(stamp_ns, "optical"), 48, 64, "rgb8", 0, 192, rows)
            bag.write(f"/{side}/image_rect", stamp_ns, image)
    bag.close()


def _video(code: str) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        import cv2

        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 20.0, (64, 48))
        for i in range(8):
            writer.write(np.roll(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), i, 1))
        writer.release()
        return path.read_bytes()

    return make


def _checkpoint(path: Path) -> bytes:
    from recon3d_ros.networks import build_network, network_config
    from recon3d_ros.training.run.checkpoint import save_checkpoint

    small = {"bins": 12, "step_px": 4, "stem": 8, "features": (8, 8, 8), "matching": 8, "guidance": 4}
    small |= {"hourglass": (8, 8, 8), "blocks": (1, 0, 0), "window": 2, "uncertainty": 4}
    network = build_network("stereo", small)
    content = {"network": "stereo", "config": network_config(network), "average": network.state_dict()}
    content |= {"step": 3, "samples": 6, "seconds": 1.5, "history": [{"step": 3, "epe_px": 3.0}], "run": {}}
    save_checkpoint(path, content)
    return path.read_bytes()


def _onnx(path: Path) -> bytes:
    """A network with what exports have: sizes computed of sizes, resizing, a loop, a branch."""
    from onnx import TensorProto, helper, numpy_helper

    kind, sides = TensorProto.FLOAT, [1, 3, "height", "width"]
    value = helper.make_tensor_value_info
    tensors = {
        "weights": np.full((4, 3, 3, 3), 0.1, np.float32), "bias": np.ones(4, np.float32),
        "last": np.full((1, 4, 1, 1), 0.2, np.float32), "scales": np.float32([1, 1, 2, 2]),
        "two": np.int64([2]), "four": np.int64([4]), "turns": np.int64(3), "yes": np.array(True),
        "one": np.float32(1),
    }  # fmt: skip
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["sum", "one"], ["more"])],
        "body",
        [value("turn", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("sum", kind, None)],
        [value("go_on", TensorProto.BOOL, []), value("more", kind, None)],
    )
    nodes = [
        helper.make_node("Conv", ["image", "weights", "bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Resize", ["b", "", "scales"], ["c"], mode="linear"),
        helper.make_node("Conv", ["c", "last"], ["d"]),
        helper.make_node("Shape", ["image"], ["size"]),
        helper.make_node("Slice", ["size", "two", "four"], ["hw"]),
        helper.make_node("Concat", ["one_one", "hw"], ["shape"], axis=0),
        helper.make_node("Reshape", ["d", "shape"], ["e"]),
        helper.make_node("Loop", ["turns", "yes", "e"], ["depth"], body=body),
    ]
    tensors["one_one"] = np.int64([1, 1])
    graph = helper.make_graph(
        nodes, "fuzz", [value("image", kind, sides)], [value("depth", kind, [1, 1, *sides[2:]])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


# --- what makes a changed file look whole again: else a checksum ends the search at once -------------------


def _with_sums_png(data: bytes) -> bytes:
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out


def _changed_members(data: bytes, seed: int) -> bytes:
    """One file of a zip is changed, with a right checksum."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as whole, zipfile.ZipFile(out, "w") as other:
        names = whole.namelist()
        chosen = random.Random(seed).choice([name for name in names if "/data/" not in name] or names)
        for name in names:
            content = whole.read(name)
            other.writestr(name, changed(content, seed) if name == chosen else content)
    return out.getvalue()


def changed_file(door: Door, whole: bytes, seed: int) -> bytes:
    """The file of a seed; every other one keeps its checksums."""
    if seed % 2 and door.kind == "zip":
        return _changed_members(whole, seed)
    data = changed(whole, seed)
    return _with_sums_png(data) if seed % 2 and door.kind == "png" else data


# --- doors -----------------------------------------------------------------------------------------------


def _read(name: str, *words: Any) -> Callable[[Path], Any]:
    """A function of the package, called with the path."""

    def read(path: Path) -> Any:
        from recon3d_ros.system.lazy import load

        return load(name)(path, *words)

    return read


def _read_npz(path: Path) -> Any:
    from recon3d_ros.files.arrays import read_npz

    return read_npz(path.read_bytes(), path, 1 << 24)


def _command(*words: str) -> Callable[[Path], Any]:
    """The command line; `{}` is the path. An error of ours is raised again."""

    def read(path: Path) -> Any:
        import contextlib

        from recon3d_ros.cli.main import main

        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(
                [word.replace("{}", str(path)).replace("{folder}", str(path.parent)) for word in words]
            )
        if code:
            raise Recon3dError(said.getvalue().strip().splitlines()[-1])

    return read


def _play(path: Path) -> Any:
    from recon3d_ros.datasets import VideoImages

    images = VideoImages(path)
    try:
        return sum(1 for _, image in zip(range(500), images) if image.left.any())
    finally:
        images.close()


def _look_into(path: Path) -> Any:
    from recon3d_ros.backends.inspection import OnnxFile
    from recon3d_ros.model_zoo.onnx_file import external_files

    external_files(path)
    return OnnxFile(path, seconds=5.0)


class Door(NamedTuple):
    """How a whole file is made, how it is read, and whether it has checksums inside."""

    make: Callable[[Path], bytes]
    read: Callable[[Path], Any]
    kind: str = ""


IMAGE = _read("recon3d_ros.files.images:read_photograph")
POSES = _read("recon3d_ros.mapping.trajectory_files:read_trajectory")
CAMERA = _read("recon3d_ros.files:read_camera")
PROCESS = _command("process", "{}", "--model=fake_stereo", "--out-json={}.json")
PROCESS_FOLDER = _command("process", "{folder}", "--model=fake_stereo", "--out-json={}.json")
TUM = b"# stamp x y z qx qy qz qw\n1.0 0 0 0 0 0 0 1\n1.1 0.1 0 0 0 0 0 1\n1.2 0.2 0 0 0 0 0 1\n"
LIST = b"one_process: false\nparameters: {max_depth_m: 9.0}\ncameras:\n  front: {min_depth_m: 0.5}\n  rear:\n"
DOORS = {
    "recon3d_stereo.yaml": Door(
        lambda path: (MODELS / "recon3d_stereo.yaml").read_bytes(),
        _read("recon3d_ros.model_zoo.manifest_file:load_manifest"),
    ),
    "camera.yaml": Door(_camera, CAMERA),
    "kalibr.yaml": Door(lambda path: KALIBR.encode(), CAMERA),
    "opencv.yml": Door(lambda path: OPENCV.encode(), CAMERA),
    "calib.txt": Door(lambda path: KITTI.encode(), _read("recon3d_ros.files:read_camera")),
    "transforms.json": Door(lambda path: TRANSFORMS.encode(), POSES),
    "images.bin": Door(_colmap, POSES),
    "poses.csv": Door(lambda path: EUROC.encode(), POSES),
    "options.json": Door(lambda path: INFO.encode(), _read("recon3d_ros.files.disk:read_json", 1 << 20)),
    "metadata.yaml": Door(_metadata, PROCESS_FOLDER),
    "cameras.yaml": Door(lambda path: LIST, _read("recon3d_ros.config.camera_list:read_camera_list")),
    "poses.txt": Door(lambda path: TUM, POSES),
    "image.png": Door(_encoded(".png"), IMAGE, "png"),
    "image.jpg": Door(_encoded(".jpg"), IMAGE),
    "progressive.jpg": Door(_encoded(".jpg", 2, 1, 4, 2), IMAGE),
    "image.webp": Door(_encoded(".webp"), IMAGE),
    "image.tiff": Door(_encoded(".tiff"), IMAGE),
    "image.bmp": Door(_encoded(".bmp"), IMAGE),
    "image.ppm": Door(_encoded(".ppm"), IMAGE),
    "depth.pfm": Door(_pfm, _read("recon3d_ros.files:read_depth")),
    "cloud.ply": Door(_ply, _read("recon3d_ros.files:read_ply")),
    "mesh.ply": Door(_ply, _read("recon3d_ros.mapping.mesh_files:read_mesh")),
    "golden.npz": Door(_npz, _read_npz, "zip"),
    "bag.mcap": Door(_bag, PROCESS),
    "bag.db3": Door(_bag, PROCESS),
    "clip.avi": Door(_video("MJPG"), _play),
    "clip.mp4": Door(_video("mp4v"), _play),
    "weights.pt": Door(_checkpoint, _read("recon3d_ros.training.run.checkpoint:load_network"), "zip"),
    "model.onnx": Door(_onnx, _look_into),
}


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _say(**words: Any) -> None:
    os.write(SAID, json.dumps(words).encode() + b"\n")


def main(name: str, first: int, count: int, folder: Path) -> None:
    """Read the files of some seeds."""
    door, path = DOORS[name], folder / name
    whole = door.make(path)
    path.write_bytes(whole)
    door.read(path)  # as it was written
    _say(ready=True)
    for seed in range(first, first + count):
        path.write_bytes(changed_file(door, whole, seed))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before_mb, ended = _peak_mb(), "read"
        try:
            door.read(path)
        except Recon3dError as exc:
            ended = "one error" if "\n" not in str(exc) else f"an error of several lines: {exc}"
        except BaseException as exc:
            ended = f"{type(exc).__name__}: {exc}"
        _say(seed=seed, ended=ended, grew_mb=_peak_mb() - before_mb)


if __name__ == "__main__":
    SAID = os.dup(1)
    os.dup2(2, 1)  # what libraries print is none of ours
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
