"""AWS's managed policies as they are, with their documents: ministack knows a few."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import ministack.services.iam as iam

_DATA = Path(__file__).resolve().parents[3] / ".venv" / "catalogue" / "moto" / "iam" / "aws_managed_policies.py"


def install() -> None:
    [assignment] = ast.parse(_DATA.read_text()).body
    assert isinstance(assignment, ast.Assign)
    for name, policy in json.loads(ast.literal_eval(assignment.value)).items():
        place = f"{policy['Path']}{name}".removeprefix("/")
        record = iam._make_aws_managed_record(place, json.dumps(policy["Document"]))
        iam._aws_managed_policies[record["Arn"]] = record
