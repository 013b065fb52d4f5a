"""GitHub Apps: there is one. Its own tokens are checked as GitHub does; its installation gets others for an hour."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

APP, INSTALLATION = 12, 34
KEY = (Path(__file__).parents[2] / "thumbprints" / "rsa_keys" / "1.pem").read_text()
# What the installation's tokens begin with; none of them may be in anything that is written.
GIVEN = "ghs_local"
_LONGEST = 600


def token(number: int) -> dict[str, Any]:
    """The answer with the so manieth token of the installation."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    return {"token": f"{GIVEN}{number:08}", "expires_at": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


def signs(authorization: str, now: float) -> bool:
    """Whether it is the App's own token: of its key, for itself, and good for ten minutes at most."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return False
    public = serialization.load_pem_private_key(KEY.encode(), None).public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        return False
    try:
        public.verify(_bytes(parts[2]), f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    header, claims = json.loads(_bytes(parts[0])), json.loads(_bytes(parts[1]))
    begins, ends = claims["iat"], claims["exp"]
    # https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
    return (
        header["alg"] == "RS256"
        and str(claims["iss"]) == str(APP)
        and begins <= now < ends
        and ends - begins <= _LONGEST
    )


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
