"""The issuer: a key, and tokens that say what a workflow's job is, in GitHub's words."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from github.repositories import Repository

ISSUER = "https://token.actions.githubusercontent.com"
KEY_ID = "local"


class Issuer:
    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID}
        return {"keys": [{**key, "n": _number(numbers.n), "e": _number(numbers.e)}]}

    def token(self, job: dict[str, Any]) -> str:
        header = {"typ": "JWT", "alg": "RS256", "kid": KEY_ID}
        signed = f"{_part(header)}.{_part(claims(job))}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


def claims(job: dict[str, Any]) -> dict[str, Any]:
    """The claims of a job: `repository`, and `ref` or `event: pull_request`; where it has them `environment`,
    `job_workflow_ref`, `audience`. `claims` overrules all, for tokens that GitHub would not issue to everybody."""
    repository = Repository(job["repository"])
    pull_request = job.get("event") == "pull_request"
    ref = "refs/pull/7/merge" if pull_request else job.get("ref", "refs/heads/main")
    own = f"{repository.full_name}/.github/workflows/deploy.yml@{ref}"
    now = int(time.time())
    found: dict[str, Any] = {
        "iss": ISSUER,
        "aud": job.get("audience", f"https://github.com/{repository.owner}"),
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": f"local-{time.monotonic_ns()}",
        "ref": ref,
        "repository": repository.full_name,
        "repository_id": str(repository.id),
        "repository_owner": repository.owner,
        "repository_owner_id": str(repository.owner_id),
        "event_name": job.get("event", "push"),
        "workflow": "deploy",
        "job_workflow_ref": job.get("job_workflow_ref", own),
        "actor": job.get("actor", "octocat"),
        "actor_id": str(job.get("actor_id", 583231)),
    }
    if "environment" in job:
        found["environment"] = job["environment"]
        context = f"environment:{job['environment'].replace(':', '%3A')}"
    else:
        context = "pull_request" if pull_request else f"ref:{ref}"
    written = {"repo": repository.prefix, "context": context}
    found["sub"] = ":".join(written.get(key) or f"{key}:{found[key]}" for key in repository.template)
    return {**found, **job.get("claims", {})}


def _part(content: dict[str, Any]) -> str:
    return _encoded(json.dumps(content).encode())


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
