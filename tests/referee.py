"""An independent referee of a network's start: what its signal and gradient do, in plain JAX.

It shares no code with `winit`, so that the two can disagree. **Method**: the function runs under
`jax.disable_jit()` inside an interpreter of its own (`Watch`, a `jax.core.Trace`). Every value that
comes from the data or from a parameter carries a mark, primitive by primitive; loops run step by
step in Python, so **each step of a loop is a place of its own**; of a `cond` only the branch that
these data take counts. What `Watch` passes on is compiled once, and run on other data and weights.
A *place* is a contraction (`dot_general`, `conv_general_dilated`, `ragged_dot`) of a signal with a
*kernel* (an operand that depends on parameters but less on the data), or a *lookup* (rows of a
parameter picked by data). The gradient at every z is the cotangent of a zero added there
(`jax.vjp` through the same run).

What it does not see: a kernel applied without a contraction (multiplied and summed by hand),
`while_loop` whose end the data decide, places inside a `custom_vjp`.

Places come in the order in which the program meets them, with the sorted names of all parameters
that flow into the kernel: `Place.key` = (names, turn), where turn counts the earlier places with
the same names (steps of a loop, calls of a shared layer, tied heads).

**Randomness**: none inside. `x`, `y` and the cotangent are arguments. Without a loss the scalar
that is differentiated is L = Σ_k ⟨c_k, out_k⟩ over the floating outputs in tree order, with c_k =
`cotangent(shape, seed, k)`. The share that varies over the examples compares the run with that on
`roll(x, 1)` along the first axis: E (a_j − a_{j−1})² / 2 over E a².

All moments are means over every entry, taken in float64 of the values the program computed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import core

Array = Any
Function = Callable[[dict[str, Array], Any], Any]

# --- Thresholds. None of them is fitted to a list of models; each says where it comes from. -------

LEVEL = 100.0
"""Bound of E x² where the head reads, both ways. A step of gradient descent is
stable up to 2/(E x² · curvature), so a rate made for features of order 1 is wrong by this factor;
rates are searched over about two decades, and 100 lies just beyond such a search."""

SDS = 4.0
"""Standard deviations that chance is allowed: 1 sound start in 16,000 is refused on each side."""

HANIN = 5.0
"""Var ln(E z²) of a ReLU net is the sum over its layers of 5/width (Hanin 2018); other activations
have less. E x² must be beyond `LEVEL` and beyond exp(SDS · sd + variance/2), chance's reach."""

OUTPUT = 100.0
"""E out² above which outputs are too large when no loss tells: as LEVEL, for a head of rms 10."""

FIRST_LOSS = 4.0
"""First loss over that of a network that knows nothing. A head of variance 2/fan_in on features of
E x² = 1 gives 3 (squares) or 1.4 (10 classes); what is above it must be a scale that is wrong."""

INPUT_HIGH, INPUT_LOW = 100.0, 1e-4
"""E x² at places that read the data itself: pixels of 0..1 have .1 to .5, standardized ones 1,
bytes 1e4; a one-hot of a thousand has 1e-3 and is a sound input."""

INPUT_MATTERS = 0.05
"""...and only if the outputs change by this part when the data are divided by their own rms (batch
normalization behind the first kernel removes the scale exactly, up to its epsilon, and with it all
that the scale does to training)."""

COLLAPSED = 1e-6
"""Share of E out² that varies over the examples, at the outputs' own places. The rate is bounded
by the mode that all examples share, so what differs is learned about this much slower: beyond a
million steps. Biases need not be drawn for it: sigmoid and softplus have a mean of their own."""

FLAT_SLOPE = 0.05
"""A unit is in the flat part of its activation where the slope is below this part of the largest
slope (at least 1/4, the sigmoid's): tanh beyond |z| = 2.2, sigmoid beyond 4.4."""

SATURATED = 0.75
"""Share of flat entries at a place. N(0, 1) gives tanh 3 %; a sigmoid net of ten layers with the
gain of 6.5 that it needs has one half, and learns. ReLU's flat half is at 0 and does not count."""

DEAD = 0.9
"""Share of units of a place with no gradient for any example, after the zeros that training opens
have been opened. ReLU units whose examples look all alike are silent in one half of the cases."""

DISTINCT = 0.5
"""Units that differ in (z, gradient), over all units, at a place that has at least two."""

VANISHING = 1e-4
"""Largest S of the first quarter of the kernels over the largest of all. S is of second moments, so
1e-4 says that a redraw of the early kernels moves the loss by a hundredth of what others do."""

GRADIENT_EXPLODING = 1e6
"""Largest S of the first half over the largest of the last tenth, each kernel redrawn in proportion
to itself: at 1e6 the step that suits the head is a thousand times too long, in rms, for the others.
Batch normalization stands more than others, since a kernel that has stepped too far has grown and
then steps less; healthy nets reach 1e4 to 7e4 (ResNet50). Between GRADIENT_DOUBT and this bound the
referee cannot tell."""
GRADIENT_DOUBT = 1e5

OPENING_STEPS, OPENING_RMS = 3, 0.02
"""Before a verdict of dead or symmetric, each parameter walks this many steps of this rms down its
own gradient: zeros that training opens (branches, scales, LoRA's B) open, those that it never
opens stay, and units that are tied stay tied."""

VERDICTS = (
    "good",
    "shrinking",
    "exploding",
    "saturated",
    "dead",
    "symmetric",
    "collapsed",
    "first loss far too high",
    "inputs unscaled",
    "undecided",
)

# --- What is found -------------------------------------------------------------------------------


@dataclasses.dataclass
class Place:
    """One meeting of data and kernel. Moments are None where they have no meaning."""

    index: int
    kind: str  # "dot_general", "conv_general_dilated", "ragged_dot" or "lookup"
    names: tuple[str, ...]  # the parameters that flow into the kernel, sorted
    turn: int  # how many earlier places have the same names
    kernel_shape: tuple[int, ...]  # of the operand, as the primitive sees it
    kernel_rms: float
    z_shape: tuple[int, ...]
    raw: bool  # whether the data arrive here without having met a kernel
    branch: tuple[tuple[int, int], ...]  # (condition, branch) pairs under which it is met
    after: frozenset[int]  # the places whose z arrive here with no other place between
    x2: float | None = None
    z2: float = math.nan
    x_share: float | None = None
    z_share: float = math.nan
    d2: float = math.nan
    units: int = 0
    distinct: int = 0
    dead_share: float = 0.0
    flat_share: float = 0.0  # entries in the flat part of a bounded activation after z

    @property
    def key(self) -> tuple[tuple[str, ...], int]:
        return self.names, self.turn


@dataclasses.dataclass
class Measurement:
    places: list[Place]
    heads: frozenset[int]  # the places whose z reach an output with no other place between
    output2: float
    output_share: float
    first_loss: float | None
    baseline: float | None
    finite: bool
    effects: dict[str, float]  # S = std² · ‖∂L/∂W‖², for each parameter that a place uses
    input_matters: float  # relative change of the outputs when the data are divided by their rms


@dataclasses.dataclass
class Verdict:
    word: str
    reason: str


# --- The interpreter -----------------------------------------------------------------------------

NONE, ROUTING, SIGNAL = 0, 1, 2  # how a value depends on the data
CONTRACTIONS = {"dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general"}
LOOKUPS = {"gather", "dynamic_slice"}
ELEMENTWISE = {
    "add", "sub", "mul", "div", "neg", "max", "min", "tanh", "logistic", "erf", "erf_inv", "erfc",
    "exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "atan", "asinh", "sinh", "cosh",
    "abs", "sign", "sqrt", "rsqrt", "cbrt", "square", "integer_pow", "pow", "clamp", "select_n",
    "convert_element_type", "floor", "ceil", "round", "add_any", "copy", "copy_p",
}  # fmt: skip
# A stopped gradient leaves numbers, and the slope of the activation before it, as they are.
MOVES = {
    "reshape", "transpose", "slice", "squeeze", "split", "rev", "copy", "expand_dims",
    "stop_gradient",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mark:
    level: int = NONE
    params: frozenset[str] = frozenset()
    last: frozenset[int] = frozenset()
    raw: bool = True


class Segment:
    """The elementwise program behind a z: where it began, its slope so far."""

    def __init__(self, places: frozenset[int], slope: Array) -> None:
        self.places, self.slope = places, slope


class Marked(core.Tracer):
    __slots__ = ("mark", "segment", "value")

    def __init__(self, trace: Watch, value: Any, mark: Mark, segment: Segment | None = None):
        super().__init__(trace, core.typeof(value))
        self.value, self.mark, self.segment = value, mark, segment

    def full_lower(self) -> Any:
        return self

    def to_concrete_value(self) -> Any:
        return core.to_concrete_value(self.value)

    def get_referent(self) -> Any:
        return self


def union(marks: list[Mark]) -> Mark:
    return Mark(
        max(m.level for m in marks),
        frozenset().union(*(m.params for m in marks)),
        frozenset().union(*(m.last for m in marks)),
        all(m.raw for m in marks if m.level),
    )


def is_float(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


class Watch(core.Trace):
    """Evaluates each primitive in the parent trace and carries the marks along."""

    def __init__(self, parent: Any, nudges: list[Array] | None, slopes: bool) -> None:
        super().__init__()
        self.parent, self.nudges, self.slopes = parent, nudges, slopes
        self.places: list[Place] = []
        self.x: list[Any] = []
        self.w: list[Any] = []
        self.z: list[Any] = []
        self.unit_axes: list[tuple[int, ...]] = []
        self.flat: dict[int, list[tuple[Any, int]]] = {}
        self.turns: dict[tuple[str, ...], int] = {}
        self.conditions: list[Any] = []
        self.branch: list[tuple[int, int]] = []

    def lower(self, v: Any) -> Any:
        return v.value if isinstance(v, Marked) and v._trace is self else v

    def stage_value(self, value: Any) -> Any:
        return value

    def bind(self, primitive: Any, values: Any, params: Any) -> Any:
        # What is a constant is evaluated at once: loops in Python need to know their counters.
        known = not any(isinstance(v, core.Tracer) for v in values)
        with core.eval_context() if known else core.set_current_trace(self.parent):
            return primitive.bind(*values, **params)

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
        name = primitive.name
        if name in ("remat2", "remat", "checkpoint", "jit", "pjit", "closed_call", "core_call"):
            jaxpr = params.get("jaxpr", params.get("call_jaxpr"))
            consts = getattr(jaxpr, "consts", ())
            with core.set_current_trace(self):
                return core.eval_jaxpr(getattr(jaxpr, "jaxpr", jaxpr), consts, *tracers)
        if name == "cond":
            return self.either(tracers[0], params["branches"], tracers[1:])
        if name in ("scan", "while"):
            raise NotImplementedError(f"{name} inside a function that was compiled beforehand")
        marked = [t for t in tracers if isinstance(t, Marked) and t._trace is self]
        values = [self.lower(t) for t in tracers]
        out = self.bind(primitive, values, params)
        if not marked:
            return out
        mark = union([t.mark for t in marked])
        if name == "stop_gradient":
            mark = dataclasses.replace(mark, last=frozenset())
        segment = None
        if name in CONTRACTIONS:
            out, mark, segment = self.contraction(name, tracers, params, out, mark)
        elif name in LOOKUPS:
            out, mark = self.lookup(name, tracers, out, mark)
        elif self.slopes:
            return self.follow(primitive, tracers, values, params, out, mark)
        self.close(tracers)
        return self.wrap(primitive, out, mark, segment, marked)

    def either(self, index: Any, branches: Any, operands: Any) -> Any:
        known = core.to_concrete_value(index)
        with core.set_current_trace(self):
            if known is not None:
                chosen = branches[int(known)]
                return core.eval_jaxpr(chosen.jaxpr, chosen.consts, *operands)
            outs, condition = [], len(self.conditions)
            self.conditions.append(self.lower(index))
            for k, b in enumerate(branches):
                self.branch.append((condition, k))
                outs.append(core.eval_jaxpr(b.jaxpr, b.consts, *operands))
                self.branch.pop()
            which = jnp.int32(index)
            return [
                jax.lax.select_n(jnp.broadcast_to(which, o[0].shape), *o)
                for o in zip(*outs, strict=True)
            ]

    def wrap(self, primitive: Any, out: Any, mark: Mark, segment: Any, marked: list[Marked]) -> Any:
        if not primitive.multiple_results:
            return Marked(self, out, self.settle(out, mark, marked), segment)
        return [Marked(self, o, self.settle(o, mark, marked)) for o in out]

    def settle(self, out: Any, mark: Mark, marked: list[Marked]) -> Mark:
        """Whole numbers made from a floating signal only route: no parameters, no way back."""
        aval = core.typeof(out)
        if jnp.issubdtype(aval.dtype, jnp.floating) or mark.level == NONE:
            return mark
        if any(t.mark.level == SIGNAL and is_float(t.aval) for t in marked):
            return Mark(ROUTING, frozenset(), frozenset(), mark.raw)
        return dataclasses.replace(mark, params=frozenset())

    def mark_of(self, v: Any) -> Mark:
        return v.mark if isinstance(v, Marked) and v._trace is self else Mark()

    def contraction(self, name: str, tracers: Any, params: Any, out: Any, mark: Mark) -> Any:
        left, right = self.mark_of(tracers[0]), self.mark_of(tracers[1])
        if left.level == right.level or not is_float(core.typeof(out)):
            return out, mark, None
        data, kernel = (0, 1) if left.level > right.level else (1, 0)
        if not (left, right)[kernel].params:
            return out, mark, None
        if name == "dot_general":
            (contract_l, _), (batch_l, _) = params["dimension_numbers"]
            n_batch = len(batch_l)
            free_l = tracers[0].ndim - len(contract_l) - n_batch
            free = range(n_batch, n_batch + free_l)
            if kernel == 1:
                free = range(n_batch + free_l, core.typeof(out).ndim)
            units = (*range(n_batch), *free)
        elif name == "conv_general_dilated":
            units = (params["dimension_numbers"].out_spec[1],)
        else:
            units = (core.typeof(out).ndim - 1,)
        return self.place(name, tracers[data], tracers[kernel], out, units, mark)

    def lookup(self, name: str, tracers: Any, out: Any, mark: Mark) -> Any:
        table, index = self.mark_of(tracers[0]), union([self.mark_of(t) for t in tracers[1:]])
        if not table.params or table.level >= index.level or not is_float(core.typeof(out)):
            return out, mark
        mark = dataclasses.replace(mark, level=index.level)
        if index.level == ROUTING:  # a kernel that is picked, not a signal
            return out, dataclasses.replace(mark, last=table.last)
        out, mark, _ = self.place(
            "lookup", None, tracers[0], out, (core.typeof(out).ndim - 1,), mark
        )
        return out, mark

    def place(self, kind: str, data: Any, kernel: Any, out: Any, units: Any, mark: Mark) -> Any:
        index = len(self.places)
        names = tuple(sorted(self.mark_of(kernel).params))
        turn = self.turns.get(names, 0)
        self.turns[names] = turn + 1
        w = self.lower(kernel)
        arrives = mark if data is None else self.mark_of(data)
        self.places.append(
            Place(
                index=index,
                kind=kind,
                names=names,
                turn=turn,
                kernel_shape=tuple(kernel.shape),
                kernel_rms=math.nan,
                z_shape=tuple(out.shape),
                raw=data is not None and arrives.raw and is_float(data.aval),
                branch=tuple(self.branch),
                after=arrives.last if data is not None else frozenset(),
            )
        )
        self.x.append(None if data is None else self.lower(data))
        self.w.append(w)
        if self.nudges is not None:
            with core.set_current_trace(self.parent):
                out = jnp.add(out, self.nudges[index])
        self.z.append(out)
        self.unit_axes.append(units)
        new = Mark(mark.level, frozenset(), frozenset({index}), raw=False)
        segment = None
        if self.slopes and kind != "lookup":
            segment = Segment(frozenset({index}), np.ones(out.shape, np.float32))
        return out, new, segment

    # The slope of whatever elementwise program stands behind a z.

    def follow(
        self, primitive: Any, tracers: Any, values: Any, params: Any, out: Any, mark: Mark
    ) -> Any:
        name = primitive.name
        marked = [t for t in tracers if isinstance(t, Marked) and t._trace is self]
        open_ = [t for t in marked if t.segment is not None]
        result = None
        if open_ and name in MOVES and len(open_) == len(tracers) == 1:
            slope = self.bind(primitive, [open_[0].segment.slope], params)
            slopes = slope if primitive.multiple_results else [slope]
            result = [Segment(open_[0].segment.places, s) for s in slopes]
        elif open_ and name in ELEMENTWISE and not primitive.multiple_results:
            floats = [t for t in marked if t.mark.level and is_float(t.aval)]
            places = {t.segment.places if t.segment else None for t in floats}
            if is_float(core.typeof(out)) and len(places) == 1:
                result = [Segment(open_[0].segment.places, self.slope(primitive, tracers, params))]
            elif name in ("add", "sub", "add_any") and is_float(core.typeof(out)):
                result = [Segment(mark.last, np.ones(out.shape, np.float32))]
                open_ = []  # a sum goes on: what was added is not yet at its activation
        if result is None or (name in ("mul", "div") and len(open_) < len(marked)):
            self.close(tracers)
        outs = out if primitive.multiple_results else [out]
        wrapped = [
            Marked(self, o, self.settle(o, mark, marked), result[k] if result else None)
            for k, o in enumerate(outs)
        ]
        return wrapped if primitive.multiple_results else wrapped[0]

    def slope(self, primitive: Any, tracers: Any, params: Any) -> Array:
        primals, tangents, where = [], [], []
        values = [self.lower(t) for t in tracers]
        for k, t in enumerate(tracers):
            if isinstance(t, Marked) and t.segment is not None and is_float(t.aval):
                where.append(k)
                primals.append(values[k])
                tangents.append(jnp.asarray(t.segment.slope, values[k].dtype))

        def g(*signals: Any) -> Any:
            full = list(values)
            for k, s in zip(where, signals, strict=True):
                full[k] = s
            return primitive.bind(*full, **params)

        with core.set_current_trace(self.parent):
            return jax.jvp(g, tuple(primals), tuple(tangents))[1]

    def close(self, tracers: Any) -> None:
        """An elementwise program ends here: how much of it is flat, at a bound that is not zero."""
        for t in tracers:
            if isinstance(t, Marked) and t._trace is self and t.segment is not None:
                with core.set_current_trace(self.parent):
                    slope = jnp.abs(jnp.asarray(t.segment.slope, jnp.float32))
                    value = jnp.asarray(t.value, jnp.float32)
                    if not slope.size or slope.shape != value.shape:
                        continue
                    flat = slope < FLAT_SLOPE * jnp.maximum(slope.max(), 0.25)
                    at_bound = jnp.sum(jnp.where(flat, value**2, 0)) / jnp.maximum(flat.sum(), 1)
                    bounded = at_bound > 0.01 * jnp.mean(value**2)
                    share = jnp.where(bounded, flat.mean(), 0.0)
                for place in t.segment.places:
                    self.flat.setdefault(place, []).append((share, slope.size))

    # Functions with derivative rules of their own.

    def process_custom_jvp_call(self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **kw):
        if self.slopes:  # no gradient is asked for: look inside
            with core.set_current_trace(self):
                return fun.call_wrapped(*tracers)
        return self.opaque(primitive, (fun, jvp), tracers, kw)

    def process_custom_vjp_call(
        self, primitive: Any, fun: Any, fwd: Any, bwd: Any, tracers: Any, /, **kw
    ):
        return self.opaque(primitive, (fun, fwd, bwd), tracers, kw)

    def opaque(self, primitive: Any, subfuns: Any, tracers: Any, kw: Any) -> Any:
        marked = [t for t in tracers if isinstance(t, Marked) and t._trace is self]
        values = [self.lower(t) for t in tracers]
        out = primitive.bind_with_trace(
            self.parent, values, tuple(map(core.typeof, values)), dict(kw, subfuns=subfuns)
        )
        mark = union([t.mark for t in marked]) if marked else Mark()
        return [Marked(self, o, self.settle(o, mark, marked)) for o in out]


def second_moment(a: Any) -> float:
    return float(np.mean(np.asarray(a, np.float64) ** 2))


def run(
    f: Function,
    params: Mapping[str, Array],
    x: Any,
    nudges: list[Array] | None = None,
    slopes: bool = False,
) -> tuple[Any, frozenset[int], Watch]:
    """One pass: outputs (a tree of arrays), the places next to them, and the interpreter."""
    with core.take_current_trace() as parent:
        watch = Watch(parent, nudges, slopes)
        with core.set_current_trace(parent):
            x = jax.tree.map(jnp.asarray, x)
        p = {k: Marked(watch, v, Mark(params=frozenset({k}))) for k, v in params.items()}
        x = jax.tree.map(lambda v: Marked(watch, v, Mark(SIGNAL)), x)
        with core.set_current_trace(watch):
            out = f(p, x)
        leaves, tree = jax.tree.flatten(out)
        watch.close(leaves)
        marks = [watch.mark_of(v) for v in leaves if is_float(core.typeof(v))]
        heads = frozenset().union(*(m.last for m in marks)) if marks else frozenset()
        return jax.tree.unflatten(tree, [watch.lower(v) for v in leaves]), heads, watch


# --- Measuring -----------------------------------------------------------------------------------


def cotangent(shape: tuple[int, ...], seed: int, k: int) -> np.ndarray:
    """c_k of the module's docstring: N(0, 1) of PCG64([seed, k]), over the root of the batch."""
    draw = np.random.Generator(np.random.PCG64([seed, k])).standard_normal(shape)
    return (draw / math.sqrt(shape[0] if shape else 1)).astype(np.float32)


def scalar(out: Any, y: Any, loss: Any, seed: int) -> Array:
    """L. Losses: "cross-entropy" (logits), "probabilities", "mse", or a function of (out, y)."""
    if loss is None:
        leaves = [v for v in jax.tree.leaves(out) if is_float(v)]
        parts = [
            jnp.sum(v.astype(jnp.float32) * cotangent(v.shape, seed, k))
            for k, v in enumerate(leaves)
        ]
        return sum(parts[1:], parts[0])
    if callable(loss):
        return loss(out, y)
    out = out.astype(jnp.float32)
    if loss == "mse":
        return jnp.mean((out - y.reshape(out.shape)) ** 2)
    logp = jax.nn.log_softmax(out) if loss == "cross-entropy" else jnp.log(out + 1e-7)
    return -jnp.mean(jnp.take_along_axis(logp, jnp.asarray(y)[..., None], -1))


def knows_nothing(y: Any, loss: Any, out: Any) -> float | None:
    """The loss of a network whose output is the best constant: ln C, or the variance of y."""
    if loss in ("cross-entropy", "probabilities"):
        return math.log(out.shape[-1])
    return float(np.var(np.asarray(y))) if loss == "mse" else None


def roll(x: Any) -> Any:
    return jax.tree.map(lambda v: np.roll(np.asarray(v), 1, axis=0), x)


def share(a: Any, b: Any) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    m = float(np.mean(a**2) + np.mean(b**2)) / 2
    return float(np.mean((a - b) ** 2)) / 2 / m if m else 0.0


def columns(a: Any, axes: tuple[int, ...]) -> np.ndarray:
    """(samples, units) of an array whose unit axes are `axes`."""
    a = np.asarray(a, np.float64)
    rest = [k for k in range(a.ndim) if k not in axes]
    n = math.prod(a.shape[k] for k in axes)
    return np.transpose(a, (*rest, *axes)).reshape(-1, n)


def distinct(z: np.ndarray, d: np.ndarray) -> int:
    """Units that differ, to 5 digits, in what they pass on or in what comes back."""
    parts = [a / (np.sqrt(np.mean(a**2)) or 1.0) for a in (z, d)]
    # Two random projections tell columns apart as well as all their entries do.
    p = np.random.Generator(np.random.PCG64(0)).standard_normal((2, parts[0].shape[0]))
    code = np.concatenate([p @ a / math.sqrt(a.shape[0]) for a in parts])
    return len(np.unique(np.round(code, 5), axis=1).T)


class Program:
    """f with its scalar, traced once and compiled once; `__call__(params, x)` runs all passes."""

    def __init__(self, f: Function, params: Any, x: Any, y: Any, loss: Any, seed: int) -> None:
        self.places: list[Place] = []
        self.heads: frozenset[int] = frozenset()
        self.unit_axes: list[tuple[int, ...]] = []

        def everything(p: Any, x: Any) -> Any:
            out, self.heads, watch = run(f, p, x, slopes=True)
            self.places, self.unit_axes = watch.places, watch.unit_axes
            zeros = [jnp.zeros(z.shape, z.dtype) for z in watch.z]

            def g(q: Any, nudges: list[Array]) -> Array:
                return scalar(run(f, q, x, nudges)[0], y, loss, seed)

            value, pull = jax.vjp(g, p, zeros)
            by_param, by_z = pull(jnp.ones_like(value))
            return {
                "out": out,
                "loss": value,
                "grads": by_param,
                "x": watch.x,
                "z": watch.z,
                "d": by_z,
                "w2": [jnp.mean(jnp.square(w.astype(jnp.float32))) for w in watch.w],
                "flat": watch.flat,
                "conditions": watch.conditions,
            }

        with jax.disable_jit():
            closed, shapes = jax.make_jaxpr(everything, return_shape=True)(params, x)
        self.tree = jax.tree.structure(shapes)
        flat = jax.tree.leaves((params, x))
        self.call = jax.jit(core.jaxpr_as_fun(closed)).lower(*flat).compile(COMPILER)

    def __call__(self, params: Any, x: Any) -> Any:
        return jax.tree.unflatten(self.tree, self.call(*jax.tree.leaves((params, x))))


COMPILER = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def arrays(tree: Any) -> Any:
    return jax.tree.map(jnp.asarray, tree)


def measure(
    f: Function,
    params: Mapping[str, Array],
    x: Any,
    y: Any = None,
    loss: Any = None,
    seed: int = 0,
    program: Program | None = None,
) -> Measurement:
    """All that the verdict needs, of f(params, x) with params a flat dict of name to array."""
    params, x = {k: jnp.asarray(v) for k, v in params.items()}, arrays(x)
    program = program or Program(f, params, x, y, loss, seed)
    with np.errstate(all="ignore"):
        return summarize(program, params, x, y, loss)


def summarize(program: Program, params: Any, x: Any, y: Any, loss: Any) -> Measurement:
    one, other = program(params, x), program(params, arrays(roll(x)))
    places = [dataclasses.replace(p) for p in program.places]
    matters = 0.0
    if any(p.raw for p in places):
        scaled = program(params, arrays(jax.tree.map(to_rms_1, x)))
        matters = relative(one["out"], scaled["out"])
    leaves, leaves_b = (
        [np.asarray(v, np.float64) for v in jax.tree.leaves(o["out"]) if is_float(v)]
        for o in (one, other)
    )
    for k, (p, axes) in enumerate(zip(places, program.unit_axes, strict=True)):
        if one["x"][k] is not None:
            p.x2 = second_moment(one["x"][k])
            p.x_share = share(one["x"][k], other["x"][k])
        p.z2, p.d2 = second_moment(one["z"][k]), second_moment(one["d"][k])
        p.z_share = share(one["z"][k], other["z"][k])
        p.kernel_rms = math.sqrt(float(one["w2"][k]))
        z, dz = columns(one["z"][k], axes), columns(one["d"][k], axes)
        p.units = z.shape[1]
        p.distinct = distinct(z, dz)
        p.dead_share = float(np.mean(np.all(dz == 0, axis=0)))
        flats = one["flat"].get(p.index, [])
        total = sum(int(n) for _, n in flats)
        p.flat_share = sum(float(s) * int(n) for s, n in flats) / total if total else 0.0
    taken = [int(c) for c in one["conditions"]]
    places = [p for p in places if all(taken[c] == branch for c, branch in p.branch)]
    turns: dict[tuple[str, ...], int] = {}
    for p in places:  # of those that are met
        p.turn = turns.get(p.names, 0)
        turns[p.names] = p.turn + 1
    used = {name for p in places for name in p.names}
    effects = {
        k: second_moment(params[k]) * float(np.sum(np.asarray(one["grads"][k], np.float64) ** 2))
        for k in params
        if k in used and params[k].ndim > 1
    }
    finite = all(
        bool(np.all(np.isfinite(np.asarray(v, np.float64))))
        for v in [*one["grads"].values(), *leaves]
    )
    return Measurement(
        places=places,
        heads=program.heads,
        output2=float(np.mean([np.mean(v**2) for v in leaves])),
        output_share=max(share(a, b) for a, b in zip(leaves, leaves_b, strict=True)),
        first_loss=None if loss is None else float(one["loss"]),
        baseline=None if loss is None else knows_nothing(y, loss, one["out"]),
        finite=finite,
        effects=effects,
        input_matters=matters,
    )


def to_rms_1(v: Any) -> Any:
    v = np.asarray(v)
    if not np.issubdtype(v.dtype, np.floating):
        return v
    return (v / (math.sqrt(second_moment(v)) or 1.0)).astype(v.dtype)


def relative(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(
        float(np.sqrt(2 * share(np.asarray(p), np.asarray(q)))) for p, q in pairs if is_float(p)
    )


# --- Judging -------------------------------------------------------------------------------------


def reached(m: Measurement) -> set[int]:
    """Places with a differentiable way to an output: not those that only route or are stopped."""
    found: set[int] = set()
    todo = list(m.heads)
    by_index = {p.index: p for p in m.places}
    while todo:
        k = todo.pop()
        if k not in found and k in by_index:
            found.add(k)
            todo += by_index[k].after
    return found


def chain(m: Measurement) -> list[Place]:
    """The longest line of places, each read by the next; of equally long ones the widest."""
    best: dict[int, tuple[int, float, list[int]]] = {}
    for p in m.places:
        before = max((best[k] for k in p.after if k in best), default=(0, 0.0, []))
        best[p.index] = (
            before[0] + 1,
            before[1] - HANIN / (p.units * spread(p)),
            [*before[2], p.index],
        )
    line = max((best[k] for k in m.heads if k in best), default=(0, 0.0, []))[2]
    return [p for p in m.places if p.index in line]


def fluctuation(m: Measurement) -> float:
    """How far chance takes ln E x² from 0: SDS sd and the drift of the mean, by Hanin's sum."""
    hidden = [p for p in chain(m) if p.index not in m.heads]
    variance = sum(HANIN / (p.units * spread(p)) for p in hidden)
    return SDS * math.sqrt(variance) + variance / 2


def bound(m: Measurement) -> float:
    """Of |ln E x²|: out of bounds is what training feels and what chance does not explain."""
    return max(math.log(LEVEL), fluctuation(m))


def spread(p: Place) -> int:
    """What a convolution's window adds to its units, as numbers that each output averages over."""
    if p.kind != "conv_general_dilated":
        return 1
    return max(1, math.prod(p.kernel_shape) // max(1, p.units) // max(1, p.units))


def at_heads(m: Measurement) -> list[tuple[str, float, float]]:
    """(name, E x², positions averaged into one) where each head reads.

    Where the outputs are a sum of several places, E out². A mean over n positions of independent
    entries leaves 1/n of the second moment, of equal ones all: the lower bound is n times wider.

    It is a sum where one head lies behind another, by whatever places between: the branches of a
    transformer all end in its stream. (At first only heads next to each other counted, and what the
    branches of six stock transformers read was held against the scale of plain chains.)
    """
    after = [p for p in m.places if p.index in m.heads]
    before: dict[int, set[int]] = {}
    for p in m.places:
        before[p.index] = set(p.after).union(*(before.get(k, set()) for k in p.after))
    if any(before[p.index] & m.heads for p in after):
        return [("the outputs", m.output2, 1.0)]
    size = {p.index: math.prod(p.z_shape) / max(1, p.units) for p in m.places}
    found = []
    for p in after:
        if p.x2 is not None and not p.raw:
            most = max((size.get(k, 1.0) for k in p.after), default=1.0)
            found.append((str(p.names), p.x2, max(1.0, most / size[p.index])))
    return found


def drifts(m: Measurement) -> list[tuple[str, float, int]]:
    """(name, E x², −1 below its bounds, 0 within, 1 above) at each head."""
    wide = bound(m)
    result = []
    for name, e, n in at_heads(m):
        log = math.log(max(e, 1e-300))
        result.append((name, e, int(log > wide) - int(log < -wide - math.log(n))))
    return result


def opened(program: Program, params: Mapping[str, Array], x: Any, y: Any, loss: Any) -> Measurement:
    params, x = {k: jnp.asarray(v) for k, v in params.items()}, arrays(x)
    for _ in range(OPENING_STEPS):
        for k, g in program(params, x)["grads"].items():
            rms = math.sqrt(second_moment(g))
            if rms > 0 and math.isfinite(rms):
                params[k] = params[k] - (OPENING_RMS / rms * g).astype(params[k].dtype)
    return summarize(program, params, x, y, loss)


def judge(
    f: Function,
    params: Mapping[str, Array],
    x: Any,
    y: Any = None,
    loss: Any = None,
    seed: int = 0,
) -> tuple[Verdict, Measurement]:
    """The measurement, and in words the first fault in the order in which one hides the next."""
    program = Program(f, {k: jnp.asarray(v) for k, v in params.items()}, arrays(x), y, loss, seed)
    m = measure(f, params, x, y, loss, seed, program)
    return verdict(m, lambda: opened(program, params, x, y, loss)), m


def verdict(m: Measurement, after_opening: Callable[[], Measurement]) -> Verdict:
    if not m.places:
        return Verdict("undecided", "no place where data meets a kernel")
    for rule in (not_finite, inputs, first_loss):
        found = rule(m)
        if found:
            return found
    if dead(m) or symmetric(m):
        m = after_opening()
    for rule in (not_finite, dead, symmetric, saturated, signal, collapsed, gradient):
        found = rule(m)
        if found:
            return found
    return Verdict("good", "signal, gradient, first loss and outputs are in bounds")


def not_finite(m: Measurement) -> Verdict | None:
    return None if m.finite else Verdict("exploding", "outputs or gradients are not finite")


def inputs(m: Measurement) -> Verdict | None:
    for p in m.places:
        outside = p.raw and p.x2 is not None and not INPUT_LOW <= p.x2 <= INPUT_HIGH
        if outside and m.input_matters > INPUT_MATTERS:
            return Verdict("inputs unscaled", f"E x² = {p.x2:.3g} where {p.names} reads")
    return None


def first_loss(m: Measurement) -> Verdict | None:
    """Too high because of the head: where its input is in bounds. Else the signal explains it."""
    if m.first_loss is None or m.baseline is None or m.first_loss <= FIRST_LOSS * m.baseline:
        return None
    if any(side for _, _, side in drifts(m)):
        return None
    return Verdict(
        "first loss far too high", f"{m.first_loss:.3g}, knowing nothing {m.baseline:.3g}"
    )


def dead(m: Measurement) -> Verdict | None:
    """A kernel is alive if one of its turns is: a forget gate's first step multiplies zeros."""
    alive = reached(m)
    shares: dict[tuple[str, ...], float] = {}
    for p in m.places:
        if p.index in alive and p.kind != "lookup" and p.units:
            shares[p.names] = min(p.dead_share, shares.get(p.names, 1.0))
    for names, part in shares.items():
        if part > DEAD:
            return Verdict("dead", f"no gradient in {part:.0%} of units at {names}")
    return None


def symmetric(m: Measurement) -> Verdict | None:
    for p in m.places:
        alive = round(p.units * (1 - p.dead_share))
        if alive > 1 and p.distinct <= DISTINCT * p.units and p.kind != "lookup":
            return Verdict("symmetric", f"{p.distinct} of {p.units} units differ at {p.names}")
    return None


def saturated(m: Measurement) -> Verdict | None:
    for p in m.places:
        if p.index not in m.heads and p.flat_share > SATURATED:
            return Verdict("saturated", f"{p.flat_share:.0%} flat after {p.names}")
    return None


def signal(m: Measurement) -> Verdict | None:
    for name, e, side in drifts(m):
        if side:
            word = "exploding" if side > 0 else "shrinking"
            return Verdict(word, f"E x² = {e:.3g} at {name}")
    if m.first_loss is None and m.output2 > OUTPUT * math.exp(bound(m)) / LEVEL:
        return Verdict("exploding", f"E out² = {m.output2:.3g}")
    return None


def collapsed(m: Measurement) -> Verdict | None:
    heads = [p for p in m.places if p.index in m.heads and p.x_share is not None and not p.raw]
    shares = [p.x_share for p in heads] or [m.output_share]
    if max(s for s in shares if s is not None) < COLLAPSED:
        return Verdict("collapsed", f"{max(shares):.3g} of E x² varies at the head")
    return None


def gradient(m: Measurement) -> Verdict | None:
    alive = reached(m)
    places = [p for p in m.places if p.index in alive]
    order = list(dict.fromkeys(n for p in places for n in p.names if n in m.effects))
    s = [m.effects[n] for n in order]
    if len(s) < 4 or not max(s) > 0:
        return None
    quarter, tenth = max(1, len(s) // 4), max(1, len(s) // 10)
    if max(s[:quarter]) < VANISHING * max(s):
        return Verdict("shrinking", f"S of the first quarter {max(s[:quarter]) / max(s):.1g}")
    late = max(s[-tenth:])
    ratio = max(s[: len(s) // 2]) / late if late else 0.0
    if ratio > GRADIENT_EXPLODING:
        return Verdict("exploding", f"S early over late {ratio:.1g}")
    if ratio > GRADIENT_DOUBT:
        return Verdict(
            "undecided", f"S early over late {ratio:.1g}: nets of this kind train or not"
        )
    return None


# --- Training decides where a verdict is arguable ------------------------------------------------


def train(
    f: Function,
    params: Mapping[str, Array],
    x: Any,
    y: Any,
    loss: Any,
    optimizer: str = "sgd",
    steps: int = 100,
    rate: float | None = None,
    trainable: Callable[[str], bool] = lambda name: True,
) -> tuple[float, float]:
    """(first loss, mean of the last tenth) of full-batch descent; nan where it overflows."""
    rate = rate if rate is not None else {"sgd": 0.05, "adam": 1e-3}[optimizer]
    fixed = {k: jnp.asarray(v) for k, v in params.items() if not trainable(k)}
    p = {k: jnp.asarray(v) for k, v in params.items() if trainable(k)}
    zero = jax.tree.map(jnp.zeros_like, p)

    @jax.jit
    def step(t: Array, p: Any, m: Any, v: Any) -> Any:
        value, g = jax.value_and_grad(lambda q: scalar(f({**q, **fixed}, x), y, loss, 0))(p)
        if optimizer == "sgd":
            return value, jax.tree.map(lambda a, b: a - rate * b, p, g), m, v
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        scale = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = jax.tree.map(lambda w, a, b: w - scale * a / (jnp.sqrt(b) + 1e-8), p, m, v)
        return value, p, m, v

    losses, m, v = [], zero, zero
    for t in range(1, steps + 1):
        value, p, m, v = step(jnp.float32(t), p, m, v)
        losses.append(float(value))
        if not math.isfinite(losses[-1]):
            return losses[0], math.nan
    return losses[0], float(np.mean(losses[-max(1, steps // 10) :]))


# --- Thin adapters -------------------------------------------------------------------------------


def from_keras(model: Any, training: bool | None = None) -> tuple[Function, dict[str, Array]]:
    """A Keras model on JAX. Names are variable paths; whole numbers (seeds) stay as they are.

    `training` is passed on if it is not None. Updates of moving averages are dropped.
    """
    groups = (list(model.trainable_variables), list(model.non_trainable_variables))
    names: dict[int, str] = {}
    for v in (*groups[0], *groups[1]):
        name, n = v.path, 0
        while name in names.values():
            n += 1
            name = f"{v.path}#{n}"
        names[id(v)] = name
    values = {names[id(v)]: v.value for g in groups for v in g}
    params = {k: v for k, v in values.items() if is_float(v)}
    kwargs = {} if training is None else {"training": training}

    def f(p: dict[str, Array], x: Any) -> Any:
        lists = [[p.get(names[id(v)], values[names[id(v)]]) for v in g] for g in groups]
        return model.stateless_call(*lists, x, **kwargs)[0]

    return f, params


def from_nnx(model: Any, call: Callable[..., Any] | None = None) -> tuple[Function, dict[str, Any]]:
    """A Flax NNX module; `call(module, x)` if it is not module(x). Names are paths with slashes."""
    from flax import nnx

    graph, state, rest = nnx.split(model, nnx.Param, ...)
    flat = {"/".join(map(str, path)): leaf for path, leaf in state.flat_state()}
    params = {k: leaf[...] for k, leaf in flat.items()}

    def f(p: dict[str, Array], x: Any) -> Any:
        paths = {"/".join(map(str, path)): path for path, _ in state.flat_state()}
        leaves = {paths[k]: flat[k].replace(v) for k, v in p.items()}
        fresh = jax.tree.map(lambda leaf: leaf, rest)  # a module may write to its own alone
        module = nnx.merge(graph, nnx.State.from_flat_path(leaves), fresh)
        return module(x) if call is None else call(module, x)

    return f, params


def from_equinox(
    model: Any, call: Callable[..., Any] | None = None
) -> tuple[Function, dict[str, Any]]:
    """An Equinox module, vmapped over the examples unless `call(module, x)` says otherwise."""
    import equinox as eqx

    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    paths, tree = jax.tree_util.tree_flatten_with_path(arrays)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    params = {n: leaf for n, (_, leaf) in zip(names, paths, strict=True)}

    def f(p: dict[str, Array], x: Any) -> Any:
        module = eqx.combine(jax.tree.unflatten(tree, [p[n] for n in names]), static)
        return jax.vmap(module)(x) if call is None else call(module, x)

    return f, params
