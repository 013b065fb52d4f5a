"""Fn::Join and Fn::Split in the Conditions of a template, where CloudFormation takes them and ministack does not.

That it does: https://github.com/aws-cloudformation/cfn-lint/issues/876 (a template of AWS ParallelCluster), and
https://github.com/DontShaveTheYak/cloud-radar/issues/179.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ministack.services.cloudformation.changesets as changesets
import ministack.services.cloudformation.handlers as handlers
import ministack.services.cloudformation.stacks as stacks

Evaluate = Callable[[dict[str, Any], dict[str, Any]], dict[str, bool]]


def install() -> None:
    # Each has its own name for the one function of ministack's engine.
    changesets._evaluate_conditions = _with_texts(changesets._evaluate_conditions)
    handlers._evaluate_conditions = _with_texts(handlers._evaluate_conditions)
    stacks._evaluate_conditions = _with_texts(stacks._evaluate_conditions)


def _with_texts(stock: Evaluate) -> Evaluate:
    def evaluate(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
        conditions = _resolved(template.get("Conditions", {}), parameters)
        return stock({**template, "Conditions": conditions}, parameters)

    return evaluate


def _resolved(value: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Split" in value:
        delimiter, text = value["Fn::Split"]
        return str(_plain(text, parameters)).split(delimiter)
    if "Fn::Join" in value:
        delimiter, parts = value["Fn::Join"]
        found = _plain(parts, parameters)
        # A parameter that is a list is one text here.
        items = found.split(",") if isinstance(found, str) else [str(_plain(part, parameters)) for part in found]
        return delimiter.join(items)
    return {name: _resolved(item, parameters) for name, item in value.items()}


def _plain(value: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(value, dict) and set(value) == {"Ref"} and value["Ref"] in parameters:
        return parameters[value["Ref"]]["Value"]
    return _resolved(value, parameters)
