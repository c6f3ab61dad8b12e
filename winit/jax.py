"""JAX functions with their parameters, read as programs and measured: `audit` and `reinitialize`.

The function's jaxpr is written down as `winit.program.Op`s, with everything that only calls
inlined, and read by `winit.program.Reader`. Then the operations run again, with an identity at
every site whose derivative notes the squares of what comes back: one compiled pass, forward and
back, measures everything.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
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
from winit.program import Array, Contract, Draft, Measured, Op, Program, Reader, Weight, every

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
KEY = 0x77696E6974  # the audit's own branch of every seed: its noise is nobody's draw
SILENT = 1e-6  # a unit to which this share of the mean gradient (squared) comes back is dead
OPENED = 0.02  # std of the noise in place of zeros


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
                return env[v]
            i = self.new(v)
            self.known[i] = v.val
            return i

        for eqn in jaxpr.eqns:
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
        arguments = inputs[
            len(inputs) - len(inner.in_avals if hasattr(inner, "in_avals") else inner.invars) :
        ]
        ops, outputs = self.write(inner, arguments)
        sites = any(op.kind in ("contract", "lookup") or op.bodies for op in every(ops))
        if sites or not eqn.primitive.name.startswith("custom"):
            return ops, outputs
        if (
            len(set(outputs)) < len(outputs)
            or set(outputs) & set(inputs)
            or set(outputs) & set(self.known)
        ):
            return ops, outputs
        for op in every(ops):
            object.__setattr__(op, "only", "read")
        return [*ops, Op("other", inputs, outputs, partial(_run, eqn), only="run")], outputs

    def _op(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        name = eqn.primitive.name
        kind, contract, count = KIND.get(name, "other"), (None, None), 1.0
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
            count = math.prod(eqn.invars[0].aval.shape) / max(
                1, math.prod(eqn.outvars[0].aval.shape)
            )
        return [
            Op(
                kind,
                inputs,
                outputs,
                run=partial(_run, eqn),
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
        slices = [
            Op("join" if i in self.data else "move", [i], [j], only="read", unstacks=True)
            for i, j in pairs
        ]
        ops, outs = self.write(body, inputs[:first] + inside)
        carry = list(zip(inputs[first : first + carried], inside, outs, strict=False))
        return [
            Op("loop", inputs, outputs, bodies=[[*slices, *ops]], carry=carry,
               results=list(zip(outputs, outs, strict=True)), steps=p["length"],
               extra=(pairs, p["reverse"], None))
        ]  # fmt: skip

    def _while(self, eqn: Any, inputs: list[int], outputs: list[int]) -> list[Op]:
        p = eqn.params
        skip, first = p["cond_nconsts"], p["body_nconsts"]
        test = partial(jax.core.eval_jaxpr, p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts)
        starts, place = inputs[skip + first :], self.loops
        self.loops += 1
        inside = self._inside(p["body_jaxpr"].jaxpr.invars[first:], starts, len(starts))
        ops, outs = self.write(p["body_jaxpr"], inputs[skip : skip + first] + inside)
        return [
            Op("loop", inputs, outputs, bodies=[ops],
               carry=list(zip(starts, inside, outs, strict=True)),
               results=list(zip(outputs, outs, strict=True)), steps=self.trips.get(place, 1),
               extra=([], False, (place, inputs[:skip], test)))
        ]  # fmt: skip

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


def _run(eqn: Any, *arrays: Any) -> list[Any]:
    """An equation on its arrays, with whatever custom derivative it has."""
    given = {
        v: a for v, a in zip(eqn.invars, arrays, strict=True) if not isinstance(v, core.Literal)
    }
    alone = core.Jaxpr((), list(given), list(eqn.outvars), [eqn])
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

    def __init__(self, reader: Reader | None, known: Mapping[int, Any], examples: int) -> None:
        self.known, self.examples, self.reader = known, examples, reader
        self.drafts: dict[int, Draft] = {}
        self.flats: dict[int, tuple[float, float]] = {}
        if reader is not None:
            self.drafts = {d.z: d for d in reader.drafts}
            flats = [flat for d in reader.drafts for flat in reader.flats(d, FLAT)]
            self.flats = {u: (low, high) for u, low, high, _ in flats}

    def run(self, ops: Sequence[Op], values: dict[int, Any], slots: Mapping[int, Any]) -> Any:
        """Put the results among the values, and return the notes."""
        notes: dict[str, Any] = {}
        for i in list(values):
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
            if op.outputs and op.outputs[0] in self.drafts and op.contract != (None, None):
                self._site(self.drafts[op.outputs[0]], values, slots, notes)
            for i in op.outputs:
                self._watch(i, values[i], notes)
        return notes

    def _watch(self, i: int, value: Any, notes: dict[str, Any]) -> None:
        if self.reader is not None and i in self.reader.roots and _floats(value):
            notes[f"root {i}"] = {"n": jnp.ones(()), "x": _sums(value)}
        if i in self.flats:
            low, high = self.flats[i]
            notes[f"flat {i}"] = {"n": jnp.mean(_wide((value < low) | (value > high)))}

    def _site(self, d: Draft, values: dict[int, Any], slots: Any, notes: dict[str, Any]) -> None:
        x, z, c = values[d.x], values[d.z], d.contract
        notes[f"z {d.z}"] = {"n": jnp.ones(()), "x": _sums(z, c.units)}
        notes[f"z {d.z}"] |= _varying(z, c.examples_z, self.examples)
        if _floats(x):
            notes[f"x {d.z}"] = {"n": jnp.ones(()), "x": _sums(x)}
            notes[f"x {d.z}"] |= _varying(x, c.examples_x, self.examples)
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
            notes = self.run(op.bodies[0], mine, sliced[1])
            out = [mine[o] for *_, o in op.carry]
            if test is not None:
                goes = test[2](*(values[i] for i in test[1]), *carry)[0]
                out = [jnp.where(goes, new, old) for new, old in zip(out, carry, strict=True)]
                notes = jax.tree.map(lambda a: a * goes, notes)
            return out, ([mine[i] for _, i in stacked], notes)

        first = [jnp.asarray(values[i]) for i, *_ in op.carry]
        if test is not None and self.reader is None:
            return self._count(op, step, first, values)
        rest = ([values[i] for i, _ in pairs], {z: slots[z] for z in inner})
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


class Subject:
    """A function of parameters by name and of inputs, as `winit.program.Subject`.

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
        self.name, self.x, self.loss, self.targets = name, x, loss, targets
        self.arrays = {n: arrays[n] for n in sorted(arrays)}  # as JAX flattens a dict
        self.parameters = {n: tuple(v.shape) for n, v in self.arrays.items()}
        self.trainable = frozenset(self.arrays if trainable is None else trainable)
        seed = rng if isinstance(rng, int) else _checks.as_rng(rng).bytes(8)
        _checks.as_rng(rng)
        words = [seed] if isinstance(seed, int) else list(seed)
        self.stream = np.random.default_rng(np.random.SeedSequence([KEY, *words]))
        self.numbers: dict[str, tuple[Any, float, bool]] = {}
        closed, self.shape = jax.make_jaxpr(function, return_shape=True)(self.arrays, x)
        self.floats = [_floats(v.aval) for v in closed.jaxpr.outvars]
        alive, _ = partial_eval.dce_jaxpr(closed.jaxpr, self.floats, instantiate=True)
        self.jaxpr = core.ClosedJaxpr(alive, closed.consts)
        sizes = [leaf.shape[0] for leaf in jax.tree.leaves(x) if np.ndim(leaf)]
        self.examples = sizes[0] if sizes else 1
        self._read(self._trips())
        self.program: Program = self.reader.program()
        self.sites = {kernel.name for site in self.program.sites for kernel in site.kernels}
        if made:
            self.x = jax.tree.unflatten(jax.tree.structure(x), self._made())
        self._prepare()

    def _written(self, trips: Mapping[int, int]) -> tuple[Writer, list[Op], list[int], list[int]]:
        writer = Writer(trips)
        arguments = [writer.new(v) for v in self.jaxpr.jaxpr.invars]
        writer.data |= set(arguments[len(self.arrays) :])
        ops, outputs = writer.write(self.jaxpr, arguments)
        return writer, ops, arguments, outputs

    def _trips(self) -> dict[int, int]:
        writer, ops, arguments, _ = self._written({})
        if not writer.loops:
            return {}
        runner = Runner(None, writer.known, 1)

        def counts(flat: Any) -> Any:
            notes = runner.run(ops, writer.known | dict(zip(arguments, flat, strict=True)), {})
            return {int(key.split()[1]): note for key, note in notes.items()}

        flat = jax.tree.leaves((self.arrays, self.x))
        return {place: max(1, int(np.max(n))) for place, n in jax.jit(counts)(flat).items()}

    def _read(self, trips: Mapping[int, int]) -> None:
        writer, ops, self.arguments, self.outputs = self._written(trips)
        self.ops, self.known, self.avals = ops, writer.known, writer.shapes
        paths = jax.tree_util.tree_flatten_with_path(self.x)[0]
        names = [jax.tree_util.keystr(p, simple=True, separator="/") or "x" for p, _ in paths]
        self.names = dict(zip(self.arguments[len(self.arrays) :], names, strict=True))
        parameters = {
            i: n
            for i, n in zip(self.arguments, self.arrays, strict=False)
            if _floats(self.arrays[n])
        }
        constants = {i: float(np.asarray(v).reshape(())) for i, v in self.known.items()
                     if np.size(v) == 1 and not jnp.issubdtype(v.dtype if hasattr(v, "dtype") else type(v), jax.dtypes.extended)}  # fmt: skip
        for i, n in parameters.items():
            constants[i] = float(np.mean(np.asarray(self.arrays[n]), dtype=np.float64))
        self.reader = Reader(
            ops,
            self.names,
            {i for i, (_, leaf) in zip(self.names, paths, strict=True) if not _floats(leaf)},
            parameters,
            self.trainable,
            constants,
            {i: aval.shape for i, aval in self.avals.items()},
            self.outputs,
        )

    def _made(self) -> list[Any]:
        made = []
        for i, leaf in zip(self.names, jax.tree.leaves(self.x), strict=True):
            words = self.reader.vocabulary(i)
            if words or not _floats(leaf):
                high = words or (256 if leaf.dtype == np.uint8 else 2)
                values = self.stream.integers(0, high, leaf.shape)
            else:
                scale, shift = self.reader.entry(i)
                values = (self.stream.standard_normal(leaf.shape) - shift) / scale
            made.append(self._like(values, leaf))
        return made

    def _prepare(self) -> None:
        """Compile the one pass."""
        self.runner = Runner(self.reader, self.known, self.examples)
        self.slots: dict[int, Any] = {}
        flat = jax.tree.leaves((self.arrays, self.x))
        out, notes = jax.eval_shape(partial(self._forward, slots={}), flat)
        for d in self.reader.drafts:
            if (note := notes.get(f"z {d.z}")) is not None and _floats(self.avals[d.z]):
                self.slots[d.z] = np.zeros(note["x"].shape, np.float32)
        self.directions = [self.stream.standard_normal(o.shape).astype(o.dtype) for o in out]
        self.step = _compile(self._pass, *self._arguments(self.arrays, self.x))

    def _arguments(self, arrays: Mapping[str, Any], x: Any) -> tuple[Any, ...]:
        floats = {n: a for n, a in arrays.items() if _floats(a)}
        rest = {n: a for n, a in arrays.items() if n not in floats}
        return floats, self.slots, rest, x, self.directions, self.targets

    def _forward(self, flat: Sequence[Any], slots: Any) -> tuple[list[Any], Any]:
        values = self.known | dict(zip(self.arguments, flat, strict=True))
        notes = self.runner.run(self.ops, values, slots)
        return [
            values[i] for i, f in zip(self.outputs, self.floats, strict=False) if f or True
        ], notes

    def _pass(
        self, floats: Any, slots: Any, rest: Any, x: Any, directions: Any, targets: Any
    ) -> Any:
        def scalar(floats: Any, slots: Any) -> Any:
            arrays = {n: (floats | rest)[n] for n in self.arrays}
            outputs, notes = self._forward([*arrays.values(), *jax.tree.leaves(x)], slots)
            value = self._value(outputs, directions, targets)
            return value, (value, outputs, notes)

        gradient = jax.grad(scalar, (0, 1), has_aux=True)
        (weights, back), (value, outputs, notes) = gradient(floats, slots)
        ends = [{"x": _sums(o)} | _varying(o, range(o.ndim), self.examples) for o in outputs]
        blind = [] if self.loss is None else self._blind(outputs, targets)
        return value, notes, back, {n: _sums(g) for n, g in weights.items()}, ends, blind

    def _value(self, outputs: Sequence[Any], directions: Any, targets: Any) -> Any:
        if self.loss is not None:
            left = iter(outputs)
            found = [next(left) if f else None for f in self.floats]
            return self.loss(jax.tree.unflatten(jax.tree.structure(self.shape), found), targets)
        total = jnp.zeros(())
        for d, o in zip(directions, outputs, strict=True):
            norm = jnp.sqrt(jnp.sum(jnp.square(_wide(o))))
            total += jnp.sum(_wide(d * o)) / jax.lax.stop_gradient(jnp.where(norm > 0, norm, 1.0))
        return total

    def _blind(self, outputs: Sequence[Any], targets: Any) -> list[Any]:
        """Losses of constant outputs: 0, even shares, and the mean of targets that are no marks."""
        shares = [1 / max(2, o.shape[-1] if o.ndim > 1 else 2) for o in outputs]
        tries = [[jnp.full_like(o, c) for o, c in zip(outputs, cs, strict=True)]
                 for cs in ([0.0] * len(outputs), shares)]  # fmt: skip
        leaves = jax.tree.leaves(targets)
        sizes = [(np.size(t), o.size) for t, o in zip(leaves, outputs, strict=False)]
        marks = all(np.isin(t, (0, 1)).all() for t in jax.tree.leaves(self.targets))
        if len(leaves) == len(outputs) and all(a == b for a, b in sizes) and not marks:
            means = [
                jnp.mean(t.reshape(o.shape), axis=0) for t, o in zip(leaves, outputs, strict=True)
            ]
            tries.append(
                [
                    jnp.broadcast_to(m, o.shape).astype(o.dtype)
                    for m, o in zip(means, outputs, strict=True)
                ]
            )
        return [self._value(each, None, targets) for each in tries]

    # Measuring, and what it measured.

    def measure(
        self,
        scales: Mapping[str, float] | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        inputs: float = 1.0,
        opened: bool | Collection[str] = False,
    ) -> Measured:
        """One run, as `winit.program.Subject.measure` says."""
        arrays = dict(self.arrays)
        for n, value in (values or {}).items():
            arrays[n] = self._like(value, arrays[n])
        for n, factor in (scales or {}).items():
            arrays[n] = self._like(np.asarray(arrays[n]).astype(np.float64) * factor, arrays[n])
        for n in self.program.factors if opened is True else opened or ():
            if not np.any(np.asarray(arrays[n])):
                own = np.random.default_rng([KEY, *n.encode()])
                noise = OPENED * own.standard_normal(self.parameters[n])
                arrays[n] = self._like(noise, arrays[n])
        x = self.x
        if inputs != 1.0:
            x = jax.tree.map(
                lambda a: self._like(np.asarray(a) / inputs, a) if _floats(a) else a, x
            )
        found = jax.tree.map(np.asarray, self.step(*self._arguments(arrays, x)))
        return self._measured(found, arrays, x)

    def _like(self, value: Any, old: Any) -> Any:
        made = np.asarray(value).astype(old.dtype)
        return jax.device_put(made, old.sharding) if hasattr(old, "sharding") else made

    def value(self, name: str) -> Array:
        """A parameter's present value."""
        return np.asarray(self.arrays[name]).astype(np.float64)

    def _weight(self, name: str, array: Any, gradient: Any) -> Weight:
        if self.numbers.get(name, (None,))[0] is not array:
            wide = np.asarray(array).astype(np.float64)
            self.numbers[name] = (array, float(wide.std()), not wide.any())
        return Weight(self.numbers[name][1], _total(gradient), self.numbers[name][2])

    def _measured(self, found: Any, arrays: Mapping[str, Any], x: Any) -> Measured:
        value, notes, back, weights, ends, blind = found
        kernels = {n: self._weight(n, arrays[n], g) for n, g in weights.items()}
        sites = zip(self.reader.drafts, self.program.sites, strict=True)
        rows = [self._row(d, kernels[s.kernel.name], notes, back) for d, s in sites]
        columns = {
            key: np.array([row[key] for row in rows], dtype=float)
            for key in "x2 z2 g2 x_share z_share saturated dead distinct std effect".split()
        }
        size = sum(
            math.prod(s.shape)
            for s, f in zip(jax.tree.leaves(self.shape), self.floats, strict=True)
            if f
        )
        total = sum(_total(e["x"]) for e in ends)
        varies = [
            self._unbiased * _total(e["v"]) / _total(e["x"])
            for e in ends
            if "v" in e and e["x"].any()
        ]
        every_one = [value, *back.values(), *weights.values(), *(e["x"] for e in ends)]
        inputs = zip(self.names.values(), jax.tree.leaves(x), strict=True)
        return Measured(
            **columns,
            x_steps=tuple(row["x_steps"] for row in rows),
            g_steps=tuple(row["g_steps"] for row in rows),
            root2=np.array([self._mean(notes, f"root {i}", i) for i in self.reader.roots]),
            loss=float(value) if self.loss is not None else math.nan,
            blind=min((float(b) for b in blind if b > 0), default=math.nan),
            input2={
                n: float(np.mean(np.square(np.asarray(a, np.float64))))
                for n, a in inputs
                if _floats(a)
            },
            output2=total / max(1, size),
            output_share=max(varies, default=math.nan),
            finite=all(bool(np.isfinite(a).all()) for a in every_one),
            kernels=kernels,
        )

    @property
    def _unbiased(self) -> float:
        return self.examples / max(1, self.examples - 1)

    def _steps(self, note: Any, key: str, i: int, n: Any) -> Array:
        """The mean over a value's entries for each step of its loops; NaN where it was not run."""
        if note is None or key not in note:
            return np.full(np.size(n), math.nan)
        sums = note[key].astype(np.float64).reshape(np.size(n), -1).sum(axis=1)
        times = np.where(np.ravel(n) > 0, n, math.nan).reshape(-1)
        return sums / times / max(1, math.prod(self.avals[i].shape))

    def _mean(self, notes: Any, name: str, i: int, key: str = "x") -> float:
        note = notes.get(name)
        return math.nan if note is None else _mean(self._steps(note, key, i, note["n"]))

    def _row(self, d: Draft, weight: Weight, notes: Any, back: Any) -> dict[str, Any]:
        z, x = notes.get(f"z {d.z}", {"n": np.zeros(1)}), notes.get(f"x {d.z}")
        gradient = {"x": back[d.z]} if d.z in back else None
        g, xs = (self._steps(n, "x", i, z["n"]) for n, i in ((gradient, d.z), (x, d.x)))
        x2, z2 = _mean(xs), self._mean(notes, f"z {d.z}", d.z)
        std = (
            math.sqrt(self._mean(notes, f"w {d.z}", d.kernel))
            if f"w {d.z}" in notes
            else weight.std
        )
        shares = {
            f"{k}_share": self._unbiased * self._mean(notes, f"{k} {d.z}", i, "v") / second
            if second
            else math.nan
            for k, i, second in (("x", d.x, x2), ("z", d.z, z2))
        }
        flats = [f for f in self.reader.flats(d, FLAT) if f"flat {f[0]}" in notes]
        marks = [note["x"].astype(np.float64).reshape(-1, note["x"].shape[-1]).sum(axis=0)
                 for note in (z, gradient) if note is not None and "x" in note]  # fmt: skip
        per = marks[-1] if gradient is not None and marks else np.zeros(1)
        return {
            "x2": x2,
            "z2": z2,
            "g2": _mean(g),
            **shares,
            "x_steps": xs,
            "g_steps": g,
            "saturated": np.mean([np.mean(notes[f"flat {u}"]["n"]) - s for u, *_, s in flats])
            if flats
            else math.nan,
            "dead": float(np.mean(per < SILENT * per.mean())) if per.any() else math.nan,
            "distinct": _distinct(marks),
            "std": std,
            "effect": std**2 * weight.gradient,
        }


def _total(sums: Any) -> float:
    return float(np.sum(np.asarray(sums, dtype=np.float64)))


def _mean(steps: Array) -> float:
    reached = steps[~np.isnan(steps)]
    return float(reached.mean()) if len(reached) else math.nan


def _distinct(marks: Sequence[Array]) -> float:
    """How many columns differ in any of the marks, up to the roundings of float32."""
    rows = np.array([m / m.max() for m in marks if 0 < m.max() < math.inf])
    if not len(rows):
        return 1.0 if marks else math.nan
    rows = rows[:, np.argsort(rows.sum(axis=0))]
    return 1 + float((np.abs(np.diff(rows, axis=1)).max(axis=0) > 1e-5).sum())


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
        name = getattr(f, "__name__", type(f).__name__)
        super().__init__(
            name,
            lambda found, inputs: f(self.whole(found), inputs),
            arrays,
            jax.tree.map(jnp.asarray, x),
            loss=loss,
            targets=y,
            trainable=chosen,
            rng=rng,
        )

    def whole(self, arrays: Mapping[str, Any]) -> Any:
        """The tree of parameters with these arrays in it."""
        return jax.tree.unflatten(self.tree, list((self.leaves | dict(arrays)).values()))

    def assign(self, name: str, value: Array) -> None:
        self.arrays[name] = self._like(value, self.arrays[name])

    def start(self, name: str) -> tuple[Array, str] | None:
        shape = self.parameters[name]
        single = len(shape) == 1 and name not in self.program.factors
        return (np.zeros(shape), "zeros") if single else None

    def kept(self, name: str) -> str:
        return "" if name in self.trainable else "frozen"

    def trained(self) -> str:
        return ""
