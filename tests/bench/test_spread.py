"""The arithmetic of `make bench`."""

from __future__ import annotations

import pytest

from spread import Spread, depth, orders


def test_quartiles_lie_between_the_values_in_proportion() -> None:
    assert Spread.of([4, 1, 3, 2]) == Spread(1.75, 2.5, 3.25)
    assert Spread.of([5, 1, 3]) == Spread(2, 3, 4)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_there_is_no_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_a_spread_is_written_unless_there_is_none() -> None:
    assert Spread(4.94, 5.1, 5.55).written(1) == "5.1 (4.9–5.5)"
    assert Spread(1234.4, 1234.5, 1300).written(0) == "1,234 (1,234–1,300)"
    assert Spread(2.01, 2.02, 2.03).written(1) == "2.0"


def test_every_other_round_goes_the_other_way() -> None:
    assert orders(["a", "b", "c"], 3) == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], 0),
        ([(0, 1), (1, 2), (2, 3)], 3),
        ([(0, 3), (1, 2), (2, 4)], 2),
        ([(0, 9), (1, 8), (2, 7)], 1),
        # A long one beside two short ones is no part of the longest chain.
        ([(0, 10), (0, 1), (2, 3), (10, 11)], 3),
    ],
)
def test_the_longest_chain_is_of_calls_of_which_none_overlaps_another(
    calls: list[tuple[float, float]], expected: int
) -> None:
    assert depth(calls) == expected
