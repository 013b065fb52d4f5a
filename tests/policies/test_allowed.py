"""What the function's role may do under each set of parameters, for a reviewer to read: allowed.txt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from render import ACCOUNT, BOUNDARY, REGION, ROOT, Template
from simulator import Question, ask

SNAPSHOT = ROOT / "tests" / "policies" / "allowed.txt"
OTHER = "444455556666"
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "none": {"RolePermissionsBoundary": "None"},
    "loose": {"RolePermissionsBoundary": "None", "AllowInlinePolicies": "Always", "AllowRoleAdoption": "true"},
    "accounts": {"StackAccounts": f"{ACCOUNT},{OTHER}"},
    "root": {"RolePath": "/"},
    "teams": {"AllowedNamespaces": "team-*", "AllowedClusters": "prod", "AllowedKubernetesSubjects": "team-*"},
    "admins": {"AllowClusterAdmin": "true"},
}
ROLE, OWN = f"arn:aws:iam::{ACCOUNT}:role/github/deploy", f"arn:aws:iam::{ACCOUNT}:role/github-trust/x"
ELSEWHERE = f"arn:aws:iam::{ACCOUNT}:role/administrator"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
STRANGER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/stranger.example"
ENTRY = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/prod/role/{ACCOUNT}/deploy/1a2b3c4d"


CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod"


def owned(by: str = ACCOUNT, kind: str = "Resource") -> dict[str, str]:
    return {f"aws:{kind}Tag/github-trust:stack-id": f"arn:aws:cloudformation:{REGION}:{by}:stack/s/1"}


def policy(name: str) -> dict[str, str]:
    return {"iam:PolicyARN": f"arn:aws:iam::aws:policy/{name}"}


def scoped(name: str, *namespaces: str) -> dict[str, str | list[str]]:
    scope = (
        {"eks:accessScope": "namespace", "eks:namespaces": list(namespaces)}
        if namespaces
        else {"eks:accessScope": "cluster"}
    )
    return {**owned(), "eks:policyArn": f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{name}Policy", **scope}


def entering(account: str = ACCOUNT, kind: str = "STANDARD", **more: str | list[str]) -> dict[str, str | list[str]]:
    keys: dict[str, str | list[str]] = {
        **owned(kind="Request"),
        "eks:principalArn": f"arn:aws:iam::{account}:role/github/deploy",
        "eks:accessEntryType": kind,
    }
    return {**keys, **{f"eks:{name}": value for name, value in more.items()}}


LIMITED = {"iam:PermissionsBoundary": BOUNDARY}
UNDER = {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/another"}
QUESTIONS: list[tuple[str, str, str, Mapping[str, str | list[str]]]] = [
    ("make a role with the boundary", "iam:CreateRole", ROLE, {**owned(kind="Request"), **LIMITED}),
    ("make a role with another one", "iam:CreateRole", ROLE, {**owned(kind="Request"), **UNDER}),
    ("make a role without one", "iam:CreateRole", ROLE, owned(kind="Request")),
    ("make a role for a stack of another account", "iam:CreateRole", ROLE, {**owned(OTHER, "Request"), **LIMITED}),
    ("make a role without an owner", "iam:CreateRole", ROLE, LIMITED),
    ("make a role elsewhere", "iam:CreateRole", ELSEWHERE, {**owned(kind="Request"), **LIMITED}),
    ("attach ReadOnlyAccess", "iam:AttachRolePolicy", ROLE, {**owned(), **LIMITED, **policy("ReadOnlyAccess")}),
    ("attach SecurityAudit without a boundary", "iam:AttachRolePolicy", ROLE, {**owned(), **policy("SecurityAudit")}),
    ("attach IAMFullAccess", "iam:AttachRolePolicy", ROLE, {**owned(), **LIMITED, **policy("IAMFullAccess")}),
    ("attach it to somebody else's role", "iam:AttachRolePolicy", ROLE, {**LIMITED, **policy("ReadOnlyAccess")}),
    ("put an inline policy", "iam:PutRolePolicy", ROLE, {**owned(), **LIMITED}),
    ("put one where there is no boundary", "iam:PutRolePolicy", ROLE, owned()),
    ("change a role's trust", "iam:UpdateAssumeRolePolicy", ROLE, {**owned(), **LIMITED}),
    ("change it where there is another boundary", "iam:UpdateAssumeRolePolicy", ROLE, {**owned(), **UNDER}),
    ("change it where there is none", "iam:UpdateAssumeRolePolicy", ROLE, owned()),
    ("lengthen sessions where there is none", "iam:UpdateRole", ROLE, owned()),
    ("change its own trust", "iam:UpdateAssumeRolePolicy", OWN, {**owned(), **LIMITED}),
    ("exchange a boundary", "iam:PutRolePermissionsBoundary", ROLE, {**owned(), **UNDER}),
    ("take a boundary away", "iam:DeleteRolePermissionsBoundary", ROLE, owned()),
    ("delete a role", "iam:DeleteRole", ROLE, owned()),
    ("delete a role of another account's stack", "iam:DeleteRole", ROLE, owned(OTHER)),
    ("delete somebody else's role", "iam:DeleteRole", ROLE, {}),
    ("adopt a role", "iam:TagRole", ROLE, {**owned(kind="Request"), "aws:RequestTag/github-trust:adopted": "true"}),
    ("pass a role", "iam:PassRole", ROLE, {}),
    ("pass a role to EKS, for nodes", "iam:PassRole", ROLE, {"iam:PassedToService": "eks.amazonaws.com"}),
    ("pass a role to EC2", "iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("look at a user", "iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}),
    ("list the users", "iam:ListUsers", "*", {}),
    ("make a user", "iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}),
    ("make github.com's provider", "iam:CreateOpenIDConnectProvider", PROVIDER, {}),
    ("make a stranger's provider", "iam:CreateOpenIDConnectProvider", STRANGER, {}),
    (
        "delete a provider of its own",
        "iam:DeleteOpenIDConnectProvider",
        PROVIDER,
        {"aws:ResourceTag/github-trust:made-by": "x"},
    ),
    ("delete a provider of others", "iam:DeleteOpenIDConnectProvider", PROVIDER, {}),
    # IAM cannot tell tags of a new provider from tags for an existing one.
    (
        "mark a provider of others as its own",
        "iam:TagOpenIDConnectProvider",
        PROVIDER,
        {"aws:RequestTag/github-trust:made-by": "x"},
    ),
    (
        "mark a stranger's provider as its own",
        "iam:TagOpenIDConnectProvider",
        STRANGER,
        {"aws:RequestTag/github-trust:made-by": "x"},
    ),
    ("make an entry", "eks:CreateAccessEntry", CLUSTER, entering()),
    ("make one in another cluster", "eks:CreateAccessEntry", f"{CLUSTER}-2", entering()),
    ("make one for another account", "eks:CreateAccessEntry", CLUSTER, entering(OTHER)),
    ("make one for nodes", "eks:CreateAccessEntry", CLUSTER, entering(kind="EC2_LINUX")),
    ("make one in a group", "eks:CreateAccessEntry", CLUSTER, entering(kubernetesGroups=["platform"])),
    ("make one with a username", "eks:CreateAccessEntry", CLUSTER, entering(username="platform")),
    ("let it view the cluster", "eks:AssociateAccessPolicy", ENTRY, scoped("View")),
    ("let it edit the cluster", "eks:AssociateAccessPolicy", ENTRY, scoped("Edit")),
    ("let it edit a team's namespace", "eks:AssociateAccessPolicy", ENTRY, scoped("Edit", "team-a")),
    ("let it edit another namespace", "eks:AssociateAccessPolicy", ENTRY, scoped("Edit", "team-a", "payments")),
    ("let it edit kube-system", "eks:AssociateAccessPolicy", ENTRY, scoped("Edit", "kube-system")),
    ("let it read every secret", "eks:AssociateAccessPolicy", ENTRY, scoped("SecretReader")),
    ("let it write webhooks", "eks:AssociateAccessPolicy", ENTRY, scoped("LoadBalancingCluster")),
    ("make it an administrator", "eks:AssociateAccessPolicy", ENTRY, scoped("ClusterAdmin")),
    ("give it a policy of tomorrow", "eks:AssociateAccessPolicy", ENTRY, scoped("Tomorrow", "team-a")),
    ("change an entry", "eks:UpdateAccessEntry", ENTRY, owned()),
    ("change somebody else's entry", "eks:UpdateAccessEntry", ENTRY, {}),
    ("delete an entry", "eks:DeleteAccessEntry", ENTRY, owned()),
    ("delete an entry of another account's stack", "eks:DeleteAccessEntry", ENTRY, owned(OTHER)),
    ("delete somebody else's entry", "eks:DeleteAccessEntry", ENTRY, {}),
    ("tag somebody else's entry as its own", "eks:TagResource", ENTRY, owned(kind="Request")),
    ("tag it for another account's stack", "eks:TagResource", ENTRY, owned(OTHER, "Request")),
    ("tag it otherwise", "eks:TagResource", ENTRY, {"aws:RequestTag/team": "web"}),
    ("tag its own entry otherwise", "eks:TagResource", ENTRY, {**owned(), "aws:RequestTag/team": "web"}),
    ("tag a cluster with an owner's tag", "eks:TagResource", CLUSTER, owned(kind="Request")),
    ("tag a cluster for another account's stack", "eks:TagResource", CLUSTER, owned(OTHER, "Request")),
    ("tag a cluster otherwise", "eks:TagResource", CLUSTER, {"aws:RequestTag/team": "web"}),
]


# All that makes them longer, with lists of the length that a large organization has.
LARGE = {
    "GitHubSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:platform/github-app-1a2b3c",
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-90ab-cdef-1234-567890abcdef",
    "SubnetIds": "subnet-0a1",
    "SecurityGroupIds": "sg-0a1",
    "StackAccounts": ",".join(f"{number}" for number in range(111122223333, 111122223343)),
    "AllowedIssuers": "token.actions.githubusercontent.com/octo-inc,github.example.com/_services/token",
    "AllowedClusters": "team-*,platform-*",
    "AllowedNamespaces": "team-*,payments,checkout",
    "AllowedKubernetesSubjects": "team-*,deploy",
    "PassableRoles": f"arn:aws:iam::{ACCOUNT}:role/tasks/*",
    "AssumableRoles": f"arn:aws:iam::{ACCOUNT}:role/cdk-*",
    "ExemptRoles": f"arn:aws:iam::{ACCOUNT}:role/github/github-trust-pipeline",
    "AllowPlanByRoles": "true",
}
INLINE_QUOTA, MANAGED_QUOTA = 10240, 6144


def characters(document: object) -> int:
    """IAM does not count white space.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    return len("".join(json.dumps(document, separators=(",", ":"), ensure_ascii=False).split()))


def sizes() -> dict[str, tuple[int, int, int]]:
    found = {}
    for name, parameters in {**SETS, "large": LARGE}.items():
        template = Template(**parameters)
        limit, inline = template.boundary(), template.inline_policies().values()
        own = characters(template.managed_policy())
        found[name] = (sum(map(characters, inline)), own, characters(limit) if limit else 0)
    return found


def test_every_set_of_policies_fits_into_the_quotas_of_iam() -> None:
    for name, (inline, managed, limit) in sizes().items():
        assert inline < INLINE_QUOTA, name
        assert managed < MANAGED_QUOTA, name
        assert limit < MANAGED_QUOTA, name


def test_the_snapshot_is_what_the_policies_allow() -> None:
    columns = []
    for parameters in SETS.values():
        documents = list(Template(**parameters).function_policies().values())
        asked = [Question(action, on, documents, None, dict(keys), OWN) for _, action, on, keys in QUESTIONS]
        columns.append(["allowed" if answer else "-" for answer in ask(asked)])
    lines = [
        "What the function's role may do, by parameters of template.yaml. Written by test_allowed.py (ALLOWED=write)."
    ]
    lines += [f"{name}: {parameters or 'as it is'}" for name, parameters in SETS.items()]
    lines += ["", "Characters: of the role's inline policies together (IAM takes 10240), of its managed one and of the"]
    lines += ["boundary (6144 each):"]
    lines += [f"{name}: {', '.join(map(str, lengths))}" for name, lengths in sizes().items()]
    lines += ["", "".join([f"{'':46}", *(f"{name:10}" for name in SETS)]).rstrip()]
    for (what, *_), row in zip(QUESTIONS, zip(*columns, strict=True), strict=True):
        lines.append("".join([f"{what:46}", *(f"{answer:10}" for answer in row)]).rstrip())
    text = "\n".join([*lines, ""])
    if os.environ.get("ALLOWED") == "write":
        SNAPSHOT.write_text(text)
    assert SNAPSHOT.read_text() == text, "allowed.txt is not what the policies allow; ALLOWED=write writes it"
