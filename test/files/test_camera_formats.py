"""Calibrations of many tools, made up from one geometry, must give that geometry back."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files import read_camera
from recon3d_ros.geometry import PinholeCamera, StereoRig

SIZE_WH = (320, 188)
K = {
    "left": np.array([[251.0, 0, 161.5], [0, 249.0, 90.25], [0, 0, 1]]),
    "right": np.array([[254.0, 0, 157.0], [0, 253.0, 97.5], [0, 0, 1]]),
}
D = {"left": [-0.21, 0.05, 0.001, -0.002, 0.0], "right": [-0.19, 0.04, -0.001, 0.001, 0.0]}
FISHEYE = {"left": [-0.01, 0.02, -0.005, 0.001], "right": [-0.02, 0.01, 0.004, -0.002]}
# Points of the left camera in the right one: it stands 0.12 m to the right, turned and shifted a little.
R_RIGHT_LEFT = cv2.Rodrigues(np.array([0.02, -0.03, 0.015]))[0]
T_RIGHT_LEFT = np.eye(4)
T_RIGHT_LEFT[:3, :3] = R_RIGHT_LEFT
T_RIGHT_LEFT[:3, 3] = (-0.12, 0.004, -0.003)
# The body or the IMU, somewhere else and turned.
T_LEFT_BODY = np.eye(4)
T_LEFT_BODY[:3, :3] = cv2.Rodrigues(np.array([1.2, -0.4, 0.7]))[0]
T_LEFT_BODY[:3, 3] = (0.3, -0.2, 0.05)
T_RIGHT_BODY = T_RIGHT_LEFT @ T_LEFT_BODY

POINTS = np.array([[0.1, -0.2, 1.5], [-0.6, 0.3, 2.0], [1.1, 0.5, 4.0], [-0.4, -0.3, 1.0], [0.0, 0.0, 8.0]])


def _raw_px(side, fisheye):
    """(N, 2) px, where the raw images show the points, by OpenCV's own models."""
    points = POINTS if side == "left" else POINTS @ R_RIGHT_LEFT.T + T_RIGHT_LEFT[:3, 3]
    zero = np.zeros(3)
    if fisheye:
        px, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, K[side], np.array(FISHEYE[side]))
    else:
        px, _ = cv2.projectPoints(points, zero, zero, K[side], np.array(D[side]))
    return px.reshape(-1, 2)


def _check_rig(rig, fisheye=False):
    """Rows of both cameras meet, and disparity gives the depth of the points."""
    assert isinstance(rig, StereoRig)
    assert rig.left.image_size_wh == rig.right.image_size_wh == SIZE_WH
    assert rig.baseline_m == pytest.approx(np.linalg.norm(T_RIGHT_LEFT[:3, 3]), rel=1e-6)
    rectified = []
    for side, camera in (("left", rig.left), ("right", rig.right)):
        undistort = cv2.fisheye.undistortPoints if fisheye else cv2.undistortPoints
        d = np.asarray(camera.d)
        px = undistort(_raw_px(side, fisheye)[:, None], camera.k, d, R=camera.r, P=camera.p[:, :3])
        rectified.append(px.reshape(-1, 2))
    left, right = rectified
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=2e-3)
    depth = (POINTS @ rig.left.r.T)[:, 2]
    np.testing.assert_allclose(rig.depth_from_disparity(left[:, 0] - right[:, 0]), depth, rtol=2e-4)


def _write(tmp_path, document, name="c.yaml", header=""):
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    (tmp_path / name).write_text(header + text)
    return tmp_path / name


def _matrix(values):
    array = np.atleast_2d(np.asarray(values, float))
    rows, cols = array.shape
    data = ", ".join(f"{value!r}" for value in array.ravel().tolist())
    return f"!!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: [ {data} ]\n"


OPENCV = "%YAML:1.0\n---\n"


# ROS


def _echo(camera, capitals=False):
    names = {name: name.upper() if capitals else name for name in "dkrp"}
    return {
        "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "cam"},
        "height": camera.height,
        "width": camera.width,
        "distortion_model": camera.distortion_model,
        **{names[name]: getattr(camera, name).ravel().tolist() for name in names},
        "binning_x": camera.binning_x if camera.binning_x > 1 else 0,
        "binning_y": camera.binning_y if camera.binning_y > 1 else 0,
        "roi": {"x_offset": 4, "y_offset": 6, "height": 100, "width": 200, "do_rectify": True},
    }


@pytest.mark.parametrize("capitals", [False, True])
@pytest.mark.parametrize("end", ["", "---\n", "---\nheader: {}\n---\n"])
def test_echoed_camera_info_with_binning_and_region(tmp_path, capitals, end):
    p = np.hstack([K["left"], [[-30.0], [0], [0]]])
    camera = PinholeCamera(
        *SIZE_WH, K["left"], D["left"], p=p, binning_x=2, binning_y=2, roi=(4, 6, 200, 100)
    )
    path = _write(tmp_path, yaml.safe_dump(_echo(camera, capitals)) + end)
    assert read_camera(path) == camera
    assert read_camera(path).image_size_wh == (100, 50)


def test_echoed_pair_in_two_files_and_in_one(tmp_path):
    rig = StereoRig.simple(*SIZE_WH, 250.0, 0.12, doffs_px=2.0)
    sides = {"left": _echo(rig.left), "right": _echo(rig.right)}
    for side in sides.values():
        del side["roi"]
    paths = [_write(tmp_path, side, f"{name}.yaml") for name, side in sides.items()]
    assert read_camera(*paths) == rig
    assert read_camera(_write(tmp_path, sides)) == rig


# OpenCV


def test_opencv_single_camera_as_its_sample_writes_it(tmp_path):
    text = (
        f"image_width: {SIZE_WH[0]}\nimage_height: {SIZE_WH[1]}\nflags: 0\nfisheye_model: 0\n"
        f"camera_matrix: {_matrix(K['left'])}distortion_coefficients: {_matrix(np.c_[D['left']])}"
    )
    assert read_camera(_write(tmp_path, text, header=OPENCV)) == PinholeCamera(*SIZE_WH, K["left"], D["left"])


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_opencv_writes_and_we_read(tmp_path, suffix):
    """OpenCV itself writes the file."""
    storage = cv2.FileStorage(str(tmp_path / f"c.{suffix}"), cv2.FILE_STORAGE_WRITE)
    storage.write("K", K["left"]), storage.write("D", np.array(FISHEYE["left"])[:, None])
    storage.write("width", SIZE_WH[0]), storage.write("height", SIZE_WH[1])
    storage.write("distortion_model", "fisheye")
    storage.release()
    camera = read_camera(tmp_path / f"c.{suffix}")
    assert camera == PinholeCamera(*SIZE_WH, K["left"], FISHEYE["left"], "equidistant")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<opencv_storage><a>", "cv2.FileStorage"),
        ("<html></html>", "<html>"),
        (
            '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><opencv_storage>&a;</opencv_storage>',
            "document type",
        ),
    ],
)
def test_xml_that_opencv_did_not_write_is_one_sentence(tmp_path, text, said):
    (tmp_path / "c.xml").write_text(text)
    with pytest.raises((DataError, CalibrationError), match=said):
        read_camera(tmp_path / "c.xml")


def _opencv_pair(k="K", d="D", distortion=D):
    return "".join(
        f"{k}{i}: {_matrix(K[side])}{d}{i}: {_matrix(distortion[side])}"
        for i, side in ((1, "left"), (2, "right"))
    )


RT = f"R: {_matrix(R_RIGHT_LEFT)}T: {_matrix(np.c_[T_RIGHT_LEFT[:3, 3]])}"
SIZE = f"image_size: [ {SIZE_WH[0]}, {SIZE_WH[1]} ]\n"


@pytest.mark.parametrize(("k", "d"), [("K", "D"), ("M", "D"), ("cameraMatrix", "distCoeffs")])
def test_opencv_pair(tmp_path, k, d):
    _check_rig(read_camera(_write(tmp_path, SIZE + _opencv_pair(k, d) + RT, header=OPENCV)))


def test_opencv_fisheye_pair(tmp_path):
    text = SIZE + "fisheye_model: 1\n" + _opencv_pair(distortion=FISHEYE) + RT
    _check_rig(read_camera(_write(tmp_path, text, header=OPENCV)), fisheye=True)


@pytest.mark.parametrize("swap", [False, True])
def test_opencv_pair_in_two_files_of_the_size_of_the_image(tmp_path, swap):
    """stereo_calib.cpp states no size; its R1, P1, R2, P2 are taken as they are."""
    width, height = SIZE_WH
    r1, r2, p1, p2, *_ = cv2.stereoRectify(
        K["left"], np.array(D["left"]), K["right"], np.array(D["right"]), SIZE_WH, R_RIGHT_LEFT,
        T_RIGHT_LEFT[:3, 3], alpha=0.4,
    )  # fmt: skip
    given = "".join(f"{n}: {_matrix(v)}" for n, v in (("R1", r1), ("R2", r2), ("P1", p1), ("P2", p2)))
    paths = [
        _write(tmp_path, _opencv_pair("M"), "intrinsics.yml", OPENCV),
        _write(tmp_path, RT + given, "extrinsics.yml", OPENCV),
    ][:: -1 if swap else 1]
    cv2.imwrite(str(tmp_path / "l.png"), np.zeros((height, width), np.uint8))
    rig = read_camera(*paths, image=tmp_path / "l.png")
    _check_rig(rig)
    np.testing.assert_allclose(rig.left.p, p1)
    with pytest.raises(CalibrationError, match="image_width"):
        read_camera(*paths)


def test_four_opencv_coefficients_are_not_guessed(tmp_path):
    text = f"image_size: [320, 188]\nK: {_matrix(K['left'])}D: {_matrix(FISHEYE['left'])}"
    with pytest.raises(CalibrationError, match=r"c\.yaml.*fisheye.*distortion_model"):
        read_camera(_write(tmp_path, text, header=OPENCV))


# kalibr, TUM-VI, EuRoC


@pytest.mark.parametrize("key", ["dist_coeff", "dist_coeffs", "dist", "distortion_coeffs", "Distortion"])
def test_the_distortion_has_many_names(tmp_path, key):
    document = {"camera_matrix": K["left"].tolist(), key: [D["left"]], "image_size": list(SIZE_WH)}
    assert read_camera(_write(tmp_path, document)).d.tolist() == D["left"]


@pytest.mark.parametrize("beside", [{}, {"distortion_model": "plumb_bob"}])
def test_a_distortion_of_unknown_name_is_not_left_out(tmp_path, beside):
    width, height = SIZE_WH
    matrix = {"data": K["left"].ravel().tolist()}
    document = {"image_width": width, "image_height": height, "camera_matrix": matrix}
    for key in ("lens_distortion", "coeffs"):
        with pytest.raises(CalibrationError, match=rf"got {key.replace('_', '_?')}: rename it"):
            read_camera(_write(tmp_path, document | beside | {key: D["left"]}))


@pytest.mark.parametrize("key", ["xi", "xi1"])
def test_an_omnidirectional_camera_is_no_pinhole(tmp_path, key):
    document = {"K": K["left"].tolist(), "D": [D["left"]], key: [[1.2]], "image_size": list(SIZE_WH)}
    with pytest.raises(CalibrationError, match="omnidir"):
        read_camera(_write(tmp_path, document))


def _kalibr(side, model="radtan", distortion=D):
    return {
        "camera_model": "pinhole",
        "distortion_coeffs": distortion[side][:4],
        "distortion_model": model,
        "intrinsics": [float(K[side][i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2))],
        "resolution": list(SIZE_WH),
        "rostopic": f"/{side}/image_raw",
    }


@pytest.mark.parametrize("model", ["radtan", "equidistant"])
@pytest.mark.parametrize("extrinsics", ["T_cn_cnm1", "T_cam_imu"])
def test_kalibr_chain_and_that_of_tum_vi(tmp_path, model, extrinsics):
    fisheye = model == "equidistant"
    cam0, cam1 = (_kalibr(side, model, FISHEYE if fisheye else D) for side in ("left", "right"))
    if extrinsics == "T_cn_cnm1":
        cam1["T_cn_cnm1"] = T_RIGHT_LEFT.tolist()
    else:
        cam0["T_cam_imu"], cam1["T_cam_imu"] = T_LEFT_BODY.tolist(), T_RIGHT_BODY.tolist()
    _check_rig(read_camera(_write(tmp_path, {"cam0": cam0, "cam1": cam1})), fisheye)
    alone = read_camera(_write(tmp_path, {"cam0": cam0}))
    assert isinstance(alone, PinholeCamera) and (alone.k == K["left"]).all()


def test_kalibr_takes_the_first_two_of_three_and_says_so(tmp_path, caplog):
    cam1 = {**_kalibr("right"), "T_cn_cnm1": T_RIGHT_LEFT.tolist()}
    with caplog.at_level(logging.WARNING):
        _check_rig(read_camera(_write(tmp_path, {"cam0": _kalibr("left"), "cam1": cam1, "cam2": cam1})))
    assert "cam0 as left and cam1 as right" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("camera_model", "omni", "pinhole, got omni"),
        ("distortion_model", "fov", "distortion_model fov"),
        ("T_cn_cnm1", None, "T_cam_imu"),
        ("T_cn_cnm1", [[1, 0, 0, 0]] * 4, "rotation"),
        ("resolution", [100, 188], "equal size"),
        ("intrinsics", [1, 2], "2 numbers"),
        ("intrinsics", [-250.0, 250.0, 160, 94], "positive focal"),
    ],
)
def test_kalibr_refusals_are_one_sentence(tmp_path, key, value, said):
    cam1 = {**_kalibr("right"), "T_cn_cnm1": T_RIGHT_LEFT.tolist(), key: value}
    if value is None:
        del cam1[key]
    with pytest.raises(CalibrationError, match=said) as caught:
        read_camera(_write(tmp_path, {"cam0": _kalibr("left"), "cam1": cam1}))
    assert "c.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["radial-tangential", "equidistant"])
def test_euroc_pair_of_files(tmp_path, model):
    fisheye = model == "equidistant"
    paths = []
    for side, T in (("left", T_LEFT_BODY), ("right", T_RIGHT_BODY)):
        kalibr = _kalibr(side, model, FISHEYE if fisheye else D)
        kalibr["distortion_coefficients"] = kalibr.pop("distortion_coeffs")
        kalibr["T_BS"] = {"rows": 4, "cols": 4, "data": np.linalg.inv(T).ravel().tolist()}
        paths.append(_write(tmp_path, kalibr, f"{side}.yaml", "%YAML:1.0\n"))
    _check_rig(read_camera(*paths), fisheye)
    single = read_camera(paths[0])
    assert isinstance(single, PinholeCamera) and (single.k == K["left"]).all()
    with pytest.raises(CalibrationError, match="swapped"):
        read_camera(*paths[::-1])


# KITTI

P_KITTI = {0: 0.0, 1: -386.1, 2: 45.4, 3: -337.3}


def _line(key, values):
    return f"{key}: " + " ".join(f"{value:.12e}" for value in np.ravel(values)) + "\n"


def _p(number, fx=718.856):
    return np.array([[fx, 0, 607.2, P_KITTI[number]], [0, fx, 185.2, 0.1 * number], [0, 0, 1, 0.002]])


def _image(folder, size_wh=(124, 37)):
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "000000.png"), np.zeros(size_wh[::-1], np.uint8))
    return folder / "000000.png"


@pytest.mark.parametrize(
    ("folder", "pair"), [("image_0", (0, 1)), ("image_1", (0, 1)), ("image_2", (2, 3)), ("left", (2, 3))]
)
def test_kitti_calib_takes_the_pair_of_the_folder_else_colour(tmp_path, caplog, folder, pair):
    text = "".join(_line(f"P{number}", _p(number)) for number in range(4)) + _line("Tr", np.eye(4)[:3])
    path = _write(tmp_path, text, "calib.txt")
    with caplog.at_level(logging.WARNING):
        rig = read_camera(path, image=_image(tmp_path / folder))
    assert rig.baseline_m == pytest.approx((P_KITTI[pair[0]] - P_KITTI[pair[1]]) / 718.856)
    assert rig.left.image_size_wh == (124, 37) and rig.left.rectified
    assert rig.left.fx == 718.856 and rig.left.cx == 607.2 and rig.left.p[0, 3] == 0
    assert ("colour cameras 2 and 3" in caplog.text) == (folder == "left")
    with pytest.raises(CalibrationError, match="image size"):
        read_camera(path)


def _kitti_raw_text():
    text = "calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.950000e-02\n"
    width, height = SIZE_WH
    r1, r2, p1, p2, *_ = cv2.stereoRectify(
        K["left"], np.array(D["left"]), K["right"], np.array(D["right"]), SIZE_WH, R_RIGHT_LEFT,
        T_RIGHT_LEFT[:3, 3], alpha=0,
    )  # fmt: skip
    for number, side, r, p in ((2, "left", r1, p1), (3, "right", r2, p2)):
        p = p.copy()
        p[0, 3] += 0.06 * p[0, 0]  # in the frame of camera 0, which stands to the right of camera 2
        for key, value in (
            ("S", (width, height)), ("K", K[side]), ("D", D[side]), ("R", np.eye(3)), ("T", np.zeros(3)),
            ("S_rect", (width - 20, height - 12)), ("R_rect", r), ("P_rect", p),
        ):  # fmt: skip
            text += _line(f"{key}_0{number}", value)
    return text


def test_kitti_raw_recordings_by_the_size_of_their_images(tmp_path):
    path = _write(tmp_path, _kitti_raw_text(), "calib_cam_to_cam.txt")
    _check_rig(read_camera(path, image=_image(tmp_path / "image_02" / "data", SIZE_WH)))
    rectified = read_camera(path, image=_image(tmp_path / "image_02" / "data", (300, 176)))
    assert rectified == read_camera(path)
    assert rectified.left.rectified and rectified.left.image_size_wh == (300, 176)
    assert rectified.baseline_m == pytest.approx(np.linalg.norm(T_RIGHT_LEFT[:3, 3]))
    with pytest.raises(CalibrationError, match=r"calib_cam_to_cam\.txt.*\(31, 17\)"):
        read_camera(path, image=_image(tmp_path / "x", (31, 17)))
    with pytest.raises(CalibrationError, match="lacks the cameras"):
        read_camera(path, image=_image(tmp_path / "image_00", SIZE_WH))


# Files that are none of these


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("a: 1\nb: 2", CalibrationError, "kalibr.*KITTI.*the keys a, b"),
        ("a: !!python/object/apply:os.getcwd []", DataError, "not YAML that can be read"),
        ("[" * 5000, DataError, "nested"),
        ("a: " + "x" * (1 << 20), DataError, "at most 1048576 bytes"),
        ("a: &a [*a, *a]", DataError, "an alias"),
        (
            "a0: &a0 [1, 1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40)),
            DataError,
            "values",
        ),
        ("P0: 1 2 3\nP1: 1 2 3", CalibrationError, "3 numbers"),
        ("P0: a b c\nP1: 1 2 3", CalibrationError, "a b c|convert"),
        ("cam0: {intrinsics: [1, 2, 3, 4]}", CalibrationError, "no 'resolution'"),
        ("left: 1\nright: 2", CalibrationError, "camera_info"),
        ("K: [1, 2]\nD: 5", CalibrationError, "2 numbers"),
        ("width: 4\nheight: 3\nk: 1\nd: 2\np: 3\nr: 4", CalibrationError, "numbers"),
    ],
)
def test_what_is_no_calibration_is_one_sentence(tmp_path, text, error, said):
    path = _write(tmp_path, text)
    with pytest.raises(error, match=said) as caught:
        read_camera(path, image=_image(tmp_path / "x"))
    assert "c.yaml" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_device_without_end_is_refused():
    with pytest.raises(DataError, match="regular file"):
        read_camera("/dev/zero")
