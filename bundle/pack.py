"""Packs what a pipeline without Rust deploys: one archive for one architecture.

    python bundle/pack.py --architecture x86_64 --bootstrap target/lambda/bootstrap/bootstrap --into target/bundle

`make bundle` builds the binary first. The same sources and the same binary give the same archive, byte for byte: no
clock, no path, no order of a directory goes into it. SOURCE_DATE_EPOCH is the time that the bill of materials names;
without it, it is that of the last commit.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import binary
import licences
import sbom
import templates
from crates import OURS, ROOT, TARGETS, linked

HERE = Path(__file__).resolve().parent
# The oldest that a zip file can say.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<address>[^)\s]+)\)")
_FENCE = re.compile(r"^( *```.*?^ *```)$", re.MULTILINE | re.DOTALL)
_COPIED = (".yaml", ".yml", ".tf", ".ts", ".json", ".py")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Packs the deployment bundle.")
    parser.add_argument("--architecture", required=True, choices=sorted(TARGETS))
    parser.add_argument("--bootstrap", required=True, type=Path, help="the binary")
    parser.add_argument("--into", required=True, type=Path, help="the directory for the archive")
    options = parser.parse_args(arguments)
    try:
        archive = pack(options.architecture, options.bootstrap.read_bytes(), options.into)
    except (OSError, binary.Unfit, licences.NoLicence, templates.Unexpected) as error:
        print(f"bundle/pack.py: {error}", file=sys.stderr)
        return 1
    print(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive}")
    return 0


def pack(architecture: str, bootstrap: bytes, into: Path) -> Path:
    binary.check(bootstrap, architecture)
    crates = linked(architecture)
    sam = templates.for_sam((ROOT / "template.yaml").read_text(), architecture)
    bill = sbom.bill(crates, bootstrap, architecture, _compiler(), _epoch())
    files = {
        templates.CODE: zipped({"bootstrap": bootstrap}, executable=True),
        "template.yaml": sam.encode(),
        "github-trust.template.yaml": templates.plain(sam).encode(),
        "samconfig.toml": (HERE / "samconfig.toml").read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "THIRD-PARTY-LICENSES.txt": licences.texts(crates).encode(),
        "sbom.cdx.json": bill.encode(),
        # What docs/quick-start.md deploys next, what docs/linting.md copies, and more templates of the platform team.
        **beside("examples"),
        **beside("schemas"),
        **beside("templates"),
    }
    files.update(pages(set(files)))
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    into.mkdir(parents=True, exist_ok=True)
    archive = into / f"{OURS}-{crates[0].version}-{architecture}.zip"
    archive.write_bytes(zipped({**files, "SHA256SUMS": sums.encode()}))
    return archive


def beside(folder: str) -> dict[str, bytes]:
    """What is in a folder of the repository but its pages."""
    found = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in _COPIED)
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in found}


def pages(others: set[str]) -> dict[str, bytes]:
    """The documents, without links to what is not in the archive. Its first page is its own."""
    found = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "docs").rglob("*.md"))}
    found |= {name: ROOT / name for name in ("CHANGELOG.md", "SECURITY.md")}
    there = {*others, *found}
    there |= {parent.as_posix() for name in there for parent in Path(name).parents if parent != Path()}

    def linked(name: str, text: str) -> str:
        def kept(link: re.Match[str]) -> str:
            address = link["address"].partition("#")[0]
            place = os.path.normpath(Path(name).parent / address)
            return link[0] if ":" in address or not address or place in there else link["text"]

        # What stands in a block of code is no link.
        parts = _FENCE.split(text)
        return "".join(part if part.lstrip().startswith("```") else _LINK.sub(kept, part) for part in parts)

    own = {name: linked(name, path.read_text()).encode() for name, path in found.items()}
    return {"README.md": (HERE / "README.md").read_bytes(), **own}


def zipped(files: Mapping[str, bytes], *, executable: bool = False) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = _UNIX
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return stream.getvalue()


def _compiler() -> str:
    """Such as `1.95.0 (59807616e 2026-04-14)`, of the compiler that cargo takes."""
    return _said(os.environ.get("RUSTC", "rustc"), "--version").strip().removeprefix("rustc ")


def _epoch() -> int:
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    return int(_said("git", "log", "-1", "--format=%ct"))


def _said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
