"""Nothing is installed that is not pinned by the hash of what was looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REQUIREMENTS = Path(__file__).resolve().parent.parent.parent / "requirements"
FILES = sorted(REQUIREMENTS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_has_a_version_and_hashes(path: Path) -> None:
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    pins = text.replace(" \\\n", " ").splitlines()
    assert pins
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*/package-lock.json")), ids=lambda path: path.parent.name)
def test_packages_of_npm_have_an_integrity(path: Path) -> None:
    lock = json.loads(path.read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []


def test_dependabot_reads_each_lock_of_npm() -> None:
    updates = yaml.safe_load((REQUIREMENTS.parent / ".github" / "dependabot.yml").read_text())["updates"]
    [npm] = [update for update in updates if update["package-ecosystem"] == "npm"]
    locks = REQUIREMENTS.glob("*/package-lock.json")
    assert sorted(npm["directories"]) == sorted(f"/requirements/{lock.parent.name}" for lock in locks)


def test_environments_that_a_link_leads_to_are_left_alone(tmp_path: Path) -> None:
    for name in ("theirs", "ours"):
        (tmp_path / name / "requirements").mkdir(parents=True)
    shutil.copy(REQUIREMENTS / "install.py", tmp_path / "ours" / "requirements")
    shutil.copy(REQUIREMENTS / "tools.txt", tmp_path / "ours" / "requirements")
    (tmp_path / "theirs" / ".venv").mkdir()
    (tmp_path / "theirs" / ".venv" / "made").touch()
    (tmp_path / "ours" / ".venv").symlink_to(tmp_path / "theirs" / ".venv")
    command = [sys.executable, str(tmp_path / "ours" / "requirements" / "install.py"), "tools"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is a link to" in done.stderr
    assert (tmp_path / "theirs" / ".venv" / "made").exists()
