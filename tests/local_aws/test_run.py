"""The demonstration behind `make run`."""

from __future__ import annotations

import subprocess
import sys

from local_aws import ROOT


def test_the_demonstration_comes_to_its_end_and_leaves_nothing() -> None:
    story = [sys.executable, ROOT / "tests/local_aws/run.py"]
    ended = subprocess.run(story, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert "guardrails as they are by default, but for:" in ended.stdout
    assert ":role/github/quickstart-Role-" in ended.stdout
    assert "left behind: nothing" in ended.stdout
    assert "all of it: " in ended.stdout
