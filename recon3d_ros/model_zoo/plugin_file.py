"""What a plug-in library of TensorRT says of itself: the processor that it is compiled for."""

from __future__ import annotations

from pathlib import Path

from recon3d_ros.errors import ArtifactError
from recon3d_ros.model_zoo.manifest import MACHINES, Plugin
from recon3d_ros.model_zoo.registry import sha256_of

# e_machine, at byte 18 of the header of a shared library (ELF), in the order of MACHINES.
_ELF_MACHINES = dict(zip((62, 183), MACHINES, strict=True))


def plugin_beside(library: Path, folder: Path) -> Plugin:
    """A library as a manifest in a folder names it.

    Raises:
        ArtifactError: It lies outside the folder, cannot be read, or is no library for a known processor.
    """
    try:
        place = library.absolute().relative_to(folder.absolute())
        with library.open("rb") as file:
            head = file.read(20)
    except ValueError as exc:
        raise ArtifactError(
            f"expected {library} in {folder} or below, it is elsewhere: copy it there"
        ) from exc
    except OSError as exc:
        raise ArtifactError(f"cannot read {library} ({exc.strerror}): check the path") from exc
    machine = _ELF_MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None
    if machine is None:
        raise ArtifactError(
            f"expected a shared library for {' or '.join(MACHINES)}, got {library}: get another one"
        )
    return Plugin(place.as_posix(), sha256_of(library), machine)
