"""Attempts to get more than the guardrails allow: through templates, and by calling AWS as the function itself.

All are refused. docs/guardrails.md holds the table of them; GUARDRAILS=write writes it anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

import deployment
from local_aws import ACCOUNT, ROOT, LocalAws
from stack import Stack, template

NAME = "guarded"
PROVIDER, ROLE, ENTRY = "Custom::GitHubOidcProvider", "Custom::GitHubRole", "Custom::EksAccessEntry"
VARIABLE, ENVIRONMENT = "Custom::GitHubVariable", "Custom::GitHubEnvironment"
SWITCH = "Custom::GitHubRepositoryOidc"
ISSUER = "token.actions.githubusercontent.com"
AWS_POLICY = "arn:aws:iam::aws:policy/"
ADMIN, READ = f"{AWS_POLICY}AdministratorAccess", f"{AWS_POLICY}ReadOnlyAccess"
ACCESS_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
CLUSTER = "guarded"
STRANGER = "arn:aws:iam::999988887777:role/stranger"
# An administrator's role that has nothing to do with this, and one that somebody made where roles of ours are.
ADMINISTRATOR, FOREIGN = "OrganizationAccountAccessRole", "somebody-elses"
# Ours, from before a boundary was demanded.
OLD = "from-before"
HONEST = "honest"
TAGS = [
    {"Key": "github-trust:stack-id", "Value": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/s/1"},
    {"Key": "github-trust:logical-id", "Value": "Role"},
]
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)
ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
DOCUMENT = ROOT / "docs" / "guardrails.md"
BEGIN, END = "<!-- attempts: written by tests/local_aws/test_guardrails_attempts.py -->\n", "<!-- end of attempts -->\n"


def provider(issuer: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"


def role_arn(path_and_name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role{path_and_name}"


@dataclass
class Guarded:
    """The function behind guardrails."""

    aws: LocalAws
    token: str
    boundary: str
    role: str
    dead_letters: str

    def template(self, kind: str, properties: dict[str, Any]) -> Any:
        return template(self.token, {"It": (kind, {key: text for key, text in properties.items() if text is not None})})

    def a_role(self, **changes: Any) -> dict[str, Any]:
        """The properties of a role that is permitted, but for the changes; None takes one away."""
        return {
            "ProviderArn": provider(ISSUER),
            "RoleName": "attempt",
            "Trust": [{"Repository": "octo-org/app", "Branches": ["main"]}],
            "PermissionsBoundary": self.boundary,
            **changes,
        }

    def an_entry(self, **changes: Any) -> dict[str, Any]:
        return {"ClusterName": CLUSTER, "PrincipalArn": role_arn(f"/{ADMINISTRATOR}"), **changes}

    def as_the_function(self, service: str) -> Any:
        """A client with the credentials that Lambda gives the function."""
        credentials = self.aws.client("sts").assume_role(RoleArn=self.role, RoleSessionName=NAME)["Credentials"]
        return self.aws.client_of(service, credentials)


@pytest.fixture(scope="module")
def guarded(aws: LocalAws, service_token: str) -> Iterator[Guarded]:
    """A deployment with one issuer, one organisation and one team; otherwise with the defaults."""
    del service_token  # it has built the function
    outputs = deployment.deploy_as(
        aws,
        NAME,
        "AllowedGitHubOwners=octo-org,octo",
        "WritableGitHubRepositories=team-a-*=octo-org/team-a",
        f"AllowedIssuers={ISSUER}",
        "AllowedKubernetesSubjects=team-*",
        "AllowedNamespaces=team-*,*-system",
        f"AllowedClusters={CLUSTER}",
        "GuardrailContact=platform@example.com",
    )
    token, arn = outputs["ServiceToken"], outputs["RolePermissionsBoundary"]
    configuration = aws.client("lambda").get_function_configuration(FunctionName=token)
    queue = Stack.existing(aws, NAME).physical_ids()["DeadLetters"]
    guarded = Guarded(aws, token, arn, configuration["Role"], queue)
    aws.client("secretsmanager").create_secret(Name=FOREIGN, SecretString="theirs")
    deployment.create_cluster(aws, CLUSTER, "API")
    iam = aws.client("iam")
    iam.create_policy(PolicyName="everything", PolicyDocument=EVERYTHING)
    for path, name, tags in (("/", ADMINISTRATOR, []), ("/github/", FOREIGN, []), ("/github/", OLD, TAGS)):
        iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=ANYBODY, Tags=tags)
    iam.attach_role_policy(RoleName=ADMINISTRATOR, PolicyArn=ADMIN)
    eks = aws.client("eks")
    eks.create_access_entry(clusterName=CLUSTER, principalArn=role_arn(f"/github/{FOREIGN}"), tags={"owner": "them"})
    yield guarded
    aws.client("cloudformation").delete_stack(StackName=NAME)
    aws.client("secretsmanager").delete_secret(SecretId=FOREIGN, ForceDeleteWithoutRecovery=True)
    eks.delete_access_entry(clusterName=CLUSTER, principalArn=role_arn(f"/github/{FOREIGN}"))
    iam.detach_role_policy(RoleName=ADMINISTRATOR, PolicyArn=ADMIN)
    for name in (ADMINISTRATOR, FOREIGN, OLD):
        iam.delete_role(RoleName=name)


@pytest.fixture(scope="module")
def honest(guarded: Guarded) -> Iterator[Stack]:
    """What is permitted is made: a role and its entry."""
    stack = Stack(guarded.aws, "honest")
    resources = {
        "Provider": (PROVIDER, {}),
        "It": (
            ROLE,
            guarded.a_role(
                RoleName=HONEST,
                ProviderArn={"Ref": "Provider"},
                ManagedPolicyArns=[READ],
                Policies=[{"PolicyName": "all", "PolicyDocument": json.loads(EVERYTHING)}],
                MaxSessionDuration=7200,
            ),
        ),
        "Entry": (
            ENTRY,
            guarded.an_entry(
                PrincipalArn={"Fn::GetAtt": ["It", "Arn"]},
                KubernetesGroups=["team-a"],
                AccessPolicies=[
                    {"PolicyArn": "AmazonEKSEditPolicy", "AccessScope": {"Type": "namespace", "Namespaces": ["team-a"]}}
                ],
            ),
        ),
    }
    assert stack.create(template(guarded.token, resources)) == "CREATE_COMPLETE", stack.reasons()
    yield stack
    assert stack.delete() == "DELETE_COMPLETE", stack.reasons()


def through_templates(guarded: Guarded) -> list[tuple[str, str, dict[str, Any]]]:
    role, entry = guarded.a_role, guarded.an_entry

    def trust(**entry: Any) -> dict[str, Any]:
        return role(Trust=[entry])

    def access(policy: str, *namespaces: str) -> dict[str, Any]:
        scope = {"Type": "namespace", "Namespaces": list(namespaces)} if namespaces else {"Type": "cluster"}
        return entry(AccessPolicies=[{"PolicyArn": policy, "AccessScope": scope}])

    def environment(**properties: Any) -> dict[str, Any]:
        return {"Repository": "octo-org/app", "Name": "production", **properties}

    def variable(**properties: Any) -> dict[str, Any]:
        return {"Repository": "octo-org/app", "Name": "ROLE", "Value": "mine", **properties}

    open_to_all = {"Reviewers": [], "DeploymentBranchPolicy": {"ProtectedBranches": "false"}}
    everywhere = {"Organization": "octo-org", "Visibility": "all"}
    dressed = "environment:repository_owner:workflow:octo:repository_id:42"
    workflow = "job_workflow_ref:octo-org/app/.github/workflows/x.yml@refs/heads/main"
    return [
        ("attach `AdministratorAccess`", ROLE, role(ManagedPolicyArns=[ADMIN])),
        ("attach `IAMFullAccess`", ROLE, role(ManagedPolicyArns=[f"{AWS_POLICY}IAMFullAccess"])),
        ("attach `PowerUserAccess`", ROLE, role(ManagedPolicyArns=[f"{AWS_POLICY}PowerUserAccess"])),
        ("attach a policy of the account", ROLE, role(ManagedPolicyArns=[f"arn:aws:iam::{ACCOUNT}:policy/everything"])),
        ("attach `AWSLambda_FullAccess`", ROLE, role(ManagedPolicyArns=[f"{AWS_POLICY}AWSLambda_FullAccess"])),
        ("attach `AWSLambdaRole`", ROLE, role(ManagedPolicyArns=[f"{AWS_POLICY}service-role/AWSLambdaRole"])),
        ("have another boundary", ROLE, role(PermissionsBoundary=ADMIN)),
        ("make a role elsewhere", ROLE, role(Path="/")),
        ("make one in a path that only begins alike", ROLE, role(Path="/github-admin/")),
        ("take over an administrator's role", ROLE, role(RoleName=ADMINISTRATOR, Path="/", OnExisting="Adopt")),
        ("take over a role where roles are made", ROLE, role(RoleName=FOREIGN, OnExisting="Adopt")),
        ("declare a role of somebody else as one's own", ROLE, role(RoleName=FOREIGN)),
        ("declare the function's own role", ROLE, role(RoleName=guarded.role.rsplit("/")[-1], Path="/github-trust/")),
        ("trust another owner", ROLE, trust(Repository="stranger/app", Branches=["main"])),
        ("trust another owner by a subject", ROLE, trust(Subjects=["repo:stranger/app:ref:refs/heads/main"])),
        ("dress another owner's subject up", ROLE, trust(Subjects=[dressed])),
        ("trust a workflow in anybody's repository", ROLE, trust(RepositoryId="42", Subjects=[workflow])),
        ("trust the whole organisation", ROLE, trust(Repository="octo-org/*", Environments=["prod"])),
        ("trust another issuer", ROLE, role(ProviderArn=provider("token.actions.stranger.ghe.com"))),
        ("let another issuer in", PROVIDER, {"Url": "https://ghe.stranger.example/_services/token"}),
        ("pin a thumbprint that nobody verifies", PROVIDER, {"ThumbprintList": ["0" * 40]}),
        ("add another audience to a provider", PROVIDER, {"ClientIdList": ["vault.example.com"]}),
        ("trust every audience of the provider", ROLE, role(Audience="${token.actions.githubusercontent.com:aud}")),
        ("set another owner's variable", VARIABLE, {"Repository": "stranger/app", "Name": "ROLE", "Value": "mine"}),
        ("open another owner's environment", ENVIRONMENT, {"Repository": "stranger/app", "Name": "production"}),
        ("switch another owner's subjects", SWITCH, {"Repository": "stranger/app", "UseImmutableSubject": "true"}),
        ("strip an environment of its reviewers", ENVIRONMENT, environment(OnExisting="Adopt", **open_to_all)),
        ("make an environment in another team's repository", ENVIRONMENT, environment()),
        ("redirect another team's variable", VARIABLE, variable(OnExisting="Adopt")),
        ("set one for the whole organisation", VARIABLE, variable(Repository=None, **everywhere)),
        ("switch another team's subjects", SWITCH, {"Repository": "octo-org/app", "UseImmutableSubject": "true"}),
        ("write at another GitHub", VARIABLE, variable(Host="ghe.stranger.example")),
        ("have longer sessions", ROLE, role(MaxSessionDuration=43200)),
        ("be administrator of a cluster", ENTRY, access("AmazonEKSClusterAdminPolicy")),
        ("be so by a wildcard among namespaces", ENTRY, access("AmazonEKSEditPolicy", "team-a", "k*")),
        ("be what deploys for everybody", ENTRY, access("AmazonEKSEditPolicy", "flux-system")),
        ("work in a namespace of another team", ENTRY, access("AmazonEKSEditPolicy", "payments")),
        ("change every pod that is made", ENTRY, access("AmazonEKSLoadBalancingClusterPolicy")),
        ("read every secret", ENTRY, access("AmazonEKSAdminViewPolicy")),
        ("get into another cluster", ENTRY, entry(ClusterName="other")),
        ("let another account in", ENTRY, entry(PrincipalArn=STRANGER)),
        ("take over an access entry", ENTRY, entry(PrincipalArn=role_arn(f"/github/{FOREIGN}"), OnExisting="Adopt")),
        ("be a node", ENTRY, entry(Type="HYBRID_LINUX")),
        ("be in `system:masters`", ENTRY, entry(KubernetesGroups=["system:masters"])),
        ("be in a group of administrators", ENTRY, entry(KubernetesGroups=["team-a", "platform-admins"])),
        ("have another's username", ENTRY, entry(Username="platform-admin")),
        ("have another role's", ENTRY, entry(Username=f"arn:aws:sts::{ACCOUNT}:assumed-role/{ADMINISTRATOR}/ci")),
    ]


def as_the_function(guarded: Guarded) -> list[tuple[str, str, str, dict[str, Any]]]:
    boundary, own = {"PermissionsBoundary": guarded.boundary}, {"RoleName": guarded.role.rsplit("/")[-1]}
    honest, old = {"RoleName": HONEST}, {"RoleName": OLD}
    new = {"RoleName": "attempt", "AssumeRolePolicyDocument": ANYBODY, "Path": "/github/", "Tags": TAGS}
    inline = {"PolicyName": "all", "PolicyDocument": EVERYTHING}
    entry = {"clusterName": CLUSTER, "principalArn": role_arn(f"/{ADMINISTRATOR}")}
    tags = {"tags": {tag["Key"]: tag["Value"] for tag in TAGS}}
    ours = {"clusterName": CLUSTER, "principalArn": role_arn(f"/github/{HONEST}")}
    foreign = {"clusterName": CLUSTER, "principalArn": role_arn(f"/github/{FOREIGN}")}
    everywhere = {"accessScope": {"type": "cluster"}}

    def within(*namespaces: str) -> dict[str, Any]:
        return {"accessScope": {"type": "namespace", "namespaces": list(namespaces)}}

    def policy(name: str) -> dict[str, str]:
        return {"policyArn": f"{ACCESS_POLICY}{name}"}

    return [
        ("make a role without the boundary", "iam", "create_role", new),
        ("with another boundary", "iam", "create_role", {**new, "PermissionsBoundary": ADMIN}),
        ("elsewhere", "iam", "create_role", {**new, **boundary, "Path": "/"}),
        ("without an owner", "iam", "create_role", {**new, **boundary, "Tags": []}),
        ("beside its own role", "iam", "create_role", {**new, **boundary, "Path": "/github-trust/"}),
        ("attach `AdministratorAccess`", "iam", "attach_role_policy", {**honest, "PolicyArn": ADMIN}),
        (
            "attach a policy of the account",
            "iam",
            "attach_role_policy",
            {**honest, "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/everything"},
        ),
        ("attach one to a role without the boundary", "iam", "attach_role_policy", {**old, "PolicyArn": READ}),
        ("give such a role an inline policy", "iam", "put_role_policy", {**old, **inline}),
        ("let anybody be such a role", "iam", "update_assume_role_policy", {**old, "PolicyDocument": ANYBODY}),
        ("lengthen its sessions", "iam", "update_role", {**old, "MaxSessionDuration": 43200}),
        ("take a boundary away", "iam", "delete_role_permissions_boundary", honest),
        ("exchange it", "iam", "put_role_permissions_boundary", {**honest, "PermissionsBoundary": ADMIN}),
        (
            "write a new version of it",
            "iam",
            "create_policy_version",
            {
                "PolicyArn": guarded.boundary,
                "PolicyDocument": EVERYTHING,
                "SetAsDefault": True,
            },
        ),
        ("give itself an inline policy", "iam", "put_role_policy", {**own, **inline}),
        ("attach a policy to itself", "iam", "attach_role_policy", {**own, "PolicyArn": READ}),
        ("tag itself as its own", "iam", "tag_role", {**own, "Tags": TAGS}),
        ("let anybody be itself", "iam", "update_assume_role_policy", {**own, "PolicyDocument": ANYBODY}),
        ("tag an administrator's role as its own", "iam", "tag_role", {"RoleName": ADMINISTRATOR, "Tags": TAGS}),
        (
            "let anybody be an administrator",
            "iam",
            "update_assume_role_policy",
            {"RoleName": ADMINISTRATOR, "PolicyDocument": ANYBODY},
        ),
        (
            "let anybody be a role of somebody else",
            "iam",
            "update_assume_role_policy",
            {"RoleName": FOREIGN, "PolicyDocument": ANYBODY},
        ),
        ("delete that role", "iam", "delete_role", {"RoleName": FOREIGN}),
        (
            "adopt it",
            "iam",
            "tag_role",
            {"RoleName": FOREIGN, "Tags": [*TAGS, {"Key": "github-trust:adopted", "Value": "true"}]},
        ),
        ("let a stranger's issuer in", "iam", "create_open_id_connect_provider", {"Url": "https://stranger.example"}),
        (
            "let another issuer of GitHub in",
            "iam",
            "create_open_id_connect_provider",
            {"Url": "https://token.actions.stranger.ghe.com"},
        ),
        ("make a user", "iam", "create_user", {"UserName": "attempt"}),
        ("read another secret", "secretsmanager", "get_secret_value", {"SecretId": FOREIGN}),
        (
            "exchange the credential for GitHub",
            "secretsmanager",
            "put_secret_value",
            {"SecretId": deployment.SECRET_NAME, "SecretString": "{}"},
        ),
        ("read dead letters", "sqs", "receive_message", {"QueueUrl": guarded.dead_letters}),
        (
            "change its own settings",
            "lambda",
            "update_function_configuration",
            {
                "FunctionName": NAME,
                "Environment": {"Variables": {"GITHUB_TRUST_ROLE_PATH": "/"}},
            },
        ),
        (
            "make an administrator of a cluster",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSClusterAdminPolicy"), **everywhere},
        ),
        (
            "by a wildcard among namespaces",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSAdminPolicy"), **within("k*")},
        ),
        (
            "be what deploys for everybody",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSEditPolicy"), **within("team-a", "flux-system")},
        ),
        (
            "work in a namespace of another team",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSEditPolicy"), **within("team-a", "payments")},
        ),
        (
            "change every pod that is made",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSLoadBalancingClusterPolicy"), **everywhere},
        ),
        (
            "have a policy that is new tomorrow",
            "eks",
            "associate_access_policy",
            {**ours, **policy("AmazonEKSPolicyOfTomorrow"), **within("team-a")},
        ),
        (
            "give a role of somebody else a policy",
            "eks",
            "associate_access_policy",
            {**foreign, **policy("AmazonEKSViewPolicy"), **everywhere},
        ),
        ("make an entry without an owner", "eks", "create_access_entry", entry),
        ("make a node", "eks", "create_access_entry", {**entry, **tags, "type": "HYBRID_LINUX"}),
        (
            "make one in a group of administrators",
            "eks",
            "create_access_entry",
            {**entry, **tags, "kubernetesGroups": ["team-a", "platform-admins"]},
        ),
        (
            "make one with another's username",
            "eks",
            "create_access_entry",
            {**entry, **tags, "username": "platform-admin"},
        ),
        ("make one in another cluster", "eks", "create_access_entry", {**entry, **tags, "clusterName": "other"}),
        ("let another account in", "eks", "create_access_entry", {**entry, **tags, "principalArn": STRANGER}),
    ]


def everything(aws: LocalAws) -> str:
    """All roles, providers and entries with all that is theirs, as one text."""
    iam, eks = aws.client("iam"), aws.client("eks")
    found: list[Any] = [iam.list_open_id_connect_providers()["OpenIDConnectProviderList"], iam.list_users()["Users"]]
    for role in iam.list_roles()["Roles"]:
        name = {"RoleName": role["RoleName"]}
        found.append(iam.get_role(**name)["Role"])
        found.append(iam.list_attached_role_policies(**name)["AttachedPolicies"])
        found += [
            iam.get_role_policy(**name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(**name)["PolicyNames"]
        ]
        found.append(iam.list_role_tags(**name)["Tags"])
    for principal in eks.list_access_entries(clusterName=CLUSTER)["accessEntries"]:
        place = {"clusterName": CLUSTER, "principalArn": principal}
        found.append(eks.describe_access_entry(**place)["accessEntry"])
        found.append(eks.list_associated_access_policies(**place)["associatedAccessPolicies"])
    return json.dumps(found, default=str, sort_keys=True)


def test_all_attempts_are_refused_and_change_nothing(guarded: Guarded, honest: Stack) -> None:
    aws = guarded.aws
    before = everything(aws)
    rows: list[tuple[str, str, str]] = []
    for number, (attempt, kind, properties) in enumerate(through_templates(guarded)):
        stack = Stack(aws, f"attempt-{number}")
        status = stack.create(guarded.template(kind, properties))
        assert status == "ROLLBACK_COMPLETE", attempt
        reason = stack.reasons()["It"]
        assert "(guardrail `" not in reason or "who may update that stack can change them (platform@" in reason, reason
        rows.append((attempt, "function", reason))
        assert everything(aws) == before, attempt
    denied = []
    for attempt, service, method, arguments in as_the_function(guarded):
        with pytest.raises(ClientError) as raised:
            getattr(guarded.as_the_function(service), method)(**arguments)
        error = raised.value.response["Error"]
        assert error["Code"] in ("AccessDenied", "AccessDeniedException"), f"{attempt}: {error}"
        denied.append((attempt, "IAM", error["Message"]))
        assert everything(aws) == before, attempt
    assert min(len(rows), len(denied)) >= 15
    table = render(guarded, rows, denied)
    text = DOCUMENT.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("GUARDRAILS") == "write":
        DOCUMENT.write_text(text[:start] + table + text[end:])
    else:
        assert text[start:end] == table, "docs/guardrails.md is not what happens; GUARDRAILS=write writes it"


def test_an_update_can_take_off_no_guardrail_either(guarded: Guarded, name: str) -> None:
    stack = Stack(guarded.aws, name)
    mine = guarded.a_role(RoleName=name)
    assert stack.create(guarded.template(ROLE, mine)) == "CREATE_COMPLETE", stack.reasons()
    before = guarded.aws.client("iam").get_role(RoleName=name)["Role"]
    for changes in (
        {"PermissionsBoundary": ADMIN},
        {"ManagedPolicyArns": [ADMIN]},
        {"Path": "/", "RoleName": f"{name}-b"},
    ):
        assert stack.update(guarded.template(ROLE, {**mine, **changes})) == "UPDATE_ROLLBACK_COMPLETE"
        assert "(guardrail `" in stack.reasons()["It"]
        assert guarded.aws.client("iam").get_role(RoleName=name)["Role"] == before
    assert stack.delete() == "DELETE_COMPLETE"


def render(guarded: Guarded, rows: list[tuple[str, str, str]], denied: list[tuple[str, str, str]]) -> str:
    own = guarded.role.rsplit("/")[-1]
    lines = ["", "| attempt | refused by | text |", "|---|---|---|"]
    lines.append("| **Through a template** | | |")
    for attempt, by, text in rows:
        text = text.partition("Message returned: ")[2] or text
        text = re.sub(r"\. Guardrails are parameters.*|\. Choose .*", " …", text)
        lines.append(f"| {attempt} | {by} | {cell(text)} |")
    lines.append("| **With the function's credentials** | | |")
    for attempt, by, text in denied:
        what = re.search(r"is not authorized to perform: (.*)", text)
        assert what, text
        text = "AccessDenied: " + what[1].replace(own, "‹its own role›")
        lines.append(f"| {attempt} | {by} | {cell(text)} |")
    return "\n".join([*lines, "", ""])


def cell(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", text)
    text = re.sub(r"guarded-Role-[A-Za-z0-9]+", "‹its own role›", text)
    text = re.sub(r"guarded-Boundary-[A-Za-z0-9]+", "guarded-Boundary-…", text)
    text = re.sub(r"the stack attempt-\d+", "the stack ‹attempt›", text)
    text = re.sub(r" \(RequestId: [^)]*\)", "", text)
    return text.replace("|", "\\|").replace("\n", " ")
