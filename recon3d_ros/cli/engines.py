"""`recon3d engines`: the cache of what TensorRT and OpenVINO made: what is in it, build, check, clear."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from recon3d_ros.backends.engine_spec import EngineSpec, engine_spec, target_of
from recon3d_ros.backends.engine_store import EngineOptions, EngineStore, StoredEngine
from recon3d_ros.backends.openvino import OpenVinoBackend, compiled_for
from recon3d_ros.backends.vendor import load_vendor
from recon3d_ros.cli.progress_bar import show_stages
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.files.text_table import aligned
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model, list_models, verify
from recon3d_ros.serving import open_checked
from recon3d_ros.serving.opening import network_sizes_wh

HELP = (
    "Manage the TensorRT engines of this computer in $XDG_CACHE_HOME/recon3d_ros/engines. list: show "
    "them, and what OpenVINO compiled. build: build those of one model, or of all, so that no node has to "
    "wait. check: run them and compare the outputs with known ones. prune: remove those that cannot be used "
    "here, or with --all every one, also those of OpenVINO."
)
_HEADER = ("engine", "runtime", "for", "shapes", "MB", "built", "seconds", "self-check")
_DEFAULT_SIZES = "640x480"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the verb."""
    parser.add_argument("action", choices=("list", "build", "check", "prune"))
    parser.add_argument(
        "model", nargs="?", default="", help="name of a model, or path of its manifest (.yaml)"
    )
    parser.add_argument("--models-dir", default="", metavar="DIR", help="folder of manifests")
    parser.add_argument(
        "--precision",
        default="",
        metavar="TEXT",
        help="comma-separated: fp32, fp16, int8 (default: all that the model has)",
    )
    parser.add_argument(
        "--sizes", default=_DEFAULT_SIZES, metavar="WxH,WxH", help="image sizes (default %(default)s)"
    )
    parser.add_argument(
        "--flavour",
        default="auto",
        choices=("auto", "tensorrt", "tensorrt_rtx"),
        help="TensorRT flavour (default auto)",
    )
    parser.add_argument("--all", action="store_true", help="build, check: every model; prune: every engine")
    parser.add_argument("--force", action="store_true", help="build again, also engines in quarantine")


def main(args: argparse.Namespace) -> int:
    """Do what is asked for; one bad engine hides none of the others."""
    if args.action == "list":
        return _list()
    if args.action == "prune":
        return _prune(args)
    code, shown = 0, set[str]()
    for manifest in _manifests(args):
        for precision in _precisions(args, manifest):
            try:
                (_build if args.action == "build" else _check)(args, manifest, precision)
            except Recon3dError as exc:
                code = exc.exit_code
                text = " ".join(str(exc).split())
                if text in shown:  # without a GPU it is one sentence for all
                    print(f"recon3d: error: {manifest.name} ({precision}): the same", file=sys.stderr)
                else:
                    print(f"recon3d: error: {text}", file=sys.stderr)
                shown.add(text)
    return code


def _list() -> int:
    store = EngineStore()
    lines = [_HEADER, *(_row(entry) for entry in store.entries())]
    print("\n".join(aligned(lines)))
    print(f"{len(lines) - 1} in {store.folder}")
    return 0


def _row(entry: StoredEngine) -> tuple[str, ...]:
    if not entry.key:
        return (entry.stem, *["?"] * (len(_HEADER) - 2), "no readable description: prune removes it")
    target = entry.key.get("target", {})
    return (
        entry.stem,
        f"{entry.key.get('flavour')} {entry.key.get('version')}",
        target.get("devices") or f"{target.get('device')}, driver {target.get('driver')}",
        "; ".join(entry.key.get("shapes", [])),
        f"{entry.size / 1e6:.1f}",
        entry.built,
        f"{entry.build_seconds:.1f}",
        entry.verdict or "not run yet",
    )


def _build(args: argparse.Namespace, manifest: Manifest, precision: str) -> None:
    spec, store = _spec(args, manifest, precision), EngineStore()
    with show_stages(spec.label) as progress:
        content = spec.load_or_build(store, EngineOptions(rebuild=args.force, progress=progress))
    entry = store.entry(spec.key.stem)
    seconds = f"built in {entry.build_seconds:.1f} s" if entry else "not kept"
    print(f"{spec.label}: {store.path(spec.key.stem)}, {len(content) / 1e6:.1f} MB, {seconds}")


def _check(args: argparse.Namespace, manifest: Manifest, precision: str) -> None:
    verify(manifest)
    backend = open_checked(manifest, _config(args, precision))
    backend.close()
    print(f"{manifest.name} ({precision}): passed on images of {args.sizes}")


def _prune(args: argparse.Namespace) -> int:
    """Keep what a model has today, as built by this version for this machine, and what passed or waits."""
    store = EngineStore()
    removed = [entry for entry in store.entries() if args.all or not _usable(entry, args)]
    for entry in removed:
        store.discard(entry.stem)
        print(f"removed {entry.stem}")
    print(f"{len(removed)} removed, {len(store.entries())} kept in {store.folder}")
    return 0


def _usable(entry: StoredEngine, args: argparse.Namespace) -> bool:
    if not entry.key or entry.quarantined:
        return False
    sums = {a.digest for manifest in list_models(args.models_dir)[0] for a in manifest.artifacts}
    try:
        here = _what_is_here(str(entry.key.get("flavour")))
    except Recon3dError:
        return False
    return (
        here == (entry.key.get("version"), entry.key.get("target")) and entry.key.get("onnx_sha256") in sums
    )


def _what_is_here(flavour: str) -> tuple[str, dict[str, str]]:
    """Version and target of what a flavour builds or compiles here."""
    if flavour == OpenVinoBackend.name:
        return compiled_for()
    vendor = load_vendor(flavour)
    return vendor.version, target_of(vendor)


def _manifests(args: argparse.Namespace) -> Sequence[Manifest]:
    if bool(args.model) == args.all:
        raise ConfigError(f"expected a model or --all, got {'both' if args.all else 'neither'}: give one")
    if args.model:
        manifest = find_model(args.model, args.models_dir, device="gpu")
        manifest.require_depth()
        return [manifest]
    found = list_models(args.models_dir)[0]
    return [manifest for manifest in found if manifest.artifacts and manifest.gives_depth]


def _precisions(args: argparse.Namespace, manifest: Manifest) -> list[str]:
    have = [artifact.precision for artifact in manifest.artifacts]
    return [name for name in args.precision.split(",") if name] or have


def _config(args: argparse.Namespace, precision: str) -> ModelConfig:
    sizes = tuple(size for size in args.sizes.split(",") if size)
    return ModelConfig(
        backend="tensorrt", precision=precision, tensorrt_flavour=args.flavour, engine_sizes=sizes
    )


def _spec(args: argparse.Namespace, manifest: Manifest, precision: str) -> EngineSpec:
    sizes = network_sizes_wh(manifest, _config(args, precision), check=True)
    return engine_spec(manifest, precision, EngineOptions(args.flavour, sizes))
