"""Starts the services that the functions talk to, and one function at a time against them, and reads what it took.

Wall clock times come from the clock that both processes share. The CPU time is that of the process with all its
threads, the memory its peak (VmHWM).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TLS_PORT = 443
# services.rs: PORT_REFUSED
_PORT_REFUSED = 3
# In seconds; valgrind takes a hundred times as long as the function does.
_PATIENCE = 300.0


class Failed(Exception):
    """A function did not do what it was measured for."""


class PortRefused(Exception):
    """This user may not listen there."""


@dataclass(frozen=True)
class Function:
    """What is started, and with which environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One call of a service, in nanoseconds since 1970."""

    what: str
    began: int
    ended: int
    status: int


@dataclass(frozen=True)
class Answered:
    """How one event was answered. Times in milliseconds, memory in kB."""

    to_answer: float
    cpu: float
    calls: tuple[Call, ...]
    answer: dict[str, Any]


@dataclass
class Run:
    """One process, from its start to its end."""

    to_poll: float = 0.0
    answered: list[Answered] = field(default_factory=list)
    peak: int = 0


class Services:
    """The process that everything is served by."""

    def __init__(self, program: Path, port: int = TLS_PORT) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="github-trust-bench-")
        self.directory = Path(self._directory.name)
        command = [str(program), str(self.directory), str(port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, text=True
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            _, errors = self._process.communicate()
            self._directory.cleanup()
            raise PortRefused(errors.strip()) if self._process.returncode == _PORT_REFUSED else Failed(errors.strip())
        self.places: dict[str, str] = json.loads(line)

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._directory.cleanup()

    @property
    def tls(self) -> str:
        """The origin of everything that is behind TLS, as all functions are given it."""
        port = self.places["tls"].rpartition(":")[2]
        return "https://localhost" if port == "443" else f"https://localhost:{port}"

    def renew(self, delay_ms: int = 0) -> None:
        self._say({"do": "renew", "delay_ms": delay_ms})

    def multiply(self, **size: int) -> None:
        """Copies what was made: so many `providers`, `roles` and `clusters` with an entry of each role."""
        self._say({"do": "multiply", **size})
        self._expect("multiplied")

    def begin(self, event: Mapping[str, Any]) -> None:
        """Returns when the event waits for the first poll."""
        self._say({"do": "begin", "event": event})
        self._expect("begun")

    def invoke(self, event: Mapping[str, Any]) -> None:
        self._say({"do": "invoke", "event": event})

    def accept(self) -> None:
        self._say({"do": "go"})

    def report(self, patience: float = _PATIENCE) -> dict[str, Any]:
        """The next one."""
        out = self._process.stdout
        if out is None or not select.select([out], [], [], patience)[0]:
            raise Failed(f"nothing was reported within {patience:.0f} s")
        report: dict[str, Any] = json.loads(out.readline())
        if report["is"] == "failed":
            raise Failed(f"{report['at']}: {report['body']}")
        return report

    def _expect(self, what: str) -> None:
        if (found := self.report()["is"]) != what:
            raise Failed(f"{what} was expected, and {found} was reported")

    def _say(self, line: dict[str, Any]) -> None:
        if self._process.stdin:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()


def run(
    services: Services,
    function: Function,
    events: Sequence[Mapping[str, Any]],
    end: signal.Signals = signal.SIGKILL,
) -> Run:
    """Starts the function and gives it one event after the other; all have to be answered with SUCCESS."""
    services.begin(events[0])
    log = services.directory / "log"
    with started(function, log, end) as (pid, at):
        try:
            return _watch(services, pid, at, events)
        except Failed as error:
            raise Failed(f"{function.name}: {error}\n{log.read_text()[-4000:]}") from None


def unanswered(services: Services, function: Function, event: Mapping[str, Any]) -> tuple[int, list[str]]:
    """An event that nobody waits for an answer to. Gives the peak of the memory, in kB, and the calls."""
    services.begin(event)
    log = services.directory / "log"
    with started(function, log) as (pid, _):
        try:
            report = services.report()
            if report["is"] != "idle":
                raise Failed("it answered")
        except Failed as error:
            raise Failed(f"{function.name}: {error}\n{log.read_text()[-4000:]}") from None
        return peak(pid), [mark["call"] for mark in report["seen"] if "call" in mark]


def _watch(services: Services, pid: int, started_at: int, events: Sequence[Mapping[str, Any]]) -> Run:
    seen = Run()
    for index, _ in enumerate(events):
        before = cpu(pid) if index else 0
        if index:
            services.invoke(events[index])
        report = services.report()
        taken = cpu(pid)
        if report["is"] != "answered":
            raise Failed("it asked for the next event before it had answered")
        services.accept()
        answer = json.loads(report["body"])
        if answer["Status"] != "SUCCESS":
            raise Failed(f"it answered {answer}")
        marks = report["seen"]
        if index == 0:
            seen.to_poll = _ms(next(mark["polled"] for mark in marks if "polled" in mark) - started_at)
        given = started_at if index == 0 else next(mark["given"] for mark in marks if "given" in mark)
        calls = tuple(Call(mark["call"], mark["from"], mark["to"], mark["status"]) for mark in marks if "call" in mark)
        seen.answered.append(Answered(_ms(report["at"] - given), _ms(taken - before), calls, answer))
        if services.report()["is"] != "idle":
            raise Failed("it answered twice")
    seen.peak = peak(pid)
    return seen


@contextlib.contextmanager
def started(function: Function, log: Path, end: signal.Signals = signal.SIGKILL) -> Iterator[tuple[int, int]]:
    """The process and when it was started; it is ended afterwards, and with it whatever it has started."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    redirect = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    try:
        at = time.time_ns()
        pid = os.posix_spawn(
            function.command[0], function.command, function.environment, file_actions=redirect, setpgroup=0
        )
    finally:
        os.close(output)
    try:
        yield pid, at
    finally:
        os.killpg(pid, end)
        os.waitpid(pid, 0)


def cpu(pid: int) -> int:
    """Nanoseconds of CPU that the process has used, ended threads included."""
    # The clock of a process, as clock_getcpuclockid(3) makes it; Python has that function for threads only.
    return time.clock_gettime_ns((~pid << 3) | 2)


def peak(pid: int) -> int:
    """In kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def _ms(nanoseconds: int) -> float:
    return nanoseconds / 1e6
