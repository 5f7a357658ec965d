"""Memory and temperatures."""

from __future__ import annotations

import mmap

from recon3d_ros.system.machine import (
    multiplies_int8,
    processor,
    resident_mb,
    software,
    temperatures_c,
    usable_cores,
)


def test_memory_grows_with_what_is_allocated():
    before = resident_mb()
    with mmap.mmap(-1, 240_000_000) as block:  # an array could lie in memory that was freed before
        block.write(bytes(len(block)))
        assert 150 < resident_mb() - before < 600


def zone(folder, number, kind, temp):
    path = folder / f"thermal_zone{number}"
    path.mkdir()
    (path / "type").write_text(f"{kind}\n")
    if temp is not None:
        (path / "temp").write_text(f"{temp}\n")


def test_temperatures_by_type(tmp_path):
    zone(tmp_path, 0, "cpu-thermal", 45500)
    zone(tmp_path, 1, "gpu-thermal", None)  # a zone that is switched off
    zone(tmp_path, 2, "cpu-thermal", 61000)
    zone(tmp_path, 3, "soc0-thermal", "n/a")
    assert temperatures_c(tmp_path) == {"cpu-thermal": 61.0}
    assert temperatures_c(tmp_path / "missing") == {}


def test_the_processor_and_the_software_have_names(tmp_path):
    (tmp_path / "pc").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: X\n"
    )
    cores = f", {usable_cores()} cores"
    assert processor(tmp_path / "pc") == f"Some CPU @ 2 GHz{cores}"
    assert processor(tmp_path / "missing").endswith(cores) and usable_cores() >= 1
    versions = software()
    assert {"recon3d_ros", "python", "system", "numpy"} <= set(versions) and all(versions.values())


def test_what_multiplies_int8_says_so_in_its_flags(tmp_path):
    for flags, able in (
        ("fma avx2", False),
        ("avx2 avx_vnni", True),
        ("avx512_vnni", True),
        ("amx_int8 x", True),
    ):
        (tmp_path / "cpu").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
        assert multiplies_int8(tmp_path / "cpu") is able
    (tmp_path / "cpu").write_text("processor\t: 0\nFeatures\t: asimd asimddp\n")  # of Arm
    assert multiplies_int8(tmp_path / "cpu") and multiplies_int8(tmp_path / "missing")
