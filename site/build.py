"""Builds the documents as a site with a search: target/site/index.html. `make site` installs what it needs.

    python site/build.py [--source https://github.com/owner/github-trust/blob/main]

A link to a file that is no page leads to it below `--source`, by default to the checkout. A link that leads nowhere
fails.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "site"
BUILD = ROOT / "target" / "site-pages"
SITE = ROOT / "target" / "site"
DIAGRAMS = ROOT / ".venv" / "diagrams" / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
# The theme's script stops at an anchor that begins with a digit.
NUMBERED = re.compile(r"^#+ (\d.*)$", re.MULTILINE)
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Builds the documents as a site.")
    parser.add_argument("--source", default=ROOT.as_uri(), help="the address of the repository's files")
    options = parser.parse_args(arguments)
    if not DIAGRAMS.is_file():
        print(f"there is no {DIAGRAMS.relative_to(ROOT)}, which needs npm: make site", file=sys.stderr)
        return 1
    shutil.rmtree(BUILD, ignore_errors=True)
    pages = tracked("*.md")
    for page in pages:
        write(page, linked(page, (ROOT / page).read_text(), options.source))
    for picture in [*tracked("docs/*.svg"), *tracked("docs/*.png")]:
        write(picture, (ROOT / picture).read_bytes())
    for asset in (DIAGRAMS, HERE / "diagrams.js", HERE / "style.css"):
        write(Path("site", asset.name), asset.read_bytes())
    configuration = BUILD.with_suffix(".yml")
    configuration.write_text(yaml.safe_dump(settings(pages), sort_keys=False))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", str(configuration)]
    status = subprocess.run(command).returncode
    if status == 0:
        print(f"the search needs a server: python3 -m http.server --directory {SITE.relative_to(ROOT)}")
    return status


def tracked(pattern: str) -> list[Path]:
    """The files that git knows or would know."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in map(Path, shown.splitlines()) if (ROOT / path).is_file())


def write(path: Path, content: str | bytes) -> None:
    place = BUILD / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)


def linked(page: Path, text: str, source: str) -> str:
    """A page whose links lead to pages of the site, or to files below `source`."""

    def target(link: re.Match[str]) -> str:
        address, hash_mark, anchor = link[2].partition("#")
        place = (ROOT / page.parent / address).resolve()
        if ":" in address:
            return link[0]
        if not address or place.suffix in (".md", ".svg", ".png") or not place.exists():
            return f"{link[1]}{address}{hash_mark}{prefixed(anchor)}{link[3]}"
        if (place / "README.md").is_file():
            return f"{link[1]}{address.rstrip('/')}/README.md{hash_mark}{prefixed(anchor)}{link[3]}"
        return f"{link[1]}{source}/{place.relative_to(ROOT).as_posix()}{link[3]}"

    def prose(part: str) -> str:
        return NUMBERED.sub(lambda heading: f"{heading[0]} {{#{prefixed(slug(heading[1]))}}}", LINK.sub(target, part))

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [prose(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, prose(text[end:])])


def prefixed(anchor: str) -> str:
    """An anchor that begins with a letter."""
    return f"step-{anchor}" if anchor[:1].isdigit() else anchor


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def settings(pages: list[Path]) -> dict[str, object]:
    """The settings of MkDocs, with every page in the navigation, in the order of docs/README.md."""
    settings: dict[str, object] = yaml.safe_load((HERE / "mkdocs.yml").read_text())
    navigation: list[dict[str, object]] = [{"github-trust": "README.md"}]
    seen = {"README.md"}
    index = (ROOT / "docs" / "README.md").read_text()
    for section in index.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        entries = []
        for link in LINK.finditer(body):
            page = (Path("docs") / link[2].partition("#")[0]).as_posix().replace("docs/../", "")
            page = page if page.endswith(".md") else f"{page}/README.md"
            if page not in seen and Path(page) in pages:
                seen.add(page)
                entries.append(page)
        navigation.append({title: entries})
    rest = [page.as_posix() for page in pages if page.as_posix() not in seen]
    for title, folder in (
        ("Properties", "docs/reference/"),
        ("Decisions", "docs/decisions/"),
        ("More", ""),
    ):
        found = [page for page in rest if page.startswith(folder)]
        rest = [page for page in rest if page not in found]
        navigation.append({title: found})
    theme = {**settings["theme"], "custom_dir": str(HERE / "theme")}  # type: ignore[dict-item]
    return {**settings, "theme": theme, "docs_dir": str(BUILD), "site_dir": str(SITE), "nav": navigation}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
