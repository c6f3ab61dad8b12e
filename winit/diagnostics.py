"""What did happen: the signal and the gradient measured layer by layer in one pass each way.

Weights, data and targets that are not finite are errors. What overflows on its way is a finding: it
is measured as inf or nan, without a warning.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks, activations, network
from winit._checks import RNG
from winit.network import ActivationLike, Array, LossFunction, Params

FLAT = 0.05  # a unit whose slope is below this share of the steepest hardly learns: |tanh| > 0.975
DEAD = 1e-3  # below this for every example it does not learn at all


def second_moment(values: ArrayLike) -> float:
    """The mean of the squares, in float64 whatever the dtype; inf or nan if a value is.

    Raises
    ------
    ValueError, TypeError
        No values, or none that are real numbers.
    """
    wide = _checks.array(values, "values", dtype=np.dtype(np.float64), finite=False)
    with np.errstate(all="ignore"):
        return float(np.mean(np.square(wide)))


def steepest(activation: ActivationLike) -> float:
    """The steepest slope on [-10, 10], up or down: the steepest anywhere, for these functions.

    Raises
    ------
    ValueError, TypeError
        No activation, or one that has no finite slope there.
    """
    phi, grid = activations.get(activation), np.linspace(-10, 10, 4001)
    with np.errstate(all="ignore"):
        slopes = np.abs(network._slope(phi, grid))
    if not np.isfinite(slopes).any():
        raise ValueError(f"activation must have a slope on [-10, 10], got {_checks.shown(phi)}")
    return float(slopes[~np.isnan(slopes)].max())


def distinct_units(values: ArrayLike, tolerance: float = 1e-9) -> int:
    """How many columns of `values` (examples, units) differ, up to `tolerance` times the largest.

    1 means that all units of the layer compute the same: the symmetry that no gradient breaks. The
    tolerance is never finer than 100 roundings of the values' dtype.

    Raises
    ------
    ValueError, TypeError
        Anything but finite real numbers in rows and columns; a negative tolerance.
    """
    tolerance = _checks.number(tolerance, "tolerance", minimum=0.0)
    given = _checks.array(values, "values", axes=2)
    tolerance = max(tolerance, 100 * float(np.spacing(given.dtype.type(1))))
    wide = _checks.array(given, "values", dtype=np.dtype(np.float64))
    with np.errstate(all="ignore"):
        # Division by a power of two rounds nothing, and afterwards no difference overflows.
        wide = np.ldexp(wide, -np.frexp(np.abs(wide).max())[1])
        # Equal columns have equal sums under any weights, so sorting by one such sum brings them
        # together: comparing neighbors is enough.
        order = np.argsort(np.cos(np.arange(len(wide))) @ wide)
        steps = np.abs(np.diff(wide[:, order], axis=1)).max(axis=0)
        return 1 + int((steps > tolerance * np.abs(wide).max()).sum())


@dataclass(frozen=True)
class LayerReport:
    """One layer's numbers.

    `q` is the second moment of the pre-activations z; `second_moment`, `mean` and `std` are those
    of the activations, which in the last, linear, layer are z itself.

    `saturated` is the share of entries whose slope is below 5 % of the steepest (for ReLU: the
    share of zeros, of which half is healthy), `dead` the units flat for every example, `distinct`
    the units that differ: these three are nan where z has overflowed. `gradient` is the second
    moment of the loss's gradient at z, and `weight_gradient` the norm of its gradient at W.
    """

    layer: int
    units: int
    q: float
    second_moment: float
    mean: float
    std: float
    saturated: float
    dead: float
    distinct: float
    gradient: float
    weight_gradient: float

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, numbers.Real):
                raise TypeError(f"{entry.name} must be a number, got {_checks.shown(value)}")


@dataclass(frozen=True)
class Report:
    """The layers' numbers, first layer first; ``report.q`` and the like are arrays by layer.

    `loss` is None when the gradient was random, `singular_values` None unless asked for.
    """

    activation: str
    layers: list[LayerReport]
    loss: float | None = None
    singular_values: Array | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list) or not all(
            isinstance(layer, LayerReport) for layer in self.layers
        ):
            raise TypeError(
                f"layers must be a list of LayerReport, got {_checks.shown(self.layers)}"
            )

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name in LayerReport.__dataclass_fields__:
            return np.array([getattr(layer, name) for layer in self.layers])
        raise AttributeError(f"Report has no attribute {name!r}")

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        lines = [
            "layer units         q    E a^2      mean       std  saturated  dead  "
            "distinct  gradient^2    |dW|"
        ]
        for s in self.layers:
            lines.append(
                f"{s.layer:5.0f} {s.units:5.0f} {s.q:9.3g}{s.second_moment:9.3g} {s.mean:9.3g} "
                f"{s.std:9.3g} {s.saturated:10.1%} {s.dead:5.0f} {s.distinct:9.0f} "
                f"{s.gradient:11.3g} {s.weight_gradient:7.2g}"
            )
        return "\n".join(lines)


def diagnose(
    params: Params,
    x: ArrayLike,
    target: ArrayLike | None = None,
    *,
    activation: ActivationLike = "relu",
    loss: str | LossFunction = "softmax_cross_entropy",
    jacobian: bool = False,
    rng: RNG = None,
) -> Report:
    """Send a batch through and a gradient back; return each layer's numbers.

    Parameters
    ----------
    params : dict
        Their dtype is that of all that is computed.
    x : array, shape (examples, inputs)
    target : labels or values for `loss`
        Without it the gradient that goes back is drawn from N(0, 1), which shows the same growth
        or decay without data.
    jacobian : bool
        Also compute the singular values of d output / d x at the first example.

    Raises
    ------
    ValueError, TypeError
        Parameters, data or targets that do not fit, are empty or not finite; an unknown loss or
        activation, or a loss whose gradient is not finite although the output is.
    """
    loss_function, draws = network.get_loss(loss), _checks.as_rng(rng)
    wants_jacobian = _checks.flag(jacobian, "jacobian")
    phi = activations.get(activation)
    checked = network._checked(params, finite=True)
    data = network._examples(x, checked)
    if not len(data):
        raise ValueError(f"x must hold at least one example, got shape {data.shape}")
    with np.errstate(all="ignore"):  # what overflows is measured as inf or nan
        trace = network._forward(checked, data, phi)
        value: float | None = None
        if target is None:
            drawn: Array = draws.standard_normal(trace.output.shape)
            output_gradient = drawn.astype(data.dtype, copy=False)
        else:
            targets = network._numbers(target)
            value, output_gradient = network._evaluate(loss_function, trace.output, targets)
            sound = not np.isnan(value) and np.isfinite(output_gradient).all()
            if not sound and np.isfinite(trace.output).all():
                raise ValueError("loss must return a finite gradient where the output is finite")
        gradients = network._backward(checked, trace, output_gradient)
        top = steepest(phi)
        layers = [
            _layer(i, trace, delta, gradients.params[f"W{i}"], top)
            for i, delta in enumerate(gradients.z, start=1)
        ]
        spectrum = _singular_values(_jacobian(checked, data[0], phi)) if wants_jacobian else None
    return Report(phi.name, layers, value, spectrum)


def _layer(
    i: int, trace: network.Trace, delta: Array, weight_gradient: Array, top: float
) -> LayerReport:
    """The numbers of layer i, counted from 1; `top` is the steepest slope of its activation."""
    z, last = trace.z[i - 1], i == len(trace.z)
    a = z if last else trace.a[i]
    slope = np.ones_like(z) if last else np.abs(network._slope(trace.activation, z))
    if not last and top > 0:  # a constant function is flat everywhere
        slope = slope / top
    known = bool(np.isfinite(z).all() and not np.isnan(slope).any())
    return LayerReport(
        layer=i,
        units=z.shape[1],
        q=second_moment(z),
        second_moment=second_moment(a),
        mean=float(np.mean(a, dtype=np.float64)),
        std=float(np.std(a, dtype=np.float64)),
        saturated=float(np.mean(slope < FLAT)) if known else np.nan,
        dead=int((slope < DEAD).all(axis=0).sum()) if known else np.nan,
        distinct=distinct_units(z) if known else np.nan,
        gradient=second_moment(delta),
        weight_gradient=network._norm([weight_gradient]),
    )


def jacobian(params: Params, x: ArrayLike, activation: ActivationLike = "relu") -> Array:
    r"""d output / d x at one example: :math:`J = W_L D_{L-1} W_{L-1} \cdots D_1 W_1`.

    :math:`D_l` holds the slopes :math:`\varphi'(z_l)` on its diagonal.

    Parameters
    ----------
    params : dict
        Their dtype is the result's.
    x : array, shape (inputs,)

    Returns
    -------
    array, shape (outputs, inputs)

    Raises
    ------
    ValueError, TypeError
        Parameters or an example that do not fit or are not finite; more than one example.

    Source: Saxe et al. 2013, section 3; Pennington et al. 2017, eq. 2.
    """
    phi = activations.get(activation)
    checked = network._checked(params, finite=True)
    example = _checks.array(x, "x", dtype=checked["W1"].dtype, finite=False)
    if example.ndim != 1:
        raise ValueError(
            f"the Jacobian is that of one example: x must have 1 axis, got {example.ndim}"
        )
    return _jacobian(checked, network._examples(example[None, :], checked)[0], phi)


@np.errstate(all="ignore")  # what overflows is inf or nan in the matrix
def _jacobian(params: Params, example: Array, phi: activations.Activation) -> Array:
    product, trace = params["W1"], network._forward(params, example[None, :], phi)
    for i, z in enumerate(trace.z[:-1], start=2):
        slope = network._slope(phi, z[0])
        product = params[f"W{i}"] @ (slope[:, None] * product)
    return product.astype(example.dtype)


def jacobian_singular_values(
    params: Params, x: ArrayLike, activation: ActivationLike = "relu"
) -> Array:
    """The singular values of `jacobian`, largest first: by how much small changes of x grow.

    Those of a Jacobian that has overflowed are nan. They come in float32 or float64.

    Raises
    ------
    ValueError, TypeError
        As `jacobian`.
    """
    return _singular_values(jacobian(params, x, activation))


@np.errstate(all="ignore")
def _singular_values(matrix: Array) -> Array:
    # LAPACK knows two floating dtypes
    wide = matrix if matrix.dtype == np.float32 else matrix.astype(np.float64)
    if not np.isfinite(wide).all():
        return np.full(min(wide.shape), np.nan, wide.dtype)
    singular: Array = np.linalg.svd(wide, compute_uv=False)
    return singular
