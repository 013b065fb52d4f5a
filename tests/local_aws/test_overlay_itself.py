"""The overlay is written for one ministack, records what it is asked, and leaves nothing running."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from emulator.upstream import MINISTACK, NAMES
from github.repositories import written
from local_aws import EMULATOR_PYTHON, HERE, ROOT, LocalAws, until

SOURCES = sorted((HERE / "emulator").glob("*.py"))


def touched(path: Path) -> set[tuple[str, str]]:
    """(module, name) for everything of ministack that a source file imports or takes from an imported module."""
    tree = ast.parse(path.read_text())
    modules: dict[str, str] = {}
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("ministack"):
                    modules[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in NAMES:
                    modules[alias.asname or alias.name] = whole
                else:
                    found.add((node.module or "", alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (module := modules.get(ast.unparse(node.value))):
            found.add((module, node.attr))
    return found


def test_every_name_that_the_overlay_touches_is_checked_at_start() -> None:
    listed = {(module, name) for module, names in NAMES.items() for name in names}
    assert set().union(*map(touched, SOURCES)) == listed


def test_the_pinned_ministack_is_the_one_the_overlay_is_written_for() -> None:
    assert f"ministack=={MINISTACK} " in (ROOT / "requirements" / "emulator.txt").read_text()


def test_a_ministack_without_a_name_is_refused_with_a_message() -> None:
    code = (
        "from emulator import upstream; import ministack.services.iam as iam; "
        "del iam._role_xml; upstream.MINISTACK = '1.0'; upstream.check()"
    )
    result = subprocess.run([EMULATOR_PYTHON, "-c", code], cwd=HERE, capture_output=True, text=True)
    assert result.returncode == 1
    assert "written for ministack==1.0" in result.stderr
    assert f"ministack {MINISTACK} is installed" in result.stderr
    assert "ministack.services.iam has no _role_xml" in result.stderr


def test_calls_are_recorded_with_their_caller_resource_and_outcome(aws: LocalAws, name: str) -> None:
    iam = aws.client("iam")
    start = len(aws.recording())
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName=name)
    aws.client("eks").list_clusters()
    aws.client("sts").get_caller_identity()
    deletion, *reads = aws.recording(start)
    assert isinstance(deletion.pop("time"), float)
    assert deletion == {
        "kind": "call",
        "service": "iam",
        "action": "DeleteRole",
        "caller": "arn:aws:iam::000000000000:root",
        "access_key": "test",
        "resource": f"arn:aws:iam::000000000000:role/{name}",
        "changes": True,
        "status": 404,
        "error": "NoSuchEntity",
    }
    assert [(read["service"], read["action"], read["changes"], read["error"]) for read in reads] == [
        ("eks", "ListClusters", False, None),
        ("sts", "GetCallerIdentity", False, None),
    ]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_nothing_listens_beyond_loopback(aws: LocalAws) -> None:
    sockets = set()
    for descriptor in Path(f"/proc/{aws.pid}/fd").iterdir():
        if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
            sockets.add(match[1])
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                listening.append(fields[1].split(":")[0])
    assert listening
    assert set(listening) == {"0100007F"}


def test_it_stops_without_a_trace() -> None:
    with LocalAws() as aws:
        directory, group = aws.directory, aws.pid
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "import os, signal; from local_aws import LocalAws; aws = LocalAws(); aws.start(); "
        "print(aws.pid, aws.directory, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    python = ROOT / ".venv" / "bin" / "python"
    result = subprocess.run([python, "-c", code], cwd=HERE, capture_output=True, text=True)
    pid, directory = result.stdout.split()
    until(lambda: not _runs(int(pid)), "the emulator to end", 10)
    for path in sorted(Path(directory).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(directory).rmdir()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie, until init has taken its status, runs no more.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_wait_ends_with_a_message() -> None:
    start = time.monotonic()
    with pytest.raises(Exception, match=r"waited 0\.1 s for the moon"):
        until(lambda: None, "the moon", 0.1)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("octo-org/octo-repo", "octo-org/octo-repo"),
        ("Octo-Org/octo-repo", "octo-org/octo-repo"),
        ("octo-org/does-not-exist", None),
        ("acme/anything", "acme/anything"),
    ],
)
def test_the_local_github_has_no_mistyped_repository(asked: str, found: str | None) -> None:
    assert written(asked) == found
