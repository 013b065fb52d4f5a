"""What docs/beliefs.md does not know, asked one by one, in the words of the table there.

A probe says what it saw, and whether that is what the function believes. It never ends the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import ClientError

import stages
from context import PATH, Run, code_of, expect, text_of
from preflight import NAME
from sweep import REMEMBERED

Seen = tuple[str, "bool | None"]
Asked = Callable[["Probing"], "Seen | list[Seen]"]
PROBES: list[tuple[tuple[str, ...], Asked]] = []
TRIES = 10
# Until a role that was just made can be assumed, and until a secret's name is free again.
PATIENCE = 180


def probe(*beliefs: str) -> Callable[[Asked], Asked]:
    """One that is about several beliefs has an answer for each."""

    def register(ask: Asked) -> Asked:
        PROBES.append((beliefs, ask))
        return ask

    return register


def all_of_them(run: Run) -> None:
    asking = Probing(run)
    with run.transcript.step("a role with the function's own permissions"):
        asking.become_the_function()
    for beliefs, ask in PROBES:
        for belief, (seen, agrees) in zip(beliefs, answers(asking, beliefs, ask), strict=True):
            run.transcript.row(belief, seen, agrees)
    for belief, why in LEFT_OUT:
        run.transcript.row(belief, f"not tried: {why}", None)


def answers(asking: Probing, beliefs: tuple[str, ...], ask: Asked) -> list[Seen]:
    """A probe that ends because the function was denied speaks against its beliefs. Other failures leave them open."""
    asking.denied = False
    try:
        found = ask(asking)
    except Exception as error:  # an answer that nobody thought of is an answer
        seen, agrees = ("denied", False) if asking.denied else ("not tried", None)
        return [(f"{seen}: {type(error).__name__}: {error}", agrees)] * len(beliefs)
    return found if isinstance(found, list) else [found]


class Probing:
    # True if the function's last call was denied.
    denied = False

    def __init__(self, run: Run) -> None:
        self.run, self.iam, self.eks = run, run.client("iam"), run.client("eks")
        self.cluster = run.settings.cluster
        self.stack_id = f"arn:{run.partition}:cloudformation:{run.settings.region}:{run.settings.account}:stack/x/1"
        self._credentials: dict[str, str] = {}
        self._own: dict[str, Any] = {}
        self._number = 0

    def name(self) -> str:
        self._number += 1
        return f"{self.run.settings.name}-{self._number}"

    def trust(self, principal: dict[str, str]) -> str:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    @property
    def account(self) -> dict[str, str]:
        return {"AWS": f"arn:{self.run.partition}:iam::{self.run.settings.account}:root"}

    def become_the_function(self) -> None:
        """Its policies, on a role that this account may assume."""
        cloudformation, name = self.run.client("cloudformation"), self.name()
        place = {"StackName": self.run.settings.name, "LogicalResourceId": "Role"}
        own = cloudformation.describe_stack_resource(**place)["StackResourceDetail"]["PhysicalResourceId"]
        made = self.iam.create_role(
            RoleName=name, Path=PATH, AssumeRolePolicyDocument=self.trust(self.account), Tags=self.run.listed_tags
        )
        for policy in self.iam.list_role_policies(RoleName=own)["PolicyNames"]:
            document = json.dumps(self.iam.get_role_policy(RoleName=own, PolicyName=policy)["PolicyDocument"])
            self.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
        for one in self.iam.list_attached_role_policies(RoleName=own)["AttachedPolicies"]:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=one["PolicyArn"])

        def assumed() -> dict[str, str] | None:
            try:
                session = {"RoleArn": made["Role"]["Arn"], "RoleSessionName": "probe"}
                found: dict[str, str] = self.run.client("sts").assume_role(**session)["Credentials"]
            except ClientError:
                return None
            return found

        self._credentials = self.run.wait(assumed, "the role to be assumed", PATIENCE)

    def own(self, service: str) -> Any:
        """As the function would ask."""
        if service not in self._own:
            client = self._own[service] = self.run.services.client_of(service, self._credentials)
            client.meta.events.register("after-call", self.called)
        return self._own[service]

    def called(self, parsed: dict[str, Any], **_: Any) -> None:
        self.denied = parsed.get("Error", {}).get("Code", "").startswith("AccessDenied")

    def a_role(self, name: str = "") -> str:
        """Made as the function makes roles. Its name."""
        name = name or self.name()
        self.own("iam").create_role(
            RoleName=name,
            Path=PATH,
            PermissionsBoundary=self.run.outputs["RolePermissionsBoundary"],
            AssumeRolePolicyDocument=self.trust(self.account),
            Tags=[{"Key": "github-trust:stack-id", "Value": self.stack_id}],
        )
        return name

    def entry(self, role: str = "", **properties: Any) -> dict[str, str]:
        """An entry made as the function makes them: what names it."""
        if not self.cluster:
            raise LookupError("no cluster is named")
        name = role or self.a_role()
        arn = self.iam.get_role(RoleName=name)["Role"]["Arn"]
        place = {"clusterName": self.cluster, "principalArn": arn}

        def made() -> bool:
            try:
                self.own("eks").create_access_entry(
                    **place, tags={"github-trust:stack-id": self.stack_id}, **properties
                )
            except ClientError as error:
                if "principal" not in str(error).lower():
                    raise
                return False
            return True

        self.run.wait(made, "EKS to see the role", PATIENCE)
        return place

    def denials(self, call: Callable[[], Any]) -> tuple[int, float]:
        """How often a call is denied until it is not, and for how long."""
        began, denied = time.monotonic(), 0
        while (code := code_of(call)) != "done":
            if not code.startswith("AccessDenied") or time.monotonic() - began > PATIENCE:
                raise RuntimeError(code)
            denied += 1
            time.sleep(0.2)
        return denied, time.monotonic() - began


def told(found: list[tuple[int, float]]) -> Seen:
    late = [one for one in found if one[0]]
    longest = max((seconds for _, seconds in late), default=0.0)
    return f"{len(late)} of {len(found)} were denied at first, for {longest:.1f} s at most", not late


@probe("The tags of a call count for the authorization of the next call (roles)")
def tags_of_roles(asking: Probing) -> Seen:
    policy, found = f"arn:{asking.run.partition}:iam::aws:policy/AmazonEC2ReadOnlyAccess", []
    for _ in range(TRIES):
        name = asking.a_role()
        found.append(asking.denials(lambda: asking.own("iam").attach_role_policy(RoleName=name, PolicyArn=policy)))  # noqa: B023
    return told(found)


@probe("The tags of a call count for the authorization of the next call (access entries)")
def tags_of_entries(asking: Probing) -> Seen:
    found = []
    for _ in range(TRIES):
        place = asking.entry(username=f"{NAME}-probe", kubernetesGroups=[f"{NAME}-a"])
        policy = f"arn:{asking.run.partition}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
        scope = {"policyArn": policy, "accessScope": {"type": "namespace", "namespaces": ["default"]}}
        found.append(asking.denials(lambda: asking.own("eks").associate_access_policy(**place, **scope)))  # noqa: B023
    return told(found)


@probe("A call on a role that is gone may be denied, because it has no tags to compare")
def gone(asking: Probing) -> Seen:
    iam, eks, name = asking.own("iam"), asking.own("eks"), f"{asking.run.settings.name}-gone"
    policy = f"arn:{asking.run.partition}:iam::aws:policy/ReadOnlyAccess"
    codes = [
        code_of(lambda: iam.detach_role_policy(RoleName=name, PolicyArn=policy)),
        code_of(lambda: iam.delete_role(RoleName=name)),
        code_of(lambda: iam.get_role(RoleName=name)),
    ]
    if asking.cluster:
        arn = f"arn:{asking.run.partition}:iam::{asking.run.settings.account}:role{PATH}{name}"
        place = {"clusterName": asking.cluster, "principalArn": arn}
        codes += [
            code_of(lambda: eks.delete_access_entry(**place)),
            code_of(lambda: eks.describe_access_entry(**place)),
        ]
    known = {"NoSuchEntity", "AccessDenied", "AccessDeniedException", "ResourceNotFoundException"}
    return ", ".join(codes), codes[2] == "NoSuchEntity" and {*codes} <= known


@probe('IAM refuses a trust policy whose provider does not exist ("Invalid principal in policy")')
def no_provider(asking: Probing) -> Seen:
    arn = f"arn:{asking.run.partition}:iam::{asking.run.settings.account}:oidc-provider/ghe.invalid/_services/token"
    statement = {"Effect": "Allow", "Principal": {"Federated": arn}, "Action": "sts:AssumeRoleWithWebIdentity"}
    condition = {"Condition": {"StringEquals": {"ghe.invalid/_services/token:sub": "x"}}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **condition}]})
    made = {"RoleName": asking.name(), "Path": PATH, "AssumeRolePolicyDocument": trust}
    seen = text_of(lambda: asking.iam.create_role(**made, Tags=asking.run.listed_tags))
    return seen, seen.startswith("MalformedPolicyDocument")


@probe("Claims are condition keys in every partition, for `/<enterprise>` and for GHE.com")
def claims_as_keys(asking: Probing) -> Seen:
    issuer = "token.actions.githubusercontent.com"
    provider = f"arn:{asking.run.partition}:iam::{asking.run.settings.account}:oidc-provider/{issuer}"
    number = asking.run.github("GET", f"/repos/{asking.run.settings.repository}")["id"]
    conditions = {
        "StringEquals": {f"{issuer}:repository_id": str(number), f"{issuer}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{issuer}:sub": "repo:*"},
    }
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": conditions}]})
    made = {"RoleName": asking.name(), "Path": PATH, "AssumeRolePolicyDocument": trust, "Tags": asking.run.listed_tags}
    arn = asking.iam.create_role(**made)["Role"]["Arn"]
    found = stages.attempts(asking.run, "main", arn)
    return f"a job with a role that asks for it was {'let in' if found['branch'] else 'refused'}", found["branch"]


@probe("`UpdateRole` with an empty description removes it")
def descriptions(asking: Probing) -> Seen:
    made = {"RoleName": asking.name(), "Path": PATH, "AssumeRolePolicyDocument": asking.trust(asking.account)}
    asking.iam.create_role(**made, Description="old", Tags=asking.run.listed_tags)
    asking.iam.update_role(RoleName=made["RoleName"], Description="")
    left = asking.iam.get_role(RoleName=made["RoleName"])["Role"].get("Description", "")
    return f"left: {left!r}", left == ""


@probe(
    "`GetSecretValue` sees a secret right after `CreateSecret`",
    "The name of a deleted secret is taken for some two minutes",
)
def secrets(asking: Probing) -> list[Seen]:
    manager, name = asking.own("secretsmanager"), f"{REMEMBERED}-{asking.run.settings.run}"
    tags, texts = asking.run.listed_tags, []
    asking.run.client("secretsmanager").create_secret(Name=name, SecretString="1", Tags=tags)
    first = code_of(lambda: manager.get_secret_value(SecretId=name))
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    began = time.monotonic()
    while (text := text_of(lambda: manager.create_secret(Name=name, SecretString="2"))) != "done":
        texts += [text, text_of(lambda: manager.get_secret_value(SecretId=name))]
        if time.monotonic() - began > PATIENCE:
            break
        time.sleep(1)
    took = time.monotonic() - began
    last = code_of(lambda: manager.get_secret_value(SecretId=name))
    meanwhile = "; ".join(sorted({*texts})) or "nothing was refused"
    return [
        (f"{first}, and {last}", first == last == "done"),
        (f"free after {took:.0f} s; meanwhile: {meanwhile}", took < 120),
    ]


@probe("`GetSecretValue` of no secret is `ResourceNotFoundException`, and no denial")
def no_secret(asking: Probing) -> Seen:
    name = f"{REMEMBERED}-{asking.run.settings.run}-never-there"
    code = code_of(lambda: asking.own("secretsmanager").get_secret_value(SecretId=name))
    return code, code == "ResourceNotFoundException"


@probe(
    "EKS passes the role of a node with `iam:PassedToService` `eks.amazonaws.com`",
    "`TagResource` works on an entry of type `EC2_LINUX`",
)
def nodes(asking: Probing) -> list[Seen]:
    place = asking.entry(type="EC2_LINUX")
    arn = asking.eks.describe_access_entry(**place)["accessEntry"]["accessEntryArn"]
    code = code_of(lambda: asking.eks.tag_resource(resourceArn=arn, tags={"a": "b"}))
    return [("made", True), (f"made; TagResource: {code}", code == "done")]


@probe("A group or a username that is not allowed can be replaced by one that is")
def keys_of_updates(asking: Probing) -> Seen:
    place, eks = asking.entry(username=f"{NAME}-probe"), asking.own("eks")
    bad = code_of(lambda: eks.update_access_entry(**place, kubernetesGroups=["bad"]))
    worse = code_of(lambda: eks.update_access_entry(**place, username="bad"))
    asking.eks.update_access_entry(**place, kubernetesGroups=["bad"])
    repair = code_of(lambda: eks.update_access_entry(**place, kubernetesGroups=[f"{NAME}-a"]))
    # The function itself refuses bad ones: the template does not rely on this.
    return f"{bad}, {worse}, {repair}", repair == "done"


@probe("`eks:username` is absent if a request names none")
def no_username(asking: Probing) -> Seen:
    asking.entry()
    return "made", True


@probe("Sending EKS's own username sets it back")
def default_username(asking: Probing) -> Seen:
    place, eks = asking.entry(), asking.own("eks")
    before = asking.eks.describe_access_entry(**place)["accessEntry"]["username"]
    eks.update_access_entry(**place, username=f"{NAME}-ci")
    seen = text_of(lambda: eks.update_access_entry(**place, username=before))
    return seen, seen == "done"


@probe("Reads of EKS show a write at once")
def reads(asking: Probing) -> Seen:
    place, old = asking.entry(), 0
    for number in range(TRIES):
        asking.own("eks").update_access_entry(**place, kubernetesGroups=[f"{NAME}-{number}"])
        old += asking.eks.describe_access_entry(**place)["accessEntry"]["kubernetesGroups"] != [f"{NAME}-{number}"]
    asking.own("eks").delete_access_entry(**place)
    old += code_of(lambda: asking.eks.describe_access_entry(**place)) == "done"
    return f"{old} of {TRIES + 1} reads were old", not old


@probe(
    "Response buckets in opt-in regions and GovCloud are named as elsewhere",
    "CloudFormation makes up ids of the stack's name, the logical id and a suffix",
    "`DescribeStackResource` shows a request as `…_IN_PROGRESS` within 10 s of its event",
    "`LastUpdatedTimestamp` is within 2 s of the signature of `ResponseURL`",
    "`DescribeStackEvents` names the object that a resource was",
)
def responses(asking: Probing) -> list[Seen]:
    """A custom resource behind a topic: nobody answers the Create, and the Delete is answered here."""
    run, cloudformation = asking.run, asking.run.client("cloudformation")
    stack = run.stack("silent")
    name = f"{run.settings.name}-silent"
    queue = {"Fn::GetAtt": ["Queue", "Arn"]}
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "Topic"}}},
    }
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    subscription = {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": queue, "RawMessageDelivery": True}
    resources: dict[str, Any] = {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy},
        },
        "Subscription": {"Type": "AWS::SNS::Subscription", "DependsOn": "Policy", "Properties": subscription},
    }
    expect(stack, stack.create({"Resources": resources}), "CREATE_COMPLETE")
    silent = {"ServiceToken": {"Ref": "Topic"}, "ServiceTimeout": "30"}
    resources["Silent"] = {"Type": "Custom::Silent", "DependsOn": "Subscription", "Properties": silent}
    request = {"StackName": stack.id, "TemplateBody": json.dumps({"Resources": resources})}
    cloudformation.update_stack(**request)
    sqs, found, shown = run.client("sqs"), dict[str, dict[str, Any]](), dict[str, tuple[float, datetime]]()
    address = sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def deleted() -> bool:
        for message in sqs.receive_message(QueueUrl=address, WaitTimeSeconds=5).get("Messages", []):
            event = json.loads(message["Body"])
            found[event["RequestType"]] = event
            shown[event["RequestType"]] = shown_in_progress(asking, event)
        assert found or stack.status().endswith("_IN_PROGRESS"), f"{stack.status()}, and nothing was sent to the topic"
        return "Delete" in found

    run.wait(deleted, "CloudFormation to delete what was not answered", PATIENCE)
    event = found["Delete"]
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")}
    run.services.put(event["ResponseURL"], {**answer, "Status": "SUCCESS"})
    stack.settle()
    events = cloudformation.describe_stack_events(StackName=stack.id)["StackEvents"]
    stack.delete()
    host = event["ResponseURL"].split("/")[2]
    bucket = f"cloudformation-custom-resource-response-{run.settings.region.replace('-', '')}"
    made_up = event["PhysicalResourceId"]
    objects = {one.get("PhysicalResourceId") for one in events if one["LogicalResourceId"] == "Silent"}
    longest = max(seconds for seconds, _ in shown.values())
    skews = [skew(found[kind]["ResponseURL"], since) for kind, (_, since) in shown.items()]
    known = [seconds for seconds in skews if seconds is not None]
    return [
        (host, host.split(".")[0] == bucket),
        (made_up, made_up.startswith(f"{stack.name}-Silent-")),
        (f"after {longest:.1f} s at most", longest < 10),
        (f"{known} s", all(abs(seconds) <= 2 for seconds in known)) if known else ("no date in the signature", None),
        (f"{len(objects)} objects", made_up in objects),
    ]


def shown_in_progress(asking: Probing, event: dict[str, Any]) -> tuple[float, datetime]:
    """The seconds until CloudFormation shows that it waits for a request, and since when it does."""
    cloudformation, began = asking.run.client("cloudformation"), time.monotonic()
    place = {"StackName": event["StackId"], "LogicalResourceId": event["LogicalResourceId"]}

    def found() -> datetime | None:
        try:
            detail = cloudformation.describe_stack_resource(**place)["StackResourceDetail"]
        except ClientError:
            return None
        is_shown = detail["ResourceStatus"] == f"{event['RequestType'].upper()}_IN_PROGRESS"
        since: datetime = detail["LastUpdatedTimestamp"]
        return since if is_shown else None

    since = asking.run.wait(found, "CloudFormation to show its request", 25)
    return time.monotonic() - began, since


def skew(address: str, since: datetime) -> float | None:
    """The seconds from the signature of a URL to a time."""
    signed = parse_qs(urlsplit(address).query).get("X-Amz-Date")
    if not signed:
        return None
    return (since - datetime.strptime(signed[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)).total_seconds()


@probe("GitHub answers with 303 if a branch policy exists already")
def patterns(asking: Probing) -> Seen:
    place = f"/repos/{asking.run.settings.repository}/environments/probe"
    policy = {"protected_branches": False, "custom_branch_policies": True}
    asking.run.github("PUT", place, {"deployment_branch_policy": policy})
    statuses = []
    for _ in range(2):
        body = {"name": "main", "type": "branch"}
        statuses.append(asking.run.services.asked("POST", f"{place}/deployment-branch-policies", body)[0])
    return f"{statuses[0]}, then {statuses[1]}", statuses[1] == 303


@probe(
    "`use_immutable_subject: false` on a new repository is accepted and changes nothing",
    "GitHub unsets a setting that a request leaves out",
)
def opting_out(asking: Probing) -> list[Seen]:
    place = f"/repos/{asking.run.settings.repository}/actions/oidc/customization/sub"
    before = asking.run.github("GET", place)
    status, _ = asking.run.services.asked("PUT", place, {"use_default": True, "use_immutable_subject": False})
    after = asking.run.github("GET", place)
    kept = before.get("sub_claim_prefix") == after.get("sub_claim_prefix")
    asking.run.services.asked("PUT", place, {"use_default": True})
    left = asking.run.github("GET", place).get("use_immutable_subject")
    return [
        (f"{status}; the prefix {'stays' if kept else 'changes'}", status < 300 and kept),
        (f"{left!r} is left", left is None),
    ]


@probe("A PUT of an environment takes `can_admins_bypass: false`, which GitHub sends and does not document")
def bypasses(asking: Probing) -> Seen:
    place = f"/repos/{asking.run.settings.repository}/environments/probe-bypass"
    status, _ = asking.run.services.asked("PUT", place, {"can_admins_bypass": False})
    if status >= 300:
        return f"{status}, the member is refused", False
    taken = asking.run.github("GET", place).get("can_admins_bypass")
    asking.run.github("PUT", place, {"wait_timer": 0})
    left = asking.run.github("GET", place).get("can_admins_bypass")
    return f"{taken!r}, and {left!r} after a PUT without it", None if taken is None else taken is False


@probe("`created_at` of a variable does not change when its value changes")
def variables(asking: Probing) -> Seen:
    place = f"/repos/{asking.run.settings.repository}/actions/variables"
    asking.run.github("POST", place, {"name": "PROBE", "value": "1"})
    before = asking.run.github("GET", f"{place}/PROBE")["created_at"]
    time.sleep(2)
    asking.run.github("PATCH", f"{place}/PROBE", {"name": "PROBE", "value": "2"})
    kept = asking.run.github("GET", f"{place}/PROBE")["created_at"] == before
    return "it stays" if kept else "it changes", kept


LEFT_OUT = (
    (
        "A cluster that cannot take entries for the moment answers `InvalidRequestException`",
        "it would change the cluster",
    ),
    (
        "A branch that a ruleset alone protects restricts an environment for protected branches",
        "it would make a ruleset of the repository",
    ),
    ("Access policies beside three make administrators", "it would make one on the cluster"),
)
