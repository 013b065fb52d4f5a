"""Policies are evaluated by packages of npm: without them nothing here is tried, so nothing here may pass."""

from __future__ import annotations

import shutil

import pytest

from simulator import INSTALLED


def pytest_configure() -> None:
    if shutil.which("node") is None:
        raise pytest.UsageError("there is no node on the PATH, which evaluates policies: install Node.js with npm")
    if not INSTALLED.is_dir():
        raise pytest.UsageError(f"there is no {INSTALLED}: run `python3 requirements/install.py simulator`")
