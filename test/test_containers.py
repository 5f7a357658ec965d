"""The container files name what is there; no image is built here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from recon3d_ros.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.jetson"])
def test_what_is_copied_and_launched_exists(name):
    text = (DOCKER / name).read_text()
    for source in re.findall(r"^COPY (\S+) ", text, re.MULTILINE):
        assert (ROOT / source).exists()
    for launch in re.findall(r"\w+\.launch\.py", text):
        assert (ROOT / "launch" / launch).is_file()
    assert (DOCKER / "entrypoint.sh").stat().st_mode & 0o111


def test_the_services_run_commands_that_exist():
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        verb = re.search(r"recon3d_ros recon3d (\w+)", service["command"])
        launch = re.search(r"recon3d_ros (\S+\.launch\.py)", service["command"])
        assert (verb and verb[1] in VERBS) or (launch and (ROOT / "launch" / launch[1]).is_file())


def test_the_development_container_makes_a_target_of_the_makefile():
    document = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    folder = ROOT / ".devcontainer"
    assert (folder / document["build"]["dockerfile"]).resolve() == DOCKER / "Dockerfile"
    assert "make .venv-jazzy/.test" in document["postCreateCommand"]
    assert "$(VENV)/.test:" in (ROOT / "Makefile").read_text()
