"""Removes what runs have made: by its name, its tag, and its age."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from typing import Any

from context import PATH, Run
from preflight import NAME
from stack import Stack
from stages import DESCRIPTION

# A secret of the function's, for probes of names that only it may use.
REMEMBERED = f"github-trust/access-entry/{NAME}"
# How the names of probes' roles end.
PROBES = r"-[0-9]+$"
_OVER = ("DELETE_COMPLETE",)


class Sweep:
    """Everything of one run, or of all runs that began so many hours ago."""

    def __init__(self, run: Run, hours: float, only: str = "") -> None:
        self.run, self.only = run, only
        self.before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)
        self.removed: list[str] = []

    def everything(self) -> list[str]:
        # Probes' roles use policies of the function's stack, and one of them trusts the provider.
        for remove in (
            self.probes,
            self.stacks,
            self.entries,
            self.roles,
            self.providers,
            self.buckets,
            self.secrets,
            self.logs,
            self.repositories,
        ):
            with self.run.transcript.step(f"sweep: {remove.__name__}", goes_on=True):
                remove()
        return self.removed

    def is_ours(self, name: str, made: datetime.datetime) -> bool:
        return name.startswith(f"{NAME}-{self.only}") and (bool(self.only) or made <= self.before)

    def note(self, what: str) -> None:
        self.removed.append(what)
        self.run.transcript.say(f"removed {what}")

    def probes(self) -> None:
        self.entries(PROBES)
        self.roles(PROBES)

    def stacks(self) -> None:
        """Those that the function works for go before its own."""
        found = [one for one in self._stacks() if one["StackStatus"] not in _OVER]
        found.sort(key=lambda one: (one["StackName"].count("-"), one["CreationTime"]), reverse=True)
        for one in found:
            stack = Stack(self.run.services, one["StackName"], seconds=900, pause=self.run.settings.pause)
            stack.find()
            if stack.settle() != "DELETE_COMPLETE" and stack.delete() != "DELETE_COMPLETE":
                # The function cannot; what it has made is swept below.
                left = {name: reason for name, reason in stack.reasons().items() if name != one["StackName"]}
                self.run.transcript.say(f"{one['StackName']} cannot delete {left}")
                self.run.client("cloudformation").delete_stack(StackName=stack.id, RetainResources=list(left))
                stack.settle()
            self.note(f"stack {one['StackName']}")

    def _stacks(self) -> Iterator[dict[str, Any]]:
        for one in self._listed("cloudformation", "describe_stacks", "Stacks"):
            tagged = any(tag["Key"] == NAME for tag in one.get("Tags", []))
            if tagged and self.is_ours(one["StackName"], one["CreationTime"]):
                yield one

    def _listed(self, service: str, action: str, member: str, **of: Any) -> list[Any]:
        """All of it before anything goes, or pages would move."""
        pages = self.run.client(service).get_paginator(action).paginate(**of)
        return [one for page in pages for one in page[member]]

    def entries(self, like: str = "") -> None:
        cluster, eks = self.run.settings.cluster, self.run.client("eks")
        if cluster:
            for principal in self._listed("eks", "list_access_entries", "accessEntries", clusterName=cluster):
                name = principal.rsplit("/", 1)[-1]
                entry = eks.describe_access_entry(clusterName=cluster, principalArn=principal)["accessEntry"]
                if re.search(like, name) and f":role{PATH}" in principal and self.is_ours(name, entry["createdAt"]):
                    eks.delete_access_entry(clusterName=cluster, principalArn=principal)
                    self.note(f"access entry {name}")

    def providers(self) -> None:
        """One that the function could not delete, if a run made it, no other stack owns it and no role trusts it."""
        iam = self.run.client("iam")
        for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
            arn = one["Arn"]
            found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
            tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
            made = [*tags.get("github-trust:made-by", "").split("/"), ""][1]
            if not self.is_ours(made, found["CreateDate"]):
                continue
            claims = ("github-trust:owner:", "github-trust:crowd:")
            owners = [value for key, value in tags.items() if key.startswith(claims)]
            roles = self._listed("iam", "list_roles", "Roles")
            trusted = any(arn in json.dumps(role["AssumeRolePolicyDocument"]) for role in roles)
            if trusted or any(f"/{NAME}-" not in owner for owner in owners):
                self.run.transcript.say(f"{arn} stays: others use it")
                continue
            iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
            self.note(f"provider {arn}")

    def roles(self, like: str = "") -> None:
        iam = self.run.client("iam")
        for role in self._listed("iam", "list_roles", "Roles", PathPrefix=PATH):
            name = role["RoleName"]
            if not self.is_ours(name, role["CreateDate"]) or not re.search(like, name):
                continue
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
            iam.delete_role(RoleName=name)
            self.note(f"role {name}")

    def buckets(self) -> None:
        s3 = self.run.client("s3")
        for bucket in s3.list_buckets()["Buckets"]:
            name = bucket["Name"]
            if self.is_ours(name, bucket["CreationDate"]) and name.endswith(f"-{self.run.settings.region}"):
                for one in s3.list_objects_v2(Bucket=name).get("Contents", []):
                    s3.delete_object(Bucket=name, Key=one["Key"])
                s3.delete_bucket(Bucket=name)
                self.note(f"bucket {name}")

    def secrets(self) -> None:
        secrets = self.run.client("secretsmanager")
        for secret in self._listed("secretsmanager", "list_secrets", "SecretList"):
            name = secret["Name"].removeprefix("github-trust/access-entry/")
            if self.is_ours(name, secret["CreatedDate"]):
                secrets.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)
                self.note(f"secret {secret['Name']}")

    def logs(self) -> None:
        logs = self.run.client("logs")
        for group in self._listed("logs", "describe_log_groups", "logGroups"):
            name = re.sub("^/aws/(lambda|cloudformation)/", "", group["logGroupName"])
            made = datetime.datetime.fromtimestamp(group["creationTime"] / 1000, datetime.timezone.utc)
            if self.is_ours(name, made):
                logs.delete_log_group(logGroupName=group["logGroupName"])
                self.note(f"log {name}")

    def repositories(self) -> None:
        place = f"/orgs/{self.run.settings.organisation}/repos?per_page=100&sort=created&direction=desc&page="
        found = self.run.github("GET", f"{place}1")
        for one in found:
            made = datetime.datetime.fromisoformat(one["created_at"].replace("Z", "+00:00"))
            if self.is_ours(one["name"], made) and one["description"] == DESCRIPTION:
                self.run.github("DELETE", f"/repos/{one['full_name']}")
                self.note(f"repository {one['full_name']}")
