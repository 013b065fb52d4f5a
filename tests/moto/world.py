"""The function's binary, and around it moto's server, unchanged, and the issuers and the GitHub of tests/local_aws."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3

from deployment import WITHOUT_GUARDRAILS
from local_aws import EMULATOR_PYTHON, REGION, ROOT, TOOLS, free_port, until
from sender import ACCOUNT, Sender

HERE = Path(__file__).resolve().parent
MOTO = TOOLS / "moto" / "bin" / "moto_server"
BOOTSTRAP = ROOT / "target" / "debug" / "bootstrap"
KEY = "test"
ISSUER = "token.actions.githubusercontent.com"
GITHUB = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
PRIVATE = {"ProviderArn": GITHUB, "Trust": [{"Repository": "octo-org/private", "Branches": ["main"]}]}


class World:
    def __init__(self, directory: Path, stop: ExitStack) -> None:
        self.directory, self._stop = directory, stop
        self.moto = self._moto()
        issuers, github, tokens = (free_port() for _ in range(3))
        self._run("neighbours", [EMULATOR_PYTHON, HERE / "neighbours.py", directory, issuers, github, tokens])
        until((directory / "github-server.pem").exists, "the neighbours", 30)
        self.sender = Sender()
        self.secret = self.client("secretsmanager").create_secret(Name="github-trust/github")["ARN"]
        self._run("function", [BOOTSTRAP], self._environment(issuers, github))

    def client(self, service: str) -> Any:
        session: Any = boto3.Session(KEY, KEY, region_name=REGION)
        return session.client(service, endpoint_url=self.moto)

    def ask(
        self,
        request: str,
        kind: str,
        properties: dict[str, Any],
        *,
        stack: str = "first",
        logical_id: str = "It",
        id: str = "",
        old: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The response to a request of CloudFormation."""
        event = {
            "RequestType": request,
            "LogicalResourceId": logical_id,
            "ResourceType": f"Custom::{kind}",
            "ResourceProperties": properties,
            **({"PhysicalResourceId": id} if id else {}),
            **({} if old is None else {"OldResourceProperties": old}),
        }
        return self.sender.request(event, stack)

    def scheduled_run(self) -> None:
        answer = self.sender.send({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
        assert "errorMessage" not in answer, answer

    def log(self, name: str = "function") -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def change_intermediates(self) -> None:
        file = self.directory / "generation"
        file.write_text(str(int(file.read_text()) + 1))

    def thumbprint(self) -> str:
        """Of the intermediate that the issuers showed last."""
        made = self.directory / f"public-{(self.directory / 'generation').read_text()}.der"
        return hashlib.sha1(made.read_bytes(), usedforsecurity=False).hexdigest() if made.exists() else ""

    def _moto(self) -> str:
        url = f"http://127.0.0.1:{free_port()}"
        # AWS's own policies are there when asked for: https://docs.getmoto.org/en/latest/docs/configuration/environment_variables.html
        policies = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        self._run("moto", [MOTO, "-H", "127.0.0.1", "-p", url.rpartition(":")[2]], {**os.environ, **policies})

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
                    return True
            except OSError:
                return False

        until(answers, "moto's server", 60)
        return url

    def _environment(self, issuers: int, github: int) -> dict[str, str]:
        words = (parameter.partition("=") for parameter in WITHOUT_GUARDRAILS)
        guardrails = {_variable(name): "" if value == "None" else value for name, _, value in words}
        return {
            **guardrails,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.moto,
            "AWS_ENDPOINT_URL_CLOUDFORMATION": f"http://{self.sender.place}/cloudformation",
            "AWS_LAMBDA_FUNCTION_NAME": "github-trust",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_RUNTIME_API": self.sender.place,
            "GITHUB_TRUST_ALLOWED_GITHUB_OWNERS": "*",
            "GITHUB_TRUST_GITHUB_API": f"http://127.0.0.1:{github}",
            "GITHUB_TRUST_GITHUB_SECRET": self.secret,
            "GITHUB_TRUST_HOSTS": f"*=127.0.0.1:{issuers}",
            "GITHUB_TRUST_IAM_LAG_SECONDS": "0",
            "GITHUB_TRUST_PRIVATE_ISSUERS": "true",
            "GITHUB_TRUST_RESPONSE_ORIGIN": f"http://{self.sender.place}",
            "GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS": "0",
            "GITHUB_TRUST_THUMBPRINT_OVERLAP_DAYS": "0",
            "SSL_CERT_FILE": str(self.directory / "public.pem"),
        }

    def _run(self, name: str, command: list[Any], environment: dict[str, str] | None = None) -> None:
        log = self._stop.enter_context((self.directory / f"{name}.log").open("wb"))
        words = [str(word) for word in command]
        process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._stop.callback(_end, process)


def _variable(parameter: str) -> str:
    return "GITHUB_TRUST_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter.replace("GitHub", "Github")).upper()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    process.kill()
    process.wait()
