"""What has to be said before anything is made, and what will be made."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What everything is called that a run makes, at AWS and at GitHub, and the tag that it carries.
NAME = "github-trust-acceptance"
_PREFIX = "GITHUB_TRUST_ACCEPTANCE"


class Refused(Exception):
    """Nothing was made."""


@dataclass(frozen=True)
class Settings:
    account: str
    region: str
    organisation: str
    token: str = field(repr=False)
    cluster: str = ""
    bundle: Path = ROOT / "target" / "acceptance" / "bundle"
    api: str = "https://api.github.com"
    # Between two looks at something that takes time, in seconds.
    pause: float = 5.0
    parameters: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def name(self) -> str:
        return f"{NAME}-{self.run}"

    @property
    def repository(self) -> str:
        return f"{self.organisation}/{self.name}"


def settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Everything that is missing or contradicts itself is said at once."""

    def named(name: str) -> str:
        return environment.get(f"{_PREFIX}_{name}", "").strip()

    account, region = named("ACCOUNT"), environment.get("AWS_REGION", "")
    wrong = []
    if environment.get(_PREFIX) != "1":
        wrong.append(f"{_PREFIX}=1 says that things may be made on a real account and at GitHub")
    if len(account) != 12 or not account.isdigit():
        wrong.append(f"{_PREFIX}_ACCOUNT has to be the account's id, twelve digits")
    elif named("ACCOUNT_AGAIN") != account:
        wrong.append(f"{_PREFIX}_ACCOUNT_AGAIN has to be the same id once more")
    if not region:
        wrong.append("AWS_REGION has to name the region")
    for name, what in (
        ("ORGANISATION", "an organisation at GitHub in which a scratch repository may be made"),
        ("GITHUB_TOKEN", "a token that may do so, see docs/acceptance.md"),
    ):
        if not named(name):
            wrong.append(f"{_PREFIX}_{name} has to be {what}")
    if wrong:
        raise Refused("\n".join(wrong))
    given = {
        "bundle": Path(named("BUNDLE")) if named("BUNDLE") else None,
        "api": named("GITHUB_API"),
        "pause": float(named("PAUSE") or 0),
        "parameters": tuple(named("PARAMETERS").split()),
        "cluster": named("CLUSTER"),
    }
    return Settings(
        account,
        region,
        named("ORGANISATION"),
        named("GITHUB_TOKEN"),
        **{name: value for name, value in given.items() if value},  # type: ignore[arg-type]
    )


def check_account(chosen: Settings, found: str) -> None:
    if found != chosen.account:
        raise Refused(f"these credentials are of account {found}, and not of {chosen.account}")


def announcement(chosen: Settings) -> str:
    entries = (
        f"access entries of two roles on the cluster {chosen.cluster}, which itself is not changed"
        if chosen.cluster
        else f"no access entries: {_PREFIX}_CLUSTER names no cluster, and none is made"
    )
    return f"""\
In account {chosen.account}, {chosen.region}, this makes, and deletes at the end, all of it named {NAME}-…:
  the function's stack (function, role, boundary, queue, alarms, log), a bucket with its code, a secret
  up to six other stacks: the provider of github.com, or a share in the one there is; roles below /{NAME}/
  {entries}
  for probes: some twenty roles that nobody can assume but this account, a topic, a queue, a secret
At GitHub: the private repository {chosen.repository}, with a workflow that runs three times, some minutes in all.
It takes about 25 minutes and costs some cents: a secret and four alarms for half an hour, and minutes of Actions.
Whatever a run leaves that was ended: make acceptance-sweep.
"""
