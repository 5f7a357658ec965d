from __future__ import annotations

from pathlib import Path

import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.system import share
from recon3d_ros.system.share import share_path


def test_source_checkout_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "recon3d_ros").mkdir(parents=True)
    (checkout / "models").mkdir()
    (checkout / "package.xml").touch()
    (tmp_path / "ament" / "share" / "recon3d_ros" / "models").mkdir(parents=True)
    monkeypatch.setattr(share, "__file__", str(checkout / "recon3d_ros" / "system" / "share.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "ament"))
    assert share_path("models") == checkout / "models"


def test_ament_prefix_then_python_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        share, "__file__", str(tmp_path / "site-packages" / "recon3d_ros" / "system" / "share.py")
    )
    monkeypatch.setattr(share.sysconfig, "get_path", lambda _: str(tmp_path / "python"))
    file = ("config", "fastdds.xml")
    for prefix in ("python", "ament_overlay"):
        folder = tmp_path / prefix / "share" / "recon3d_ros" / "config"
        folder.mkdir(parents=True)
        (folder / "fastdds.xml").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'ament_other'}:{tmp_path / 'ament_overlay'}")
    assert (
        share_path(*file) == tmp_path / "ament_overlay" / "share" / "recon3d_ros" / "config" / "fastdds.xml"
    )
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    assert share_path(*file) == tmp_path / "python" / "share" / "recon3d_ros" / "config" / "fastdds.xml"


def test_missing_file_names_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"config/no_such.xml not found") as caught:
        share_path("config", "no_such.xml")
    assert str(tmp_path / "share" / "recon3d_ros" / "config" / "no_such.xml") in str(caught.value)
