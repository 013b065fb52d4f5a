"""GitHub for a trial: repositories, contents and runs of workflows in front of the local GitHub, which has the rest.

A job here has a token of the local GitHub and tries it at the local STS, as its workflow would.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from tokens import assume

from local_aws import LocalAws

_REPOSITORY = re.compile(r"/repos/([^/]+/[^/]+)(.*)")


class Actions:
    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.repositories: dict[str, dict[str, Any]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"actions": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any] | None:
        """None for what the local GitHub answers."""
        url = urlsplit(target)
        if match := re.fullmatch(r"/orgs/([^/]+)/repos", url.path):
            return self.listed() if method == "GET" else self.made(f"{match[1]}/{body['name']}", body)
        match = _REPOSITORY.fullmatch(url.path)
        if match is None:
            return None
        repository, rest = self.repositories.get(match[1]), match[2]
        if repository is None:
            return 404, {"message": "Not Found"}
        if method == "DELETE" and not rest:
            return self.removed(match[1])
        if rest.startswith("/contents/"):
            repository["files"][rest.removeprefix("/contents/")] = base64.b64decode(body["content"]).decode()
            return 201, {}
        if rest.startswith("/git/ref"):
            return (201, {}) if method == "POST" else (200, {"object": {"sha": "0" * 40}})
        if rest.endswith("/dispatches"):
            return self.dispatched(match[1], repository, body)
        if rest == "/actions/runs":
            branch = parse_qs(url.query)["branch"][0]
            return 200, {"workflow_runs": [one for one in repository["runs"] if one["branch"] == branch][::-1]}
        if match := re.fullmatch(r"/actions/runs/(\d+)/jobs", rest):
            return 200, {"jobs": repository["runs"][int(match[1])]["jobs"]}
        return None

    def listed(self) -> tuple[int, Any]:
        return 200, [one["shown"] for one in self.repositories.values()]

    def made(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        shown = {"full_name": name, "created_at": now, "name": body["name"], "description": body["description"]}
        self.repositories[name] = {"shown": shown, "files": {}, "runs": []}
        return 201, shown

    def removed(self, name: str) -> tuple[int, Any]:
        del self.repositories[name]
        here = self.aws.at_github()
        self.aws.at_github(
            remove=[path for path in (*here["items"], *here["environments"]) if path.startswith(f"/repos/{name}/")]
        )
        return 204, None

    def dispatched(self, name: str, repository: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        workflow = yaml.safe_load(repository["files"][".github/workflows/acceptance.yml"])
        jobs = [self.ran(name, body, job, how.get("environment")) for job, how in workflow["jobs"].items()]
        number = len(repository["runs"])
        repository["runs"].append({"id": number, "branch": body["ref"], "status": "completed", "jobs": jobs})
        return 204, None

    def ran(self, name: str, body: dict[str, Any], job: str, environment: str | None) -> dict[str, Any]:
        if environment:
            found = self.aws.at_github()["environments"].get(f"/repos/{name}/environments/{environment}", {})
            names = [one["name"] for one in found.get("patterns", {}).values()]
            if names and body["ref"] not in names:
                return {"name": job, "conclusion": "failure", "steps": []}
        wanted = {"environment": environment} if environment else {}
        token = self.aws.token(repository=name, ref=f"refs/heads/{body['ref']}", **wanted)
        refusal = assume(self.aws, body["inputs"]["role"], token)
        ended = "failure" if refusal else "success"
        steps = [{"name": "token", "conclusion": "success"}, {"name": "assume", "conclusion": ended}]
        return {"name": job, "conclusion": ended, "steps": steps}


class _Handler(BaseHTTPRequestHandler):
    actions: Actions
    protocol_version = "HTTP/1.1"

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        found = self.actions.answer(self.command, self.path, json.loads(body) if body else None)
        status, content = found or self._forwarded(body)
        text = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _forwarded(self, body: bytes) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.actions.aws.github_port}{self.path}"
        headers = {"authorization": self.headers["authorization"] or ""}
        request = urllib.request.Request(url, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
