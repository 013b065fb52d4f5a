"""What is in the binary: the crates that cargo links into it for one target, and where their sources lie.

`cargo tree` decides which, because it resolves features as the build does; `cargo metadata` and Cargo.lock tell the
rest. Procedural macros, build scripts and what only tests need leave nothing in the binary, and are left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
OURS = "github-trust"


@dataclass(frozen=True)
class Crate:
    name: str
    version: str
    licence: str  # an SPDX expression
    authors: tuple[str, ...]
    description: str
    sources: Path
    checksum: str | None  # SHA-256 of the .crate file; ours has none
    needs: tuple[tuple[str, str], ...]  # name and version of the crates that it links

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.version


def linked(architecture: str) -> list[Crate]:
    """Ours first, the others by name and version."""
    target = TARGETS[architecture]
    edges = ["--edges", "no-dev,no-build,no-proc-macro"]
    shown = cargo("tree", "--locked", "--target", target, *edges, "--prefix", "depth", "--format", " {p}")
    needs = _edges(shown)
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    checksums = _checksums()
    found = [_crate(packages[key], checksums.get(key), needs[key]) for key in needs]
    return sorted(found, key=lambda crate: (crate.name != OURS, *crate.key))


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _edges(tree: str) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Lines such as `2 serde v1.0.229 (*)`, the number being the depth; what is marked was shown before."""
    needs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    above: list[tuple[str, str]] = []
    for line in tree.splitlines():
        depth, name, version = line.split()[:3]
        key = (name, version.removeprefix("v"))
        del above[int(depth) :]
        if above:
            needs[above[-1]].add(key)
        above.append(key)
        needs.setdefault(key, set())
    return needs


def _crate(package: dict[str, Any], checksum: str | None, needs: set[tuple[str, str]]) -> Crate:
    return Crate(
        name=package["name"],
        version=package["version"],
        # Cargo once took a slash for "or".
        licence=" OR ".join(part.strip() for part in package["license"].split("/")),
        authors=tuple(package["authors"]),
        description=" ".join((package["description"] or "").split()),
        sources=Path(package["manifest_path"]).parent,
        checksum=checksum,
        needs=tuple(sorted(needs)),
    )


def _checksums() -> dict[tuple[str, str], str]:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(one["name"], one["version"]): one["checksum"] for one in lock["package"] if "checksum" in one}
