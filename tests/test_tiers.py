"""The values of every day and those of the long tier are all values."""

from __future__ import annotations

import pytest
from tiers import some


@pytest.mark.parametrize(("every", "first"), [(1, 0), (3, 0), (3, 2)])
def test_each_value_is_of_one_tier(every: int, first: int) -> None:
    values = [(f"page {i}", i) for i in range(7)]
    made = some(values, every, first)
    assert [param.values for param in made] == values
    daily = [param.values for param in made if not param.marks]
    assert daily == values[first::every]
    assert all(param.marks in ([], [pytest.mark.long]) for param in made)
    assert [param.values for param in some("ab", every)] == [("a",), ("b",)]
