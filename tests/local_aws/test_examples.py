"""Every example is deployed, and lets in whom it says: with the product as it is by default."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

import deployment
from deployment import example, owned
from local_aws import REGION, ROOT, TOOLS, LocalAws
from stack import Stack
from tokens import DEPLOY, OTHER, assume

WEB, INFRA = "octo-org/web", "octo-org/infra"
TEMPLATES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "\nResources:\n" in path.read_text())

CLUSTER = "examples"


@pytest.fixture
def account(default_account: LocalAws) -> LocalAws:
    return default_account


@contextlib.contextmanager
def guardrail(account: LocalAws, name: str, value: str) -> Iterator[None]:
    """Another one than the default, for a while."""
    default = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"][name]["Default"]
    deployment.deploy_as(account, deployment.FUNCTION, f"{name}={value}")
    yield
    # What is not given stays as it was. SAM takes no empty value: a name that no namespace has.
    deployment.deploy_as(account, deployment.FUNCTION, f"{name}={default or 'none'}")


@pytest.fixture
def stack(account: LocalAws, name: str) -> Iterator[Stack]:
    stack = Stack(account, name)
    yield stack
    if stack.exists():
        stack.delete()


def created(stack: Stack, name: str, **parameters: str) -> dict[str, str]:
    assert stack.create(example(name), **parameters) == "CREATE_COMPLETE", stack.reasons()
    return stack.outputs()


def gone(account: LocalAws, stack: Stack, before: list[str]) -> None:
    assert stack.delete() == "DELETE_COMPLETE"
    assert owned(account) == before


def let_in(account: LocalAws, roles: dict[str, str], **job: Any) -> set[str]:
    """Which of the roles a job can assume."""
    token = account.token(**{"repository": WEB, **job})
    arns = {name: value for name, value in roles.items() if ":role/" in value}
    return {name for name, arn in arns.items() if assume(account, arn, token) is None}


@pytest.fixture
def before(account: LocalAws) -> list[str]:
    return owned(account)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "examples").as_posix())
def test_some_test_deploys_the_example(path: Path) -> None:
    quoted = f'"{path.relative_to(ROOT / "examples").as_posix()}"'
    assert any(quoted in test.read_text() for test in Path(__file__).parent.glob("*.py")), f"no test says {quoted}"


def test_cfn_lint_finds_nothing_in_the_examples_below() -> None:
    below = [str(path) for path in TEMPLATES if path.parent.name != "examples"]
    command = [str(TOOLS / "bin" / "cfn-lint"), "--include-checks", "I", "--regions", REGION, "--", *below]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_first_examples_keep_to_the_guardrails(account: LocalAws, stack: Stack, name: str) -> None:
    outputs = created(stack, "quickstart.yaml", Repository=WEB, ClusterName=CLUSTER)
    others = {"shared-provider.yaml": {"Repository": WEB}, "exact-trust.yaml": {"ProviderArn": outputs["ProviderArn"]}}
    for file, parameters in others.items():
        other = Stack(account, f"{name}-other")
        created(other, file, **parameters)
        assert other.delete() == "DELETE_COMPLETE"


def test_a_repository_of_another_owner_is_refused_where_owners_are_named(account: LocalAws, stack: Stack) -> None:
    with guardrail(account, "AllowedGitHubOwners", "octo-org"):
        assert stack.create(example("static-site.yaml"), Repository="somebody/web") == "ROLLBACK_COMPLETE"
    assert "guardrail `AllowedGitHubOwners`" in stack.reasons()["Sync"]


def test_another_boundary_than_the_deployment_s_is_refused(stack: Stack) -> None:
    lines = example("static-site.yaml").splitlines(keepends=True)
    [place] = [number for number, line in enumerate(lines) if "ProviderArn: !Ref" in line]
    lines.insert(place, "      PermissionsBoundary: arn:aws:iam::aws:policy/AdministratorAccess\n")
    assert stack.create("".join(lines), Repository=WEB) == "ROLLBACK_COMPLETE"
    assert "guardrail `RolePermissionsBoundary`" in stack.reasons()["Sync"]


def test_the_main_branch_lists_instances_and_nobody_else(account: LocalAws, stack: Stack, before: list[str]) -> None:
    outputs = created(stack, "smoke-test.yaml", Repository=WEB)
    assert let_in(account, outputs, ref="refs/heads/main") == {"RoleArn"}
    assert let_in(account, outputs, ref="refs/heads/feature") == set()
    assert let_in(account, outputs, repository=INFRA, ref="refs/heads/main") == set()
    token = account.token(repository=WEB, ref="refs/heads/main")
    credentials = account.client("sts").assume_role_with_web_identity(
        RoleArn=outputs["RoleArn"], RoleSessionName="smoke-test", WebIdentityToken=token
    )["Credentials"]
    assert "/smoke-test" in account.client_of("sts", credentials).get_caller_identity()["Arn"]
    account.client_of("ec2", credentials).describe_instances()
    gone(account, stack, before)


def test_the_app_of_the_cdk_makes_a_role_that_publishes_to_its_bucket(
    account: LocalAws, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "cdk/role.template.yaml")
    assert ":role/github/" in outputs["RoleArn"]
    assert let_in(account, outputs, ref="refs/heads/main") == {"RoleArn"}
    assert let_in(account, outputs, ref="refs/heads/feature") == set()
    gone(account, stack, before)


def test_each_environment_has_a_role_and_pull_requests_only_compare(
    account: LocalAws, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "several-environments.yaml", Repository=WEB, ApplicationStack="web")
    assert let_in(account, outputs, event="pull_request") == {"PlanRoleArn"}
    assert let_in(account, outputs, environment="staging") == {"StagingRoleArn"}
    assert let_in(account, outputs, environment="production") == {"ProductionRoleArn"}
    assert let_in(account, outputs, ref="refs/heads/main") == set()
    assert let_in(account, outputs, repository=INFRA, environment="production") == set()
    gone(account, stack, before)


def test_two_repositories_share_a_role_inside_the_reusable_workflow_only(
    account: LocalAws, stack: Stack, before: list[str]
) -> None:
    repositories = {"FirstRepository": WEB, "SecondRepository": INFRA}
    outputs = created(stack, "reusable-workflow.yaml", **repositories, Workflow=DEPLOY)
    for repository in (WEB, INFRA):
        assert let_in(account, outputs, repository=repository, job_workflow_ref=DEPLOY) == {"RoleArn"}
        assert let_in(account, outputs, repository=repository) == set()
        assert let_in(account, outputs, repository=repository, job_workflow_ref=OTHER) == set()
    assert let_in(account, outputs, repository="octo-org/another", job_workflow_ref=DEPLOY) == set()
    gone(account, stack, before)


def test_an_enterprise_server_with_a_private_ca_gets_its_thumbprint(
    account: LocalAws, stack: Stack, name: str, before: list[str]
) -> None:
    parameters = {
        "Host": f"private.{name}.example",
        "CaCertificate": account.ca_certificate("private"),
        "Repository": WEB,
    }
    issuers = f"token.actions.githubusercontent.com,private.{name}.example/_services/token"
    with guardrail(account, "AllowedIssuers", issuers):
        outputs = created(stack, "enterprise-server.yaml", **parameters)
    assert outputs["ThumbprintUse"] == "InUse"
    assert outputs["ThumbprintList"] == account.thumbprint("private")
    assert outputs["Subjects"] == f"repo:{WEB}:ref:refs/heads/main"
    gone(account, stack, before)


def test_each_namespace_has_a_role_that_gets_into_no_other(account: LocalAws, stack: Stack, before: list[str]) -> None:
    with guardrail(account, "AllowedNamespaces", "staging,production"):
        outputs = created(stack, "eks-namespaces.yaml", Repository=WEB, ClusterName=CLUSTER)
        eks = account.client("eks")
        for environment, role in (("staging", "StagingRoleArn"), ("production", "ProductionRoleArn")):
            assert let_in(account, outputs, environment=environment) == {role}
            place = {"clusterName": CLUSTER, "principalArn": outputs[role]}
            (policy,) = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
            assert policy["accessScope"] == {"type": "namespace", "namespaces": [environment]}
        gone(account, stack, before)


def test_the_main_branch_and_releases_push_images_and_nobody_else(
    account: LocalAws, stack: Stack, name: str, before: list[str]
) -> None:
    outputs = created(stack, "container-image.yaml", Repository=WEB, ImageRepository=f"{name}/web")
    assert let_in(account, outputs, ref="refs/heads/main") == {"RoleArn"}
    assert let_in(account, outputs, ref="refs/tags/v1.0.0") == {"RoleArn"}
    assert let_in(account, outputs, ref="refs/heads/feature") == set()
    assert let_in(account, outputs, event="pull_request") == set()
    gone(account, stack, before)


def test_the_environment_production_publishes_the_site(account: LocalAws, stack: Stack, before: list[str]) -> None:
    outputs = created(stack, "static-site.yaml", Repository=WEB)
    roles = {"RoleArn": outputs["RoleArn"]}
    assert let_in(account, roles, environment="production") == {"RoleArn"}
    assert let_in(account, roles, ref="refs/heads/main") == set()
    token = account.token(repository=WEB, environment="production")
    credentials = account.client("sts").assume_role_with_web_identity(
        RoleArn=outputs["RoleArn"], RoleSessionName="sync", WebIdentityToken=token
    )["Credentials"]
    s3 = account.client_of("s3", credentials)
    # What `aws s3 sync --delete` does.
    s3.put_object(Bucket=outputs["BucketName"], Key="index.html", Body=b"<p>Hello</p>")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=outputs["BucketName"])["Contents"]] == ["index.html"]
    s3.delete_object(Bucket=outputs["BucketName"], Key="index.html")
    gone(account, stack, before)


def test_the_pipeline_s_role_is_for_one_environment_of_one_repository(
    account: LocalAws, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "account-vending/pipeline-role.yaml", Repository=INFRA, CodeBucket="octo-code")
    assert let_in(account, outputs, repository=INFRA, environment="organization") == {"RoleArn"}
    assert let_in(account, outputs, repository=INFRA, environment="production") == set()
    assert let_in(account, outputs, repository=INFRA) == set()
    assert let_in(account, outputs, environment="organization") == set()
    gone(account, stack, before)
