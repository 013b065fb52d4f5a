"""Wrong templates by `aws cloudformation deploy`: the first message says what to change (wrong_templates.yaml)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

import deployment
from local_aws import ROOT, LocalAws
from stack import Stack

FILE = Path(__file__).with_name("wrong_templates.yaml")
FOUND = yaml.safe_load(FILE.read_text())
MISTAKES: list[dict[str, Any]] = FOUND["mistakes"]
# The command looks at a stack every 30 seconds.
AT_ONCE = 24
PROVIDER = """
Resources:
  Provider:
    Type: Custom::GitHubOidcProvider
    Properties: { ServiceToken: !ImportValue github-trust-ServiceToken }
"""
NO_REASON = "Failed to create/update the stack. Run the following command"


@pytest.fixture(scope="module")
def account(service_token: str) -> Iterator[LocalAws]:
    """With the function as the quick start deploys it, and without a credential for GitHub."""
    del service_token  # it has built the function
    with LocalAws() as running:
        parameters = ("AllowedGitHubOwners=octo-org", 'GitHubSecretArn=""')
        deployment.deploy_as(running, deployment.FUNCTION, *parameters)
        deployment.create_cluster(running, "demo", "API")
        provider = Stack(running, "provider")
        assert provider.create(PROVIDER) == "CREATE_COMPLETE", provider.reasons()
        yield running


def wrong(mistake: dict[str, Any]) -> str:
    text: str = FOUND["templates"][mistake["in"]]
    for right, typed in mistake["typed"].items():
        assert right in text
        text = text.replace(right, typed)
    return text


def command_of_the_page() -> str:
    """The one by which docs/troubleshooting.md finds the reason."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "troubleshooting.md").read_text(), flags=re.DOTALL)
    [found] = [block for block in blocks if "describe-stack-events" in block]
    return str(found)


def first_message(account: LocalAws, folder: Path, number: int) -> tuple[str, str]:
    """Where the first message is, and the message."""
    template, stack = folder / f"{number}.yaml", f"wrong-{number}"
    template.write_text(wrong(MISTAKES[number]))

    def run(command: str) -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-c", command]
        return subprocess.run(shell, env=account.environment(), cwd=folder, capture_output=True, text=True)

    deployed = run(f"aws cloudformation deploy --stack-name {stack} --template-file {template.name}")
    assert deployed.returncode != 0, deployed.stdout
    if NO_REASON not in deployed.stderr:
        return "command", " ".join(deployed.stderr.split())
    shown = run(command_of_the_page().replace("--stack-name web", f"--stack-name {stack}"))
    assert shown.returncode == 0, shown.stderr
    return "events", shown.stdout.splitlines()[0]


@pytest.fixture(scope="module")
def seen(account: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("templates")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda number: first_message(account, folder, number), range(len(MISTAKES))))


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: MISTAKES[number]["mistake"])
def test_the_first_message_says_what_to_change(seen: list[tuple[str, str]], number: int) -> None:
    where, message = seen[number]
    assert where == MISTAKES[number]["where"], message
    words = ".*".join(map(re.escape, MISTAKES[number]["sees"].split("…")))
    assert re.search(words, message), message
