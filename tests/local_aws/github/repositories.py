"""The repositories that the local GitHub has: some of octo-org, three of their own kind, and every one of others."""

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
# All of its organisation, so that a mistyped name is none.
ORGANISATION = "octo-org"
EXISTING = frozenset(
    [
        "a",
        "actions",
        "another",
        "another-repo",
        "app",
        "automation",
        "b",
        "classic",
        "classic-2",
        "custom",
        "github-trust",
        "hand-over",
        "immutable",
        "immutable-2",
        "infra",
        "octo-repo",
        "private",
        "settings",
        "team-a",
        "web",
    ]
)
# Shown with a credential only.
PRIVATE = "octo-org/private"
DEFAULT = ["repo", "context"]
# The repositories and organisations that somebody has opted in to subjects with ids.
OPTED_IN: set[str] = set()
OPTED_OUT: set[str] = set()
# The repositories of which no branch is protected.
UNPROTECTED: set[str] = set()


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
        if self.full_name in OPTED_IN | OPTED_OUT:
            return self.full_name in OPTED_IN
        return self.full_name != CLASSIC or self.owner in OPTED_IN

    @property
    def template(self) -> list[str]:
        return TEMPLATE if self.full_name == CUSTOM else DEFAULT

    @property
    def prefix(self) -> str:
        """What its subjects begin with."""
        if not self.immutable:
            return f"repo:{self.full_name}"
        return f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}"


def written(asked: str) -> str | None:
    """A repository's name as GitHub writes it, whatever case is asked for, or None where there is none."""
    owner, _, name = asked.partition("/")
    if owner.lower() != ORGANISATION:
        return asked
    return f"{ORGANISATION}/{name.lower()}" if name.lower() in EXISTING else None


def number(name: str) -> int:
    """An id that is the same every time."""
    return zlib.crc32(name.encode()) % 1_000_000 + 1000


def subject(repository: str, context: str) -> str:
    """The subject of a repository's tokens, where it is of the default template."""
    return f"{Repository(repository).prefix}:{context}"
