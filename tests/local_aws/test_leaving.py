"""docs/leaving.md: what `Render` says is what the function has made, and it becomes native without a break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployment import FUNCTION, create_cluster
from local_aws import ACCOUNT, LocalAws, until
from stack import Stack, template
from test_migrations import permissions, provider
from watch import Watch

ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
CLUSTER = "left"
NAME = "leaving"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
RETAIN = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
WRITE = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::octo-org-web/*"}
# Tags of ours and of CloudFormation.
OF_OTHERS = ("github-trust:", "aws:")
IDENTIFIERS = {
    "Provider": {"Arn": PROVIDER},
    "Role": {"RoleName": NAME},
    "Entry": {"PrincipalArn": ROLE, "ClusterName": CLUSTER},
}


def ours(token: str, **attributes: str) -> dict[str, Any]:
    """A provider, a role and an access entry."""
    role = {
        "RoleName": NAME,
        "ProviderArn": {"Ref": "Provider"},
        "Trust": [{"Repository": "octo-org/classic", "Branches": ["main"]}],
        "Description": "Deploys the web site",
        "ManagedPolicyArns": [READ],
        "Policies": [{"PolicyName": "upload", "PolicyDocument": {"Version": "2012-10-17", "Statement": [WRITE]}}],
        "Tags": [{"Key": "team", "Value": "web"}],
    }
    scope = {"Type": "namespace", "Namespaces": ["web"]}
    entry = {
        "ClusterName": CLUSTER,
        "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "KubernetesGroups": ["deployers"],
        "AccessPolicies": [{"PolicyArn": EDIT, "AccessScope": scope}],
    }
    made = template(
        token,
        {
            "Provider": ("Custom::GitHubOidcProvider", {}),
            "Role": ("Custom::GitHubRole", role),
            "Entry": ("Custom::EksAccessEntry", entry),
        },
    )
    assert isinstance(made, dict)
    for resource in made["Resources"].values():
        resource.update(attributes)
    return made


def rendered(aws: LocalAws, declared: dict[str, Any], stack_id: str) -> dict[str, Any]:
    question = {"Render": {"Template": declared, "StackId": stack_id}}
    answered = aws.client("lambda").invoke(FunctionName=FUNCTION, Qualifier="plan", Payload=json.dumps(question))
    answer = json.load(answered["Payload"])
    assert answer["NotRendered"] == {}, answer
    native: dict[str, Any] = answer["Template"]
    return native


def objects(aws: LocalAws) -> dict[str, Any]:
    """The provider, the role and the entry as AWS reports them, without ids, times and tags of ours."""
    iam, eks = aws.client("iam"), aws.client("eks")
    role = iam.get_role(RoleName=NAME)["Role"]
    kept = ("Arn", "Path", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration")
    place = {"clusterName": CLUSTER, "principalArn": ROLE}
    entry = eks.describe_access_entry(**place)["accessEntry"]
    policies = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
    return {
        "provider": provider(iam),
        "role": {name: role.get(name) for name in kept},
        "tags": sorted(tag["Key"] for tag in role.get("Tags", []) if not tag["Key"].startswith(OF_OTHERS)),
        "permissions": permissions(iam, NAME),
        "entry": {name: entry[name] for name in ("principalArn", "kubernetesGroups", "username", "type")},
        "access": [(policy["policyArn"], policy["accessScope"]) for policy in policies],
    }


@pytest.fixture(scope="module")
def account(aws: LocalAws, service_token: str) -> Iterator[LocalAws]:
    create_cluster(aws, CLUSTER, "API")
    yield aws
    aws.client("eks").delete_cluster(name=CLUSTER)


def test_what_is_rendered_deploys_to_the_same_as_ours(account: LocalAws, service_token: str, stack: Stack) -> None:
    declared = ours(service_token)
    assert stack.create(declared) == "CREATE_COMPLETE", stack.reasons()
    native = rendered(account, declared, stack.events()[0]["StackId"])
    made = objects(account)
    assert stack.delete() == "DELETE_COMPLETE"
    with LocalAws() as other:
        create_cluster(other, CLUSTER, "API")
        beside = Stack(other, "native")
        assert beside.create(native) == "CREATE_COMPLETE", beside.reasons()
        assert objects(other) == made


def test_ours_become_native_while_a_workflow_goes_on(account: LocalAws, service_token: str, stack: Stack) -> None:
    assert stack.create(ours(service_token)) == "CREATE_COMPLETE", stack.reasons()
    stack_id = stack.events()[0]["StackId"]
    before, role_id = objects(account), account.client("iam").get_role(RoleName=NAME)["Role"]["RoleId"]
    native = rendered(account, ours(service_token), stack_id)
    # A template is never empty.
    other = {"Topic": {"Type": "AWS::SNS::Topic"}}
    with Watch(account, ROLE) as watch:
        retained = ours(service_token, **RETAIN)
        retained["Resources"].update(other)
        assert stack.update(retained) == "UPDATE_COMPLETE", stack.reasons()
        assert stack.update({"Resources": other}) == "UPDATE_COMPLETE", stack.reasons()
        assert [request["request"] for request in stack.requests()].count("Delete") == 0
        for resource in native["Resources"].values():
            resource.update(RETAIN)
        native["Resources"].update(other)
        imported(account, stack, native)
    assert "DeleteRole" not in watch.changes()
    assert objects(account) == before
    assert account.client("iam").get_role(RoleName=NAME)["Role"]["RoleId"] == role_id
    assert set(stack.physical_ids()) == {"Provider", "Role", "Entry", "Topic"}
    remove(account)


def imported(aws: LocalAws, stack: Stack, native: dict[str, Any]) -> None:
    cloudformation = aws.client("cloudformation")
    resources = [
        {
            "ResourceType": native["Resources"][name]["Type"],
            "LogicalResourceId": name,
            "ResourceIdentifier": identifier,
        }
        for name, identifier in IDENTIFIERS.items()
    ]
    made = cloudformation.create_change_set(
        StackName=stack.name,
        ChangeSetName="import",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(native),
        ResourcesToImport=resources,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    shown = cloudformation.describe_change_set(ChangeSetName=made["Id"])
    assert shown["ExecutionStatus"] == "AVAILABLE", shown["StatusReason"]
    cloudformation.execute_change_set(ChangeSetName=made["Id"])
    until(lambda: not stack.status().endswith("_IN_PROGRESS"), "the import", 30)
    assert stack.status() == "IMPORT_COMPLETE"


def remove(aws: LocalAws) -> None:
    """The objects, which their stack retains."""
    iam = aws.client("iam")
    aws.client("eks").delete_access_entry(clusterName=CLUSTER, principalArn=ROLE)
    iam.detach_role_policy(RoleName=NAME, PolicyArn=READ)
    iam.delete_role_policy(RoleName=NAME, PolicyName="upload")
    iam.delete_role(RoleName=NAME)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
