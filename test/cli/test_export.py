from __future__ import annotations

import pytest

from recon3d_ros.cli.main import main

pytest.importorskip("torch", reason="checkpoints are torch files")


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_no_checkpoint_is_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "checkpoint.pt"
    if content is not None:
        path.write_bytes(content)
    assert main(["export", str(path), "--out", str(tmp_path / "models")]) == 5
    err = capsys.readouterr().err
    assert "checkpoint" in err and err.count("\n") == 1
    assert not (tmp_path / "models").exists()
