"""The licences of what is in the binary, as their authors wrote them, with their copyright notices."""

from __future__ import annotations

import re
from pathlib import Path

from crates import OURS, ROOT, Crate

HERE = Path(__file__).resolve().parent
_FILE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([.-].*)?", re.IGNORECASE)
# For the few crates that are published without the text.
_STANDARD = {"Apache-2.0": ROOT / "LICENSE", "MIT": HERE / "MIT.txt"}
_RULE = "=" * 100
_HEAD = """\
github-trust is under the Apache License 2.0, see the file LICENSE. Its binary contains the crates below, whose licences
follow, and parts of the Rust standard library (MIT OR Apache-2.0, https://www.rust-lang.org/policies/licenses).
"""


class NoLicence(Exception):
    """A crate came without the text of its licence, and we have none for it either."""


def texts(crates: list[Crate]) -> str:
    """Each text once, below the names of the crates that came with it."""
    users: dict[str, list[str]] = {}
    for crate in crates:
        if crate.name == OURS:
            continue
        for text in _texts(crate):
            users.setdefault(text, []).append(f"{crate.name} {crate.version} ({crate.licence})")
    parts = [_HEAD, *("\n".join([_RULE, *names, _RULE, "", text]) for text, names in users.items())]
    return "\n\n".join(parts) + "\n"


def _texts(crate: Crate) -> list[str]:
    files = sorted(path for path in crate.sources.iterdir() if path.is_file() and _FILE.fullmatch(path.name))
    if files:
        return [_read(path) for path in files]
    for licence in crate.licence.split(" OR "):
        if licence in _STANDARD:
            authors = ", ".join(re.sub(r" *<[^>]*>", "", author) for author in crate.authors)
            text = _read(_STANDARD[licence])
            return [text.replace("[authors]", authors or f"the authors of {crate.name}")]
    raise NoLicence(
        f"{crate.name} {crate.version} is under {crate.licence!r} and came without a text of it; put one "
        f"beside {HERE.name}/{Path(__file__).name} and name it there"
    )


def _read(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")
