"""Makes the calls that the CDK's handler of Custom::AWSCDKOpenIdConnectProvider makes of IAM, in place of that handler.

https://github.com/aws/aws-cdk/tree/main/packages/%40aws-cdk/custom-resource-handlers/lib/aws-iam/oidc-handler: the
physical id is the provider's ARN, Create makes the provider, Delete deletes it.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import boto3


def handler(event: dict[str, Any], context: object) -> None:
    iam: Any = boto3.client("iam")
    properties = event["ResourceProperties"]
    physical_id = event.get("PhysicalResourceId", "")
    if event["RequestType"] == "Create":
        made = iam.create_open_id_connect_provider(
            Url=properties["Url"], ClientIDList=properties["ClientIDList"], ThumbprintList=["6938fd4d98bab03faadb" * 2]
        )
        physical_id = made["OpenIDConnectProviderArn"]
    elif event["RequestType"] == "Delete":
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=physical_id)
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": physical_id,
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10)
