"""Keyframes that show the same place: candidates by appearance, accepted by geometry.

Appearance is a vector of locally aggregated descriptors (Jegou et al., Aggregating local descriptors into a
compact image representation, 2010) over words that are learned from the keyframes themselves. Geometry is a
pose on which enough features agree, found in both directions with each view's own depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.odometry.alignment import Alignment, align, inverse, motion
from recon3d_ros.odometry.keyframe import Edge, Keyframe
from recon3d_ros.odometry.tracking import match

_WORDS = 32
_ROUNDS = 5
_CANDIDATES = 6  # per keyframe
_SHARE = 0.5  # of the matches that must agree
_SIGMA_PX = 1.5  # of a descriptor's position; a track is more exact
_APART_M = 0.1  # how far the poses of the two directions may differ, and
_APART_RAD = 0.05
_APART_DEPTH = 0.05  # or so much of the median depth


def find_loops(
    keyframes: Sequence[Keyframe], edges: Sequence[Edge], camera: PinholeCamera, config: OdometryConfig
) -> list[Edge]:
    """The loops between keyframes that no edge connects yet.

    Args:
        keyframes: Of one camera, in order; of several submaps too.
        edges: Those that odometry measured.
        camera: Of all keyframes.
        config: `odometry_min_inliers`.
    """
    if len(keyframes) < 2:
        return []
    signatures = _signatures([keyframe.features.descriptors for keyframe in keyframes])
    known = {(edge.source, edge.target) for edge in edges}
    loops = []
    for target in range(1, len(keyframes)):
        likeness = signatures[:target] @ signatures[target]
        tried = 0
        for source in np.argsort(-likeness, kind="stable"):
            if (int(source), target) in known:
                continue
            tried += 1
            edge = _verified(keyframes, int(source), target, camera, config)
            if edge is not None:
                loops.append(edge)
            if tried == _CANDIDATES:
                break
    return loops


def _verified(
    keyframes: Sequence[Keyframe], source: int, target: int, camera: PinholeCamera, config: OdometryConfig
) -> Edge | None:
    """The edge between two keyframes if geometry says they show one place."""
    ahead = _aligned(keyframes[source], keyframes[target], camera, config.odometry_min_inliers)
    if ahead is None:
        return None
    behind = _aligned(keyframes[target], keyframes[source], camera, config.odometry_min_inliers)
    if behind is None:
        return None
    shift_m, turn_rad = motion(behind.T_target_source @ ahead.T_target_source)
    q = keyframes[source].features.points.q
    allowed_m = max(_APART_M, _APART_DEPTH / float(np.nanmedian(q)))
    if turn_rad > _APART_RAD or shift_m > allowed_m:
        return None
    return Edge(source, target, inverse(ahead.T_target_source), ahead.information, loop=True)


def _aligned(source: Keyframe, target: Keyframe, camera: PinholeCamera, least: int) -> Alignment | None:
    here, there = match(source.features, target.features)
    if len(here) < least:
        return None
    alignment = align(source.features.points[here], target.features.points[there], camera, sigma_px=_SIGMA_PX)
    if alignment is None or alignment.inlier.sum() < max(least, _SHARE * len(here)):
        return None
    return alignment


def _signatures(descriptors: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(K, 128 * words) float32, one unit vector per keyframe."""
    # the square root makes frequent gradients count less (Arandjelovic and Zisserman, 2012)
    rooted = [np.sqrt(each.astype(np.float32) / max(each.sum(1).max(initial=1), 1)) for each in descriptors]
    every = np.concatenate(rooted)
    if len(every) < _WORDS:
        return np.ones((len(descriptors), 1), np.float32)
    sample = every[np.linspace(0, len(every) - 1, min(len(every), 200 * _WORDS)).astype(int)]
    words = sample[np.linspace(0, len(sample) - 1, _WORDS).astype(int)]
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, words)
        words = np.stack(
            [sample[nearest == i].mean(0) if (nearest == i).any() else words[i] for i in range(_WORDS)]
        )
    signatures = np.zeros((len(descriptors), _WORDS, 128), np.float32)
    for signature, each in zip(signatures, rooted):
        nearest = _nearest(each, words)
        np.add.at(signature, nearest, each - words[nearest])
        signature /= np.maximum(np.linalg.norm(signature, axis=1, keepdims=True), 1e-9)
    flat = signatures.reshape(len(descriptors), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def _nearest(descriptors: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.intp]:
    return ((words * words).sum(1) - 2 * (descriptors @ words.T)).argmin(1)
