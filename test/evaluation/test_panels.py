"""Pictures have the tiles they promise, in the colours they promise."""

from __future__ import annotations

import numpy as np

from recon3d_ros.evaluation.panels import MISSING_RGB, compare, plot, sheet
from recon3d_ros.evaluation.reliability import DISPARITY_ERROR, ReliabilityCollector
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, Sample, StereoRig

HEIGHT, WIDTH, TITLE = 40, 60, 22
RIG = StereoRig.simple(WIDTH, HEIGHT, 100.0, 0.2)


def stereo(truth):
    image = np.full((HEIGHT, WIDTH), 77, np.uint8)
    return Sample(Frame(0, image, RIG.left, image, RIG, "f"), truth, None, "f")


def prediction(disparity, confidence=None):
    return DepthMap(RIG.depth_from_disparity(disparity), RIG.left, disparity, confidence)


def test_a_row_per_method_beside_its_error():
    truth = np.tile(np.linspace(5, 20, WIDTH, dtype=np.float32), (HEIGHT, 1))
    truth[:3] = np.nan
    got = truth.copy()
    got[:3] = 9.0
    got[10:20] += 6.0
    got[20:25] = np.nan
    picture = compare(stereo(truth), [("ours", prediction(got)), ("other", prediction(truth + 0))])
    assert picture.shape == (3 * (HEIGHT + TITLE), 2 * WIDTH, 3)
    assert (picture[TITLE:HEIGHT, :WIDTH] == 77).all()
    error = picture[HEIGHT + 2 * TITLE : 2 * (HEIGHT + TITLE), WIDTH:]
    assert not error[:3].any()  # no truth
    assert (error[20:25] == MISSING_RGB).all()
    assert (error[12, :, 0] > 100).all() and (error[12, :, 2] < 100).all()  # red: 6 px
    assert (error[30, :, 2] > error[30, :, 0]).all()  # blue: right
    assert (picture[-10, :WIDTH] == picture[HEIGHT + TITLE - 10, WIDTH:]).all()  # an answer like the truth


def test_without_truth_the_right_image_stands_in_its_place():
    plane = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    picture = compare(stereo(None), [("ours", prediction(plane)), ("sgbm", prediction(plane))])
    assert picture.shape == (2 * (HEIGHT + TITLE), 2 * WIDTH, 3)
    assert (picture[TITLE:HEIGHT, WIDTH:] == 77).all()


CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 50.0)


def mono(near_m, with_truth=True):
    """A ramp of depth, unknown in its upper rows."""
    depth = np.tile(np.linspace(near_m, 4 * near_m, WIDTH, dtype=np.float32), (HEIGHT, 1))
    depth[:8] = np.nan
    image = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
    return Sample(Frame(0, image, CAMERA, name="m"), None, depth if with_truth else None, "m"), depth


def test_depth_of_one_camera():
    sample, depth = mono(1.0)
    sample.depth[8:16] = np.inf
    picture = compare(sample, [("mono", DepthMap(depth * 2, CAMERA))])
    assert picture.shape == (2 * (HEIGHT + TITLE), 2 * WIDTH, 3)
    error = picture[HEIGHT + 2 * TITLE :, WIDTH:]
    assert not error[:16].any()  # a sky has no depth
    assert (error[20:, :, 0] > 100).all() and (error[20:, :, 2] < 60).all()  # red: twice the truth
    assert (picture[TITLE + 20, WIDTH:] != picture[HEIGHT + 2 * TITLE + 20, :WIDTH]).any()


def test_a_sheet_has_a_row_per_frame_and_the_same_colour_for_the_same_share():
    """Twice the truth is red in every row, whatever its metres; a right answer is blue; none is magenta."""
    (near, near_depth), (far, far_depth) = mono(0.5), mono(4.0)
    missing = far_depth.copy()
    missing[20:] = np.nan
    rows = [
        [("right", DepthMap(near_depth, CAMERA)), ("double", DepthMap(near_depth * 2, CAMERA))],
        [("right", DepthMap(missing, CAMERA)), ("double", DepthMap(far_depth * 2, CAMERA))],
    ]
    picture = sheet([near, far], rows)
    tile_h, tile_w = 160 + TITLE, 240
    assert picture.shape == (2 * tile_h + 2 * TITLE, 6 * tile_w, 3)

    def colour(row, column, at=0.5):
        return picture[row * tile_h + TITLE + int(at * 160), column * tile_w + tile_w // 2].astype(int)

    assert (abs(colour(0, 0) - 99) <= 1).all()
    for row in (0, 1):
        red, green, blue = colour(row, 5)
        assert red > 100 > blue and green < 60
        assert not colour(row, 5, at=0.1).any()  # no truth
    assert colour(0, 3)[0] < 80 and (colour(0, 1) == colour(0, 2)).all()
    assert (colour(1, 3, at=0.8) == MISSING_RGB).all()


def test_a_sheet_of_many_methods_stays_small_and_needs_no_truth():
    sample, depth = mono(1.0, with_truth=False)
    assert sheet([sample], [[("one", DepthMap(depth, CAMERA))]]).shape[1] == 2 * 240
    sample, depth = mono(1.0)
    many = sheet([sample], [[(str(i), DepthMap(depth, CAMERA)) for i in range(9)]])
    assert 2000 < many.shape[1] <= 2400


def test_curves_are_drawn_in_a_colour_of_their_own():
    rng = np.random.default_rng(0)
    truth = rng.uniform(2, 30, (HEIGHT, WIDTH)).astype(np.float32)
    confidence = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    got = truth + (8 * (1 - confidence)).astype(np.float32)
    curves = []
    for name in ("a", "b"):
        collector = ReliabilityCollector(DISPARITY_ERROR)
        collector.add(stereo(truth), prediction(got, confidence))
        curves.append(collector.result("set", name, "fp32"))
    one, two = plot(curves[:1]), plot(curves)
    assert one.shape == two.shape and one.shape[2] == 3
    colours = [{tuple(colour) for colour in picture.reshape(-1, 3)} for picture in (one, two)]
    assert (200, 60, 40) in colours[0] and (40, 110, 200) not in colours[0]
    assert (40, 110, 200) in colours[1]
