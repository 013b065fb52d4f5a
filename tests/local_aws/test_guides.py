"""Every template of a guide is deployed, with the guardrails that the guide names and by default otherwise."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import pytest

import deployment
from local_aws import ROOT, LocalAws
from stack import Stack

# The reference shows parts of the examples, and README.md has a test of its own.
PAGES = sorted((ROOT / "docs").glob("*.md"))
OPENED = ("AllowedNamespaces=web", "WritableGitHubRepositories=octo-org/*")
ENVIRONMENT = "/repos/octo-org/octo-repo/environments/production"
# What the parts of a template refer to.
AROUND = """
Parameters:
  Repository: { Type: String, Default: octo-org/web }
Resources:
"""
PROVIDER = """
  Provider:
    Type: Custom::GitHubOidcProvider
    Properties:
      ServiceToken: !ImportValue github-trust-ServiceToken
"""
ROLE = """
  Role:
    Type: Custom::GitHubRole
    Properties:
      ServiceToken: !ImportValue github-trust-ServiceToken
      ProviderArn: !Ref Provider
"""
TRUST = "Trust: [{ Repository: octo-org/octo-repo, Branches: [main] }]\n"


def templates() -> dict[str, str]:
    """By page and number: each part of a template with what it refers to."""
    found: dict[str, str] = {}
    for page in PAGES:
        parts = re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)
        parts = [textwrap.dedent(part) for part in parts if re.search(r"\bCustom::|^Trust:", part, re.MULTILINE)]
        for number, part in enumerate(parts, 1):
            trust, own = (part, "") if part.startswith("Trust:") else (TRUST, textwrap.indent(part, "  "))
            around = {"Provider": PROVIDER, "Role": ROLE + textwrap.indent(trust, " " * 6)}
            needed = [text for name, text in around.items() if f"\n  {name}:" not in f"\n{own}"]
            found[f"{page.name} {number}"] = AROUND + "".join(needed) + own
    return found


TEMPLATES = templates()


@pytest.fixture(scope="module")
def account(service_token: str) -> Iterator[LocalAws]:
    del service_token  # it has built the function
    with LocalAws() as running:
        deployment.deploy_as(running, deployment.FUNCTION, *OPENED)
        deployment.create_cluster(running, "production", "API")
        yield running


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_template_of_a_guide_is_deployed_and_leaves_nothing(account: LocalAws, name: str) -> None:
    if name.startswith("github-variable.md"):
        account.at_github(environments={ENVIRONMENT: {}})
    stack = Stack(account, f"guide-{list(TEMPLATES).index(name)}")
    assert stack.create(TEMPLATES[name]) == "CREATE_COMPLETE", stack.reasons()
    assert stack.delete() == "DELETE_COMPLETE", stack.reasons()
    assert deployment.owned(account) == []
    account.at_github(remove=[ENVIRONMENT])


def test_there_are_templates_in_the_guide_of_each_type() -> None:
    types = set(re.findall(r"Custom::\w+", "".join(TEMPLATES.values())))
    assert len(types) == 6
    assert {name.split()[0] for name in TEMPLATES} >= {"access-entry.md", "github-role.md", "quick-start.md"}
