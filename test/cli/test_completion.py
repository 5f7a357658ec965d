"""Tab completes verbs, flags and values; a real shell asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from recon3d_ros.cli.main import VERBS, main

# The command that the shell runs: a source tree has no console script.
STUB = '#!/bin/sh\nexec {python} -m recon3d_ros "$@"\n'
ASK = """
eval "$(recon3d completion bash)"
COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
read -r -a COMP_WORDS <<< "$COMP_LINE"; [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
function=$(complete -p recon3d | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function recon3d "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def ask(tmp_path):
    """What bash offers for a line."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (tmp_path / "recon3d").write_text(STUB.format(python=sys.executable))
    (tmp_path / "recon3d").chmod(0o755)
    path = os.pathsep.join(sys.path)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": path}

    def ask(line: str) -> list[str]:
        script = ASK.format(line=line)
        run = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60)
        assert run.stderr == ""
        return [word.strip() for word in run.stdout.split("\n") if word.strip()]

    return ask


def test_verbs_flags_and_values_are_offered(ask):
    assert set(ask("recon3d ")) >= VERBS.keys()
    assert set(ask("recon3d pr")) == {"process"}
    assert set(ask("recon3d process --out-")) == {"--out-bag", "--out-ply", "--out-json", "--out-html"}
    assert set(ask("recon3d process --storage ")) == {"mcap", "sqlite3"}
    assert set(ask("recon3d completion ")) >= {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_for_the_shell(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "recon3d" in script and ("complete" in script or "compdef" in script)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=30)
