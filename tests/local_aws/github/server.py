"""Serves the API, over http on one port, and the issuer, over https on another, as a CA of its own has signed it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from github import apps
from github.answers import answer, check
from github.repositories import (
    CLASSIC,
    DEFAULT,
    OPTED_IN,
    OPTED_OUT,
    ORGANISATION,
    PRIVATE,
    TOKEN,
    UNPROTECTED,
    Repository,
    number,
    written,
)
from github.settings import Settings
from github.tokens import ISSUER, Issuer

_PATHS = {
    "repo": re.compile(r"/repos/([^/]+/[^/]+)"),
    "sub": re.compile(r"/repos/([^/]+/[^/]+)/actions/oidc/customization/sub"),
    "branches": re.compile(r"/repos/([^/]+/[^/]+)/branches\?protected=true&per_page=1"),
    "organisation": re.compile(r"/orgs/([^/]+)/actions/oidc/customization/sub"),
    "user": re.compile(r"/users/([^/]+)"),
    "account": re.compile(r"/user/([0-9]+)"),
    "installation": re.compile(r"/app/installations/([0-9]+)/access_tokens"),
}
_NOT_FOUND = (404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})


def start(api_port: int, issuer_port: int, directory: Path) -> None:
    """Both servers, in threads that end with the process. `directory` gets the CA's certificate, `github-ca.pem`."""
    issuer, settings = Issuer(), Settings()
    place = f"https://127.0.0.1:{issuer_port}"

    # The tokens that the App's installation has got.
    given: list[str] = []

    def other(method: str, path: str, authorization: str) -> tuple[int, Any]:
        if match := _PATHS["installation"].fullmatch(path):
            return installation(match[1], authorization, given)
        return api(method, path, authorization in (f"Bearer {TOKEN}", f"token {TOKEN}") or authorization in given)

    class Api(_Handler):
        def answer(self, method: str, body: bytes) -> tuple[int, Any]:
            if method == "POST" and self.path == "/_local/token":
                return 201, {"value": issuer.token(json.loads(body))}
            if method == "POST" and self.path == "/_local/settings":
                return settings.local(json.loads(body))
            authorization = self.headers.get("authorization") or ""
            known = authorization in (f"Bearer {TOKEN}", f"token {TOKEN}") or authorization in given
            answered = settings.handle(method, self.path, known, body)
            return answered or settings.checked(
                method, self.path, body, lambda: other(method, self.path, authorization)
            )

        def wrong(self, why: str) -> None:
            settings.seen.append((why, 400))

    class Tokens(_Handler):
        def answer(self, method: str, body: bytes) -> tuple[int, Any]:
            if self.path == "/.well-known/openid-configuration":
                return 200, {"issuer": ISSUER, "jwks_uri": f"{place}/.well-known/jwks"}
            return (200, issuer.jwks()) if self.path == "/.well-known/jwks" else _NOT_FOUND

    _serve(ThreadingHTTPServer(("127.0.0.1", api_port), Api))
    tokens = ThreadingHTTPServer(("127.0.0.1", issuer_port), Tokens)
    tokens.socket = _tls(directory).wrap_socket(tokens.socket, server_side=True)
    _serve(tokens)


def installation(number: str, authorization: str, given: list[str]) -> tuple[int, Any]:
    if not apps.signs(authorization, time.time()):
        return 401, {"message": "A JSON web token could not be decoded", "status": "401"}
    if number != str(apps.INSTALLATION):
        return _NOT_FOUND
    found = apps.token(len(given))
    given.append(f"Bearer {found['token']}")
    return answer("POST /app/installations/{installation_id}/access_tokens", found)


def api(method: str, path: str, known: bool) -> tuple[int, Any]:
    """The answers of GitHub's REST API, with the credential and without it."""
    if method != "GET":
        return _NOT_FOUND
    if match := _PATHS["user"].fullmatch(path):
        return answer("GET /users/{username}", {"login": match[1], "id": number(match[1])})
    if match := _PATHS["account"].fullmatch(path):
        return answer("GET /user/{account_id}", {"login": f"user-{match[1]}", "id": int(match[1]), "type": "User"})
    if match := _PATHS["organisation"].fullmatch(path):
        return customization_of(match[1]) if known and match[1] == ORGANISATION else _NOT_FOUND
    match = next((match for name in ("repo", "sub", "branches") if (match := _PATHS[name].fullmatch(path))), None)
    name = written(match[1]) if match else None
    if name is None or (name == PRIVATE and not known):
        return _NOT_FOUND
    repository = Repository(name)
    if path.endswith("/sub"):
        return customization(repository) if known else _NOT_FOUND
    if _PATHS["branches"].fullmatch(path):
        return 200, protected_branches(repository)
    _, owner = answer("GET /users/{username}", {"login": repository.owner, "id": repository.owner_id})
    values = {
        "id": repository.id,
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": owner,
        "private": repository.full_name == PRIVATE,
        "visibility": "private" if repository.full_name == PRIVATE else "public",
        "created_at": "2020-02-02T02:02:02Z" if repository.full_name == CLASSIC else "2026-08-01T00:00:00Z",
    }
    return answer("GET /repos/{owner}/{repo}", values)


def customization(repository: Repository) -> tuple[int, Any]:
    # That nobody opted in by hand says nothing: the prefix tells the truth.
    values: dict[str, Any] = {
        "use_default": repository.template == DEFAULT,
        "sub_claim_prefix": repository.prefix,
    }
    if repository.full_name in OPTED_IN | OPTED_OUT:
        values["use_immutable_subject"] = repository.full_name in OPTED_IN
    if repository.template != DEFAULT:
        values["include_claim_keys"] = repository.template
    return answer("GET /repos/{owner}/{repo}/actions/oidc/customization/sub", values)


def protected_branches(repository: Repository) -> list[Any]:
    url = f"https://api.github.com/repos/{repository.full_name}/commits/{'0' * 40}"
    main = {"name": "main", "commit": {"sha": "0" * 40, "url": url}, "protected": True}
    shown = [] if repository.full_name in UNPROTECTED else [main]
    check("GET /repos/{owner}/{repo}/branches", shown)
    return shown


def customization_of(organisation: str) -> tuple[int, Any]:
    values: dict[str, Any] = {"include_claim_keys": DEFAULT}
    if organisation in OPTED_IN | OPTED_OUT:
        values["use_immutable_subject"] = organisation in OPTED_IN
    return answer("GET /orgs/{org}/actions/oidc/customization/sub", values)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, method: str, body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    def wrong(self, why: str) -> None:
        pass

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            status, content = self.answer(self.command, body)
        except ValueError as error:
            # Somebody asks what GitHub's description does not know, or this server answers so: a test looks for it.
            status, content = 400, {"message": str(error)}
            self.wrong(str(error))
        text = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def _serve(server: ThreadingHTTPServer) -> None:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _tls(directory: Path) -> ssl.SSLContext:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("local GitHub CA"), _name("127.0.0.1")
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own = _certificate(name, ca_name, key, ca_key, host)
    pem = serialization.Encoding.PEM
    (directory / "github-ca.pem").write_bytes(ca.public_bytes(pem))
    chain = directory / "github-server.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    chain.write_bytes(secret + own.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    )
    return builder.sign(signer, hashes.SHA256())
