"""An AWS and a GitHub on this machine, for a run to be tried on."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deployment
import templates
from actions import Actions
from github.repositories import TOKEN
from local_aws import ACCOUNT, REGION, ROOT, LocalAws

HERE = Path(__file__).resolve().parent
ORGANISATION = "acme"
CLUSTER = "acceptance"


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        deployment.create_cluster(running, CLUSTER, "API")
        yield running


@pytest.fixture(scope="session")
def actions(aws: LocalAws) -> Actions:
    return Actions(aws)


@pytest.fixture(scope="session")
def bundle(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the archive of `make bundle` deploys, without a release's minutes of optimisation."""
    directory = Path(tmp_path_factory.mktemp("bundle"))
    if not (built := os.environ.get("BOOTSTRAP")):
        deployment.build(aws)
        built = str(deployment.BUILD / "Function" / "bootstrap")
    with zipfile.ZipFile(directory / "function.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap", (2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, Path(built).read_bytes(), zipfile.ZIP_DEFLATED, 1)
    text = templates.for_sam((ROOT / "template.yaml").read_text(), deployment.ARCHITECTURE)
    (directory / "github-trust.template.yaml").write_text(templates.plain(text))
    return directory


@pytest.fixture(scope="session")
def environment(aws: LocalAws, actions: Actions, bundle: Path) -> dict[str, str]:
    named = {
        "ACCOUNT": ACCOUNT,
        "ACCOUNT_AGAIN": ACCOUNT,
        "ORGANISATION": ORGANISATION,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API": actions.url,
        "BUNDLE": str(bundle),
        "CLUSTER": CLUSTER,
        "PAUSE": "0.1",
        # Of the local GitHub.
        "PARAMETERS": "PrivateIssuers=true",
    }
    chosen = {f"GITHUB_TRUST_ACCEPTANCE_{name}": value for name, value in named.items()}
    paths = f"{HERE}{os.pathsep}{HERE.parent / 'local_aws'}"
    return {**aws.environment(), **chosen, "GITHUB_TRUST_ACCEPTANCE": "1", "AWS_REGION": REGION, "PYTHONPATH": paths}


def started(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "acceptance.py"), *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload, no-any-return]
