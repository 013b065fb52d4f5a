"""The browser of requirements/browser, and whether there is one here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSTALLED = ROOT / ".venv" / "browser"


def missing() -> str | None:
    """Why there is no browser, if there is none."""
    if shutil.which("node") is None or not (INSTALLED / "node_modules").is_dir():
        return "there is no npm to install a browser with"
    own = os.environ.get("CHROMIUM") or Path("/usr/bin/chromium").exists()
    if platform.machine() != "x86_64" and not own:
        return "npm has Chromium for x86_64 only; Debian's package chromium, or CHROMIUM=/path/to/it, is another way"
    return None


def look(*arguments: str | Path, script: Path = HERE / "look.mjs") -> str:
    environment = {**os.environ, "INSTALLED": str(INSTALLED), "TMPDIR": str(INSTALLED)}
    command = ["node", str(script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
