"""Answers that are what GitHub's own description says: filled up from it, and held against it before they are sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_DESCRIPTION = json.loads(Path(__file__).with_name("openapi.json").read_text())
_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": False}


def answer(endpoint: str, values: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and body for an endpoint: these values, and something valid for every other member that is required."""
    described = _DESCRIPTION["answers"][endpoint]
    body = {**_filled(described["schema"]), **values}
    check(endpoint, body)
    return described["status"], body


def check(endpoint: str, body: Any) -> None:
    schema = {**_DESCRIPTION["answers"][endpoint]["schema"], "schemas": _DESCRIPTION["schemas"]}
    error = next(Draft202012Validator(schema).iter_errors(body), None)
    if error is not None:
        raise ValueError(f"{endpoint} does not answer this: {error.message} at {error.json_path}")


def _filled(schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _filled(_DESCRIPTION["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return _filled(schema[choice][-1])
    if "allOf" in schema:
        return {name: value for part in schema["allOf"] for name, value in _filled(part).items()}
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        return None
    if kind == "object" or "properties" in schema:
        return {name: _filled(schema["properties"][name]) for name in schema.get("required", [])}
    return [] if kind == "array" else _PLAIN.get(str(kind), "text")
