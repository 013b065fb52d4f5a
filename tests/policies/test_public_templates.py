"""The findings of the hook in public templates are right by another evaluator, and none is missed."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections import Counter
from typing import Any

import pytest

from render import ACCOUNT, ROOT
from simulator import INSTALLED

ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
TABLE = json.loads((ROOT / "tests" / "hook" / "public_templates.json").read_text())
DECLARED = ROOT / "src" / "resources" / "github_role" / "tests" / "public_templates.json"
ANY = {"ref:refs/heads/any", "ref:refs/tags/any", "environment:any", "pull_request"}
OWNER_ID, ID, STRANGER = "123456", "456789", "999"


def policy(condition: dict[str, dict[str, Any]]) -> dict[str, Any]:
    def with_issuer(keys: dict[str, Any]) -> dict[str, Any]:
        return {f"{ISSUER}:{claim}": values for claim, values in keys.items()}

    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {operator: with_issuer(keys) for operator, keys in condition.items()},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def values_of(condition: dict[str, dict[str, Any]], claim: str) -> list[str]:
    found = [keys[claim] for keys in condition.values() if claim in keys]
    return list(itertools.chain.from_iterable([one] if isinstance(one, str) else one for one in found))


def token(
    owner: str, name: str, ids: tuple[str, str], context: str, has_ids: bool, claims: dict[str, str]
) -> dict[str, str]:
    """The condition keys that STS makes of a job's token."""
    owner_id, repository_id = ids
    prefix = f"{owner}@{owner_id}/{name}@{repository_id}" if has_ids else f"{owner}/{name}"
    keys = {
        "aud": "sts.amazonaws.com",
        "sub": f"repo:{prefix}:{context}" if context else f"repo:{prefix}",
        "repository": f"{owner}/{name}",
        "repository_id": repository_id,
        "repository_owner_id": owner_id,
        "ref": context.removeprefix("ref:") if context.startswith("ref:") else "refs/heads/main",
        "job_workflow_ref": f"{owner}/{name}/.github/workflows/deploy.yml@refs/heads/main",
        "workflow": "Deploy",
        "actor": "somebody",
        **claims,
    }
    if context.startswith("environment:"):
        keys["environment"] = context.removeprefix("environment:")
    return {f"{ISSUER}:{claim}": value for claim, value in keys.items()}


def jobs(condition: dict[str, dict[str, Any]]) -> list[tuple[str, str, dict[str, str]]]:
    """Jobs of strangers, of other repositories of the owner, and of those that are named, each with its context."""
    subjects = values_of(condition, "sub")
    pattern = re.compile(r"repo:([^/:@]+)(?:@(\d+))?/([^/:@]+)(?:@(\d+))?(?::(.+))?$")
    parts = [found for subject in subjects if (found := pattern.match(subject.replace("@*", "")))]
    named = {(part[1], part[2], part[3], part[4]) for part in parts} or {("octo-org", None, "octo-repo", None)}
    contexts = {part[5].replace("*", "x") for part in parts if part[5] and part[5] != "*"} | ANY | {""}
    first = {claim: values_of(condition, claim) for claim in ("job_workflow_ref", "workflow", "ref", "repository")}
    told = {claim: values[0] for claim, values in first.items() if values}
    made = []
    for owner, owner_id, name, repository_id in named:
        meant = "meant" if "*" in name else name
        own_ids = (
            (values_of(condition, "repository_owner_id") or [owner_id or OWNER_ID])[0],
            (values_of(condition, "repository_id") or [repository_id or ID])[0],
        )
        whose = {
            "stranger": ("a-stranger", "anything", (STRANGER, STRANGER)),
            "sibling": (owner, "another", (own_ids[0], STRANGER)),
            "meant": (owner, meant, own_ids),
        }
        # GitHub takes no such name.
        if meant.endswith(".git"):
            del whose["meant"]
        for (who, (its_owner, its_name, ids)), context, has_ids in itertools.product(
            whose.items(), sorted(contexts), (False, True)
        ):
            # Anybody may call a workflow; its repository is each job's own.
            claims = {claim: value for claim, value in told.items() if who == "meant" or claim != "repository"}
            made.append(
                (f"{who} {its_owner}/{its_name}", context, token(its_owner, its_name, ids, context, has_ids, claims))
            )
    return made


def templates() -> list[tuple[dict[str, dict[str, Any]], str, list[str]]]:
    found = [(row["condition"], row["found"], row["sources"]) for row in TABLE["templates"]]
    of = {source: finding for finding, sources in TABLE["declared"].items() for source in sources}
    for template in json.loads(DECLARED.read_text())["declared"]:
        like = {"sub": template["subjects"], **template.get("claims", {})}
        condition = {"StringEquals": {"aud": "sts.amazonaws.com"}, "StringLike": like}
        found.append((condition, of.get(template["source"], ""), [template["source"]]))
    return found


def judged(made: list[tuple[str, str, dict[str, str]]], admitted: list[bool]) -> str:
    """The finding that a policy deserves by the jobs that it lets in."""
    let_in = [(who, context) for (who, context, _), is_in in zip(made, admitted, strict=True) if is_in]
    if any(who.startswith("stranger") for who, _ in let_in):
        return "open"
    if any(who.startswith("sibling") for who, _ in let_in):
        return "organisation"
    by_repository: dict[str, set[str]] = {}
    for who, context in let_in:
        by_repository.setdefault(who, set()).add(context)
    if any(contexts >= ANY for contexts in by_repository.values()):
        return "repository"
    return "" if let_in else "nobody"


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[str, str, list[str]]]:
    """For each template what the hook finds, what it deserves, and its sources."""
    asked = [(jobs(condition), condition, found, sources) for condition, found, sources in templates()]
    lines = [
        json.dumps({"policy": policy(condition), "provider": PROVIDER, "tokens": [keys for _, _, keys in made]})
        for made, condition, _, _ in asked
    ]
    command = ["node", str(ROOT / "tests" / "policies" / "admitted.mjs"), str(INSTALLED)]
    answered = subprocess.run(command, input="\n".join(lines), stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line) for line in answered.stdout.splitlines()]
    return [
        (found, judged(made, answer), sources) for (made, _, found, sources), answer in zip(asked, answers, strict=True)
    ]


def test_no_finding_is_a_false_alarm(verdicts: list[tuple[str, str, list[str]]]) -> None:
    assert [verdict for verdict in verdicts if verdict[0] and verdict[0] != verdict[1]] == []


def test_nothing_is_missed(verdicts: list[tuple[str, str, list[str]]]) -> None:
    assert [verdict for verdict in verdicts if not verdict[0] and verdict[1]] == []


def test_most_templates_have_a_finding(verdicts: list[tuple[str, str, list[str]]]) -> None:
    counts: Counter[str] = Counter()
    for found, _, sources in verdicts:
        counts[found or "nothing"] += len(sources)
    print(counts)
    assert counts.total() >= 99
    assert {"open", "organisation", "repository", "nobody", "nothing"} == set(counts)
