"""What `recon3d doctor` can say of a camera or pair: synchronisation, calibration, frames, the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import StereoRig
from recon3d_ros.messages.camera_info import Calibration, info_to_camera
from recon3d_ros.ros.bridge.conversions import msg_to_image
from recon3d_ros.ros.doctor.stream import Stream
from recon3d_ros.ros.doctor.symptoms import Symptom, error, warn
from recon3d_ros.ros.doctor.watch import CameraStreams, TfTree
from recon3d_ros.ros.health.image_checks import Finding, check_image, check_pair

_PAIRED_SHARE = 0.9
# With these the depth is wrong, not only poor.
_WRONG_DEPTH = ("swapped", "identical")

Decoded = tuple[np.ndarray, ...]


def of_pair(left: Stream, right: Stream, tolerance_ms: float) -> Iterator[Symptom]:
    """Stamps of left and right that do not meet."""
    if not left.count or not right.count:
        return
    ours, theirs = np.array(left.stamps_ns), np.sort(np.array(right.stamps_ns))
    # What was sent before the other side was heard, or after it, has no partner and no meaning.
    reach_ns = 0 if np.isnan(right.period_ns) else right.period_ns / 2
    inside = (ours >= theirs[0] - reach_ns) & (ours <= theirs[-1] + reach_ns)
    ours = ours[inside] if inside.any() else ours
    gaps_ns = _gaps_ns(ours, theirs)
    steps_ns = np.diff(np.unique(theirs))
    if inside.any() and len(steps_ns):
        # No more than half a period lies between complete streams: farther off, the partner was lost.
        kept = gaps_ns <= 0.75 * np.quantile(steps_ns, 0.1)
        gaps_ns = gaps_ns[kept] if kept.any() else gaps_ns
    paired = float(np.mean(gaps_ns <= tolerance_ms * 1e6))
    if paired >= _PAIRED_SHARE:
        return
    gap_ms = float(np.median(gaps_ns[gaps_ns > tolerance_ms * 1e6])) / 1e6
    period_ms = left.period_ns / 1e6
    if gap_ms < 0.4 * period_ms:
        remedy = (
            f"trigger the cameras together, or set sync_tolerance_ms to {np.ceil(gap_ms * 1.5 + 0.5):.0f}"
        )
    else:
        remedy = "trigger the cameras together, and synchronise their clocks if each stamps by its own"
    yield error(
        "unsynchronised",
        left.topic,
        f"expected stamps within {tolerance_ms:g} ms of those on {right.topic}, got them {gap_ms:.3g} "
        f"ms off ({1 - paired:.0%} of the images have no partner); {remedy}",
    )


def _gaps_ns(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """From each stamp to the nearest of the others, which are sorted."""
    after = np.clip(np.searchsorted(theirs, ours), 0, len(theirs) - 1)
    gaps: np.ndarray = np.minimum(
        np.abs(theirs[after] - ours), np.abs(theirs[np.maximum(after - 1, 0)] - ours)
    )
    return gaps


def decode(
    snapshots: Sequence[tuple[Any, ...]], cameras: Sequence[CameraStreams]
) -> tuple[list[Decoded], list[Symptom]]:
    """The pixels of the snapshots that can be decoded, and what keeps the others from it."""
    decoded, failures = [], {}
    for msgs in snapshots:
        images = []
        for msg, camera in zip(msgs, cameras):
            if msg is None:
                break
            try:
                images.append(msg_to_image(msg))
            except ImageError as exc:
                failures[camera.image.topic] = str(exc)
                break
        if len(images) == len(cameras):
            decoded.append(tuple(images))
    return decoded, [error("image", topic, text) for topic, text in failures.items()]


def calibration_of(
    cameras: Sequence[CameraStreams], images: Decoded | None, rectify: bool
) -> tuple[Calibration | None, list[Symptom]]:
    """What camera_info is good for, or why it is good for nothing; the sentences are the node's."""
    infos = [camera.newest_info for camera in cameras]
    symptoms, models = [], []
    for i, (camera, info) in enumerate(zip(cameras, infos)):
        if info is None:
            continue  # said already: missing, silent
        try:
            model = info_to_camera(info, rectified=not rectify)
        except CalibrationError as exc:
            symptoms.append(error("uncalibrated", camera.info.topic, str(exc)))
            continue
        models.append(model)
        if images is not None:
            try:
                model.check_image(images[i])
            except CalibrationError as exc:
                symptoms.append(error("size", camera.info.topic, str(exc)))
    if len(models) == 2:
        try:
            StereoRig(*models)
        except CalibrationError as exc:
            symptoms.append(error("baseline", cameras[1].info.topic, str(exc)))
    if symptoms or None in infos:
        return None, symptoms
    return Calibration(tuple(info for info in infos if info is not None), rectify), []


def of_frames(camera: CameraStreams, tf: TfTree) -> Iterator[Symptom]:
    """A frame that is missing, changes, or does not look like an optical one (REP 103: z forward, y down)."""
    topic, frames = camera.image.topic, camera.image.frame_ids
    if not frames:
        return
    if "" in frames:
        words = "expected an optical frame in header.frame_id, got none; set frame_id in the camera driver"
        yield warn("frame_id", topic, words)
        return
    if len(frames) > 1:
        words = f"expected one frame_id, got {', '.join(frames)}; are two cameras mixed on one topic?"
        yield warn("frame_id", topic, words)
    frame = frames[0]
    info = camera.newest_info
    if info is not None and info.header.frame_id != frame:
        words = (
            f"expected the frame_id of the image, {frame}, got {info.header.frame_id!r}; correct the driver"
        )
        yield warn("frame_id", camera.info.topic, words)
    root, rotation = tf.place(frame)
    if root and "optical" not in root and rotation[2, 2] > 0.7:
        yield warn(
            "frame_id",
            topic,
            f"expected an optical frame (z forward, y down), but z of {frame} points up in tf, as in a body "
            "frame; set frame_id to the camera's optical frame, or clouds stand upright",
        )
    elif tf and frame not in tf.frames:
        yield warn(
            "tf",
            topic,
            f"expected {frame} in tf, found no parent of it; publish its transform (robot_state_publisher, "
            "or static_transform_publisher), or nobody can place the cloud",
        )
    elif not root and "optical" not in frame:
        yield warn(
            "frame_id",
            topic,
            f"expected an optical frame (z forward, y down; by custom its name ends with _optical_frame), "
            f"got {frame}; make sure that it is one, or clouds stand upright",
        )


def of_images(
    decoded: Sequence[Decoded], cameras: Sequence[CameraStreams], calibration: Calibration | None
) -> Iterator[Symptom]:
    """What most of the pictures show: dark, blurred, covered, swapped, askew."""
    topics = [camera.image.topic for camera in cameras]
    alone: list[Symptom] = []
    for i, topic in enumerate(topics):
        alone += _most(decoded, topic, lambda images, i=i: check_image(images[i]))  # type: ignore[misc]
    yield from alone
    if len(cameras) == 2 and not alone:  # an image that is poor by itself says nothing of the pair
        yield from _most(decoded, topics[0], lambda images: _check_pair(images, calibration))


def _check_pair(images: Decoded, calibration: Calibration | None) -> list[Finding]:
    if calibration is None:
        return check_pair(images[0], images[1])
    frame = calibration.frame(0, images[0], images[1])
    if frame.right is None or frame.rig is None:
        return []
    return check_pair(frame.image, frame.right, frame.rig.doffs_px)


def _most(
    decoded: Sequence[Decoded], topic: str, check: Callable[[Decoded], list[Finding]]
) -> Iterator[Symptom]:
    found = [{finding.kind: finding for finding in check(images)} for images in decoded]
    for kind, count in Counter(kind for findings in found for kind in findings).items():
        if 2 * count > len(decoded):
            finding = next(findings[kind] for findings in reversed(found) if kind in findings)
            message = finding.message.removeprefix("image: ")
            yield (error if kind in _WRONG_DEPTH else warn)(kind, topic, message)
