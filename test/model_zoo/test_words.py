from __future__ import annotations

from recon3d_ros.model_zoo.manifest_file import manifest_from_dict
from recon3d_ros.model_zoo.registry import find_model, list_models
from recon3d_ros.model_zoo.templates import templates
from recon3d_ros.model_zoo.words import describe, of_default_mono


def words_of(name: str) -> str:
    template = templates()[name]
    document = {"name": name, "task": template.task, "input": template.input, "output": template.output}
    return "\n".join(describe(manifest_from_dict({**document, "licence": {"weights": "MIT"}})))


def test_the_contract_in_words() -> None:
    metric3d = words_of("metric3d_v2")
    assert "pixels 0 to 255 become 0 to 255" in metric3d
    assert (
        "any multiple of 14, at most 1064x616; images keep their shape, padding at center with grey"
        in metric3d
    )
    assert "(y) * fx / 1000, fx of the network's input" in metric3d
    assert "value: 1 / (1.85 y + 0.00185185)" in words_of("monodepth2")
    assert "pixels 0 to 255 become -1 to 1" in words_of("ess")
    assert "become -2.118 to 2.249, -2.036 to 2.429, -1.804 to 2.64" in words_of("hsmnet")
    unidepth = words_of("unidepth_v2_camera")
    assert "pts_3d, NCHW float32, channel 2: depth in metres" in unidepth
    assert "confidence: confidence, an error, lower is better, 1 is the worst" in unidepth
    assert "further input: rays gets rays" in unidepth
    assert "no depth: where sky is above 0.3, depth is out of range" in words_of("depth_anything_v3_metric")
    assert "NCHW float32, grey, left and right stacked" in words_of("hitnet_eth3d")
    assert "value: 1 / (y), where y" in words_of("jetson_inference_fcn_mobilenet")


def test_what_to_expect_of_the_default_for_one_camera() -> None:
    manifest = find_model("auto", stereo=False)
    line = of_default_mono(manifest)
    score = next(item for item in manifest.accuracy if item.data == "nyuv2").metrics["abs_rel"]
    assert line.startswith(f"recon3d_mono is small: mean error of depth {100 * score:.0f} % on nyuv2, ")
    assert "recon3d models add" in line


def test_every_model_of_the_installation_has_words() -> None:
    for manifest in list_models()[0]:
        assert len(describe(manifest)) > 4
