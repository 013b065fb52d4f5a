"""A local AWS for a test or a demonstration: started on loopback, waited for, asked, and stopped without a trace."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import boto3
from botocore.config import Config

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".venv"
EMULATOR_PYTHON = TOOLS / "emulator" / "bin" / "python"

REGION = "us-east-1"
ACCOUNT = "000000000000"
# The account's root user in ministack, whom no policy binds.
ROOT_KEY = "test"

# What `eks:username` and `eks:kubernetesGroups` may hold: nothing says which.
READINGS = ("request", "entry", "request, else entry", "request, else empty")

START_SECONDS = 30
# It has nothing to save: its state goes with its directory.
STOP_SECONDS = 3

T = TypeVar("T")


class LocalAwsError(Exception):
    """Something that the local AWS was asked or waited for did not happen; the message says what to look at."""


def until(check: Callable[[], T | None], what: str, seconds: float, every: float = 0.05) -> T:
    """The first result of `check` that is neither None nor False; raises once `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise LocalAwsError(f"waited {seconds:g} s for {what}")
        time.sleep(every)


class LocalAws:
    """`with LocalAws() as aws:` runs the emulator of requirements/emulator.txt with the overlay in `emulator/`.

    With `keep` it outlives this process; somebody then has to call `stop` or end it by its process id.
    """

    def __init__(self, *, auth: bool = True, keep: bool = False) -> None:
        self.auth = auth
        self.keep = keep
        self.port = self.issuers_port = self.github_port = self.tokens_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Running it

    def start(self) -> None:
        if not EMULATOR_PYTHON.exists():
            raise LocalAwsError(f"{EMULATOR_PYTHON} is missing; run: python3 requirements/install.py")
        self._directory = Path(tempfile.mkdtemp(prefix="github-trust-"))
        self.port, self.issuers_port, self.github_port, self.tokens_port = (free_port() for _ in range(4))
        with (self.directory / "emulator.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(EMULATOR_PYTHON), "-m", "emulator"],
                cwd=HERE,
                env=self._emulator_environment(),
                stdin=subprocess.DEVNULL if self.keep else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(self._is_ready, f"the local AWS to answer on port {self.port}", START_SECONDS)
        except LocalAwsError as error:
            message = f"{error}; its log ends:\n{self.emulator_log()[-2000:]}"
            self.stop()
            raise LocalAwsError(message) from None

    def stop(self) -> None:
        """Ends the emulator and the functions it runs, and removes its files."""
        if self._process is not None:
            # It leads a session of its own, so its group is it and what it started.
            group = self._process.pid
            _signal_group(group, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            _signal_group(group, signal.SIGKILL)
            self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()
            self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self._clients.clear()

    @property
    def directory(self) -> Path:
        if self._directory is None:
            raise LocalAwsError("the local AWS is not running")
        return self._directory

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise LocalAwsError("the local AWS is not running")
        return self._process.pid

    @property
    def issuers(self) -> Path:
        """The files of `emulator/issuers.py`."""
        return self.directory / "issuers"

    def ca_certificate(self, ca: str) -> str:
        return (self.issuers / f"{ca}.pem").read_text()

    def thumbprint(self, ca: str) -> str:
        """Of the intermediate that this CA signs with now."""
        generation = (self.issuers / "generation").read_text()
        made = self.issuers / f"{ca}-{generation}.der"
        if not made.exists():
            raise LocalAwsError(f"nobody has looked at a host of the {ca} CA since its intermediate changed")
        return hashlib.sha1(made.read_bytes(), usedforsecurity=False).hexdigest()

    def change_intermediates(self) -> None:
        generation = self.issuers / "generation"
        generation.write_text(str(int(generation.read_text()) + 1))

    def let_eks_keys_hold(self, reading: str | None) -> None:
        """One of `READINGS`, or what the emulator takes for granted."""
        if reading is None:
            (self.directory / "eks-keys").unlink(missing_ok=True)
        else:
            (self.directory / "eks-keys").write_text(reading)

    @contextmanager
    def sts_reading_no_claims(self) -> Iterator[None]:
        """STS has keys of `aud` and `sub` only."""
        switch = self.directory / "sts-reads-no-claims"
        switch.touch()
        try:
            yield
        finally:
            switch.unlink()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def emulator_log(self) -> str:
        return (self.directory / "emulator.log").read_text(errors="replace")

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise LocalAwsError("the local AWS ended while starting")
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _emulator_environment(self) -> dict[str, str]:
        """Everything the emulator may know, since the functions that it runs inherit it."""
        for name in ("tmp", "state", "s3", "home", "issuers"):
            (self.directory / name).mkdir()
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.directory / "home"),
            "TMPDIR": str(self.directory / "tmp"),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "STATE_DIR": str(self.directory / "state"),
            "S3_DATA_DIR": str(self.directory / "s3"),
            "AUTH": "true" if self.auth else "false",
            "AWS_ENDPOINT_URL": self.url,
            "GITHUB_TRUST_RESPONSE_ORIGIN": self.url,
            # The local AWS shows at once what it has been told.
            "GITHUB_TRUST_IAM_LAG_SECONDS": "0",
            # Every repository that the function asks about is one of the local GitHub's.
            "GITHUB_TRUST_GITHUB_API": f"http://127.0.0.1:{self.github_port}",
            "EMULATOR_GITHUB_API_PORT": str(self.github_port),
            "EMULATOR_GITHUB_ISSUER_PORT": str(self.tokens_port),
            "EMULATOR_GITHUB_ISSUER": f"https://127.0.0.1:{self.tokens_port}",
            "EMULATOR_GITHUB_CA": str(self.directory / "github-ca.pem"),
            # Whatever issuer the function asks for is here, and the public CA is one of ours.
            "GITHUB_TRUST_HOSTS": f"*=127.0.0.1:{self.issuers_port}",
            "GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS": "0",
            "SSL_CERT_FILE": str(self.issuers / "public.pem"),
            "EMULATOR_ISSUERS": str(self.issuers),
            "EMULATOR_ISSUERS_PORT": str(self.issuers_port),
            "EMULATOR_EKS_KEYS": str(self.directory / "eks-keys"),
            "EMULATOR_STS_READS_NO_CLAIMS": str(self.directory / "sts-reads-no-claims"),
            "EMULATOR_RECORDING": str(self.directory / "recording.jsonl"),
            "EMULATOR_STOPS_WITH_STDIN": "" if self.keep else "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    # Asking it

    def token(self, **job: Any) -> str:
        """The token that the local GitHub issues to a job, see `github/tokens.py`."""
        return str(self._github("token", {"audience": "sts.amazonaws.com", **job})["value"])

    def at_github(self, **wishes: Any) -> dict[str, Any]:
        """What is set at the local GitHub, after what is wished for, see `github/settings.py`."""
        return self._github("settings", wishes)

    def _github(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.github_port}/_local/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(content).encode()), timeout=5) as response:
            found: dict[str, Any] = json.load(response)
        return found

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.new_client(service)
        return self._clients[service]

    def client_of(self, service: str, credentials: dict[str, str]) -> Any:
        """A client with the `Credentials` that STS has given out."""
        return self.new_client(
            service, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )

    def new_client(
        self, service: str, key: str = ROOT_KEY, secret: str = ROOT_KEY, token: str | None = None, region: str = REGION
    ) -> Any:
        session: Any = boto3.Session(key, secret, token, region_name=region)
        return session.client(service, endpoint_url=self.url, config=_CONFIG)

    def settings(self) -> dict[str, str]:
        """What points a command at this AWS."""
        return {
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    def environment(self) -> dict[str, str]:
        """The environment for `sam` and `aws`: this AWS and no other, whatever profiles the user has."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **mine,
            **self.settings(),
            "PATH": os.pathsep.join([str(TOOLS / "bin"), str(TOOLS / "awscli" / "bin"), os.environ.get("PATH", "")]),
            "AWS_CONFIG_FILE": str(self.directory / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-credentials"),
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(self.directory / "sam"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def recording(self, start: int = 0) -> list[dict[str, Any]]:
        """What `emulator/recording.py` has written, from entry `start` on."""
        path = self.directory / "recording.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()[start:]]

    def function_log(self, name: str) -> str:
        """The function's log in CloudWatch Logs, oldest first."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
        logs = self.client("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            events = [event for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return ""
        return "\n".join(event["message"] for event in sorted(events, key=lambda event: event["timestamp"]))


_CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(group, number)
