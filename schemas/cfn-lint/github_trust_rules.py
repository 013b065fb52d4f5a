"""Rules for cfn-lint: the resources of github-trust in templates, held against the schemas beside this folder.

    cfn-lint --append-rules schemas/cfn-lint -- template.yaml

Needs cfn-lint 1.x and nothing else. cfn-lint checks no more of a custom resource than its ServiceToken by itself, and
`--registry-schemas` is for types of the registry only.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cfnlint.helpers import FUNCTIONS, is_function
from cfnlint.jsonschema import ValidationError, ValidationResult, Validator
from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema
from cfnlint.template import Template


def plain(schema: Any) -> Any:
    """Where strings may stand for booleans, cfn-lint says so itself, and takes every string for one of an enum."""
    if isinstance(schema, dict):
        if schema.get("type") == ["boolean", "string"]:
            return {"type": "boolean"}
        return {name: plain(value) for name, value in schema.items()}
    return [plain(value) for value in schema] if isinstance(schema, list) else schema


FOLDER = Path(__file__).parent.parent / "resources"
SCHEMAS = {
    schema["typeName"]: plain(schema)
    for path in sorted(FOLDER.glob("*.json"))
    for schema in [json.loads(path.read_text(encoding="utf-8"))]
}
if not SCHEMAS:
    # Rules without schemas would find nothing, without a word.
    raise FileNotFoundError(f"there are no schemas in {FOLDER}: copy the whole folder schemas/ of github-trust")


class GitHubTrustProperties(CfnLintJsonSchema):
    """Properties as the function takes them; what stands behind a function like `!Ref` is taken for right."""

    id = "E9301"
    shortdesc = "Properties of a github-trust resource are invalid"
    description = "The properties of Custom::GitHub… and Custom::Eks… are those that github-trust takes"
    tags = ("resources", "github-trust")

    def __init__(self) -> None:
        super().__init__(keywords=["Resources/*"], all_matches=True)

    def validate(self, validator: Validator, keywords: Any, instance: Any, schema: Any) -> ValidationResult:
        known = SCHEMAS.get(instance.get("Type")) if isinstance(instance, dict) else None
        if known is None:
            return
        properties = instance.get("Properties", {})
        if is_function(properties)[0] is not None:
            return
        condition = instance.get("Condition")
        holding = {condition: True} if isinstance(condition, str) else {}
        context = validator.context.evolve(
            functions=list(FUNCTIONS),
            # CloudFormation makes strings of numbers and the other way round.
            strict_types=False,
            conditions=validator.context.conditions.evolve(holding),
            path=validator.context.path.descend(path="Properties"),
        )
        for error in self._iter_errors(self.extend_validator(validator, known, context), properties):
            error.path.appendleft("Properties")
            if "Properties" not in instance:
                error.path = deque(["Type"])
            yield told(error)


def told(error: ValidationError) -> ValidationError:
    """What is missing or wrong, without the schema's own words."""
    alternatives = error.validator_value if error.validator == "anyOf" else []
    names = [name for one in alternatives for name in one.get("required", [])]
    if names:
        error.message = f"At least one of {', '.join(repr(name) for name in names)} is required"
        error.context = []
    return error


class GitHubTrustAttributes(CloudFormationLintRule):
    """`Fn::GetAtt` and `Fn::Sub` of what the resources give."""

    id = "E9302"
    shortdesc = "A github-trust resource has no such attribute"
    description = "Fn::GetAtt and Fn::Sub name attributes that github-trust gives"
    tags = ("resources", "github-trust")

    def match(self, cfn: Template) -> list[RuleMatch]:
        resources = cfn.get_resources()
        matches = []
        for path, name, attribute in [*attributes(cfn), *in_texts(cfn)]:
            known = SCHEMAS.get(resources.get(name, {}).get("Type"))
            if known is not None and attribute not in known["attributes"]:
                allowed = ", ".join(known["attributes"])
                what = f"{resources[name]['Type']} has no attribute {attribute!r}; there are {allowed}"
                matches.append(RuleMatch(path, what))
        return matches


def attributes(cfn: Template) -> Iterator[tuple[list[Any], str, str]]:
    for *path, value in cfn.search_deep_keys("Fn::GetAtt"):
        parts = value.split(".", 1) if isinstance(value, str) else value
        if isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) for part in parts):
            yield path, parts[0], parts[1]


def in_texts(cfn: Template) -> Iterator[tuple[list[Any], str, str]]:
    for *path, value in cfn.search_deep_keys("Fn::Sub"):
        text = value[0] if isinstance(value, list) and value else value
        if isinstance(text, str):
            for name, attribute in re.findall(r"\$\{([A-Za-z0-9]+)\.([A-Za-z0-9.]+)\}", text):
                yield path, name, attribute


class GitHubTrustTypes(CloudFormationLintRule):
    """A misspelt type is another custom resource to CloudFormation, and none to the function."""

    id = "E9303"
    shortdesc = "A type looks like one of github-trust, but is none"
    description = "Custom:: types that are nearly those of github-trust are misspelt"
    tags = ("resources", "github-trust")

    def match(self, cfn: Template) -> list[RuleMatch]:
        matches = []
        for name, resource in cfn.get_resources().items():
            type_ = resource.get("Type")
            if not isinstance(type_, str) or not type_.startswith("Custom::") or type_ in SCHEMAS:
                continue
            by_lower = {known.lower(): known for known in SCHEMAS}
            near = get_close_matches(type_.lower(), by_lower, n=1, cutoff=0.9)
            if near:
                what = f"{type_} is no type of github-trust; did you mean {by_lower[near[0]]}?"
                matches.append(RuleMatch(["Resources", name, "Type"], what))
        return matches
