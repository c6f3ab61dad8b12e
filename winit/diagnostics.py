"""What did happen: the signal and the gradient measured layer by layer in one pass each way.

Weights, data and targets that are not finite are errors. What overflows on its way is a finding: it
is measured as inf or nan, without a warning.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks, activations, network
from winit._checks import RNG
from winit.network import ActivationLike, Array, LossFunction, Params, Rate

FLAT = 0.05  # a unit whose slope is below this share of the steepest hardly learns: |tanh| > 0.975
DEAD = 1e-3  # below this for every example it does not learn at all
WIDEST = 100_000  # units of a hidden layer in a coordinate check: more is a slip of the pen


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


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class CoordinateCheck:
    """The rms of each layer's z at the start, and of its change, by width.

    `start` and `change` have shape (widths, layers). The exponents are the slopes of their
    logarithms over that of the width, one for each layer: 0 where the width does not matter, 1
    where twice the width makes twice as much of it, nan where a number is 0 or not finite.
    """

    widths: list[int]
    start: Array
    change: Array

    def __post_init__(self) -> None:
        widths = _widths(self.widths)
        for name in ("start", "change"):
            values = _checks.array(getattr(self, name), name, axes=2, finite=False)
            if len(values) != len(widths) or not isinstance(getattr(self, name), np.ndarray):
                raise TypeError(
                    f"{name} must be an array with a row for each of {len(widths)} widths, "
                    f"got {_checks.shown(getattr(self, name))}"
                )

    @property
    def start_exponents(self) -> Array:
        """By which power of the width each layer's z grows at the start."""
        return _exponents(self.widths, self.start)

    @property
    def change_exponents(self) -> Array:
        """By which power of the width the change of each layer's z grows."""
        return _exponents(self.widths, self.change)

    def __repr__(self) -> str:
        lines = ["layer  rms of   " + "".join(f"{n:>9}" for n in self.widths) + "  exponent"]
        both = (("start", self.start), ("change", self.change))
        for what, values in both:
            for i, power in enumerate(_exponents(self.widths, values)):
                row = "".join(f"{value:9.3g}" for value in values[:, i])
                lines.append(f"{i + 1:5}  {what:9}{row}{power:+10.2f}")
        return "\n".join(lines)


def _widths(widths: object) -> list[int]:
    found = _checks.entries(widths, 100)
    if found is None or not 2 <= len(found) <= 100:
        raise TypeError(
            f"widths must be a list of 2 to 100 whole numbers, got {_checks.shown(widths)}"
        )
    sizes = [_checks.size(n, "each of widths", maximum=WIDEST) for n in found]
    if len(set(sizes)) < 2:
        raise ValueError(f"widths must hold at least two that differ, got {_checks.shown(sizes)}")
    return sizes


@np.errstate(all="ignore")  # the logarithm of 0, of inf and of nan
def _exponents(widths: Sequence[int], values: Array) -> Array:
    """The slope of log values over log widths, by column, least squares."""
    x, y = np.log(widths), np.log(values.astype(np.float64))
    x = x - x.mean()
    slopes: Array = np.where(np.isfinite(y).all(axis=0), x @ y / (x @ x), np.nan)
    return slopes


def coordinate_check(
    start: Callable[[int, Any], Params],
    x: ArrayLike,
    target: ArrayLike,
    *,
    widths: Sequence[int] = (64, 128, 256),
    learning_rate: Rate | Callable[[Params], Rate] = 0.001,
    optimizer: str = "adam",
    steps: int = 5,
    nets: int = 1,
    activation: ActivationLike = "relu",
    loss: str | LossFunction = "softmax_cross_entropy",
    rng: RNG = None,
) -> CoordinateCheck:
    r"""Train a network at several widths for a few steps, and measure how each layer's z changes.

    For each width the rms over examples, units and networks of :math:`z_l` at the start, and of
    :math:`z_l` after the steps less :math:`z_l` at the start. Each step takes all of `x`.

    Parameters
    ----------
    start : callable, ``start(width, rng)``
        Returns the parameters of a network of this width, such as
        ``winit.network.init_params([64, width, width, 10], winit.he_normal, rng)``.
    x : array, shape (examples, inputs), finite, at least one example
    target : labels or values for `loss`, one an example, finite
    widths : two to 100 whole numbers from 1 to 100000, at least two of them different
    learning_rate : as in `network.sgd`, or a function that makes it from the parameters
        For rates that depend on the layer and its width. It is given copies.
    optimizer : "adam" or "sgd", with its other settings as they are
    steps : how many steps to train
    nets : how many networks to draw at each width
    activation, loss : as in `network.sgd`
    rng : seed or generator that `start` draws from, one stream for all networks

    Returns
    -------
    CoordinateCheck
        Where training stopped, because something was not finite, the change is inf.

    Raises
    ------
    ValueError, TypeError
        Fewer than two widths; a function that fails, or returns no parameters (or no rates); what
        `network.sgd` and `network.adam` refuse. Whatever `start` raises comes as one of these,
        a MemoryError too.

    Source: Yang and Hu 2021; Yang et al. 2022 (Tensor Programs V), appendix D.1.
    """
    sizes, draws = _widths(widths), _checks.as_rng(rng)
    method = _checks.choice(optimizer, "optimizer", ("adam", "sgd"))
    train: Any = network.adam if method == "adam" else network.sgd
    steps, nets = _checks.size(steps, "steps"), _checks.size(nets, "nets")
    phi = activations.get(activation)
    start = _checks.function(start, "start")
    found: list[Array] = []
    for width in [width for width in sizes for _ in range(nets)]:
        params = _started(start, width, draws)
        rate: Any = learning_rate
        if callable(rate):
            copies = {name: value.copy() for name, value in params.items()}
            rate = network._called("learning_rate", rate, copies)
        data = network._examples(x, params)
        if not len(data):
            raise ValueError(f"x must hold at least one example, got shape {data.shape}")
        trained, history = train(
            params, data, target, activation=phi, loss=loss, learning_rate=rate,
            batch_size=len(data), epochs=steps, rng=0,
        )  # fmt: skip
        found.append(_change(params, trained, data, phi, history.stopped_at is not None))
        if found[-1].shape != found[0].shape:
            raise ValueError("start must return as many layers each time")
    rms = _rms(np.reshape(found, (len(sizes), nets, 2, -1)), axis=1)
    return CoordinateCheck(sizes, rms[:, 0], rms[:, 1])


def _started(start: Callable[..., Any], width: int, draws: _checks.Draws) -> Params:
    """What the caller's function returns for this width, in words that name it."""
    returned = network._called("start", start, width, draws)
    try:
        return network._checked(returned, finite=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"what start returns for width {width}: {error}") from None


@np.errstate(all="ignore")  # what overflows is measured as inf or nan
def _change(
    params: Params, trained: Params, x: Array, phi: activations.Activation, stopped: bool
) -> Array:
    """The rms of each layer's z at the start, and of its change."""
    before, after = (network._forward(p, x, phi).z for p in (params, trained))
    change = [
        np.inf if stopped else _rms(_wide(b) - _wide(a)) for a, b in zip(before, after, strict=True)
    ]
    return np.array([[_rms(_wide(z)) for z in before], change])


def _wide(values: Array) -> Array:
    return values.astype(np.float64, copy=False)


@np.errstate(all="ignore")  # inf and nan stay what they are
def _rms(values: Array, axis: int | None = None) -> Any:
    """The root mean square; a power of two is divided out first, and no square overflows."""
    largest = np.abs(values).max(axis=axis, keepdims=True)
    exponent = np.where(np.isfinite(largest), np.frexp(largest)[1], 0)
    squares = np.square(np.ldexp(values, -exponent))
    root = np.ldexp(np.sqrt(squares.mean(axis=axis, keepdims=True)), exponent)
    return root.squeeze(axis)
