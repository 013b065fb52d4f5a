"""Nothing is installed that is not pinned by the hash of what was looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
