"""Every template against a graph of exactly the published inputs and outputs that reads a painted value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from recon3d_ros.backends.inspection import OnnxFile
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ManifestError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig
from recon3d_ros.model_zoo.registry import sha256_of
from recon3d_ros.model_zoo.signature import Signature
from recon3d_ros.model_zoo.templates import contract_by, find_template, recognised, similar, templates
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from test.published import HALF, RAW, UNIT, Graph, Published, expected, write

pytest.importorskip("onnxruntime")

WIDTH, HEIGHT, FX, FY = 84, 60, 70.0, 55.0
FREE = (1, 3, "h", "w")


def fixed(width: int, height: int, channels: int = 3) -> tuple:
    return (1, channels, height, width)


def focal(
    factor: float, *, inverse: bool = False, net_wh: tuple[int, int] = (WIDTH, HEIGHT), axis: str = "x"
):  # type: ignore[no-untyped-def]
    """The output of a network whose depth is right at one focal length, for the camera of this test."""
    x, y = FX * net_wh[0] / WIDTH, FY * net_wh[1] / HEIGHT
    f = x if axis == "x" else (x + y) / 2
    return lambda g, v: g.over(v, f / factor) if inverse else g.times(v, factor / f)


def over_affine(low: float, gain: float, metres: float = 1.0):  # type: ignore[no-untyped-def]
    """y where the depth v is metres / (low + gain y)."""
    return lambda g, v: g.times(g.op("Sub", g.over(v, metres), g.constant(low)), 1 / gain)


def points(g: Graph, v: str) -> str:
    """X, Y and Z, of which X and Y are other numbers."""
    return g.op("Concat", g.times(v, 0.3), g.times(v, -0.2), v, axis=1)


def flow(sign: float):  # type: ignore[no-untyped-def]
    return lambda g, v: g.op("Concat", g.times(v, sign), g.times(v, 0.1), axis=1)


def top_right(columns: int, rows: int) -> tuple[int, int]:
    return 0, rows


def around(columns: int, rows: int) -> tuple[int, int]:
    return columns // 2, rows // 2


def bottom_right(columns: int, rows: int) -> tuple[int, int]:
    return 0, 0


def pair(shape: tuple, left: str = "left", right: str = "right") -> dict[str, tuple]:
    return {left: shape, right: shape}


MONODEPTH = {"inputs": {"image": fixed(640, 192)}, "outputs": {"disp": "NCHW"}, "norm": UNIT}
UNIDEPTH = {
    "outputs": {"pts_3d": "NCHW", "confidence": "NCHW", "intrinsics": "NCHW"},
    "answer": points,
    "channels": 3,
    "constants": {"confidence": 0.25, "intrinsics": 1.0},
}
HITNET = {"outputs": {"reference_output_disparity": "NHWC"}, "norm": UNIT}
# What the original code does, read from the sources that the templates cite.
NETWORKS = {
    "depth_anything_relative": Published({"image": FREE}, {"depth": "NHW"}),
    "depth_anything_v2_metric_indoor": Published({"image": FREE}, {"depth": "NHW"}),
    "depth_anything_v2_metric_outdoor": Published({"pixel_values": FREE}, {"predicted_depth": "NHW"}),
    "depth_anything_v3_metric": Published(
        {"image": fixed(504, 280)},
        {"depth": "NCHW", "sky": "NCHW"},
        answer=focal(300.0, net_wh=(504, 280), axis="mean"),
        constants={"sky": 0.1},
    ),
    "midas_dpt": Published({"image": fixed(384, 384)}, {"depth": "NHW"}, norm=HALF),
    "midas_small": Published({"image": fixed(256, 256)}, {"depth": "NHW"}),
    "zoedepth": Published({"pixel_values": fixed(512, 384)}, {"predicted_depth": "NHW"}, norm=HALF),
    "glpn": Published({"pixel_values": FREE}, {"predicted_depth": "NHW"}, norm=UNIT),
    "depth_pro": Published(
        {"input": fixed(1536, 1536)},
        {"canonical_inverse_depth": "NCHW", "fov_deg": "NCHW"},
        norm=HALF,
        constants={"fov_deg": 60.0},
        answer=focal(WIDTH, inverse=True),  # depth = f_px / (W y), both of the picture itself
    ),
    "metric3d_v2": Published(
        {"pixel_values": FREE},
        {"predicted_depth": "NHW", "predicted_normal": "NCHW", "normal_confidence": "NHW"},
        norm=RAW,
        answer=focal(1000.0),
        padding=around,
        constants={"predicted_normal": 0.5, "normal_confidence": 0.5},
    ),
    "unidepth_v2": Published({"rgbs": fixed(98, 70)}, **UNIDEPTH),
    "unidepth_v2_camera": Published({"rgbs": fixed(98, 70), "rays": fixed(98, 70)}, **UNIDEPTH),
    "monodepth2": Published(**MONODEPTH, answer=over_affine(0.01, 9.99, 5.4)),
    "monodepth2_mono": Published(**MONODEPTH, answer=over_affine(0.01, 9.99)),
    "lite_mono": Published(**MONODEPTH, answer=over_affine(0.01, 9.99)),
    "fastdepth": Published({"image": fixed(224, 224)}, {"depth": "NCHW"}, norm=UNIT),
    "jetson_inference_fcn_mobilenet": Published({"input_0": fixed(224, 224)}, {"output_0": "NCHW"}),
    "ess": Published(
        pair(fixed(960, 576), "input_left", "input_right"),
        {"output_left": "NHW", "output_conf": "NHW"},
        norm=HALF,
        constants={"output_conf": 0.7},
    ),
    "foundation_stereo": Published(pair(fixed(672, 448)), {"disp": "NCHW"}, norm=RAW),
    "foundation_stereo_isaac": Published(
        pair(fixed(736, 320), "left_image", "right_image"), {"disparity": "NCHW"}
    ),
    "openstereo": Published(pair(FREE, "left_img", "right_img"), {"disp_pred": "NHW"}, padding=top_right),
    "lightstereo": Published(pair(FREE, "left_img", "right_img"), {"disp_pred": "NCHW"}, padding=top_right),
    "raft_stereo": Published(
        pair(FREE), {"output": "NCHW"}, norm=RAW, answer=lambda g, v: g.times(v, -1.0), padding=around
    ),
    "crestereo": Published(
        pair(fixed(320, 240)), {"output": "NCHW"}, norm=RAW, order="bgr", answer=flow(1.0), channels=2
    ),
    "crestereo_combined": Published(
        pair(fixed(160, 128), "init_left", "init_right") | pair(fixed(320, 256), "next_left", "next_right"),
        {"next_output": "NCHW"},
        norm=RAW,
        order="bgr",
        answer=flow(1.0),
        channels=2,
    ),
    "hitnet": Published({"input": fixed(320, 240, 6)}, **HITNET),
    "hitnet_eth3d": Published({"input": fixed(320, 240, 2)}, order="mono", **HITNET),
    "hitnet_xl": Published(
        {"input": fixed(320, 256, 6)},
        {"reference_output_disparity": "NHWC", "secondary_output_disparity": "NHWC"},
        norm=UNIT,
        constants={"secondary_output_disparity": 3.0},
    ),
    "mobilestereonet": Published(pair(FREE), {"disparity": "NHW"}, padding=top_right),
    "fast_acv": Published(pair(FREE, "left_image", "right_image"), {"output": "NHW"}, padding=top_right),
    "anynet": Published(pair(FREE), {"disparity": "NCHW"}, padding=top_right),
    "hsmnet": Published(
        pair(FREE),
        {"disparity": "NHW", "entropy": "NHW"},
        padding=top_right,
        constants={"entropy": np.log(192) / 4},
    ),
    "s2m2": Published(
        pair(("uint8", 3, "h", "w"), "input_left", "input_right"),
        {"output_disp": "NCHW", "output_occ": "NCHW", "output_conf": "NCHW"},
        norm=RAW,
        padding=bottom_right,
        constants={"output_occ": 0.9, "output_conf": 0.6},
    ),
    "igev": Published(pair(FREE), {"disparity": "NCHW"}, norm=RAW, padding=around),
    "stereonet": Published(
        {"image": (1, 2, "h", "w")}, {"disparity": "NCHW"}, norm=UNIT, order="mono", padding=bottom_right
    ),
}
# What the confidence of a network above means, 0 to 1.
CONFIDENCES = {"unidepth_v2": 0.75, "unidepth_v2_camera": 0.75, "ess": 0.7, "hsmnet": 0.75, "s2m2": 0.6}


def painted() -> list[np.ndarray]:
    """A pair of ramps: red along, green down, blue the same everywhere; the right one is another."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    left = np.stack([40 + 2 * u, 30 + 3 * v, np.full_like(u, 77)], axis=2)
    right = np.stack([210 - 2 * u, 20 + 2 * v, np.full_like(u, 140)], axis=2)
    return [left.astype(np.uint8), right.astype(np.uint8)]


def manifest_of(name: str, folder: Path) -> Path:
    """Write graph and manifest, as `recon3d models add --as` does."""
    file = folder / f"{name}.onnx"
    write(NETWORKS[name], file)
    contract = contract_by(find_template(name), OnnxFile(file).signature)
    artifacts = [{"file": file.name, "sha256": sha256_of(file)}]
    document = {"name": name, **contract, "artifacts": artifacts, "licence": {"weights": "none"}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder / f"{name}.yaml"


def test_every_template_is_in_the_table_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "published-models.md").read_text(encoding="utf-8")
    for name, template in templates().items():
        assert (
            f"| {template.title} | " in page
            and f"]({template.source}) | `{name}` | {template.licence} |" in page
        )


def test_every_template_has_its_graph() -> None:
    assert set(NETWORKS) == set(templates())
    for template in templates().values():
        assert template.source.startswith("https://") and template.how and template.licence and template.title


@pytest.mark.parametrize("name", NETWORKS)
def test_the_value_comes_back(name: str, tmp_path: Path) -> None:
    network, images = NETWORKS[name], painted()
    path = manifest_of(name, tmp_path)
    left = PinholeCamera.simple(WIDTH, HEIGHT, FX, fy=FY)
    with Estimator.open(ModelConfig(model=str(path), threads=1)) as estimator:
        contract, stereo = estimator.manifest.input, estimator.is_stereo
        rig = StereoRig.simple(WIDTH, HEIGHT, fx=FX, baseline_m=0.2) if stereo else None
        frame = Frame(0, images[0], rig.left if rig else left, images[1] if rig else None, rig)
        got = estimator.estimate_raw(frame)
        confidence = estimator.estimate(frame).confidence
    step = contract.multiple_of or 1
    network_wh = contract.size_wh or tuple(-(-side // step) * step for side in (WIDTH, HEIGHT))
    want = expected(network, images[: 2 if stereo else 1], network_wh)
    if name == "unidepth_v2_camera":
        want += 0.1 * (np.arange(WIDTH) - (WIDTH - 1) / 2) / FX
    if name in ("jetson_inference_fcn_mobilenet", "monodepth2_mono", "lite_mono"):
        want = 1 / want
    if stereo and network.padding is None:
        want *= WIDTH / network_wh[0]
    # Of a resized picture the outermost pixels are repeated, and colours are rounded to whole levels.
    edge = 0 if network.padding is not None else 3
    inner = (slice(edge, HEIGHT - edge), slice(edge, WIDTH - edge))
    error = np.abs(got - want)[inner] / want[inner]
    assert np.median(error) < 0.002 and error.max() < (
        0.001 if edge == 0 and network.order != "mono" else 0.02
    )
    if name in CONFIDENCES:
        np.testing.assert_allclose(confidence, CONFIDENCES[name], rtol=1e-5)


def test_names_that_only_one_network_has_are_recognised(tmp_path: Path) -> None:
    """And those that many have are not: who is asked has to say which."""
    for name, network in NETWORKS.items():
        write(network, tmp_path / "x.onnx")
        signature = OnnxFile(tmp_path / "x.onnx").signature
        known = recognised(signature)
        assert (known.name if known else None) == (name if find_template(name).distinctive else None), name
        if not set(network.inputs) & {"pixel_values"}:
            assert name in [template.name for template in similar(signature)]


def test_a_model_of_transformers_can_be_any_of_them() -> None:
    names = [template.name for template in similar(_of_transformers())]
    assert {"zoedepth", "glpn", "midas_dpt", "depth_anything_v2_metric_indoor"} <= set(names)
    assert recognised(_of_transformers()) is None


def _of_transformers() -> Signature:
    image = TensorSpec("pixel_values", "float32", (1, 3, 384, 512))
    return Signature((image,), (TensorSpec("predicted_depth", "float32", (1, 384, 512)),))


def test_a_file_that_is_no_such_network() -> None:
    image, depth = (
        TensorSpec("image", "float32", (1, 3, 64, 96)),
        TensorSpec("depth", "float32", (1, 1, 64, 96)),
    )
    signature = Signature((image,), (depth,))
    for name, message in (
        ("raft_stereo", "expected 2 input images, got image float32"),
        ("unidepth_v2", "expected an output of 3 channels"),
        ("hitnet", "expected 6 channels"),
        ("unidepth_v2_camera", "expected 1 inputs beside the images"),
    ):
        with pytest.raises(ManifestError, match=message):
            contract_by(find_template(name), signature)
    with pytest.raises(ManifestError, match="no template 'raft', the nearest is raft_stereo"):
        find_template("raft")
