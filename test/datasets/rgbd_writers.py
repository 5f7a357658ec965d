"""Writes samples as each layout has them, for the tests; depth in mm, as real recordings keep it."""

from __future__ import annotations

import cv2
import numpy as np

from recon3d_ros.datasets.bags.writer import BagWriter

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"


def in_mm(depth):
    """(H, W) uint16; NaN and what does not fit is 0."""
    return np.where(np.isfinite(depth) & (depth < 65.5), np.rint(depth * 1000), 0).astype(np.uint16)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def write_k(path, k, side=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.eye(side)
    whole[:3, :3] = k
    np.savetxt(path, whole, fmt="%.17g")


def write_rgbd(path, samples):
    for i, sample in enumerate(samples):
        write_png(path / "rgb" / f"{i}.png", sample.frame.image)
        write_png(path / "depth" / f"{i}.png", in_mm(sample.depth))
    write_k(path / "K.txt", samples[0].frame.camera.k)
    return path


def write_tum(path, samples):
    lists = {"rgb": ["# timestamp filename"], "depth": ["# timestamp filename"]}
    for i, sample in enumerate(samples):
        for kind, late_s in (("rgb", 0.0), ("depth", 0.013)):
            stamp = f"{1305031102.175304 + i / 30 + late_s:.6f}"
            plane = sample.frame.image if kind == "rgb" else in_mm(sample.depth) * 5
            write_png(path / kind / f"{stamp}.png", plane)
            lists[kind].append(f"{stamp} {kind}/{stamp}.png")
    for kind, lines in lists.items():
        (path / f"{kind}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (path / "groundtruth.txt").write_text("# timestamp tx ty tz qx qy qz qw\n", encoding="utf-8")
    write_k(path / "K.txt", samples[0].frame.camera.k)
    return path


def write_scannet(path, samples):
    for i, sample in enumerate(samples):
        write_png(path / "color" / f"{i}.png", sample.frame.image)
        write_png(path / "depth" / f"{i}.png", in_mm(sample.depth))
    for name in ("color", "depth"):
        write_k(path / "intrinsic" / f"intrinsic_{name}.txt", samples[0].frame.camera.k, side=4)
        write_k(path / "intrinsic" / f"extrinsic_{name}.txt", np.eye(3), side=4)
    return path


def write_seven_scenes(path, samples):
    for i, sample in enumerate(samples):
        write_png(path / f"frame-{i:06d}.color.png", sample.frame.image)
        write_png(path / f"frame-{i:06d}.depth.png", in_mm(sample.depth))
    write_k(path / "camera-intrinsics.txt", samples[0].frame.camera.k)
    return path


def write_nyuv2(path, samples):
    """Only for samples of 640x480, as NYUv2's own."""
    folder = path / "nyuv2" / "train"
    for i, sample in enumerate(samples, 1):
        write_png(folder / "rgb" / f"{i:04d}.png", sample.frame.image)
        write_png(folder / "depth" / f"{i:04d}.png", in_mm(sample.depth))
    return folder


def image_message(writer, pixels, encoding, stamp_ns, frame_id):
    """A sensor_msgs/Image of any pixels."""
    made = writer.depth(np.zeros(pixels.shape[:2], np.float32), stamp_ns, frame_id)
    made.encoding, made.step = encoding, pixels[0].nbytes
    made.data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
    return made


def write_bag(path, samples, camera=None, name="image_raw", info="/front/color/camera_info"):
    image, depth = f"/front/color/{name}", "/front/aligned_depth_to_color/image_raw"
    writer = BagWriter(path, {image: IMAGE, depth: IMAGE, info: INFO})
    for i, sample in enumerate(samples):
        stamp_ns, frame_id = 1_700_000_000_000_000_000 + i * 100_000_000, "front_color_optical_frame"
        depth_ns = stamp_ns + 7_000_000
        logged_ns = stamp_ns + 30_000_000  # all at once, as a recorder behind its time does
        writer.write(
            depth, logged_ns, image_message(writer, in_mm(sample.depth), "16UC1", depth_ns, frame_id)
        )
        pixels = np.ascontiguousarray(sample.frame.image[..., ::-1])
        writer.write(image, logged_ns, image_message(writer, pixels, "bgr8", stamp_ns, frame_id))
        writer.write(info, logged_ns, writer.camera_info(camera or sample.frame.camera, stamp_ns, frame_id))
    writer.close()
    return path


# name of the layout -> how to write it below a folder
WRITERS = {
    "bag": lambda folder, samples: write_bag(folder / "run.mcap", samples),
    "tum": lambda folder, samples: write_tum(folder / "rgbd_dataset_own_desk", samples),
    "scannet": lambda folder, samples: write_scannet(folder / "scene0000_00", samples),
    "seven_scenes": lambda folder, samples: write_seven_scenes(folder / "chess" / "seq-01", samples),
    "nyuv2": write_nyuv2,
    "rgbd": lambda folder, samples: write_rgbd(folder / "own", samples),
}
