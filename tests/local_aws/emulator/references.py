"""References to what a template does not have are refused before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ministack.services.cloudformation.engine as engine

Validate = Callable[[dict[str, Any]], None]


def install() -> None:
    engine._validate_template_statics = _refusing_references_to_nothing(engine._validate_template_statics)


def _refusing_references_to_nothing(stock: Validate) -> Validate:
    def validate(template: dict[str, Any]) -> None:
        stock(template)
        known = {*(template.get("Parameters") or {}), *(template.get("Resources") or {})}
        for section in ("Resources", "Outputs"):
            named = dict.fromkeys(_references(template.get(section)))
            if unknown := [name for name in named if name not in known and not name.startswith("AWS::")]:
                # In CloudFormation's words.
                raise ValueError(
                    f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in the {section} "
                    "block of the template"
                )

    return validate


def _references(node: Any) -> Iterator[str]:
    """The names in `Ref` and `Fn::GetAtt`."""
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
    if not isinstance(node, dict):
        return
    if len(node) == 1:
        [(function, value)] = node.items()
        if function == "Ref" and isinstance(value, str):
            yield value
        if function == "Fn::GetAtt":
            name = value.split(".")[0] if isinstance(value, str) else value[0]
            if isinstance(name, str):
                yield name
    for value in node.values():
        yield from _references(value)
