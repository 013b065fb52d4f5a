"""Answers that are what GitHub's own description says: filled up from it, and held against it before they are sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_DESCRIPTION = json.loads(Path(__file__).with_name("openapi.json").read_text())
# What GitHub takes and shows without describing it: google/go-github#2725.
_UNDESCRIBED = {
    "PUT /repos/{owner}/{repo}/environments/{environment_name}": {"can_admins_bypass": {"type": "boolean"}},
}
_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": False}


def answer(endpoint: str, values: dict[str, Any]) -> tuple[int, Any]:
    """Status and body for an endpoint: these values, and something valid for every other member that is required."""
    described = _DESCRIPTION["answers"][endpoint]
    if described["schema"] is None:
        return described["status"], None
    body = {**_filled(described["schema"]), **values}
    check(endpoint, body)
    return described["status"], body


def check(endpoint: str, body: Any) -> None:
    schema = {**_DESCRIPTION["answers"][endpoint]["schema"], "schemas": _DESCRIPTION["schemas"]}
    error = next(Draft202012Validator(schema).iter_errors(body), None)
    if error is not None:
        raise ValueError(f"{endpoint} does not answer this: {error.message} at {error.json_path}")


def endpoint_of(method: str, path: str, query: dict[str, str], body: Any) -> str:
    """The endpoint that a request is for; raises where GitHub's description knows none, or not like that."""
    for endpoint, described in _DESCRIPTION["requests"].items():
        template = re.sub(r"\{[^}]+\}", "[^/]+", endpoint)
        if not re.fullmatch(template, f"{method} {path}") or ("public-key" in path and "public-key" not in endpoint):
            continue
        if unknown := query.keys() - set(described["query"]):
            raise ValueError(f"{endpoint} knows no {unknown}")
        if (described["schema"] is None and body is not None) or (body is None and described["required"]):
            raise ValueError(f"{endpoint} has {'no' if described['schema'] is None else 'a'} body")
        if body is not None:
            schema = described["schema"]
            schema = _DESCRIPTION["schemas"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
            members = {**schema.get("properties", {}), **_UNDESCRIBED.get(endpoint, {})}
            strict = {
                **schema,
                "properties": members,
                "additionalProperties": False,
                "schemas": _DESCRIPTION["schemas"],
            }
            error = next(Draft202012Validator(strict).iter_errors(body), None)
            if error is not None:
                raise ValueError(f"{endpoint} does not take this: {error.message} at {error.json_path}")
        return str(endpoint)
    raise ValueError(f"GitHub knows no {method} {path}")


# What every endpoint may answer, beside what its description lists: documented in "Troubleshooting the REST API" and
# "Rate limits for the REST API".
COMMON = {
    301: "Moved Permanently",
    303: "See Other",
    400: "Bad Request",
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    409: "Conflict",
    422: "Validation Failed",
    429: "You have exceeded a secondary rate limit",
    500: "Server Error",
}


def documented() -> list[tuple[str, int]]:
    """Every error that the description lists, by endpoint."""
    requests = _DESCRIPTION["requests"].items()
    return [(endpoint, status) for endpoint, one in requests for status in one["statuses"] if status >= 300]


def refuse(endpoint: str, status: int) -> tuple[int, Any]:
    if status not in COMMON and status not in _DESCRIPTION["requests"][endpoint]["statuses"]:
        raise ValueError(f"{endpoint} does not answer with {status}")
    return status, {"message": COMMON.get(status, "Refused"), "status": str(status)}


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
