"""JAX functions with their parameters, read as programs and measured: `audit` and `reinitialize`.

The function's jaxpr is written down as `winit.program.Op`s, with everything that only calls
inlined, and read by `winit.program.Reader`. Then the operations run again, with an identity at
every site whose derivative notes the squares of what comes back: one compiled pass, forward and
back, measures everything.
"""

from __future__ import annotations

import hashlib
import math
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters import partial_eval

from winit import _checks
from winit._checks import RNG
from winit.diagnostics import FLAT
from winit.program import KEY, Contract, Draft, Op, Reader, every
from winit.program import Subject as Base

if TYPE_CHECKING:
    from winit.report import Audit

KINDS = {
    "affine": "neg convert_element_type copy real reduce_precision stop_gradient",
    "add": "add add_any sub",
    "mul": "mul",
    "div": "div",
    "choose": "select_n",
    "map": "max min abs sign floor ceil round exp exp2 expm1 log log1p sqrt rsqrt cbrt square pow "
    "integer_pow tan tanh sin cos asin acos atan atan2 sinh cosh asinh acosh atanh logistic erf "
    "erfc erf_inv lgamma clamp is_finite rem and or xor not eq ne lt le gt ge",
    "move": "reshape transpose broadcast_in_dim squeeze expand_dims slice rev split pad",
    "join": "concatenate",
    "reduce": "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin "
    "reduce_window_sum reduce_window_max reduce_window_min reduce_window cumsum cumprod cummax "
    "cumlogsumexp sort top_k",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
# What NumPy calls by another name, or not at all.
NUMPY: dict[str, Any] = {
    "neg": np.negative, "add_any": np.add, "sub": np.subtract, "mul": np.multiply,
    "div": np.divide, "max": np.maximum, "min": np.minimum, "rem": np.fmod, "round": np.rint,
    "is_finite": np.isfinite, "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
    "not": np.logical_not, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "gt": np.greater,
    "le": np.less_equal, "ge": np.greater_equal, "rsqrt": lambda x: x**-0.5,
    "logistic": lambda x: (1 + np.tanh(x / 2)) / 2,
    "clamp": lambda low, x, high: np.clip(x, low, high),
    "select_n": lambda which, *cases: np.choose(
        which.astype(int), np.broadcast_arrays(which, *cases)[1:]
    ),
}  # fmt: skip
SCIPY = {"erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "lgamma": "gammaln"}
# Compiled once and run a few times: optimizing it takes longer than it saves.
OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
BLOCK = 512  # so many squares are added up on the device in float32, the rest in float64


def _floats(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


# ------------------------------------------------------------------ writing a jaxpr down


class Writer:
    """Numbers the values of a jaxpr and writes its equations down."""

    def __init__(self, trips: Mapping[int, int]) -> None:
        self.trips = trips  # how often each while loop runs, by its place among them
        self.shapes: dict[int, Any] = {}
        self.known: dict[int, Any] = {}  # literals and constants
        self.data: set[int] = set()
        self.loops = 0

    def new(self, variable: Any) -> int:
        """A number for a new value."""
        number = len(self.shapes)
        self.shapes[number] = variable.aval
        return number

    def write(self, jaxpr: Any, arguments: Sequence[int]) -> tuple[list[Op], list[int]]:
        """The operations of a jaxpr whose arguments have these numbers, and its results."""
        consts, jaxpr = getattr(jaxpr, "consts", ()), getattr(jaxpr, "jaxpr", jaxpr)
        env = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            env[variable] = self.new(variable)
            self.known[env[variable]] = value
        ops: list[Op] = []

        def number(v: Any) -> int:
            if not isinstance(v, core.Literal):
                return int(env[v])
            i = self.new(v)
            self.known[i] = v.val
            return i

        for eqn in jaxpr.eqns:
            self.jaxpr = jaxpr
            inputs = [number(v) for v in eqn.invars]
            name = eqn.primitive.name
            inner = _called(eqn)
            if inner is not None:
                more, outputs = self._call(eqn, inner, inputs)
            else:
                outputs = [self.new(v) for v in eqn.outvars]
                if self.data.intersection(inputs):
                    self.data.update(outputs)
                special = {"scan": self._scan, "while": self._while, "cond": self._cond}
                more = special.get(name, self._op)(eqn, inputs, outputs)
            env.update(zip(eqn.outvars, outputs, strict=True))
            ops += more
        return ops, [number(v) for v in jaxpr.outvars]

    def _call(self, eqn: Any, inner: Any, inputs: list[int]) -> tuple[list[Op], list[int]]:
        """What an equation calls; whole too, for its own derivative, where no site is inside."""
        count = len(getattr(inner, "jaxpr", inner).invars)
        ops, outputs = self.write(inner, inputs[len(inputs) - count :])
        sites = any(op.kind in ("contract", "lookup") or op.bodies for op in every(ops))
        made = {i for op in ops for i in op.outputs}
        if sites or not eqn.primitive.name.startswith("custom") or not made.issuperset(outputs):
            return ops, outputs
        ops = [replace(op, only="read") for op in ops if op.only != "run"]
        call = Op("other", inputs, outputs, partial(_run, self.jaxpr, eqn), only="run")
        return [*ops, call], outputs

    def _op(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        name = eqn.primitive.name
        kind, count = KIND.get(name, "other"), 1.0
        contract: tuple[Contract | None, ...] = ()
        if name == "dot_general":
            kind, contract = "contract", (_dot(eqn, 0), _dot(eqn, 1))
            axes = eqn.params["dimension_numbers"][0][0]
            count = math.prod(eqn.invars[0].aval.shape[axis] for axis in axes)
        elif name == "conv_general_dilated":
            kind, contract = "contract", (None, _convolution(eqn))
        elif name in ("gather", "dynamic_slice") and not self.data.intersection(inputs[1:]):
            kind = "move"
        elif name == "gather" and inputs[0] not in self.data:
            kind, contract = "lookup", (_lookup(eqn), None)
        elif name == "reduce_window_sum":
            count = math.prod(eqn.params["window_dimensions"])
        elif name == "reduce_sum":
            count = math.prod(eqn.invars[0].aval.shape[axis] for axis in eqn.params["axes"])
        return [
            Op(
                kind,
                inputs,
                outputs,
                run=partial(_run, self.jaxpr, eqn),
                numbers=_numbers(eqn),
                whole=not any(_floats(v.aval) for v in eqn.outvars),
                stops=name == "stop_gradient",
                count=count,
                contract=contract,
                parts=_parts(eqn),
                label=f"{name}{eqn.params}" if kind == "move" else "",
            )
        ]

    def _inside(self, variables: Any, outside: Sequence[int], carried: int) -> list[int]:
        """Numbers inside a loop; a state of floats is taken to depend on data."""
        numbers = [self.new(v) for v in variables]
        for place, (i, j, v) in enumerate(zip(outside, numbers, variables, strict=True)):
            if i in self.data or (place < carried and _floats(v.aval)):
                self.data.add(j)
        return numbers

    def _scan(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        p, body = eqn.params, eqn.params["jaxpr"]
        first, carried = p["num_consts"], p["num_carry"]
        inside = self._inside(body.jaxpr.invars[first:], inputs[first:], carried)
        pairs = list(zip(inputs[first + carried :], inside[carried:], strict=True))
        slices = [Op("join" if i in self.data else "move", [i], [j], only="read") for i, j in pairs]
        ops, outs = self.write(body, inputs[:first] + inside)
        carry = list(zip(inputs[first : first + carried], inside, outs, strict=False))
        results = list(zip(outputs, outs, strict=True))
        extra: Any = (pairs, p["reverse"], None)
        return [Op("loop", inputs, outputs, bodies=[[*slices, *ops]], carry=carry, results=results,
                   steps=p["length"], extra=extra)]  # fmt: skip

    def _while(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        p = eqn.params
        skip, first = p["cond_nconsts"], p["body_nconsts"]
        test = partial(jax.core.eval_jaxpr, p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts)
        starts, place = inputs[skip + first :], self.loops
        self.loops += 1
        inside = self._inside(p["body_jaxpr"].jaxpr.invars[first:], starts, len(starts))
        ops, outs = self.write(p["body_jaxpr"], inputs[skip : skip + first] + inside)
        carry, results = (list(zip(*lists, strict=True)) for lists in (
            (starts, inside, outs), (outputs, outs)))  # fmt: skip
        extra: Any = ([], False, (place, inputs[:skip], test))
        return [Op("loop", inputs, outputs, bodies=[ops], carry=carry, results=results,
                   steps=self.trips.get(place, 1), extra=extra)]  # fmt: skip

    def _cond(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        written = [self.write(branch, inputs[1:]) for branch in eqn.params["branches"]]
        results = list(zip(outputs, *(outs for _, outs in written), strict=True))
        return [Op("cond", inputs, outputs, bodies=[ops for ops, _ in written], results=results)]


def _called(eqn: Any) -> Any:
    """The jaxpr of an equation that only calls it, or None."""
    if eqn.primitive.name in ("scan", "while", "cond", "pallas_call", "shard_map"):
        return None
    names = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    return next((eqn.params[name] for name in names if name in eqn.params), None)


def _run(whole: Any, eqn: Any, *arrays: Any) -> list[Any]:
    """An equation of a jaxpr on its arrays, with whatever custom derivative it has."""
    pairs = zip(eqn.invars, arrays, strict=True)
    given = {v: a for v, a in pairs if not isinstance(v, core.Literal)}
    alone = whole.replace(constvars=[], invars=[*given], outvars=[*eqn.outvars], eqns=[eqn])
    return list(jax.core.eval_jaxpr(alone, (), *given.values()))


def _numbers(eqn: Any) -> Callable[..., Any] | None:
    """The equation in NumPy, if it is elementwise."""
    name = eqn.primitive.name
    if KIND.get(name) not in ("affine", "add", "mul", "div", "choose", "map"):
        return None
    if name == "integer_pow":
        return lambda x: x ** float(eqn.params["y"])
    if KIND[name] == "affine" and name != "neg":
        return lambda x: x if _floats(eqn.outvars[0].aval) else np.trunc(x)
    if name in SCIPY:
        from scipy import special  # loaded where a model has one

        return getattr(special, SCIPY[name])  # type: ignore[no-any-return]
    return NUMPY[name] if name in NUMPY else getattr(np, name)  # type: ignore[no-any-return]


def _parts(eqn: Any) -> tuple[int, int]:
    if eqn.primitive.name not in ("slice", "split"):
        return 1, 0
    shape, out = eqn.invars[0].aval.shape, [v.aval.shape for v in eqn.outvars]
    cut = [a for a in range(len(shape)) if out[0][a] != shape[a]]
    if len(cut) != 1 or len(set(out)) > 1 or shape[cut[0]] % max(1, out[0][cut[0]]):
        return 1, 0
    return shape[cut[0]] // out[0][cut[0]], math.prod(shape[cut[0] :])


def _dot(eqn: Any, side: int) -> Contract:
    contracted, batch = eqn.params["dimension_numbers"]
    shapes = [v.aval.shape for v in eqn.invars]
    free = [
        [a for a in range(len(shapes[k])) if a not in (*contracted[k], *batch[k])] for k in (0, 1)
    ]
    n = len(batch[0])
    ends = [range(n, n + len(free[0])), range(n + len(free[0]), n + len(free[0]) + len(free[1]))]
    order = (batch[side], free[side], contracted[side], ())
    units = (*range(n), *ends[side])
    return Contract(order, shapes[side], units=units, examples_x=free[1 - side],
                    examples_z=ends[1 - side])  # fmt: skip


def _convolution(eqn: Any) -> Contract:
    p, spec = eqn.params, eqn.params["dimension_numbers"]
    return Contract(
        ((), spec.rhs_spec[:1], spec.rhs_spec[1:2], spec.rhs_spec[2:]),
        eqn.invars[1].aval.shape,
        p["feature_group_count"],
        math.prod(p["lhs_dilation"]),
        math.prod(p["window_strides"]),
        units=spec.out_spec[1:2],
        examples_x=spec.lhs_spec[:1],
        examples_z=spec.out_spec[:1],
    )


def _lookup(eqn: Any) -> Contract | None:
    numbers, shape = eqn.params["dimension_numbers"], eqn.invars[0].aval.shape
    picked = numbers.collapsed_slice_dims
    kept = [a for a in range(len(shape)) if a not in picked]
    sizes = eqn.params["slice_sizes"]
    if numbers.operand_batching_dims or any(sizes[a] != shape[a] for a in kept):
        return None
    rows = [a for a in range(len(eqn.outvars[0].aval.shape)) if a not in numbers.offset_dims]
    indices = range(len(eqn.invars[1].aval.shape) - 1)
    return Contract((picked, kept, (), ()), shape, units=numbers.offset_dims, examples_x=indices,
                    examples_z=rows)  # fmt: skip


# ------------------------------------------------------------------ running it, with meters


def _wide(values: Any) -> Any:
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _sums(values: Any, units: Sequence[int] = ()) -> Any:
    """Sums over blocks of the squares, for each unit: (blocks, units)."""
    rest = [a for a in range(values.ndim) if a not in units]
    rows = math.prod(values.shape[a] for a in rest)
    block = next((m for m in range(min(BLOCK, rows), 0, -1) if rows % m == 0), 1)
    moved = values.transpose([*rest, *units])
    return jnp.sum(jnp.square(_wide(moved).reshape(rows // block, block, -1)), axis=1)


def _varying(values: Any, axes: Sequence[int], examples: int) -> dict[str, Any]:
    """Sums of the squares about the mean over the examples, which lie on one of these axes."""
    sizes = {a: values.shape[a] for a in axes}
    found = [a for a, n in sizes.items() if n == examples]
    found += [a for a, n in sizes.items() if n and n % examples == 0]
    if examples < 2 or not found:
        return {}
    shape = (*values.shape[: found[0]], examples, -1, *values.shape[found[0] + 1 :])
    wide = _wide(values).reshape(shape)
    return {"v": _sums(wide - wide.mean(axis=found[0], keepdims=True))}


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _tap(z: Any, slot: Any, units: tuple[int, ...]) -> Any:
    """z; the derivative by `slot` is the sums of the squares of the gradient at z."""
    return z


_tap.defvjp(lambda z, slot, units: (z, None), lambda units, _, g: (g, _sums(g, units)))


class Runner:
    """Runs operations, and notes what `winit.program.Measured` needs."""

    def __init__(self, reader: Reader | None, examples: int) -> None:
        self.examples, self.reader = examples, reader
        self.drafts: dict[int, Draft] = {}
        if reader is not None:
            self.drafts = {d.z: d for d in reader.drafts}
            self.tails = {d.z: reader.tails(d, FLAT) for d in reader.drafts}

    def run(
        self, ops: Sequence[Op], values: dict[int, Any], slots: Any, fresh: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Put the results among the values, and return the notes, those on `fresh` ones too."""
        notes: dict[str, Any] = {}
        for i in fresh:
            self._watch(i, values[i], notes)
        for op in ops:
            if op.only == "read":
                continue
            if op.bodies:
                step = self._cond if op.kind == "cond" else self._loop
                notes |= step(op, values, slots)
            else:
                assert op.run is not None
                made = op.run(*(values[i] for i in op.inputs))
                values.update(zip(op.outputs, made, strict=True))
            if op.contract and op.outputs[0] in self.drafts:
                self._site(self.drafts[op.outputs[0]], values, slots, notes)
            for i in op.outputs:
                self._watch(i, values[i], notes)
        return notes

    def _watch(self, i: int, value: Any, notes: dict[str, Any]) -> None:
        if self.reader is not None and i in self.reader.roots and _floats(value):
            notes[f"root {i}"] = {"n": jnp.ones(()), "x": _sums(value)}

    def _site(self, d: Draft, values: dict[int, Any], slots: Any, notes: dict[str, Any]) -> None:
        x, z, c = values[d.x], values[d.z], d.contract
        notes[f"z {d.z}"] = {"n": jnp.ones(()), "x": _sums(z, c.units)}
        notes[f"z {d.z}"] |= _varying(z, c.examples_z, self.examples)
        if _floats(x):
            notes[f"x {d.z}"] = {"n": jnp.ones(()), "x": _sums(x)}
            notes[f"x {d.z}"] |= _varying(x, c.examples_x, self.examples)
        if tails := self.tails[d.z]:
            flat = (x < tails[0]) | (x > tails[1])
            notes[f"flat {d.z}"] = {"x": jnp.mean(flat.astype(jnp.float32))}
        assert self.reader is not None
        if d.kernel not in self.reader.parameters and d.op.kind == "contract":
            w = _wide(values[d.kernel])
            notes[f"w {d.z}"] = {"n": jnp.ones(()), "x": _sums(w - w.mean())}
        if d.z in slots:
            values[d.z] = _tap(z, slots[d.z], tuple(c.units))

    def _cond(self, op: Op, values: dict[int, Any], slots: Any) -> Any:
        def branch(place: int) -> Any:
            inner = dict(values)
            notes = self.run(op.bodies[place], inner, slots)
            return [inner[ins[place]] for _, *ins in op.results], notes

        branches = [partial(branch, place) for place in range(len(op.bodies))]
        each = [jax.eval_shape(b)[1] for b in branches]
        whole = {key: note for notes in each for key, note in notes.items()}

        def full(b: Any) -> Any:
            outs, notes = b()
            return outs, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), whole) | notes

        outs, notes = jax.lax.switch(
            jnp.asarray(values[op.inputs[0]], jnp.int32), [partial(full, b) for b in branches]
        )
        values.update(zip((outside for outside, *_ in op.results), outs, strict=True))
        return notes

    def _loop(self, op: Op, values: dict[int, Any], slots: Any) -> Any:
        pairs, reverse, test = op.extra
        inner = {z for o in every(op.bodies[0]) for z in o.outputs} & set(slots)
        stacked = op.results[len(op.carry) :]

        def step(carry: Any, sliced: Any) -> Any:
            mine = dict(values)
            mine.update({inside: c for (_, inside, _), c in zip(op.carry, carry, strict=True)})
            mine.update({j: x for (_, j), x in zip(pairs, sliced[0], strict=True)})
            new = [inside for _, inside, _ in op.carry] + [j for _, j in pairs]
            notes = self.run(op.bodies[0], mine, sliced[1], new)
            out = [mine[o] for *_, o in op.carry]
            if test is not None:
                goes = test[2](*(values[i] for i in test[1]), *carry)[0]
                out = [jnp.where(goes, new, old) for new, old in zip(out, carry, strict=True)]
                notes = jax.tree.map(lambda a: a * goes, notes)
            return out, ([mine[i] for _, i in stacked], notes)

        first = [jnp.asarray(values[i]) for i, *_ in op.carry]
        if test is not None and self.reader is None:
            return self._count(op, step, first, values)
        rest = (
            [values[i] for i, _ in pairs],
            {z: slots[z][::-1] if reverse else slots[z] for z in inner},
        )
        carry, (ys, notes) = jax.lax.scan(step, first, rest, length=op.steps, reverse=reverse)
        values.update(zip((outside for outside, _ in op.results), [*carry, *ys], strict=True))
        return jax.tree.map(lambda a: a[::-1], notes) if reverse else notes

    def _count(self, op: Op, step: Any, first: Any, values: dict[int, Any]) -> Any:
        """Run a while loop to see how often it does."""
        place, fixed, test = op.extra[2]

        def goes(state: Any) -> Any:
            return test(*(values[i] for i in fixed), *state[1])[0]

        count, out = jax.lax.while_loop(
            goes, lambda s: (s[0] + 1, step(s[1], ([], {}))[0]), (0, first)
        )
        values.update(zip((outside for outside, _ in op.results), out, strict=True))
        return {f"trips {place}": count}


# ------------------------------------------------------------------ a model of JAX

_compiled: dict[str, Any] = {}  # by their text: audited before and after a change, compiled once
KEPT = 4


def _compile(function: Callable[..., Any], *arguments: Any) -> Any:
    lowered = jax.jit(function, keep_unused=True).lower(*arguments)
    text = f"{lowered.as_text()}{jax.tree.structure(arguments)}{lowered.out_tree}"
    program = hashlib.sha256(text.encode()).hexdigest()
    if program not in _compiled:
        _compiled[program] = lowered.compile(compiler_options=OPTIONS)
        while len(_compiled) > KEPT:
            del _compiled[next(iter(_compiled))]
    return _compiled[program]


class Subject(Base):
    """A function of parameters by name and of inputs.

    Parameters
    ----------
    name : for people
    function : of a dict of arrays and the inputs
    arrays : the parameters, by path
    x : inputs, a tree of arrays, examples first
    loss, targets : a function of (outputs, targets); without one, a random direction goes back
    trainable : paths; all by default
    made : x holds only shapes: put in noise, or tokens where a table is looked up
    """

    flat = FLAT

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Any], Any], Any],
        arrays: Mapping[str, Any],
        x: Any,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        targets: Any = None,
        trainable: Collection[str] | None = None,
        rng: RNG = 0,
        made: bool = False,
    ) -> None:
        self.name, self.loss, self.targets = name, loss, targets
        self.arrays = {n: arrays[n] for n in sorted(arrays)}  # as JAX flattens a dict
        self.x, self.structure = jax.tree.flatten(x)
        seed = rng if isinstance(rng, numbers.Integral) else None
        own = _checks.as_rng(rng).bytes(8) if seed is None else _checks.as_rng(rng) and [int(seed)]
        self.stream = np.random.default_rng(np.random.SeedSequence([KEY, *own]))
        closed, self.shape = jax.make_jaxpr(function, return_shape=True)(self.arrays, x)
        self.floats = [_floats(v.aval) for v in closed.jaxpr.outvars]
        alive, _ = partial_eval.dce_jaxpr(closed.jaxpr, self.floats, instantiate=True)
        self.jaxpr = core.ClosedJaxpr(alive, closed.consts)
        self.examples = next((a.shape[0] for a in self.x if np.ndim(a)), 1)
        paths = jax.tree_util.tree_flatten_with_path(x)[0]
        names = [jax.tree_util.keystr(p, simple=True, separator="/") or "x" for p, _ in paths]
        self._read(self._trips(), names, self.arrays if trainable is None else trainable)
        if made:
            self.x = [self._made(i, a) for i, a in zip(self.reader.inputs, self.x, strict=True)]
        self.step: Any = None  # compiled when it is first wanted: a redraw needs no run

    def _trips(self) -> dict[int, int]:
        """How often each while loop runs, by running them."""
        writer = Writer({})
        arguments = [writer.new(v) for v in self.jaxpr.jaxpr.invars]
        ops, _ = writer.write(self.jaxpr, arguments)
        if not writer.loops:
            return {}

        def counts(flat: Any) -> Any:
            values = writer.known | dict(zip(arguments, flat, strict=True))
            return Runner(None, 1).run(ops, values, {})

        notes = jax.jit(counts)([*self.arrays.values(), *self.x])
        return {int(key.split()[1]): max(1, int(np.max(n))) for key, n in notes.items()}

    def _read(self, trips: Mapping[int, int], names: list[str], trainable: Any) -> None:
        writer = Writer(trips)
        self.arguments = [writer.new(v) for v in self.jaxpr.jaxpr.invars]
        inputs = dict(zip(self.arguments[len(self.arrays) :], names, strict=True))
        writer.data |= set(inputs)
        self.ops, outputs = writer.write(self.jaxpr, self.arguments)
        self.known = writer.known
        owned = zip(self.arguments, self.arrays.items(), strict=False)
        parameters = {i: n for i, (n, a) in owned if _floats(a)}
        constants = {i: float(np.asarray(v).item()) for i, v in self.known.items() if _single(v)}
        means = {i: float(np.mean(self.numpy(self.arrays[n]))) for i, n in parameters.items()}
        whole = {i for i, a in zip(inputs, self.x, strict=True) if not _floats(a)}
        shapes = {i: tuple(aval.shape) for i, aval in writer.shapes.items()}
        self.reader = Reader(self.ops, inputs, whole, parameters, trainable, constants | means,
                             shapes, outputs)  # fmt: skip
        whole_kernels = [n for n, a in self.arrays.items() if a.dtype.itemsize == 1 and a.ndim > 1]
        note = (
            f"{', '.join(whole_kernels)}: of whole numbers (quantized), neither judged nor drawn."
        )
        self.program = replace(self.reader.program(), notes=(note,) if whole_kernels else ())

    def _made(self, i: int, shaped: Any) -> Any:
        """An input that suits what the model does with it first."""
        words = self.reader.vocabulary(i)
        if words or not _floats(shaped):
            high = words or (256 if shaped.dtype == np.uint8 else 2)
            return self.like(self.stream.integers(0, high, shaped.shape), shaped)
        scale, shift = self.reader.entry(i)
        return self.like((self.stream.standard_normal(shaped.shape) - shift) / scale, shaped)

    def _prepare(self) -> None:
        """Compile the one pass."""
        self.runner = Runner(self.reader, self.examples)
        flat = [*self.arrays.values(), *self.x]
        out, notes = jax.eval_shape(partial(self._forward, slots={}), flat)
        zs = {d.z: notes.get(f"z {d.z}") for d in self.reader.drafts}
        self.slots = {z: np.zeros(n["x"].shape, np.float32) for z, n in zs.items() if n is not None}
        self.directions = [self.stream.standard_normal(o.shape).astype(o.dtype) for o in out]
        self.step = _compile(self._pass, *self._arguments(self.arrays, self.x))

    def _arguments(self, arrays: Mapping[str, Any], x: list[Any]) -> tuple[Any, ...]:
        floats = {n: a for n, a in arrays.items() if _floats(a)}
        rest = {n: a for n, a in arrays.items() if n not in floats}
        return floats, self.slots, rest, x, self.directions, self.targets

    def _forward(self, flat: Sequence[Any], slots: Any) -> tuple[list[Any], Any]:
        values = self.known | dict(zip(self.arguments, flat, strict=True))
        notes = self.runner.run(self.ops, values, slots, self.arguments)
        return [values[i] for i in self.reader.outputs], notes

    def _pass(self, floats: Any, slots: Any, rest: Any, x: Any, directions: Any, y: Any) -> Any:
        def scalar(floats: Any, slots: Any) -> Any:
            arrays = floats | rest
            outputs, notes = self._forward([*(arrays[n] for n in self.arrays), *x], slots)
            value = self._value(outputs, directions, y)
            return value, (value, outputs, notes)

        gradient = jax.grad(scalar, (0, 1), has_aux=True)
        (weights, back), (value, outputs, notes) = gradient(floats, slots)
        notes |= {f"weight {n}": {"x": _sums(g)} for n, g in weights.items()}
        notes |= {f"g {z}": {"x": g} for z, g in back.items()}
        for i, o in zip(self.reader.outputs, outputs, strict=True):
            varying = _varying(o, range(o.ndim), self.examples)
            notes[f"out {i}"] = {"n": jnp.ones(()), "x": _sums(o)} | varying
        for i, a in zip(self.reader.inputs, x, strict=True):
            notes |= {f"in {i}": {"n": jnp.ones(()), "x": _sums(a)}} if _floats(a) else {}
        if self.loss is not None:
            blind = [self._value(each, None, y) for each in self._constants(outputs, y)]
            notes |= {"loss": {"x": value}, "blind": {"x": jnp.stack(blind)}}
        return notes

    def _value(self, outputs: Sequence[Any], directions: Any, y: Any) -> Any:
        if self.loss is not None:
            left = iter(outputs)
            found = [next(left) if f else None for f in self.floats]
            return self.loss(jax.tree.unflatten(jax.tree.structure(self.shape), found), y)
        total = jnp.zeros(())
        for d, o in zip(directions, outputs, strict=True):
            norm = jnp.sqrt(jnp.sum(jnp.square(_wide(o))))
            total += jnp.sum(_wide(d * o)) / jax.lax.stop_gradient(jnp.where(norm > 0, norm, 1.0))
        return total

    def _constants(self, outputs: Sequence[Any], y: Any) -> list[list[Any]]:
        """Outputs that know nothing: 0, even shares, and the mean of targets that are no marks."""
        shares = [1 / max(2, o.shape[-1] if o.ndim > 1 else 2) for o in outputs]
        tries = [[jnp.zeros_like(o) for o in outputs]]
        tries += [[jnp.full_like(o, c) for o, c in zip(outputs, shares, strict=True)]]
        pairs = list(zip(jax.tree.leaves(y), outputs, strict=False))
        marks = all(np.isin(t, (0, 1)).all() for t in jax.tree.leaves(self.targets))
        if len(pairs) == len(outputs) and all(t.size == o.size for t, o in pairs) and not marks:
            means = [(jnp.mean(t.reshape(o.shape), axis=0), o) for t, o in pairs]
            tries += [[jnp.broadcast_to(m, o.shape).astype(o.dtype) for m, o in means]]
        return tries

    def execute(self, arrays: Mapping[str, Any], inputs: float) -> Any:
        """One run of the compiled pass."""
        if self.step is None:
            self._prepare()
        x = self.x
        if inputs != 1.0:
            x = [self.like(self.numpy(a) / inputs, a) if _floats(a) else a for a in x]
        return jax.tree.map(np.asarray, self.step(*self._arguments(arrays, x)))

    def like(self, value: Any, old: Any) -> Any:
        """A value in the dtype and layout of an array."""
        made = np.asarray(value).astype(old.dtype)
        return jax.device_put(made, old.sharding) if hasattr(old, "sharding") else made


def _single(value: Any) -> bool:
    """Whether a constant is one number."""
    extended = jnp.issubdtype(getattr(value, "dtype", type(value)), jax.dtypes.extended)
    return np.size(value) == 1 and not extended


# ------------------------------------------------------------------ functions of JAX


def audit(
    f: Callable[[Any, Any], Any],
    params: Any,
    x: Any,
    y: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    *,
    trainable: Callable[[str], bool] | None = None,
    cures: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a function of parameters starts, and say what is wrong and what cures it.

    Parameters
    ----------
    f : function of (params, x)
        It returns outputs, examples first: `jax.vmap` over single examples is one.
    params : tree of arrays
        Leaves of other types (an Equinox module has functions) stay where they are.
    x : tree of arrays, examples first
    y, loss : targets, and a function of (outputs, y)
    trainable : function of a parameter's path, such as "layers/0/weight"
    cures, rng : as in `winit.keras.audit`

    Raises
    ------
    TypeError, ValueError
        Not a function, no parameters, inputs that are not finite, a loss without targets.
    """
    from winit.judge import judge  # with what it needs, when it is needed

    return judge(_Function(f, params, x, y, loss, trainable, rng), cures=cures)


def reinitialize(
    f: Callable[[Any, Any], Any],
    params: Any,
    x: Any,
    scheme: str = "auto",
    *,
    rng: RNG = None,
    trainable: Callable[[str], bool] | None = None,
    force: bool = False,
    **options: Any,
) -> Any:
    """New parameters, drawn as `winit.redraw.reinitialize` says; `params` stays as it is."""
    from winit import redraw  # with what it needs, when it is needed

    subject = _Function(f, params, x, None, None, trainable, 0)
    redraw.reinitialize(subject, scheme, rng=rng, force=force, **options)
    return subject.whole(subject.arrays)


class _Function(Subject):
    """A plain function: nothing is known of its parameters beyond what it computes."""

    def __init__(
        self, f: Any, params: Any, x: Any, y: Any, loss: Any, trainable: Any, rng: RNG
    ) -> None:
        if not callable(f):
            raise TypeError(f"f must be a function of (params, x), got {type(f).__name__}")
        if (loss is None) != (y is None):
            raise ValueError("a loss needs targets and targets a loss: give both y and loss")
        for leaf in jax.tree.leaves(x):
            if not np.isfinite(np.asarray(leaf).astype(np.float64)).all():
                raise ValueError("x must hold finite values")
        leaves, self.tree = jax.tree_util.tree_flatten_with_path(params)
        self.leaves = {jax.tree_util.keystr(p, simple=True, separator="/"): v for p, v in leaves}
        arrays = {n: v for n, v in self.leaves.items() if isinstance(v, (jax.Array, np.ndarray))}
        if not arrays:
            raise ValueError("params must hold at least one array")
        chosen = None if trainable is None else [n for n in arrays if trainable(n)]
        name, x = getattr(f, "__name__", type(f).__name__), jax.tree.map(jnp.asarray, x)
        call = lambda found, inputs: f(self.whole(found), inputs)  # noqa: E731
        super().__init__(name, call, arrays, x, loss=loss, targets=y, trainable=chosen, rng=rng)

    def whole(self, arrays: Mapping[str, Any]) -> Any:
        """The tree of parameters with these arrays in it."""
        return jax.tree.unflatten(self.tree, list((self.leaves | dict(arrays)).values()))
