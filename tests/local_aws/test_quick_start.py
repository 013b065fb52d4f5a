"""The commands of docs/quick-start.md, of the dashboard and of events/README.md, typed in their order.

How the archive is made, verified and deployed: test_release.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import deployment
from local_aws import ACCOUNT, ROOT, LocalAws
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
