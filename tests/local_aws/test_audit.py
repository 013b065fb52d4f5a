"""The command `github-trust`, on an account with a role of the product beside roles as tutorials make them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from deployment import create_cluster
from local_aws import ACCOUNT, ROOT, LocalAws
from tutorials import ISSUER, PROVIDER, TUTORIALS, build_command, make, run, trust

EXIT_FOUND = 3
EXIT_USAGE = 2
CLUSTER = "audited"


@pytest.fixture(scope="module", autouse=True)
def command() -> None:
    build_command()


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    """An account of its own, in which nothing of the product is deployed."""
    with LocalAws() as running:
        iam = running.client("iam")
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["1" * 40]
        )
        make(running)
        create_cluster(running, CLUSTER, "API")
        create_cluster(running, "of-the-past", "CONFIG_MAP")
        eks = running.client("eks")
        place = {"clusterName": CLUSTER, "principalArn": f"arn:aws:iam::{ACCOUNT}:role/with-ids"}
        eks.create_access_entry(**place, kubernetesGroups=["deployers"])
        eks.associate_access_policy(
            **place,
            policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
            accessScope={"type": "namespace", "namespaces": ["web"]},
        )
        yield running


def test_roles_of_tutorials_are_graded_and_only_read(account: LocalAws) -> None:
    audited = run("audit", "--output", "json", environment=account.environment())
    assert audited.returncode == 0, audited.stderr
    report = json.loads(audited.stdout)
    found = {role["Arn"].rsplit("/", 1)[-1]: [one["Grade"] for one in role["Findings"]] for role in report["Roles"]}
    assert found == {name: grades for name, (_, _, grades) in TUTORIALS.items()}
    assert report["Providers"] == [PROVIDER]
    assert report["NotRead"] == []
    schema = json.loads((ROOT / "schemas" / "audit.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(report)] == []


def test_access_entries_of_the_roles_are_shown(account: LocalAws) -> None:
    audited = run("audit", "--output", "json", environment=account.environment())
    roles = {role["Arn"].rsplit("/", 1)[-1]: role for role in json.loads(audited.stdout)["Roles"]}
    policy = {"Arn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy", "Namespaces": ["web"]}
    assert roles["with-ids"]["Clusters"] == [{"Cluster": CLUSTER, "Groups": ["deployers"], "Policies": [policy]}]
    assert roles["one-branch"]["Clusters"] == []
    table = run("audit", environment=account.environment()).stdout
    assert f"on the cluster {CLUSTER}: AmazonEKSEditPolicy in web; group deployers" in table


def test_the_page_has_a_section_for_each_role(account: LocalAws, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run("audit", "--html", page, environment=account.environment()).returncode == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("<article") == len(TUTORIALS)
    assert f"Cluster {CLUSTER}" in html


def test_the_table_shows_the_worst_first_and_the_proof(account: LocalAws) -> None:
    shown = run("audit", environment=account.environment()).stdout
    first = shown.split("\n\n")[1]
    assert first.startswith("open"), first
    assert "such as repo:a-stranger/anything:" in first
    assert "exact" in shown.split("\n\n")[-1]


def test_the_exit_status_follows_the_grades_that_are_named(account: LocalAws) -> None:
    assert run("audit", "--fail-on", "open,organisation", environment=account.environment()).returncode == EXIT_FOUND
    assert run("audit", "--fail-on", "not-judged", environment=account.environment()).returncode == 0
    wrong = run("audit", "--fail-on", "wide", environment=account.environment())
    assert wrong.returncode == EXIT_USAGE
    assert "possible values: open" in wrong.stderr


def test_a_refused_token_is_explained_offline(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(trust(TUTORIALS["one-branch"][0])), encoding="utf-8")
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": "sts.amazonaws.com",
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/master",
    }
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    (tmp_path / "token").write_text(f"e30.{part}.c2lnbmF0dXJl", encoding="utf-8")
    explained = run("explain", "--policy", str(tmp_path / "policy.json"), "--token", str(tmp_path / "token"))
    assert explained.returncode == EXIT_FOUND, explained.stderr
    answer = json.loads(explained.stdout)
    assert answer["Verdict"] == "refused"
    assert 'add the branch "master"' in explained.stdout.replace('\\"', '"')
    assert "c2lnbmF0dXJl" not in explained.stdout
