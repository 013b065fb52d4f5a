"""The whole run against the local AWS and the local GitHub, what refuses to start, and the transcript."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

import preflight
import probes
from actions import Actions
from conftest import started
from context import PATH, code_of
from github.repositories import TOKEN
from inventory import inventory
from local_aws import ACCOUNT, ROOT, LocalAws
from preflight import NAME
from transcript import Transcript

# How long a run takes here, until the first of them has shown it.
SECONDS = [24.0]


def test_the_whole_run_passes_and_leaves_nothing(aws: LocalAws, actions: Actions, environment: dict[str, str]) -> None:
    before = inventory(aws, actions)
    process = started(environment, "run")
    said, _ = process.communicate(timeout=900)
    print(said)
    assert process.returncode == 0, said
    SECONDS.append(float(re.findall(r"^ *([0-9.]+) s  sweep: repositories: done", said, re.MULTILINE)[0]))
    assert "failed: nothing" in said
    assert inventory(aws, actions) == before
    transcript = Path(re.findall(r"The transcript is (\S+)", said)[0]).read_text()
    assert "AccessPolicy" not in transcript
    assert [secret for secret in (ACCOUNT, TOKEN) if secret in transcript] == []


def killed(environment: dict[str, str], after: float) -> str | None:
    """What a run says from its first stage until it is killed, so many seconds later; None if it is over by then."""
    with started(environment, "run") as process:
        assert process.stdout is not None
        while "make the scratch repository" not in process.stdout.readline():
            assert process.poll() is None
        timer = threading.Timer(after, process.kill)
        timer.start()
        said, _ = process.communicate()
        timer.cancel()
    return said if process.returncode < 0 else None


def test_a_run_that_is_killed_at_any_time_is_swept_to_nothing(
    aws: LocalAws, actions: Actions, environment: dict[str, str]
) -> None:
    before, kills = inventory(aws, actions), int(os.environ.get("KILLS", "2"))
    for kill in range(kills):
        # One that was quicker than the last one is over before it is killed.
        while (said := killed(environment, SECONDS[-1] * (kill + 0.5) / kills)) is None:
            SECONDS.append(SECONDS[-1] * 0.8)
        left = inventory(aws, actions)
        with started(environment, "sweep", "0") as sweeping:
            swept, _ = sweeping.communicate(timeout=300)
        assert sweeping.returncode == 0, swept
        assert inventory(aws, actions) == before, swept
        found = sum(map(len, left.values())) - sum(map(len, before.values()))
        last = ["the first line", *said.splitlines()][-1]
        print(f"ended after {last.strip()[:100]!r}, which left {found} things: now there is none")


def test_a_sweep_leaves_what_is_younger_and_what_is_not_ours(
    aws: LocalAws, actions: Actions, environment: dict[str, str]
) -> None:
    iam = aws.client("iam")
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ours = {"RoleName": f"{NAME}-00000000-1", "Path": PATH, "AssumeRolePolicyDocument": trust}
    theirs = {"RoleName": "deploy", "Path": PATH, "AssumeRolePolicyDocument": trust}
    elsewhere = {"RoleName": f"{NAME}-x", "Path": "/team/", "AssumeRolePolicyDocument": trust}
    for role in (ours, theirs, elsewhere):
        iam.create_role(**role)
    before = inventory(aws, actions)
    # By default, nothing that is younger than three hours.
    with started(environment, "sweep") as sweeping:
        sweeping.communicate(timeout=60)
    assert inventory(aws, actions) == before
    with started(environment, "sweep", "0") as sweeping:
        sweeping.communicate(timeout=60)
    assert {*before["roles"]} - {*inventory(aws, actions)["roles"]} == {ours["RoleName"]}
    for role in (theirs, elsewhere):
        iam.delete_role(RoleName=role["RoleName"])


GOOD = {
    "GITHUB_TRUST_ACCEPTANCE": "1",
    "GITHUB_TRUST_ACCEPTANCE_ACCOUNT": "111122223333",
    "GITHUB_TRUST_ACCEPTANCE_ACCOUNT_AGAIN": "111122223333",
    "GITHUB_TRUST_ACCEPTANCE_ORGANISATION": "octo-org",
    "GITHUB_TRUST_ACCEPTANCE_GITHUB_TOKEN": "ghp_x",
    "AWS_REGION": "eu-west-1",
}


@pytest.mark.parametrize(
    ("changed", "value", "words"),
    [
        ("GITHUB_TRUST_ACCEPTANCE", "", "GITHUB_TRUST_ACCEPTANCE=1 says"),
        ("GITHUB_TRUST_ACCEPTANCE", "true", "GITHUB_TRUST_ACCEPTANCE=1 says"),
        ("GITHUB_TRUST_ACCEPTANCE_ACCOUNT", "11112222333", "twelve digits"),
        ("GITHUB_TRUST_ACCEPTANCE_ACCOUNT_AGAIN", "", "the same id once more"),
        ("GITHUB_TRUST_ACCEPTANCE_ACCOUNT_AGAIN", "111122223334", "the same id once more"),
        ("GITHUB_TRUST_ACCEPTANCE_ORGANISATION", "", "an organisation at GitHub"),
        ("GITHUB_TRUST_ACCEPTANCE_GITHUB_TOKEN", "", "a token"),
        ("AWS_REGION", "", "the region"),
    ],
)
def test_it_refuses_to_start(changed: str, value: str, words: str) -> None:
    with pytest.raises(preflight.Refused, match=words):
        preflight.settings({**GOOD, changed: value})


def test_it_refuses_credentials_of_another_account_and_makes_nothing(
    aws: LocalAws, actions: Actions, environment: dict[str, str]
) -> None:
    before = inventory(aws, actions)
    other = {f"GITHUB_TRUST_ACCEPTANCE_{name}": "111122223333" for name in ("ACCOUNT", "ACCOUNT_AGAIN")}
    for words in ("run", "sweep"):
        with started({**environment, **other}, words) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said == f"Nothing was made.\nthese credentials are of account {ACCOUNT}, and not of 111122223333\n"
    assert inventory(aws, actions) == before


def test_the_announcement_says_what_is_made_for_how_long_and_for_how_much() -> None:
    text = preflight.announcement(preflight.settings(GOOD))
    for words in ("111122223333", "octo-org/github-trust-acceptance-", "minutes", "cents", "no cluster", "sweep"):
        assert words in text
    assert "ghp_x" not in text


def test_a_transcript_hides_accounts_keys_and_tokens(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "t.txt", "my-own-token")
    hidden = [
        "111122223333",
        "ghp_abcdefghij0123456789",
        "github_pat_11AAAAAAA0abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "AROAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "my-own-token",
    ]
    for secret in hidden:
        transcript.say(f"arn:aws:iam::{secret}:role/x and {secret}")
    transcript.row("a belief", f"seen {hidden[0]}", None)
    transcript.ends()
    text = transcript.path.read_text()
    assert [secret for secret in hidden if secret in text] == []
    assert "arn:aws:iam::<account>:role/x" in text


def test_a_probe_in_which_the_function_is_denied_speaks_against_its_belief() -> None:
    key = "x"
    client = boto3.client("iam", region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=key)
    asking = probes.Probing.__new__(probes.Probing)
    asking._own = {}
    asking._credentials = {}
    asking.run = SimpleNamespace(services=SimpleNamespace(client_of=lambda *_: client))

    def seen(*codes: str) -> tuple[str, bool | None]:
        with Stubber(asking.own("iam")) as stub:
            for code in codes:
                stub.add_client_error("delete_role", code)

            def ask(asking: probes.Probing) -> tuple[str, bool | None]:
                for _ in codes[1:]:
                    code_of(lambda: asking.own("iam").delete_role(RoleName="x"))
                asking.own("iam").delete_role(RoleName="x")
                raise AssertionError

            [answer] = probes.answers(asking, ("a belief",), ask)
            return answer

    said, agrees = seen("AccessDenied")
    assert said.startswith("denied: ClientError: ")
    assert agrees is False
    for codes in [("NoSuchEntity",), ("AccessDenied", "NoSuchEntity")]:
        said, agrees = seen(*codes)
        assert said.startswith("not tried: "), codes
        assert agrees is None


def test_every_belief_that_is_not_settled_has_a_probe_or_a_reason() -> None:
    _, _, table = (ROOT / "docs" / "beliefs.md").read_text().partition("## Not settled\n")
    rows = [line.split("|")[1].strip() for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    asked = [belief for beliefs, _ in probes.PROBES for belief in beliefs] + [belief for belief, _ in probes.LEFT_OUT]
    assert len(rows) > 15
    assert [row for row in rows[1:] if not any(belief.startswith(row) for belief in asked)] == []
