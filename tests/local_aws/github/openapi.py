"""Cuts the endpoints that are asked, with requests and answers, out of GitHub's own description, into `openapi.json`.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
    python3 tests/local_aws/github/openapi.py package/generated/api.github.com.json

The description is GitHub's, under the MIT licence (github/rest-api-description). The local GitHub holds each request
and each of its answers against it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ENDPOINTS = {
    "GET /repos/{owner}/{repo}": "200",
    "GET /repos/{owner}/{repo}/actions/oidc/customization/sub": "200",
    "GET /orgs/{org}/actions/oidc/customization/sub": "200",
    "GET /users/{username}": "200",
    "GET /user/{account_id}": "200",
    "POST /app/installations/{installation_id}/access_tokens": "201",
    **{
        f"{method} /repos/{{owner}}/{{repo}}/environments/{{environment_name}}{rest}": status
        for method, rest, status in (
            ("GET", "", "200"),
            ("PUT", "", "200"),
            ("DELETE", "", "204"),
            ("GET", "/variables", "200"),
            ("GET", "/secrets", "200"),
            ("GET", "/deployment-branch-policies", "200"),
            ("POST", "/deployment-branch-policies", "200"),
            ("DELETE", "/deployment-branch-policies/{branch_policy_id}", "204"),
        )
    },
    "PUT /repos/{owner}/{repo}/actions/oidc/customization/sub": "201",
    "PUT /orgs/{org}/actions/oidc/customization/sub": "201",
    **{
        f"{endpoint.format(place)}": status
        for place in (
            "/repos/{owner}/{repo}/actions",
            "/repos/{owner}/{repo}/environments/{environment_name}",
            "/orgs/{org}/actions",
        )
        for endpoint, status in {
            "GET {}/variables/{{name}}": "200",
            "POST {}/variables": "201",
            "PATCH {}/variables/{{name}}": "204",
            "DELETE {}/variables/{{name}}": "204",
            "GET {}/secrets/public-key": "200",
            "GET {}/secrets/{{secret_name}}": "200",
            "PUT {}/secrets/{{secret_name}}": "201",
            "DELETE {}/secrets/{{secret_name}}": "204",
        }.items()
    },
    "GET /repos/{owner}/{repo}/actions/variables": "200",
    "GET /orgs/{org}/actions/variables": "200",
    "GET /orgs/{org}/actions/variables/{name}/repositories": "200",
    "GET /orgs/{org}/actions/secrets/{secret_name}/repositories": "200",
    "GET /repos/{owner}/{repo}/branches": "200",
}
KEPT = (
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "pattern",
    "format",
    "oneOf",
    "anyOf",
    "allOf",
    "$ref",
    "nullable",
)


def main(source: str) -> int:
    description: dict[str, Any] = json.loads(Path(source).read_text())
    schemas: dict[str, Any] = {}

    def cut(schema: Any) -> Any:
        if isinstance(schema, list):
            return [cut(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            if name not in schemas:
                schemas[name] = None
                schemas[name] = cut(description["components"]["schemas"][name])
            return {"$ref": f"#/schemas/{name}"}
        kept = {key: cut(value) for key, value in schema.items() if key in KEPT and key != "properties"}
        if "properties" in schema:
            kept["properties"] = {name: cut(value) for name, value in schema["properties"].items()}
        # OpenAPI 3.0 says `nullable` where JSON Schema lists the type.
        if kept.pop("nullable", False) and isinstance(kept.get("type"), str):
            kept["type"] = [kept["type"], "null"]
            if "enum" in kept:
                kept["enum"] = [*kept["enum"], None]
        return kept

    def body(described: dict[str, Any]) -> Any:
        content = described.get("content", {}).get("application/json")
        return cut(content["schema"]) if content else None

    answers, requests = {}, {}
    for endpoint, status in ENDPOINTS.items():
        method, path = endpoint.split(" ")
        operation = description["paths"][path][method.lower()]
        answers[endpoint] = {"status": int(status), "schema": body(operation["responses"][status])}
        parameters = (resolved(description, parameter) for parameter in operation.get("parameters", []))
        requests[endpoint] = {
            "query": sorted(parameter["name"] for parameter in parameters if parameter["in"] == "query"),
            "schema": body(operation.get("requestBody", {})),
            "required": operation.get("requestBody", {}).get("required", False),
            "statuses": sorted(int(status) for status in operation["responses"]),
        }
    found = {
        "version": description["info"]["version"],
        "answers": answers,
        "requests": requests,
        "schemas": schemas,
    }
    Path(__file__).with_name("openapi.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def resolved(description: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in parameter:
        return parameter
    found: dict[str, Any] = description["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[-1]]
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
