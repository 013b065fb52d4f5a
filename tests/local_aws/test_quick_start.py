"""The commands of docs/quick-start.md, of the dashboard and of events/README.md, typed in their order.

How the archive is made, verified and deployed: test_release.py.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import deployment
from local_aws import ACCOUNT, ROOT, LocalAws, free_port, until
from stack import Stack

QUICK_START = (ROOT / "docs" / "quick-start.md").read_text()


@pytest.fixture(scope="module")
def account(service_token: str) -> Iterator[LocalAws]:
    del service_token  # it has built the function
    with LocalAws() as running:
        deployment.deploy_as(running, deployment.FUNCTION, "AllowedGitHubOwners=octo-org")
        yield running


def blocks(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def typed(account: LocalAws, commands: str) -> str:
    """What the commands print. Version 1 of the CLI takes payloads as they are, as docs/troubleshooting.md says."""
    commands = commands.replace(" --cli-binary-format raw-in-base64-out", "").replace("123456789012", ACCOUNT)
    command = ["bash", "-euo", "pipefail", "-c", commands]
    result = subprocess.run(command, env=account.environment(), cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def answer(printed: str) -> dict[str, Any]:
    """What the function said: the CLI prints its own metadata behind it."""
    found: dict[str, Any] = json.JSONDecoder().raw_decode(printed)[0]
    return found


def test_the_dashboard_is_deployed_as_the_page_says(account: LocalAws) -> None:
    [command] = [block for block in blocks((ROOT / "docs" / "operations.md").read_text()) if "dashboard" in block]
    typed(account, command)
    cloudwatch = account.client("cloudwatch")
    [found] = cloudwatch.list_dashboards(DashboardNamePrefix="github-trust-")["DashboardEntries"]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=found["DashboardName"])["DashboardBody"])
    [alarms] = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    there = {alarm["AlarmArn"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert len(alarms) == 4
    assert set(alarms) <= there


def test_cargo_lambda_asks_what_a_hook_would_ask(account: LocalAws) -> None:
    remote, _ = blocks((ROOT / "events" / "README.md").read_text())
    said = answer(typed(account, remote))
    assert (said["hookStatus"], said["errorCode"]) == ("FAILED", "NonCompliant")


def test_cargo_lambda_serves_a_hook_without_any_aws(tmp_path: Path) -> None:
    _, local = blocks((ROOT / "events" / "README.md").read_text())
    path, watch, invoke = local.strip().splitlines()
    address, port = "--invoke-address 127.0.0.1", free_port()
    assert address in watch
    assert address in invoke
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def command(line: str) -> list[str]:
        return ["bash", "-euc", f"{path}\nexec {line.replace(address, f'{address} --invoke-port {port}')}"]

    with (tmp_path / "log").open("w") as log:
        # With the features of the other builds, so that it is compiled already.
        served = subprocess.Popen(
            command(f"{watch} --features cli"),
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: is_open(port), f"cargo lambda watch on port {port}", 60)
        said = subprocess.run(command(invoke), cwd=ROOT, env=environment, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr + (tmp_path / "log").read_text()
    finally:
        os.killpg(served.pid, signal.SIGINT)
        served.wait()
    answered = json.loads(said.stdout)
    assert (answered["hookStatus"], answered["errorCode"]) == ("FAILED", "NonCompliant")


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_each_command_of_the_quick_start_works(account: LocalAws) -> None:
    archive, checkout, protect, deploy, reason, plan, explain, remove = blocks(QUICK_START)
    assert "sam deploy" in archive
    assert "sam build" in checkout
    typed(account, protect)
    outputs = json.loads("[" + typed(account, deploy).partition("\n[")[2])
    shown = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    assert typed(account, reason).strip() == ""

    [resource] = answer(typed(account, plan))["Resources"]
    assert resource["Attributes"]["Subjects"] == shown["Subjects"]

    refused = shown["Subjects"].replace("refs/heads/main", "refs/heads/dev")
    explain = re.sub(r'"sub": "[^"]+"', f'"sub": "{refused}"', explain)
    said = answer(typed(account, explain.replace("smoke-test-Role-…", shown["RoleArn"].rpartition("/")[2])))
    assert said["Verdict"] == "refused"
    assert 'add the branch "dev"' in said["Statements"][0]["Failed"][0]["Change"]

    stacks = [Stack.existing(account, name) for name in ("smoke-test", "github-trust")]
    typed(account, remove)
    assert [stack.settle() for stack in stacks] == ["DELETE_COMPLETE"] * 2
    assert deployment.owned(account) == []
