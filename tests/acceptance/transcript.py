"""What was done and seen, on the screen and in a file that can be shown to others: no account ids, tokens, or keys."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

_HIDDEN = (
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "<token>"),
    (re.compile(r"\b(gh[a-z]_|github_pat_)\w+"), "<token>"),
    (re.compile(r"\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}"), "<id>"),
    (re.compile(r"(?<![\dA-Fa-f])\d{12}(?![\dA-Fa-f])"), "<account>"),
)
TABLE = "| belief | seen | as believed |\n|---|---|---|"


class Transcript:
    def __init__(self, path: Path, *secret: str) -> None:
        self.path, self._secret = path, [text for text in secret if text]
        self.rows: list[tuple[str, str, bool | None]] = []
        self.failures: list[str] = []
        self._began = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def say(self, text: str) -> None:
        for secret in self._secret:
            text = text.replace(secret, "<secret>")
        for pattern, shown in _HIDDEN:
            text = pattern.sub(shown, text)
        line = f"{time.monotonic() - self._began:7.1f} s  {text}" if text else ""
        print(line, flush=True)
        # At once, so that a run that is ended leaves it, too.
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    @contextlib.contextmanager
    def step(self, what: str, *, goes_on: bool = False) -> Iterator[None]:
        """A failure is written down. With `goes_on` the run does."""
        self.say(f"{what} …")
        try:
            yield
        except Exception as error:
            self.failures.append(what)
            self.say(f"{what}: FAILED: {type(error).__name__}: {error}")
            if not goes_on:
                raise
        else:
            self.say(f"{what}: done")

    def row(self, belief: str, seen: str, agrees: bool | None) -> None:
        self.rows.append((belief, seen, agrees))
        self.say(f"believed: {belief}. Seen: {seen}")

    def ends(self) -> None:
        self.say("")
        if self.rows:
            for line in TABLE.splitlines():
                self.say(line)
            for belief, seen, agrees in self.rows:
                self.say(f"| {belief} | {seen} | {'?' if agrees is None else 'yes' if agrees else '**no**'} |")
            self.say(f"{len(self.rows)} beliefs, {sum(row[2] is False for row in self.rows)} wrong")
        self.say(f"failed: {', '.join(self.failures) or 'nothing'}")
