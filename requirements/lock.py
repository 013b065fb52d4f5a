"""Writes into each requirements file the hashes of every package that it pins, for all platforms: needs `uv`.

    python3 requirements/lock.py

A version is changed by hand: write the new number, run this. `install.py` takes nothing whose hash is not there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    for path in sorted(HERE.glob("*.txt")):
        path.write_text(locked(path))
    return 0


def locked(path: Path) -> str:
    lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("--hash")]
    pins = [line.removesuffix(" \\").rstrip() for line in lines]
    known = hashes("\n".join(pins))
    written = []
    for pin in pins:
        found = known.get(normal(pin), []) if "==" in pin and not pin.startswith("#") else []
        written.append(" \\\n".join([pin, *(f"    --hash={each}" for each in found)]))
    return "\n".join(written) + "\n"


def hashes(pins: str) -> dict[str, list[str]]:
    """Those of every file of each version, by the package's name."""
    # Without markers: a package of another Python or platform has hashes, too.
    bare = "\n".join(line.partition(";")[0] for line in pins.splitlines())
    command = ["uv", "pip", "compile", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    options = ["--universal", "--python-version", "3.14", "-"]
    compiled = subprocess.run([*command, *options], input=bare, check=True, capture_output=True, text=True).stdout
    found: dict[str, list[str]] = {}
    name = ""
    for line in compiled.splitlines():
        if match := re.search(r"--hash=(sha256:[0-9a-f]{64})", line):
            found[name].append(match[1])
        elif "==" in line:
            name = normal(line)
            found[name] = []
    return found


def normal(pin: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=;\[ ]", pin)[0]).lower()


if __name__ == "__main__":
    sys.exit(main())
