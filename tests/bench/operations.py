"""Every operation of the three kinds, each in a process of its own, as Lambda nearly always runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions import event, ours
from measure import Run, Services, run

PROVIDER, ROLE, ENTRY = "Custom::GitHubOidcProvider", "Custom::GitHubRole", "Custom::EksAccessEntry"
_EVENTS = {PROVIDER: "oidc-provider", ROLE: "role", ENTRY: "access-entry"}
# What has to be there before.
_BEFORE = {PROVIDER: (), ROLE: (PROVIDER,), ENTRY: (PROVIDER, ROLE)}
_RECORDED_ROLE = "role/quickstart-Role-lbtijc6toaud6"


class Account:
    """What was made so far, so that later events name it."""

    def __init__(self, services: Services, bootstrap: Path, delay_ms: int = 0) -> None:
        services.renew(delay_ms)
        self._services, self._bootstrap = services, bootstrap
        self._answers: dict[str, dict[str, Any]] = {}

    def run(self, kind: str, request: str) -> Run:
        name = f"{_EVENTS[kind]}-{request.lower()}"
        changes = {"PhysicalResourceId": self._answers[kind]["PhysicalResourceId"]} if request != "Create" else {}
        found = event(self._services, name, **changes)
        if ROLE in self._answers:
            found = _with_role(found, self._answers[ROLE]["Data"]["Arn"])
        # The last owner of a provider waits more than two minutes for other stacks before it deletes it; asleep.
        variables = {"GITHUB_TRUST_IAM_LAG_SECONDS": "0"} if (kind, request) == (PROVIDER, "Delete") else {}
        done = run(self._services, ours(self._services, self._bootstrap, **variables), [found])
        self._answers[kind] = done.answered[0].answer
        return done


def _with_role(found: dict[str, Any], arn: str) -> dict[str, Any]:
    """Generated names differ with the account."""
    properties = ("ResourceProperties", "OldResourceProperties")
    for name in properties:
        if str(found.get(name, {}).get("PrincipalArn", "")).endswith(_RECORDED_ROLE):
            found[name]["PrincipalArn"] = arn
    return found


def peaks(services: Services, bootstrap: Path, times: int) -> dict[str, int]:
    """The most memory that each operation took, in kB, by `<kind> <request>`."""
    found: dict[str, int] = {}
    for _ in range(times):
        for kind in _EVENTS:
            account = Account(services, bootstrap)
            for other in _BEFORE[kind]:
                account.run(other, "Create")
            for request in ("Create", "Update", "Delete"):
                done = account.run(kind, request)
                found[f"{kind} {request}"] = max(done.peak, found.get(f"{kind} {request}", 0))
    return found


def slow(services: Services, bootstrap: Path, delay_ms: int, times: int) -> Mapping[str, list[Run]]:
    """The Create of each kind where every call takes that long."""
    found: dict[str, list[Run]] = {kind: [] for kind in _EVENTS}
    for _ in range(times):
        for kind in _EVENTS:
            account = Account(services, bootstrap, delay_ms)
            for other in _BEFORE[kind]:
                account.run(other, "Create")
            found[kind].append(account.run(kind, "Create"))
    return found
