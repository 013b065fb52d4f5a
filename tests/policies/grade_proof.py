"""Checks the grades of generated policies by two other evaluators.

@cloud-copilot/iam-simulate, and one written from IAM's documentation: `python grade_proof.py target/grades.jsonl`. The
file is of `generated_policies_and_grades_for_other_evaluators` (src/audit/tests/generated_policies.rs).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from iam_evaluator import Keys, admits, keys_of

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".venv" / "simulator" / "node_modules" / "@cloud-copilot"
# A condition on the address is met by the first and not by the second.
ADDRESSES = ["192.0.2.1", "198.51.100.1"]
# A token of a provider has no `aws:username`.
WITHOUT_VALUE = re.compile(r"\$\{aws:username\}")
Policy = dict[str, Any]


def verdict(answers: list[bool]) -> str:
    """The verdict about a token by the answers for both addresses."""
    return {(True, True): "admitted", (False, False): "refused"}.get(tuple(answers), "depends")  # type: ignore[call-overload, no-any-return]


def simulated(lines: list[Policy], tokens: list[list[Keys]]) -> list[list[bool]]:
    """The answers of @cloud-copilot/iam-simulate for the tokens of each policy."""
    asked = [
        json.dumps({"policy": line["policy"], "provider": line["provider"], "tokens": keys})
        for line, keys in zip(lines, tokens, strict=True)
    ]
    command = ["node", str(ROOT / "tests" / "policies" / "admitted.mjs"), str(INSTALLED)]
    answered = subprocess.run(command, input="\n".join(asked), stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(answer) for answer in answered.stdout.splitlines()]


def claimed(line: Policy) -> list[tuple[str, Keys, str]]:
    """What we say of tokens of a policy: the name of it, the claims, the verdict. A dead policy lets nobody in."""
    grades = [finding["Grade"] for finding in line["findings"]]
    said = [
        (finding["Grade"], finding["Proof"], "depends" if finding.get("Depends") else "admitted")
        for finding in line["findings"]
        if "Proof" in finding
    ]
    for tried in line["tries"]:
        said.append(("token", tried["claims"], tried["verdict"]))
        if grades == ["dead"] and tried["claims"]["aud"] == "sts.amazonaws.com":
            said.append(("dead", tried["claims"], "refused"))
    return said


def explanation(policy: Policy) -> str:
    """Why the library may evaluate a policy otherwise than IAM's documentation says; nothing if nobody knows.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    written = [
        (operator, json.dumps(keys))
        for statement in policy["Statement"]
        for operator, keys in statement.get("Condition", {}).items()
    ]
    # In that version `${…}` is text. The library does not look at the version.
    if policy["Version"] != "2012-10-17" and any("${" in values for _, values in written):
        return "variables in a policy of 2008-10-17"
    # A variable without a value equals nothing, so that a negated operator is met. To the library none is.
    if any("Not" in operator and WITHOUT_VALUE.search(values) for operator, values in written):
        return "a variable without a value under a negated operator"
    if any("Equals" in operator and "${$}" in values for operator, values in written):
        return "${$} under StringEquals"
    return ""


def main(file: Path) -> int:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    said = [claimed(line) for line in lines]
    tokens = [
        [{**keys_of(claims), "aws:SourceIp": address} for _, claims, _ in of for address in ADDRESSES] for of in said
    ]
    answers = simulated(lines, tokens)
    counts, ours, explained = Counter[str](), [], Counter[str]()
    for line, of, asked, answered in zip(lines, said, tokens, answers, strict=True):
        policy, provider = line["policy"], line["provider"]
        own = [admits(policy, provider, keys) for keys in asked]
        for index, (name, claims, expected) in enumerate(of):
            counts[name] += 1
            counts[f"{name} {expected}"] += name == "token"
            pair = slice(2 * index, 2 * index + 2)
            if (found := verdict(own[pair])) != expected:
                ours.append(["documentation", name, expected, found, claims, policy])
            if (found := verdict(answered[pair])) != expected:
                if why := explanation(policy):
                    explained[why] += 1
                else:
                    ours.append(["iam-simulate", name, expected, found, claims, policy])
    print(f"{len(lines)} policies; " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count))
    print(f"evaluated otherwise: {len(ours)}; by the library alone, explained: {dict(explained)}")
    for one in ours[:5]:
        print(json.dumps(one))
    return 1 if ours or not counts["token admitted"] else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(Path(sys.argv[1])))
