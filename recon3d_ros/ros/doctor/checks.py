"""The checks of `recon3d doctor`: publishers, QoS, stamps, synchronisation, calibration, image quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.files.bit_depth import BitDepth
from recon3d_ros.geometry import StereoRig
from recon3d_ros.geometry.image_checks import ImageFault, check_frame, check_image, check_pair
from recon3d_ros.geometry.plausibility import calibration_doubts
from recon3d_ros.messages.camera_info import Calibration, info_to_camera
from recon3d_ros.ros.bridge.conversions import msg_to_image
from recon3d_ros.ros.doctor.finding import Finding, error, warn
from recon3d_ros.ros.doctor.topic_monitor import CameraMonitor, TopicMonitor
from recon3d_ros.ros.doctor.topic_suggestions import suggest
from recon3d_ros.ros.health.qos_watch import endpoint_name

LOST_SHARE = 0.05
# Stamps farther from this computer's time than that belong to a bag, or to a clock that is off.
MAX_AGE_MS, MAX_AHEAD_MS = 1000.0, 50.0
_PAIRED_SHARE = 0.9
# With these the depth is wrong, not only poor.
_WRONG_DEPTH = ("swapped", "identical")

Decoded = tuple[np.ndarray, ...]


def check_publishers(node: Node, monitor: TopicMonitor, is_image: bool) -> Iterator[Finding]:
    """Nobody, somebody else or too many publish; they are silent, or a reader does not match them."""
    topic, publishers = monitor.topic, monitor.publishers
    fitting = [p for p in publishers if p.topic_type == monitor.type_name]
    for other in publishers:
        if other not in fitting:
            yield error(
                "wrong_type",
                topic,
                f"expected {monitor.type_name}, got {other.topic_type} from {endpoint_name(other)}; name "
                "another topic, or set image_transport (compressed for CompressedImage)",
            )
    if not publishers:
        yield error(
            "missing",
            topic,
            f"expected a publisher of {monitor.type_name}, found none; "
            f"{suggest(node, topic, monitor.type_name)}",
        )
    elif fitting and not monitor.count:
        names = _names(fitting)
        yield error(
            "silent",
            topic,
            f"expected messages from {names}, got none; start its stream (a lazy driver may wait for a "
            f"subscriber of {'camera_info' if is_image else 'the image'} too), and see the messages about "
            "Fast DDS",
        )
    if len(fitting) > 1:
        yield warn(
            "several_publishers",
            topic,
            f"expected one publisher, got {len(fitting)} ({_names(fitting)}), whose messages are mixed; "
            "stop or remap all but one",
        )
    yield from check_qos(topic, publishers, monitor.subscribers)


def check_qos(
    topic: str, publishers: Sequence[TopicEndpointInfo], subscribers: Sequence[TopicEndpointInfo]
) -> Iterator[Finding]:
    """Readers that the publishers of the topic do not match."""
    for publisher in publishers:
        for subscriber in subscribers:
            fit, reason = qos_check_compatible(publisher.qos_profile, subscriber.qos_profile)
            if publisher.topic_type != subscriber.topic_type or fit != QoSCompatibility.ERROR:
                continue
            why = reason.removeprefix("ERROR: ").rstrip("; ").lower()
            yield error(
                "qos",
                topic,
                f"expected {endpoint_name(subscriber)} to receive from {endpoint_name(publisher)}, but "
                f"their QoS does not match ({why}); use the same for both, for the depth node with "
                f"qos_overrides.{topic}.subscription.reliability (or .durability; .publisher. for outputs)",
            )


def check_latched(live: TopicMonitor, latched: TopicMonitor) -> Iterator[Finding]:
    """camera_info that was sent once and is kept for late subscribers, which the node's default is not."""
    if live.count or not latched.count:
        return
    if any(_requests_past(reader) for reader in live.subscribers):
        return
    yield error(
        "latched",
        live.topic,
        "expected camera_info with every image, got it once (transient local); set the node's "
        f"qos_overrides.{live.topic}.subscription.durability to transient_local",
    )


def _requests_past(reader: TopicEndpointInfo) -> bool:
    """Whether a reader asks for what was sent before it came."""
    return reader.qos_profile.durability.name == "TRANSIENT_LOCAL"


def check_stamps(monitor: TopicMonitor, simulated: bool) -> Iterator[Finding]:
    """Stamps that are missing, go back, leave gaps or belong to another time."""
    if not monitor.count:
        return
    if not any(monitor.stamps_ns):
        yield warn(
            "stamps",
            monitor.topic,
            "expected the time of acquisition in header.stamp, got 0; the driver must fill it, for tf and "
            "synchronization",
        )
        return
    back_ns = monitor.steps_ns.min(initial=0)
    if back_ns < 0:
        yield warn(
            "clock_jump",
            monitor.topic,
            f"expected stamps that grow, got a step back of {-back_ns / 1e6:.0f} ms; does a bag start "
            "over, was a clock set, or are there two publishers? (the node continues after a jump)",
        )
    yield from _check_gaps(monitor)
    age_ms = float(np.median(monitor.ages_ms))
    if not simulated and not -MAX_AHEAD_MS <= age_ms <= MAX_AGE_MS:
        way = "old" if age_ms > 0 else "ahead"
        yield warn(
            "clock",
            monitor.topic,
            f"expected stamps of this computer's clock, got them {abs(age_ms) / 1e3:.3g} s {way}; "
            "synchronize the clocks (chrony, PTP), or play a bag with --clock and use_sim_time:=true",
        )


def _check_gaps(monitor: TopicMonitor) -> Iterator[Finding]:
    forward = monitor.steps_ns[monitor.steps_ns > 0]
    if len(forward) < 5:
        return
    period_ns = float(np.percentile(forward, 20))  # not the median: of every second image lost it is double
    missing = float(np.sum(np.rint(forward / period_ns) - 1))
    share = missing / (missing + len(forward) + 1)
    if share > LOST_SHARE:
        yield warn(
            "gaps",
            monitor.topic,
            f"expected an image every {period_ns / 1e6:.0f} ms, got gaps where {share:.0%} of them "
            "are missing; give the publisher the Fast DDS profile (docs/diagnostics.md), or lower its "
            "rate or size",
        )


def _names(endpoints: Sequence[TopicEndpointInfo]) -> str:
    return ", ".join(dict.fromkeys(endpoint_name(endpoint) for endpoint in endpoints))


def check_synchronisation(left: TopicMonitor, right: TopicMonitor, tolerance_ms: float) -> Iterator[Finding]:
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
        remedy = "trigger the cameras together, and synchronize their clocks if each has its own"
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
    snapshots: Sequence[tuple[Any, ...]], cameras: Sequence[CameraMonitor]
) -> tuple[list[Decoded], list[Finding]]:
    """The pixels of the snapshots that can be decoded, and what keeps the others from it."""
    decoded, failures = [], {}
    to_8_bits = BitDepth(cameras[0].image.topic).to_8_bits
    for msgs in snapshots:
        images = []
        for msg, camera in zip(msgs, cameras):
            if msg is None:
                break
            try:
                images.append(msg_to_image(msg, to_8_bits))
            except ImageError as exc:
                failures[camera.image.topic] = str(exc)
                break
        if len(images) == len(cameras):
            decoded.append(tuple(images))
    return decoded, [error("image", topic, text) for topic, text in failures.items()]


def check_calibration(
    cameras: Sequence[CameraMonitor], images: Decoded | None, rectify: bool
) -> tuple[Calibration | None, list[Finding]]:
    """What camera_info is good for, or why it is good for nothing; the sentences are the node's."""
    infos = [camera.newest_info for camera in cameras]
    findings, models = [], []
    for i, (camera, info) in enumerate(zip(cameras, infos)):
        if info is None:
            continue  # said already: missing, silent
        try:
            model = info_to_camera(info, rectified=not rectify, lone=len(cameras) == 1)
        except CalibrationError as exc:
            findings.append(error("uncalibrated", camera.info.topic, str(exc)))
            continue
        models.append(model)
        if images is not None:
            try:
                model.check_image(images[i])
            except CalibrationError as exc:
                findings.append(error("size", camera.info.topic, str(exc)))
    rig: StereoRig | None = None
    if len(models) == 2:
        try:
            rig = StereoRig(*models)
        except CalibrationError as exc:
            findings.append(error("baseline", cameras[1].info.topic, str(exc)))
    if findings or None in infos:
        return None, findings
    try:
        calibration = Calibration(tuple(info for info in infos if info is not None), rectify)
    except CalibrationError as exc:  # of both together, such as a vertical pair
        return None, [error("baseline", cameras[-1].info.topic, str(exc))]
    remedy = "correct the calibration, or set trust_calibration if it is right"
    # What the cameras saw is computed for images that have their size alone.
    doubts = calibration_doubts(rig or models[0]) if images is None else calibration.doubts
    topic = cameras[-1].info.topic
    return calibration, [warn("unlikely_calibration", topic, f"{doubt}; {remedy}") for doubt in doubts]


def check_image_quality(
    decoded: Sequence[Decoded], cameras: Sequence[CameraMonitor], calibration: Calibration | None
) -> Iterator[Finding]:
    """What most of the images show: dark, blurred, covered, swapped, askew."""
    topics = [camera.image.topic for camera in cameras]
    alone: list[Finding] = []
    for i, topic in enumerate(topics):
        alone += _most(decoded, topic, lambda images, i=i: check_image(images[i]))  # type: ignore[misc]
    yield from alone
    if len(cameras) == 2 and not alone:  # an image that is poor by itself says nothing of the pair
        yield from _most(decoded, topics[0], lambda images: _check_pair(images, calibration))


def _check_pair(images: Decoded, calibration: Calibration | None) -> list[ImageFault]:
    if calibration is None:
        return check_pair(images[0], images[1])
    return check_frame(calibration.frame(0, images[0], images[1]))


def _most(
    decoded: Sequence[Decoded], topic: str, check: Callable[[Decoded], list[ImageFault]]
) -> Iterator[Finding]:
    found = [{fault.kind: fault for fault in check(images)} for images in decoded]
    for kind, count in Counter(kind for faults in found for kind in faults).items():
        if 2 * count > len(decoded):
            fault = next(faults[kind] for faults in reversed(found) if kind in faults)
            message = fault.message.removeprefix("image: ")
            yield (error if kind in _WRONG_DEPTH else warn)(kind, topic, message)
