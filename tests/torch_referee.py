"""The referee for PyTorch: what a module's signal and gradient do, by plain autograd.

It shares no code with `winit`. What it measures goes into the `Measurement` of tests/referee.py,
and that file's rules and thresholds give the verdict, so that both frameworks are judged by one
law; no JAX runs for it.

**Method**: a deep copy of the module runs once, eagerly, under a `TorchFunctionMode` (`Watch`).
Every tensor that comes from the data or from a parameter carries a mark, function by function. The
Python of `torch.nn.functional` runs as if the module had written it (so attention is seen as the
products that it is), and fused recurrent functions are taken apart by hand with the same weights.
A *place* is a product or convolution of a signal with a *kernel* (an operand that depends on
parameters but less on the data), or a *lookup* (rows of a parameter picked by data). A zero that
requires a gradient is added to every z: `torch.autograd.grad` of the loss with respect to it is the
gradient at z, whatever happens to z in place afterwards.

**What z is**: the product alone, before any bias, also where the function adds one (`linear`,
`conv2d`, `addmm`). A packed projection is one place, q, k and v together, where PyTorch multiplies
once. Of fused recurrent functions, W_ih x is one place over all steps and W_hh h one at each step;
the first, whose state is zeros, is none. `bilinear` contracts the outer product of its inputs. z of
a lookup is the rows, and of an embedding bag the sum or mean of them.

What it does not see: a kernel applied without one of these functions (multiplied and summed by
hand), Python numbers made of tensors, `torch.autograd.Function`, packed sequences, buffers as
kernels.

The share that varies over the examples compares the run with that on inputs rolled by one along the
first axis. All moments are means over every entry, in float64 of the values the module computed.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import numpy as np
import referee
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from referee import NONE, ROUTING, SIGNAL, Mark, Measurement, Place, Verdict
from torch import Tensor
from torch.overrides import TorchFunctionMode

Loss = str | Callable[[Any, Any], Tensor] | None

# Functions by name, without the underscores of operators and of what works in place.
PRODUCTS = {"matmul", "mm", "bmm", "mv", "rmatmul", "imatmul"}
CONVOLUTIONS = {f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)}
ELEMENTWISE = {
    "add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "div", "rdiv", "truediv",
    "rtruediv", "itruediv", "neg", "maximum", "minimum", "tanh", "sigmoid", "erf", "erfc", "exp",
    "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "atan", "asinh", "sinh", "cosh", "abs",
    "sign", "sqrt", "rsqrt", "square", "pow", "rpow", "clamp", "clip", "clamp_min", "clamp_max",
    "where", "relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "softplus", "softsign", "hardtanh", "hardsigmoid", "hardswish", "log_sigmoid", "logsigmoid",
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "masked_fill",
}  # fmt: skip
SUMS = {"add", "radd", "iadd", "sub", "rsub", "isub"}
FACTORS = {"mul", "rmul", "imul", "div", "rdiv", "truediv", "rtruediv", "itruediv"}
MOVES = {
    "reshape", "view", "view_as", "reshape_as", "transpose", "t", "permute", "movedim", "swapaxes",
    "squeeze", "unsqueeze", "flatten", "unflatten", "split", "chunk", "unbind", "select", "narrow",
    "getitem", "flip", "contiguous", "clone", "expand", "expand_as", "detach", "T", "mT",
}  # fmt: skip
PASSES = {"dropout", "feature_dropout"}  # a value stays or is 0: the slope before it is kept
LOOKUPS = {"getitem", "index_select", "gather", "take_along_dim", "take", "index"}
CELLS = {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
FUSED = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


@dataclasses.dataclass(frozen=True)
class Segment:
    """The elementwise program after a z: where it began, its slope so far."""

    places: frozenset[int]
    slope: Tensor
    part: tuple[Any, ...] = ()  # which piece of z, where a function cut it (gates)


@dataclasses.dataclass
class Record:
    place: Place
    x: Tensor | None
    z: Tensor
    nudge: Tensor
    units: tuple[int, ...]


def tensors(tree: Any) -> list[Tensor]:
    """All tensors in arguments or outputs: tuples, dicts and dataclasses are opened, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [t for v in tree.values() for t in tensors(v)]
    if isinstance(tree, tuple | list):
        return [t for v in tree for t in tensors(v)]
    if dataclasses.is_dataclass(tree):
        return [t for field in dataclasses.fields(tree) for t in tensors(getattr(tree, field.name))]
    return []


def change(f: Callable[[Tensor], Any], tree: Any) -> Any:
    """The same tree of tuples, lists and dicts with f of each tensor."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {k: change(f, v) for k, v in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(change(f, v) for v in tree)
    return tree


def name_of(func: Any) -> str:
    name = getattr(func, "__name__", "")
    if name == "__get__":  # a property such as x.T
        name = getattr(getattr(func, "__self__", None), "__name__", "")
    return str(name).strip("_")


def writes(func: Any) -> bool:
    """Whether the first argument is changed in place."""
    name = getattr(func, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or (name.startswith("__i") and name[3:5] != "nd")
    return name.endswith("_")


class Watch(TorchFunctionMode):
    """Runs each function as it is and carries the marks along."""

    def __init__(self, params: Mapping[str, Tensor], data: Any) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.flat: dict[int, list[tuple[float, int]]] = {}
        # Tensors are kept, so that no id is used twice.
        self.marks: dict[int, tuple[Tensor, Mark, Segment | None]] = {}
        self.written: dict[int, tuple[Any, Mark]] = {}
        for name, p in params.items():
            self.marks[id(p)] = (p, Mark(params=frozenset({name})), None)
        for t in tensors(data):
            self.marks[id(t)] = (t, Mark(SIGNAL), None)

    # --- marks ---

    def mark(self, value: Any) -> Mark:
        if not isinstance(value, Tensor):
            return Mark()
        own = self.marks.get(id(value), (None, Mark(), None))[1]
        # Another view of the same numbers may have been written to.
        _, there = self.written.get(value.untyped_storage()._cdata, (None, None))
        return own if there is None else referee.union([own, there])

    def segment(self, value: Tensor) -> Segment | None:
        found = self.marks.get(id(value))
        return found[2] if found else None

    def put(self, out: Any, mark: Mark, source: list[Tensor], segments: Any = None) -> Any:
        """Marks on whatever a function gave. Whole numbers made from a float signal only route."""
        floats = any(self.mark(t).level == SIGNAL and t.is_floating_point() for t in source)
        if not torch.is_grad_enabled():
            mark = dataclasses.replace(mark, last=frozenset())
        for k, t in enumerate(tensors(out)):
            own = mark
            if not t.is_floating_point() and mark.level != NONE:
                own = dataclasses.replace(mark, params=frozenset())
                if floats:
                    own = Mark(ROUTING, frozenset(), frozenset(), mark.raw)
            self.marks[id(t)] = (t, own, segments[k] if segments else None)
        return out

    # --- functions ---

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), name_of(func)
        if name in FUSED | CELLS:
            with self:
                return recurrent(name, *args, **kwargs)
        special = self.special(func, name, args, kwargs)
        if special is not None:
            return special
        given = tensors([args, kwargs])
        marked = [t for t in given if self.mark(t) != Mark()]
        mark = referee.union([self.mark(t) for t in marked]) if marked else Mark()
        if name == "detach" or name == "data":
            mark = dataclasses.replace(mark, last=frozenset())
        segments = self.follow(func, name, args, kwargs, marked) if marked else None
        out = func(*args, **kwargs)
        if not marked:
            return out
        if writes(func):
            self.write(args[0], mark)
            segments = None if name == "setitem" else segments
            self.put(args[0], mark, marked, segments)
        return self.put(out, mark, marked, segments)

    def write(self, target: Tensor, mark: Mark) -> None:
        storage = target.untyped_storage()
        _, there = self.written.get(storage._cdata, (None, mark))
        self.written[storage._cdata] = (storage, referee.union([there, mark]))

    def special(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """The functions in which data may meet a kernel; None for all others."""
        if name == "linear":
            return self.linear(func, *args, **kwargs)
        if name in CONVOLUTIONS:
            return self.convolution(func, *args, **kwargs)
        if name in PRODUCTS:
            return self.product(name, *args, *kwargs.values())
        if name in ("addmm", "baddbmm", "addmv"):
            base, a, b = args
            assert not kwargs, f"{name} with factors"
            return self.biased(self.run(torch.matmul, a, b), base)
        if name == "einsum":
            return self.einsum(*args)
        if name == "bilinear":
            return self.bilinear(*args, **kwargs)
        if name in ("embedding", "embedding_bag") or name in LOOKUPS:
            return self.lookup(func, name, args, kwargs)
        return None

    def run(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return self.__torch_function__(func, (), args, kwargs)

    def biased(self, z: Tensor, bias: Any) -> Any:
        return z if bias is None else self.run(torch.add, z, bias)

    def product(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        a, b = (b, a) if name == "rmatmul" else (a, b)
        z = torch.matmul(a, b)

        def units(side: int) -> tuple[int, ...]:
            # Of kernels picked for each example, the examples are no units.
            return product_units(a, b, z, side, self.mark((a, b)[side]).level != ROUTING)

        return self.contract("dot_general", a, b, z, units)

    def linear(self, func: Any, input: Tensor, weight: Tensor, bias: Any = None) -> Any:
        z = func(input, weight)
        axes = ((0,) if input.ndim == 2 else (), (z.ndim - 1,))
        return self.biased(
            self.contract("dot_general", input, weight, z, lambda side: axes[side]), bias
        )

    def convolution(
        self, func: Any, input: Tensor, weight: Tensor, bias: Any = None, *rest: Any, **kw: Any
    ) -> Any:
        z = func(input, weight, None, *rest, **kw)
        axis = z.ndim - weight.ndim + 1  # unbatched inputs have no axis of examples
        z = self.contract("conv_general_dilated", input, weight, z, lambda side: (axis,))
        if bias is None:
            return z
        return self.biased(z, self.run(torch.reshape, bias, (-1, *(1,) * (weight.ndim - 2))))

    def einsum(self, spec: str, *operands: Any) -> Any:
        flat = list(operands[0]) if isinstance(operands[0], tuple | list) else list(operands)
        inputs, arrow, output = spec.replace(" ", "").partition("->")
        z = torch.einsum(spec, *flat)
        assert arrow, "an einsum without an arrow"
        letters = inputs.split(",")
        summed = {c for part in letters for c in part if c.isalpha() and c not in output}
        if len(flat) != 2 or not summed:
            assert len({self.mark(t).level for t in flat}) == 1, "an einsum of three with a kernel"
            for t in flat:
                self.close(t)
            return self.put(z, referee.union([self.mark(t) for t in flat]), flat)

        def units(side: int) -> tuple[int, ...]:
            routed = self.mark(flat[side]).level == ROUTING
            own = set(letters[side]) - (set(letters[1 - side]) if routed else set())
            tail = len(output) - 1 - output.rfind(".")  # letters after an ellipsis, if there is one
            places = [
                k if "." not in output else z.ndim - tail + k - output.rfind(".") - 1
                for k, c in enumerate(output)
                if c in own and c.isalpha()
            ]
            return tuple(places)

        return self.contract("dot_general", flat[0], flat[1], z, units)

    def bilinear(self, a: Tensor, b: Tensor, weight: Tensor, bias: Any = None) -> Any:
        outer = self.run(
            torch.mul, self.run(torch.unsqueeze, a, -1), self.run(torch.unsqueeze, b, -2)
        )
        flat = self.run(torch.flatten, outer, -2)
        return self.run(F.linear, flat, self.run(torch.flatten, weight, 1), bias)

    def lookup(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        table, index = args[0], [args[1:], kwargs]
        given = tensors(index)
        marks = [self.mark(t) for t in given]
        own, picks = self.mark(table), referee.union(marks) if marks else Mark()
        if not own.params or own.level >= picks.level or not table.is_floating_point():
            return None
        if picks.level == ROUTING:  # a kernel that is picked, not a signal
            mark = dataclasses.replace(referee.union([own, picks]), last=own.last)
            return self.put(func(*args, **kwargs), mark, [])
        out = func(*args, **kwargs)
        z = out[0] if isinstance(out, tuple) else out
        mark = referee.union([own, *marks])
        z = self.place("lookup", None, table, z, (z.ndim - 1,), mark)
        return (z, *out[1:]) if isinstance(out, tuple) else z

    # --- places ---

    def contract(
        self, kind: str, a: Tensor, b: Tensor, z: Tensor, units: Callable[[int], tuple[int, ...]]
    ) -> Tensor:
        left, right = self.mark(a), self.mark(b)
        self.close(a)
        self.close(b)
        mark = referee.union([left, right])
        data, kernel = (0, 1) if left.level > right.level else (1, 0)
        is_place = left.level != right.level and (left, right)[kernel].params
        if not is_place or not z.is_floating_point() or not z.numel():
            if mark == Mark():
                return z
            self.put(z, mark, [t for t in (a, b) if self.mark(t) != Mark()])
            return z
        return self.place(kind, (a, b)[data], (a, b)[kernel], z, units(kernel), mark)

    def place(
        self,
        kind: str,
        data: Tensor | None,
        kernel: Tensor,
        z: Tensor,
        units: tuple[int, ...],
        mark: Mark,
    ) -> Tensor:
        index, arrives = len(self.records), mark if data is None else self.mark(data)
        names = tuple(sorted(self.mark(kernel).params))
        place = Place(
            index=index,
            kind=kind,
            names=names,
            turn=sum(r.place.names == names for r in self.records),
            kernel_shape=tuple(kernel.shape),
            kernel_rms=math.sqrt(second_moment(kernel)),
            z_shape=tuple(z.shape),
            raw=data is not None and arrives.raw and data.is_floating_point(),
            branch=(),
            after=arrives.last if data is not None else frozenset(),
        )
        nudge = torch.zeros_like(z, requires_grad=True)
        x = None if data is None else data.detach().clone()
        self.records.append(Record(place, x, z.detach(), nudge, units))
        out = z + nudge
        last = frozenset({index}) if torch.is_grad_enabled() else frozenset()
        segment = None
        if kind != "lookup":
            segment = Segment(frozenset({index}), torch.ones_like(z.detach()))
        self.marks[id(out)] = (out, Mark(mark.level, frozenset(), last, raw=False), segment)
        return out

    # --- the slope of whatever elementwise program stands after a z ---

    def follow(
        self, func: Any, name: str, args: Any, kwargs: Any, marked: list[Tensor]
    ) -> list[Segment] | None:
        """Segments of the outputs, or None: then those of the inputs end here."""
        open_ = [t for t in marked if self.segment(t) is not None]
        if not open_:
            return None
        result, ends = None, True
        first = self.segment(open_[0])
        assert first is not None
        if name in PASSES:
            result, ends = [first], False
        elif name in MOVES and len(open_) == len(marked) == 1 and open_[0] is args[0]:
            moved = tensors(func(first.slope, *args[1:], **kwargs))
            cut = len(moved) > 1 or moved[0].numel() < first.slope.numel()
            parts = [(name, str(args[1:]), k) if cut else () for k in range(len(moved))]
            result = [
                Segment(first.places, s, (*first.part, *part))
                for s, part in zip(moved, parts, strict=True)
            ]
            ends = False
        elif name in ELEMENTWISE:
            result, ends = self.elementwise(func, name, args, kwargs, marked, open_)
        if ends:
            for t in marked:
                self.close(t)
        return result

    def elementwise(
        self,
        func: Any,
        name: str,
        args: Any,
        kwargs: Any,
        marked: list[Tensor],
        open_: list[Tensor],
    ) -> tuple[list[Segment] | None, bool]:
        signals = [t for t in marked if self.mark(t).level and t.is_floating_point()]
        origins = {(s.places, s.part) if (s := self.segment(t)) else None for t in signals}
        if len(origins) == 1:
            (common,) = origins
            assert common is not None
            slope = self.slope(func, args, kwargs, open_)
            ends = name in FACTORS and len(open_) < len(marked)
            return [Segment(common[0], slope, common[1])], ends
        if name in SUMS:  # a sum goes on: what was added is not yet at its activation
            last = frozenset().union(*(self.mark(t).last for t in signals))
            shape = torch.broadcast_shapes(*(t.shape for t in signals))
            return [Segment(last, torch.ones(shape))], False
        return None, True

    def slope(self, func: Any, args: Any, kwargs: Any, open_: list[Tensor]) -> Tensor:
        """Σ ∂func/∂t · (slope of t): what comes back for a vector, differentiated by the vector."""
        with torch.enable_grad():
            leaves = [t.detach().clone().requires_grad_() for t in open_]
            own = {id(t): v.clone() for t, v in zip(open_, leaves, strict=True)}

            def swap(t: Tensor) -> Tensor:
                return own.get(id(t), t.detach())

            out = func(*change(swap, args), **change(swap, kwargs))
            vector = torch.zeros_like(out, requires_grad=True)
            back = torch.autograd.grad(out, leaves, vector, create_graph=True)
            slopes = [self.slope_of(t) for t in open_]
            (slope,) = torch.autograd.grad(back, vector, slopes)
        return slope.detach()

    def slope_of(self, t: Tensor) -> Tensor:
        segment = self.segment(t)
        assert segment is not None
        return segment.slope.to(t.dtype)

    def close(self, t: Tensor) -> None:
        """An elementwise program ends here: how much of it is flat, at a bound that is not zero."""
        segment = self.segment(t) if isinstance(t, Tensor) else None
        if segment is None or not t.numel() or segment.slope.shape != t.shape:
            return
        slope, value = segment.slope.double().abs(), t.detach().double()
        flat = slope < referee.FLAT_SLOPE * max(float(slope.max()), 0.25)
        at_bound = float((value[flat] ** 2).sum()) / max(int(flat.sum()), 1)
        bounded = at_bound > 0.01 * float((value**2).mean())
        share = float(flat.double().mean()) if bounded else 0.0
        for place in segment.places:
            self.flat.setdefault(place, []).append((share, t.numel()))


def product_units(a: Tensor, b: Tensor, z: Tensor, side: int, stacks: bool) -> tuple[int, ...]:
    """Axes of z = matmul(a, b) that are units if `side` is the kernel, with those of a stack."""
    kernel, other = (a, b)[side], (a, b)[1 - side]
    matrix = min(a.ndim, 2) + min(b.ndim, 2) - 2  # axes of z that are no stack
    own = () if kernel.ndim == 1 else (z.ndim - 1,)
    if side == 0 and kernel.ndim > 1 and other.ndim > 1:
        own = (z.ndim - 2,)
    start = z.ndim - matrix - max(kernel.ndim - 2, 0)
    stack = [start + k for k in range(max(kernel.ndim - 2, 0)) if kernel.shape[k] > 1]
    return (*(stack if stacks else ()), *own)


# --- Recurrent functions, by hand ----------------------------------------------------------------


def cell(name: str, gi: Tensor, gh: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Any]:
    """One step from W_ih x + b and W_hh h + b, in PyTorch's order of gates."""
    if name.startswith("lstm"):
        i, f, g, o = (gi + gh).chunk(4, -1)
        assert c is not None
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    if name.startswith("gru"):
        (ir, iz, in_), (hr, hz, hn) = gi.chunk(3, -1), gh.chunk(3, -1)
        r, z = torch.sigmoid(ir + hr), torch.sigmoid(iz + hz)
        n = torch.tanh(in_ + r * hn)
        return n + z * (h - n), None
    return (torch.tanh if "tanh" in name else torch.relu)(gi + gh), None


def recurrent(name: str, x: Tensor, hx: Any, weights: Any, *rest: Any) -> Any:
    if name in CELLS:
        w_ih, (w_hh, b_ih, b_hh) = weights, (*rest, None, None)[:3]
        h, c = hx if name == "lstm_cell" else (hx, None)
        h, c = cell(name, F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh), h, c)
        return (h, c) if name == "lstm_cell" else h
    if isinstance(weights, bool):
        raise NotImplementedError("packed sequences")
    biases, layers, dropout, train, both_ways, batch_first = rest
    assert not (dropout and train), "dropout between recurrent layers"
    h0, c0 = hx if name == "lstm" else (hx, None)
    x = x.transpose(0, 1) if batch_first else x
    directions, per = 2 if both_ways else 1, 4 if biases else 2
    assert len(weights) == layers * directions * per, "projections"
    last_h, last_c = [], []
    for layer in range(layers):
        outs = []
        for way in range(directions):
            k = layer * directions + way
            own = (*weights[per * k : per * k + per], None, None)
            h, c = h0[k], None if c0 is None else c0[k]
            out, h, c = through(name, x, h, c, own, way == 1)
            outs.append(out)
            last_h.append(h)
            last_c.append(c)
        x = torch.cat(outs, -1) if both_ways else outs[0]
    x = x.transpose(0, 1) if batch_first else x
    if name == "lstm":
        return x, torch.stack(last_h), torch.stack(last_c)
    return x, torch.stack(last_h)


def through(
    name: str, x: Tensor, h: Tensor, c: Tensor | None, weights: Any, backward: bool
) -> tuple[Tensor, Tensor, Any]:
    w_ih, w_hh, b_ih, b_hh = weights[:4]
    gi = F.linear(x, w_ih, b_ih)
    steps: list[Any] = [None] * len(x)
    for t in reversed(range(len(x))) if backward else range(len(x)):
        h, c = cell(name, gi[t], F.linear(h, w_hh, b_hh), h, c)
        steps[t] = h
    return torch.stack(steps), h, c


# --- Measuring -----------------------------------------------------------------------------------


def array(t: Any) -> np.ndarray:
    return t.detach().double().numpy() if isinstance(t, Tensor) else np.asarray(t, np.float64)


def second_moment(t: Tensor) -> float:
    return float(np.mean(array(t) ** 2))


def scalar(out: Any, y: Any, loss: Loss, seed: int) -> Tensor:
    """L: "cross-entropy" (logits), "mse", a function of (out, y), or the seeded cotangent."""
    if loss is None:
        leaves = [t for t in tensors(out) if t.is_floating_point()]
        parts = [
            (t.float() * torch.from_numpy(referee.cotangent(tuple(t.shape), seed, k))).sum()
            for k, t in enumerate(leaves)
        ]
        return sum(parts[1:], parts[0])
    if callable(loss):
        return loss(out, y)
    out = out.float()
    if loss == "mse":
        return torch.mean((out - y.reshape(out.shape)) ** 2)
    logp = torch.log_softmax(out, -1)
    return -torch.gather(logp, -1, y[..., None].long()).mean()


def plain_checkpoint(function: Any, *args: Any, **kw: Any) -> Any:
    """What checkpointing computes, without running anything a second time."""
    keep = ("use_reentrant", "context_fn", "determinism_check", "debug", "early_stop")
    kw = {k: v for k, v in kw.items() if k not in (*keep, "preserve_rng_state")}
    return function(*args, **kw)


def no(*_: Any) -> bool:
    return False


@contextlib.contextmanager
def in_the_open(seed: int = 0) -> Iterator[None]:
    """Python of torch.nn.functional runs under the mode; nothing random is left changed."""
    names = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(seed)
        for name in names:
            stack.enter_context(mock.patch.object(F, name, no))
        where = mock.patch.object(torch.utils.checkpoint, "checkpoint", plain_checkpoint)
        stack.enter_context(where)
        yield


@dataclasses.dataclass
class Run:
    out: Any
    loss: Tensor
    grads: dict[str, Tensor]
    records: list[Record]
    gradients: list[Tensor]  # at each z
    flat: dict[int, list[tuple[float, int]]]
    heads: frozenset[int]


def run(case: Any, params: Mapping[str, Tensor], inputs: Any, seed: int = 0) -> Run:
    """One pass of a copy of the module with these parameters and (args, kwargs)."""
    module = copy.deepcopy(case.module)
    own = dict(module.named_parameters())
    with torch.no_grad():
        for name, p in own.items():
            p.copy_(params[name])
            p.requires_grad_(True)
    args, kwargs = change(torch.clone, inputs)
    watch = Watch(own, (args, kwargs))
    with in_the_open(), torch.enable_grad():
        with watch:
            out = module(*args, **kwargs)
        leaves = [t for t in tensors(out) if t.is_floating_point()]
        for t in leaves:
            watch.close(t)
        heads = frozenset().union(*(watch.mark(t).last for t in leaves))
        loss = scalar(out, case.y, case.loss, seed)
        wanted = [*own.values(), *(r.nudge for r in watch.records)]
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
    found = tuple(
        torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)
    )
    return Run(
        out=change(torch.detach, out) if not dataclasses.is_dataclass(out) else out,
        loss=loss.detach(),
        grads=dict(zip(own, found, strict=False)),
        records=watch.records,
        gradients=list(found[len(own) :]),
        flat=watch.flat,
        heads=heads,
    )


def parameters(case: Any) -> dict[str, Tensor]:
    return {k: p.detach().clone() for k, p in case.module.named_parameters()}


def rolled(t: Tensor) -> Tensor:
    return torch.roll(t, 1, 0) if t.ndim else t


def to_rms_1(t: Tensor) -> Tensor:
    if not t.is_floating_point():
        return t
    return t / (math.sqrt(second_moment(t)) or 1.0)


def floats(out: Any) -> list[np.ndarray]:
    return [array(t) for t in tensors(out) if t.is_floating_point()]


def measure(case: Any, params: Mapping[str, Tensor] | None = None, seed: int = 0) -> Measurement:
    """All that the verdict needs, of a case with module, args, kwargs, y and loss."""
    params = parameters(case) if params is None else params
    inputs = (case.args, case.kwargs)
    with np.errstate(all="ignore"):
        one = run(case, params, inputs, seed)
        other = run(case, params, change(rolled, inputs), seed)
        matters = 0.0
        if any(r.place.raw for r in one.records):
            scaled = run(case, params, change(to_rms_1, inputs), seed)
            pairs = zip(floats(one.out), floats(scaled.out), strict=True)
            matters = max(math.sqrt(2 * referee.share(a, b)) for a, b in pairs)
        return summarize(case, params, one, other, matters)


def summarize(
    case: Any, params: Mapping[str, Tensor], one: Run, other: Run, matters: float
) -> Measurement:
    for k, r in enumerate(one.records):
        fill(r, one.gradients[k], one.flat.get(k, []))
        same = other.records[k] if k < len(other.records) else None
        if same is not None and same.z.shape == r.z.shape:
            r.place.z_share = referee.share(array(r.z), array(same.z))
            if r.x is not None and same.x is not None:
                r.place.x_share = referee.share(array(r.x), array(same.x))
    places = [r.place for r in one.records]
    used = {name for p in places for name in p.names}
    effects = {
        k: second_moment(params[k]) * float(np.sum(array(one.grads[k]) ** 2))
        for k in params
        if k in used and params[k].ndim > 1
    }
    leaves, leaves_b = floats(one.out), floats(other.out)
    first = next(t for t in tensors(one.out) if t.is_floating_point())
    everything = [*(array(g) for g in one.grads.values()), *leaves]
    known = case.loss is None
    return Measurement(
        places=places,
        heads=one.heads,
        output2=float(np.mean([np.mean(v**2) for v in leaves])),
        output_share=max(referee.share(a, b) for a, b in zip(leaves, leaves_b, strict=True)),
        first_loss=None if known else float(one.loss),
        baseline=None if known else referee.knows_nothing(case.y, case.loss, first),
        finite=all(bool(np.all(np.isfinite(v))) for v in everything),
        effects=effects,
        input_matters=matters,
    )


def fill(r: Record, gradient: Tensor, flats: list[tuple[float, int]]) -> None:
    p = r.place
    p.x2 = None if r.x is None else second_moment(r.x)
    p.z2, p.d2 = second_moment(r.z), second_moment(gradient)
    z, dz = (referee.columns(array(t), r.units) for t in (r.z, gradient))
    p.units = z.shape[1]
    p.distinct = referee.distinct(z, dz)
    p.dead_share = float(np.mean(np.all(dz == 0, axis=0)))
    total = sum(n for _, n in flats)
    p.flat_share = sum(s * n for s, n in flats) / total if total else 0.0


def opened(case: Any, params: Mapping[str, Tensor], seed: int = 0) -> Measurement:
    """After each parameter has walked a few steps down its own gradient, as in tests/referee.py."""
    # Each step is shorter than the one before: two equal ones, there and back, restore exact zeros.
    params = dict(params)
    for step in range(referee.OPENING_STEPS):
        for k, g in run(case, params, (case.args, case.kwargs), seed).grads.items():
            rms = math.sqrt(second_moment(g))
            if rms > 0 and math.isfinite(rms):
                length = referee.OPENING_RMS / (1 + step)
                params[k] = params[k] - (length / rms * g).to(params[k].dtype)
    return measure(case, params, seed)


def judge(
    case: Any, params: Mapping[str, Tensor] | None = None, seed: int = 0
) -> tuple[Verdict, Measurement]:
    """The verdict by the rules of tests/referee.py, and the measurement it stands on."""
    params = parameters(case) if params is None else params
    m = measure(case, params, seed)
    return referee.verdict(m, lambda: opened(case, params, seed)), m


def train(
    case: Any, optimizer: str = "sgd", steps: int = 100, rate: float | None = None
) -> tuple[float, float]:
    """(first loss, mean of the last tenth) of full-batch descent; nan where it overflows."""
    module = copy.deepcopy(case.module)
    free = [p for p in module.parameters() if p.requires_grad]
    rate = rate if rate is not None else {"sgd": 0.05, "adam": 1e-3}[optimizer]
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    descent, losses = kind(free, lr=rate), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(steps):
            args, kwargs = change(torch.clone, (case.args, case.kwargs))
            loss = scalar(module(*args, **kwargs), case.y, case.loss, 0)
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                return losses[0], math.nan
            descent.zero_grad()
            loss.backward()
            descent.step()
    return losses[0], float(np.mean(losses[-max(1, steps // 10) :]))
