"""What did happen: the signal and the gradient measured layer by layer in one pass each way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks, activations, network
from winit._checks import RNG
from winit.network import ActivationLike, Array, LossFunction, Params

FLAT = 0.05  # a unit whose slope is below this share of the steepest hardly learns: |tanh| > 0.975
DEAD = 1e-3  # below this for every example it does not learn at all


def second_moment(values: ArrayLike) -> float:
    """The mean of the squares, in float64 whatever the dtype."""
    return float(np.mean(np.square(np.asarray(values, dtype=np.float64))))


def steepest(activation: ActivationLike) -> float:
    """The steepest slope on [-10, 10], up or down: the steepest anywhere, for these functions."""
    return float(np.abs(activations.get(activation).derivative(np.linspace(-10, 10, 4001))).max())


def distinct_units(values: ArrayLike, tolerance: float = 1e-9) -> int:
    """How many columns of `values` (examples, units) differ, up to `tolerance` times the largest.

    1 means that all units of the layer compute the same: the symmetry that no gradient breaks. The
    tolerance is never finer than 100 roundings of the values' dtype.
    """
    values = np.asarray(values)
    if values.dtype.kind == "f":
        tolerance = max(tolerance, 100 * float(np.finfo(values.dtype).eps))
    values = values.astype(np.float64)
    # Equal columns have equal sums under any weights, so sorting by one such sum brings them
    # together: comparing neighbours is enough.
    order = np.argsort(np.cos(np.arange(len(values))) @ values)
    steps = np.abs(np.diff(values[:, order], axis=1)).max(axis=0)
    return 1 + int((steps > tolerance * np.abs(values).max()).sum())


@dataclass(frozen=True)
class LayerReport:
    """One layer's numbers.

    `q` is the second moment of the pre-activations z; `second_moment`, `mean` and `std` are those
    of the activations, which in the last, linear, layer are z itself.

    `saturated` is the share of entries whose slope is below 5 % of the steepest (for ReLU: the
    share of zeros, of which half is healthy), `dead` the units flat for every example, `distinct`
    the units that differ. `gradient` is the second moment of the loss's gradient at z, and
    `weight_gradient` the norm of its gradient at W.
    """

    layer: int
    units: int
    q: float
    second_moment: float
    mean: float
    std: float
    saturated: float
    dead: int
    distinct: int
    gradient: float
    weight_gradient: float


@dataclass(frozen=True)
class Report:
    """The layers' numbers, first layer first; ``report.q`` and the like are arrays by layer.

    `loss` is None when the gradient was random, `singular_values` None unless asked for.
    """

    activation: str
    layers: list[LayerReport]
    loss: float | None = None
    singular_values: Array | None = None

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
                f"{s.layer:5d} {s.units:5d} {s.q:9.3g}{s.second_moment:9.3g} {s.mean:9.3g} "
                f"{s.std:9.3g} {s.saturated:10.1%} {s.dead:5d} {s.distinct:9d} {s.gradient:11.3g} "
                f"{s.weight_gradient:7.2g}"
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
    x : array, shape (examples, inputs)
    target : labels or values for `loss`
        Without it the gradient that goes back is drawn from N(0, 1), which shows the same growth
        or decay without data.
    jacobian : bool
        Also compute the singular values of d output / d x at the first example.

    Raises
    ------
    ValueError
        Data that do not fit, are empty or not finite; an unknown loss or activation.
    """
    x = np.asarray(x)
    if not x.size or not np.isfinite(x).all():
        raise ValueError(f"x must hold at least one example and finite values, got shape {x.shape}")
    loss_function, draws = network.get_loss(loss), _checks.as_rng(rng)
    trace = network.forward(params, x, activation)
    value: float | None = None
    output_gradient: Array
    if target is None:
        output_gradient = draws.standard_normal(trace.output.shape)
    else:
        value, output_gradient = loss_function(trace.output, target)
    gradients = network.backward(params, trace, output_gradient)
    top = steepest(trace.activation)
    layers = []
    for i, (z, delta) in enumerate(zip(trace.z, gradients.z, strict=True), start=1):
        last = i == len(trace.z)
        a = z if last else trace.a[i]
        slope = np.ones_like(z) if last else np.abs(trace.activation.derivative(z)) / top
        layers.append(
            LayerReport(
                layer=i,
                units=z.shape[1],
                q=second_moment(z),
                second_moment=second_moment(a),
                mean=float(np.mean(a, dtype=np.float64)),
                std=float(np.std(a, dtype=np.float64)),
                saturated=float(np.mean(slope < FLAT)),
                dead=int((slope < DEAD).all(axis=0).sum()),
                distinct=distinct_units(z),
                gradient=second_moment(delta),
                weight_gradient=float(np.linalg.norm(gradients.params[f"W{i}"])),
            )
        )
    spectrum = jacobian_singular_values(params, x[0], activation) if jacobian else None
    return Report(trace.activation.name, layers, value, spectrum)


def jacobian(params: Params, x: ArrayLike, activation: ActivationLike = "relu") -> Array:
    r"""d output / d x at one example: :math:`J = W_L D_{L-1} W_{L-1} \cdots D_1 W_1`.

    :math:`D_l` holds the slopes :math:`\varphi'(z_l)` on its diagonal.

    Parameters
    ----------
    x : array, shape (inputs,)

    Returns
    -------
    array, shape (outputs, inputs)

    Raises
    ------
    ValueError
        More than one example, or one of another width than W1 takes.

    Source: Saxe et al. 2013, section 3; Pennington et al. 2017, eq. 2.
    """
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError(f"the Jacobian is that of one example: x must have 1 axis, got {x.ndim}")
    trace = network.forward(params, x[None, :], activation)
    product: Array = params["W1"]
    for i, z in enumerate(trace.z[:-1], start=2):
        product = params[f"W{i}"] @ (trace.activation.derivative(z[0])[:, None] * product)
    return product


def jacobian_singular_values(
    params: Params, x: ArrayLike, activation: ActivationLike = "relu"
) -> Array:
    """The singular values of `jacobian`, largest first: by how much small changes of x grow."""
    singular: Array = np.linalg.svd(jacobian(params, x, activation), compute_uv=False)
    return singular
