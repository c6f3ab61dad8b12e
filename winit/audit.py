"""How a Keras model starts: signal and gradient measured layer by layer, with a verdict for each.

One pass of the real model, forward and back, in which every layer's `call` also notes what went in
and what came out; the notes of one pass say which layer fed which, so that Sequential, functional,
nested, shared-layer, multi-input and subclassed models are all read the same way. The model itself
is never changed.

What is judged. From one kernel to the next the second moment of z changes by

    ratio = theory × other,    theory = fan_in E W² · coverage · E φ(z)² / E z²

where φ is the activation in between, coverage the share of the kernel's taps that meet data (not
padding), and `other` what pooling, sums, normalisation and the like do, which is not the
initializer's and is not blamed on it. A kernel is blamed only if the network as a whole goes wrong:
when the initializers' factors multiply to more than BOUND one way or the other, those kernels are
named that did more than their equal share. One good draw of a good scheme wanders too: ln of the
whole factor by sd = sqrt(5 Σ 1/fan_in) for ReLU (Hanin 2018), so the bound is never below 4 sd.
"""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist
from typing import Any

import numpy as np

from winit import _checks, activations, theory
from winit._checks import RNG
from winit.activations import Activation
from winit.diagnostics import DEAD, FLAT, second_moment, steepest
from winit.initializers import TRUNCATED_STD
from winit.kernels import Array, Kernel, keras, plain
from winit.report import Audit, Row, listed
from winit.trace import (
    CLEAN,
    ELEMENTWISE,
    LOOPS,
    OUTSIDE,
    Event,
    Pass,
    leaves,
    require_model,
)

# In second moment, over the whole network: ten in rms, which one learning rate can still bridge.
BOUND = 100.0
SATURATED = 0.25  # share of flat slopes; the schemes of this package stay below 0.05
MOSTLY = 0.95  # share of a layer's units that must be dead before the layer is called so
EXAMPLES = 8
# Their own gain keeps q = 1, but not for long (silu: it is no stable value) or starves the gradient
# (softplus). At width 64 He's rule is in bounds for 6 of 6 seeds at 10 layers, theirs for 2 and 0.
OWN_GAIN_FAILS = ("silu", "softplus")
# A standard normal sample with its quantiles in place of chance.
NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(1000)])


# ---------------------------------------------------------------------------- what is ideal


def _recommend(phi: Activation) -> tuple[str, dict[str, Any]]:
    """Scheme and options for the activation that follows."""
    if phi.name in OWN_GAIN_FAILS:
        return "he_normal", {}
    if phi.name in activations.ACTIVATIONS or phi.name.startswith("leaky_relu"):
        found = theory.recommend(phi)
        options = {k: v for k, v in found.options.items() if k != "negative_slope" or v}
        return found.scheme, options
    return "variance_scaling", {"scale": theory.gain(phi) ** 2}


def _scheme(op: Any, variable: Any, phi: Activation) -> tuple[str, dict[str, Any]]:
    """Scheme and options for one kernel of a layer."""
    if isinstance(op, keras.layers.RNN):
        return ("orthogonal" if "recurrent" in variable.name else "glorot_uniform"), {}
    linear = "depthwise" in variable.name  # the first half of a separable convolution
    return _recommend(activations.linear if linear else phi)


def _repeated(op: Any) -> Any:
    """The layer that a TimeDistributed repeats; any other layer itself."""
    return op.layer if isinstance(op, keras.layers.TimeDistributed) else op


def _ideal_std(scheme: str, options: dict[str, Any], kernel: Kernel) -> float:
    fan_in, fan_out = kernel.fans
    if scheme == "orthogonal":
        return 1 / math.sqrt(max(kernel.blocks[1], math.prod(kernel.blocks[2:])))
    if scheme.startswith("glorot"):
        return math.sqrt(2 / (fan_in + fan_out))
    slope = options.get("negative_slope", 0.0)
    return math.sqrt(
        (2 / (1 + slope**2) if scheme == "he_normal" else options.get("scale", 1.0)) / fan_in
    )


def _coverage(op: Any, shape: tuple[int, ...], result: tuple[int, ...]) -> float:
    """The share of a kernel's taps that meet data, counted; 1 for a layer that does not slide."""
    if not hasattr(op, "kernel_size") or isinstance(op, LOOPS):
        return 1.0
    first = 1 if op.data_format == "channels_last" else 2
    share = 1.0
    transposed = "Transpose" in type(op).__name__
    for axis, k in enumerate(op.kernel_size):
        n, m = shape[first + axis], result[first + axis]
        s, d = op.strides[axis], op.dilation_rate[axis]
        small, large = (n, m) if transposed else (m, n)
        spare = (small - 1) * s + (k - 1) * d + 1 - large
        left = {"valid": 0, "causal": (k - 1) * d}.get(op.padding, max(spare, 0) // 2)
        taps = np.arange(small)[:, None] * s + np.arange(k) * d - left
        share *= float(((taps >= 0) & (taps < large)).sum() / (m * k))
    return share


def _initializer(op: Any, variable: Any, kernel: Kernel, std: float) -> str:
    """The configured initializer, marked where the weights are plainly not its draws."""
    names = [f"{variable.name}_initializer"]
    names += [name.removesuffix("_kernel_initializer") + "_initializer" for name in names]
    names.append("depthwise_initializer")
    found = next((getattr(op, n) for n in names if hasattr(op, n)), None)
    if found is None:
        return "?"
    if hasattr(found, "scheme"):
        return f"winit {found.scheme}"
    alias = {"GlorotUniform": "glorot_uniform", "GlorotNormal": "glorot_normal"}
    name = alias.get(type(found).__name__) or "".join(
        "_" + c.lower() if c.isupper() else c for c in type(found).__name__
    ).strip("_")
    own = isinstance(op, keras.layers.EinsumDense)  # whose fans Keras reads from the equation
    drawn = _drawn_std(found, *(kernel if own else plain(kernel.shape)).fans)
    allowed = 0.02 + 5 / math.sqrt(2 * math.prod(kernel.shape))
    return name if drawn is None or abs(std - drawn) <= allowed * drawn else f"not {name}"


def _drawn_std(found: Any, fan_in: int, fan_out: int) -> float | None:
    """The standard deviation of a Keras initializer's draws; None for one of another kind."""
    kinds = keras.initializers
    if isinstance(found, kinds.VarianceScaling):
        n = {"fan_in": fan_in, "fan_out": fan_out}.get(found.mode, (fan_in + fan_out) / 2)
        return math.sqrt(found.scale / max(1.0, n))
    if isinstance(found, (kinds.Zeros, kinds.Ones, kinds.Constant)):
        return 0.0
    if isinstance(found, kinds.RandomNormal):
        return float(found.stddev)
    if isinstance(found, kinds.TruncatedNormal):
        return float(found.stddev) * TRUNCATED_STD
    if isinstance(found, kinds.RandomUniform):
        return float(found.maxval - found.minval) / math.sqrt(12)
    return None


# ---------------------------------------------------------------------------- judging


def _judge(rows: list[Row]) -> None:
    """Give each row its verdict."""
    measured = [row for row in rows if row.q is not None]
    for i, row in enumerate(measured):
        _judge_alone(row, measured[i + 1 :])
    if any(row.verdict == "symmetric" for row in rows):
        return  # equal weights add up: their factors say nothing about scale
    summed: list[float | None] = []
    stream: float | None = None
    for row in rows:
        grown = None
        if "Add" in row.cause and row.input:
            grown, stream = (row.input / stream if stream else None), row.input
        summed.append(grown)
    normal = [row.normaliser is not None for row in rows]
    # A branch starts at a sum; where it ends in one, the stream beside it carries on what it loses.
    starts = ["Add" in row.cause for row in rows]
    kept = [None if row.joins and (row.factor or 0) < 1 else row.factor for row in rows]
    weights = [None if out else factor for out, factor in zip(normal, kept, strict=True)]
    cuts = [out or start for out, start in zip(normal, starts, strict=True)]
    _blame(rows, weights, cuts, "signal")
    _blame(rows, summed, normal, "sums")
    _blame(rows, [row.back for row in rows], [row.back is None for row in rows], "gradient")
    if any(row.verdict != "good" for row in rows):
        return  # which is why no gradient comes back, where none does
    for i, row in enumerate(rows):
        if row.gradient == 0 and any(later.std == 0 and later.gradient for later in rows[i:]):
            row.reason = "It waits one step: a kernel behind it starts at 0."
        elif row.gradient == 0:
            _say(row, "dead", "No gradient comes back.")


def _judge_alone(row: Row, onwards: list[Row]) -> None:
    """What one call's own numbers say."""
    assert row.q is not None
    alike = row.alike and row.q > 0 and row.gradient != 0
    if row.gradient is None:  # then the next layer shows whether what goes out is equal too
        alike = alike and bool(onwards) and onwards[0].alike
    opens = row.std == 0 and (row.gradient or not onwards)  # a zero last layer gives way at once
    if not math.isfinite(row.q) or not math.isfinite(row.std):
        _say(row, "exploding", "Its values are not finite.")
    elif row.gradient is not None and not math.isfinite(row.gradient):
        _say(row, "exploding", "The gradient that comes back is not finite.")
        row.mend = "look at the loss and the operations behind it: no scale mends this"
    elif alike:
        _say(row, "symmetric", "Its units compute the same and get the same gradient for ever.")
    elif row.input == 0 or (row.q == 0 and not opens):
        _say(row, "dead", "No signal passes.")
    elif row.dead is not None and row.dead >= MOSTLY:
        _say(row, "dead", "Its units are flat for every example.")
    elif row.saturated is not None and row.saturated > SATURATED:
        _say(
            row, "saturated", f"Over {SATURATED:.0%} more slopes behind it are flat than should be."
        )
    elif row.ideal and row.normaliser is not None and row.q < row.normaliser:
        reason = f"Its output is below the {row.normaliser:g} that the normalisation adds to it."
        _say(row, "shrinking", reason)


def _say(row: Row, verdict: str, reason: str) -> None:
    row.verdict, row.reason, row.mend = verdict, reason, f"draw it with {row.scheme}"
    if row.scaled and verdict in ("saturated", "exploding", "shrinking") and row.input:
        row.mend = f"its weights have their scale: normalise what reaches it (E x² {row.input:.2g})"


REASONS = {
    "signal": "The weights together multiply the signal by {:.1g}.",
    "sums": "The sums of branches multiply the signal by {:.1g}.",
    "gradient": "The layers together multiply the gradient by {:.1g}.",
}


def _blame(rows: list[Row], factors: list[float | None], cuts: list[bool], what: str) -> None:
    """Cut the network before each cut; where a piece goes out of bounds, name who did it."""
    pieces: list[list[tuple[Row, float]]] = [[]]
    for row, factor, cut in zip(rows, factors, cuts, strict=True):
        if cut:
            pieces.append([])
        if factor is not None and 0 < factor < math.inf and row.ideal is not None:
            pieces[-1].append((row, math.log(factor)))
    for piece in pieces:
        path = np.concatenate([[0.0], np.cumsum([log for _, log in piece])])
        spread = math.sqrt(5 * sum(1 / row.fan_in for row, _ in piece))
        bound = max(math.log(BOUND), 4 * spread)
        if path.max() - path.min() <= bound:
            continue
        falls = abs(path.min()) >= path.max()
        named = [r for r, log in piece if (log < 0) == falls and abs(log) > bound / len(piece)]
        if what != "sums":
            named = [row for row in named if not row.scaled] or named
        for row in named:
            if row.verdict == "good":
                total = math.exp(path.min() if falls else path.max())
                _say(row, "shrinking" if falls else "exploding", REASONS[what].format(total))
                row.mend = _other_mend(row, piece, what, bound) or row.mend


def _other_mend(row: Row, piece: list[tuple[Row, float]], what: str, bound: float) -> str:
    """What mends a row of a piece that is out of bounds, where another scale does not."""
    if what == "sums":
        return "divide the last kernel of each branch by √(number of branches), or normalise"
    if what == "gradient":
        hopeless = row.kept ** len(piece) < 1 / BOUND
    else:
        ideal = [log + 2 * math.log(r.ideal / r.std) for r, log in piece if r.ideal and r.std]
        hopeless = float(np.ptp(np.cumsum([0.0, *ideal]))) > bound
    if not (row.scaled or hopeless):
        return ""
    phis = [row.phi, *(other.phi for other, _ in piece)]
    phi = next((phi for phi in phis if phi is not activations.linear), row.phi)
    return f"no scale mends {phi.name} at this depth: normalise, or change it"


# ---------------------------------------------------------------------------- measuring


def audit(
    model: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    *,
    training: bool = True,
    gradients: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a built model starts, layer by layer, and say what is wrong and what mends it.

    Parameters
    ----------
    model : keras.Model
        Built, and of any kind.
    x : inputs as the model takes them
        By default 8 examples of unit Gaussian noise, of random tokens where an Embedding is first.
    y, loss : targets, and a Keras loss or its name
        For the gradient. By default what goes back is a random direction at the outputs, which
        shows the same growth or decay without data.
    training : bool
        As in the first step of training, or in inference: what BatchNormalization and Dropout do.
    gradients : bool
        False measures the signal alone, which is quicker.
    rng : seed or generator
        For inputs and direction; the same seed gives the same report.

    Returns
    -------
    Audit

    Raises
    ------
    TypeError
        Not a Keras model.
    ValueError
        A model that is not built, inputs of the wrong shape or not finite, a target without a
        loss, an input shape that is not known.
    """
    require_model(model)
    draws = _checks.as_rng(rng)
    x = _inputs(model, x, draws)
    noted = Pass(model, training)
    weights = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    notes: list[str] = []
    backend = keras.backend.backend()
    if gradients and backend != "jax":
        notes.append(
            f"The gradient columns are missing: they need KERAS_BACKEND=jax, not {backend}."
        )
    if backend == "jax":
        direct = _target(model, y, loss)
        inputs, zs, deltas = _with_jax(noted, weights, fixed, x, gradients, direct, draws)
    else:
        _, inputs, zs = noted(weights, fixed, x)
        deltas = [None] * len(zs)
    to_numpy = keras.ops.convert_to_numpy
    arrays: Any = [[None if t is None else to_numpy(t) for t in ts] for ts in (inputs, zs, deltas)]
    noted.read(arrays[0], arrays[1])
    rows = _rows(noted, *arrays)
    _judge(rows)
    notes += _notes(noted, rows)
    return Audit(model.name, rows, notes)


def _inputs(model: Any, x: Any, rng: _checks.Draws, examples: int = EXAMPLES) -> Any:
    """The given inputs, checked, or random ones of the model's input shape."""
    known = getattr(model, "inputs", None)
    if x is not None:
        x = keras.tree.map_structure(np.asarray, x)
        for i, part in enumerate(flat := keras.tree.flatten(x)):
            _numbers("x", part)
            if len(part) != len(flat[0]):
                raise ValueError(
                    f"x has {len(flat[0])} examples in one input, {len(part)} in another"
                )
            if known and len(flat) == len(known):
                wanted = tuple(known[i].shape)[1:]
                fits = len(part.shape) == len(wanted) + 1 and all(
                    w in (None, n) for w, n in zip(wanted, part.shape[1:], strict=False)
                )
                if not fits:
                    sizes = ", ".join(["examples", *map(str, wanted)])
                    which = f"x for {known[i].name}" if len(known) > 1 else "x"
                    raise ValueError(f"{which} must have shape ({sizes}), got {part.shape}")
        if known and len(flat) != len(known):
            raise ValueError(f"{model.name} takes {len(known)} inputs, got {len(flat)}")
        return keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    if not known:
        shape = (model.get_build_config() or {}).get("input_shape")
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, int) for n in shape[1:]):
            raise ValueError(f"the input shape of {model.name} is not known: hand in x")
        values = rng.standard_normal((examples, *shape[1:]))
        return keras.ops.convert_to_tensor(values, dtype="float32")
    made = []
    for tensor in known:
        if None in tensor.shape[1:]:
            raise ValueError(
                f"the input shape {tuple(tensor.shape)} of {model.name} is open: hand in x"
            )
        size = (examples, *tensor.shape[1:])
        words = _vocabulary(model, tensor)
        if words:
            made.append(
                keras.ops.convert_to_tensor(rng.random(size) * words // 1, dtype=tensor.dtype)
            )
        else:
            made.append(keras.ops.convert_to_tensor(rng.standard_normal(size), dtype=tensor.dtype))
    structure = getattr(model, "_inputs_struct", known)
    return keras.tree.pack_sequence_as(structure, made) if len(made) > 1 else made[0]


def _numbers(name: str, part: Any) -> None:
    """Refuse an array that holds no examples, or what cannot be computed with."""
    if part.dtype.kind not in "fiub" and part.dtype.name != "bfloat16":
        raise ValueError(f"{name} must hold numbers, got {part.dtype}")
    if not part.size or not np.isfinite(part.astype(np.float32)).all():
        raise ValueError(f"{name} must hold at least one example and finite values")


def _vocabulary(model: Any, tensor: Any) -> int:
    """How many different tokens an input may hold; 0 for one that holds numbers."""
    sizes = [
        op.input_dim
        for op in leaves(model)
        if isinstance(op, keras.layers.Embedding)
        and (
            "int" in tensor.dtype
            or any(t is tensor for n in op._inbound_nodes for t in n.input_tensors)
        )
    ]
    return min(sizes, default=2 if "int" in tensor.dtype or tensor.dtype == "bool" else 0)


def _target(model: Any, y: Any, loss: Any) -> Any:
    """A function of the outputs to differentiate, or None for a random direction."""
    if y is None:
        if loss is not None:
            raise ValueError("a loss needs targets: hand in y")
        return None
    loss = loss if loss is not None else getattr(model, "loss", None)
    if loss is None:
        raise ValueError("targets need a loss: hand in loss, or compile the model with one")
    losses = keras.tree.flatten(loss) if isinstance(loss, (list, tuple, dict)) else [loss]
    functions = [keras.losses.get(one) for one in losses]
    y = keras.tree.map_structure(np.asarray, y)
    pairs = keras.tree.flatten(y)
    for part in pairs:
        _numbers("y", part)

    def value(outputs: Any) -> Any:
        flat = keras.tree.flatten(outputs)
        each = functions * len(flat) if len(functions) == 1 else functions
        if not len(flat) == len(pairs) == len(each):
            raise ValueError(
                f"{model.name} has {len(flat)} outputs, got {len(pairs)} targets and "
                f"{len(each)} losses"
            )
        total = 0.0
        for function, target, output in zip(each, pairs, flat, strict=True):
            if len(target) != len(output):
                raise ValueError(f"y has {len(target)} examples, x has {len(output)}")
            total += keras.ops.mean(function(target, output))
        return total

    return value


# Programs by their text: a model audited before and after a change is compiled once.
_compiled: dict[str, Any] = {}
KEPT = 4


def _run(function: Any, *arguments: Any) -> Any:
    """The function's value, compiled as a whole."""
    import jax  # only where it is the backend

    lowered = jax.jit(function, keep_unused=True).lower(*arguments)
    text = f"{lowered.as_text()}{jax.tree.structure(arguments)}{lowered.out_tree}"
    program = hashlib.sha256(text.encode()).hexdigest()
    if program not in _compiled:
        _compiled[program] = lowered.compile()
        while len(_compiled) > KEPT:
            del _compiled[next(iter(_compiled))]
    return _compiled[program](*arguments)


def _with_jax(
    noted: Pass,
    weights: Any,
    fixed: Any,
    x: Any,
    gradients: bool,
    target: Any,
    rng: _checks.Draws,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Inputs, z's and, if asked for, the gradients at the z's; the weights go in as arguments.

    As constants they would be compiled into the program.
    """
    import jax  # see _run

    if not gradients:
        _, inputs, zs = _run(noted, weights, fixed, x)
        return inputs, zs, [None] * len(zs)
    outputs, _, zs = jax.eval_shape(noted, weights, fixed, x)
    nudges = [np.zeros(z.shape, z.dtype) for z in zs]
    directions = [rng.standard_normal(o.shape).astype(o.dtype) for o in jax.tree.leaves(outputs)]

    def scalar(nudges: Any, weights: Any, fixed: Any, x: Any, directions: Any) -> Any:
        outputs, inputs, zs = noted(weights, fixed, x, nudges)
        if target is not None:
            return target(outputs), (inputs, zs)
        flat = jax.tree.leaves(outputs)
        return sum((d * o).sum() for d, o in zip(directions, flat, strict=True)), (inputs, zs)

    gradient = jax.grad(scalar, has_aux=True)
    deltas, (inputs, zs) = _run(gradient, nudges, weights, fixed, x, directions)
    return inputs, zs, deltas


def _rows(noted: Pass, inputs: list[Any], zs: list[Any], deltas: list[Any]) -> list[Row]:
    """A row for every kernel of every call; the numbers of a call stand at its last kernel."""
    rows: list[Row] = []
    at: dict[int, Row] = {}  # event -> the row with its numbers
    phis = {i: noted.activation(i) for i in noted.calls}
    for i in noted.calls:
        event, (phi, direct) = noted.events[i], phis[i]
        place = event.place or 0
        product = 1.0
        for variable, kernel in noted.kernels[id(event.op)]:
            at[i] = row = _row(event, variable, kernel, phi)
            rows.append(row)
            product *= row.fan_in * second_moment(keras.ops.convert_to_numpy(variable.value))
        row.coverage = _coverage(event.op, *event.shapes)
        normaliser, row.joins = noted.normaliser(i), noted.joins(i)
        row.normaliser = None if normaliser is None else float(getattr(normaliser, "epsilon", 0.0))
        _measure(row, event.op, phi if direct else None, inputs[place], zs[place], deltas[place])
        if not isinstance(event.op, (*LOOPS, keras.layers.Embedding)):
            sources, between = noted.links[i]
            main = max(sources, key=lambda j: at[j].q or 0.0, default=None)
            last = (None, activations.linear) if main is None else (at[main], phis[main][0])
            if main is not None and isinstance(noted.events[main].op, LOOPS):
                last = (at[main], activations.linear)  # it was measured behind its activation
            _compare(row, product, between, len(sources), *last)
    for i in noted.calls:
        followers = [j for j in noted.calls if i in noted.links[j][0]]
        row, after = at[i], at[followers[0]] if len(followers) == 1 else None
        if after is not None and row.gradient is not None and after.gradient:
            row.gradient_ratio = row.gradient / after.gradient
            if after.clean and row.normaliser is None:
                after.back = row.gradient_ratio
    return rows


def _row(event: Event, variable: Any, kernel: Kernel, phi: Activation) -> Row:
    values = np.asarray(keras.ops.convert_to_numpy(variable.value), dtype=np.float64)
    scheme, options = _scheme(event.op, variable, phi)
    std = float(values.std())
    fan_in, fan_out = kernel.fans
    text = ", ".join(
        [
            f'"{scheme}"',
            *(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v!r}" for k, v in options.items()),
        ]
    )
    ideal = _ideal_std(scheme, options, kernel)
    judged = not isinstance(event.op, keras.layers.Embedding)
    return Row(
        name=event.name,
        kind=type(event.op).__name__,
        kernel=variable.name,
        shape=kernel.shape,
        fan_in=fan_in,
        fan_out=fan_out,
        activation="gates" if isinstance(event.op, keras.layers.RNN) else phi.name,
        initializer=_initializer(_repeated(event.op), variable, kernel, std),
        std=std,
        ideal=ideal if judged else None,
        scheme=f"winit.keras.Initializer({text})",
    )


def _measure(
    row: Row, op: Any, phi: Activation | None, x: Array, z: Array, delta: Array | None
) -> None:
    """The numbers of one call by itself; phi is what acts on z directly."""
    first = getattr(op, "data_format", "") == "channels_first" and z.ndim > 2
    units = np.moveaxis(z, 1, -1) if first else z
    columns = units.reshape(-1, units.shape[-1]).astype(np.float64)
    rows = np.linspace(0, len(columns) - 1, min(len(columns), 256)).astype(int)
    parts = [columns[rows]]
    row.units = columns.shape[1]
    row.input, row.q = second_moment(x), second_moment(z)
    if delta is not None:
        row.gradient = second_moment(delta) * delta.size / len(delta)
        back = (np.moveaxis(delta, 1, -1) if first else delta).reshape(columns.shape)
        parts.append(back[rows].astype(np.float64))
    if not math.isfinite(row.q):
        return
    row.distinct = _distinct(parts)
    if phi is None or isinstance(op, LOOPS) or phi is activations.linear:
        return
    top = steepest(phi)
    slope = np.abs(phi.derivative(columns)) / top
    row.dead = float((slope < DEAD).all(axis=0).mean())
    ends = np.abs(phi.derivative(np.array([-40.0, 40.0]))) / top
    if (ends < FLAT).all():
        at_one = (
            np.abs(phi.derivative(NORMAL)) / top
        )  # what is healthy: half for ReLU6, 3 % for tanh
        row.saturated = float((slope < FLAT).mean() - (at_one < FLAT).mean())


def _distinct(parts: list[Array]) -> int:
    """How many columns differ, judged by one random combination of the rows of all parts."""
    rng = np.random.default_rng(0)
    mark = np.zeros(parts[0].shape[1])
    for part in parts:
        scale = float(np.abs(part).max())
        if 0 < scale < math.inf:
            mark += rng.standard_normal(len(part)) @ (part / scale)
    mark = np.sort(mark)
    return 1 + int((np.diff(mark) > 1e-5 * float(np.abs(mark).max())).sum())


def _compare(
    row: Row, product: float, between: list[str], sources: int, last: Row | None, phi: Activation
) -> None:
    """The numbers of one call against the strongest call before it, which phi follows."""
    assert row.q is not None and row.input is not None
    names = [name for name in between if name not in CLEAN and name.lower() not in ELEMENTWISE]
    if sources > 1 and not any("Add" in name for name in names):
        names.append("several inputs")
    row.cause = ", ".join(dict.fromkeys(names))
    row.clean = sources == 1 and all("MaxPool" in name for name in names)
    if not row.input:
        return
    row.factor = row.q / row.input / row.coverage
    if last is None or not last.q or not math.isfinite(last.q + row.q):
        return
    q = min(max(last.q, theory.SMALLEST_Q), theory.LARGEST_Q)
    if last.normaliser is not None:
        q = 1.0
    passed = theory.second_moment(phi, q) / q
    row.factor *= passed
    if "Multiply" in names and row.ideal:
        row.factor = (row.std / row.ideal) ** 2  # a gate: its product is not the initializer's
    row.phi = phi
    row.ratio = row.q / last.q
    row.predicted = product * row.coverage * passed
    row.other = row.input / last.q / passed if names else 1.0


def _notes(noted: Pass, rows: list[Row]) -> list[str]:
    """What the reader must know about the measurement itself."""
    kinds = {type(event.op).__name__ for event in noted.events}
    notes = []
    loops = [noted.events[i].name for i in noted.calls if isinstance(noted.events[i].op, LOOPS)]
    if loops:
        notes.append(
            f"{listed(loops)}: runs in a loop that cannot be looked into: its weights are "
            "listed and its result measured, but its inside is not judged."
        )
    unread = [
        f"{op.name}.{v.name}"
        for op in noted.ops
        if isinstance(op, keras.Layer) and not isinstance(op, (*LOOPS, keras.layers.PReLU))
        for v in op._trainable_variables
        if len(v.shape) > 1
        and not any(v is w for w, _ in noted.kernels[id(op)])
        and not v.name.startswith("bias")
    ]
    if unread:
        notes.append(
            f"{listed(unread)}: weights whose axes are not known (no kernel by name): they are "
            "neither measured nor judged."
        )
    outside = [row.name for row in rows if OUTSIDE in row.cause]
    if outside:
        notes.append(
            f"What reaches {listed(outside)} is made by operations outside layers: it is "
            "compared with the call before."
        )
    if "BatchNormalization" in kinds and not noted.training:
        notes.append(
            "In inference BatchNormalization uses its stored statistics, which a new model has not "
            "got yet, and so hides nothing: training=True shows what training starts from."
        )
    if "Dropout" in kinds and noted.training:
        notes.append("Dropout is at work: it raises the second moment by 1 / (1 - rate).")
    return notes


def recommended(model: Any, x: Any = None) -> dict[int, tuple[str, dict[str, Any]]]:
    """The scheme and options that fit each kernel of a model, by the variable's id."""
    require_model(model)
    noted = Pass(model, training=False)
    weights = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    x = _inputs(model, x, np.random.default_rng(0), examples=2)
    if keras.backend.backend() == "jax":
        import jax  # follows the shapes alone, which takes no time

        jax.eval_shape(noted, weights, fixed, x)
    if not noted.events or not noted.read():
        _, inputs, zs = noted(weights, fixed, x)
        to_numpy = keras.ops.convert_to_numpy
        noted.read([to_numpy(t) for t in inputs], [to_numpy(z) for z in zs])
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for i in noted.calls:
        op = noted.events[i].op
        for variable, _ in noted.kernels[id(op)]:
            found.setdefault(id(variable), _scheme(op, variable, noted.activation(i)[0]))
    return found
