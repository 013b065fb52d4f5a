"""What guards against getting slower and larger: figures that come out the same each time, compared with those in
figures.json.

    python tests/bench/figures.py --bootstrap target/lambda/bootstrap/bootstrap

`make figures` builds the binary and writes them anew; `make test` compares (tests/local_aws/test_figures.py).

# How much they may grow
Instructions are counted by valgrind, so what else the machine does is of no account. What differs from run to run are
keys and signatures, the seeds of hash tables, and what arrives in one piece. In ten runs each, the counts of the cold
path lay within 0.03 % of each other and those of a cold and a warm request within 0.04 %, so that the difference of the
two lies within 0.2 %. The tolerance of 1 % is five times that, and less than one more verification of a signature on
the cold path. Another compiler makes other code of the same source: then 5 %. A package is tolerated as much, though
with one compiler it does not vary. One crate more is a decision (CONTRIBUTING.md).
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cargo import services_program
from cold_path import count
from functions import ours
from measure import ROOT, Failed, Services

sys.path.insert(0, str(ROOT / "bundle"))

from crates import linked
from pack import zipped

COMMITTED = Path(__file__).resolve().parent / "figures.json"
# They are those of this architecture, which is the one that most people build on.
ARCHITECTURE = "x86_64"
TOLERANCE, WITH_ANOTHER_COMPILER = 0.01, 0.05
WITHOUT_VALGRIND = "instruction counts were not compared: there is no valgrind on the PATH"
_TIMES = 3


@dataclass(frozen=True)
class Figures:
    """What is compared. Without valgrind there are no instructions."""

    compiler: str
    cold_instructions: int | None
    warm_instructions: int | None
    package_bytes: int
    crates: int


def committed() -> Figures:
    return Figures(**json.loads(COMMITTED.read_text()))


def measured(bootstrap: Path) -> Figures:
    cold, warm = _instructions(bootstrap) if shutil.which("valgrind") else (None, None)
    package = len(zipped({"bootstrap": bootstrap.read_bytes()}, executable=True))
    return Figures(_compiler(), cold, warm, package, len(linked(ARCHITECTURE)))


def can_be_compared() -> bool:
    """Whether this machine runs what the figures are of."""
    return platform.machine() == ARCHITECTURE


def grown(before: Figures, now: Figures) -> list[str]:
    """What is worse than it may be, one sentence each."""
    return [
        f"{name} went from {old:,} to {new:,} ({new / old - 1:+.1%}, and {tolerance:.0%} is tolerated): find out why, "
        "or say in the change what it is worth, and run `make figures`"
        for name, old, new, tolerance in _compared(before, now)
        if new > old * (1 + tolerance)
    ]


def shrunk(before: Figures, now: Figures) -> list[str]:
    """What is so much better that the next growth would go unnoticed."""
    return [
        f"{name} went from {old:,} to {new:,} ({new / old - 1:+.1%}): run `make figures`, so that it stays there"
        for name, old, new, tolerance in _compared(before, now)
        if new < old * (1 - tolerance)
    ]


def _compared(before: Figures, now: Figures) -> list[tuple[str, int, int, float]]:
    tolerance = TOLERANCE if before.compiler == now.compiler else WITH_ANOTHER_COMPILER
    found = [
        ("cold_instructions", before.cold_instructions, now.cold_instructions, tolerance),
        ("warm_instructions", before.warm_instructions, now.warm_instructions, tolerance),
        ("package_bytes", before.package_bytes, now.package_bytes, tolerance),
        ("crates", before.crates, now.crates, 0.0),
    ]
    return [(name, old, new, share) for name, old, new, share in found if old is not None and new is not None]


def _instructions(bootstrap: Path) -> tuple[int, int]:
    """Of a start with one request, and of a second one: medians."""
    # Any port will do: nobody else is measured.
    with Services(services_program(), port=0) as services:
        function = ours(services, bootstrap, SSL_CERT_FILE=services.places["made_up_bundle"])
        out = services.directory / "callgrind.out"
        sums = {
            requests: statistics.median_low([count(services, function, out, requests) for _ in range(_TIMES)])
            for requests in (1, 2)
        }
    return sums[1], sums[2] - sums[1]


def _compiler() -> str:
    shown = subprocess.run(["rustc", "--version"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return " ".join(shown.split()[:2])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Writes figures.json anew.")
    parser.add_argument("--bootstrap", required=True, type=Path, help="the release binary")
    options = parser.parse_args(arguments)
    try:
        now = measured(options.bootstrap.resolve())
    except Failed as error:
        return _fail(str(error))
    if now.cold_instructions is None:
        return _fail("there is no valgrind on the PATH, and without it the figures are not complete")
    before = committed() if COMMITTED.is_file() else None
    COMMITTED.write_text(json.dumps(asdict(now), indent=2) + "\n")
    print(_written(before, now))
    return 0


def _written(before: Figures | None, now: Figures) -> str:
    old: Mapping[str, object] = asdict(before) if before else {}
    return "\n".join(f"{name}: {old.get(name, 'nothing')} -> {value}" for name, value in asdict(now).items())


def _fail(message: str) -> int:
    print(f"tests/bench/figures.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
