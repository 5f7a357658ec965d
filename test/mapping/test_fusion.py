"""Known surfaces come out where they are, with one engine as with the other, and what is gone fades."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.errors import CalibrationError, ConfigError, DataError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.mapping.fusion import ENGINES, Fusion
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.surface import extract_mesh
from recon3d_ros.world.rendering.visibility import View, cast
from recon3d_ros.world.scenes import furniture, materials, street_furniture
from recon3d_ros.world.scenes.scene import Light, SceneBuilder
from recon3d_ros.world.textures.atlas import texture_atlas

CAMERA = PinholeCamera.simple(163, 121, 140.0)
IMAGE = np.full((121, 163, 3), (200, 100, 50), np.uint8)
CONFIG = MappingConfig(voxel_m=0.03)


def plane_depth(normal=(0.0, 0.0, -1.0), distance=1.5) -> np.ndarray:
    """Depth of the plane n . p = -distance."""
    rays = np.stack(
        [
            np.broadcast_to((np.arange(163) - CAMERA.cx) / CAMERA.fx, (121, 163)),
            np.broadcast_to(((np.arange(121) - CAMERA.cy) / CAMERA.fy)[:, None], (121, 163)),
            np.ones((121, 163)),
        ],
        axis=-1,
    )
    with np.errstate(divide="ignore"):  # rays along the plane
        depth = -distance / (rays @ np.array(normal))
    return np.where(depth > 0, depth, np.inf).astype(np.float32)


def fused(depths, engine="numpy", config=CONFIG, poses=None, **planes) -> Fusion:
    fusion = Fusion(config, engine)
    for i, depth in enumerate(depths):
        pose = np.eye(4) if poses is None else poses[i]
        fusion.add(DepthMap(depth, CAMERA, **planes), IMAGE, pose)
    return fusion


def mesh_of(fusion):
    pytest.importorskip("skimage")
    return extract_mesh(fusion.store, fusion.config.voxel_m, fusion.config.min_weight)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plane_comes_out_where_it_is(engine):
    if engine == "numba":
        pytest.importorskip("numba")
    mesh = mesh_of(fused([plane_depth()] * 3, engine))
    assert np.abs(mesh.vertices[:, 2] - 1.5).max() < 0.002
    assert np.ptp(mesh.vertices[:, 0]) > 1.5
    assert np.ptp(mesh.vertices[:, 1]) > 1.1
    assert (mesh.colours == IMAGE[0, 0]).all()
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] < 0).all()  # toward the camera


def test_the_engines_agree_but_for_rounding():
    pytest.importorskip("numba")
    depths = [plane_depth((0.3, -0.5, -0.8), 1.0 + 0.01 * i) for i in range(3)]
    one, other = (fused(depths, engine).store for engine in ENGINES)
    assert np.array_equal(one.coords, other.coords)
    same = np.abs(one.distance.astype(int) - other.distance) <= 4
    assert same.mean() > 0.999  # a voxel that projects between two pixels may take either
    assert (one.weight == other.weight).mean() > 0.999


def test_twice_the_same_bytes():
    depths = [plane_depth((0.3, -0.5, -0.8), 1.0 + 0.01 * i) for i in range(3)]
    one, other = mesh_of(fused(depths)), mesh_of(fused(depths))
    assert one.vertices.tobytes() == other.vertices.tobytes()
    assert one.faces.tobytes() == other.faces.tobytes()


def test_a_floor_seen_at_a_grazing_angle_has_no_holes():
    """At 6 m the ray meets it under 9 degrees, and a row of pixels is 25 cm of floor."""
    floor = plane_depth((0.0, -1.0, 0.0), 1.0)
    mesh = mesh_of(fused([floor], config=MappingConfig(voxel_m=0.05, map_max_depth_m=8.0)))
    assert np.abs(mesh.vertices[:, 1] - 1.0).max() < 0.05
    x, z = mesh.vertices[:, 0], mesh.vertices[:, 2]
    inside = (np.abs(x) < 0.8) & (z > 3) & (z < 6)
    cells = np.unique(np.floor(np.stack([x, z], axis=-1)[inside] / 0.1).astype(int), axis=0)
    assert len(cells) > 0.97 * 16 * 30


def test_what_is_gone_fades():
    box = plane_depth()
    box[30:90, 50:110] = 0.9
    wall = plane_depth()
    fusion = fused([box] * 4 + [wall] * 16)
    mesh = mesh_of(fusion)
    assert mesh.vertices[:, 2].min() > 1.4
    assert mesh_of(fused([box] * 4)).vertices[:, 2].min() < 0.95


def test_a_person_who_walks_through_leaves_no_ghost():
    """Before a camera that goes to and fro a person crosses a room of the world, and is away after that."""
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looks along x

    def depth_at(pose: np.ndarray, person_y: float | None) -> np.ndarray:
        rng, b = np.random.default_rng(5), SceneBuilder()
        material = materials.wild(np.random.default_rng(1))
        b.patch((2.0, 0, 0), np.eye(3), (4, 4), material)
        b.patch((4.0, 0, 1.2), furniture.UPRIGHT, (4, 1.2), material)
        if person_y is not None:
            street_furniture.person(b.at((2.5, person_y, 0), np.pi / 2), rng)
        xs = ((np.arange(163) - CAMERA.cx) / CAMERA.fx).astype(np.float32)
        ys = ((np.arange(121) - CAMERA.cy) / CAMERA.fy).astype(np.float32)
        view = View(pose[:3, :3], pose[:3, 3], xs, ys, 1 / CAMERA.fx)
        with np.errstate(divide="ignore"):
            return 1 / cast(b.build(Light((0, 0, 9), (2, 0, 0), 0.5)), view, texture_atlas())[0]

    walk = [*np.linspace(-1.5, 1.5, 12), *[None] * 12]
    poses, seen, alone = [], [], []
    for i, person_y in enumerate(walk):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = optical, [0, 0.3 * np.sin(i), 1.3]
        poses.append(pose)
        seen.append(depth_at(pose, person_y))
        alone.append(depth_at(pose, None))
    within = fused(seen[:12], poses=poses)
    after, without = fused(seen, poses=poses), fused(alone, poses=poses)

    def in_the_way(fusion) -> int:
        """Vertices where only the person was."""
        x, y, z = mesh_of(fusion).vertices.T
        return int(((x > 2) & (x < 3) & (np.abs(y) < 1.8) & (z > 0.15)).sum())

    assert in_the_way(within) > 100
    assert in_the_way(after) == in_the_way(without) == 0
    space = ObservedSpace(0.03, 5.0)
    for depth, pose in zip(seen, poses):
        space.add(DepthMap(depth, CAMERA), pose)
    assert space.empty(np.array([[2.5, y, 1.15] for y in np.linspace(-1, 1, 9)])).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_in_front_of_an_edge_fades_too(engine):
    """A camera at rest has its edges in the same pixels for ever."""
    if engine == "numba":
        pytest.importorskip("numba")
    room = plane_depth()
    room[30:90, 50:110] = 1.1  # a box that stays
    person = room.copy()
    person[20:100, 40:90] = 0.7
    fusion = fused([room] * 4 + [person] * 4 + [room] * 16, engine)
    assert mesh_of(fusion).vertices[:, 2].min() > 1.05


@pytest.mark.parametrize("engine", ENGINES)
def test_an_edge_takes_nothing_away(engine):
    if engine == "numba":
        pytest.importorskip("numba")
    pole = plane_depth()
    pole[:, 80:83] = 1.0
    mesh = mesh_of(fused([pole] * 20, engine))
    wide = plane_depth()
    wide[:, 70:93] = 1.0
    box = mesh_of(fused([wide] * 20, engine)).vertices
    assert (np.abs(box[np.abs(box[:, 0]) < 0.04, 2] - 1.0) < 0.01).all()
    assert (mesh.vertices[:, 2] > 0.9).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_surface_has_its_colour_where_it_was_free_before(engine):
    if engine == "numba":
        pytest.importorskip("numba")
    gone = plane_depth()
    back = plane_depth(distance=1.3)
    near = fused([back, *[gone] * 6, *[back] * 12], engine)
    mesh = mesh_of(near)
    assert (mesh.colours[mesh.vertices[:, 2] < 1.35] == IMAGE[0, 0]).all()


def test_the_sky_clears_and_makes_no_surface():
    near = np.full((121, 163), 0.9, np.float32)
    sky = np.full((121, 163), np.inf, np.float32)
    with pytest.raises(DataError, match="surface"):
        mesh_of(fused([sky]))
    fusion = fused([near] * 2)
    solid = (fusion.store.distance < 0).sum()
    for _ in range(20):
        fusion.add(DepthMap(sky, CAMERA), IMAGE, np.eye(4))
    assert (fusion.store.distance < 0).sum() < 0.02 * solid


def test_unknown_depth_changes_nothing():
    fusion = fused([plane_depth()])
    before = fusion.store.distance.copy()
    fusion.add(DepthMap(np.full((121, 163), np.nan, np.float32), CAMERA), IMAGE, np.eye(4))
    assert np.array_equal(fusion.store.distance, before)


def test_pixels_weigh_by_their_sigma():
    sure, unsure = np.full((2, 121, 163), 0.001, np.float32)
    unsure[:] = 0.05
    fusion = Fusion(CONFIG, "numpy")
    fusion.add(DepthMap(plane_depth(), CAMERA, sigma_m=sure), IMAGE, np.eye(4))
    fusion.add(DepthMap(plane_depth(distance=1.54), CAMERA, sigma_m=unsure), IMAGE, np.eye(4))
    assert np.abs(np.median(mesh_of(fusion).vertices[:, 2]) - 1.5) < 0.006


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sigma_m", [1e30, np.inf])
def test_depth_without_any_precision_changes_nothing(sigma_m):
    assert len(fused([plane_depth()], sigma_m=np.full((121, 163), sigma_m, np.float32)).store) == 0


def test_no_confidence_no_surface():
    none = np.zeros((121, 163), np.float32)
    assert len(fused([plane_depth()], confidence=none).store) == 0


def test_memory_is_bounded_and_the_loss_is_told():
    config = MappingConfig(voxel_m=0.01, max_mb=2.0)
    steps = [np.eye(4) for _ in range(4)]
    for i, pose in enumerate(steps):
        pose[0, 3] = 2.0 * i
    fusion = fused([plane_depth()] * 4, config=config, poses=steps)
    assert fusion.stats.megabytes <= 2.0
    assert fusion.stats.dropped_blocks > 0
    x = (fusion.store.coords[:, 0] + 0.5) * 0.08
    assert x.min() > 4.0  # what is near the last camera stays


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="engine"):
        Fusion(CONFIG, "abacus")
    with pytest.raises(CalibrationError):
        Fusion(CONFIG, "numpy").add(DepthMap(plane_depth(), CAMERA), IMAGE[1:], np.eye(4))
    far = np.eye(4)
    far[0, 3] = 1e7
    with pytest.raises(DataError, match="million"):
        Fusion(CONFIG, "numpy").add(DepthMap(plane_depth(), CAMERA), IMAGE, far)


@pytest.mark.parametrize(("sigma_m", "share"), [(0.01, 0.0), (1.0, 1.0)])
def test_depth_far_less_precise_than_the_voxels_is_counted(sigma_m, share):
    """Its weight is below the steps in which weights are stored."""
    fusion = fused([plane_depth()] * 3, sigma_m=np.full((121, 163), sigma_m, np.float32))
    assert fusion.stats.imprecise == share
    assert (fusion.store.weight.max() == 0) == (share == 1)
