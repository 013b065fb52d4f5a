"""The released binary is not slower and not larger than the committed figures say (tests/bench/figures.py)."""

from __future__ import annotations

import os
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

import deployment
from local_aws import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))

import figures


@pytest.fixture(scope="module")
def bootstrap(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be deployed, out of the archive."""
    if not figures.can_be_compared():
        reason = f"the committed figures are those of {figures.ARCHITECTURE}, not of {deployment.ARCHITECTURE}"
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("bootstrap") / "bootstrap"
    with zipfile.ZipFile(unpacked / "function.zip") as function:
        place.write_bytes(function.read("bootstrap"))
    place.chmod(0o755)
    return place


def test_the_function_takes_no_more_than_it_did(bootstrap: Path) -> None:
    before, now = figures.committed(), figures.measured(bootstrap)
    if now.cold_instructions is None:
        warnings.warn(figures.WITHOUT_VALGRIND, stacklevel=1)
    for line in figures.shrunk(before, now):
        warnings.warn(line, stacklevel=1)
    assert figures.grown(before, now) == []
