"""Measures the function beside what people use instead, and writes the tables of docs/performance.md and its picture.

    python tests/bench/bench.py --bootstrap target/lambda/bootstrap/bootstrap --rounds 15

`make bench` builds everything first. All are measured in one run, one after the other in each round, every other round
in the reverse order, so that what else the machine does strikes all alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import document
import operations
import peers
import plot
import scheduled
from cargo import services_program
from functions import ours, provider_events
from measure import ROOT, Failed, Function, PortRefused, Run, Services, run
from spread import Spread, depth, orders

sys.path.insert(0, str(ROOT / "bundle"))

from pack import zipped

DOCUMENT = ROOT / "docs" / "performance.md"
BUNDLES = ROOT / "target" / "bundle"
PICTURE = ROOT / "docs" / "performance.svg"
OURS = "github-trust"
DELAY_MS = 50
# How often an operation is tried for its memory, and for its time with slow services.
_TIMES = 3
_ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


@dataclass(frozen=True)
class Measured:
    """One function with everything that was measured of it."""

    name: str
    runs: Sequence[Run]
    package: int

    def spread(self, quantity: Quantity) -> Spread:
        return Spread.of([quantity.of(run) for run in self.runs])


@dataclass(frozen=True)
class Quantity:
    """One row of the table."""

    title: str
    unit: str
    digits: int
    of: Callable[[Run], float]


def _megabytes(kibibytes: float) -> float:
    return kibibytes * 1024 / 1e6


TO_ANSWER = Quantity("start to first answer", "ms", 1, lambda run: run.answered[0].to_answer)
CPU = Quantity("CPU until the first answer", "ms", 1, lambda run: run.answered[0].cpu)
PEAK = Quantity("peak memory", "MB", 1, lambda run: _megabytes(run.peak))
QUANTITIES = (
    Quantity("start to first poll", "ms", 1, lambda run: run.to_poll),
    TO_ANSWER,
    Quantity("warm answer", "ms", 1, lambda run: run.answered[1].to_answer),
    CPU,
    PEAK,
)
# At most this part of the peer's: the quantity, the peer, the divisor.
RATIOS = ((TO_ANSWER, "CDK", 20), (TO_ANSWER, "crhelper", 45), (CPU, "CDK", 25))
PEAK_MB, PACKAGE_MB = 10.0, 3.5


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Measures the function beside its peers.")
    parser.add_argument("--bootstrap", required=True, type=Path, help="the release binary")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is started")
    parser.add_argument("--print", action="store_true", help="write nothing, print it")
    options = parser.parse_args(arguments)
    program = services_program()
    try:
        services = Services(program)
    except PortRefused as refused:
        print(refused, file=sys.stderr)
        services = Services(program, port=0)
    try:
        with services:
            report = _measure(services, options.bootstrap.resolve(), options.rounds)
    except Failed as error:
        print(f"tests/bench/bench.py: {error}", file=sys.stderr)
        return 1
    if options.print:
        for name, content in report.items():
            print(f"\n== {name}\n{content}")
    else:
        PICTURE.write_text(report.pop("picture"))
        for name, content in report.items():
            document.write(DOCUMENT, name, content)
        print(f"wrote {DOCUMENT.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")
    return 0


def _measure(services: Services, bootstrap: Path, rounds: int) -> dict[str, str]:
    """The content of each section, by its name."""
    others, missing = peers.all_of(services)
    for line in missing:
        print(line, file=sys.stderr)
    measured = _beside(services, bootstrap, others, rounds)
    print("the memory of every operation", flush=True)
    peaks = operations.peaks(services, bootstrap, _TIMES)
    print(f"with {DELAY_MS} ms a call", flush=True)
    slow = operations.slow(services, bootstrap, DELAY_MS, _TIMES)
    print("scheduled runs", flush=True)
    runs = scheduled.runs(services, bootstrap)
    versions = ", ".join(version for peer in others for version in peer.versions)
    return {
        "beside": "\n\n".join([_beside_table(measured), *missing, _where(rounds, versions)]),
        "bars": _bars_table(measured, peaks),
        "memory": _peaks_table(peaks),
        "slow": _slow_table(slow),
        "scheduled": _scheduled_table(runs),
        "picture": _picture(measured),
    }


def _beside(services: Services, bootstrap: Path, others: Sequence[peers.Peer], rounds: int) -> list[Measured]:
    functions: dict[str, Function] = {OURS: ours(services, bootstrap)}
    functions.update((peer.name, peer.function(services)) for peer in others)
    packages = {OURS: len(zipped({"bootstrap": bootstrap.read_bytes()}, executable=True))}
    packages.update((peer.name, len(zipped(peer.package))) for peer in others)
    runs: dict[str, list[Run]] = {name: [] for name in functions}
    for name in functions:
        # The first one reads everything from the disk, which Lambda has done before it starts the clock, too.
        _one(services, name, functions[name])
    for number, order in enumerate(orders(list(functions), rounds), start=1):
        print(f"round {number} of {rounds}", flush=True)
        for name in order:
            runs[name].append(_one(services, name, functions[name]))
    return [Measured(name, runs[name], packages[name]) for name in functions]


def _one(services: Services, name: str, function: Function) -> Run:
    services.renew()
    own = name == OURS
    events = provider_events(services, 2) if own else [peers.event_for(services, number) for number in (1, 2)]
    done = run(services, function, events)
    made = {answered.answer["PhysicalResourceId"] for answered in done.answered}
    if len(made) != len(events):
        raise Failed(f"{name}: {len(events)} events made {', '.join(made)}")
    return done


def _beside_table(measured: Sequence[Measured]) -> str:
    others = measured[1:]
    head = ["", *(one.name for one in measured), *(f"{one.name} ÷ {OURS}" for one in others)]
    rows = []
    for quantity in QUANTITIES:
        spreads = [one.spread(quantity) for one in measured]
        ratios = [f"{spread.median / spreads[0].median:,.1f}" for spread in spreads[1:]]
        written = [spread.written(quantity.digits) for spread in spreads]
        rows.append([f"{quantity.title}, {quantity.unit}", *written, *ratios])
    sizes = [f"{one.package / 1e6:,.3f}" for one in measured]
    rows.append(["package, zipped, MB", *sizes, *("" for _ in others)])
    return document.table(head, rows)


def _where(rounds: int, versions: str) -> str:
    describe = ["git", "describe", "--always", "--dirty=, changed", "--exclude=*"]
    commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True)
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split(" (")[0]
    parts = [
        f"Medians of {rounds} rounds, and the quartiles in parentheses",
        time.strftime("%Y-%m-%d", time.gmtime()),
        f"commit {commit.stdout.strip()}",
        f"{os.cpu_count()} × {_processor()}",
        f"Linux {platform.release()}",
        rustc,
        *([versions] if versions else []),
    ]
    return "; ".join(parts) + "."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return " ".join(name.split())


def _bars_table(measured: Sequence[Measured], peaks: Mapping[str, int]) -> str:
    own = measured[0]
    by_name = {one.name: one for one in measured}
    rows = []
    for quantity, peer, divisor in RATIOS:
        what = f"{quantity.title}, {peer} ÷ {OURS}"
        if peer in by_name:
            ratio = by_name[peer].spread(quantity).median / own.spread(quantity).median
            rows.append([what, f"at least {divisor}", f"{ratio:.1f}", _verdict(ratio >= divisor)])
        else:
            rows.append([what, f"at least {divisor}", "not measured", ""])
    peak = max(_megabytes(peak) for peak in peaks.values())
    rows.append(
        ["peak memory in any operation, MB", f"at most {PEAK_MB:.0f}", f"{peak:.1f}", _verdict(peak <= PEAK_MB)]
    )
    packages = {**_bundled(), _ARCHITECTURE: own.package}
    for architecture, size in packages.items():
        what, bar = f"package for {architecture}, zipped, MB", f"at most {PACKAGE_MB}"
        rows.append([what, bar, f"{size / 1e6:.2f}", _verdict(size / 1e6 <= PACKAGE_MB)])
    return document.table(["", "bar", "measured", ""], rows)


def _scheduled_table(runs: Sequence[scheduled.Scheduled]) -> str:
    head = ["providers", "roles", "entries", "of them stale", "calls", "peak memory, MB"]
    rows = []
    for one in runs:
        size = one.size
        numbers = (size.providers, size.roles, size.entries, size.stale_entries, one.calls)
        rows.append([*(f"{number:,}" for number in numbers), f"{_megabytes(one.peak):.1f}"])
    return document.table(head, rows)


def _bundled() -> dict[str, int]:
    """The sizes of packages for the other architecture, where `ARCHITECTURE=… make bundle` has left any."""
    found = {}
    for archive in sorted(BUNDLES.glob(f"{OURS}-*.zip")):
        architecture = archive.stem.rpartition("-")[2]
        with zipfile.ZipFile(archive) as files:
            found[architecture] = files.getinfo("function.zip").file_size
    return found


def _verdict(holds: bool) -> str:
    return "holds" if holds else "**does not hold**"


def _peaks_table(peaks: Mapping[str, int]) -> str:
    kinds = list(dict.fromkeys(name.rpartition(" ")[0] for name in peaks))
    requests = list(dict.fromkeys(name.rpartition(" ")[2] for name in peaks))
    rows = [[f"`{kind}`", *(f"{_megabytes(peaks[f'{kind} {request}']):.1f}" for request in requests)] for kind in kinds]
    return document.table(["peak memory, MB", *requests], rows)


def _slow_table(slow: Mapping[str, Sequence[Run]]) -> str:
    rows = []
    for kind, runs in slow.items():
        first = runs[0].answered[0]
        chain = depth([(call.began, call.ended) for call in first.calls])
        to_answer = Spread.of([run.answered[0].to_answer for run in runs]).median
        cells = [len(first.calls), chain, chain * DELAY_MS, f"{to_answer:.0f}", f"{to_answer - chain * DELAY_MS:.0f}"]
        rows.append([f"`{kind}`", *(str(cell) for cell in cells)])
    head = ["Create", "calls", "one after the other", f"× {DELAY_MS} ms", "start to answer, ms", "beyond that, ms"]
    return document.table(head, rows)


def _picture(measured: Sequence[Measured]) -> str:
    def panel(quantity: Quantity) -> plot.Panel:
        bars = [(one.name, one.spread(quantity)) for one in measured]
        return plot.Panel(quantity.title, quantity.unit, quantity.digits, bars)

    return plot.svg("An OIDC provider is created and CloudFormation answered", [panel(one) for one in QUANTITIES])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
