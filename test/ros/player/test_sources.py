from __future__ import annotations

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.config.source import SourceConfig
from recon3d_ros.errors import CalibrationError, ConfigError, DataError, ImageError, Recon3dError
from recon3d_ros.files import write_image
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.ros.player import sources
from recon3d_ros.ros.player.sources import open_source, repeated

WIDTH, HEIGHT = 70, 44
RIG = StereoRig.simple(WIDTH, HEIGHT, fx=60.0, baseline_m=0.12, doffs_px=1.5)


def picture(i: int) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0], image[: HEIGHT // 2, :, 2] = 200, 10 * i
    return image


def save_camera(path, camera):
    sides = {"left": camera.left, "right": camera.right} if isinstance(camera, StereoRig) else None
    document = camera.to_dict() if sides is None else {name: side.to_dict() for name, side in sides.items()}
    path.write_text(yaml.safe_dump(document))


@pytest.fixture
def mono_folder(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"{i}.png", picture(i))
    return tmp_path


@pytest.fixture
def stereo_folder(tmp_path):
    for side, offset in (("left", 0), ("right", 5)):
        (tmp_path / side).mkdir()
        for i in range(3):
            write_image(tmp_path / side / f"{i}.png", picture(i + offset))
    save_camera(tmp_path / "camera.yaml", RIG)
    return tmp_path


def opened(source, **options):
    return open_source(SourceConfig(source=str(source), **options))


def test_a_folder_with_its_camera(mono_folder):
    camera = PinholeCamera.simple(WIDTH, HEIGHT, fx=55.0)
    save_camera(mono_folder / "camera.yaml", camera)
    source = opened(mono_folder)
    assert source.camera == camera and not source.live
    shots = list(source.shots())
    assert [shot.left[0, 0, 2] for shot in shots] == [0, 10, 20]
    assert all(shot.right is None and shot.stamp_ns is None for shot in shots)


def test_a_field_of_view_stands_in_for_a_calibration(mono_folder):
    camera = opened(mono_folder, fov_deg=90.0).camera
    assert camera.fx == pytest.approx(WIDTH / 2)
    assert camera.image_size_wh == (WIDTH, HEIGHT)


def test_a_pair_of_folders(stereo_folder):
    source = opened(stereo_folder)
    assert source.camera.doffs_px == pytest.approx(1.5)
    shots = list(source.shots())
    assert [(s.left[0, 0, 2], s.right[0, 0, 2]) for s in shots] == [(0, 50), (10, 60), (20, 70)]


def test_the_left_of_a_pair_alone(stereo_folder):
    source = opened(stereo_folder, mono=True)
    assert source.camera == RIG.left
    assert [shot.right for shot in source.shots()] == [None] * 3


def test_a_recording_plays_at_the_rate_of_its_stamps(tmp_path):
    for i in range(2):
        write_image(tmp_path / f"{1_600_000_000_000_000_000 + i * 40_000_000}.png", picture(i))
    assert opened(tmp_path, fov_deg=60.0).rate_hz == pytest.approx(25.0)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.0, (WIDTH, HEIGHT))
    for i in range(4):
        writer.write(picture(i)[..., ::-1])
    writer.release()
    return path


def test_without_a_calibration_a_video_is_not_left_open(video, monkeypatch):
    """A webcam that is open cannot be opened again, which is what the demo does next."""
    opened_now = []

    class Counted(sources.VideoImages):
        def __init__(self, source):
            super().__init__(source)
            opened_now.append(self)

        def close(self):
            super().close()
            opened_now.remove(self)

    monkeypatch.setattr(sources, "VideoImages", Counted)
    with pytest.raises(CalibrationError, match="fov_deg"):
        opened(video)
    assert not opened_now
    opened(video, fov_deg=60.0)
    assert len(opened_now) == 1  # or this test would prove nothing


def test_a_video_plays_again(video):
    source = opened(video, fov_deg=60.0)
    assert source.rate_hz == pytest.approx(12.0)
    shots = repeated(source, loop=True)
    images = [next(shots).left for _ in range(9)]
    assert images[0].shape == (HEIGHT, WIDTH, 3)
    assert images[0][0, 0, 0] > 150 > images[0][0, 0, 1]  # red comes first
    np.testing.assert_array_equal(images[8], images[0])


def test_euroc(data_dir):
    source = opened(data_dir / "video" / "euroc")
    assert source.rate_hz == pytest.approx(20.0, rel=1e-3)
    assert not source.camera.left.rectified and source.camera.baseline_m == pytest.approx(0.11, abs=0.01)
    shot = next(source.shots())
    assert shot.left.shape == shot.right.shape == (480, 752)


def test_the_world_has_truth_and_no_end():
    lines = []
    config = SourceConfig(source="world_outdoor", width=48, height=32, world_frames=3)
    source = open_source(config, lines.append)
    shots = source.shots()
    first = [next(shots) for _ in range(7)]
    assert first[0].left.shape == first[0].right.shape == (32, 48, 3)
    assert first[0].truth.shape == (32, 48) and np.isfinite(first[0].truth).any()
    np.testing.assert_array_equal(first[6].left, first[0].left)
    assert not np.array_equal(first[1].left, first[0].left)
    assert lines[-1] == "rendered the world: 3 frames"


def test_an_unreadable_image_is_its_error_and_the_next_follows(mono_folder):
    (mono_folder / "1.png").write_bytes(b"no image")
    kinds = [isinstance(shot, ImageError) for shot in opened(mono_folder, fov_deg=60.0).shots()]
    assert kinds == [False, True, False]


def test_a_run_without_one_image_ends(mono_folder):
    source = opened(mono_folder, fov_deg=60.0)
    for path in mono_folder.glob("*.png"):
        path.write_bytes(b"no image")
    shots = repeated(source, loop=True)
    assert [isinstance(next(shots), Recon3dError) for _ in range(3)] == [True] * 3
    with pytest.raises(ImageError):
        next(shots)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda folder: opened(folder / "nothing"), DataError, "check the path"),
        (lambda folder: opened(folder), CalibrationError, "fov_deg"),
        (lambda folder: SourceConfig(source=""), ConfigError, "name a folder"),
        (lambda folder: opened(99, fov_deg=60.0), DataError, "webcam"),
    ],
)
def test_what_cannot_be_played(mono_folder, make, error, words):
    with pytest.raises(error, match=words):
        make(mono_folder)


def test_a_camera_of_another_size(mono_folder):
    save_camera(mono_folder / "camera.yaml", PinholeCamera.simple(HEIGHT, WIDTH, fx=55.0))
    with pytest.raises(CalibrationError, match="44x70"):
        opened(mono_folder)


def test_a_pair_needs_its_calibration(stereo_folder):
    save_camera(stereo_folder / "camera.yaml", RIG.left)
    with pytest.raises(CalibrationError, match="left: and right:"):
        opened(stereo_folder)
    (stereo_folder / "camera.yaml").unlink()
    with pytest.raises(CalibrationError, match="save a YAML"):
        opened(stereo_folder, fov_deg=60.0)


def test_one_camera_is_not_a_pair(mono_folder):
    save_camera(mono_folder / "camera.yaml", RIG)
    with pytest.raises(CalibrationError, match="got a pair"):
        opened(mono_folder)


@pytest.mark.parametrize(("layout", "axis"), [("side_by_side", 1), ("top_bottom", 0)])
def test_both_views_in_one_image_are_played_as_a_pair(tmp_path, layout, axis):
    folder = tmp_path / "both"
    folder.mkdir()
    both = np.concatenate([picture(1), picture(6)], axis)
    write_image(folder / "0.png", both)
    save_camera(folder / "camera.yaml", RIG)
    save_camera(tmp_path / "pair.yaml", RIG)
    (shot,) = opened(folder, layout=layout).shots()
    np.testing.assert_array_equal(shot.left, picture(1))
    np.testing.assert_array_equal(shot.right, picture(6))
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, both.shape[1::-1])
    video.write(np.ascontiguousarray(both[..., ::-1]))
    video.release()
    source = opened(path, layout=layout, camera=str(tmp_path / "pair.yaml"))
    (shot,) = source.shots()
    assert source.camera == RIG and shot.right.shape == picture(0).shape
    assert np.abs(shot.left.astype(int) - picture(1)).mean() < 12
    with pytest.raises(CalibrationError, match="both views"):
        opened(path, layout=layout)


def turned(path, image, orientation):
    """A JPEG that is stored turned, as its EXIF orientation says."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])


@pytest.mark.parametrize("given", ["stored", "upright", "none"])
def test_photographs_are_published_upright_with_their_camera(tmp_path, given):
    for name in ("0", "1"):
        turned(tmp_path / f"{name}.jpg", picture(0), 6)  # 70x44 stored, 44x70 upright
    turned(tmp_path / "2.jpg", picture(0), 1)
    if given != "none":
        size = (WIDTH, HEIGHT) if given == "stored" else (HEIGHT, WIDTH)
        save_camera(tmp_path / "camera.yaml", PinholeCamera.simple(*size, fx=55.0, cx=20.0, cy=30.0))
    source = opened(tmp_path, fov_deg=60.0 if given == "none" else 0.0)
    assert source.camera.image_size_wh == (HEIGHT, WIDTH)
    if given == "stored":  # the top row of the scene is the left column of what is stored
        assert (source.camera.cx, source.camera.cy) == (HEIGHT - 1 - 30.0, 20.0)
    first, second, third = source.shots()
    assert first.left.shape == (WIDTH, HEIGHT, 3) and second.left.shape == first.left.shape
    assert isinstance(third, ImageError) and "EXIF orientation 6" in str(third)
    expected = np.ascontiguousarray(np.rot90(picture(0), -1)[..., ::-1])
    assert np.abs(first.left.astype(int) - expected).mean() < 12


def test_photographs_of_a_distorted_lens_are_played_as_they_are_stored(tmp_path, caplog):
    turned(tmp_path / "0.jpg", picture(0), 6)
    bent = replace(PinholeCamera.simple(WIDTH, HEIGHT, fx=55.0), d=np.array([0.1, 0, 0, 0, 0]))
    save_camera(tmp_path / "camera.yaml", bent)
    (shot,) = opened(tmp_path).shots()
    assert shot.left.shape == (HEIGHT, WIDTH, 3) and "as they are stored" in caplog.text
