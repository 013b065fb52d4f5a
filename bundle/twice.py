"""Builds the committed sources twice, in two new directories, and compares the archives byte for byte.

    python bundle/twice.py x86_64

Finds what got into the archive though nobody meant it to: a path, a time, an order. Takes as long as two whole builds.
CARGO_PROFILE, RUSTC and CARGO_LAMBDA_FLAGS are those of the Makefile.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from crates import ROOT, TARGETS


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        print(f"bundle/twice.py: one of {', '.join(TARGETS)} is needed", file=sys.stderr)
        return 1
    (architecture,) = arguments
    # Once, because somebody may commit while this runs.
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        # Paths of different lengths, too.
        places = [Path(one) / "a", Path(other) / "somewhere" / "else"]
        archives = [build(place, commit, architecture) for place in places]
        sums = [hashlib.sha256(archive.read_bytes()).hexdigest() for archive in archives]
        for archive, digest in zip(archives, sums, strict=True):
            print(f"{digest}  {archive}")
    if sums[0] != sums[1]:
        print("bundle/twice.py: the archives differ", file=sys.stderr)
        return 1
    print("the archives are the same")
    return 0


def build(directory: Path, commit: str, architecture: str) -> Path:
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(directory)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=directory, check=True)
    environment = {**os.environ, "ARCHITECTURE": architecture}
    # What the outer make has exported is about its own directory.
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "RUSTFLAGS", "CARGO_TARGET_DIR"):
        environment.pop(name, None)
    subprocess.run(["make", "bootstrap"], cwd=directory, env=environment, check=True)
    binary = directory / "target" / "lambda" / "bootstrap" / "bootstrap"
    pack = [sys.executable, str(directory / "bundle" / "pack.py"), "--architecture", architecture]
    subprocess.run([*pack, "--bootstrap", str(binary), "--into", str(directory)], env=environment, check=True)
    (archive,) = directory.glob(f"*-{architecture}.zip")
    return archive


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
