"""Stands in for the two commands of the AWS CLI by which an archive is deployed without SAM. The endpoint and the
credentials are those of the environment.

    aws s3 cp FILE s3://BUCKET/KEY
    aws cloudformation deploy --stack-name … --template-file … [--capabilities …] [--parameter-overrides NAME=VALUE …]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError


def copy(options: argparse.Namespace) -> None:
    bucket, key = options.to.removeprefix("s3://").split("/", 1)
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=Path(options.file).read_bytes())


def deploy(options: argparse.Namespace) -> None:
    client = boto3.client("cloudformation")
    given = dict(override.split("=", 1) for override in options.parameter_overrides)
    try:
        (stack,) = client.describe_stacks(StackName=options.stack_name)["Stacks"]
    except ClientError:
        stack = None
    # The command keeps the values of parameters that are not named.
    kept = {parameter["ParameterKey"] for parameter in (stack or {}).get("Parameters", [])} - given.keys()
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    parameters += [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)]
    (client.update_stack if stack else client.create_stack)(
        StackName=options.stack_name,
        TemplateBody=Path(options.template_file).read_text(),
        Capabilities=options.capabilities,
        Parameters=parameters,
    )
    client.get_waiter("stack_update_complete" if stack else "stack_create_complete").wait(
        StackName=options.stack_name, WaiterConfig={"Delay": 1}
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="aws")
    services = parser.add_subparsers(required=True)
    copying = services.add_parser("s3").add_subparsers(required=True).add_parser("cp")
    copying.add_argument("file")
    copying.add_argument("to")
    copying.set_defaults(run=copy)
    deploying = services.add_parser("cloudformation").add_subparsers(required=True).add_parser("deploy")
    deploying.add_argument("--stack-name", required=True)
    deploying.add_argument("--template-file", required=True)
    deploying.add_argument("--capabilities", nargs="*", default=[])
    deploying.add_argument("--parameter-overrides", nargs="*", default=[])
    deploying.set_defaults(run=deploy)
    options = parser.parse_args()
    options.run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
