"""Builds what the functions talk to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from measure import ROOT


def services_program() -> Path:
    """In the profile of the tests: cryptography is assembly there, too, and nothing else in it takes time."""
    command = [
        "cargo",
        "build",
        "--locked",
        "--features",
        "cli",
        "--quiet",
        "--bench",
        "services",
        "--message-format=json",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "RUSTFLAGS"}
    built = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return Path(next(found["executable"] for found in messages if found.get("target", {}).get("name") == "services"))
