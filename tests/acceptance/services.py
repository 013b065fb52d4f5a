"""AWS and GitHub, with the credentials of the person who runs this."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

from preflight import Settings

# A scheduled run takes as long as there is to look at.
_CONFIG = Config(retries={"max_attempts": 6, "mode": "standard"}, read_timeout=300)


class GitHubError(Exception):
    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path} failed ({status}): {message}")
        self.status = status


class Services:
    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self._session: Any = boto3.Session(region_name=chosen.region)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, config=_CONFIG)
        return self._clients[service]

    def client_of(self, service: str, credentials: dict[str, str]) -> Any:
        """A client with the `Credentials` that STS has given out. It tries nothing twice: it is for looking."""
        session: Any = boto3.Session(
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
            region_name=self.settings.region,
        )
        return session.client(service, config=Config(retries={"total_max_attempts": 1}))

    def github(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        status, content = self.asked(method, path, body)
        if status >= 400:
            raise GitHubError(method, path, status, (content or {}).get("message", ""))
        return content

    def asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self.settings.token}",
            "user-agent": "github-trust-acceptance",
            "x-github-api-version": "2022-11-28",
        }
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.settings.api + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return error.code, json.loads(text or b"null")
            except ValueError:
                return error.code, {"message": text[:200].decode(errors="replace")}

    def put(self, url: str, body: dict[str, Any]) -> None:
        """An answer to CloudFormation."""
        request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": ""}, method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            pass
