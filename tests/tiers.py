"""What of a parametrized test runs every day, and what in `make test-long` alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """All values as parameters; those but every `every`-th, from the `first`, are marked long.

    Tests that share a list begin at different values, so that each is met by some of them each day.
    """
    marks = [[] if i % every == first else [pytest.mark.long] for i in range(every)]
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=marks[i % every])
        for i, value in enumerate(values)
    ]
