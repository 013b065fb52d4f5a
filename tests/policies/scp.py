"""The service control policy of SECURITY.md."""

from __future__ import annotations

import json
import re
from typing import Any

from render import ROOT
from simulator import EVERYTHING


def service_control_policy() -> dict[str, Any]:
    [text] = re.findall(r"^```json\n(.*?)^```$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE | re.DOTALL)
    document: dict[str, Any] = json.loads(text)
    return document


def beside_full_access() -> dict[str, Any]:
    """As a boundary, which limits as a service control policy does: what it does not allow, or denies, is denied."""
    policy = service_control_policy()
    return {**policy, "Statement": [*EVERYTHING["Statement"], *policy["Statement"]]}
