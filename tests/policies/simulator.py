"""Asks @cloud-copilot/iam-simulate what policies allow, in strict mode: it refuses what AWS's data does not know."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

from render import ACCOUNT, ROOT

INSTALLED = ROOT / ".venv" / "simulator" / "node_modules" / "@cloud-copilot"
PRINCIPAL = f"arn:aws:iam::{ACCOUNT}:role/github/job"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class Question:
    """Whether a principal with these policies may do something."""

    action: str
    resource: str
    policies: list[dict[str, Any]]
    boundary: dict[str, Any] | None = None
    context: dict[str, str | list[str]] = field(default_factory=dict)
    principal: str = PRINCIPAL

    def simulation(self) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "request": {
                "principal": self.principal,
                "action": self.action,
                "resource": {"resource": self.resource, "accountId": ACCOUNT},
                "contextVariables": {"aws:PrincipalArn": self.principal, **self.context},
            },
            "identityPolicies": [
                {"name": f"policy-{number}", "policy": policy} for number, policy in enumerate(self.policies)
            ],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }
        if self.boundary is not None:
            asked["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": self.boundary}]
        return asked


def ask(questions: list[Question]) -> list[bool]:
    """True for each that is allowed."""
    return [answer == "Allowed" for answer in answers(questions)]


def answers(questions: list[Question]) -> list[str]:
    """`Allowed`, `ImplicitlyDenied` or `ExplicitlyDenied` for each."""
    return [_answer(question) for question in questions]


def _answer(question: Question) -> str:
    simulator = _simulator()
    assert simulator.stdin is not None
    assert simulator.stdout is not None
    simulator.stdin.write(json.dumps(question.simulation()) + "\n")
    simulator.stdin.flush()
    result: dict[str, str] = json.loads(simulator.stdout.readline())
    assert "errors" not in result, f"{question.action} on {question.resource}: {result}"
    return result["result"]


@functools.cache
def _simulator() -> subprocess.Popen[str]:
    """One process for all questions: it takes a second to start."""
    script = ROOT / "tests" / "policies" / "simulate.mjs"
    library = INSTALLED / "iam-simulate" / "dist" / "esm" / "index.js"
    command = ["node", str(script), str(library)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(started.kill)
    return started
