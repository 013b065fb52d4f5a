"""The policies of template.yaml, as CloudFormation makes them of a set of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent.parent
PARTITION, REGION, ACCOUNT = "aws", "eu-west-1", "111122223333"
STACK = "github-trust"
_PSEUDO: dict[str, Any] = {
    "AWS::Partition": PARTITION,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": None,
}
# What other resources are called, as CloudFormation would call them.
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/github-trust/{STACK}-Boundary-1A2B3C"
LOG_GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{STACK}-LogGroup-1A2B3C:*"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-DeadLetters-1A2B3C"
_REFS = {"Boundary": BOUNDARY}
_ATTRIBUTES = {"LogGroup.Arn": LOG_GROUP, "DeadLetters.Arn": DEAD_LETTERS}


class Template:
    """template.yaml, or another text of it, with these parameters; the others have their defaults."""

    def __init__(self, text: str | None = None, partition: str = PARTITION, **parameters: str) -> None:
        self._pseudo = {**_PSEUDO, "AWS::Partition": partition}
        self._template: dict[str, Any] = yaml_parse(text or (ROOT / "template.yaml").read_text())
        declared = self._template["Parameters"]
        assert parameters.keys() <= declared.keys(), parameters
        self.parameters: dict[str, Any] = {}
        for name, parameter in declared.items():
            value = str(parameters[name] if name in parameters else parameter["Default"])
            self.parameters[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value

    def boundary(self) -> dict[str, Any] | None:
        resource = self._template["Resources"]["Boundary"]
        if not self._condition(resource["Condition"]):
            return None
        document: dict[str, Any] = self._value(resource["Properties"]["PolicyDocument"])
        return document

    def managed_policy(self) -> dict[str, Any]:
        """The managed policy of the function's role."""
        document: dict[str, Any] = self._value(
            self._template["Resources"]["AccessEntriesPolicy"]["Properties"]["PolicyDocument"]
        )
        return document

    def function_policies(self) -> dict[str, dict[str, Any]]:
        """All policies of the function's role."""
        return {**self.inline_policies(), "access-entries": self.managed_policy()}

    def inline_policies(self) -> dict[str, dict[str, Any]]:
        """The inline policies of the function's role by their names."""
        resources = self._template["Resources"]
        found = self._value(resources["Role"]["Properties"]["Policies"])
        for resource in resources.values():
            if resource["Type"] == "AWS::IAM::Policy" and self._condition(resource["Condition"]):
                properties = {name: part for name, part in resource["Properties"].items() if name != "Roles"}
                found.append(self._value(properties))
        return {policy["PolicyName"]: policy["PolicyDocument"] for policy in found}

    def mappings(self) -> dict[str, Any]:
        mappings: dict[str, Any] = self._template["Mappings"]
        return mappings

    def environment(self) -> dict[str, Any]:
        variables: dict[str, Any] = self.function_property("Environment")["Variables"]
        return variables

    def function_property(self, name: str) -> Any:
        """A property of the function, or None."""
        return self._value(self._template["Resources"]["Function"]["Properties"][name])

    def _condition(self, name: str) -> bool:
        return bool(self._value(self._template["Conditions"][name]))

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            items = [self._value(item) for item in value]
            return [item for item in items if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if known := self._functions().get(function):
                return known(argument)
        parts = {name: self._value(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part is not None}

    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._ref,
            "Condition": lambda name: self._condition(name) if isinstance(name, str) else None,
            "Fn::GetAtt": lambda names: _ATTRIBUTES[".".join(names) if isinstance(names, list) else names],
            "Fn::Sub": self._sub,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": lambda parts: self._value(parts[1] if self._condition(parts[0]) else parts[2]),
            "Fn::Equals": lambda parts: self._value(parts[0]) == self._value(parts[1]),
            "Fn::Not": lambda parts: not self._value(parts[0]),
            "Fn::And": lambda parts: all(self._value(part) for part in parts),
            "Fn::Or": lambda parts: any(self._value(part) for part in parts),
            "Fn::Select": lambda parts: self._value(parts[1])[int(parts[0])],
            "Fn::Split": lambda parts: self._value(parts[1]).split(parts[0]),
            "Fn::Join": lambda parts: parts[0].join(self._value(parts[1])),
        }

    def _find_in_map(self, names: list[Any]) -> str:
        name, first, second = (self._value(part) for part in names)
        return str(self.mappings()[name][first][second])

    def _ref(self, name: str) -> Any:
        return self.parameters.get(name, self._pseudo[name] if name in self._pseudo else _REFS.get(name))

    def _sub(self, argument: Any) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else argument
        local = {name: self._value(part) for name, part in local.items()}

        def found(match: re.Match[str]) -> str:
            name = match[1]
            return str(local[name] if name in local else self._ref(name))

        # What IAM is to see as `${*}` is written without Fn::Sub.
        return re.sub(r"\$\{([A-Za-z:]+)\}", found, text)
