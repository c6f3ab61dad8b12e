"""The rule itself, where `theory` reaches it only at its ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from winit import _quadrature

Array = NDArray[Any]


@pytest.mark.parametrize("period", [0.01, 1.0, 2 * math.pi, 1e6])
def test_a_wrapped_normal_is_uniform_beyond_nine_deviations(period: float) -> None:
    """exp(-std² / 2) of the first wave is 1e-16 at 8.6 of the period's radians, 4e-19 at 9.2."""
    radian = period / (2 * math.pi)
    assert _quadrature.is_uniform((9.21 * radian) ** 2, period)
    assert not _quadrature.is_uniform((9.19 * radian) ** 2, period)
    assert not _quadrature.is_uniform(1e300, None)


@pytest.mark.parametrize("function", [np.tanh, np.abs, np.exp])
def test_two_equal_inputs_differ_by_nothing(function: Any) -> None:
    """The gap vanishes, also in a product with a tiny q."""
    assert _quadrature.expect_pair(function, 1.0, 0.0, difference=True) == 0.0
    assert _quadrature.expect_pair(function, 1e-300, 1e-30, difference=True) == 0.0
    alike = _quadrature.expect_pair(function, 1.0, 0.0)
    assert alike == _quadrature.expect(lambda z: function(z) ** 2, 1.0)


@pytest.mark.parametrize("deviations", [0.1, 0.7, 1.3, 2.9])
@pytest.mark.parametrize("std", [1e-8, 1e-3, 1.0, 1e4, 1e8])
def test_a_jump_is_found_at_any_distance(std: float, deviations: float) -> None:
    """Panels shrink to the last digits of the place, wherever it lies."""
    place = std * deviations
    share = _quadrature.expect(lambda z: (z > place).astype(float), std**2)
    assert share == pytest.approx(stats.norm.sf(deviations), rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_the_rounding_of_the_values(dtype: type[np.floating[Any]]) -> None:
    """Rounding moves a value by up to eps / 2 of it: a few tenths of eps of the largest."""
    share = _quadrature.noise(lambda x: np.tanh(x).astype(dtype).astype(float))
    assert 1 / 20 < share / float(np.finfo(dtype).eps) < 1 / 2


def test_noise_is_none_of_what_bends_or_jumps() -> None:
    assert _quadrature.noise(lambda x: np.tanh(x) + 1e-4 * (x > -1.7)) < 1e-14
    assert _quadrature.noise(lambda x: np.sin(1e4 * x)) < 1e-9
