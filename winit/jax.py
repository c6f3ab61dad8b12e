"""JAX functions with their parameters, read as programs and measured: `audit` and `reinitialize`.

An `Interpreter` goes through a function's jaxpr, equation by equation, and numbers what each
gives. `Reading` asks `winit.reader.Reader` what is known of it; `Running` computes it, with an
identity at every site whose derivative notes the squares of what comes back: one compiled pass,
forward and back, measures everything.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import compress
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters import partial_eval
from jax.sharding import Mesh, NamedSharding

from winit import _checks, reader, subject
from winit._checks import RNG
from winit.reader import Contract, Draft, Op, Reader, Value
from winit.subject import BLOCK, KEY, PEAK, SHARES, Note, spread, squares, together
from winit.subject import Subject as Base

if TYPE_CHECKING:
    from winit.report import Audit

KINDS = {
    "affine": "neg convert_element_type copy real reduce_precision stop_gradient",
    "add": "add add_any sub complex",
    "mul": "mul",
    "div": "div",
    "choose": "select_n",
    "map": "max min abs sign floor ceil round exp exp2 expm1 log log1p sqrt rsqrt cbrt square pow "
    "integer_pow tan tanh sin cos asin acos atan atan2 sinh cosh asinh acosh atanh logistic erf "
    "erfc erf_inv lgamma clamp is_finite rem and or xor not eq ne lt le gt ge",
    "move": "reshape transpose broadcast_in_dim squeeze expand_dims slice rev split pad "
    "tile unstack",
    "join": "concatenate stack",
    "reduce": "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin "
    "reduce_window_sum reduce_window_max reduce_window_min reduce_window cumsum cumprod cummax "
    "cumlogsumexp sort top_k",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
# Compiled once and run a few times: optimizing it takes longer than it saves.
OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


def _auto(array: Any) -> Any:
    """An array whose layout is the compiler's affair, where it was a part of its type."""
    layout = getattr(array, "sharding", None)
    if not isinstance(layout, NamedSharding):
        return array
    mesh = Mesh(layout.mesh.devices, layout.mesh.axis_names)
    return jax.device_put(array, NamedSharding(mesh, layout.spec))


def _real(value: Any) -> Any:
    """In NumPy; of complex numbers how long they are, which turns nothing that is kept."""
    array = np.asarray(value)
    return np.abs(array) if np.iscomplexobj(array) else array


def _floats(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def _inexact(value: Any) -> bool:
    """Whether numbers are floats, or complex: then they may carry a signal."""
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


# ------------------------------------------------------------------ going through a jaxpr


@dataclass(frozen=True)
class Loop:
    """An equation that is a loop; `body` gives the states after a step, and what is kept of it."""

    eqn: Any
    inside: Sequence[Any]  # the variables of states and parts in its body
    states: list[Any]
    parts: list[Any]  # of these inputs each step takes one
    body: Callable[[Sequence[Any], Sequence[Any]], list[Any]]
    goes: Callable[[Sequence[Any]], Any] | None = None  # whether the states ask for another step


class Interpreter:
    """Runs a jaxpr on values of a kind of its own, which subclasses know."""

    def __init__(self) -> None:
        self.count = 0  # results so far: every pass numbers them alike

    def new(self, variables: Sequence[Any]) -> range:
        """Numbers for the next results."""
        self.count += len(variables)
        return range(self.count - len(variables), self.count)

    def run(self, jaxpr: Any, arguments: Sequence[Any]) -> list[Any]:
        """The results of a jaxpr, closed or open."""
        consts, jaxpr = getattr(jaxpr, "consts", ()), getattr(jaxpr, "jaxpr", jaxpr)
        env = dict(zip(jaxpr.invars, arguments, strict=True))
        env |= {v: self.constant(c) for v, c in zip(jaxpr.constvars, consts, strict=True)}

        def at(v: Any) -> Any:
            return self.constant(v.val) if isinstance(v, core.Literal) else env[v]

        for eqn in jaxpr.eqns:
            inputs = [at(v) for v in eqn.invars]
            env.update(zip(eqn.outvars, self._rule(eqn)(eqn, inputs), strict=True))
        return [at(v) for v in jaxpr.outvars]

    def _rule(self, eqn: Any) -> Callable[[Any, list[Any]], list[Any]]:
        name = eqn.primitive.name
        if name in ("scan", "while", "cond"):
            return getattr(self, f"_{name}")  # type: ignore[no-any-return]
        calls = _inner(eqn) is not None and name not in ("pallas_call", "shard_map")
        return self.call if calls else self.equation

    def constant(self, value: Any) -> Any:
        """A literal, or a constant of the jaxpr."""
        return value

    def equation(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        """An equation without a rule of its own."""
        return _bind(eqn, *inputs)

    def call(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        """A jaxpr that an equation only calls."""
        inner = _inner(eqn)
        return self.run(inner, inputs[len(inputs) - len(getattr(inner, "jaxpr", inner).invars) :])

    def loop(self, loop: Loop) -> list[Any]:
        """What a loop gives."""
        raise NotImplementedError

    def _scan(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        p = eqn.params
        first, carried = p["num_consts"], p["num_consts"] + p["num_carry"]

        def body(states: Sequence[Any], parts: Sequence[Any]) -> list[Any]:
            return self.run(p["jaxpr"], [*inputs[:first], *states, *parts])

        inside = p["jaxpr"].jaxpr.invars[first:]
        return self.loop(Loop(eqn, inside, inputs[first:carried], inputs[carried:], body))

    def _while(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        p = eqn.params
        skip, first = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
        test = partial(jax.core.eval_jaxpr, p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts)

        def body(states: Sequence[Any], parts: Sequence[Any]) -> list[Any]:
            return self.run(p["body_jaxpr"], [*inputs[skip:first], *states])

        def goes(states: Sequence[Any]) -> Any:
            return test(*inputs[:skip], *states)[0]

        inside = p["body_jaxpr"].jaxpr.invars[p["body_nconsts"] :]
        return self.loop(Loop(eqn, inside, inputs[first:], [], body, goes))


def _inner(eqn: Any) -> Any:
    names = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    return next((eqn.params[name] for name in names if name in eqn.params), None)


def _bind(eqn: Any, *inputs: Any) -> list[Any]:
    """What an equation gives."""
    made = eqn.primitive.bind(*inputs, **eqn.params)
    return list(made) if eqn.primitive.multiple_results else [made]


def _called(eqn: Any, *inputs: Any) -> list[Any]:
    """What an equation gives that calls a jaxpr, by the derivative that it has of its own."""
    pairs = zip(eqn.invars, inputs, strict=True)
    given = {v: a for v, a in pairs if not isinstance(v, core.Literal)}
    inner = _inner(eqn)
    alone = getattr(inner, "jaxpr", inner).replace(
        constvars=[], invars=[*given], outvars=[*eqn.outvars], eqns=[eqn]
    )
    return list(jax.core.eval_jaxpr(alone, (), *given.values()))


class Counting(Interpreter):
    """Runs step by step, to see how often each `while` does."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: dict[int, int] = {}

    def _cond(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        branches = eqn.params["branches"]
        return self.run(branches[min(max(int(inputs[0]), 0), len(branches) - 1)], inputs[1:])

    def loop(self, loop: Loop) -> list[Any]:
        """Step by step."""
        states, p, kept, n = loop.states, loop.eqn.params, [], 0
        while loop.goes(states) if loop.goes else n < p["length"]:
            k = p["length"] - 1 - n if p.get("reverse") else n
            outputs = loop.body(states, [part[k] for part in loop.parts])
            states, n = outputs[: len(states)], n + 1
            kept.append(outputs[len(states) :])
        self.trips[id(loop.eqn)] = max(n, self.trips.get(id(loop.eqn), 1))
        kept = kept[::-1] if p.get("reverse") else kept
        return [*states, *(jnp.stack(column) for column in zip(*kept, strict=True))]


# ------------------------------------------------------------------ reading it


class Reading(Interpreter):
    """Reads a jaxpr as a program."""

    sites: Mapping[int, Draft]  # before the calls in a loop become one

    def __init__(self, trips: Mapping[int, int]) -> None:
        super().__init__()
        self.trips, self.reader = trips, Reader()
        self.fresh = False  # whether each step of the loop that is read has data of its own
        self.ends: dict[int, int] = {}  # of loops, and of calls without a site
        self.slots: dict[int, tuple[int, ...]] = {}  # the shapes of what is noted of gradients

    def constant(self, value: Any) -> Value:
        """A number that is known, or an array of which only a mask is."""
        extended = jnp.issubdtype(getattr(value, "dtype", type(value)), jax.dtypes.extended)
        if extended or not np.size(value):
            return Value()
        known = reader.constant(_real(value))
        return known if np.size(value) == 1 else replace(known, exact=False)

    def call(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        """Looked into; where there is no site, it will be run whole, for its own derivative."""
        start, before = self.count, len(self.reader.found)
        outputs = super().call(eqn, inputs)
        if eqn.primitive.name.startswith("custom") and len(self.reader.found) == before:
            self.ends[start] = self.count
        return outputs

    def equation(self, eqn: Any, inputs: list[Value]) -> list[Value]:
        """One operation."""
        name = eqn.primitive.name
        dtypes = [v.aval.dtype for v in (*eqn.invars, *eqn.outvars)]
        kind, count = KIND.get(name, "other"), 1.0
        if any(jnp.issubdtype(dtype, jax.dtypes.extended) for dtype in dtypes):  # keys
            kind = "other"
        contract: tuple[Contract | None, ...] = ()
        run: Any = partial(_numbers, eqn) if kind not in ("move", "join") else partial(_bind, eqn)
        if name == "dot_general":
            shapes, axes = [v.aval.shape for v in eqn.invars], eqn.params["dimension_numbers"]
            kind, contract = "contract", reader.products(shapes, *axes)
            count = math.prod(shapes[0][axis] for axis in axes[0][0])
        elif name == "conv_general_dilated":
            kind, contract = "contract", (None, _convolution(eqn))
        elif name.startswith("ragged_dot") and eqn.invars[1].aval.ndim == 3:
            order, axis = ((0,), (2,), (1,), ()), (0,)
            experts = Contract(order, eqn.invars[1].aval.shape, units=(1,), apart=False,
                               examples_x=axis, examples_z=axis)  # fmt: skip
            kind, contract = "contract", (None, experts)
        self.fresh |= name in ("gather", "dynamic_slice") and _counted(eqn, inputs)
        if name in ("gather", "dynamic_slice") and not any(v.level for v in inputs[1:]):
            kind, run = "move", partial(_bind, eqn) if all(v.exact for v in inputs[1:]) else None
        elif name == "gather" and not inputs[0].level:
            kind, contract = "lookup", (_lookup(eqn), None)
        elif name == "reduce_window_sum":
            count = math.prod(eqn.params["window_dimensions"])
        elif name == "reduce_sum":
            count = math.prod(eqn.invars[0].aval.shape[axis] for axis in eqn.params["axes"])
        elif name == "scatter-add":
            count = max(1.0, eqn.invars[2].aval.size / max(1, eqn.outvars[0].aval.size))
        op = Op(
            kind,
            self.new(eqn.outvars)[0],
            run,
            len(eqn.outvars),
            shapes=[v.aval.shape for v in eqn.invars],
            whole=not any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in eqn.outvars),
            stops=name == "stop_gradient",
            count=count,
            scatters=name == "scatter-add" and inputs[0].exact and not inputs[0].number,
            contract=contract,
            parts=reader.equal_parts(eqn.invars[0].aval.size, eqn.outvars[0].aval.size)
            if name in ("slice", "split", "unstack")
            else 1,
            kept=min(1.0, eqn.invars[0].aval.size / eqn.outvars[0].aval.size)
            if name == "pad" and eqn.outvars[0].aval.size
            else 1.0,
            shape=tuple(getattr(eqn.outvars[0].aval, "shape", ())) if eqn.outvars else (),
            label=f"{name}{eqn.params}" if kind == "move" else "",
        )
        made = self._begun(op, inputs) if name == "dot_general" else self.reader.apply(op, inputs)
        if (site := self.reader.found.get(op.number)) is not None:
            blocks, _, units = _blocks(eqn.outvars[0].aval.shape, site.contract.units)
            self.slots[op.number] = (*self.reader.steps, blocks, units)
            if "Transform(name='transpose')" in repr(eqn.source_info.name_stack):  # of a gradient
                self.reader.derived |= 1 << site.number
        return made

    def _begun(self, op: Op, inputs: list[Value]) -> list[Value]:
        """A product, also of the zeros that a loop starts with if it is run step by step."""
        idle = [v.exact and v.number == 0 for v in inputs]
        if sum(idle) != 1 or not inputs[1 - idle.index(True)].powers:
            return self.reader.apply(op, inputs)
        inputs[idle.index(True)] = self.reader.state(-2 - op.number)  # roots' own numbers are >= 0
        return [replace(v, dom=reader.EVERY) for v in self.reader.apply(op, inputs)]

    def _cond(self, eqn: Any, inputs: list[Value]) -> list[Value]:
        branches = [self.run(branch, inputs[1:]) for branch in eqn.params["branches"]]
        pairs = zip(self.new(eqn.outvars), zip(*branches, strict=True), strict=True)
        return [self.reader.apply(Op("join", i), ways)[0] for i, ways in pairs]

    def loop(self, loop: Loop) -> list[Value]:
        """The body is read until nothing changes."""
        numbers, results = self.new(loop.inside), self.new(loop.eqn.outvars)
        start, k = self.count, len(loop.states)
        fresh, self.fresh = self.fresh, any(v.level > reader.PARAMETERS for v in loop.parts)

        def body(states: list[Value]) -> list[Value]:
            self.count, slices = start, []
            for i, v in zip(numbers[k:], loop.parts, strict=True):
                op = Op("join" if v.level else "move", i, list, label="steps", shapes=[()])
                slices += self.reader.apply(op, [v])
            return loop.body(states, slices)

        steps = loop.eqn.params.get("length") or self.trips.get(id(loop.eqn), 1)
        read = loop.states, steps, body, lambda: self.fresh
        outputs = self.reader.loop(numbers[:k], results, *read)
        self.ends[start], self.fresh = self.count, fresh
        return outputs


def _numbers(eqn: Any, *numbers: Any) -> Any:
    """An elementwise equation on numbers of any one shape."""
    kind = eqn.primitive.name
    if kind in ("convert_element_type", "copy", "reduce_precision", "stop_gradient", "real"):
        (values,) = numbers
        return values if _floats(eqn.outvars[0].aval) else np.trunc(values)
    kinds = [np.float32 if _floats(v.aval) else v.aval.dtype for v in eqn.invars]  # narrow ones too
    with np.errstate(all="ignore"):
        arrays = [np.asarray(n).astype(kind) for n, kind in zip(numbers, kinds, strict=True)]
    arrays = [*np.broadcast_arrays(*arrays)]
    if kind == "complex":  # both halves go on
        return sum(arrays)
    made = np.asarray(_bind(eqn, *arrays)[0])
    return made.real if np.iscomplexobj(made) else made


def _counted(eqn: Any, inputs: Sequence[Value]) -> bool:
    """Whether a part of data is taken that a loop's counter says."""
    one = eqn.invars[1].aval.size <= eqn.invars[0].aval.ndim
    counted = not (any(v.level for v in inputs[1:]) or all(v.exact for v in inputs[1:]))
    return one and counted and inputs[0].level > 0


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
    sizes = eqn.params["slice_sizes"]
    picked = [a for a in range(len(shape)) if sizes[a] < shape[a]]
    kept = [a for a in range(len(shape)) if a not in picked]
    if numbers.operand_batching_dims or any(sizes[a] > 1 for a in picked):
        return None
    rows = [a for a in range(len(eqn.outvars[0].aval.shape)) if a not in numbers.offset_dims]
    indices = range(len(eqn.invars[1].aval.shape) - 1)
    return Contract((picked, kept, (), ()), shape, units=numbers.offset_dims, apart=False,
                    examples_x=indices, examples_z=rows)  # fmt: skip


# ------------------------------------------------------------------ running it, with meters


def _wide(values: Any) -> Any:
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _blocks(shape: Sequence[int], units: Sequence[int]) -> tuple[int, int, int]:
    """In how many blocks of how many rows the values of so many units are added up."""
    columns = math.prod(shape[a] for a in units)
    rows = math.prod(shape) // columns if columns else 0
    block = next((m for m in range(min(BLOCK, rows), 0, -1) if rows % m == 0), 1)
    return rows // block, block, columns


def _note(values: Any, units: Sequence[int] = ()) -> dict[str, Any]:
    """How many values, and sums over blocks of their squares for each unit: (blocks, units)."""
    rest = [a for a in range(values.ndim) if a not in units]
    wide = _wide(jax.lax.stop_gradient(values))  # of notes no derivative is worked out
    wide = jnp.abs(wide) if jnp.iscomplexobj(wide) else wide
    moved = wide.transpose([*rest, *units]).reshape(_blocks(values.shape, units))
    return {"n": np.float32(values.size), "x": jnp.sum(jax.lax.square(moved), axis=1)}


def _even(output: Any) -> tuple[Any, Any, Any]:
    """What knows nothing: an even share, or its logarithm; else 1/2, or 0 of logits.

    And what is sure of the last class, with whether the outputs are shares, of a softmax.
    """
    plain = jnp.asarray(False) if jnp.iscomplexobj(output) else (output >= 0).all()
    even, last, known = jnp.where(plain, 0.5, 0.0), output, jnp.asarray(False)
    axes = dict.fromkeys((1, output.ndim - 1)) if output.ndim > 1 < output.size else ()
    for axis, n in ((a, output.shape[a]) for a in axes if output.shape[a] > 1):
        sums = jnp.where(plain, output, jnp.exp(output)).sum(axis)
        found = (abs(sums - 1) < SHARES).all()
        even = jnp.where(found, jnp.where(plain, 1 / n, -math.log(n)), even)
        one = jnp.zeros_like(output).at[(slice(None),) * axis + (-1,)].set(1)
        last, known = jnp.where(found, one, last), known | (found & plain)
    return even, last, known


def _varying(values: Any, axes: Sequence[int], examples: int) -> dict[str, Any]:
    """Sums of the squares about the mean over the examples, which lie on one of these axes."""
    sizes = {a: values.shape[a] for a in axes}
    found = [a for a, n in sizes.items() if n == examples]
    found += [a for a, n in sizes.items() if n and n % examples == 0]
    if examples < 2 or not found:
        return {}
    shape = (*values.shape[: found[0]], examples, -1, *values.shape[found[0] + 1 :])
    wide = _wide(jax.lax.stop_gradient(values)).reshape(shape)
    return {"v": _note(wide - wide.mean(axis=found[0], keepdims=True))["x"]}


@lru_cache
def _tap(units: tuple[int, ...]) -> Any:
    """Of (z, slot) z; the derivative by `slot` is the sums of the squares of the gradient at z."""
    tap = jax.custom_vjp(lambda z, slot: z)
    tap.defvjp(lambda z, slot: (z, None), lambda _, g: (g, _note(g, units)["x"]))
    return tap


def _shares(eqn: Any, side: int, values: Any, late: bool) -> Any:
    """Each as a part of its row, where a softmax divides behind the product (is `late`).

    Else of the largest row: dropout makes what it keeps larger, and there it keeps all.
    """
    if eqn.primitive.name != "dot_general":
        return values
    rows = jnp.sum(values, axis=eqn.params["dimension_numbers"][0][side], keepdims=True)
    return values / (jnp.maximum(rows, 1e-6) if late else jnp.maximum(rows.max(), 1.0))


def _open(eqn: Any, side: int, shares: Any) -> Any:
    """1 for a softmax's rows, 0 for those that have one entry, or see one alone in all examples."""
    if eqn.primitive.name == "dot_general":
        summed, batch = (axes[side] for axes in eqn.params["dimension_numbers"])
        if math.prod(shares.shape[a] for a in batch) > 1:
            seen = jnp.any(shares > 0, axis=batch, keepdims=True)
            return jnp.sum(seen, axis=summed, keepdims=True) > 1
    return jnp.mean(shares) <= PEAK


class Running(Interpreter):
    """Runs a program that was read, and notes what `winit.program.Measured` needs."""

    def __init__(self, reading: Reading, examples: int, slots: Mapping[int, Any]) -> None:
        super().__init__()
        self.trips, self.ends, self.roots = reading.trips, reading.ends, reading.reader.roots
        curves = reading.reader.curves(reading.sites.values())
        self.tails = {place: act.tails for place, (act, *_) in curves.items()}
        self.peaks, self.late = reading.reader.peaks, reading.reader.late
        self.sites = reading.sites
        self.examples, self.slots = examples, slots
        self.notes: dict[str, Any] = {}

    def watch(self, numbers: Sequence[int], values: Sequence[Any]) -> None:
        """Note those of these values that are roots."""
        for i, value in zip(numbers, values, strict=True):
            if i in self.roots and _inexact(value):
                self.notes[f"root {i}"] = _note(value)

    def call(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        """Whole, if no site lies in it."""
        if self.count not in self.ends or not eqn.primitive.name.startswith("custom"):
            return super().call(eqn, inputs)
        self.count = self.ends[self.count]
        return _called(eqn, *inputs)

    def equation(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        """One operation, and its notes where it is a site."""
        numbers, outputs = self.new(eqn.outvars), _bind(eqn, *inputs)
        if numbers and numbers[0] in self.peaks:
            side = self.peaks[numbers[0]][0]
            shares = _shares(eqn, side, _wide(inputs[side]), numbers[0] in self.late)
            shares = shares * _open(eqn, side, shares)
            share = jnp.sum(shares * (shares > PEAK)) / jnp.maximum(jnp.sum(shares), 1e-6)
            self.notes[f"peak {numbers[0]}"] = {"x": share}
        if numbers and numbers[0] in self.sites:
            d = self.sites[numbers[0]]
            outputs = [self._site(d, inputs, outputs[0])]
            if d.x.bounded and eqn.primitive.name == "dot_general":
                read, axes = inputs[1 - d.side], eqn.params["dimension_numbers"][0][1 - d.side]
                shares = (abs(read.sum(axes) - 1) < SHARES).all() & (read >= 0).all()
                self.notes[f"shares {d.z}"] = {"x": shares}
        for k, x in enumerate(inputs) if numbers else ():
            self.flat(f"{numbers[0]}.{k}", x)
        self.watch(numbers, outputs)
        return outputs

    def flat(self, place: str, x: Any) -> None:
        """Note how much of what an operation reads, or a model gives, is where a curve is flat."""
        if (tails := self.tails.get(place)) and not jnp.iscomplexobj(x):
            low, high = (jnp.mean(f.astype(jnp.float32)) for f in (x <= tails[0], x >= tails[1]))
            self.notes[f"flat {place}"] = {"x": low, "high": high}

    def _site(self, d: Draft, inputs: list[Any], z: Any) -> Any:
        x, w, c = inputs[1 - d.side], inputs[d.side], d.contract
        self.notes[f"z {d.z}"] = _note(z, c.units) | _varying(z, c.examples_z, self.examples)
        if _inexact(x):
            self.notes[f"x {d.z}"] = _note(x) | _varying(x, c.examples_x, self.examples)
        self.flat(str(d.z), x)
        if not (d.plain or d.lookup):
            self.notes[f"w {d.z}"] = _note(_wide(w) - _wide(w).mean())
        return _tap(tuple(c.units))(z, self.slots[d.z]) if d.z in self.slots else z

    def _apart(self, start: int, slots: Any, run: Callable[[], Any]) -> tuple[Any, Any]:
        """What a part of the program gives, numbered from `start`, and its own notes."""
        kept = self.notes, self.slots
        self.count, self.notes, self.slots = start, {}, slots
        outputs, notes = run(), self.notes
        self.notes, self.slots = kept
        return outputs, notes

    def _cond(self, eqn: Any, inputs: list[Any]) -> list[Any]:
        # Notes of branches that are not taken are 0.
        starts: list[int] = []
        each = []

        def branch(k: int) -> Any:
            run = partial(self.run, eqn.params["branches"][k], inputs[1:])
            return self._apart(starts[k], self.slots, run)

        for k in range(len(eqn.params["branches"])):
            starts.append(self.count)
            each.append(jax.eval_shape(partial(branch, k))[1])
        whole = {key: note for notes in each for key, note in notes.items()}

        def full(k: int) -> Any:
            outputs, notes = branch(k)
            return outputs, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), whole) | notes

        taken, ways = jnp.asarray(inputs[0], jnp.int32), range(len(each))
        outputs, notes = jax.lax.switch(taken, [partial(full, k) for k in ways])
        self.notes |= notes
        self.watch(self.new(eqn.outvars), outputs)
        return list(outputs)

    def loop(self, loop: Loop) -> list[Any]:
        """As a scan, notes and slots with an entry a step, the first that runs in front."""
        numbers, results = self.new(loop.inside), self.new(loop.eqn.outvars)
        start, k, p = self.count, len(loop.states), loop.eqn.params
        turn = 1 - 2 * p.get("reverse", False)

        def step(states: Any, sliced: Any) -> Any:
            def run() -> list[Any]:
                self.watch(numbers, [*states, *sliced[0]])
                return loop.body(states, sliced[0])

            outputs, notes = self._apart(start, sliced[1], run)
            new = outputs[:k]
            if loop.goes is not None:
                on = loop.goes(states)
                new = [jnp.where(on, a, b) for a, b in zip(new, states, strict=True)]
                notes = jax.tree.map(lambda a: a * on, notes)
            return new, (outputs[k:], notes)

        slots = {z: a[::turn] for z, a in self.slots.items() if start <= z < self.ends[start]}
        length = p.get("length") or self.trips.get(id(loop.eqn), 1)
        first = [jnp.asarray(s) for s in loop.states]
        new, (ys, notes) = jax.lax.scan(step, first, (loop.parts, slots), length, turn < 0)
        self.notes |= jax.tree.map(lambda a: a[::turn], notes)
        self.watch(results, [*new, *ys])
        return [*new, *ys]


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
        self.x = jax.tree.leaves(x)
        draws, seed = _checks.as_rng(rng), _checks.whole(rng)
        own = [*draws.bytes(8)] if seed is None else [seed]
        self.stream = np.random.default_rng([KEY, *own])
        made_of = jax.tree.map(_auto, (self.arrays, x))
        closed, self.shape = jax.make_jaxpr(function, return_shape=True)(*made_of)
        self.floats = [jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in closed.jaxpr.outvars]
        seen = [True] * len(self.floats) if loss is None else self._check_loss(loss)
        alive, _ = partial_eval.dce_jaxpr(closed.jaxpr, self.floats, instantiate=True)
        self.jaxpr = core.ClosedJaxpr(alive, closed.consts)
        self.examples = next((a.shape[0] for a in self.x if np.ndim(a)), 1)
        counting = Counting()
        if " while[" in str(alive):
            counting.run(self.jaxpr, [*self.arrays.values(), *self.x])
        self.reading = Reading(counting.trips)
        self.reader = self.reading.reader
        paths = jax.tree_util.tree_flatten_with_path(x)[0]
        names = [jax.tree_util.keystr(p, simple=True, separator="/") or "x" for p, _ in paths]
        self.known: dict[str, tuple[Any, Note]] = {}  # parameters whose spread was worked out
        known = [self._parameter(n, a, trainable is None or n in trainable)
                 for n, a in self.arrays.items()]  # fmt: skip
        self.arguments = self.reading.new(names)
        pairs = zip(self.arguments, names, self.x, strict=True)
        known += [self.reader.input(i, n, _inexact(a)) for i, n, a in pairs]
        outputs = self.reading.run(self.jaxpr, known)
        self.reading.sites = {d.z: d for d in self.reader.drafts}
        self.calls, outputs = self.reader.loops(outputs)
        # What training moves; a std that is given beside it stays when other outputs are tried.
        moved = [bool(v.flows) for v in outputs]
        self.tried = moved if any(moved) else [True] * len(moved)
        self._look_at(jax.tree.leaves(targets))
        seen = [s for s, floats in zip(seen, self.floats, strict=True) if floats]
        self.program = self.reader.program(outputs, self.unread(), seen)
        kernels = (kernel for site in self.program.sites for kernel in site.kernels)
        self.layers = {kernel.name: kernel.layers for kernel in kernels if kernel.layers > 1}
        if made:
            # As NumPy's, which go to whatever devices hold the weights.
            self.x = [np.asarray(self.noise(k, a, self.stream)) for k, a in enumerate(self.x)]
        else:
            self._check_rows(names)
        self.step: Any = None

    def _look_at(self, targets: Sequence[Any]) -> None:
        """Which targets are numbers: no marks, no shares, no labels of classes."""
        sizes = compress((v.aval.size for v in self.jaxpr.jaxpr.outvars), self.tried)
        paired = [np.size(t) for t in targets] == [*sizes]
        wide = [not np.iscomplexobj(t) and bool(np.any((t < 0) | (t > 1))) for t in targets]
        told = [paired or _floats(jnp.asarray(t)) for t in targets]
        self.marks = all(np.isin(t, (0, 1)).all() for t in targets)
        self.numbers = [a and b for a, b in zip(wide, told, strict=True)]
        numbers = (self.numpy(t) for t in compress(targets, self.numbers))
        self.y2 = max((float(np.mean(t**2)) for t in numbers), default=math.nan)

    def _check_loss(self, loss: Callable[[Any, Any], Any]) -> list[bool]:
        """Refuse a loss that fails on these outputs and targets, or reads none; those it reads."""
        try:
            closed = jax.make_jaxpr(loss)(self.shape, self.targets)
        except (IndexError, KeyError, TypeError, ValueError) as error:  # in others' words
            said = str(error).partition("\n")[0]
            raise ValueError(f"y and loss do not fit the outputs of {self.name}: {said}") from None
        shapes = [v.aval.shape for v in closed.jaxpr.outvars]
        if shapes != [()]:
            raise ValueError(f"loss must return a single number, got shapes {shapes}")
        used = partial_eval.dce_jaxpr(closed.jaxpr, [True])[1][: len(jax.tree.leaves(self.shape))]
        if not any(used):
            raise ValueError("loss must depend on the outputs: this one is constant")

        self._check_labels(loss)
        return list(used)

    def _check_rows(self, names: Sequence[str]) -> None:
        """Refuse numbers that pick rows which a table does not have."""
        for k, array in enumerate(self.x):
            if not jnp.iscomplexobj(array) and (found := self.reader.outside(k, np.asarray(array))):
                raise ValueError(
                    f"{names[k]} holds {found[0]:g}, and the table that it picks from has rows 0 "
                    f"to {found[1] - 1}"
                )

    def _check_labels(self, loss: Callable[[Any, Any], Any]) -> None:
        """Refuse labels of classes that the outputs do not have.

        One number beyond the classes may mark what does not count: then some others are classes.
        """
        outputs, tree = jax.tree.flatten(self.shape)
        targets, of = jax.tree.flatten(self.targets)
        draw = np.random.default_rng(0).uniform
        tried = [jnp.asarray(draw(0.1, 0.9, o.shape)).astype(o.dtype) for o in outputs]
        value = jax.value_and_grad(
            lambda made, marks: loss(jax.tree.unflatten(tree, made), jax.tree.unflatten(of, marks)),
            allow_int=True,
        )
        for k, (o, t) in enumerate(zip(outputs, targets, strict=False)):
            t, n = np.asarray(t), o.shape[-1] if o.ndim > 1 else 1
            out = (t < 0) | (t >= n) if t.dtype.kind in "iu" else np.zeros(t.shape, bool)
            if not out.any() or n < 2 or t.size * n != math.prod(o.shape) or not _floats(o):
                continue
            found, back = value(tried, targets)
            inside = [*targets[:k], np.where(out, np.clip(t, 0, n - 1), t), *targets[k + 1 :]]
            silent = not np.asarray(back[k]).reshape(-1, n)[out.reshape(-1)].any()
            many = out.all() or n in t[out] or len(np.unique(t[out])) > 1
            clamped = float(found) == float(value(tried, inside)[0])
            if not math.isfinite(found) or clamped or (silent and many):
                bad = t[out].flat[0]
                raise ValueError(f"y holds {bad}, and the outputs have classes 0 to {n - 1}")

    def _parameter(self, name: str, array: Any, trainable: bool) -> Value:
        if not _floats(array):
            return Value()
        self.known[name] = array, spread(np.asarray(array))
        mean = float(self.known[name][1]["mean"].mean())
        known = None if trainable else reader.constant(_real(array))
        return self.reader.parameter(name, tuple(array.shape), mean, known)

    def prepare(self) -> None:
        """Compile the one pass: done when it is first wanted, since a redraw needs no run."""
        shapes = {z: self.reading.slots[z] for z in self.reading.sites}
        self.slots = {z: np.zeros(shape, np.float32) for z, shape in shapes.items()}
        outs = [v.aval for v in self.jaxpr.jaxpr.outvars]
        self.directions = [self.stream.standard_normal(o.shape).astype(o.dtype) for o in outs]
        self.step = _compile(self._pass, *self._arguments(self.arrays, self.x))

    def _arguments(self, arrays: Mapping[str, Any], x: list[Any]) -> tuple[Any, ...]:
        arrays, x = jax.tree.map(_auto, (arrays, x))
        return arrays, self.slots, x, self.directions, self.targets

    def _forward(self, flat: Sequence[Any], slots: Any) -> tuple[list[Any], Any]:
        """The outputs of floats, and the notes."""
        running = Running(self.reading, self.examples, slots)
        running.watch(running.new(self.x), flat[len(self.arrays) :])
        outputs = running.run(self.jaxpr, flat)
        for k, output in enumerate(outputs):
            running.flat(f"-1.{k}", output)
        return outputs, running.notes

    def _pass(self, arrays: Any, slots: Any, x: Any, directions: Any, y: Any) -> Any:
        def scalar(floats: Any, slots: Any) -> Any:
            outputs, notes = self._forward([*(arrays | floats).values(), *x], slots)
            value = self._value(outputs, directions, y)
            return value, (value, outputs, notes)

        floats = {n: a for n, a in arrays.items() if _floats(a)}
        gradient = jax.grad(scalar, (0, 1), has_aux=True)
        (weights, back), (value, outputs, notes) = gradient(floats, slots)
        notes |= {f"g {z}": {"x": g} for z, g in back.items()}
        ends = [jnp.isfinite(a).all() for a in jax.tree.leaves((value, outputs))]
        notes["finite"] = {"x": jnp.stack(ends)}
        if self.loss is not None:
            own = [*compress(outputs, self.tried)]
            tries = [self._beside(outputs, each) for each in self._constants(own, y)]
            zero, even, *mean = (self._value(each, None, y) for each in tries)
            even = jnp.where(zero <= 2 * even, zero, even)
            notes |= {"loss": {"x": value}, "blind": {"x": jnp.stack([even, *mean])}}
            if own and all(o.ndim > 1 for o in own):
                lasts, shares = zip(*(_even(o)[1:] for o in own), strict=True)
                sure = self._value(self._beside(outputs, lasts), None, y)
                notes["sure"] = {"x": jnp.where(jnp.stack(shares).all(), sure, jnp.nan)}
            if own:
                pairs = [(_wide(o), _even(o)[0]) for o in own]
                apart = [jnp.sqrt(jnp.mean(jnp.abs(o - e) ** 2)) / jnp.where(e > 0, e, 1.0)
                         for o, e in pairs]  # fmt: skip
                notes["ends"] = {"x": jnp.stack(apart).max()}
            if any(self.numbers):
                notes |= self._others(tries, y, zero)
        return notes, weights

    def _beside(self, outputs: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        """Outputs with others in place of those that training moves."""
        left = iter(others)
        return [next(left) if t else o for t, o in zip(self.tried, outputs, strict=True)]

    def _others(self, tries: Sequence[Sequence[Any]], y: Any, zero: Any) -> dict[str, Any]:
        """What other constants cost, and how the loss grows with targets that are numbers."""

        def cost(c: Any) -> Any:
            own = [jnp.full_like(o, c) for o in compress(tries[0], self.tried)]
            return self._value(self._beside(tries[0], own), None, y)

        leaves, tree = jax.tree.flatten(y)
        pairs = zip(leaves, self.numbers, strict=True)
        half = [(t / 2 if _floats(t) else t // 2) if number else t for t, number in pairs]
        low, other = (self._value(each, None, jax.tree.unflatten(tree, half)) for each in tries[:2])
        tried = jax.lax.map(cost, jnp.array(self.others()))
        rest = self._value(tries[1], None, y) / other  # where no loss of zeros is known
        return {"others": {"x": tried}, "growth": {"x": jnp.where(zero == zero, zero / low, rest)}}

    def _value(self, outputs: Sequence[Any], directions: Any, y: Any) -> Any:
        if self.loss is not None:
            left = iter(outputs)
            found = [next(left) if f else None for f in self.floats]
            return self.loss(jax.tree.unflatten(jax.tree.structure(self.shape), found), y)
        total = jnp.zeros(())
        for d, o in zip(directions, outputs, strict=True):
            norm = jnp.sqrt(jnp.sum(jnp.square(jnp.abs(_wide(o)))))
            total += jnp.sum(_wide(d * o).real) / jax.lax.stop_gradient(
                jnp.where(norm > 0, norm, 1.0)
            )
        return total

    def _constants(self, outputs: Sequence[Any], y: Any) -> list[list[Any]]:
        """Outputs that know nothing: 0, if it is no logarithm; `_even`; the mean of no marks."""
        evens = [_even(o)[0] for o in outputs]
        zeros = [jnp.minimum(even, 0.0) for even in evens]
        tries = [[jnp.full_like(o, c) for o, c in zip(outputs, some, strict=True)]
                 for some in (zeros, evens)]  # fmt: skip
        pairs = list(zip(jax.tree.leaves(y), outputs, strict=False))
        same = len(pairs) == len(outputs) and all(t.size == o.size for t, o in pairs)
        if same and not self.marks:
            means = [(jnp.mean(t.reshape(o.shape), axis=0), o) for t, o in pairs]
            tries += [[jnp.broadcast_to(m, o.shape).astype(o.dtype) for m, o in means]]
        return tries

    def execute(self, arrays: Mapping[str, Any], standardized: bool) -> Any:
        """One run of the compiled pass."""
        if self.step is None:
            self.prepare()
        x = [self.standard(a) if standardized else a for a in self.x]
        # Weights and their gradients are added up here: it saves two kernels to compile for each.
        notes, weights = jax.tree.map(np.asarray, self.step(*self._arguments(arrays, x)))
        notes |= {f"weight {n}": squares(g, self.layers.get(n, 1)) for n, g in weights.items()}
        together(notes, self.reader, self.calls)
        return notes | {f"value {n}": self._spread(n, arrays[n]) for n in self.known}

    def _spread(self, name: str, array: Any) -> Note:
        """That of a parameter, worked out once for those that stay."""
        layers, (known, note) = self.layers.get(name, 1), self.known[name]
        if array is known and note["mean"].size == layers:
            return note
        note = spread(np.asarray(array), layers)
        if array is self.arrays[name]:
            self.known[name] = array, note
        return note

    def like(self, value: Any, old: Any) -> Any:
        """A value in the dtype and layout of an array."""
        made = np.asarray(value).astype(old.dtype)
        return jax.device_put(made, old.sharding) if hasattr(old, "sharding") else made


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

    cures = _checks.flag(cures, "cures")
    return judge(Function(f, params, x, y, loss, trainable, rng), cures=cures)


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
    """New parameters, drawn as `winit.redraw.reinitialize` says; `params` stays as it is.

    Parameters
    ----------
    f : function
        Of `(params, x)`, as for `audit`.
    params : tree of arrays
        Every array of numbers in it is a parameter, unless `trainable` says no.
    scheme : "auto" or a scheme's name
        "auto" draws each kernel by its fans and the activation before it, the last one small; a
        name, as "he_normal", draws all by one scheme, with its `options`.
    trainable : function of a path as "dense/kernel"
        Whether a parameter is to be drawn; what is not stays, unless forced.
    force : bool
        Sets also what is not `trainable` or was given on purpose. Nothing tells here that
        parameters were trained: they are drawn anew.

    Returns
    -------
    tree of arrays
        As `params`. What is left, as a bias that was given, is the very array of `params`:
        ``jax.tree.map(operator.is_, params, new)`` shows where. No layer says here which part of a
        bias is a forget gate's, so all of it starts at 0.

    Raises
    ------
    TypeError, ValueError
        No function, no arrays, an unknown scheme or option.
    """
    from winit import judge, redraw  # with what it needs, when it is needed

    subject = Function(f, params, x, None, None, trainable, 0)
    redraw.reinitialize(subject, scheme, rng=rng, force=force, level=judge.level, **options)
    return subject.whole(subject.arrays)


def _check_inputs(x: Any) -> None:
    """Refuse what holds no examples, or what cannot be computed with."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(x)]
    for leaf in leaves:
        if not jnp.issubdtype(leaf.dtype, jnp.number) and leaf.dtype != bool:
            raise TypeError(f"x must hold arrays of numbers, got {_checks.shown(leaf)}")
        wide = leaf.astype(np.result_type(leaf.dtype, np.float64))
        if not (np.isfinite(wide).all() or ((wide == 0) | (wide == -np.inf)).all()):
            raise ValueError(f"{subject.INFINITE}, got {wide[~np.isfinite(wide)][0]}")
    if not any(leaf.ndim for leaf in leaves) or not all(leaf.size for leaf in leaves):
        what = "x must be arrays of at least one example, and no lists of numbers"
        raise ValueError(f"{what}, got {_checks.shown(x)}")


def _outputs(made: Any) -> Any:
    """What a function gives, if it can be measured."""
    leaves = jax.tree.leaves(made)
    if not all(hasattr(leaf, "dtype") for leaf in leaves) or not any(map(np.ndim, leaves)):
        raise TypeError(f"f must return arrays, examples first, got {_checks.shown(made)}")
    return made


class Function(Subject):
    """A plain function: nothing is known of its parameters beyond what it computes."""

    def __init__(
        self, f: Any, params: Any, x: Any, y: Any, loss: Any, trainable: Any, rng: RNG
    ) -> None:
        if not callable(f):
            raise TypeError(f"f must be a function of (params, x), got {_checks.shown(f)}")
        if (loss is None) != (y is None):
            raise ValueError("a loss needs targets and targets a loss: give both y and loss")
        if loss is not None:
            _checks.function(loss, "loss")
        _check_inputs(x)
        leaves, self.tree = jax.tree_util.tree_flatten_with_path(params)
        self.leaves = {jax.tree_util.keystr(p, simple=True, separator="/"): v for p, v in leaves}
        kinds = jax.Array, np.ndarray
        whole = {n: v for n, v in self.leaves.items() if isinstance(v, kinds) and v.size}
        if not whole:
            raise ValueError("params must hold at least one array")
        self.halves = {n: {f"{n}.real": v.real, f"{n}.imag": v.imag}
                       for n, v in whole.items() if jnp.iscomplexobj(v)}  # fmt: skip
        arrays = {
            half: a for n, v in whole.items() for half, a in self.halves.get(n, {n: v}).items()
        }
        chosen = None
        if trainable is not None:
            free = [n for n in whole if _checks.function(trainable, "trainable")(n)]
            chosen = [half for n in free for half in self.halves.get(n, [n])]
        name, x = getattr(f, "__name__", type(f).__name__), jax.tree.map(jnp.asarray, x)
        call = lambda found, inputs: _outputs(f(self.whole(found), inputs))  # noqa: E731
        super().__init__(name, call, arrays, x, loss=loss, targets=y, trainable=chosen, rng=rng)

    def whole(self, arrays: Mapping[str, Any]) -> Any:
        """The tree of parameters with these arrays in it."""
        made = self.leaves | {n: a for n, a in arrays.items() if n in self.leaves}
        for n, halves in self.halves.items():
            new = [arrays[half] for half in halves]
            left = all(a is old for a, old in zip(new, halves.values(), strict=True))
            made[n] = self.leaves[n] if left else jax.lax.complex(*new)
        return jax.tree.unflatten(self.tree, [*made.values()])
