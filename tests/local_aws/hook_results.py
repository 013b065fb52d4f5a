"""The results of CloudFormation's hooks, as its console asks for them."""

from __future__ import annotations

from typing import Any

from local_aws import LocalAws, until


def results(aws: LocalAws, target_type: str, target: str) -> list[dict[str, Any]]:
    """Each with its annotations, in the order of the hooks."""
    cloudformation = aws.client("cloudformation")
    found = cloudformation.list_hook_results(TargetType=target_type, TargetId=target)["HookResults"]
    return [cloudformation.get_hook_result(HookResultId=result["HookResultId"]) for result in found]


def change_set(aws: LocalAws, stack: str, body: str, kind: str = "CREATE", **parameters: str) -> dict[str, Any]:
    """A change set, when its hooks have been asked."""
    cloudformation = aws.client("cloudformation")
    made = cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName="seen-before",
        ChangeSetType=kind,
        TemplateBody=body,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )

    def settled() -> dict[str, Any] | None:
        found: dict[str, Any] = cloudformation.describe_change_set(ChangeSetName=made["Id"])
        return None if found["Status"].endswith("_IN_PROGRESS") else found

    return until(settled, f"change set of {stack}", 40)
