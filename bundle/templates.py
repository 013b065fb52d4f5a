"""template.yaml as the archive has it: for `sam deploy`, and as plain CloudFormation for those who cannot run SAM.

StackSets with service-managed permissions take no template with a transform
(https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html, Capabilities).
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

CODE = "function.zip"
_CODE_PARAMETERS = {
    "CodeBucket": {
        "Type": "String",
        "AllowedPattern": "[a-z0-9][a-z0-9.-]{1,60}",
        "ConstraintDescription": "the name of a bucket without -<region> at its end",
        "Description": (
            "Where function.zip is: the name of a bucket, without the region at its end. Lambda reads from buckets of "
            "its own region only, so in each region it is the bucket <CodeBucket>-<region>."
        ),
    },
    "CodeKey": {
        "Type": "String",
        "MinLength": 1,
        "MaxLength": 1024,
        "Description": (
            "The object's key. It has to change when the code does, so put the code's checksum or version into it."
        ),
    },
}


class Unexpected(Exception):
    """template.yaml does not look as this module expects."""


def for_sam(template: str, architecture: str) -> str:
    """The same text, comments included, with the code beside it and for one architecture only."""
    text = _replaced(template, r"^( +)CodeUri: \.$", rf"\1CodeUri: {CODE}")
    text = _replaced(text, r"^(?: +# `make build-.*\n)?      BuildMethod: makefile\n", "")
    before, found, parameter = text.partition("\n  Architecture:\n")
    if not found:
        raise Unexpected("template.yaml has no parameter Architecture")
    parameter = _replaced(parameter, r"^    Default: (x86_64|arm64)$", f"    Default: {architecture}", first=True)
    values = r"^    AllowedValues: \[(x86_64, arm64|arm64, x86_64)\]$"
    parameter = _replaced(parameter, values, f"    AllowedValues: [{architecture}]", first=True)
    return before + found + parameter


def plain(for_sam: str) -> str:
    """What CloudFormation makes of `for_sam`, with the place of the code as parameters."""
    # Its boto3 asks for one, and it is never used: regions stay references.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from samtranslator.translator.transform import transform
    from samtranslator.yaml_helper import yaml_parse

    source = yaml_parse(for_sam)
    parameters, interface = source["Parameters"], source["Metadata"]["AWS::CloudFormation::Interface"]
    if taken := parameters.keys() & _CODE_PARAMETERS.keys():
        raise Unexpected(f"template.yaml has parameters of these names already: {', '.join(sorted(taken))}")
    source["Parameters"] = {**_CODE_PARAMETERS, **parameters}
    groups = [{"Label": {"default": "Code"}, "Parameters": list(_CODE_PARAMETERS)}, *interface["ParameterGroups"]]
    source["Metadata"]["AWS::CloudFormation::Interface"] = {**interface, "ParameterGroups": groups}
    # The Serverless Application Repository takes no plain template.
    del source["Metadata"]["AWS::ServerlessRepo::Application"]
    source["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    found: dict[str, Any] = transform(source, {}, _NoManagedPolicies())
    properties = found["Resources"]["Function"]["Properties"]
    properties["Code"] = {"S3Bucket": {"Fn::Sub": "${CodeBucket}-${AWS::Region}"}, "S3Key": {"Ref": "CodeKey"}}
    _guard_bucket(found["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"])
    if "Transform" in found:
        raise Unexpected("a transform is left in the translated template")
    # A call takes no template of more than 51,200 bytes. YAML in blocks is a quarter longer than JSON without spaces,
    # which is YAML, too.
    return "{" + ",\n".join(_section(name, value) for name, value in found.items()) + "}\n"


def _guard_bucket(statements: list[dict[str, Any]]) -> None:
    """Keeps roles from the bucket that the code comes from, and from its objects under any key."""
    for name, objects in (("LeaveItsBucketsAlone", ""), ("LeaveItsCodeAlone", "/*")):
        guarding = [statement for statement in statements if statement.get("Sid") == name]
        if len(guarding) != 1:
            raise Unexpected(f"the boundary of template.yaml has to have one statement {name}")
        [statement] = guarding
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        statement["Resource"] = [*resources, {"Fn::Sub": f"arn:*:s3:::${{CodeBucket}}-*{objects}"}]


def _section(name: str, value: Any) -> str:
    """A part of a template, one member a line."""
    if not isinstance(value, dict):
        return f"{_compact(name)}:{_compact(value)}"
    members = ",\n".join(f" {_compact(member)}:{_compact(about)}" for member, about in value.items())
    return f"{_compact(name)}:{{\n{members}}}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class _NoManagedPolicies:
    """The translator would look policies up by name; the template names none."""

    def load(self) -> dict[str, str]:
        return {}


def _replaced(text: str, pattern: str, by: str, *, first: bool = False) -> str:
    matches = list(re.finditer(pattern, text, re.MULTILINE))
    if not matches or (len(matches) > 1 and not first):
        raise Unexpected(f"template.yaml matches {pattern!r} {len(matches)} times, and has to once")
    return re.sub(pattern, by, text, count=1, flags=re.MULTILINE)
