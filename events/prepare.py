"""Makes a recorded event one that a function on the local AWS can answer, and prints it.

    .venv/bin/python events/prepare.py events/role-create.json > /tmp/event.json

Wants the environment that `KEEP=1 make run` prints. The account becomes the local one, and the response URL a fresh
pre-signed PUT into a bucket there; standard error tells where the answer can be read afterwards. What is broken on
purpose in a malformed event stays broken.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

RECORDED_ACCOUNT = "123456789012"
RECORDED_BUCKET = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/"
BUCKET = "cloudformation-custom-resource-response-useast1"
LIFETIME = 7200


def main(path: str) -> int:
    account = boto3.client("sts").get_caller_identity()["Account"]
    # Not in the stack's id: generated names depend on it, and Update and Delete carry what Create made.
    event = json.loads(re.sub(f"{RECORDED_ACCOUNT}(?!:stack/)", account, Path(path).read_text()))
    if "Records" in event:
        envelope = event["Records"][0]["Sns"]
        envelope["Message"] = json.dumps(answerable(json.loads(envelope["Message"])))
    else:
        event = answerable(event)
    print(json.dumps(event, indent=2))
    return 0


def answerable(event: dict[str, Any]) -> dict[str, Any]:
    if not str(event.get("ResponseURL", "")).startswith(RECORDED_BUCKET):
        return event
    s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket=BUCKET)
    place = {"Bucket": BUCKET, "Key": event["RequestId"]}
    read = s3.generate_presigned_url("get_object", place, LIFETIME)
    print(f"the answer will be at\n  curl '{read}'", file=sys.stderr)
    # The signature covers an empty content type, as CloudFormation's does.
    put = s3.generate_presigned_url("put_object", {**place, "ContentType": ""}, LIFETIME)
    return {**event, "ResponseURL": put}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1]))
