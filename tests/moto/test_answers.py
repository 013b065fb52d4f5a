"""moto and the simulated services of tests/simulation answer the same requests alike, but for what is listed here.

The requests are those of the simulation's quiet days, which tests/local_aws/test_simulation.py sends to the local AWS.
"""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.loaders
import botocore.model
import botocore.parsers
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from local_aws import REGION, ROOT
from sender import ACCOUNT
from test_simulation import THERE, differences
from world import KEY, World

NOT_IMPLEMENTED = "`AddClientIDToOpenIDConnectProvider`, `RemoveClientIDFrom…`"
# Where they differ, by the answer's row in docs/beliefs.md, which says who is right.
KNOWN = {
    r"(Create|Get)Role.Role.AssumeRolePolicyDocument": "the URL-encoded trust policy",
    r"(Create|Get)Role.Role.PermissionsBoundary.PermissionsBoundaryType": "`PermissionsBoundaryType`",
    r"[A-Za-z]+.Error.[Mm]essage: .*Role deploy": "a role that does not exist",
    r"GetOpenIDConnectProvider.Error.message": "an error's message",
    r"GetSecretValue: status 400, moto 404": "`GetSecretValue` of no secret",
    r"ListInstanceProfilesForRole.IsTruncated": "`IsTruncated` on the last page",
    r"ListInstanceProfilesForRole: status 404, moto 200": "`ListInstanceProfilesForRole` of no role",
    r"CreateOpenIDConnectProvider.Tags": "`CreateOpenIDConnectProvider`, `Tags` of the answer",
    r"(AddClientIDTo|RemoveClientIDFrom)OpenIDConnectProvider: status 200, moto 500": NOT_IMPLEMENTED,
    r"GetOpenIDConnectProvider.ClientIDList": NOT_IMPLEMENTED,
}
# Requests of no quiet day.
TAKEN: dict[str, dict[str, Any]] = {
    "a boundary that does not exist": {"PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/not-there"},
    "a trust policy whose provider does not exist": {},
}
SERVICES = ("iam", "secretsmanager")


def here(text: str) -> str:
    return text.replace(THERE[0], ACCOUNT).replace(THERE[1], REGION)


def parsed(model: botocore.model.ServiceModel, action: str, answer: dict[str, Any]) -> dict[str, Any]:
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    found: dict[str, Any] = parser.parse(answer, model.operation_model(action).output_shape)
    found.pop("ResponseMetadata", None)
    return found


def ask(url: str, exchange: dict[str, Any]) -> dict[str, Any]:
    path = re.sub(r"^https://[^/]*", "", here(exchange["url"]))
    if exchange["service"] == "iam":
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    else:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"secretsmanager.{exchange['action']}"}
    request = AWSRequest(exchange["method"], url + path, headers, here(exchange["request"]).encode())
    SigV4Auth(Credentials(KEY, KEY), exchange["service"], REGION).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}


def compare(url: str) -> list[str]:
    loader, found = botocore.loaders.Loader(), []
    models = {
        name: botocore.model.ServiceModel(loader.load_service_model(name, "service-2"), name) for name in SERVICES
    }
    for line in (ROOT / "target" / "quiet-days.jsonl").read_text().splitlines():
        exchange = json.loads(line)
        if exchange["service"] not in models:
            continue
        answer = ask(url, exchange)
        action = exchange["action"]
        there = {
            "status_code": exchange["status"],
            "headers": exchange["headers"],
            "body": here(exchange["answer"]).encode(),
        }
        if exchange["status"] != answer["status_code"]:
            found.append(f"{action}: status {exchange['status']}, moto {answer['status_code']} {answer['body'][:300]}")
            continue
        found += differences(*(parsed(models[exchange["service"]], action, one) for one in (there, answer)), action)
    return [one.replace("the local AWS", "moto") for one in found]


def test_moto_and_the_simulation_differ_in_nothing_unknown(world: World) -> None:
    found = compare(world.moto)
    assert [one for one in found if not any(re.match(known, one) for known in KNOWN)] == []
    assert [known for known in KNOWN if not any(re.match(known, one) for one in found)] == [], "no difference any more"


@pytest.mark.parametrize("answer", TAKEN)
def test_moto_takes_what_the_simulation_refuses(iam: Any, answer: str) -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/not-there.example"
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    name = f"taken-{list(TAKEN).index(answer)}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **TAKEN[answer])
    iam.delete_role(RoleName=name)


def test_the_page_of_beliefs_has_a_row_for_each_difference_and_no_other() -> None:
    page = (ROOT / "docs" / "beliefs.md").read_text()
    table = page.split("| answer | moto | local AWS |", 1)[1].split("\n\n", 1)[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    assert sorted(rows) == sorted({*KNOWN.values(), *TAKEN})
