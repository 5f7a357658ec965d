"""Random scenes and training pairs whose disparities spread over the whole range a network must predict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recon3d_ros.geometry import PinholeCamera, Sample, StereoRig
from recon3d_ros.world.rendering.render import render_mono, render_stereo
from recon3d_ros.world.rendering.visibility import View, cast
from recon3d_ros.world.scenes.indoor import clutter, room
from recon3d_ros.world.scenes.outdoor import street, yard
from recon3d_ros.world.scenes.scene import Scene
from recon3d_ros.world.scenes.terrain import terrain
from recon3d_ros.world.textures.atlas import texture_atlas

SceneGenerator = Callable[[np.random.Generator], tuple[Scene, np.ndarray]]
#: kind -> generators of (scene, camera pose) and how often each is drawn.
KINDS: dict[str, tuple[tuple[SceneGenerator, float], ...]] = {
    "indoor": ((room, 0.45), (clutter, 0.55)),
    "outdoor": ((street, 0.6), (yard, 0.4)),
    # One camera: places whose things have the size that such things have.
    "view": ((room, 0.75), (clutter, 0.1), (street, 0.1), (yard, 0.05)),
    # Where robots drive.
    "ground_indoor": ((room, 0.55), (clutter, 0.1), (terrain, 0.35)),
    "ground_outdoor": ((street, 0.65), (yard, 0.35)),
}
OUTDOOR_SHARE = 0.45
# Focal lengths in image widths.
STEREO_FOCAL, VIEW_FOCAL, GROUND_FOCAL = (0.6, 1.9), (0.65, 1.3), (0.55, 1.0)
# Baselines of stereo cameras on robots and cars, m.
GROUND_BASELINE_M = {"ground_indoor": (0.05, 0.2), "ground_outdoor": (0.1, 0.55)}


def random_scene_and_pose(rng: np.random.Generator, kind: str) -> tuple[Scene, np.ndarray]:
    """Return a random scene of `kind` (a key of KINDS) and the (4, 4) world pose of a camera that sees it."""
    generators = KINDS[kind]
    return generators[rng.choice(len(generators), p=[weight for _, weight in generators])][0](rng)


def random_scene(rng: np.random.Generator, kind: str) -> Scene:
    """Return a random scene of `kind`, ``indoor`` or ``outdoor``."""
    return random_scene_and_pose(rng, kind)[0]


def probe(scene: Scene, rig: StereoRig, pose: np.ndarray, columns: int = 64) -> tuple[np.ndarray, int]:
    """Return a coarse inverse depth image (1/m) of the left camera and how many primitives it shows."""
    width, height = rig.left.image_size_wh
    rows = max(2, round(columns * height / width))
    xs = ((np.linspace(0, width - 1, columns) - rig.left.cx) / rig.left.fx).astype(np.float32)
    ys = ((np.linspace(0, height - 1, rows) - rig.left.cy) / rig.left.fy).astype(np.float32)
    view = View(pose[:3, :3], pose[:3, 3], xs, ys, width / columns / rig.left.fx)
    inverse_depth, index, _ = cast(scene, view, texture_atlas())
    return inverse_depth, len(np.unique(index))


def training_setup(
    seed: int, size_wh: tuple[int, int], max_disparity_px: float
) -> tuple[Scene, StereoRig, np.ndarray]:
    """Return the scene, the rig and the (4, 4) pose that `training_sample` renders."""
    rng = np.random.default_rng([seed, 7])

    def kind() -> str:
        return "outdoor" if rng.random() < OUTDOOR_SHARE else "indoor"

    scene, camera, pose, near, nearest = _visible_setup(rng, size_wh, kind, STEREO_FOCAL)
    share = (
        rng.uniform(0.08, 0.85) if rng.random() < 0.25 else np.exp(rng.uniform(np.log(0.05), np.log(0.88)))
    )
    wanted = max_disparity_px * share
    baseline = min(wanted / near, 0.97 * max_disparity_px / nearest) / camera.fx
    rig = StereoRig.simple(*size_wh, camera.fx, baseline, camera.cx, camera.cy)
    return scene, rig, pose


def view_setup(seed: int, size_wh: tuple[int, int]) -> tuple[Scene, StereoRig, np.ndarray]:
    """Return a scene, mostly indoors, for one camera: the left one of a rig of 1 m, and its (4, 4) pose."""
    rng = np.random.default_rng([seed, 11])
    scene, camera, pose, _, _ = _visible_setup(rng, size_wh, lambda: "view", VIEW_FOCAL)
    return scene, StereoRig.simple(*size_wh, camera.fx, 1.0, camera.cx, camera.cy), pose


def ground_setup(
    seed: int, size_wh: tuple[int, int], max_disparity_px: float = 192.0
) -> tuple[Scene, StereoRig, np.ndarray]:
    """Return a scene, a stereo rig as robots have them, and the (4, 4) world pose of its left camera.

    The baseline is one of real cameras, unless the nearest surface would lie above `max_disparity_px`.
    """
    rng = np.random.default_rng([seed, 13])
    kind = "ground_outdoor" if rng.random() < OUTDOOR_SHARE else "ground_indoor"  # as is_outdoor
    scene, camera, pose, _, nearest = _visible_setup(rng, size_wh, lambda: kind, GROUND_FOCAL)
    low, high = np.log(GROUND_BASELINE_M[kind])
    baseline = min(float(np.exp(rng.uniform(low, high))), 0.97 * max_disparity_px / nearest / camera.fx)
    return scene, StereoRig.simple(*size_wh, camera.fx, baseline, camera.cx, camera.cy), pose


def is_outdoor(seed: int) -> bool:
    """Whether `ground_sample` of this seed shows a street or a yard."""
    return bool(np.random.default_rng([seed, 13]).random() < OUTDOOR_SHARE)


def ground_sample(seed: int, size_wh: tuple[int, int]) -> tuple[Sample, np.ndarray]:
    """Render one pair of `ground_setup`, and return the (4, 4) world pose of its left camera, too."""
    scene, rig, pose = ground_setup(seed, size_wh)
    return render_stereo(scene, rig, pose, name=f"ground_{seed}"), pose


def _visible_setup(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    kind: Callable[[], str],
    focal_range: tuple[float, float],
) -> tuple[Scene, PinholeCamera, np.ndarray, float, float]:
    """A scene, a camera and a pose that shows something; the inverse depths of its near end and nearest."""
    width, height = size_wh
    for _ in range(8):
        scene, pose = random_scene_and_pose(rng, kind())
        focal = float(width * np.exp(rng.uniform(*np.log(focal_range))))
        cx, cy = (
            width / 2 - 0.5 + rng.normal(0, 0.04) * width,
            height / 2 - 0.5 + rng.normal(0, 0.06) * height,
        )
        inverse, shown = probe(scene, StereoRig.simple(width, height, focal, 1.0, cx, cy), pose)
        near, nearest = float(np.quantile(inverse, 0.98)), float(inverse.max())
        if 1 / 40 < near and nearest < 4.0 and shown >= rng.integers(4, 16):
            break
    return scene, PinholeCamera.simple(width, height, focal, cx, cy), pose, near, nearest


def training_sample(seed: int, size_wh: tuple[int, int], max_disparity_px: float = 192.0) -> Sample:
    """Render one random rectified pair, the same for the same arguments.

    The baseline is solved from the disparity wanted for the near end of the scene (98 % of pixels lie
    behind it), drawn between 5 % and 88 % of `max_disparity_px`, most log-uniformly, and limited so that the
    nearest surface of a coarse probe stays below `max_disparity_px`; single thin objects may still lie above.

    Args:
        seed: Any integer >= 0.
        size_wh: Width and height, px.
        max_disparity_px: What the network that learns from it can predict.

    Returns:
        Clean RGB images (colour jitter and noise are left to augmentation), exact depth and disparity of
        the left.
    """
    scene, rig, pose = training_setup(seed, size_wh, max_disparity_px)
    return render_stereo(scene, rig, pose, name=f"world_{seed}")


def view_sample(seed: int, size_wh: tuple[int, int]) -> Sample:
    """Render one random image with exact depth, the same for the same arguments: RGB, m, +Inf for the sky."""
    scene, rig, pose = view_setup(seed, size_wh)
    return render_mono(scene, rig, pose, name=f"view_{seed}")
