"""The pose between two views from points whose depth is known in both, with their errors.

Two views of one point give its pixel in the second view and its inverse depth in both. The inverse depth of
the first view is marginalized: its error moves the predicted pixel along the epipolar line, so the covariance
of the residual of a point is diag(s_px^2, s_px^2, s_q2^2) + j j^T s_q1^2, with j = d(u, v, q) / d q1. Near
points then tell the translation and far points the rotation, as their errors say. Gauss-Newton with Cauchy
weights (Triggs et al., Bundle Adjustment: A Modern Synthesis, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.rotations import vectors_of

Array = NDArray[np.float64]

_CAUCHY = 2.0  # standard deviations at which a residual counts half
_INLIER = 16.3  # squared Mahalanobis distance, 99.9 % of three degrees of freedom
_UNKNOWN = 1e12  # variance of an inverse depth that nobody measured, 1/m^2
_RANSAC_PX = 3.0
_RANSAC_ROUNDS = 100
_FEWEST = 6


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one view.

    Attributes:
        uv: (N, 2) float64 px.
        q: (N,) float64 inverse depth, 1/m; NaN = unknown.
        sigma_q: (N,) float64 standard deviation of q, 1/m.
    """

    uv: Array
    q: Array
    sigma_q: Array

    def __len__(self) -> int:
        return len(self.uv)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Points:
        return Points(self.uv[chosen], self.q[chosen], self.sigma_q[chosen])

    def rays(self, camera: PinholeCamera) -> Array:
        """(N, 3) x, y, 1 of each point in the frame of the camera."""
        scaled = (self.uv - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
        return np.column_stack([scaled, np.ones(len(scaled))])


@dataclass(frozen=True, eq=False)
class Alignment:
    """The pose of a view relative to another one.

    Attributes:
        T_target_source: (4, 4) float64, m.
        information: (6, 6) float64, of (rotation, translation) perturbed on the left of `T_target_source`.
        inlier: (N,) bool, which points agree.
        error_px: Median reprojection error of the inliers, px.
    """

    T_target_source: Array
    information: Array
    inlier: NDArray[np.bool_]
    error_px: float


def project(T_target_source: Array, points: Points, camera: PinholeCamera) -> Array:
    """(N, 2) float64 px where points of the source are seen by the target; NaN behind the camera."""
    x = points.rays(camera) / points.q[:, None] @ T_target_source[:3, :3].T + T_target_source[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = x[:, :2] / x[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    uv[~(x[:, 2] > 0)] = np.nan
    return uv


def align(
    source: Points,
    target: Points,
    camera: PinholeCamera,
    start: Array | None = None,
    sigma_px: float = 0.7,
) -> Alignment | None:
    """Find the pose of the target view: PnP in RANSAC, then least squares with all errors.

    Args:
        source: Points with known depth in the source view.
        target: The same points in the target view; their depth may be unknown.
        camera: Of both views.
        start: (4, 4) T_target_source to begin at; None = begin with RANSAC alone.
        sigma_px: Standard deviation of a tracked position, px.

    Returns:
        The pose; None when fewer than six points agree on one.
    """
    if len(source) < _FEWEST:
        return None
    pose = _ransac(source, target, camera)
    if pose is None:
        pose = start
    if pose is None:
        return None
    information = np.zeros((6, 6))
    for _ in range(10):
        residual, jacobian, weight, distance = _linearized(pose, source, target, camera, sigma_px)
        weight = weight / (1 + distance / _CAUCHY**2)[:, None, None]
        weighted = np.swapaxes(jacobian, 1, 2) @ weight
        information = (weighted @ jacobian).sum(0)
        gradient = (weighted @ residual[..., None]).sum(0)[:, 0]
        try:
            step = np.linalg.solve(information + 1e-9 * np.trace(information) * np.eye(6) / 6, gradient)
        except np.linalg.LinAlgError:
            return None
        pose = exponential(step) @ pose
        if not np.isfinite(pose).all():
            return None
        if np.abs(step).max() < 1e-5:
            break
    residual, _, _, distance = _linearized(pose, source, target, camera, sigma_px)
    inlier = distance < _INLIER
    if inlier.sum() < _FEWEST:
        return None
    error_px = float(np.median(np.hypot(residual[inlier, 0], residual[inlier, 1])))
    return Alignment(pose, information, inlier, error_px)


def exponential(step: Array) -> Array:
    """(4, 4) transform of (rotation vector in rad, translation in m), the translation added unrotated."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(step[:3])[0]
    pose[:3, 3] = step[3:]
    return pose


def logarithm(pose: Array) -> Array:
    """(6,) such that `exponential` gives the pose."""
    return np.concatenate([vectors_of(pose[None, :3, :3])[0], pose[:3, 3]])


def inverse(pose: Array) -> Array:
    """The inverse of a rigid transform, (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def motion(transform: Array) -> tuple[float, float]:
    """How far a (4, 4) rigid transform moves, m, and turns, rad."""
    step = logarithm(transform)
    return float(np.linalg.norm(step[3:])), float(np.linalg.norm(step[:3]))


def _ransac(source: Points, target: Points, camera: PinholeCamera) -> Array | None:
    x = source.rays(camera) / source.q[:, None]
    found, turn, shift, inliers = cv2.solvePnPRansac(
        x,
        target.uv,
        camera.k,
        None,
        iterationsCount=_RANSAC_ROUNDS,
        reprojectionError=_RANSAC_PX,
        confidence=0.999,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or inliers is None or len(inliers) < _FEWEST:
        return None
    return exponential(np.concatenate([turn.ravel(), shift.ravel()]))


def _linearized(
    pose: Array, source: Points, target: Points, camera: PinholeCamera, sigma_px: float
) -> tuple[Array, Array, Array, Array]:
    """Residuals (N, 3), Jacobians (N, 3, 6), inverse covariances (N, 3, 3), squared distances (N,)."""
    along = source.rays(camera) @ pose[:3, :3].T
    x = along / source.q[:, None] + pose[:3, 3]
    z = np.where(x[:, 2] > 1e-3, x[:, 2], np.nan)
    inverse_z = 1 / z
    uv = x[:, :2] * inverse_z[:, None] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    measured = np.isfinite(target.q)
    residual = np.column_stack([target.uv - uv, np.where(measured, target.q - inverse_z, 0.0)])
    projection = np.zeros((len(x), 3, 3))
    projection[:, 0, 0] = camera.fx * inverse_z
    projection[:, 0, 2] = -camera.fx * x[:, 0] * inverse_z**2
    projection[:, 1, 1] = camera.fy * inverse_z
    projection[:, 1, 2] = -camera.fy * x[:, 1] * inverse_z**2
    projection[:, 2, 2] = -(inverse_z**2)
    moved = np.zeros((len(x), 3, 6))
    moved[:, 0, 1], moved[:, 0, 2] = x[:, 2], -x[:, 1]
    moved[:, 1, 0], moved[:, 1, 2] = -x[:, 2], x[:, 0]
    moved[:, 2, 0], moved[:, 2, 1] = x[:, 1], -x[:, 0]
    moved[:, :, 3:] = np.eye(3)
    by_depth = np.einsum("nij,nj->ni", projection, -along / source.q[:, None] ** 2)
    covariance = np.einsum("ni,nj,n->nij", by_depth, by_depth, source.sigma_q**2)
    covariance[:, 0, 0] += sigma_px**2
    covariance[:, 1, 1] += sigma_px**2
    covariance[:, 2, 2] += np.where(measured, target.sigma_q**2, _UNKNOWN)
    seen = np.isfinite(residual).all(1) & np.isfinite(covariance).all((1, 2))
    residual[~seen], moved[~seen], projection[~seen] = 0.0, 0.0, 0.0
    covariance[~seen] = np.eye(3)
    weight = np.linalg.inv(covariance)
    distance = np.einsum("ni,nij,nj->n", residual, weight, residual)
    distance[~seen] = np.inf
    weight[~seen] = 0.0
    return residual, projection @ moved, weight, distance
