"""How much memory the scheduled run takes over accounts of several sizes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from functions import ISSUER, event, ours
from measure import ROOT, Failed, Services, run, unanswered


@dataclass(frozen=True)
class Size:
    """How much there is of everything; of every twentieth role the entries have to be made again."""

    providers: int
    roles: int
    clusters: int
    stale: int = 20

    @property
    def entries(self) -> int:
        return self.roles * self.clusters

    @property
    def stale_entries(self) -> int:
        return -(-self.roles // self.stale) * self.clusters


@dataclass(frozen=True)
class Scheduled:
    """One run over all of it."""

    size: Size
    peak: int
    calls: int


SIZES = (Size(10, 100, 3), Size(100, 1000, 3), Size(100, 1000, 6))


def runs(services: Services, bootstrap: Path, sizes: Sequence[Size] = SIZES) -> list[Scheduled]:
    return [_one(services, bootstrap, size) for size in sizes]


def _one(services: Services, bootstrap: Path, size: Size) -> Scheduled:
    services.renew()
    # The names are those of tests/simulation/large_account.rs.
    function = ours(services, bootstrap, GITHUB_TRUST_ROLE_PATH="/")
    provider, role, entry = (event(services, f"{name}-create") for name in ("oidc-provider", "role", "access-entry"))
    provider["ResourceProperties"]["Url"] = f"https://{ISSUER}/e-000"
    arn = run(services, function, [provider]).answered[0].answer["PhysicalResourceId"]
    trust = [{"Repository": "acme/app", "Branches": ["main"]}]
    role["ResourceProperties"].update(RoleName="deploy-0000", Path="/", ProviderArn=arn, Trust=trust)
    entry["ResourceProperties"]["PrincipalArn"] = run(services, function, [role]).answered[0].answer["Data"]["Arn"]
    run(services, function, [entry])
    services.multiply(providers=size.providers, roles=size.roles, clusters=size.clusters, stale=size.stale)
    schedule = json.loads((ROOT / "events" / "schedule.json").read_text())
    peak, calls = unanswered(services, function, schedule)
    healed = sum(call.startswith("eks:POST /clusters/c-") and call.endswith("/access-entries") for call in calls)
    if healed != size.stale_entries:
        raise Failed(f"the scheduled run made {healed} entries again and not {size.stale_entries}")
    return Scheduled(size, peak, len(calls))
