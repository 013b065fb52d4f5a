"""The stages of a run, in their order. One that fails ends it, unless the others do not need it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from context import PATH, Run, expect
from preflight import NAME

WORKFLOW = Path(__file__).with_name("workflow.yml")
DESCRIPTION = "Scratch repository of the acceptance of github-trust; may be deleted"
ENVIRONMENT = "acceptance"
OK = ("success",)
# Job by job, for a branch: whether it is to get in.
EXPECTED = {
    "main": {"branch": True, "protected": True, "elsewhere": False},
    "other": {"branch": False, "protected": False, "elsewhere": False},
}


def repository(run: Run) -> None:
    place, files = f"/repos/{run.settings.repository}", ".github/workflows/acceptance.yml"
    made = {"name": run.settings.name, "private": True, "auto_init": True, "description": DESCRIPTION}
    run.github("POST", f"/orgs/{run.settings.organisation}/repos", made)
    content = base64.b64encode(WORKFLOW.read_bytes()).decode()
    run.github("PUT", f"{place}/contents/{files}", {"message": "Add the workflow", "content": content})
    commit = run.github("GET", f"{place}/git/ref/heads/main")["object"]["sha"]
    run.github("POST", f"{place}/git/refs", {"ref": "refs/heads/other", "sha": commit})


def deployment(run: Run) -> None:
    """As bundle/README.md says for those without SAM."""
    chosen = run.settings
    code, bucket = (chosen.bundle / "function.zip").read_bytes(), f"{chosen.name}-{chosen.region}"
    key = f"{hashlib.sha256(code).hexdigest()[:16]}.zip"
    where = {} if chosen.region == "us-east-1" else {"LocationConstraint": chosen.region}
    s3 = run.client("s3")
    s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
    s3.put_object(Bucket=bucket, Key=key, Body=code)
    secret = run.client("secretsmanager").create_secret(
        Name=f"{chosen.name}/github", SecretString=json.dumps({"token": chosen.token}), Tags=run.listed_tags
    )
    parameters = {
        "CodeBucket": chosen.name,
        "CodeKey": key,
        "FunctionName": chosen.name,
        "AllowedGitHubOwners": chosen.organisation,
        "WritableGitHubRepositories": chosen.repository,
        "GitHubSecretArn": secret["ARN"],
        "RolePath": PATH,
        # For probes, on the cluster that was named: nobody can assume what they make.
        "AllowedClusters": chosen.cluster or "none",
        "AllowClusterAdmin": "true",
        "AllowedKubernetesSubjects": f"{NAME}-*",
        "LogRetentionInDays": "1",
    }
    parameters |= dict(one.split("=", 1) for one in chosen.parameters)
    stack, text = run.stack(""), (chosen.bundle / "github-trust.template.yaml").read_text()
    expect(stack, stack.create(text, **parameters), "CREATE_COMPLETE")
    run.outputs = stack.outputs()


def declared_role(run: Run, **changes: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    whole = run.settings.repository
    policy = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
    properties = {
        "ProviderArn": {"Ref": "Provider"},
        "Description": "made by the acceptance",
        "Trust": [{"Repository": whole, "Branches": ["main"], "Environments": [ENVIRONMENT]}],
        "Policies": [{"PolicyName": "who", "PolicyDocument": {"Version": "2012-10-17", "Statement": [policy]}}],
        "Tags": run.listed_tags,
    }
    return {
        "Provider": ("GitHubOidcProvider", {"Tags": run.listed_tags}),
        "Role": ("GitHubRole", {**properties, **changes}),
    }


OUTPUTS = {name: {"Fn::GetAtt": ["Role", name]} for name in ("Arn", "RoleName", "RoleId", "Subjects")}


def roles(run: Run) -> None:
    stack = run.stack("roles")
    expect(stack, stack.create(run.declared(OUTPUTS, **declared_role(run))), "CREATE_COMPLETE")
    run.role = stack.outputs()
    run.partition = run.role["Arn"].split(":")[1]
    role = run.client("iam").get_role(RoleName=run.role["RoleName"])["Role"]
    assert (role["Path"], role["Description"]) == (PATH, "made by the acceptance")
    run.transcript.say(f"subjects: {run.role['Subjects']}")


def at_github(run: Run) -> None:
    stack, whole = run.stack("github"), run.settings.repository
    environment = {"Repository": whole, "Name": ENVIRONMENT, "DeploymentBranchPolicy": {"Branches": ["main"]}}
    variable = {"Repository": whole, "Environment": {"Fn::GetAtt": ["Environment", "Name"]}, "Name": "ROLE"}
    made = run.declared(
        Environment=("GitHubEnvironment", environment),
        Variable=("GitHubVariable", {**variable, "Value": run.role["Arn"]}),
    )
    expect(stack, stack.create(made), "CREATE_COMPLETE")
    found = run.github("GET", f"/repos/{whole}/environments/{ENVIRONMENT}/variables/ROLE")
    assert found["value"] == run.role["Arn"]


def workflows(run: Run) -> None:
    wrong = []
    for branch, expected in EXPECTED.items():
        for job, found in attempts(run, branch, run.role["Arn"]).items():
            run.transcript.say(f"job {job} on {branch}: {'let in' if found else 'refused'}")
            if found is not expected[job]:
                wrong.append(f"{job} on {branch}")
    assert not wrong, f"not as it should be: {', '.join(wrong)}"


def attempts(run: Run, branch: str, role: str) -> dict[str, bool]:
    """Which jobs of the workflow assume the role, in one run of it."""
    place = f"/repos/{run.settings.repository}/actions"
    query = f"{place}/runs?event=workflow_dispatch&branch={branch}"
    before = {one["id"] for one in run.github("GET", query)["workflow_runs"]}
    inputs = {"role": role, "region": run.settings.region}
    dispatch = f"{place}/workflows/acceptance.yml/dispatches"

    def taken() -> bool:
        # GitHub knows a workflow some seconds after the file.
        return run.services.asked("POST", dispatch, {"ref": branch, "inputs": inputs})[0] < 300

    run.wait(taken, "the workflow to be known", 120)

    def over() -> int | None:
        new = [one for one in run.github("GET", query)["workflow_runs"] if one["id"] not in before]
        return new[0]["id"] if new and new[0]["status"] == "completed" else None

    number = run.wait(over, f"the workflow on {branch}")
    jobs = run.github("GET", f"{place}/runs/{number}/jobs")["jobs"]
    found = {}
    for job in jobs:
        steps = {step["name"]: step["conclusion"] for step in job["steps"]}
        # One that got no token says nothing about AWS; one that its environment keeps from starting has no steps.
        assert not steps or steps.get("token") in OK, f"job {job['name']} got no token from GitHub"
        found[job["name"]] = steps.get("assume") in OK
    return found


def looks(run: Run) -> None:
    event = {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    run.invoke(event)


def entries(run: Run) -> None:
    if not run.settings.cluster:
        run.transcript.say("no cluster is named: left out")
        return
    policy = f"arn:{run.partition}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    scope = {"Type": "namespace", "Namespaces": ["default"]}
    entry = {
        "ClusterName": run.settings.cluster,
        "PrincipalArn": run.role["Arn"],
        "AccessPolicies": [{"PolicyArn": policy, "AccessScope": scope}],
        "Tags": run.listed_tags,
    }
    stack = run.stack("entries")
    expect(stack, stack.create(run.declared(Entry=("EksAccessEntry", entry))), "CREATE_COMPLETE")
    groups = {**entry, "KubernetesGroups": [f"{NAME}-readers"]}
    expect(stack, stack.update(run.declared(Entry=("EksAccessEntry", groups))), "UPDATE_COMPLETE")
    place = {"clusterName": run.settings.cluster, "principalArn": run.role["Arn"]}
    found = run.client("eks").describe_access_entry(**place)["accessEntry"]
    assert found["kubernetesGroups"] == [f"{NAME}-readers"], found


def updates(run: Run) -> None:
    stack, iam, name = run.stack("roles"), run.client("iam"), run.role["RoleName"]
    stack.find()
    changed = declared_role(run, Description="changed", MaxSessionDuration=7200)
    expect(stack, stack.update(run.declared(OUTPUTS, **changed)), "UPDATE_COMPLETE")
    role = iam.get_role(RoleName=name)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("changed", 7200)
    missing = f"arn:{run.partition}:iam::aws:policy/{NAME}-not-there"
    wrong = declared_role(run, Description="wrong", ManagedPolicyArns=[missing])
    expect(stack, stack.update(run.declared(OUTPUTS, **wrong)), "UPDATE_ROLLBACK_COMPLETE")
    run.transcript.say(f"refused, as it should be: {stack.reasons().get('Role', '')[:200]}")
    assert iam.get_role(RoleName=name)["Role"]["Description"] == "changed"


STAGES: list[tuple[str, Callable[[Run], None], bool]] = [
    ("make the scratch repository", repository, False),
    ("deploy the function", deployment, False),
    ("a stack with the provider and a role", roles, False),
    ("a stack with an environment and a variable at GitHub", at_github, True),
    ("let workflows try to get in", workflows, True),
    ("a scheduled run looks at providers and entries", looks, True),
    ("a stack with an access entry", entries, True),
    ("an update, and one that is rolled back", updates, True),
]
