"""No file holds the marks that Git leaves where two changes met."""

from __future__ import annotations

import subprocess

from links import ROOT

MARKS = ("<" * 7 + " ", ">" * 7 + " ")


def test_no_file_holds_a_conflict_of_git() -> None:
    command = ["git", "grep", "-nI", "-e", f"^{MARKS[0]}", "-e", f"^{MARKS[1]}"]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert found.returncode == 1, found.stdout + found.stderr
