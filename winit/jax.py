"""JAX functions with their parameters, read as programs and measured: `audit` and `reinitialize`.

The function's jaxpr is written down as `winit.program.Op`s, with jit, custom derivatives and
rematerialization inlined, and read by `winit.program.Reader`. Then its equations are evaluated
again with an identity at every site whose derivative also notes the squares of what comes back:
one compiled pass, forward and back, measures everything.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters import partial_eval

from winit import _checks
from winit._checks import RNG
from winit.diagnostics import DEAD, FLAT
from winit.program import Array, Contract, Draft, Measured, Op, Reader, Weight

if TYPE_CHECKING:
    from winit.report import Audit

AFFINE = "neg convert_element_type copy real reduce_precision stop_gradient"
KINDS = {
    "affine": AFFINE,
    "add": "add add_any sub",
    "mul": "mul",
    "div": "div",
    "choose": "select_n",
    "map": "max min abs sign floor ceil round exp exp2 expm1 log log1p sqrt rsqrt cbrt square "
    "integer_pow pow tan tanh sin cos asin acos atan atan2 sinh cosh asinh acosh atanh logistic "
    "erf erfc erf_inv lgamma digamma clamp nextafter is_finite rem and or xor not eq ne lt le gt ge",
    "move": "reshape transpose broadcast_in_dim squeeze expand_dims slice rev split pad "
    "dynamic_slice",
    "join": "concatenate",
    "reduce": "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin "
    "reduce_window_sum reduce_window_max reduce_window_min reduce_window reduce_precision_sum "
    "cumsum cumprod cummax cummin cumlogsumexp sort top_k",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
# Compiled once, run a few times: optimizing it takes longer than it saves.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
BLOCK = 1024  # so many float32 numbers are added up on the device, the rest in float64
ROWS = 64  # of a result are looked at to tell its units apart


# ------------------------------------------------------------------ writing a jaxpr down


def _floats(value: Any) -> bool:
    """Whether an array, or its description, is of floats."""
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def _inner(eqn: Any) -> Any:
    """The jaxpr of an equation that only calls it, or None."""
    if eqn.primitive.name in ("scan", "while", "cond", "pallas_call", "shard_map"):
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in eqn.params:
            return eqn.params[name]
    return None


def _open(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and its constants, closed or not."""
    return (jaxpr.jaxpr, jaxpr.consts) if hasattr(jaxpr, "consts") else (jaxpr, ())


class Writer:
    """Numbers the values of a jaxpr and writes its equations down as operations.

    `numbers` has for each nested jaxpr, by its path, the number of each variable.
    """

    def __init__(self, trips: Mapping[Any, int]) -> None:
        self.trips = trips
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.constants: dict[int, float] = {}
        self.numbers: dict[Any, dict[Any, int]] = {}
        self.data: set[int] = set()

    def new(self, aval: Any) -> int:
        """A number for a new value."""
        number = len(self.shapes)
        self.shapes[number] = tuple(aval.shape)
        return number

    def write(
        self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[int], path: Any = ()
    ) -> list[Op]:
        """The operations of a jaxpr whose arguments have these numbers."""
        known = self.numbers[path] = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            known[variable] = self.new(variable.aval)
            if np.size(value) == 1:
                self.constants[known[variable]] = float(np.asarray(value).reshape(()))
        ops: list[Op] = []
        for place, eqn in enumerate(jaxpr.eqns):
            inputs = [self.number(v, known) for v in eqn.invars]
            inner, name = _inner(eqn), eqn.primitive.name
            here = (*path, place)
            if inner is not None:
                body, values = _open(inner)
                ops += self.write(body, values, inputs[len(inputs) - len(body.invars) :], here)
                outputs = [self.number(v, self.numbers[here]) for v in body.outvars]
                known.update(zip(eqn.outvars, outputs, strict=True))
                continue
            outputs = [self.new(v.aval) for v in eqn.outvars]
            known.update(zip(eqn.outvars, outputs, strict=True))
            special = {"scan": self._scan, "while": self._while, "cond": self._cond}.get(name)
            if special is not None:
                ops += special(eqn, inputs, outputs, here)
            else:
                ops.append(self._op(eqn, inputs, outputs, here))
            if self.data.intersection(inputs):
                self.data.update(outputs)
        return ops

    def number(self, v: Any, known: dict[Any, int]) -> int:
        """The number of a variable or literal."""
        if not isinstance(v, core.Literal):
            return known[v]
        number = self.new(v.aval)
        if np.size(v.val) == 1:
            self.constants[number] = float(np.asarray(v.val).reshape(()))
        return number

    def _op(self, eqn: Any, inputs: list[int], outputs: list[int], key: Any) -> Op:
        name = eqn.primitive.name
        kind, contract, count = KIND.get(name, "other"), (None, None), 1.0
        if name == "dot_general":
            kind, contract = "contract", (_dot(eqn, 0), _dot(eqn, 1))
            axes = eqn.params["dimension_numbers"][0][0]
            count = float(math.prod(eqn.invars[0].aval.shape[axis] for axis in axes))
        elif name == "conv_general_dilated":
            kind, contract = "contract", (None, _convolution(eqn))
        elif name in ("gather", "dynamic_slice"):
            kind, contract = self._picks(eqn, inputs)
        elif name.startswith(("reduce_sum", "reduce_window_sum")):
            window = eqn.params.get("window_dimensions")
            sizes = [math.prod(v.aval.shape) for v in (eqn.invars[0], eqn.outvars[0])]
            count = float(math.prod(window) if window else sizes[0] / max(sizes[1], 1))
        return Op(
            kind,
            tuple(inputs),
            tuple(outputs),
            apply=_elementwise(eqn) if kind not in ("move", "join") else _bound(eqn),
            whole=not any(_floats(v.aval) for v in eqn.outvars),
            count=max(count, 1.0),
            contract=contract,
            parts=_parts(eqn),
            stops=name == "stop_gradient",
            label=f"{name}{eqn.params}" if kind == "move" else "",
            key=key,
        )

    def _picks(self, eqn: Any, inputs: list[int]) -> tuple[str, Any]:
        """A gather or slice: a lookup, if data picks among what is none; or a move."""
        picks = any(i in self.data for i in inputs[1:])
        if not picks:
            return "move", (None, None)
        if inputs[0] in self.data or eqn.primitive.name != "gather":
            return "other", (None, None)
        contract = _lookup(eqn)
        return ("other" if contract is None else "lookup"), (contract, None)

    def _scan(self, eqn: Any, inputs: list[int], outputs: list[int], key: Any) -> list[Op]:
        body, values = _open(eqn.params["jaxpr"])
        first, last = eqn.params["num_consts"], eqn.params["num_consts"] + eqn.params["num_carry"]
        inside = [self.new(v.aval) for v in body.invars[first:]]
        carried, slices = inside[: last - first], inside[last - first :]
        self._mark(inputs[first:], inside, body.invars[first:], last - first)
        unstack = [
            Op("join" if i in self.data else "move", (i,), (j,), apply=list, unstacks=True)
            for i, j in zip(inputs[last:], slices, strict=True)
        ]
        ops = self.write(body, values, inputs[:first] + inside, key)
        outs = [self.number(v, self.numbers[key]) for v in body.outvars]
        loop = Op(
            "loop",
            tuple(inputs),
            tuple(outputs),
            body=(*unstack, *ops),
            carry=tuple(zip(inputs[first:last], carried, outs, strict=False)),
            results=tuple(zip(outputs, outs, strict=True)),
            steps=eqn.params["length"],
            key=key,
        )
        return [loop]

    def _mark(self, first: list[int], inside: list[int], variables: Any, carried: int) -> None:
        """Note which values inside a loop depend on data; a state of floats is taken to do so."""
        for place, (i, j, v) in enumerate(zip(first, inside, variables, strict=True)):
            if i in self.data or (place < carried and _floats(v.aval)):
                self.data.add(j)

    def _while(self, eqn: Any, inputs: list[int], outputs: list[int], key: Any) -> list[Op]:
        skip, first = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        body, values = _open(eqn.params["body_jaxpr"])
        starts = inputs[skip + first :]
        inside = [self.new(v.aval) for v in body.invars[first:]]
        self._mark(starts, inside, body.invars[first:], len(inside))
        ops = self.write(body, values, inputs[skip : skip + first] + inside, key)
        outs = [self.number(v, self.numbers[key]) for v in body.outvars]
        return [
            Op(
                "loop",
                tuple(inputs),
                tuple(outputs),
                body=tuple(ops),
                carry=tuple(zip(starts, inside, outs, strict=True)),
                results=tuple(zip(outputs, outs, strict=True)),
                steps=max(1, self.trips.get(key, 1)),
                key=key,
            )
        ]

    def _cond(self, eqn: Any, inputs: list[int], outputs: list[int], key: Any) -> list[Op]:
        ops: list[Op] = []
        ends = []
        for place, branch in enumerate(eqn.params["branches"]):
            body, values = _open(branch)
            here = (*key, place)
            ops += self.write(body, values, inputs[1:], here)
            ends.append([self.number(v, self.numbers[here]) for v in body.outvars])
        whole = [not _floats(v.aval) for v in eqn.outvars]
        joins = zip(outputs, zip(*ends, strict=True), whole, strict=True)
        return [*ops, *(Op("join", tuple(ins), (out,), whole=w) for out, ins, w in joins)]


def _bound(eqn: Any) -> Callable[..., list[Any]]:
    """The equation on arrays of its own shapes, of any dtype."""

    def apply(*arrays: Any) -> list[Any]:
        out = eqn.primitive.bind(*(jnp.asarray(a) for a in arrays), **eqn.params)
        return list(out) if eqn.primitive.multiple_results else [out]

    return apply


def _elementwise(eqn: Any) -> Callable[..., list[Any]]:
    """The equation on arrays of any one shape, and scalars: NumPy's in NumPy, others in JAX."""
    dtypes = [getattr(v.aval, "dtype", None) for v in eqn.invars]
    numbers = _in_numpy(eqn)

    def apply(*arrays: Any) -> list[Any]:
        if numbers is not None and not any(isinstance(a, jax.Array) for a in arrays):
            return [numbers(*(np.asarray(a, dtype=np.float64) for a in arrays))]
        cast = [jnp.asarray(a, d) for a, d in zip(arrays, dtypes, strict=True)]
        shape = np.broadcast_shapes(*(a.shape for a in cast))
        out = eqn.primitive.bind(*(jnp.broadcast_to(a, shape) for a in cast), **eqn.params)
        return list(out) if eqn.primitive.multiple_results else [out]

    return apply


# Primitives under NumPy's own names; the others in terms of it, on float64 arrays.
SAME = "add abs sign floor ceil exp exp2 expm1 log log1p sqrt cbrt square tan tanh sin cos asin "
SAME += "acos atan atan2 sinh cosh asinh acosh atanh nextafter"
NAMES = {
    "sub": "subtract", "mul": "multiply", "div": "true_divide", "neg": "negative",
    "max": "maximum", "min": "minimum", "pow": "power", "rem": "fmod", "round": "rint",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
    "not": "logical_not", "is_finite": "isfinite", "real": "real", "add_any": "add",
    **{name: name for name in SAME.split()},
}  # fmt: skip
SPECIAL = {"erf": "erf", "erfc": "erfc", "erf_inv": "erfinv", "lgamma": "gammaln"}
OWN: dict[str, Callable[..., Any]] = {
    "logistic": lambda x: 0.5 + 0.5 * np.tanh(x / 2),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "clamp": lambda low, x, high: np.clip(x, low, high),
    "select_n": lambda which, *cases: np.choose(
        which.astype(int), np.broadcast_arrays(which, *cases)[1:]
    ),
    "stop_gradient": lambda x: x,
    "copy": lambda x: x,
    "reduce_precision": lambda x: x,
}


def _in_numpy(eqn: Any) -> Callable[..., Any] | None:
    name = eqn.primitive.name
    if name == "integer_pow":
        return lambda x: x ** eqn.params["y"]
    if name == "convert_element_type":
        return (lambda x: x) if _floats(eqn.outvars[0].aval) else np.trunc
    if name in SPECIAL:
        from scipy import special  # loaded where a model has one

        return getattr(special, SPECIAL[name])  # type: ignore[no-any-return]
    found = getattr(np, NAMES[name]) if name in NAMES else OWN.get(name)

    def quiet(*arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            return found(*arrays)  # type: ignore[misc]

    return quiet if found is not None else None


def _parts(eqn: Any) -> tuple[int, int]:
    """Of how many equal parts of an axis a slice or split takes one, and the axis' span."""
    if eqn.primitive.name not in ("slice", "split"):
        return 1, 0
    shape, out = eqn.invars[0].aval.shape, [v.aval.shape for v in eqn.outvars]
    cut = [a for a in range(len(shape)) if out[0][a] != shape[a]]
    if len(cut) != 1 or len(set(out)) > 1 or shape[cut[0]] % max(1, out[0][cut[0]]):
        return 1, 0
    return shape[cut[0]] // out[0][cut[0]], math.prod(shape[cut[0] :])


def _dot(eqn: Any, side: int) -> Contract:
    (contracted, batch) = eqn.params["dimension_numbers"]
    shapes = [v.aval.shape for v in eqn.invars]
    free = [
        tuple(a for a in range(len(shapes[k])) if a not in contracted[k] and a not in batch[k])
        for k in (0, 1)
    ]
    groups = len(batch[0])
    ends = (range(groups, groups + len(free[0])), range(groups + len(free[0]), 99))
    own = tuple(ends[side])[: len(free[side])]
    return Contract(
        order=(tuple(batch[side]), free[side], tuple(contracted[side]), ()),
        shape=tuple(shapes[side]),
        units=(*range(groups), *own),
        examples_x=free[1 - side],
        examples_z=tuple(ends[1 - side])[: len(free[1 - side])],
    )


def _convolution(eqn: Any) -> Contract:
    p, spec = eqn.params, eqn.params["dimension_numbers"]
    return Contract(
        order=((), (spec.rhs_spec[0],), (spec.rhs_spec[1],), tuple(spec.rhs_spec[2:])),
        shape=tuple(eqn.invars[1].aval.shape),
        split=p["feature_group_count"],
        stride_in=math.prod(p["lhs_dilation"]),
        stride_out=math.prod(p["window_strides"]),
        units=(spec.out_spec[1],),
        examples_x=(spec.lhs_spec[0],),
        examples_z=(spec.out_spec[0],),
    )


def _lookup(eqn: Any) -> Contract | None:
    numbers, shape = eqn.params["dimension_numbers"], tuple(eqn.invars[0].aval.shape)
    picked = tuple(numbers.collapsed_slice_dims)
    kept = tuple(a for a in range(len(shape)) if a not in picked)
    sizes = eqn.params["slice_sizes"]
    if numbers.operand_batching_dims or any(sizes[a] != shape[a] for a in kept):
        return None
    rank, indices = len(eqn.outvars[0].aval.shape), len(eqn.invars[1].aval.shape)
    return Contract(
        order=(picked, kept, (), ()),
        shape=shape,
        units=tuple(numbers.offset_dims),
        examples_x=tuple(range(indices - 1)),
        examples_z=tuple(a for a in range(rank) if a not in numbers.offset_dims),
    )


# ------------------------------------------------------------------ measuring in the program


def _sums(values: Any) -> Any:
    """Sums over blocks of the squares."""
    flat = values.astype(jnp.promote_types(values.dtype, jnp.float32)).reshape(-1)
    block = next((m for m in range(min(BLOCK, flat.size), 0, -1) if flat.size % m == 0), 1)
    return jnp.sum(jnp.square(flat.reshape(-1, block)), axis=1)


def _about_mean(values: Any, axes: Sequence[int], examples: int) -> Any:
    """Sums over blocks of the squares about the mean over the examples, or None."""
    sizes = [values.shape[axis] for axis in axes]
    found = [a for a, n in zip(axes, sizes, strict=True) if n == examples]
    found += [a for a, n in zip(axes, sizes, strict=True) if n and n % examples == 0]
    if examples < 2 or not found or not _floats(values):
        return None
    axis, shape = found[0], values.shape
    wide = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    wide = wide.reshape(*shape[:axis], examples, -1, *shape[axis + 1 :])
    return _sums(wide - wide.mean(axis=axis, keepdims=True))


def _rows(values: Any, units: Sequence[int]) -> Any:
    """The values as (rows, units)."""
    rest = [a for a in range(values.ndim) if a not in units]
    moved = values.transpose([*rest, *units])
    return moved.reshape(math.prod(values.shape[a] for a in rest), -1)


def _mark(values: Any, units: Sequence[int]) -> Any:
    """One random combination of some rows, for each unit: equal units have equal ones."""
    rows = _rows(values, units)
    rows = rows[:: max(1, len(rows) // ROWS)][:ROWS].astype(jnp.float32)
    return np.cos(np.arange(len(rows), dtype=np.float32) + 1) @ rows


class Meter:
    """What is measured at one site."""

    def __init__(self, reader: Reader, draft: Draft, examples: int) -> None:
        self.contract, self.examples, self.number = draft.contract, examples, draft.number
        self.draft, self.reader = draft, reader
        self.source = reader.regions(draft)
        self.chains = []
        for end, source in reader.chains(draft):
            top, flat, both = _slopes(reader.function((end, source)))
            if top > 0:
                self.chains.append((end, top, flat, both))

    def back(self, g: Any) -> dict[str, Any]:
        """What is noted of the gradient at z."""
        found = {"g": _sums(g), "mark": _mark(g, self.contract.units)}
        return found

    def slots(self, z: Any) -> Any:
        """Zeros of the shapes that `back` gives."""
        return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(self.back, z))

    def tap(self, z: Any, slot: Any) -> Any:
        """z itself; the derivative by `slot` is what `back` notes."""

        @jax.custom_vjp
        def same(z: Any, slot: Any) -> Any:
            return z

        def forward(z: Any, slot: Any) -> tuple[Any, None]:
            return z, None

        def backward(_: None, g: Any) -> tuple[Any, Any]:
            return g, self.back(g)

        same.defvjp(forward, backward)
        return same(z, slot)

    def ahead(self, x: Any, kernel: Any, z: Any) -> dict[str, Any]:
        """What is noted on the way forward."""
        c = self.contract
        found = {"n": jnp.ones(()), "z": _sums(z), "zmark": _mark(z, c.units)}
        found["zv"] = _about_mean(z, c.examples_z, self.examples)
        if _floats(x):
            found |= {"x": _sums(x), "xv": _about_mean(x, c.examples_x, self.examples)}
        if self.draft.kernel not in self.reader.parameters and not self.draft.op.kind == "lookup":
            wide = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))
            found["w"] = _sums(wide - wide.mean())
        return {k: v for k, v in found.items() if v is not None}

    def slopes(self, value: Any, side: Callable[[int], Any]) -> dict[str, Any]:
        """The shares of flat slopes, of what acts on the site's result or its normalized form."""
        if not self.chains or not _floats(value):
            return {}

        def ends(v: Any) -> list[Any]:
            return [self.reader.evaluate(end, self.source, v, side) for end, *_ in self.chains]

        values, pull = jax.vjp(ends, value)
        tops = [
            jnp.full(v.shape, 1 / c[1], v.dtype) for v, c in zip(values, self.chains, strict=True)
        ]
        slope = _rows(jnp.abs(pull(tops)[0]), self.contract.units)
        alive = jnp.max((slope >= DEAD).astype(jnp.float32), axis=0)
        return {"flat": jnp.mean((slope < FLAT).astype(jnp.float32)), "alive": alive}


def _slopes(function: Any) -> tuple[float, float, bool]:
    """Of an activation at N(0, 1): the steepest slope, the share of flat ones, if both ends are."""
    from statistics import NormalDist

    normal = np.array([NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(1000)])
    points = np.concatenate([normal, [-40.0, 40.0]])
    slope = np.abs(function(points + 5e-3) - function(points - 5e-3)) / 1e-2
    top = float(np.nanmax(slope[:-2]))
    flat = float(np.mean(slope[:-2] < FLAT * top))
    return (top if math.isfinite(top) else 0.0), flat, bool((slope[-2:] < FLAT * top).all())


class Evaluator:
    """Evaluates a jaxpr again, with meters at its sites and roots."""

    def __init__(self, writer: Writer, reader: Reader | None, examples: int) -> None:
        self.writer, self.numbers = writer, writer.numbers
        self.meters: dict[Any, Meter] = {}
        self.roots: dict[int, int] = {}
        self.regions: dict[int, list[Any]] = {}
        if reader is None:
            return
        self.reader = reader
        self.meters = {d.op.key: Meter(reader, d, examples) for d in reader._counted()}
        self.roots = {i: place for i, (place, *_) in reader.roots.items()}
        for meter in self.meters.values():
            self.regions.setdefault(meter.source, []).append(meter)

    def inside(self, path: Any) -> list[Any]:
        """The sites in a nested jaxpr."""
        return [m.number for key, m in self.meters.items() if key[: len(path)] == path]

    def watched(self, path: Any) -> bool:
        """Whether a nested jaxpr holds anything that is measured."""
        if self.inside(path):
            return True
        known = {n for p, m in self.numbers.items() if p[: len(path)] == path for n in m.values()}
        return bool(known & (set(self.roots) | set(self.regions)))

    def run(
        self, jaxpr: Any, consts: Any, arguments: Any, slots: Any, path: Any = (), above: Any = None
    ) -> Any:
        """The results of a jaxpr, and what was noted."""
        env: dict[Any, Any] = {}
        self.jaxpr = jaxpr
        known = self.numbers[path]
        values: dict[int, Any] = {} if above is None else above
        notes: dict[Any, Any] = {}

        def put(variables: Any, results: Any) -> None:
            for v, r in zip(variables, results, strict=True):
                env[v] = r
                if v in known:
                    values[known[v]] = r
                    self._note(known[v], r, notes)

        def get(v: Any) -> Any:
            return v.val if isinstance(v, core.Literal) else env[v]

        put(jaxpr.constvars, consts)
        put(jaxpr.invars, arguments)
        for place, eqn in enumerate(jaxpr.eqns):
            inputs = [get(v) for v in eqn.invars]
            here = (*path, place)
            results, found = self._one(eqn, inputs, slots, here, values)
            notes |= found
            put(eqn.outvars, results)
        self._bend(known, values, notes)
        return [get(v) for v in jaxpr.outvars], notes

    def _note(self, number: int, value: Any, notes: dict[Any, Any]) -> None:
        if number in self.roots and _floats(value):
            notes["root", number] = {"n": jnp.ones(()), "x": _sums(value)}

    def _bend(self, known: Any, values: dict[int, Any], notes: dict[Any, Any]) -> None:
        """Note the slopes of what acts on this jaxpr's own results, now that all is known."""

        def side(number: int) -> Any:
            return values[number] if number in values else self.reader.scalar(number)

        for number in set(known.values()) & set(self.regions):
            for meter in self.regions[number]:
                found = meter.slopes(jax.lax.stop_gradient(values[number]), side)
                if found:
                    notes["slopes", meter.number] = found

    def _one(self, eqn: Any, inputs: Any, slots: Any, here: Any, values: Any) -> Any:
        name, inner = eqn.primitive.name, _inner(eqn)
        if inner is not None and self.watched(here):
            body, consts = _open(inner)
            arguments = inputs[len(inputs) - len(body.invars) :]
            return self.run(body, consts, arguments, slots, here, values)
        special = {"scan": self._scan, "while": self._while, "cond": self._cond}.get(name)
        if special is not None and (self.watched(here) or name == "while"):
            return special(eqn, inputs, slots, here, dict(values))
        results = self._as_it_is(eqn, inputs)
        meter = self.meters.get(here)
        if meter is None:
            return results, {}
        side = meter.draft.op.contract.index(meter.contract)
        kernel, x = inputs[side], inputs[1 - side]
        notes = {("site", meter.number): meter.ahead(x, kernel, results[0])}
        if meter.number in slots:
            results[0] = meter.tap(results[0], slots[meter.number])
        return results, notes

    def _as_it_is(self, eqn: Any, inputs: Any) -> list[Any]:
        """One equation, with whatever custom derivatives it has."""
        given = {
            v: a for v, a in zip(eqn.invars, inputs, strict=True) if not isinstance(v, core.Literal)
        }
        alone = self.jaxpr.replace(
            constvars=[], invars=list(given), outvars=list(eqn.outvars), eqns=[eqn]
        )
        return list(jax.core.eval_jaxpr(alone, (), *given.values()))

    def _scan(self, eqn: Any, inputs: Any, slots: Any, here: Any, values: Any) -> Any:
        p = eqn.params
        body, consts = _open(p["jaxpr"])
        first, last = p["num_consts"], p["num_consts"] + p["num_carry"]
        own = {key: slots[key] for key in self.inside(here) if key in slots}

        def step(carry: Any, sliced: Any) -> Any:
            xs, mine = sliced
            out, notes = self.run(body, consts, [*inputs[:first], *carry, *xs], mine, here, values)
            return out[: p["num_carry"]], (out[p["num_carry"] :], notes)

        carry, (ys, notes) = jax.lax.scan(
            step, inputs[first:last], (inputs[last:], own), length=p["length"], reverse=p["reverse"]
        )
        if p["reverse"]:
            notes = jax.tree.map(lambda a: a[::-1], notes)
        return [*carry, *ys], notes

    def _while(self, eqn: Any, inputs: Any, slots: Any, here: Any, values: Any) -> Any:
        p = eqn.params
        test, test_consts = _open(p["cond_jaxpr"])
        body, consts = _open(p["body_jaxpr"])
        skip, first = p["cond_nconsts"], p["body_nconsts"]
        fixed = inputs[skip : skip + first]

        def goes_on(carry: Any) -> Any:
            return jax.core.eval_jaxpr(test, test_consts, *inputs[:skip], *carry)[0]

        if not self.roots:  # count how often it runs

            def count(state: Any) -> Any:
                n, carry = state
                out, _ = self.run(body, consts, [*fixed, *carry], {}, here, values)
                return n + 1, out

            n, out = jax.lax.while_loop(lambda s: goes_on(s[1]), count, (0, inputs[skip + first :]))
            return out, {("trips", here): n}

        def step(carry: Any, own: Any) -> Any:
            goes = goes_on(carry)
            out, notes = self.run(body, consts, [*fixed, *carry], own, here, values)
            out = [jnp.where(goes, new, old) for new, old in zip(out, carry, strict=True)]
            return out, jax.tree.map(lambda a: a * goes, notes)

        own = {key: slots[key] for key in self.inside(here) if key in slots}
        length = max(1, self.writer.trips.get(here, 1))
        return jax.lax.scan(step, inputs[skip + first :], own, length=length)

    def _cond(self, eqn: Any, inputs: Any, slots: Any, here: Any, values: Any) -> Any:
        def one(place: int) -> Any:
            body, consts = _open(eqn.params["branches"][place])
            return lambda *a: self.run(body, consts, a, slots, (*here, place), values)

        branches = [one(place) for place in range(len(eqn.params["branches"]))]
        shapes = [jax.eval_shape(b, *inputs[1:])[1] for b in branches]
        every = {key: note for shape in shapes for key, note in shape.items()}

        def whole(branch: Any) -> Any:
            def run(*arguments: Any) -> Any:
                out, notes = branch(*arguments)
                zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), every)
                return out, zeros | notes

            return run

        return jax.lax.switch(inputs[0], [whole(b) for b in branches], *inputs[1:])


# ------------------------------------------------------------------ a model of JAX

_compiled: dict[str, Any] = {}  # by their text: audited before and after a change, compiled once
KEPT = 4
KEY = 0x77696E6974  # the audit's own branch of every seed, so that its noise is nobody's draw


def noise(rng: RNG) -> np.random.Generator:
    """The audit's own stream for a seed or generator of the user's."""
    seed = int(_checks.as_rng(rng).integers(2**63)) if not isinstance(rng, int) else rng
    _checks.as_rng(rng)
    return np.random.default_rng(np.random.SeedSequence([KEY, seed]))


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function, compiled for arguments like these."""
    lowered = jax.jit(function, keep_unused=True).lower(*arguments)
    text = f"{lowered.as_text()}{jax.tree.structure(arguments)}{lowered.out_tree}"
    program = hashlib.sha256(text.encode()).hexdigest()
    if program not in _compiled:
        _compiled[program] = lowered.compile(compiler_options=OPTIONS)
        while len(_compiled) > KEPT:
            del _compiled[next(iter(_compiled))]
    return _compiled[program]


class Subject:
    """A function of parameters and inputs, as `winit.program.Subject` has it.

    Parameters
    ----------
    name : for people
    function : takes a dict of parameters by name, and the inputs
    parameters : arrays by name
    x : inputs, a tree of arrays
    loss : a function of the outputs, or None for a random direction
    targets : what the loss compares with, for the loss of a network that knows nothing
    trainable : names
    made : x holds nothing yet: put noise in, or tokens where a table is looked up
    """

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Any], Any], Any],
        parameters: Mapping[str, Any],
        x: Any,
        *,
        loss: Callable[[Any], Any] | None = None,
        targets: Any = None,
        trainable: Sequence[str] | None = None,
        rng: RNG = 0,
        made: bool = False,
    ) -> None:
        self.name, self.function, self.x = name, function, x
        self.arrays = dict(parameters)
        self.parameters = {n: tuple(v.shape) for n, v in self.arrays.items()}
        self.loss, self.targets = loss, targets
        self.trainable = frozenset(self.arrays if trainable is None else trainable)
        self.stream = noise(rng)
        self.known: dict[str, tuple[Any, float, bool]] = {}
        self._read()
        if made:
            self.x = jax.tree.unflatten(jax.tree.structure(self.x), self._made())
        self._compile()

    def _read(self) -> None:
        closed, self.shape = jax.make_jaxpr(self.function, return_shape=True)(self.arrays, self.x)
        floats = [_floats(v.aval) for v in closed.jaxpr.outvars]
        jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, floats, instantiate=True)
        self.floats = floats
        self.jaxpr, self.consts = jaxpr, closed.consts
        self.flat, self.tree = jax.tree.flatten((self.arrays, self.x))
        trips: dict[Any, int] = {}
        if "while" in str(jaxpr):
            trips = self._trips()
        self.writer = Writer(trips)
        self.reader = self._reader(self.writer)
        self.program = self.reader.program()
        sizes = [a.shape[0] for a in jax.tree.leaves(self.x) if np.ndim(a)]
        self.examples = sizes[0] if sizes else 1
        self.evaluator = Evaluator(self.writer, self.reader, self.examples)
        self.sites = {k.name for site in self.program.sites for k in site.kernels}

    def _made(self) -> list[Any]:
        """Inputs that suit what the model does with them first."""
        made = []
        for i, leaf in zip(self.reader.inputs, jax.tree.leaves(self.x), strict=True):
            words = self.reader.vocabulary(i)
            if words or not _floats(leaf):
                high = 256 if leaf.dtype == np.uint8 and not words else words or 2
                values = self.stream.integers(0, high, leaf.shape)
            else:
                scale, shift = self.reader.entry(i)
                values = (self.stream.standard_normal(leaf.shape) - shift) / scale
            made.append(self._like(values, leaf))
        return made

    def _reader(self, writer: Writer) -> Reader:
        arguments = [writer.new(v.aval) for v in self.jaxpr.invars]
        count = len(self.arrays)
        names = sorted(self.arrays)  # as trees of dicts are flattened
        parameters = {
            i: n for i, n in zip(arguments, names, strict=False) if _floats(self.arrays[n])
        }
        paths = jax.tree_util.tree_flatten_with_path(self.x)[0]
        inputs = {
            i: jax.tree_util.keystr(path, simple=True, separator="/") or "x"
            for i, (path, _) in zip(arguments[count:], paths, strict=True)
        }
        writer.data |= set(inputs)
        ops = writer.write(self.jaxpr, self.consts, arguments)
        for i, n in parameters.items():
            writer.constants[i] = float(np.mean(np.asarray(self.arrays[n], dtype=np.float32)))
        outputs = [writer.number(v, writer.numbers[()]) for v in self.jaxpr.outvars]
        whole = {i for i, (_, a) in zip(inputs, paths, strict=True) if not _floats(a)}
        return Reader(
            ops,
            inputs,
            frozenset(whole),
            parameters,
            writer.constants,
            writer.shapes,
            outputs,
            self.trainable,
        )

    def _trips(self) -> dict[Any, int]:
        """How often each while loop runs, by running them."""
        writer = Writer({})
        arguments = [writer.new(v.aval) for v in self.jaxpr.invars]
        writer.write(self.jaxpr, self.consts, arguments)
        counter = Evaluator(writer, None, 1)

        def run(flat: Any) -> Any:
            notes = counter.run(self.jaxpr, self.consts, flat, {})[1]
            return [notes[key] for key in sorted(notes, key=str)], None

        keys: list[Any] = []

        def keyed(flat: Any) -> Any:
            notes = counter.run(self.jaxpr, self.consts, flat, {})[1]
            keys[:] = [key[1] for key in notes]
            return list(notes.values())

        counts = jax.jit(keyed)(self.flat)
        return {key: int(np.max(n)) for key, n in zip(keys, counts, strict=True)}

    def _outputs(self, flat: Any, slots: Any) -> Any:
        return self.evaluator.run(self.jaxpr, self.consts, flat, slots)

    def _compile(self) -> None:
        out, notes = jax.eval_shape(self._outputs, self.flat, {})
        self.slots = {}
        for meter in self.evaluator.meters.values():
            if (key := ("site", meter.number)) in notes:
                steps = notes[key]["n"].shape
                z = self.writer.shapes[meter.draft.op.outputs[0]]
                one = meter.slots(jax.ShapeDtypeStruct(z, self._dtype(meter)))
                self.slots[meter.number] = jax.tree.map(
                    lambda a, steps=steps: np.zeros((*steps, *a.shape), a.dtype), one
                )
        self.directions = [self.stream.standard_normal(o.shape).astype(o.dtype) for o in out]
        self.step = compiled(self._step, *self._split(self.flat), self.directions, self.targets)

    def _dtype(self, meter: Meter) -> Any:
        return jnp.float32

    def _split(self, flat: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Parameters of floats, the other arguments, and zeros for the slots."""
        names = sorted(self.arrays)
        self.wrt = [i for i, n in enumerate(names) if _floats(self.arrays[n])]
        chosen = [flat[i] for i in self.wrt]
        rest = [None if i in set(self.wrt) else a for i, a in enumerate(flat)]
        return chosen, self.slots, rest

    def _step(self, chosen: Any, slots: Any, rest: Any, directions: Any, targets: Any) -> Any:
        """Everything that is measured, in one pass forward and back."""

        def scalar(chosen: Any, slots: Any) -> Any:
            flat = list(rest)
            for i, a in zip(self.wrt, chosen, strict=True):
                flat[i] = a
            outputs, notes = self._outputs(flat, slots)
            value = self._value(outputs, directions, targets)
            return value, (value, outputs, notes)

        (gradient, back), (value, outputs, notes) = jax.grad(scalar, (0, 1), has_aux=True)(
            chosen, slots
        )
        weights = [_sums(g) for g in gradient]
        ends = [
            {"x": _sums(o), "xv": _about_mean(o, range(o.ndim), self.examples)} for o in outputs
        ]
        blind = [] if self.loss is None else self._blind(outputs, targets)
        return value, notes, back, weights, ends, blind

    def _blind(self, outputs: Any, targets: Any) -> list[Any]:
        """The losses of some constant outputs: 0, even shares, and the targets' mean."""
        shares = [jnp.full_like(o, 1 / max(2, o.shape[-1] if o.ndim > 1 else 2)) for o in outputs]
        tries = [[jnp.zeros_like(o) for o in outputs], shares]
        leaves = jax.tree.leaves(self.targets)
        fit = len(leaves) == len(outputs) and all(
            np.size(t) == o.size and not np.isin(t, (0, 1)).all()
            for t, o in zip(leaves, outputs, strict=True)
        )
        if fit:
            means = [
                jnp.mean(t.reshape(o.shape), axis=0, keepdims=True)
                for t, o in zip(jax.tree.leaves(targets), outputs, strict=True)
            ]
            tries.append(
                [
                    jnp.broadcast_to(m, o.shape).astype(o.dtype)
                    for m, o in zip(means, outputs, strict=True)
                ]
            )
        return [self._value(one, None, targets) for one in tries]

    def _value(self, outputs: Any, directions: Any, targets: Any) -> Any:
        if self.loss is not None:
            whole = iter(outputs)
            found = [next(whole) if f else None for f in self.floats]
            return self.loss(jax.tree.unflatten(jax.tree.structure(self.shape), found), targets)
        total = 0.0
        for d, o in zip(directions, outputs, strict=True):
            norm = jnp.sqrt(jnp.sum(jnp.square(o.astype(jnp.float32))))
            norm = jax.lax.stop_gradient(jnp.where(norm > 0, norm, 1.0))
            total += jnp.sum((d * o).astype(jnp.float32)) / norm
        return total

    def measure(
        self,
        scales: Mapping[str, float] | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        inputs: float = 1.0,
        opened: bool | Sequence[str] = False,
    ) -> Measured:
        """One run, as `winit.program.Subject.measure` says."""
        arrays = dict(self.arrays)
        for n, value in (values or {}).items():
            arrays[n] = self._like(value, arrays[n])
        for n, factor in (scales or {}).items():
            arrays[n] = self._like(np.asarray(arrays[n]) * arrays[n].dtype.type(factor), arrays[n])
        chosen = self.program.factors if opened is True else (opened or ())
        for n in chosen:
            if not np.any(np.asarray(arrays[n])):
                arrays[n] = self._like(0.02 * self._own(n), arrays[n])
        x = self.x
        if inputs != 1.0:
            x = jax.tree.map(lambda a: a / a.dtype.type(inputs) if _floats(a) else a, x)
        flat = jax.tree.leaves((arrays, x))
        found = self.step(*self._split(flat), self.directions, self.targets)
        return self._measured(jax.tree.map(np.asarray, found), arrays)

    def _own_numbers(self, name: str, array: Any) -> tuple[Any, float, bool]:
        """A parameter's std and whether it is all 0, kept as long as it is the same array."""
        if name not in self.known or self.known[name][0] is not array:
            values = np.asarray(array)
            wide = values.astype(np.float64 if values.size < 10**7 else np.float32)
            found = (array, float(wide.std()), not values.any())
            if array is not self.arrays[name]:
                return found
            self.known[name] = found
        return self.known[name]

    def _own(self, name: str) -> Array:
        """Noise of a parameter's shape, the same each time."""
        words = [KEY, *name.encode()]
        return np.random.default_rng(words).standard_normal(self.parameters[name])

    def _like(self, value: Any, old: Any) -> Any:
        """A value in the dtype and layout of another."""
        made = np.asarray(value).astype(old.dtype)
        return jax.device_put(made, old.sharding) if hasattr(old, "sharding") else made

    def value(self, name: str) -> Array:
        """A parameter's present value."""
        return np.asarray(self.arrays[name]).astype(np.float64)

    def _measured(self, found: Any, arrays: Mapping[str, Any]) -> Measured:
        value, notes, back, weights, ends, blind = found
        names = [sorted(self.arrays)[i] for i in self.wrt]
        own = {}
        for n, gradient in zip(names, weights, strict=True):
            _, std, zero = self._own_numbers(n, arrays[n])
            own[n] = Weight(std, _total(gradient), zero)
        columns: dict[str, list[Any]] = {}
        for draft, site in zip(
            sorted(self.reader._counted(), key=lambda d: d.number), self.program.sites, strict=True
        ):
            row = self._row(draft, site, notes, back, own)
            for key, v in row.items():
                columns.setdefault(key, []).append(v)
        tuples = ("x_steps", "z_steps", "g_steps")
        made = {
            k: tuple(v) if k in tuples else np.array(v, dtype=float) for k, v in columns.items()
        }
        for name in Measured.__dataclass_fields__:
            if name in ("x2 z2 g2 x_share z_share saturated dead distinct std effect").split():
                made.setdefault(name, np.zeros(0))
        for name in tuples:
            made.setdefault(name, ())
        roots = [self._root(i, notes) for i in self.reader.roots]
        sizes = [math.prod(o.shape) for o in jax.tree.leaves(self.shape) if _floats(o)]
        out2 = sum(_total(e["x"]) for e in ends) / max(1, sum(sizes))
        share = [
            _ratio(_total(e["xv"]) * self._unbiased, _total(e["x"]))
            for e in ends
            if e["xv"] is not None
        ]
        gradients = [*weights] + [b["g"] for b in back.values()]
        finite = all(np.isfinite(a).all() for a in [value, *[e["x"] for e in ends], *gradients])
        flat = jax.tree_util.tree_flatten_with_path(self.x)[0]
        return Measured(
            **made,
            root2=np.array(roots, dtype=float),
            loss=float(value) if self.loss is not None else math.nan,
            blind=min((float(b) for b in blind if b > 0), default=math.nan),
            input2={
                jax.tree_util.keystr(p, simple=True, separator="/") or "x": float(
                    np.mean(np.square(np.asarray(a, dtype=np.float64)))
                )
                for p, a in flat
                if _floats(a)
            },
            output2=out2,
            output_share=max(share, default=math.nan),
            finite=finite,
            kernels=own,
        )

    @property
    def _unbiased(self) -> float:
        return self.examples / max(1, self.examples - 1)

    def _root(self, i: int, notes: Any) -> float:
        note = notes.get(("root", i))
        if note is None:
            return math.nan
        return _ratio(_total(note["x"]), note["n"].sum() * math.prod(self.writer.shapes[i]))

    def _row(self, draft: Draft, site: Any, notes: Any, back: Any, own: Any) -> dict[str, Any]:
        key = draft.number
        note, behind = notes.get(("site", key)), back.get(key)
        z_size = math.prod(self.writer.shapes[draft.op.outputs[0]])
        x_size = math.prod(self.writer.shapes[draft.x])
        kernel = own.get(site.kernel.name)
        size = math.prod(self.writer.shapes[draft.kernel])
        std = kernel.std if kernel is not None else math.nan
        if note is None:
            note = {"n": np.zeros(1)}
        n = np.atleast_1d(note["n"]).reshape(-1)
        times = n.sum()

        def steps(name: str, entries: int, source: Any = note) -> Array:
            if source is None or name not in source:
                return np.full(len(n), math.nan)
            sums = np.asarray(source[name], dtype=np.float64).reshape(len(n), -1).sum(axis=1)
            return sums / np.where(n > 0, n * entries, math.nan)

        if "w" in note:
            std = math.sqrt(_ratio(_total(note["w"]), times * size))
        x, z, g = steps("x", x_size), steps("z", z_size), steps("g", z_size, behind)
        mean = {"x2": _mean(x), "z2": _mean(z), "g2": _mean(g)}
        slopes = notes.get(("slopes", key), {})
        meter = self.evaluator.meters[draft.op.key]
        alive = slopes.get("alive")
        both = bool(meter.chains) and all(c[3] for c in meter.chains)
        flat = np.mean(slopes["flat"]) if slopes else math.nan
        normal = np.mean([c[2] for c in meter.chains]) if meter.chains else 0.0
        marks = [note.get("zmark"), None if behind is None else behind["mark"]]
        return {
            **mean,
            "x_share": _ratio(_mean(steps("xv", x_size)) * self._unbiased, mean["x2"]),
            "z_share": _ratio(_mean(steps("zv", z_size)) * self._unbiased, mean["z2"]),
            "x_steps": x,
            "z_steps": z,
            "g_steps": g,
            "saturated": flat - normal if both and slopes else math.nan,
            "dead": math.nan
            if alive is None
            else 1 - float(np.mean(np.max(alive.reshape(-1, alive.shape[-1]), axis=0))),
            "distinct": _distinct([m for m in marks if m is not None]),
            "std": std,
            "effect": std**2 * kernel.gradient if kernel is not None else math.nan,
        }


def _mean(steps: Array) -> float:
    """The mean over the steps that were reached."""
    reached = steps[~np.isnan(steps)]
    return float(reached.mean()) if len(reached) else math.nan


def _total(sums: Any) -> float:
    return float(np.sum(np.asarray(sums, dtype=np.float64)))


def _ratio(a: Any, b: Any) -> float:
    return float(a / b) if b and math.isfinite(b) else math.nan


def _distinct(marks: Sequence[Any]) -> float:
    """How many units differ in any of the marks, up to the roundings of float32."""
    if not marks:
        return math.nan
    rows = []
    for place, mark in enumerate(marks):
        values = np.asarray(mark, dtype=np.float64).reshape(-1, mark.shape[-1])
        values = np.cos(np.arange(len(values)) + place) @ values
        scale = np.abs(values).max()
        rows.append(values / scale if 0 < scale < math.inf else np.zeros(len(values)))
    sides = np.array(rows)[:, np.argsort(np.sum(rows, axis=0))]
    return 1 + int((np.abs(np.diff(sides, axis=1)).max(axis=0) > 1e-5).sum())


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
        Other leaves (an Equinox module has functions) are left where they are.
    x : tree of arrays, examples first
    y, loss : targets, and a function of (outputs, y)
        By default what goes back is a random direction at the outputs.
    trainable : function of a parameter's path, such as "layers/0/weight"
    cures, rng : as in `winit.keras.audit`

    Raises
    ------
    TypeError, ValueError
        Not a function, no parameters, inputs that are not finite, a loss without targets.
    """
    from winit.judge import judge  # with what it needs, when it is needed

    return judge(_subject(f, params, x, y, loss, trainable, rng), cures=cures)


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
    """New parameters, each kernel drawn by its site; `params` itself stays as it is.

    See `winit.redraw.reinitialize`.
    """
    from winit import redraw  # with what it needs, when it is needed

    subject = _subject(f, params, x, None, None, trainable, 0)
    redraw.reinitialize(subject, scheme, rng=rng, force=force, **options)
    return subject.tree_of(subject.arrays)


class _Function(Subject):
    """A plain function: nothing is known of its parameters beyond what it computes."""

    tree_of: Callable[[Mapping[str, Any]], Any]

    def assign(self, name: str, value: Array) -> None:
        self.arrays[name] = self._like(value, self.arrays[name])

    def start(self, name: str) -> tuple[Array, str] | None:
        if name in self.program.factors or len(self.parameters[name]) != 1:
            return None
        return np.zeros(self.parameters[name]), "zeros"

    def kept(self, name: str) -> str:
        return "" if name in self.trainable else "frozen"

    def trained(self) -> str:
        return ""


def _subject(f: Any, params: Any, x: Any, y: Any, loss: Any, trainable: Any, rng: RNG) -> _Function:
    if not callable(f):
        raise TypeError(f"f must be a function of (params, x), got {type(f).__name__}")
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    arrays = [isinstance(leaf, (jax.Array, np.ndarray)) for _, leaf in leaves]
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    if not any(arrays):
        raise ValueError("params must hold at least one array")
    if (loss is None) != (y is None):
        raise ValueError("a loss needs targets and targets a loss: give both y and loss")
    for leaf in jax.tree.leaves(x):
        if _floats(np.asarray(leaf)) and not np.isfinite(np.asarray(leaf, dtype=np.float32)).all():
            raise ValueError("x must hold finite values")

    def whole(found: Mapping[str, Any]) -> Any:
        every = [
            found[n] if is_array else leaf
            for n, is_array, (_, leaf) in zip(names, arrays, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, every)

    subject = _Function(
        getattr(f, "__name__", type(f).__name__),
        lambda found, inputs: f(whole(found), inputs),
        {n: leaf for n, is_array, (_, leaf) in zip(names, arrays, leaves, strict=True) if is_array},
        jax.tree.map(jnp.asarray, x),
        loss=loss,
        targets=y,
        trainable=None if trainable is None else [n for n in names if trainable(n)],
        rng=rng,
    )
    subject.tree_of = whole
    return subject
