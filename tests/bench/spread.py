"""Medians, and how far the middle half of the runs lies around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The quartiles of what was measured."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if not values:
            raise ValueError("there is nothing to take a median of")
        ordered = sorted(values)
        return cls(*(_at(ordered, share) for share in (0.25, 0.5, 0.75)))

    def written(self, digits: int) -> str:
        """`5.1 (4.9–5.6)`, or the median alone where nothing was spread."""
        lower, median, upper = (f"{value:,.{digits}f}" for value in (self.lower, self.median, self.upper))
        return median if lower == upper else f"{median} ({lower}–{upper})"


def _at(ordered: Sequence[float], share: float) -> float:
    """Between two values in proportion: the definition that spreadsheets call inclusive."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def orders(names: Sequence[str], rounds: int) -> list[list[str]]:
    """The order of each round: every other one is reversed, so that nobody always comes after the same neighbour."""
    return [list(names) if index % 2 == 0 else list(reversed(names)) for index in range(rounds)]


def depth(calls: Sequence[tuple[float, float]]) -> int:
    """How many calls stand one after the other in the longest chain, given when each began and ended."""
    count, end = 0, float("-inf")
    for began, ended in sorted(calls, key=lambda call: call[1]):
        if began >= end:
            count, end = count + 1, ended
    return count
