"""The parts of the demonstration that tell people before it is too late: hooks of CloudFormation, and the audit."""

from __future__ import annotations

import tutorials
from deployment import example
from hook_results import change_set, results
from local_aws import ROOT, LocalAws, LocalAwsError
from narration import Step, expect, print_lines
from stack import Stack

TUTORIALS = ("owner-prefix", "whole-repository", "literal-star")
PAGE = ROOT / "target" / "audit.html"


def tell_of_hooks(aws: LocalAws, step: Step, changed: dict[str, str]) -> None:
    """A change set with the plan in it, and a native role that is refused."""
    hooks = Stack(aws, "github-trust-hook")
    with step("deploy templates/hook.yaml: CloudFormation asks before it changes"):
        text = (ROOT / "templates" / "hook.yaml").read_text()
        expect(hooks, hooks.create(text, FailureMode="FAIL"), "CREATE_COMPLETE")
    with step("make a change set: another branch, namespace and access policy"):
        made = change_set(aws, "quickstart", example("quickstart.yaml"), "UPDATE", **changed)
    plan = [one for result in results(aws, "CHANGE_SET", made["ChangeSetId"]) for one in result["Annotations"]]
    print_lines([line for one in plan for line in one["StatusMessage"].splitlines()])
    if made["ExecutionStatus"] != "AVAILABLE" or not plan:
        raise LocalAwsError("the change set should show a plan")
    native = Stack(aws, "native-role")
    role = {"AssumeRolePolicyDocument": tutorials.trust(tutorials.TUTORIALS["owner-prefix"][0])}
    with step("make a stack with a native role as a tutorial has it: refused"):
        made = {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}}
        expect(native, native.create(made), "ROLLBACK_COMPLETE")
    (refused,) = results(aws, "RESOURCE", native.events()[0]["StackId"])
    print_lines(refused["HookStatusReason"].splitlines())
    with step("delete both stacks"):
        for stack in (native, hooks):
            expect(stack, stack.delete(), "DELETE_COMPLETE")


def tell_of_an_audit(aws: LocalAws, step: Step) -> None:
    """The command `github-trust audit`, on what is here, beside roles as tutorials make them."""
    with step("build the command github-trust"):
        tutorials.build_command(alone=True)
    tutorials.make(aws, *TUTORIALS)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    with step(f"github-trust audit, beside {len(TUTORIALS)} roles as tutorials make them"):
        environment = aws.environment()
        found = tutorials.run("audit", "--html", PAGE, environment=environment, command=tutorials.COMMAND_ALONE)
    print_lines([line for line in found.stdout.splitlines() if line])
    print_lines([f"as a page: {PAGE}"])
    if found.returncode != 0 or not all(name in found.stdout for name in TUTORIALS):
        raise LocalAwsError(f"the audit should show them: {found.stderr}")
    iam = aws.client("iam")
    for name in TUTORIALS:
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)
