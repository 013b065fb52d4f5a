"""Custom::EksAccessEntry, from a stack to EKS and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import run
from deployment import scheduled_run
from local_aws import ACCOUNT, LocalAws
from stack import Stack, Template, template

TYPE = "Custom::EksAccessEntry"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
VIEW, EDIT = f"{POLICY}AmazonEKSViewPolicy", f"{POLICY}AmazonEKSEditPolicy"
EVERYWHERE = {"Type": "cluster"}
OUTPUTS = {
    "Ref": {"Ref": "Entry"},
    **{name: {"Fn::GetAtt": ["Entry", name]} for name in ("AccessEntryArn", "PrincipalArn", "Username")},
}
Entries = Callable[..., Template]


def within(*namespaces: str) -> dict[str, Any]:
    return {"Type": "namespace", "Namespaces": list(namespaces)}


@pytest.fixture
def entry(service_token: str, cluster: str, principal: str) -> Entries:
    """`entry(Username=…)`: a template with that access entry."""

    def build(**properties: Any) -> Template:
        whole = {"ClusterName": cluster, "PrincipalArn": principal, **properties}
        return template(service_token, {"Entry": (TYPE, whole)}, OUTPUTS)

    return build


@pytest.fixture
def found(eks: Any, cluster: str, principal: str) -> Callable[[], dict[str, Any] | None]:
    """All that can be seen of the entry; None without one."""

    def look() -> dict[str, Any] | None:
        place = {"clusterName": cluster, "principalArn": principal}
        try:
            entry: dict[str, Any] = eks.describe_access_entry(**place)["accessEntry"]
        except eks.exceptions.ResourceNotFoundException:
            return None
        del entry["modifiedAt"]
        entry["authored"] = {key: text for key, text in entry["tags"].items() if not key.startswith("github-trust:")}
        if entry["type"] == "STANDARD":
            policies = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
            entry["policies"] = {
                policy["policyArn"]: (policy["accessScope"]["type"], sorted(policy["accessScope"]["namespaces"]))
                for policy in policies
            }
        return entry

    return look


Found = Callable[[], dict[str, Any] | None]


def test_an_entry_is_created_as_written(stack: Stack, entry: Entries, found: Found) -> None:
    wanted = entry(
        Type="STANDARD",
        Username="ci:{{SessionName}}",
        KubernetesGroups=["builders", "viewers"],
        AccessPolicies=[
            {"PolicyArn": VIEW, "AccessScope": EVERYWHERE},
            {"PolicyArn": EDIT, "AccessScope": within("dev-*", "test")},
        ],
        Tags=[{"Key": "team", "Value": "a"}],
    )
    assert stack.create(wanted) == "CREATE_COMPLETE"
    made = found()
    assert made is not None
    assert (made["username"], sorted(made["kubernetesGroups"])) == ("ci:{{SessionName}}", ["builders", "viewers"])
    assert made["policies"] == {VIEW: ("cluster", []), EDIT: ("namespace", ["dev-*", "test"])}
    assert made["authored"] == {"team": "a"}


def test_an_entry_is_updated_in_place(stack: Stack, entry: Entries, found: Found) -> None:
    old = [{"PolicyArn": VIEW, "AccessScope": EVERYWHERE}]
    stack.create(entry(KubernetesGroups=["old"], AccessPolicies=old, Tags=[{"Key": "a", "Value": "1"}]))
    before = found()
    changed = entry(
        Username="ci:{{SessionName}}",
        KubernetesGroups=["new"],
        AccessPolicies=[
            {"PolicyArn": VIEW, "AccessScope": within("web")},
            {"PolicyArn": EDIT, "AccessScope": within("test")},
        ],
        Tags=[{"Key": "b", "Value": "2"}],
    )
    assert stack.update(changed) == "UPDATE_COMPLETE"
    made = found()
    assert made is not None
    assert before is not None
    assert made["accessEntryArn"] == before["accessEntryArn"]
    assert (made["username"], made["kubernetesGroups"]) == ("ci:{{SessionName}}", ["new"])
    assert made["policies"] == {VIEW: ("namespace", ["web"]), EDIT: ("namespace", ["test"])}
    assert made["authored"] == {"b": "2"}


def test_an_entry_is_taken_over_on_demand_and_given_back(
    eks: Any, stack: Stack, entry: Entries, found: Found, cluster: str, principal: str
) -> None:
    place = {"clusterName": cluster, "principalArn": principal}
    eks.create_access_entry(**place, kubernetesGroups=["theirs"], tags={"made-by": "hand"})
    eks.associate_access_policy(**place, policyArn=VIEW, accessScope={"type": "cluster"})
    theirs = found()
    assert theirs is not None
    assert stack.create(entry(OnExisting="Fail")) == "ROLLBACK_COMPLETE"
    (reason,) = [reason for reason in stack.reasons().values() if "OnExisting: Adopt" in reason]
    assert "carries no owner's tag" in reason
    assert found() == theirs
    stack.delete()

    policies = [{"PolicyArn": EDIT, "AccessScope": within("web")}, {"PolicyArn": VIEW, "AccessScope": EVERYWHERE}]
    adopting = entry(OnExisting="Adopt", AccessPolicies=policies, Tags=[{"Key": "team", "Value": "a"}])
    assert stack.create(adopting) == "CREATE_COMPLETE"
    ours = found()
    assert ours is not None
    assert ours["accessEntryArn"] == theirs["accessEntryArn"]
    assert ours["kubernetesGroups"] == ["theirs"]
    assert ours["policies"] == {VIEW: ("cluster", []), EDIT: ("namespace", ["web"])}
    assert ours["authored"] == {"made-by": "hand", "team": "a"}
    assert stack.delete() == "DELETE_COMPLETE"
    left = found()
    assert left is not None
    assert left["tags"] == {"made-by": "hand"}
    assert left["policies"] == theirs["policies"]
    eks.delete_access_entry(**place)


def test_a_scheduled_run_makes_an_entry_again_whose_role_was_made_again(
    aws: LocalAws, iam: Any, eks: Any, stack: Stack, entry: Entries, found: Found, cluster: str, principal: str
) -> None:
    name = principal.rsplit("/", 1)[-1]
    # A resource of another region has made the role, and cannot be asked about.
    maker = {"stack-id": "arn:aws:cloudformation:us-west-2:000000000000:stack/roles/1", "logical-id": "Role"}
    tags = [{"Key": f"github-trust:{key}", "Value": value} for key, value in maker.items()]
    iam.tag_role(RoleName=name, Tags=tags)
    policies = [{"PolicyArn": EDIT, "AccessScope": within("web")}]
    declared = entry(Username="ci:{{SessionName}}", KubernetesGroups=["builders"], AccessPolicies=policies)
    assert stack.create(declared) == "CREATE_COMPLETE"
    before = found()
    assert before is not None
    eks.tag_resource(resourceArn=before["accessEntryArn"], tags={"theirs": "yes"})
    run.make_again(iam, name)
    assert scheduled_run(aws) is None
    after = found()
    assert after is not None
    assert after["accessEntryArn"] != before["accessEntryArn"]
    bound = [entry["tags"]["github-trust:role-id"].split()[0] for entry in (before, after)]
    assert bound[1] == iam.get_role(RoleName=name)["Role"]["RoleId"] != bound[0]
    assert after["authored"] == {"theirs": "yes"}
    for same in "username", "kubernetesGroups", "policies", "type":
        assert after[same] == before[same]
    secrets = aws.client("secretsmanager").list_secrets(Filters=run.REMEMBERED)["SecretList"]
    assert secrets == []


def test_the_three_kinds_work_together(
    iam: Any, eks: Any, stack: Stack, service_token: str, cluster: str, name: str
) -> None:
    url = f"https://{name}.example/_services/token"
    trust = [{"Repository": "acme/app", "Branches": ["main"]}]
    together = template(
        service_token,
        {
            "Provider": ("Custom::GitHubOidcProvider", {"Url": url}),
            "Role": ("Custom::GitHubRole", {"ProviderArn": {"Ref": "Provider"}, "Trust": trust}),
            "Entry": (TYPE, {"ClusterName": cluster, "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}}),
        },
        {"Role": {"Ref": "Role"}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}},
    )
    assert stack.create(together) == "CREATE_COMPLETE"
    outputs = stack.outputs()
    (statement,) = iam.get_role(RoleName=outputs["Role"])["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {
        "Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{url.removeprefix('https://')}"
    }
    assert eks.describe_access_entry(clusterName=cluster, principalArn=outputs["RoleArn"])
    assert stack.delete() == "DELETE_COMPLETE"
    deleted = [request["logical_id"] for request in stack.requests() if request["request"] == "Delete"]
    assert deleted == ["Entry", "Role", "Provider"]
