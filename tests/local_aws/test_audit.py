"""The command `github-trust`, on an account with a role of the product beside roles as tutorials make them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from deployment import create_cluster
from local_aws import ACCOUNT, ROOT, LocalAws
from tokens import assume
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


def test_a_role_of_a_stack_that_was_changed_by_hand_is_told(account: LocalAws) -> None:
    iam = account.client("iam")
    stack = f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/web/1"
    tags = {"stack-id": stack, "logical-id": "Role", "settings": "Trust=aaaaaaaaaaaaa"}
    iam.create_role(
        RoleName="of-a-stack",
        AssumeRolePolicyDocument=json.dumps(trust(TUTORIALS["one-branch"][0])),
        Tags=[{"Key": f"github-trust:{key}", "Value": value} for key, value in tags.items()],
    )
    try:
        audited = run("audit", "--output", "json", environment=account.environment())
        changed = {role["Arn"].rsplit("/", 1)[-1]: role.get("Changed") for role in json.loads(audited.stdout)["Roles"]}
        told = "its trust policy was changed and admits repo:octo-org/octo-repo:ref:refs/heads/main"
        assert changed.pop("of-a-stack") == [told]
        assert set(changed.values()) == {None}
        assert f"changed by hand: {told}" in run("audit", environment=account.environment()).stdout
    finally:
        iam.delete_role(RoleName="of-a-stack")


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


def test_a_policy_with_a_key_twice_is_not_read(tmp_path: Path) -> None:
    condition = f'{{"StringEquals": {{"{ISSUER}:aud": "a"}}, "StringEquals": {{"{ISSUER}:sub": "b"}}}}'
    statement = f'{{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {condition}}}'
    policy = tmp_path / "policy.json"
    policy.write_text(f'{{"Statement": [{statement}]}}', encoding="utf-8")
    token, events = tmp_path / "token", tmp_path / "events.json"
    token.write_text("e30.e30.c2lnbmF0dXJl", encoding="utf-8")
    events.write_text('{"Records": []}', encoding="utf-8")
    for command in (("explain", "--token", token), ("suggest", "--role", "deploy", "--events", events)):
        asked = run(*command, "--policy", policy)
        assert asked.returncode not in (0, EXIT_FOUND), asked.stdout
        assert f"{policy}: `Statement[0].Condition.StringEquals` twice" in asked.stderr, asked.stderr


CLASSIC = "repo:octo-org/classic"


@pytest.fixture
def jobs() -> Iterator[LocalAws]:
    """An account in which jobs of octo-org/classic came for the role `deploy` and were let in or refused."""
    with LocalAws(auth=True) as running:
        iam = running.client("iam")
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["1" * 40]
        )
        condition = {"StringLike": {f"{ISSUER}:sub": [f"{CLASSIC}:ref:refs/heads/ma*", f"{CLASSIC}:ref:refs/tags/v1"]}}
        made = iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=json.dumps(trust(condition)))
        role = made["Role"]["Arn"]
        let_in = [("main", "sts.amazonaws.com", None), ("main", "sts.amazonaws.com", None)]
        refused = [("dev", "sts.amazonaws.com", "AccessDenied"), ("main", "other", "InvalidIdentityToken")]
        for branch, audience, answer in let_in + refused:
            token = running.token(repository="octo-org/classic", ref=f"refs/heads/{branch}", audience=audience)
            assert assume(running, role, token) == answer, (branch, audience)
        yield running


def test_the_causes_of_refused_jobs_are_read_from_cloudtrail(jobs: LocalAws) -> None:
    explained = run("explain", "--role", "deploy", "--output", "json", environment=jobs.environment())
    assert explained.returncode == 0, explained.stderr
    found = json.loads(explained.stdout)["Refused"]
    changes = {one["Subject"]: one["Change"] for one in found}
    assert 'add the branch "dev" to `Branches`' in changes[f"{CLASSIC}:ref:refs/heads/dev"]
    assert "`ClientIdList`" in changes[""]
    gone = run("explain", "--role", "deploy-2", environment=jobs.environment())
    assert "there is no role deploy-2" in gone.stdout, gone.stderr


def test_the_suggested_trust_is_what_the_jobs_used(jobs: LocalAws, tmp_path: Path) -> None:
    suggested = run("suggest", "--role", "deploy", "--output", "json", environment=jobs.environment())
    assert suggested.returncode == 0, suggested.stderr
    answer = json.loads(suggested.stdout)
    assert answer["Trust"] == [{"Repository": "octo-org/classic", "Branches": ["main"]}]
    assert [(use["Subject"], use["Times"]) for use in answer["Uses"]] == [(f"{CLASSIC}:ref:refs/heads/main", 2)]
    assert answer["Unused"] == [f"{CLASSIC}:ref:refs/tags/v1"]
    assert answer["Wider"] == [f"{CLASSIC}:ref:refs/heads/ma*"]
    events = tmp_path / "events.json"
    looked_up = jobs.client("cloudtrail").lookup_events()
    events.write_text(json.dumps(looked_up, default=str), encoding="utf-8")
    from_file = run("suggest", "--role", "deploy", "--events", events, environment=jobs.environment())
    assert 'Branches: ["main"]' in from_file.stdout, from_file.stderr


def test_findings_are_as_security_hub_takes_them(account: LocalAws) -> None:
    audited = run("audit", "--output", "asff", environment=account.environment())
    assert audited.returncode == 0, audited.stderr
    model = botocore.session.get_session().get_service_model("securityhub")
    shape = model.operation_model("BatchImportFindings").input_shape
    findings = []
    for line in audited.stdout.splitlines():
        batch = json.loads(line)
        assert ParamValidator().validate({"Findings": batch}, shape).generate_report() == ""
        findings += batch
    severities = {one["Resources"][0]["Id"].rsplit("/", 1)[-1]: one["Severity"]["Label"] for one in findings}
    assert set(severities) == set(TUTORIALS)
    assert severities["any-repository"] == "CRITICAL"
    assert severities["whole-repository"] == "HIGH"
    assert severities["with-ids"] == "INFORMATIONAL"
    assert len({one["Id"] for one in findings}) == len(TUTORIALS)


def test_reports_of_many_accounts_become_one(account: LocalAws, tmp_path: Path) -> None:
    report = run("audit", "--output", "json", environment=account.environment()).stdout
    (tmp_path / "one.json").write_text(report, encoding="utf-8")
    (tmp_path / "two.json").write_text("", encoding="utf-8")
    files = [tmp_path / "one.json", tmp_path / "two.json", tmp_path / "three.json"]
    merged = run("audit", "--output", "json", "--merge", *files)
    assert merged.returncode == 1
    whole = json.loads(merged.stdout)
    schemas = [
        json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
        for name in ("audit-merged.json", "audit.json")
    ]
    registry = Registry().with_resource("audit.json", Resource.from_contents(schemas[1]))
    assert [error.message for error in Draft202012Validator(schemas[0], registry=registry).iter_errors(whole)] == []
    assert whole["Accounts"][0]["Report"] == json.loads(report)
    assert whole["Failed"] == len(files) - 1
    assert "No such file" in whole["Accounts"][2]["Failed"]
    assert run("audit", "--fail-on", "open", "--merge", *files).returncode == EXIT_FOUND
