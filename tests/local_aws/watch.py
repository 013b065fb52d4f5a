"""A workflow that assumes its role all the time, while strangers try."""

from __future__ import annotations

import threading
from typing import Any

from local_aws import ACCOUNT, LocalAws, until
from tokens import assume

PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
# Its subjects carry no ids, as those of repositories whose set-up is old.
MAIN = {"repository": "octo-org/classic"}
STRANGERS = [
    {"repository": "octo-org/another"},
    {"repository": "octo-org/classic-2"},
    {**MAIN, "audience": "https://github.com/octo-org"},
]
ATTEMPT_SECONDS = 60


class Watch:
    """Lets a workflow assume its role, and strangers try, all the time between `with` and its end."""

    def __init__(
        self,
        aws: LocalAws,
        role: str,
        job: dict[str, Any] = MAIN,
        strangers: list[dict[str, Any]] = STRANGERS,
    ) -> None:
        self.aws, self.role, self.job, self.strangers = aws, role, job, strangers
        self.start = len(aws.recording())
        self.attempts = 0
        self.refused: list[str] = []
        self.let_in: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._try)

    def __enter__(self) -> Watch:
        self._thread.start()
        self._another_attempt()
        return self

    def __exit__(self, *_: object) -> None:
        self._another_attempt()
        self._over.set()
        self._thread.join()
        assert self.refused == [], "the workflow was refused meanwhile"
        assert self.let_in == [], "a stranger was let in meanwhile"

    def _try(self) -> None:
        while not self._over.is_set():
            if problem := self._assume(self.job):
                self.refused.append(problem)
            self.let_in += [stranger for stranger in self.strangers if self._assume(stranger) is None]
            self.attempts += 1

    def _another_attempt(self) -> None:
        """Waits for one that begins from now on to have ended, so that it sees what is there now."""
        seen = self.attempts
        until(lambda: self.attempts > seen + 1, "a workflow and strangers to try", ATTEMPT_SECONDS)

    def _assume(self, job: dict[str, Any]) -> str | None:
        return assume(self.aws, self.role, self.aws.token(**job))

    def changes(self) -> list[str]:
        """What was changed of the provider and the role through the API of IAM since the watch began."""
        return [
            entry["action"]
            for entry in self.aws.recording(self.start)
            if entry["kind"] == "call" and entry["service"] == "iam" and entry["changes"] and self._ours(entry)
        ]

    def _ours(self, entry: dict[str, Any]) -> bool:
        return entry["resource"] in (PROVIDER, self.role)
