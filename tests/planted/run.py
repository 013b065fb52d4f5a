#!/usr/bin/env python3
"""Plants one bug after the other and asks the tests to find it.

Each patch beside this file is one bug. It is planted in a work tree of its own, the tests are run there until the first
one fails, and that one has found it. Exits with 1 if a bug survives or a patch no longer fits the sources.

    run.py            all of them; what found which goes into docs/reliability.md
    run.py 04 nothing those whose names contain one of these

A patch is read as text: of each hunk the lines that are there are looked for, at first with all its context, then with
less and less of it, and wherever they stand. So an edit nearby does not break it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TREE = PROJECT / "target" / "planted"
PAGE = PROJECT / "docs" / "reliability.md"
BEGIN, END = "<!-- The planted bugs, as tests/planted/run.py found them. -->\n", "<!-- The end of the planted bugs. -->\n"
# The dependencies are those of the project's own build; only this crate is built anew, and without optimisation.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
CARGO = [
    "cargo", "test", "--locked", "--config", "profile.dev.package.github-trust.opt-level=0", "--lib", "--test", "suite",
]  # fmt: skip
# Fewer lifecycles than in a run of their own: a bug that only they can find is one that wants a test by itself.
FEW = {"N": "50", "FUZZ_EXECUTIONS": "2000", "INSTA_UPDATE": "no", "INSTA_FORCE_PASS": "0", "RUST_BACKTRACE": "0"}
LIMIT = 1200


class Misfit(Exception):
    """A patch does not fit the sources any more."""


def git(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=cwd, text=True, capture_output=True, check=False)


def plant_tree() -> None:
    """A work tree of what is committed, and over it what is not."""
    uproot_tree()
    added = git("worktree", "add", "--detach", str(TREE), "HEAD")
    if added.returncode:
        sys.exit(added.stderr)
    changes = git("diff", "--binary", "HEAD")
    if changes.stdout:
        applied = subprocess.run(
            ["git", "apply"], cwd=TREE, input=changes.stdout, text=True, capture_output=True, check=False
        )
        if applied.returncode:
            sys.exit(applied.stderr)
    # A test reads a catalogue from there.
    (TREE / ".venv").symlink_to(PROJECT / ".venv")
    # What the bugs are laid over, so that each can be taken back.
    git("add", "--all", cwd=TREE)


def uproot_tree() -> None:
    git("worktree", "remove", "--force", str(TREE))
    shutil.rmtree(TREE, ignore_errors=True)
    git("worktree", "prune")


def hunks(patch: Path) -> list[tuple[str, list[str]]]:
    """The file and the lines of each hunk."""
    found: list[tuple[str, list[str]]] = []
    name = ""
    for line in patch.read_text().splitlines():
        if line.startswith("+++ b/"):
            name = line.removeprefix("+++ b/")
        elif line.startswith("@@"):
            found.append((name, []))
        elif found and line[:1] in {" ", "-", "+"} and not line.startswith("---"):
            found[-1][1].append(line)
    return found


def planted(text: str, lines: list[str]) -> str:
    """The text with a hunk applied to the only place where it fits."""
    while True:
        old = "".join(line[1:] + "\n" for line in lines if line[0] != "+")
        new = "".join(line[1:] + "\n" for line in lines if line[0] != "-")
        if old and text.count(old) == 1:
            return text.replace(old, new)
        if lines[-1][0] == " ":
            lines = lines[:-1]
        elif lines[0][0] == " ":
            lines = lines[1:]
        else:
            raise Misfit(f"these lines are there {text.count(old) if old else 0} times:\n{old}")


def plant(patch: Path) -> None:
    for name, lines in hunks(patch):
        path = TREE / name
        if not path.exists():
            raise Misfit(f"{name} is not there")
        try:
            path.write_text(planted(path.read_text(), lines))
        except Misfit as misfit:
            raise Misfit(f"{name}: {misfit}") from None


def first_failure() -> tuple[str, str]:
    """How a run of the tests ended, and the test that failed first."""
    environment = {**os.environ, **FEW, "CARGO_TARGET_DIR": str(TARGET)}
    # A group of its own, so that a test that never ends goes with cargo.
    run = subprocess.Popen(
        CARGO, cwd=TREE, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    ended_late = threading.Event()

    def end() -> None:
        ended_late.set()
        stop()

    def stop() -> None:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)

    clock = threading.Timer(LIMIT, end)
    clock.start()
    said = []
    try:
        for line in run.stdout or []:
            said.append(line)
            failed = re.match(r"test (\S+)(?: - should panic)? \.\.\. FAILED", line)
            if failed:
                stop()
                return "failed", failed[1]
    finally:
        clock.cancel()
        stop()
        run.wait()
    if ended_late.is_set():
        return f"did not end within {LIMIT} s", ""
    if run.returncode:
        return "could not be run:\n" + "".join(said[-30:]), ""
    return "passed", ""


def chosen(names: list[str]) -> list[Path]:
    patches = sorted(HERE.glob("*.patch"))
    return [patch for patch in patches if not names or any(name in patch.stem for name in names)]


def found(patch: Path) -> str:
    """The test that finds a bug, or nothing."""
    what = patch.read_text().splitlines()[0]
    print(f"{patch.stem}: {what}", flush=True)
    try:
        plant(patch)
    except Misfit as misfit:
        print(f"    the patch no longer fits the sources, so write it anew. {misfit}", flush=True)
        git("checkout", "--", ".", cwd=TREE)
        return ""
    try:
        how, test = first_failure()
    finally:
        git("checkout", "--", ".", cwd=TREE)
    print(f"    found by {test}" if test else f"    NOT FOUND: the tests {how}", flush=True)
    return test


def write_down(results: list[tuple[Path, str]]) -> None:
    rows = [
        f"| {patch.stem.split('-')[0]} | {patch.read_text().splitlines()[0]} | {f'`{test}`' if test else '**not found**'} |\n"
        for patch, test in results
    ]
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}| # | bug | found first by |\n|---|---|---|\n{''.join(rows)}{END}{after}")


def main(names: list[str]) -> int:
    patches = chosen(names)
    if not patches:
        sys.exit("no patch has such a name")
    plant_tree()
    try:
        how, test = first_failure()
        if how != "passed":
            sys.exit(f"without any bug the tests {how} {test}")
        results = [(patch, found(patch)) for patch in patches]
    finally:
        uproot_tree()
    survivors = [patch.stem for patch, test in results if not test]
    print(f"{len(patches) - len(survivors)} of {len(patches)} bugs were found")
    if not names:
        write_down(results)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
