"""The repositories that the local GitHub has: every one that is asked for, and three that are of their own kind."""

from __future__ import annotations

import dataclasses
import zlib

# What the function's credential has to be.
TOKEN = "ghp_local"  # noqa: S105 - it opens nothing but this
# As old as that, and never renamed: its subjects carry no ids.
CLASSIC = "octo-org/classic"
# Its subjects follow a template.
CUSTOM = "octo-org/custom"
TEMPLATE = ["repo", "context", "job_workflow_ref"]
# Shown with a credential only.
PRIVATE = "octo-org/private"
DEFAULT = ["repo", "context"]
# Those that somebody has opted in to subjects with ids.
OPTED_IN: set[str] = set()
OPTED_OUT: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Repository:
    """One repository, by `owner/name`."""

    full_name: str

    @property
    def owner(self) -> str:
        return self.full_name.split("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.split("/")[1]

    @property
    def id(self) -> int:
        return number(self.full_name)

    @property
    def owner_id(self) -> int:
        return number(self.owner)

    @property
    def immutable(self) -> bool:
        return self.full_name != CLASSIC or self.full_name in OPTED_IN

    @property
    def template(self) -> list[str]:
        return TEMPLATE if self.full_name == CUSTOM else DEFAULT

    @property
    def prefix(self) -> str:
        """What its subjects begin with."""
        if not self.immutable:
            return f"repo:{self.full_name}"
        return f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}"


def number(name: str) -> int:
    """An id that is the same every time."""
    return zlib.crc32(name.encode()) % 1_000_000 + 1000


def subject(repository: str, context: str) -> str:
    """The subject of a repository's tokens, where it is of the default template."""
    return f"{Repository(repository).prefix}:{context}"
