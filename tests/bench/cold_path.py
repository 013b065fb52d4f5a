"""What the cold path spends its instructions and its system calls on; written into docs/performance.md.

    python tests/bench/cold_path.py --bootstrap target/lambda/bootstrap/bootstrap

`make profile` builds the binary with its symbols first. Whole listings are left in target/profile.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import document
from cargo import services_program
from functions import event, ours, provider_events
from measure import ROOT, Failed, Function, Services, run

PLACE = ROOT / "target" / "profile"
# What takes part of the time and contains nothing of the others, by the functions that it is called through.
PARTS = {
    "signatures of certificates and handshakes are verified (P-256)": (r"webpki::signed_data::verify_signature",),
    "keys are exchanged in the handshakes (X25519)": (
        r"ring::ec::curve25519::x25519::x25519_ecdh",
        r"ring::ec::curve25519::x25519::x25519_public_from_private",
    ),
    "the public CAs are read": (r"github_trust::net::root_store::.*",),
    "the SDK makes its clients": (r"aws_sdk_\w+::client::Client::(new|from_conf)",),
    "the SDK serialises, signs, sends and reads calls": (r"aws_smithy_runtime::client::orchestrator::invoke.*",),
    "lines are logged": (r"tracing_core::event::Event::dispatch",),
    "the program is loaded and relocated": (r"_dl_start",),
}
_CALLS = 6
# Of `12,345 (1.23%)  /a/path/file.rs:function [binary]`.
_LINE = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+[^\s:]*:(.*?)(?: \[[^]]*\])?$")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Profiles the cold path.")
    parser.add_argument("--bootstrap", required=True, type=Path, help="a release binary with symbols")
    bootstrap = parser.parse_args(arguments).bootstrap.resolve()
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        # Any port will do: nobody else is measured.
        with Services(services_program(), port=0) as services:
            found = f"{_instructions(services, bootstrap)}\n\n{_system_calls(services, bootstrap)}"
    except Failed as error:
        print(f"tests/bench/cold_path.py: {error}", file=sys.stderr)
        return 1
    print(found)
    document.write(ROOT / "docs" / "performance.md", "profile", found)
    return 0


def count(services: Services, function: Function, out: Path, requests: int = 1) -> int:
    """How many instructions the function takes from its start until it asks for an event after so many requests."""
    services.renew()
    events = provider_events(services, requests)
    callgrind = under(function, _program("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}")
    # It writes what it has counted when a signal ends it that can be handled.
    run(services, callgrind, events, end=signal.SIGTERM)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.MULTILINE)
    if found is None:
        raise Failed(f"valgrind wrote no sum into {out}")
    return int(found[1])


def under(function: Function, *command: str) -> Function:
    """The same function, started by another program."""
    return dataclasses.replace(function, command=[*command, *function.command])


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Failed(f"there is no {name} on the PATH")
    return found


def _instructions(services: Services, bootstrap: Path) -> str:
    out = PLACE / "callgrind.out"
    total = count(services, ours(services, bootstrap), out)
    annotate = [_program("callgrind_annotate"), "--inclusive=yes", "--threshold=100", str(out)]
    listing = subprocess.run(annotate, check=True, capture_output=True, text=True).stdout
    (PLACE / "callgrind.txt").write_text(listing)
    shares = {part: cost / total for part, cost in parts(inclusive(listing)).items()}
    shares["all else: HTTP, JSON, the decisions, memory"] = 1 - sum(shares.values())
    rows = [[f"{share:.1%}", part] for part, share in sorted(shares.items(), key=lambda one: -one[1]) if share > 0]
    table = "\n".join(["| share | while |", "| ---: | --- |", *(f"| {share} | {part} |" for share, part in rows)])
    return f"{total / 1e6:.1f} million instructions from the start until the next event is asked for:\n\n{table}"


def inclusive(listing: str) -> dict[str, int]:
    """What each function took with all that it called. One that was inlined stands there once for each file that its
    parts came from; the largest is all of it."""
    costs: dict[str, int] = {}
    for line in listing.splitlines():
        if found := _LINE.match(line):
            costs[found[2]] = max(int(found[1].replace(",", "")), costs.get(found[2], 0))
    return costs


def parts(costs: Mapping[str, int]) -> dict[str, int]:
    """What the parts took. A function whose parts match as well (`f::{{closure}}`) counts once, with the most."""
    found = {}
    for part, patterns in PARTS.items():
        most: dict[str, int] = {}
        for pattern in patterns:
            for name, cost in costs.items():
                if matched := re.fullmatch(rf"({pattern})(?:::\{{\{{closure\}}\}})*", name):
                    key = pattern if pattern.endswith(".*") else matched[1]
                    most[key] = max(cost, most.get(key, 0))
        found[part] = sum(most.values())
    return found


def _system_calls(services: Services, bootstrap: Path) -> str:
    for name, flags in (("strace.txt", ["-f", "-r"]), ("strace-counts.txt", ["-f", "-c", "-S", "calls"])):
        services.renew()
        # strace ends when what it traces has been ended.
        traced = under(ours(services, bootstrap), _program("strace"), *flags, "-o", str(PLACE / name))
        run(services, traced, [event(services, "oidc-provider-create")], end=signal.SIGTERM)
    # `12.3  0.000123  4  56  [errors]  read`
    lines = [line.split() for line in (PLACE / "strace-counts.txt").read_text().splitlines()[2:]]
    counts = [(line[-1], int(line[3])) for line in lines if len(line) > 4 and line[3].isdigit()]
    total = next(number for name, number in counts if name == "total")
    most = ", ".join(f"{name} {number}" for name, number in counts[:_CALLS])
    return f"{total} system calls; most often {most}."


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
