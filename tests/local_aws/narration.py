"""How the demonstration tells what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from local_aws import LocalAwsError
from stack import Stack

# `with step("make a stack"):` is one line with its time.
Step = Callable[[str], contextlib.AbstractContextManager[None]]


def expect(stack: Stack, found: str, wanted: str) -> None:
    if found != wanted:
        reasons = "".join(f"\n  {logical_id}: {reason}" for logical_id, reason in stack.reasons().items())
        raise LocalAwsError(f"stack {stack.name} is {found}, not {wanted}:{reasons}")


def print_lines(lines: list[str]) -> None:
    for line in lines:
        print(f"    {line}")
