"""The documents of the archive lead to what is in the archive."""

from __future__ import annotations

import sys
from pathlib import Path

from links import ROOT, elsewhere, links, problem

sys.path.insert(0, str(ROOT / "bundle"))

import pack


def test_no_link_of_the_archive_s_documents_leads_out_of_it(tmp_path: Path) -> None:
    others = {name for folder in ("examples", "schemas", "templates") for name in pack.beside(folder)}
    others |= {"template.yaml", "LICENSE"}
    pages = pack.pages(others)
    assert {"README.md", "SECURITY.md", "docs/quick-start.md", "docs/reference/github-role.md"} <= pages.keys()
    for name in (*others, *pages):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pages.get(name, b""))
    found = [link for name in pages if name.endswith(".md") for link in links(tmp_path / name) if not elsewhere(link)]
    assert len(found) > 300
    assert [f"{link}: {why}" for link in found if (why := problem(link, tmp_path.resolve()))] == []
