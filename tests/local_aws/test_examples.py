"""Every example is deployed, and lets in whom it says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from deployment import example, owned
from local_aws import REGION, ROOT, TOOLS, LocalAws
from stack import Stack
from tokens import DEPLOY, OTHER, assume

WEB, INFRA = "octo-org/web", "octo-org/infra"
TEMPLATES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "\nResources:\n" in path.read_text())

pytestmark = pytest.mark.usefixtures("service_token")


def created(stack: Stack, name: str, **parameters: str) -> dict[str, str]:
    assert stack.create(example(name), **parameters) == "CREATE_COMPLETE", stack.reasons()
    return stack.outputs()


def gone(aws: LocalAws, stack: Stack, before: list[str]) -> None:
    assert stack.delete() == "DELETE_COMPLETE"
    assert owned(aws) == before


def let_in(aws: LocalAws, roles: dict[str, str], **job: Any) -> set[str]:
    """Which of the roles a job can assume."""
    token = aws.token(**{"repository": WEB, **job})
    return {name for name, arn in roles.items() if assume(aws, arn, token) is None}


@pytest.fixture
def before(aws: LocalAws) -> list[str]:
    return owned(aws)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "examples").as_posix())
def test_some_test_deploys_the_example(path: Path) -> None:
    quoted = f'"{path.relative_to(ROOT / "examples").as_posix()}"'
    assert any(quoted in test.read_text() for test in Path(__file__).parent.glob("*.py")), f"no test says {quoted}"


def test_cfn_lint_finds_nothing_in_the_examples_below() -> None:
    below = [str(path) for path in TEMPLATES if path.parent.name != "examples"]
    command = [str(TOOLS / "bin" / "cfn-lint"), "--include-checks", "I", "--regions", REGION, "--", *below]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_environment_has_a_role_of_its_own_and_pull_requests_only_compare(
    aws: LocalAws, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "several-environments.yaml", Repository=WEB, ApplicationStack="web")
    assert let_in(aws, outputs, event="pull_request") == {"PlanRoleArn"}
    assert let_in(aws, outputs, environment="staging") == {"StagingRoleArn"}
    assert let_in(aws, outputs, environment="production") == {"ProductionRoleArn"}
    assert let_in(aws, outputs, ref="refs/heads/main") == set()
    assert let_in(aws, outputs, repository=INFRA, environment="production") == set()
    gone(aws, stack, before)


def test_two_repositories_share_a_role_inside_the_reusable_workflow_only(
    aws: LocalAws, stack: Stack, before: list[str]
) -> None:
    repositories = {"FirstRepository": WEB, "SecondRepository": INFRA}
    outputs = created(stack, "reusable-workflow.yaml", **repositories, Workflow=DEPLOY)
    for repository in (WEB, INFRA):
        assert let_in(aws, outputs, repository=repository, job_workflow_ref=DEPLOY) == {"RoleArn"}
        assert let_in(aws, outputs, repository=repository) == set()
        assert let_in(aws, outputs, repository=repository, job_workflow_ref=OTHER) == set()
    assert let_in(aws, outputs, repository="octo-org/another", job_workflow_ref=DEPLOY) == set()
    gone(aws, stack, before)


def test_an_enterprise_server_with_a_private_ca_gets_its_thumbprint_and_subjects_without_ids(
    aws: LocalAws, stack: Stack, name: str, before: list[str]
) -> None:
    parameters = {"Host": f"private.{name}.example", "CaCertificate": aws.ca_certificate("private"), "Repository": WEB}
    outputs = created(stack, "enterprise-server.yaml", **parameters)
    assert outputs["ThumbprintUse"] == "InUse"
    assert outputs["ThumbprintList"] == aws.thumbprint("private")
    assert outputs["Subjects"] == f"repo:{WEB}:ref:refs/heads/main"
    gone(aws, stack, before)


def test_each_namespace_has_a_role_that_gets_into_no_other(
    aws: LocalAws, eks: Any, cluster: str, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "eks-namespaces.yaml", Repository=WEB, ClusterName=cluster)
    for environment, role in (("staging", "StagingRoleArn"), ("production", "ProductionRoleArn")):
        assert let_in(aws, outputs, environment=environment) == {role}
        place = {"clusterName": cluster, "principalArn": outputs[role]}
        (policy,) = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
        assert policy["accessScope"] == {"type": "namespace", "namespaces": [environment]}
    gone(aws, stack, before)


def test_the_main_branch_and_releases_push_images_and_nobody_else(
    aws: LocalAws, stack: Stack, name: str, before: list[str]
) -> None:
    outputs = created(stack, "container-image.yaml", Repository=WEB, ImageRepository=f"{name}/web")
    assert let_in(aws, outputs, ref="refs/heads/main") == {"RoleArn"}
    assert let_in(aws, outputs, ref="refs/tags/v1.0.0") == {"RoleArn"}
    assert let_in(aws, outputs, ref="refs/heads/feature") == set()
    assert let_in(aws, outputs, event="pull_request") == set()
    gone(aws, stack, before)


def test_the_environment_production_publishes_the_site(aws: LocalAws, stack: Stack, before: list[str]) -> None:
    outputs = created(stack, "static-site.yaml", Repository=WEB)
    roles = {"RoleArn": outputs["RoleArn"]}
    assert let_in(aws, roles, environment="production") == {"RoleArn"}
    assert let_in(aws, roles, ref="refs/heads/main") == set()
    token = aws.token(repository=WEB, environment="production")
    credentials = aws.client("sts").assume_role_with_web_identity(
        RoleArn=outputs["RoleArn"], RoleSessionName="sync", WebIdentityToken=token
    )["Credentials"]
    s3 = aws.client_of("s3", credentials)
    # What `aws s3 sync --delete` does.
    s3.put_object(Bucket=outputs["BucketName"], Key="index.html", Body=b"<p>Hello</p>")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=outputs["BucketName"])["Contents"]] == ["index.html"]
    s3.delete_object(Bucket=outputs["BucketName"], Key="index.html")
    gone(aws, stack, before)


def test_the_pipeline_s_role_is_for_one_environment_of_one_repository(
    aws: LocalAws, stack: Stack, before: list[str]
) -> None:
    outputs = created(stack, "account-vending/pipeline-role.yaml", Repository=INFRA, CodeBucket="octo-code")
    assert let_in(aws, outputs, repository=INFRA, environment="organization") == {"RoleArn"}
    assert let_in(aws, outputs, repository=INFRA, environment="production") == set()
    assert let_in(aws, outputs, repository=INFRA) == set()
    assert let_in(aws, outputs, environment="organization") == set()
    gone(aws, stack, before)
