"""Holds the JSON Schemas against the function, with properties that two tests in Rust wrote down (`make schemas`).

What the function takes, a schema must take, or it would find fault with templates that work. What is beyond a limit
that the function names, a schema must refuse, in that place.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

ROOT = Path(__file__).resolve().parents[2]
# Held by the request's own reading, not by the kind's.
TIMEOUT, TOKEN = "ServiceTimeout", "ServiceToken"
FEWEST = {"taken": 1000, "beyond": 80}


def main(taken: Path, beyond: Path) -> int:
    schemas = [json.loads(path.read_text()) for path in sorted((ROOT / "schemas" / "resources").glob("*.json"))]
    template = json.loads((ROOT / "schemas" / "template.json").read_text())
    for schema in [*schemas, template]:
        Draft7Validator.check_schema(schema)
    validators = {schema["typeName"]: Draft7Validator(schema) for schema in schemas}
    whole = Draft7Validator(template)
    wrong, seen = [], Counter()
    for line in taken.read_text().splitlines():
        case = json.loads(line)
        properties = {**case["properties"], TOKEN: "arn:aws:lambda:us-east-1:123456789012:function:github-trust"}
        if case["type"] != "Custom::GitHubOidcProvider":
            properties.pop(TIMEOUT, None)
        resource = {"Type": case["type"], "Properties": properties}
        for validator, what in [(validators[case["type"]], properties), (whole, {"Resources": {"R": resource}})]:
            wrong += [
                f"taken, but refused: {error.json_path} {error.message[:200]}" for error in validator.iter_errors(what)
            ]
        seen["taken"] += 1
    for line in beyond.read_text().splitlines():
        case = json.loads(line)
        place = [int(part) if part.isdigit() else part for part in case["at"].replace("[0]", ".0").split(".")]
        found = [list(error.absolute_path) for error in validators[case["type"]].iter_errors(case["properties"])]
        if place not in [path[: len(place)] for path in found]:
            wrong.append(f"beyond {case['type']} {case['at']}, but taken: {json.dumps(case['properties'])[:300]}")
        seen["beyond"] += 1
    counts = f"{seen['taken']} properties that the function takes, {seen['beyond']} beyond a limit"
    print(f"schemas: {counts}, {len(wrong)} differ")
    too_few: list[Any] = [name for name, fewest in FEWEST.items() if seen[name] < fewest]
    for line in [*wrong[:20], *(f"too few: {name}" for name in too_few)]:
        print(line)
    return 1 if wrong or too_few else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
