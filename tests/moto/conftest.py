"""One world for the session, and what it took when it is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from github.repositories import TOKEN
from world import PRIVATE, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stop:
        yield World(Path(tmp_path_factory.mktemp("world")), stop)


@pytest.fixture(scope="session", autouse=True)
def without_credential(world: World) -> dict[str, Any]:
    """The answer for a private repository while the secret has no value yet. From then on it has one."""
    answer = world.ask("Create", "GitHubRole", PRIVATE, logical_id="Private")
    value = json.dumps({"token": TOKEN})
    world.client("secretsmanager").put_secret_value(SecretId=world.secret, SecretString=value)
    return answer


@pytest.fixture
def iam(world: World) -> Any:
    return world.client("iam")
