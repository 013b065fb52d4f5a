"""The simulated services of tests/simulation and the local AWS answer the same requests alike.

The simulation writes down what the function and it say to each other on quiet days (`transcribe_quiet_days`); here
every request is sent, as it is, to the local AWS. Status and error code have to be the same, and so have the members of
the answers with their values, but for what no two accounts share: ids, times and what is made from them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.loaders
import botocore.model
import botocore.parsers
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from deployment import create_cluster
from local_aws import ACCOUNT, REGION, ROOT, ROOT_KEY, LocalAws

# What the simulation calls its account and region.
THERE = ("111122223333", "eu-west-1")
# Made anew for everybody.
OWN = re.compile(r"RoleId|CreateDate|createdAt|modifiedAt|associatedAt|accessEntryArn|RoleLastUsed|arn")
# Where the two differ, and who is right. The beginnings of what `differences` says.
KNOWN = {
    "CreateOpenIDConnectProvider.Tags": "the simulation: the API reference has the tags, ministack leaves them out",
    "DescribeCluster.cluster.": "both: the simulation shows of a cluster what concerns access entries, and its version",
    "ListAccessPolicies.": "both: the list grows, and each has another part of it and its own pages",
    "ListRoles.Roles": "both: here the cluster's own role is in the account, too",
}


@pytest.fixture(scope="module")
def exchanges() -> list[dict[str, Any]]:
    file = ROOT / "target" / "quiet-days.jsonl"
    command = [
        "cargo",
        "test",
        "--locked",
        "--features",
        "cli",
        "--test",
        "suite",
        "transcribe_quiet_days",
        "--",
        "--ignored",
    ]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "QUIET_TRANSCRIPT": str(file)}, check=True, capture_output=True
    )
    return read(file)


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def models() -> dict[str, botocore.model.ServiceModel]:
    loader = botocore.loaders.Loader()
    return {
        name: botocore.model.ServiceModel(loader.load_service_model(name, "service-2"), name) for name in ("iam", "eks")
    }


def here(text: str) -> str:
    return text.replace(THERE[0], ACCOUNT).replace(THERE[1], REGION)


def ask(aws: LocalAws, exchange: dict[str, Any], arns: dict[str, str]) -> dict[str, Any]:
    """Sends the request to the local AWS."""
    text, url = here(exchange["request"]), here(exchange["url"])
    for theirs, ours in arns.items():
        url = url.replace(quote(theirs, safe=""), quote(ours, safe=""))
    path = re.sub(r"^https://[^/]*", "", url)
    kind = "application/x-www-form-urlencoded; charset=utf-8" if exchange["service"] == "iam" else "application/json"
    request = AWSRequest(exchange["method"], aws.url + path, {"Content-Type": kind}, text.encode())
    SigV4Auth(Credentials(ROOT_KEY, ROOT_KEY), exchange["service"], REGION).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}


def differences(simulated: Any, local: Any, path: str) -> list[str]:
    """What one says otherwise than the other."""
    if isinstance(simulated, dict) and isinstance(local, dict):
        return [
            difference
            for name in sorted(simulated.keys() | local.keys())
            if not OWN.fullmatch(name)
            for difference in differences(simulated.get(name), local.get(name), f"{path}.{name}")
        ]
    if isinstance(simulated, list) and isinstance(local, list) and len(simulated) == len(local):
        order = lambda item: json.dumps(item, sort_keys=True, default=str)  # noqa: E731
        pairs = zip(sorted(simulated, key=order), sorted(local, key=order), strict=True)
        return [difference for one, other in pairs for difference in differences(one, other, f"{path}[]")]
    alike = simulated == local or (simulated in (None, [], {}, "") and local in (None, [], {}, ""))
    return [] if alike else [f"{path}: the simulation {simulated!r}, the local AWS {local!r}"]


def test_the_simulation_answers_as_the_local_aws_does(exchanges: list[dict[str, Any]]) -> None:
    with LocalAws() as nobody_elses:
        unexpected, seen = compare(exchanges, nobody_elses)
    assert not unexpected
    assert seen == KNOWN.keys(), "a difference that is no more"


def compare(exchanges: list[dict[str, Any]], aws: LocalAws) -> tuple[list[str], set[str]]:
    """Differences that are not known, and the known ones that were seen."""
    known, iam = models(), aws.client("iam")
    create_cluster(aws, "prod")
    for name in ("boundary", "wider-boundary"):
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
    found: list[str] = []
    arns: dict[str, str] = {}
    asked = 0
    for exchange in exchanges:
        service = exchange["service"]
        if service not in known:
            continue
        operation = known[service].operation_model(exchange["action"])
        parser = botocore.parsers.create_parser("query" if service == "iam" else "rest-json")
        simulated_raw = {
            "status_code": exchange["status"],
            "headers": exchange["headers"],
            "body": here(exchange["answer"]).encode(),
        }
        simulated = parser.parse(simulated_raw, operation.output_shape)
        answer = ask(aws, exchange, arns)
        local = parser.parse(answer, operation.output_shape)
        asked += 1
        entry = "accessEntry"
        if entry in simulated and entry in local:
            arns[simulated[entry]["accessEntryArn"]] = local[entry]["accessEntryArn"]
        if exchange["status"] != answer["status_code"]:
            found.append(f"{exchange['action']}: status {exchange['status']}, the local AWS {answer['status_code']}")
        for side in (simulated, local):
            side.pop("ResponseMetadata", None)
            side.get("Error", {}).pop("Message", None)
            side.get("Error", {}).pop("Type", None)
            side.pop("message", None)
        found += differences(simulated, local, exchange["action"])
    print(f"{asked} requests were answered by both")
    seen = {name for name in KNOWN for difference in found if difference.startswith(name)}
    return sorted({one for one in found if not one.startswith(tuple(KNOWN))}), seen
