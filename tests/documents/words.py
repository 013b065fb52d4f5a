"""Checks the words of src/: how doc comments begin, and that a public type's name has one meaning.

    words.py [FOLDER]           the shares, and an error if one is above its limit
    words.py --list [FOLDER]    each comment that counts against a limit, too

The first word of a run of `///` or `//!` lines counts. FOLDER is a checkout, the current one by default.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PRONOUNS = re.compile(
    "what|whether|who|whoever|whom|whose|which|why|where|when|how|"
    "nothing|nobody|it|one|those|these|they|all|that|this|so"
)
MOST_WHAT = 0.01
MOST_PRONOUNS = 0.05
# The associated types of the trait `Resource`: each kind has its own.
SHARED_NAMES = frozenset({"Action", "Created", "Desired", "Observed", "Spec"})

DOC_LINE = re.compile(r"\s*//[/!](?!/) ?(.*)")
FIRST_WORD = re.compile(r"[`*\[]*([A-Za-z']+)")
PUBLIC_TYPE = re.compile(r"^\s*pub(?:\([^)]*\))? (?:struct|enum|union|trait|type) (\w+)", re.MULTILINE)


class Comment(NamedTuple):
    path: Path
    line: int
    text: str

    @property
    def first(self) -> str:
        word = FIRST_WORD.match(self.text)
        return word[1].lower() if word else ""


def comments(path: Path) -> Iterator[Comment]:
    """Yields each run of doc comment lines in a file."""
    run: Comment | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if doc := DOC_LINE.match(line):
            run = run._replace(text=f"{run.text} {doc[1]}") if run else Comment(path, number, doc[1])
        elif run:
            yield run
            run = None
    if run:
        yield run


def repeated_types(paths: list[Path]) -> dict[str, list[Path]]:
    """Returns the names of public types that more than one file defines."""
    places: defaultdict[str, set[Path]] = defaultdict(set)
    for path in paths:
        for name in PUBLIC_TYPE.findall(path.read_text()):
            places[name].add(path)
    return {
        name: sorted(files) for name, files in sorted(places.items()) if len(files) > 1 and name not in SHARED_NAMES
    }


def problems(found: list[Comment], types: dict[str, list[Path]]) -> list[str]:
    """Returns a sentence for each limit that is exceeded."""
    what = sum(comment.first == "what" for comment in found)
    pronouns = sum(bool(PRONOUNS.fullmatch(comment.first)) for comment in found)
    shares = [("with 'what'", what, MOST_WHAT), ("with a pronoun", pronouns, MOST_PRONOUNS)]
    return [
        f"{count} of {len(found)} doc comments begin {begin} (at most {limit:.0%} may)"
        for begin, count, limit in shares
        if count > limit * len(found)
    ] + [f"public type {name} is defined in {', '.join(map(str, files))}" for name, files in types.items()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--list", action="store_true", help="print the comments that begin with a pronoun")
    options = parser.parse_args(arguments)
    paths = sorted((options.folder / "src").rglob("*.rs"))
    found = [comment for path in paths for comment in comments(path) if comment.first]
    if not found:
        print(f"{options.folder / 'src'} has no doc comment", file=sys.stderr)
        return 1
    pronouns = [comment for comment in found if PRONOUNS.fullmatch(comment.first)]
    if options.list:
        for path, line, text in pronouns:
            print(f"{path}:{line}: {text[:90]}")
    exceeded = problems(found, repeated_types(paths))
    for problem in exceeded:
        print(problem, file=sys.stderr)
    print(f"{len(found)} doc comments, {len(pronouns)} begin with a pronoun")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
