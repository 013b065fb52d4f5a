"""Everything that a run could leave, at the local AWS and the local GitHub."""

from __future__ import annotations

from typing import Any

from actions import Actions
from local_aws import LocalAws
from sweep import NAME


def inventory(aws: LocalAws, actions: Actions) -> dict[str, list[str]]:
    iam, eks = aws.client("iam"), aws.client("eks")

    def names(found: list[dict[str, Any]], name: str) -> list[str]:
        return sorted(one[name] for one in found)

    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    return {
        "stacks": names([one for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"], "StackName"),
        "roles": names(iam.list_roles()["Roles"], "RoleName"),
        "policies": names(iam.list_policies(Scope="Local")["Policies"], "Arn"),
        "providers": names(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"], "Arn"),
        "entries": sorted(eks.list_access_entries(clusterName="acceptance")["accessEntries"]),
        # One is CloudFormation's own, for responses.
        "buckets": [one for one in names(aws.client("s3").list_buckets()["Buckets"], "Name") if NAME in one],
        "secrets": names(aws.client("secretsmanager").list_secrets()["SecretList"], "Name"),
        "functions": names(aws.client("lambda").list_functions()["Functions"], "FunctionName"),
        "logs": [
            one for one in names(aws.client("logs").describe_log_groups()["logGroups"], "logGroupName") if NAME in one
        ],
        "queues": aws.client("sqs").list_queues().get("QueueUrls", []),
        "topics": names(aws.client("sns").list_topics()["Topics"], "TopicArn"),
        "repositories": sorted(actions.repositories),
        "at GitHub": sorted([*aws.at_github()["items"], *aws.at_github()["environments"]]),
    }
