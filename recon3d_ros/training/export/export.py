"""Write a checkpoint as an ONNX model with its manifest and golden output, after comparing it with torch."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from recon3d_ros import world
from recon3d_ros.backends import open_backend
from recon3d_ros.convert.graph import half_weights, load
from recon3d_ros.errors import BackendError, ConfigError, ModelError, OutputError
from recon3d_ros.files import make_folder
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.manifest import Artifact, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest
from recon3d_ros.model_zoo.registry import sha256_of
from recon3d_ros.networks import task_of
from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.serving import self_check
from recon3d_ros.training.export.calibration import calibrate
from recon3d_ros.training.export.clouds import (
    compare_clouds,
    known_clouds,
    write_golden_cloud,
    write_graph,
)
from recon3d_ros.training.export.description import describe, held_out_accuracy, read_accuracy
from recon3d_ros.training.export.fixed_graph import write_golden_arrays
from recon3d_ros.training.export.shapes import (
    compare_shapes,
    known_views,
    write_golden_shape,
    write_shape_graph,
)
from recon3d_ros.training.run.checkpoint import EXTRA, WEIGHTS, load_network, save_checkpoint
from recon3d_ros.training.samples.tasks import as_tensor

OPSET = 17
# Rounding may flip which of two equally likely bins wins: a few pixels may differ, not more. In px or m.
LARGEST_DIFFERENCE = 1e-2
LARGEST_SHARE = 1e-3
# World scenes that neither train nor validate: the golden one, and one to compare on. Sizes of pairs differ
# because H and W must be free in the graph; a mono model has one size.
KNOWN_SEEDS = (900_000, 900_001)
KNOWN_SIZES_WH = ((320, 192), (416, 256))
# One component of a path, on any system.
NAME = re.compile(r"\w[\w.+ -]*")
# Options of a run that name places of the machine it ran on.
PLACES = ("out", "init", "pairs", "teacher")
Images = tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how far ONNX Runtime and torch are apart on the images they were compared on.

    `largest` is the largest difference of any pixel, in the unit of the output; `share_apart` the share of
    pixels (0 to 1) that differ by more than `LARGEST_DIFFERENCE`.
    """

    manifest: Manifest
    largest: float
    share_apart: float


def export(
    checkpoint: Path,
    out_dir: Path,
    *,
    name: str | None = None,
    force: bool = False,
    accuracy_file: Path | None = None,
    calibration_pairs: int = 32,
    others: Sequence[Path] = (),
) -> ExportResult:
    """Export the averaged weights of a checkpoint as `<name>.onnx`, `.yaml` and `.golden.npz`.

    The graph has its weights in half precision and computes in float. `<name>.pt` beside it has them for
    torch: `train --from` starts from it, and it can be exported again. Scale, sub-pixel part, confidence and
    sigma are calibrated first; those of a mono network whose run held out images of few places stay what they
    were, if they were anything. All is written and compared in a draft folder; `out_dir` gets the files only
    if they agree with torch.

    Args:
        checkpoint: Written by `train`.
        out_dir: Receives the files.
        name: Of the model; None = recon3d_ and the network's.
        force: Replace a model of this name.
        accuracy_file: JSON of `recon3d evaluate` for a model of this name, to be written into the manifest.
        calibration_pairs: How many samples calibrate; 0 leaves confidence and sigma as they are.
        others: Checkpoints whose weights are averaged with those of the first.

    Raises:
        ArtifactError: The checkpoint is missing or corrupt.
        ConfigError: No model can have this name, or `out_dir` has one that is to stay.
        DataError: The accuracy file is none of `recon3d evaluate`, or says nothing about this model.
        BackendError: The outputs of the exported graph differ from those of torch.
        OutputError: A file cannot be written.
    """
    network, content = load_network(checkpoint, *others)
    name = name_model(out_dir, name, content["network"], force=force)
    if calibration_pairs and task_of(content["network"]) in ("stereo", "mono"):
        calibrate(network, content, checkpoint.parent, calibration_pairs)
    accuracy = held_out_accuracy(content) + (read_accuracy(accuracy_file, name) if accuracy_file else ())
    described = describe(network, content, name)
    make_folder(out_dir)
    try:
        with tempfile.TemporaryDirectory(dir=out_dir, prefix=".export-") as folder:
            draft = replace(described, accuracy=accuracy, path=Path(folder) / f"{name}.yaml")
            draft, largest, apart = _write_model(network, draft)
            draft = with_half_weights(draft)
            weights = {key: content[key] for key in (*WEIGHTS, *EXTRA) if key in content}
            # Where the run lay is nobody else's business.
            run = {key: value for key, value in content["run"].items() if key not in PLACES}
            save_checkpoint(Path(folder) / f"{name}.pt", weights | {"average": halved(network), "run": run})
            # The manifest last: it names the sums of the others.
            files = [f"{name}.pt", f"{name}.onnx", f"{name}.golden.npz", f"{name}.yaml"]
            dump_manifest(draft, Path(folder) / files[-1])
            for file in files:
                (Path(folder) / file).replace(out_dir / file)
    except OSError as exc:
        raise OutputError(
            f"cannot write the model to {out_dir} ({exc}): free the disk or choose another place"
        ) from exc
    return ExportResult(replace(draft, path=out_dir / files[-1]), largest, apart)


def _write_model(network: torch.nn.Module, draft: Manifest) -> tuple[Manifest, float, float]:
    """Write graph and golden output beside the manifest; the numbers are those of `ExportResult`."""
    if draft.gives_shape:
        views = known_views(draft)
        draft = write_shape_graph(network, draft, views[0])
        shapes, largest, apart = compare_shapes(network, draft, views)
        return write_golden_shape(draft, views[0], shapes[0]), largest, apart
    if draft.labels_points:
        clouds = known_clouds()
        draft = write_graph(network, draft, clouds[0])
        said, largest, apart = compare_clouds(network, draft, clouds)
        return write_golden_cloud(draft, clouds[0], said[0]), largest, apart
    known = known_images(draft.input)
    draft = write_onnx(network, draft, known[0])
    outputs, largest, apart = compare(network, draft, known)
    golden = dict(zip(draft.input.names, known[0])) | {"expected": outputs[0]}
    return write_golden_arrays(draft, golden), largest, apart


def with_half_weights(manifest: Manifest) -> Manifest:
    """Store the weights of the fp32 file in half precision; they are computed with in float as before.

    The golden output becomes that of this file.

    Returns:
        The manifest with the new sums; the one that was given where the output would be another one, as of a
        network that was hardly trained: then they stay in float.
    """
    artifact = manifest.artifact("fp32")
    path = manifest.file_path(artifact.file)
    before, model = path.read_bytes(), load(str(path))
    half_weights(model)
    path.write_bytes(model.SerializeToString())
    others = [other for other in manifest.artifacts if other != artifact]
    done = replace(manifest, artifacts=(replace(artifact, sha256=sha256_of(path)), *others))
    backend = open_backend("onnxruntime", done, precision="fp32")
    try:
        answer = self_check(done, backend)
    except ModelError:
        path.write_bytes(before)
        return manifest
    finally:
        backend.close()
    assert manifest.golden is not None and answer is not None
    with np.load(manifest.file_path(manifest.golden.file)) as golden:
        return write_golden_arrays(done, dict(golden) | {"expected": answer})


def name_model(out_dir: Path, name: str | None, network: str, *, force: bool = False) -> str:
    """The name that a model of `network` is exported by, None = recon3d_ and the network's.

    Raises:
        ConfigError: It cannot be the name of files, or `out_dir` has such a model and `force` is not set.
    """
    name = f"recon3d_{network}" if name is None else name
    if not NAME.fullmatch(name):
        raise ConfigError(
            "expected a name of letters, digits and any of '_.+- ' that begins with a letter, digit or '_', "
            f"got {name!r}: choose another --name, and a folder with --out or --export"
        )
    path = out_dir / f"{name}.yaml"
    if path.exists() and not force:
        raise ConfigError(
            f"expected no model at {path} yet, got one: choose another --name, or replace it with --force"
        )
    return name


def known_images(contract: InputContract) -> list[Images]:
    """Scenes of the world, (H, W, 3) uint8 RGB each: left and right, or one. The first is the golden one.

    No network resizes them.
    """
    task = "stereo" if len(contract.names) == 2 else "mono"
    sizes = (contract.size_wh,) * 2 if contract.size_wh else KNOWN_SIZES_WH
    return [_world_images(task, *known) for known in zip(KNOWN_SEEDS, sizes)]


def _world_images(task: str, seed: int, size_wh: tuple[int, int]) -> Images:
    if task == "mono":
        return (world.view_sample(seed, size_wh).frame.image,)
    frame = world.training_sample(seed, size_wh, 96.0).frame
    assert frame.right is not None
    return frame.image, frame.right


def halved(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state of a network, convolutions and matrices in half precision: half the size to ship."""
    state = network.state_dict()
    return {name: value.half() if value.ndim in (2, 4) else value for name, value in state.items()}


def write_onnx(network: torch.nn.Module, manifest: Manifest, example: Images) -> Manifest:
    """Write the graph beside the manifest, with free N, H and W; returns the manifest with the artifact."""
    path = manifest.file_path(f"{manifest.name}.onnx")
    axes = {0: "batch", 2: "height", 3: "width"}
    inputs, outputs = manifest.input.names, manifest.output.names
    if isinstance(network, StereoNetwork):
        network = deepcopy(network)
        network.hourglass.align_channels()
        if network.refinement is not None:
            network.refinement.align_channels()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but needs no further package and keeps the graph plain.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            _tensors(example),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={key: axes for key in (*inputs, *outputs)},
        )
    return replace(manifest, artifacts=(Artifact(path.name, sha256_of(path)),))


def compare(
    network: torch.nn.Module, manifest: Manifest, frames: Sequence[Images]
) -> tuple[list[NDArray[np.float32]], float, float]:
    """Run images through ONNX Runtime and through torch.

    Returns:
        The first outputs of ONNX Runtime, (1, 1, H, W) px or m each; the largest difference of any pixel of
        them; the share of values, of all outputs, that differ by more than `LARGEST_DIFFERENCE` (or that
        share of a sigma, or that confidence).

    Raises:
        BackendError: More than `LARGEST_SHARE` of them do.
    """
    inputs, names = manifest.input.names, manifest.output.names
    backend = open_backend("onnxruntime", manifest)
    try:
        feeds = [dict(zip(inputs, (tensor.numpy() for tensor in _tensors(frame)))) for frame in frames]
        outputs = [backend.infer(feed) for feed in feeds]
    finally:
        backend.close()
    with torch.no_grad():
        references = [dict(zip(names, (t.numpy() for t in network(*_tensors(frame))))) for frame in frames]
    both = list(zip(outputs, references))
    apart = {key: np.concatenate([np.abs(a[key] - t[key]).ravel() for a, t in both]) for key in names}
    value, _, sigma = names
    largest = float(apart[value].max())
    apart[sigma] /= np.concatenate([np.maximum(t[sigma], 1.0).ravel() for t in references])
    # NaN is apart, too.
    share = max(float((~(values <= LARGEST_DIFFERENCE)).mean()) for values in apart.values())
    if share > LARGEST_SHARE:
        raise BackendError(
            f"expected ONNX Runtime to answer as torch does, got {100 * share:.1f} % of the pixels apart by "
            f"more than {LARGEST_DIFFERENCE} {manifest.output.unit} (largest {largest:.3f}): find the node"
        )
    return [output[value] for output in outputs], largest, share


def _tensors(images: Images) -> tuple[torch.Tensor, ...]:
    return tuple(as_tensor(image, torch.device("cpu")).contiguous() for image in images)
