"""Find models by name and verify that their files are the ones their manifests speak of."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import replace
from pathlib import Path

from recon3d_ros.errors import ArtifactError, ConfigError, DataError, ManifestError
from recon3d_ros.files.disk import open_regular, read_bytes
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Artifact, Licence, Manifest, Plugin
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.onnx_file import external_files
from recon3d_ros.system.share import share_path

_NO_WEIGHTS = Licence(weights="no weights")

# Served by backends/fake.py: the whole path can be tried before there is any model file.
BUILT_IN = {
    manifest.name: manifest
    for manifest in (
        Manifest(
            name="fake_stereo",
            task="stereo_disparity",
            description="made-up disparity ramp, needs no model file",
            input=InputContract(names=("left", "right"), scale=1 / 255, multiple_of=32),
            output=OutputContract(name="disparity", unit="px"),
            licence=_NO_WEIGHTS,
        ),
        Manifest(
            name="fake_mono",
            task="mono_metric_depth",
            description="made-up depth ramp, needs no model file",
            input=InputContract(
                names=("image",), layout="NHWC", dtype="uint8", size_wh=(320, 240), fit="stretch"
            ),
            output=OutputContract(name="depth", unit="m", layout="NHWC"),
            licence=_NO_WEIGHTS,
        ),
    )
}

# What ``auto`` means, by the device that computes: for pairs the first one of the folder.
DEFAULT_MODELS = {"cpu": ("recon3d_stereo_light", "recon3d_stereo"), "gpu": ("recon3d_stereo",)}
MORE_ACCURATE_FIRST = ("recon3d_stereo", "recon3d_stereo_light")
MONO_MODELS = ("recon3d_mono",)


def list_models(models_dir: Path | str = "") -> tuple[list[Manifest], list[ManifestError]]:
    """Read the manifests of a folder (empty = of the installation).

    Returns:
        Those that hold, and then the built-in ones; what is wrong with each of the others.

    Raises:
        DataError: the folder does not exist.
    """
    manifests, wrong = [], []
    for path in sorted(_folder(models_dir).glob("*.yaml")):
        try:
            manifests.append(load_manifest(path))
        except ManifestError as exc:
            wrong.append(exc)
    return [*manifests, *BUILT_IN.values()], wrong


def at_input_scale(manifest: Manifest, input_scale: float) -> Manifest:
    """A model that sees images at so many times their size.

    Raises:
        ConfigError: Its input has a size of its own, whatever the image.
    """
    if input_scale == 1.0:
        return manifest
    contract = manifest.input
    if contract.size_wh is not None or contract.short_side is not None:
        raise ConfigError(
            f"expected input_scale 1 for {manifest.name}, whose input has one size for all images, got "
            f"{input_scale:g}: leave it out, or choose a model that takes images of any size"
        )
    return replace(manifest, input=replace(contract, image_scale=input_scale * contract.image_scale))


def find_model(
    name_or_path: Path | str, models_dir: Path | str = "", *, device: str = "cpu", stereo: bool = True
) -> Manifest:
    """Return the manifest of a built-in model, of a model in the folder, or of a path.

    Args:
        name_or_path: A name, a ``.yaml`` or the ``.onnx`` beside it; ``auto`` takes the first of
            `DEFAULT_MODELS` that is there.
        models_dir: The folder; empty = of the installation.
        device: For ``auto``: ``cpu`` or ``gpu``.
        stereo: For ``auto``: False when the model is to take single images.

    Raises:
        ManifestError: there is no such model, or its manifest is wrong.
        DataError: the folder does not exist.
    """
    if str(name_or_path) == "auto":
        name_or_path = _default_model(models_dir, device, stereo)
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return load_manifest(name_or_path)
    if Path(name_or_path).suffix == ".onnx":
        return _of_onnx(Path(name_or_path))
    name = str(name_or_path)
    if name in BUILT_IN:
        return BUILT_IN[name]
    folder = _folder(models_dir)
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = [*sorted(found.stem for found in folder.glob("*.yaml")), *BUILT_IN]
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ManifestError(
            f"no model {name!r} in {folder}, the nearest name is {nearest}; "
            f"give one of {', '.join(known)}, or the path of a .yaml manifest"
        )
    return load_manifest(path)


def _of_onnx(path: Path) -> Manifest:
    """The manifest beside an ONNX file."""
    manifest = path.with_suffix(".yaml")
    if manifest.is_file():
        return load_manifest(manifest)
    raise ManifestError(
        f"expected the manifest {manifest} beside {path}, which does not exist: write it with "
        f"recon3d models add {path}"
    )


def find_weights(name_or_path: Path | str) -> Path:
    """Return where torch finds weights: a checkpoint (``.pt``) itself, or the one beside a model's manifest.

    Raises:
        ManifestError, DataError: as `find_model`.
    """
    if Path(name_or_path).suffix == ".pt":
        return Path(name_or_path)
    manifest = find_model(name_or_path)
    return manifest.file_path(f"{manifest.name}.pt")


def _default_model(models_dir: Path | str, device: str, stereo: bool) -> str:
    names, folder = DEFAULT_MODELS[device] if stereo else MONO_MODELS, _folder(models_dir)
    return next((name for name in names if (folder / f"{name}.yaml").is_file()), names[-1])


def verify(manifest: Manifest) -> None:
    """Check that every file of the manifest exists and has the sha256 written there.

    Raises:
        ArtifactError: a file is missing, unreadable, or not the one the manifest speaks of; an ONNX file
            keeps values of its tensors in a file that the manifest does not list, or outside its folder.
    """
    for artifact in manifest.artifacts:
        verify_artifact(manifest, artifact)
    if manifest.golden is not None:
        _verify_file(manifest, manifest.golden.file, manifest.golden.sha256)
    for plugin in manifest.plugins_here:
        verify_plugin(manifest, plugin)


def verify_artifact(manifest: Manifest, artifact: Artifact) -> None:
    """The same for one artifact and the files that belong to it."""
    path = _verify_file(manifest, artifact.file, artifact.sha256)
    used = set(external_files(path)) if path.suffix == ".onnx" else set()
    missing = sorted(used - {item.file for item in artifact.external})
    if missing:
        raise ArtifactError(
            f"{path} keeps weights in other files, which its sha256 does not cover: list "
            f"{', '.join(missing)} with its sha256 under artifacts[].external of the manifest, as "
            "recon3d models add does"
        )
    for item in artifact.external:
        _verify_file(manifest, artifact.external_path(item), item.sha256)


def verify_plugin(manifest: Manifest, plugin: Plugin) -> Path:
    """The same for a plug-in library; returns its path."""
    return _verify_file(manifest, plugin.file, plugin.sha256)


def _verify_file(manifest: Manifest, file: str, sha256: str) -> Path:
    path = _existing(manifest, file)
    _require_sha256(manifest, path, sha256, sha256_of(path))
    return path


def _require_sha256(manifest: Manifest, path: Path, expected: str, got: str) -> None:
    if got != expected:
        raise ArtifactError(
            f"{path} is not the file of model {manifest.name}: expected sha256 {expected}, got "
            f"{got}; copy the file again, or correct the manifest if the change is intended"
        )


def read_verified(manifest: Manifest, file: str, sha256: str) -> bytes:
    """Read a file of a manifest once, and check the very bytes that are returned.

    What lies under its name a moment later does not matter.

    Raises:
        ArtifactError: it does not exist, cannot be read, or is not the one the manifest speaks of.
    """
    path = _existing(manifest, file)
    try:
        content = read_bytes(path)
    except DataError as exc:
        raise ArtifactError(str(exc)) from exc
    _require_sha256(manifest, path, sha256, hashlib.sha256(content).hexdigest())
    return content


def _existing(manifest: Manifest, file: str) -> Path:
    path = manifest.file_path(file)
    if not path.is_file():
        raise ArtifactError(
            f"model {manifest.name} needs the file {path}, which does not exist: copy it there"
        )
    return path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits, as manifests hold it.

    Raises:
        ArtifactError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except DataError as exc:
        raise ArtifactError(str(exc)) from exc
    except OSError as exc:
        raise ArtifactError(
            f"cannot read {path} ({exc.strerror}): check its permissions and the disk"
        ) from exc
    return digest.hexdigest()


def _folder(models_dir: Path | str) -> Path:
    folder = Path(models_dir) if str(models_dir) else share_path("models")
    if not folder.is_dir():
        raise DataError(f"the folder of models {folder} does not exist: check models_dir")
    return folder
