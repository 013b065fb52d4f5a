"""Cuts what GitHub answers on the endpoints that are asked out of its own OpenAPI description, into `openapi.json`.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
    python3 tests/local_aws/github/openapi.py package/generated/api.github.com.json

The description is GitHub's, under the MIT licence (github/rest-api-description). The local GitHub holds each of its
answers against it.
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
    "POST /app/installations/{installation_id}/access_tokens": "201",
}
KEPT = ("type", "properties", "items", "required", "enum", "format", "oneOf", "anyOf", "allOf", "$ref", "nullable")


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

    answers = {}
    for endpoint, status in ENDPOINTS.items():
        method, path = endpoint.split(" ")
        answer = description["paths"][path][method.lower()]["responses"][status]
        answers[endpoint] = {"status": int(status), "schema": cut(answer["content"]["application/json"]["schema"])}
    version = description["info"]["version"]
    target = Path(__file__).with_name("openapi.json")
    target.write_text(json.dumps({"version": version, "answers": answers, "schemas": schemas}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
