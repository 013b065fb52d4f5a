#!/usr/bin/env python3
"""Plants one bug after the other and asks the tests to find it.

Each patch beside this file is one bug. It is applied in a work tree of its own, the tests are run there, and the bug has
been found if one of them fails. Exits with 1 if a bug survives or a patch no longer applies.

    run.py            all of them
    run.py 04 nothing those whose names contain one of these
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TREE = PROJECT / "target" / "planted"
# The dependencies are those of the project's own build; only this crate is built anew, and without optimisation.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
CARGO = ["cargo", "test", "--locked", "--no-fail-fast", "--lib", "--test", "suite"]
UNOPTIMISED = ["--config", "profile.dev.package.github-trust.opt-level=0"]
# Fewer lifecycles than in a run of their own: a bug that only they can find is one that wants a test by itself.
FEW = {"N": "50", "FUZZ_EXECUTIONS": "2000", "INSTA_UPDATE": "no", "INSTA_FORCE_PASS": "0", "RUST_BACKTRACE": "0"}
LIMIT = 1200


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
    # What the patches are laid over, so that each can be taken back.
    git("add", "--all", cwd=TREE)


def uproot_tree() -> None:
    git("worktree", "remove", "--force", str(TREE))
    shutil.rmtree(TREE, ignore_errors=True)
    git("worktree", "prune")


def failing_tests() -> tuple[str, list[str]]:
    """How a run of all tests ended, and the tests that failed in it."""
    environment = {**os.environ, **FEW, "CARGO_TARGET_DIR": str(TARGET)}
    command = [CARGO[0], *UNOPTIMISED, *CARGO[1:]]
    # A group of its own, so that a test that never ends goes with cargo.
    run = subprocess.Popen(
        command, cwd=TREE, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = run.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        return f"did not end within {LIMIT} s", []
    failed = sorted(set(re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED$", stdout, re.MULTILINE)))
    if run.returncode == 0:
        return "passed", []
    if not failed:
        return "could not be run:\n" + "\n".join(stderr.splitlines()[-30:]), []
    return "failed", failed


def chosen(names: list[str]) -> list[Path]:
    patches = sorted(HERE.glob("*.patch"))
    return [patch for patch in patches if not names or any(name in patch.stem for name in names)]


def main(names: list[str]) -> int:
    patches = chosen(names)
    if not patches:
        sys.exit("no patch has such a name")
    plant_tree()
    try:
        how, failed = failing_tests()
        if how != "passed":
            sys.exit(f"without any bug the tests {how} {' '.join(failed)}")
        survivors = [patch.stem for patch in patches if not found(patch)]
    finally:
        uproot_tree()
    print(f"{len(patches) - len(survivors)} of {len(patches)} bugs were found")
    for survivor in survivors:
        print(f"NOT FOUND: {survivor}")
    return 1 if survivors else 0


def found(patch: Path) -> bool:
    what = patch.read_text().splitlines()[0]
    applied = git("apply", str(patch), cwd=TREE)
    if applied.returncode:
        print(f"{patch.stem}: does not apply\n{applied.stderr}", flush=True)
        return False
    try:
        how, failed = failing_tests()
    finally:
        git("checkout", "--", ".", cwd=TREE)
    print(f"{patch.stem}: {what}", flush=True)
    if failed:
        print(f"    found by {len(failed)}: {', '.join(failed)}", flush=True)
    else:
        print(f"    the tests {how}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
