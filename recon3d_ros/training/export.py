"""Write a checkpoint as an ONNX model with its manifest and golden answer, after comparing it with torch."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.backends import open_backend
from recon3d_ros.contract import InputContract, OutputContract
from recon3d_ros.errors import BackendError, OutputError
from recon3d_ros.files import make_folder
from recon3d_ros.manifest import Artifact, Golden, Licence, Manifest, Source, dump_manifest
from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.training.accuracy import held_out_accuracy, read_accuracy
from recon3d_ros.training.calibration import calibrate
from recon3d_ros.training.checkpoint import WEIGHTS, load_network, save_checkpoint
from recon3d_ros.training.validation import as_tensor
from recon3d_ros.zoo import sha256_of

OPSET = 17
INPUTS, OUTPUTS = ("left", "right"), ("disparity", "confidence", "sigma_px")
# Rounding may flip which of two equally likely bins wins: a few pixels may differ, not more.
LARGEST_DIFFERENCE_PX = 1e-2
LARGEST_SHARE = 1e-3
# World scenes that neither train nor validate; the sizes differ because H and W must be free in the graph.
GOLDEN_SEED, GOLDEN_SIZE_WH = 900_000, (320, 192)
PARITY_SEED, PARITY_SIZE_WH = 900_001, (416, 256)
CALIBRATION_SEED, CALIBRATION_SIZE_WH = 800_000, (640, 384)

Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Exported:
    """What was written, and how far ONNX Runtime and torch are apart on the pairs they were compared on.

    `largest_px` is the largest difference of any pixel, `share_apart` the share of pixels (0 to 1) that
    differ by more than `LARGEST_DIFFERENCE_PX`.
    """

    manifest: Manifest
    largest_px: float
    share_apart: float


def export(
    checkpoint: Path,
    out_dir: Path,
    *,
    name: str = "recon3d_stereo",
    accuracy_file: Path | None = None,
    calibration_pairs: int = 32,
) -> Exported:
    """Export the averaged weights of a checkpoint as `<name>.onnx`, `.yaml` and `.golden.npz`.

    `<name>.pt` beside them has these weights for torch: `train --init` starts from it, and it can be exported
    again. Confidence and sigma are calibrated first, on scenes of their own. All is written and compared in
    a draft folder; `out_dir` gets the files only if they agree with torch.

    Args:
        checkpoint: Written by `train`.
        out_dir: Receives the files.
        name: Of the model.
        accuracy_file: JSON of `recon3d evaluate` for a model of this name, to be told in the manifest.
        calibration_pairs: How many scenes calibrate; 0 leaves confidence and sigma as trained.

    Raises:
        ArtifactError: The checkpoint is missing or corrupt.
        DataError: The accuracy file is none of `recon3d evaluate`, or says nothing about this model.
        BackendError: The exported graph answers differently from torch.
        OutputError: A file cannot be written.
    """
    network, content = load_network(checkpoint)
    if calibration_pairs:
        calibrate(network, calibration_scenes(calibration_pairs, network.config.largest_px))
    accuracy = held_out_accuracy(content) + (read_accuracy(accuracy_file, name) if accuracy_file else ())
    golden = world_pair(GOLDEN_SEED, GOLDEN_SIZE_WH)
    make_folder(out_dir)
    try:
        with tempfile.TemporaryDirectory(dir=out_dir, prefix=".export-") as folder:
            draft = replace(
                describe(network, content, name), accuracy=accuracy, path=Path(folder) / f"{name}.yaml"
            )
            draft = write_onnx(network, draft, golden)
            answers, largest, apart = compare(
                network, draft, [golden, world_pair(PARITY_SEED, PARITY_SIZE_WH)]
            )
            draft = write_golden(draft, golden, answers[0])
            weights = {key: content[key] for key in WEIGHTS} | {"average": network.state_dict()}
            save_checkpoint(Path(folder) / f"{name}.pt", weights)
            # The manifest last: it names the sums of the others.
            files = [f"{name}.pt", f"{name}.onnx", f"{name}.golden.npz", f"{name}.yaml"]
            dump_manifest(draft, Path(folder) / files[-1])
            for file in files:
                (Path(folder) / file).replace(out_dir / file)
    except OSError as exc:
        raise OutputError(
            f"cannot write the model to {out_dir} ({exc}): free the disk or choose another place"
        ) from exc
    return Exported(replace(draft, path=out_dir / files[-1]), largest, apart)


def describe(network: StereoNetwork, content: dict[str, Any], name: str) -> Manifest:
    """The manifest of a network without its files: contracts, licence, origin."""
    parameters = sum(p.numel() for p in network.parameters())
    return Manifest(
        name=name,
        task="stereo_disparity",
        description=f"stereo network of 2-D convolutions, {parameters / 1e6:.2f} M parameters",
        input=InputContract(INPUTS, scale=1.0 / 255.0, multiple_of=network.MULTIPLE_OF),
        output=OutputContract(
            OUTPUTS[0],
            "px",
            confidence=OUTPUTS[1],
            sigma=OUTPUTS[2],
            max_disparity_px=_largest_px(network),
        ),
        licence=Licence("Apache-2.0", (Source("procedural world of recon3d_ros", "Apache-2.0"),)),
        origin=_origin(content),
    )


def _largest_px(network: StereoNetwork) -> float:
    # All that is nearer gathers in the last bin, so an answer within half a bin of it may be anything nearer.
    return network.config.step_px * (network.config.bins - 1.5)


def _origin(content: dict[str, Any]) -> str:
    run = content["run"]
    return (
        f"recon3d train --network {content['network']}: {content['step']} steps of {run['batch']} crops of "
        f"{run['width']}x{run['height']} px, {content['seconds'] / 60:.0f} minutes on {run['device']}, "
        f"seed {run['seed']}"
    )


def write_onnx(network: StereoNetwork, manifest: Manifest, example: Images) -> Manifest:
    """Write the graph beside the manifest, with free N, H and W; returns the manifest with the artifact."""
    path = manifest.file_path(f"{manifest.name}.onnx")
    axes = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but needs no further package and keeps the graph plain.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            _tensors(example),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={key: axes for key in (*INPUTS, *OUTPUTS)},
        )
    return replace(manifest, artifacts=(Artifact(path.name, sha256_of(path)),))


def compare(
    network: StereoNetwork, manifest: Manifest, pairs: Sequence[Images]
) -> tuple[list[NDArray[np.float32]], float, float]:
    """Answer pairs with ONNX Runtime and with torch.

    Returns:
        The disparities of ONNX Runtime, (1, 1, H, W) px each; the largest difference of any pixel in px; the
        share of values, of all outputs, that differ by more than `LARGEST_DIFFERENCE_PX` (or that share of
        a sigma, or that confidence).

    Raises:
        BackendError: More than `LARGEST_SHARE` of them do.
    """
    backend = open_backend("onnxruntime", manifest)
    try:
        feeds = [dict(zip(INPUTS, (tensor.numpy() for tensor in _tensors(pair)))) for pair in pairs]
        answers = [backend.infer(feed) for feed in feeds]
    finally:
        backend.close()
    with torch.no_grad():
        truths = [dict(zip(OUTPUTS, (t.numpy() for t in network(*_tensors(pair))))) for pair in pairs]
    both = list(zip(answers, truths))
    apart = {key: np.concatenate([np.abs(a[key] - t[key]).ravel() for a, t in both]) for key in OUTPUTS}
    largest = float(apart["disparity"].max())
    apart["sigma_px"] /= np.concatenate([np.maximum(t["sigma_px"], 1.0).ravel() for t in truths])
    # NaN is apart, too.
    share = max(float((~(values <= LARGEST_DIFFERENCE_PX)).mean()) for values in apart.values())
    if share > LARGEST_SHARE:
        raise BackendError(
            f"expected ONNX Runtime to answer as torch does, got {100 * share:.1f} % of the pixels apart by "
            f"more than {LARGEST_DIFFERENCE_PX} px (largest {largest:.3f} px): find the operator"
        )
    return [answer["disparity"] for answer in answers], largest, share


def write_golden(manifest: Manifest, pair: Images, expected: NDArray[np.float32]) -> Manifest:
    """Write the golden answer beside the manifest; returns the manifest that names it."""
    path = manifest.file_path(f"{manifest.name}.golden.npz")
    buffer = BytesIO()
    np.savez_compressed(buffer, left=pair[0], right=pair[1], expected=expected)
    path.write_bytes(buffer.getvalue())
    return replace(manifest, golden=Golden(path.name, sha256_of(path)))


def calibration_scenes(
    count: int, largest_px: float
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]]:
    """Left, right and true disparity of scenes of the world, (H, W) px.

    Training scenes are made to be harder than what a camera mostly sees, so every second one is a place to
    walk through instead.
    """
    for seed in range(CALIBRATION_SEED, CALIBRATION_SEED + count):
        if seed % 2:
            kind = ("indoor", "outdoor")[seed // 2 % 2]
            sample = world.WorldCamera(seed, kind, CALIBRATION_SIZE_WH).sample(seed)
        else:
            sample = world.training_sample(seed, CALIBRATION_SIZE_WH, largest_px)
        assert sample.frame.right is not None and sample.disparity is not None
        yield sample.frame.image, sample.frame.right, sample.disparity


def world_pair(seed: int, size_wh: tuple[int, int]) -> Images:
    """Left and right (H, W, 3) uint8 RGB of a scene of the world."""
    frame = world.training_sample(seed, size_wh, 96.0).frame
    assert frame.right is not None
    return frame.image, frame.right


def _tensors(pair: Images) -> tuple[torch.Tensor, torch.Tensor]:
    left, right = (as_tensor(image, torch.device("cpu")).contiguous() for image in pair)
    return left, right
