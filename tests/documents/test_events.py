"""The commands of the documents print the failures of a stack in the order of time, also beyond a page of events."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from links import ROOT, documents

CLI = ROOT / ".venv" / "awscli" / "bin"
FOUND = [
    (page.relative_to(ROOT).as_posix(), block)
    for page in documents(ROOT)
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)
    if "describe-stack-events" in block
]
# As CloudFormation lists them, the newest first: an update that failed, after a creation that did.
EVENTS = [
    ("2026-01-02T00:00:04Z", "Entry", "CREATE_FAILED", "Resource creation cancelled"),
    ("2026-01-02T00:00:03Z", "Role", "CREATE_FAILED", "the cause"),
    ("2026-01-02T00:00:02Z", "Role", "CREATE_IN_PROGRESS", ""),
    ("2026-01-01T00:00:02Z", "Other", "CREATE_FAILED", "Resource creation cancelled"),
    ("2026-01-01T00:00:01Z", "Provider", "CREATE_FAILED", "an older cause,\nin two lines"),
]
A_PAGE = 2
ANSWER = """\
<DescribeStackEventsResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStackEventsResult>
<StackEvents>{events}</StackEvents>{next}</DescribeStackEventsResult></DescribeStackEventsResponse>"""
EVENT = """\
<member><EventId>{0}</EventId><StackId>s</StackId><StackName>web</StackName><Timestamp>{0}</Timestamp>
<LogicalResourceId>{1}</LogicalResourceId><ResourceStatus>{2}</ResourceStatus>
<ResourceStatusReason>{3}</ResourceStatusReason></member>"""


class CloudFormation(BaseHTTPRequestHandler):
    """Two events in a page."""

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        begin = int(asked.get("NextToken", ["0"])[0])
        end = begin + A_PAGE
        events = "".join(EVENT.format(*event) for event in EVENTS[begin:end])
        token = f"<NextToken>{end}</NextToken>" if end < len(EVENTS) else ""
        body = ANSWER.format(events=events, next=token).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), CloudFormation)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_pages_have_such_commands() -> None:
    assert {page for page, _ in FOUND} == {"docs/quick-start.md", "docs/troubleshooting.md"}


@pytest.mark.parametrize(("page", "command"), FOUND, ids=[page for page, _ in FOUND])
def test_failures_are_in_the_order_of_time_beyond_a_page(address: str, tmp_path: Path, page: str, command: str) -> None:
    environment = {
        "PATH": f"{CLI}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    shell = ["bash", "-euo", "pipefail", "-c", command]
    shown = subprocess.run(shell, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    said = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [row[1] for row in said] == ["Provider", "Other", "Role", "Entry"], page
    # The newest deployment is told from an older one by its time.
    assert [row[0][:10] for row in said] == ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02"]
    assert [row[2] for row in said][2:] == ["the cause", "Resource creation cancelled"]
