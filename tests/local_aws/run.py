"""The demonstration behind `make run`: the template on a local AWS, and two stacks that come, change and go.

Each step is one line with its time. The first that fails ends it, with what CloudFormation and the function said.
KEEP=1 leaves the local AWS running and prints the environment to explore it with.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import tokens
from calls import table as calls_table
from deployment import FUNCTION, STACK, build, create_cluster, deploy_as, example, owned, scheduled_run
from github.repositories import TOKEN
from local_aws import LocalAws, LocalAwsError, until
from narration import expect, print_lines
from stack import Stack, template
from warnings_told import tell_of_an_audit, tell_of_hooks

CLUSTER = "demo"
QUICKSTART = {
    "Repository": "octo-org/octo-repo",
    "Branch": "main",
    "ClusterName": CLUSTER,
    "Namespace": "default",
    "AccessPolicy": "AmazonEKSEditPolicy",
}
CHANGED = {**QUICKSTART, "Branch": "release", "Namespace": "staging", "AccessPolicy": "AmazonEKSViewPolicy"}
REMEMBERED = [{"Key": "name", "Values": ["github-trust/access-entry/", "github-trust/scheduled/"]}]
# Nobody but GitHub may see it.
HIDDEN = "hunter2-of-the-run"
# What the deployment says beside the defaults, and why.
PARAMETERS = {
    "AllowedGitHubOwners=octo-org": "as in the quick start",
    "AllowedNamespaces=default,staging": "opened: the access entry of quickstart.yaml may edit in these namespaces",
    "WritableGitHubRepositories=octo-org/octo-repo": "opened: a variable and a secret are written to this repository",
}
SHARED = {"Repository": "octo-org/another-repo", "Environment": "production"}


class Story:
    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.began = time.monotonic()

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        print(f"{text} {'.' * (70 - len(text))} ", end="", flush=True)
        start, ended = time.monotonic(), threading.Event()
        threading.Thread(target=show_life, args=(ended,), daemon=True).start()
        try:
            yield
        except BaseException:
            print(f"failed after {time.monotonic() - start:.1f} s", flush=True)
            raise
        finally:
            ended.set()
        print(f"{time.monotonic() - start:5.1f} s", flush=True)

    def tell(self) -> None:
        print_lines(["the first build takes some minutes; a dot is five seconds"])
        with self.step("build the function with sam build"):
            build(self.aws)
        with self.step("deploy template.yaml with sam deploy"):
            outputs = deploy_as(self.aws, FUNCTION, *PARAMETERS)
        show(outputs)
        print_lines(["guardrails as they are by default, but for:"])
        print_lines([f"  {parameter}  ({reason})" for parameter, reason in PARAMETERS.items()])
        print_lines(["the function does not wait here for what IAM shows late: on AWS, deletions take minutes"])
        with self.step(f"make the EKS cluster {CLUSTER!r}"):
            create_cluster(self.aws, CLUSTER)

        quickstart = Stack(self.aws, "quickstart")
        with self.step("create a stack of examples/quickstart.yaml"):
            expect(quickstart, quickstart.create(example("quickstart.yaml"), **QUICKSTART), "CREATE_COMPLETE")
        show(quickstart.outputs())
        self.show_objects()

        tell_of_hooks(self.aws, self.step, CHANGED)
        with self.step("update it: another branch, namespace and access policy"):
            expect(quickstart, quickstart.update(example("quickstart.yaml"), **CHANGED), "UPDATE_COMPLETE")
        self.show_objects()
        with self.step("update it again, with nothing but another ServiceTimeout"):
            expect(quickstart, quickstart.update(retimed(example("quickstart.yaml")), **CHANGED), "UPDATE_COMPLETE")

        shared = Stack(self.aws, "shared-provider")
        with self.step("create a stack of examples/shared-provider.yaml"):
            expect(shared, shared.create(example("shared-provider.yaml"), **SHARED), "CREATE_COMPLETE")
        show(shared.outputs())

        self.tell_of_tokens(shared.outputs()["ProviderArn"])
        self.tell_of_the_hand_over()
        self.tell_of_a_secret(outputs["ServiceToken"])
        self.tell_of_rotation()
        self.tell_of_survival(quickstart.outputs()["RoleArn"])
        tell_of_an_audit(self.aws, self.step)

        with self.step("delete the first stack"):
            expect(quickstart, quickstart.delete(), "DELETE_COMPLETE")
        left = owned(self.aws)
        print_lines(["still there, for the second stack:", *(f"  {arn}" for arn in left)])
        if shared.outputs()["ProviderArn"] not in left:
            raise LocalAwsError("the provider is gone, though the second stack still declares it")
        with self.step("delete the second stack"):
            expect(shared, shared.delete(), "DELETE_COMPLETE")
        if left := owned(self.aws):
            raise LocalAwsError(f"left behind: {', '.join(left)}")
        print_lines(["left behind: nothing"])

    def tell_of_tokens(self, provider: str) -> None:
        """A role for repositories of three kinds, and who can assume it."""
        exact = Stack(self.aws, "exact-trust")
        with self.step("create a stack of examples/exact-trust.yaml"):
            expect(exact, exact.create(example("exact-trust.yaml"), ProviderArn=provider), "CREATE_COMPLETE")
        role = exact.outputs()["RoleArn"]
        print_lines([f"subject {subject}" for subject in exact.outputs()["Subjects"].split(", ")])
        with self.step("let workflows of the local GitHub assume the role through STS"):
            table = tokens.found(self.aws, role)
            forged = tokens.assume(self.aws, role, tokens.forged(self.aws))
            table.append(("immutable, with another token's signature", False, forged))
        print_lines([f"{what:42} {'let in' if refused is None else refused}" for what, _, refused in table])
        if wrong := [what for what, wanted, refused in table if (refused is None) is not wanted]:
            raise LocalAwsError(f"not as they should: {', '.join(wrong)}")
        with self.step("delete that stack"):
            expect(exact, exact.delete(), "DELETE_COMPLETE")

    def tell_of_the_hand_over(self) -> None:
        """The role's ARN as a variable at the local GitHub, beside one that somebody has set by hand."""
        place = "/repos/octo-org/octo-repo"
        ours, theirs = (
            f"{place}/environments/production/variables/AWS_ROLE_ARN",
            f"{place}/actions/variables/AWS_REGION",
        )
        self.aws.at_github(set={theirs: "eu-west-1"})
        stack = Stack(self.aws, "hand-over")
        text, parameters = example("hand-over.yaml"), {"Repository": "octo-org/octo-repo", "Environment": "production"}
        with self.step("create a stack of examples/hand-over.yaml"):
            expect(stack, stack.create(text, **parameters), "CREATE_COMPLETE")
        self.handed_over({ours: stack.outputs()["RoleArn"], theirs: "eu-west-1"})
        moved = re.sub(r"( +)(ProviderArn: .*)", r"\1\2\n\1Path: /github/ci/", text)
        with self.step("update it: the role gets another path, and so another ARN"):
            expect(stack, stack.update(moved, **parameters), "UPDATE_COMPLETE")
        self.handed_over({ours: stack.outputs()["RoleArn"], theirs: "eu-west-1"})
        with self.step("delete that stack"):
            expect(stack, stack.delete(), "DELETE_COMPLETE")
        self.handed_over({theirs: "eu-west-1"})

    def handed_over(self, wanted: dict[str, str]) -> None:
        values = self.aws.at_github()["values"]
        found = {path: value for path, value in values.items() if "/TRUST_OWNER_" not in path}
        print_lines(["at the local GitHub:", *(f"  {path} = {value}" for path, value in found.items())])
        print_lines([f"  and {len(values) - len(found)} variables that record the owners"])
        if found != wanted:
            raise LocalAwsError(f"there should be {wanted}")

    def tell_of_a_secret(self, service_token: str) -> None:
        """A secret on its way to GitHub, and everything that was written meanwhile."""
        path = "/repos/octo-org/octo-repo/actions/secrets/DEPLOY_KEY"
        wanted = {"Repository": "octo-org/octo-repo", "Name": "DEPLOY_KEY", "Value": HIDDEN, "Secret": "true"}
        stack = Stack(self.aws, "secret")
        with self.step("create a stack with a secret of Actions"):
            made = template(service_token, {"Key": ("Custom::GitHubVariable", wanted)})
            expect(stack, stack.create(made), "CREATE_COMPLETE")
        if self.aws.at_github()["values"].get(path) != HIDDEN:
            raise LocalAwsError("the local GitHub does not open the secret")
        print_lines(["at the local GitHub: opened by libsodium"])
        with self.step("update it with a mistake, and delete it"):
            mistaken = template(service_token, {"Key": ("Custom::GitHubVariable", {**wanted, "Visibility": "all"})})
            expect(stack, stack.update(mistaken), "UPDATE_ROLLBACK_COMPLETE")
            events = str(stack.events())
            expect(stack, stack.delete(), "DELETE_COMPLETE")
        self.nothing_leaked({"the secret": HIDDEN, "the credential for GitHub": TOKEN}, {"stack events": events})

    def nothing_leaked(self, hidden: dict[str, str], written: dict[str, str]) -> None:
        """Neither is in the function's log, in what CloudFormation says, or in any file of the local AWS."""
        with self.step("look for it, and for the credential, in all that was written"):
            texts = {name: text.encode() for name, text in written.items()}
            texts["function's log"] = self.aws.function_log(FUNCTION).encode()
            # What CloudFormation sends is the template's own text.
            ours = [entry for entry in self.aws.recording() if entry["kind"] != "request"]
            texts["its calls and answers"] = json.dumps(ours).encode()
            for file in self.aws.directory.rglob("*"):
                if file.is_file() and file.name != "recording.jsonl":
                    texts[str(file.relative_to(self.aws.directory))] = file.read_bytes()
            found = [
                f"{what} is in {name}"
                for what, value in hidden.items()
                for name, text in texts.items()
                if value.encode() in text
            ]
        if found:
            raise LocalAwsError(", ".join(found))
        size = sum(map(len, texts.values())) / 1_000_000
        print_lines([f"neither in {len(texts)} logs and files, {size:.1f} MB"])

    def tell_of_rotation(self) -> None:
        """The issuer gets a certificate of another intermediate, and the schedule's event comes."""
        old = self.thumbprints()
        self.aws.change_intermediates()
        with self.step("the issuer's intermediate changes; a scheduled run, and another"):
            # Looks are told apart by the second.
            until(lambda: self.after_a_run() != old, "the provider's thumbprints to change", 10, every=0.5)
        both = self.thumbprints()
        print_lines(["thumbprints, old and new:", *(f"  {value}" for value in both)])
        new = self.aws.thumbprint("public")
        if both != sorted([*old, new]):
            raise LocalAwsError(f"the thumbprints should be {', '.join([*old, new])}")
        with self.step("deploy again, with no overlap, and run until the old one is gone"):
            deploy_as(self.aws, FUNCTION, *PARAMETERS, "ThumbprintOverlapInDays=0")
            until(lambda: self.after_a_run() != both, "the old thumbprint to go", 10, every=0.5)
        left = self.thumbprints()
        print_lines(["thumbprints:", *(f"  {value}" for value in left)])
        if left != [new]:
            raise LocalAwsError(f"the only thumbprint should be {new}")

    def tell_of_survival(self, principal: str) -> None:
        """The role of an access entry is deleted and made again behind our back, and the schedule's event comes."""
        place = {"clusterName": CLUSTER, "principalArn": principal}
        before = self.entry_and_role(place)
        with self.step("somebody deletes the role and makes it again, under the same ARN"):
            make_again(self.aws.client("iam"), principal.rsplit("/", 1)[-1])
        broken = self.entry_and_role(place)
        with self.step("a scheduled run"):
            if failure := scheduled_run(self.aws):
                raise LocalAwsError(failure)
        after = self.entry_and_role(place)
        for what, found in ("before", before), ("role made again", broken), ("after the run", after):
            print_lines([f"{what}:", *(f"  {name}: {value}" for name, value in found.items())])
        own = ("role id", "entry ARN", "bound to")
        kept = [{name: value for name, value in found.items() if name not in own} for found in (before, after)]
        if kept[0] != kept[1] or after["bound to"] != after["role id"] or broken["bound to"] == broken["role id"]:
            raise LocalAwsError("the entry did not come back as it was, bound to the new role")
        if left := self.aws.client("secretsmanager").list_secrets(Filters=REMEMBERED)["SecretList"]:
            raise LocalAwsError(f"still remembered: {left}")

    def entry_and_role(self, place: dict[str, str]) -> dict[str, str]:
        """What EKS reports of an entry, and IAM of its role's identity."""
        eks = self.aws.client("eks")
        entry = eks.describe_access_entry(**place)["accessEntry"]
        role = self.aws.client("iam").get_role(RoleName=place["principalArn"].rsplit("/", 1)[-1])["Role"]
        policies = eks.list_associated_access_policies(**place)["associatedAccessPolicies"]
        return {
            "role id": role["RoleId"],
            "bound to": entry["tags"]["github-trust:role-id"].split()[0],
            "entry ARN": entry["accessEntryArn"],
            "username": entry["username"],
            "policies": ", ".join(policy["policyArn"].rsplit("/", 1)[-1] for policy in policies),
        }

    def after_a_run(self) -> list[str]:
        if failure := scheduled_run(self.aws):
            raise LocalAwsError(failure)
        return self.thumbprints()

    def thumbprints(self) -> list[str]:
        (provider,) = (arn for arn in owned(self.aws) if ":oidc-provider/" in arn)
        found = self.aws.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=provider)
        return sorted(found["ThumbprintList"])

    def show_objects(self) -> None:
        """The objects as AWS reports them."""
        iam, eks = self.aws.client("iam"), self.aws.client("eks")
        for arn in owned(self.aws):
            if ":oidc-provider/" in arn:
                provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
                print_lines([f"provider {provider['Url']}, for {', '.join(provider['ClientIDList'])}"])
            elif ":role/" in arn:
                role = iam.get_role(RoleName=arn.rsplit("/", 1)[-1])["Role"]
                print_lines([f"role {role['RoleName']}, for", *(f"  {text}" for text in subjects(role))])
            else:
                print_lines(access_entry(eks, arn))


def make_again(iam: Any, name: str) -> None:
    """Everything of a role but its unique id."""
    role = iam.get_role(RoleName=name)["Role"]
    inline = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    }
    for policy in inline:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    iam.create_role(
        RoleName=name,
        Path=role["Path"],
        Description=role.get("Description", ""),
        AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]),
        Tags=role.get("Tags", []),
    )
    for policy, document in inline.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def subjects(role: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        for operator, keys in statement["Condition"].items():
            for key, values in keys.items():
                if key.endswith(":sub") and operator != "StringNotLike":
                    found += [values] if isinstance(values, str) else values
    return found


def access_entry(eks: Any, arn: str) -> list[str]:
    for principal in eks.list_access_entries(clusterName=CLUSTER)["accessEntries"]:
        place = {"clusterName": CLUSTER, "principalArn": principal}
        if eks.describe_access_entry(**place)["accessEntry"]["accessEntryArn"] != arn:
            continue
        lines = [f"access entry in {CLUSTER}, for {principal}"]
        for policy in eks.list_associated_access_policies(**place)["associatedAccessPolicies"]:
            scope = policy["accessScope"]
            where = ", ".join(scope["namespaces"]) or "the whole cluster"
            lines.append(f"  {policy['policyArn'].rsplit('/', 1)[-1]} in {where}")
        return lines
    return []


def retimed(template: str) -> str:
    """The template with a ServiceTimeout for each custom resource: an Update for all, and nothing to change for any."""
    return re.sub(r"^( +)(ServiceToken: .*)$", r"\1\2\n\1ServiceTimeout: 600", template, flags=re.MULTILINE)


def show(outputs: dict[str, str]) -> None:
    print_lines([f"{name}: {value}" for name, value in outputs.items()])


def show_life(ended: threading.Event) -> None:
    """Prints a dot now and then until the end."""
    while not ended.wait(5):
        print(".", end="", flush=True)


def why(aws: LocalAws, error: Exception) -> None:
    print(f"\n{error}", file=sys.stderr)
    stack = Stack(aws, STACK)
    with contextlib.suppress(Exception):  # without a stack there is nothing more to say
        for logical_id, reason in stack.reasons().items():
            print(f"  {STACK}: {logical_id}: {reason}", file=sys.stderr)
    with contextlib.suppress(Exception):
        marks = ("START ", "END ", "REPORT ")
        log = [line for line in aws.function_log(FUNCTION).splitlines() if not line.startswith(marks)]
        print("\nthe function's log ends:", *map(readable, log[-40:]), sep="\n", file=sys.stderr)


def readable(line: str) -> str:
    """A line of the function's log, without what all lines of a request have in common."""
    try:
        entry = json.loads(line)
    except ValueError:
        return f"  {line}"
    details = " ".join(
        f"{name}={value}" for name, value in entry.items() if name not in ("timestamp", "level", "message", "span")
    )
    where = entry.get("span", {}).get("logical_id", "")
    return f"  {entry.get('timestamp', '')[11:23]} {entry.get('level')} {where} {entry.get('message')} {details}"


def explain_kept(aws: LocalAws) -> None:
    print("\nThe local AWS keeps running. To look around in it:\n")
    for name, value in aws.settings().items():
        print(f"  export {name}={shlex.quote(value)}")
    values = " ".join(f"{name}={value}" for name, value in QUICKSTART.items())
    print("\n  .venv/bin/sam deploy --template-file examples/quickstart.yaml --stack-name quickstart \\")
    print(f"      --capabilities CAPABILITY_NAMED_IAM --parameter-overrides {values}")
    print(f"\nIts log and its recording are in {aws.directory}. To end it:\n")
    print(f"  kill -- -{aws.pid}; rm -r {shlex.quote(str(aws.directory))}")


def main() -> int:
    keep = os.environ.get("KEEP", "") not in ("", "0")
    aws = LocalAws(keep=keep)
    story = Story(aws)
    status = 0
    try:
        with story.step("start the local AWS, with IAM policies enforced"):
            aws.start()
        story.tell()
        print("\nThe AWS calls that the function made, by what CloudFormation asked for; * marks those that change.\n")
        print(calls_table(aws.recording()))
        print(f"\nall of it: {time.monotonic() - story.began:.1f} s")
    except KeyboardInterrupt:
        status = 130
    except Exception as error:
        status = 1
        why(aws, error)
    finally:
        if keep and aws.running:
            explain_kept(aws)
        else:
            aws.stop()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
