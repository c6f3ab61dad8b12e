"""A model that can be run, measured at its sites, and given other weights.

A framework's module, such as `winit.jax`, completes the `Subject`: it runs the model and notes sums
at every site, and what is `Measured` is worked out from these.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit.program import Array, Measured, Program, Site, Weight
from winit.reader import Draft, Reader, any_of, bits

KEY = 0x77696E6974  # the audit's own branch of every seed: its noise is nobody's draw
# A unit to which this share of the mean squared gradient comes back is dead: float32's rounding,
# squared. More may be small beside what another task sends, and Adam makes up for it.
SILENT = 2.0**-46
# Where another constant costs a quarter of it, nobody knows what knowing nothing costs: so with
# likelihoods, which may be negative. These are tried, and the targets' own rms, up and down.
# So where all cost no more than float32 rounds, as where advantages have a mean of 0.
UNKNOWN, TRIED, CANCELED = 0.25, (1.0, 10.0), 1e-6
# A unit signal lies on both sides of a shift so large; what it never crosses is a fault.
CROSSED = 3.0
# Groups of fewer units may fade by chance.
WIDE = 16
FEW = 16  # of so many different numbers at most a kernel is a pattern: an identity, an upsampling
ROUNDED = 1e-4  # of the largest entry of a gradient: so far apart are those that are equal...
ROUNDED16 = 0.03  # ...and of one in 16 bits
SHARES = 0.02  # so far from 1 may the sum of a softmax be, in 16 bits
NOTES = ("x", "z", "g", "w", "flat")  # of a site: what is read and given, and of the gradient
INFINITE = "x must hold finite values; only a mask that is added may have -inf, beside zeros"
PEAK = 0.99  # of a row of a softmax: its slopes, p (1 - p), are then 1/25 of the steepest at most

# What a run notes, by kind and value: how many numbers ("n"), sums over blocks of their squares
# ("x"), the same about the mean over the examples ("v"); in loops with an entry a step in front. Of
# a gradient by a parameter the largest entry, too ("top"), and all of it ("all").
Note = Mapping[str, Array]
Notes = Mapping[str, Note]
Start = tuple[Array, str]  # a parameter's new values, and what they are called
BLOCK = 512  # so many squares are added up in float32, the rest in float64
FORMS, ROWS = 5, 64  # of weights, of which a unit's gradient may be made; so many units tell it
CHUNK = 2**16  # numbers that stay in a processor's cache as float64


def squares(values: Array, layers: int = 1) -> Note:
    """The sums of a gradient's squares, by layer: over blocks in float32, the rest in float64."""
    rows = values.reshape(layers, -1)
    rows = rows.astype(np.float32) if rows.dtype.itemsize < 4 else rows
    whole = rows.shape[1] // BLOCK * BLOCK
    blocks, rest = rows[:, :whole].reshape(layers, -1, BLOCK), rows[:, whole:].astype(np.float64)
    sums = np.einsum("lij,lij->li", blocks, blocks).sum(axis=1, dtype=np.float64)
    sums = (sums + np.square(rest).sum(axis=1))[None]
    top = rows.max(initial=-math.inf)
    return {"n": np.array(values.size), "x": sums, "top": top, "rows": same_rows(values, ROUNDED),
            "all": values}  # fmt: skip


def same_rows(values: Array, within: float = 0.0) -> Array:
    """Whether all rows are equal, within a share of the largest entry."""
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    if values.ndim < 2 or min(rows.shape) < 2:
        return np.array(False)
    with np.errstate(all="ignore"):  # the first two tell most often
        pairs = ((np.abs(some - some[:1]).max(), np.abs(some).max()) for some in (rows[:2], rows))
        return np.array(all(bool(apart <= within * most) for apart, most in pairs))


def matrices(value: Array, index: NDArray[np.int64]) -> Array:
    """A kernel's entries in a parameter, as (groups, outputs, what reaches an output)."""
    rows = value.reshape(-1)[index]
    return rows.reshape(*rows.shape[:2], -1)


@np.errstate(all="ignore")
def spread(values: Array, layers: int = 1) -> Note:
    """A parameter's mean and the sums of the squares about it, by layer, in float64."""
    means, sums = np.zeros(layers), np.zeros(layers)
    for k, row in enumerate(values.reshape(layers, -1)):
        first, total = np.float64(row[0]), 0.0  # subtracted, so that equal ones give exactly 0
        for part in np.split(row, range(CHUNK, row.size, CHUNK)):
            wide = part.astype(np.float64) - first
            total, sums[k] = total + wide.sum(), sums[k] + wide @ wide
        sums[k] = np.maximum(sums[k] - total**2 / row.size, 0.0)
        means[k] = first + total / row.size
    return {"n": np.array(values.size), "mean": means, "x": sums[None], "rows": same_rows(values)}


class Subject:
    """A model that can be measured and given other weights; a framework's module completes it."""

    name: str
    x: Any
    arrays: dict[str, Any]  # the parameters, by path
    measured: Mapping[str, Any]  # those of the last run
    reader: Reader
    program: Program
    examples: int
    y2 = math.nan  # E y² of targets that are numbers: no marks, and no labels of classes

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter; states of generators are none."""
        known = {k.name for k in self.reader.parameters}
        return {n: tuple(a.shape) for n, a in self.arrays.items() if n in known or a.ndim > 1}

    @property
    def used(self) -> set[str]:
        """The parameters that make the sites' kernels."""
        return {kernel.name for site in self.program.sites for kernel in site.kernels}

    def others(self) -> list[float]:
        """Constants that would be no better than knowing nothing, if that is what it costs."""
        rms = [math.sqrt(self.y2)] if self.y2 > 0 else []
        return [sign * c for c in (*TRIED, *rms) for sign in (1.0, -1.0)] if self.y2 >= 0 else []

    def execute(self, arrays: Mapping[str, Any], standardized: bool) -> Notes:
        """Run once, with these parameters, and inputs of floats brought to mean 0 and std 1."""
        raise NotImplementedError

    def numpy(self, array: Any) -> Array:
        """One of the framework's arrays, as float64, or complex128."""
        return np.asarray(array).astype(np.result_type(array.dtype, np.float64))

    def sample(self, name: str, count: int) -> Array:
        """The first entries of a parameter; a copy of all would take long."""
        return np.asarray(self.arrays[name]).reshape(-1)[:count].astype(np.float64)

    def like(self, value: Any, old: Any) -> Any:
        """A value in the type, dtype and layout of one of the framework's arrays."""
        raise NotImplementedError

    def value(self, name: str) -> Array:
        """A parameter's present value, as float64."""
        return self.numpy(self.arrays[name])

    def standard(self, array: Any) -> Any:
        """An input of floats brought to mean 0 and std 1, each column of a table; others as is."""
        inexact = any(kind in str(array.dtype) for kind in ("float", "complex"))
        if not inexact or not np.isfinite(wide := self.numpy(array)).all():
            return array
        axis = 0 if wide.ndim == 2 and len(wide) > 1 else None
        std = wide.std(axis=axis)
        return self.like((wide - wide.mean(axis=axis)) / np.where(std > 0, std, 1.0), array)

    def tables(self, names: Collection[str]) -> dict[str, Array]:
        """Those of these inputs that have two axes, and finite numbers."""
        named = [self.reader.root_names.get(number) for number in self.reader.inputs]
        found = {n: self.numpy(x) for n, x in zip(named, self.data(), strict=True)
                 if n in names and x.ndim == 2 and len(x) > 1}  # fmt: skip
        return {n: x for n, x in found.items() if n is not None and np.isfinite(x).all()}

    def data(self) -> list[Any]:
        """All inputs, in the reader's order."""
        return list(self.x)

    def noise(self, place: int, like: Any, stream: np.random.Generator) -> Any:
        """An input, by its place, that suits what the model does with it first."""
        words, shape, dtype = self.reader.vocabulary(place), tuple(like.shape), str(like.dtype)
        read = any(d.x.origins >> place & 1 for d in self.reader.drafts)
        if self.reader.masking >> place & 1 and not read:  # a mask that leaves all
            return self.like(np.ones(shape), like)
        if words or "float" not in dtype:
            high = words or (256 if dtype.endswith("uint8") else 2)
            return self.like(stream.integers(0, high, shape), like)
        scale, shift = self.reader.entry(place)
        return self.like((stream.standard_normal(shape) - shift) / scale, like)

    def assign(self, name: str, value: Array) -> None:
        """Set a parameter, in its own dtype and layout."""
        self.arrays[name] = self.like(value, self.arrays[name])

    def start(self, name: str) -> Start | None:
        """The conventional start of what is no kernel, and its name; None if there is none.

        Without a layer that knows, it is that of biases. A divisor, a threshold, a scale has none.
        """
        bias = name in self.program.shifts and name not in self.program.factors
        return (np.zeros(self.parameters[name]), "zeros") if bias else None

    def gain(self, name: str) -> Start | None:
        """1 for a scale of a normalizer's results of which no layer knows; not for a single number.

        None is drawn for its own sake: learned frequencies and the like begin elsewhere.
        """
        shape, known = self.parameters[name], self.start(name)
        gain = name in self.program.gains and math.prod(shape) > 1  # else it is a temperature
        return (np.ones(shape), "ones") if gain and known is None else None

    def kept(self, name: str) -> str:
        """Why a parameter is to be left alone ("frozen", "given as a constant"), or ""."""
        free = {k.name for k in self.reader.parameters if k.trainable}
        return self.given(name) if name in free else "frozen"

    def resets(self, name: str) -> list[Array]:
        """What the layer's own reset draws, where it has one."""
        return []

    def given(self, name: str) -> str:
        """Why a shift or a scale is no draw but was given, or "".

        So are constants that the layer does not give, and what is three times as large as its
        draws. Where nobody knows its draws, they are taken to lie within 1/√fan_in, as the widest
        of a library do, and values that vary were given beside the kernel of an output alone. What
        a unit signal never crosses is given nowhere else, unless a gate or a scale begins there.
        Entries that are as they start say nothing.
        """
        sites = self.program.sites
        if "float" not in str(self.arrays[name].dtype):
            return ""
        if name in self.used:
            return self.pattern(name)
        if (start := self.start(name)) is None:
            return ""
        value, resets = self.value(name), self.resets(name)
        if not (own := value[value != start[0]]).size or not np.isfinite(own).all():
            return ""
        reads = [site for site in sites if name in site.shifts]
        draws = [np.abs(reset).max() for reset in resets]
        draws = draws or [1 / math.sqrt(max(site.fan_in, 1.0)) for site in reads]
        flat, size = not np.ptp(own), float(np.abs(own).max())
        last = any(site.head for site in reads)
        far = size > 3 * max(draws, default=0.0)
        alone = flat and (own.size > 1 or far)
        always = bool(resets) and not np.ptp(resets)
        if size > CROSSED and not last:
            meant = far and not self.crossed(name, own)
        else:
            meant = always or alone or (far and bool(resets or last))
        if not meant:
            return ""
        part = f" in {own.size} of its {value.size} entries" if own.size < value.size else ""
        return f"given, value={own[0]:.4g}{part}" if flat else "given, not as its layer draws it"

    def pattern(self, name: str) -> str:
        """Why a kernel is no draw, or "": it is made of a few numbers, as an identity is.

        That its units differ tells it from one that is equal all over, or row by row.
        """
        some = self.sample(name, FEW**3)
        most = min(FEW, some.size // 4)
        if len(np.unique(some)) > most:
            return ""
        numbers = np.unique(value := self.value(name))
        if not 1 < len(numbers) <= most:
            return ""
        for site in self.program.sites:
            if site.kernel.name == name and site.kernel.index:
                rows = matrices(value, site.kernel.index())
                if any(len(np.unique(part, axis=0)) < len(part) for part in rows):
                    return ""
        return f"given, made of {len(numbers)} numbers"

    def crossed(self, name: str, values: Array) -> bool:
        """Whether such shifts in hidden layers are a fault, since no unit signal crosses them.

        They are none where a gate is not shut by them, a sigmoid not flat, and a scale's
        exponential moves; of gates in one kernel the rest may be. A factor is as large as it is.
        """
        pairs = [(d, s) for d, s in zip(self.reader.drafts, self.program.sites, strict=True)
                 if name in s.shifts]  # fmt: skip
        if not np.abs(values).max(initial=0.0) > CROSSED or any(s.head for _, s in pairs):
            return False
        mine = any_of(1 << d.number for d, _ in pairs)
        acts = [act for act, parents in self.reader.bends.values() if parents & mine]
        acts += [site.after for _, site in pairs if not site.partners]  # else that of the product
        if not (acts := [act for act in acts if not act.linear]):
            return not (pairs and all(site.partners for _, site in pairs))
        packed = any(site.blocks > 1 for _, site in pairs)
        return not (any if packed else all)(act.moves(values) for act in acts)

    def trained(self) -> str:
        """The sign that the model was trained, or ""."""
        return ""

    def refresh(self, drawn: Collection[str]) -> dict[str, str]:
        """Bring up to date what the model keeps of these kernels, and say what."""
        return {}

    def unread(self) -> list[str]:
        """Which parameters hold numbers that are not looked into, in a sentence."""
        small = [n for n, a in self.arrays.items()
                 if a.dtype.itemsize == 1 < a.ndim and "bool" not in str(a.dtype)]  # fmt: skip
        text = "of whole numbers (quantized), neither judged nor drawn."
        return [f"{', '.join(small)}: {text}"] if small else []

    def measure(
        self,
        scales: Mapping[str, Any] | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        standardized: bool = False,
    ) -> Measured:
        """Run once with changed parameters; the model stays as it is, and nothing is compiled.

        `scales` multiplies parameters, `values` replaces them, and `standardized` brings each
        input of floats to mean 0 and std 1.
        """
        arrays = dict(self.arrays)
        for n, value in (values or {}).items():
            arrays[n] = self.like(value, arrays[n])
        for n, factor in (scales or {}).items():
            arrays[n] = self.like(self.numpy(arrays[n]) * factor, arrays[n])
        return self._measured(self.execute(arrays, standardized), arrays)

    def _measured(self, notes: Notes, arrays: Mapping[str, Any]) -> Measured:
        self.measured, kernels = arrays, {}
        for n in (k.name for k in self.reader.parameters):
            value, back = notes[f"value {n}"], notes[f"weight {n}"]
            gradient = _units(back)
            variances = _units(value) * len(gradient) / value["n"]
            mean = float(variances.mean())
            felt = gradient * (variances / mean if 0 < mean < math.inf else 1.0)
            zero = not (mean or np.any(value["mean"]))
            total, stds = float(gradient.sum()), np.sqrt(variances)
            with np.errstate(over="ignore"):
                rms = math.sqrt(mean + float(np.mean(value["mean"] ** 2)))
            tied = bool(value["rows"] and back["rows"] and total > 0)
            top = float(back["top"])
            kernels[n] = Weight(math.sqrt(mean), total, zero, stds, gradient, felt, rms, top, tied)
        drafts = self.reader.drafts
        pairs = [*zip(drafts, self.program.sites, strict=True)]
        read = self._members(notes)
        rows = [
            self._row(*pair, kernels, notes, own) for pair, own in zip(pairs, read, strict=True)
        ]
        self.measured = self.arrays  # what was tried is not kept
        steps: Any = {
            n: tuple(row.pop(n) for row in rows) for n in ("x_steps", "g_steps", "opens", "silent")
        }
        columns: dict[str, Any] = {n: np.array([r[n] for r in rows]) for n in (rows or [_EMPTY])[0]}
        flat = [
            (f"flat {i}", tails, act.gate, parents, kept)
            for i, (act, parents, kept) in self.reader.curves(drafts).items()
            if (tails := act.tails)
        ]
        flat += [(f"peak {i}", (-1.0, 1.0, 0.0), False, parents, 1.0)
                 for i, (_, parents) in self.reader.peaks.items()]  # fmt: skip
        for key, (low, high, normal), gate, parents, kept in flat:  # those before a curve did it
            shut, above = (notes.get(key, {}).get(k, math.nan) for k in ("x", "high"))
            # An open gate lets a signal through: it counts as far as others are shut.
            share = np.fmin(shut, above) if gate else np.nan_to_num(above)
            share = float(np.max(shut + share))  # of all steps
            share = (share - (0.0 if low < 0 < high else 1 - kept)) / kept  # zeros that pad
            share = (share - normal) / (1.0 - normal)
            done = [bool(parents >> d.number & 1) for d in drafts]
            name = "peaked" if key.startswith("peak") else "saturated"
            columns[name][done] = np.fmax(columns[name][done], share)
        loss, tried, others, growth, sure, ends = (
            np.ravel(notes.get(k, {"x": math.nan})["x"])
            for k in ("loss", "blind", "others", "growth", "sure", "ends")
        )
        blind = float(min(tried[tried > 0], default=math.nan))
        nothing = blind <= CANCELED and not (np.abs(others) > CANCELED).any()
        unknown = math.isnan(blind) or nothing or (others < UNKNOWN * blind).any()
        near = float(np.fmax.reduce(np.abs([*others[:2], tried[0]])))
        # Of a loss that is the outputs' mean, as where a model gives log-likelihoods, nothing is.
        rises = others[:4] - tried[0]
        linear = len(rises) == 4 and np.allclose(rises, rises[0] * np.array([1, -1, 10, -10]))
        told = unknown and near > CANCELED and np.isfinite(others[:2]).any() and not linear
        root2 = {i: self._second(notes, f"root {i}")[0] for i in self.reader.roots}
        inputs = {name: root2[i] for i, name in self.reader.root_names.items()}
        return Measured(
            **columns,
            **steps,
            root2=np.array(list(root2.values())),
            loss=float(loss[0]),
            blind=math.nan if unknown else blind,
            even=float(tried[0]),
            sure=float(sure[0]),
            ends=float(ends[0]),
            near=near if told else math.nan,
            growth=float(growth[0]),
            input2=inputs,
            finite=bool(notes["finite"]["x"].all())
            and all(math.isfinite(weight.gradient) for weight in kernels.values()),
            kernels=kernels,
        )

    def _second(self, notes: Notes, key: str) -> tuple[float, float, Array]:
        """E x², the share of it that varies over the examples, and E x² step by step."""
        note = notes.get(key)
        steps, varying = _steps(note, "x"), _steps(note, "v")
        second, unbiased = _mean(steps), self.examples / max(1, self.examples - 1)
        return second, unbiased * _mean(varying) / second if second else math.nan, steps

    @cached_property
    def _parts(self) -> list[int]:
        """In how many members each site's units lie: its groups, or those of what reads them."""
        return [self._side_by_side(i) for i in range(len(self.program.sites))]

    def _side_by_side(self, i: int) -> int:
        sites, kernel = self.program.sites, self.program.sites[i].kernel
        after = {site.groups for site in sites if i in site.parents}
        if sites[i].groups > 1 or len(after) != 1 or not kernel.index:
            return sites[i].groups
        (parts,), units = after, sites[i].units
        if parts == 1 or units % parts or parts not in kernel.shape:
            return 1
        if (index := kernel.index()).size % units or index.min() < 0:
            return 1
        at = np.unravel_index(index.reshape(units, -1)[:, 0], kernel.shape)
        wanted = np.arange(units) // (units // parts)
        return parts if any(np.array_equal(own, wanted) for own in at) else 1

    def _members(self, notes: Notes) -> list[NDArray[np.bool_]]:
        """Of the members of each site, as of an ensemble, those that may be dead.

        Their outputs are felt, and so is what reads them; none of them ends in zeros, which open by
        themselves. Whether the outputs of those that data choose are felt is not known.
        """
        sites, drafts = self.program.sites, self.reader.drafts
        found = {site.groups: np.ones(site.groups, dtype=bool) for site in sites}
        heard = [np.zeros(site.groups, dtype=bool) for site in sites]
        for i, (d, site) in enumerate(zip(drafts, sites, strict=True)):
            z, g = (notes.get(f"{what} {d.z}") for what in "zg")
            if z is None or g is None or len(_units(g)) % site.groups:
                continue
            gives, felt = (np.asarray(_units(n).reshape(site.groups, -1).any(axis=1))
                           for n in (z, g))  # fmt: skip
            if site.head:
                found[site.groups] &= felt
            heard[i] = felt
            if site.groups > 1 and (felt & ~gives).any() and site.kernel.index:
                value = self.numpy(self.measured[site.kernel.name])
                rows = matrices(value, site.kernel.index())
                own = np.asarray(rows.reshape(len(rows), -1).any(axis=1))
                if len(own) == site.groups:
                    found[site.groups] &= own
                    heard[i] = felt & own
        chosen = [not d.contract.apart or site.chosen or d.routed  # as experts are
                  for d, site in zip(drafts, sites, strict=True)]  # fmt: skip
        made = [np.zeros(1, dtype=bool)] * len(sites)
        for i in reversed(range(len(sites))):
            parts = self._parts[i]
            after = [j for j, site in enumerate(sites)
                     if i in site.parents and site.groups == parts > 1]  # fmt: skip
            chosen[i] |= any(chosen[j] for j in after)
            made[i] = np.zeros(parts, dtype=bool) if chosen[i] else found[parts]
            if after:  # a gate of 0 lets nothing back, and opens
                read = np.any([heard[j] for j in after], axis=0)
                made[i] = read if chosen[i] else found[parts] & read
            if drafts[i].kernel.level:  # picked by the data, as w[i]: its groups are examples
                made[i] = np.zeros(parts, dtype=bool)
        return made

    def _row(
        self,
        d: Draft,
        site: Site,
        kernels: Mapping[str, Weight],
        notes: Notes,
        read: NDArray[np.bool_],
    ) -> dict[str, Any]:
        i = d.z
        weight = kernels[site.kernel.name]
        z, g = notes.get(f"z {i}"), notes.get(f"g {i}")
        notes = notes if z is None or g is None else {**notes, f"g {i}": {"n": z["n"], **g}}
        x2, x_share, x_steps = self._second(notes, f"x {i}")
        z2, z_share, _ = self._second(notes, f"z {i}")
        g2, _, g_steps = self._second(notes, f"g {i}")
        std = math.sqrt(self._second(notes, f"w {i}")[0]) if f"w {i}" in notes else weight.std
        std *= site.times * site.ahead
        for k in site.kernels:
            if k.after:
                std *= kernels[k.name].rms
        found = [note for note in (z, g) if note is not None]
        units, dead = [_units(note) for note in found], math.nan
        if g is not None and (g2 > 0 or z2 > 0) and g2 < math.inf:
            dead = _dead(g, site.kernel.layers, read)
        uneven = _uneven(units[0], site.groups) if units and d.contract.apart else 0.0
        zero = [part == 0 for part in units] if len(units) == 2 else [np.zeros(0, dtype=bool)] * 2
        silent = zero[0] & zero[1]
        pruned = silent & (not silent.all())  # equal, and yet not tied
        picked = d.kernel.level > 0
        distinct, among = _fewest(found, site.kernel.layers, len(read), pruned, picked)
        # Squares do not tell apart what signs do. Within, units of opposite signs do the same.
        told = site.head or (g2 == 0 < weight.gradient)  # or by another way, as in a derivative
        if told and 2 * distinct <= among:
            distinct, among = _fewest(found, 1, 1, pruned, False)
            distinct = max(distinct, self._parting(site, notes))
        return _EMPTY | {"uneven": uneven, "x2": x2, "z2": z2, "g2": g2,
                         "x_share": x_share, "z_share": z_share,
                         "dead": dead, "distinct": distinct, "among": among,
                         "shares": bool(np.all(notes.get(f"shares {i}", {"x": False})["x"])),
                         "std": std, "effect": weight.std**2 * float(weight.felt.sum()),
                         "x_steps": x_steps, "g_steps": g_steps, "opens": zero[0] & ~zero[1],
                         "silent": silent,
                         "stepped": self._stepped(site, notes),
                         "still": self._still(d, site, silent)}  # fmt: skip

    def _still(self, d: Draft, site: Site, silent: Array) -> bool:
        """Whether all units are silent at one place of a kernel's axis, as one expert's are."""
        alone = silent.all() and site.kernel.part is None  # then it is dead as a whole
        if not silent.any() or alone or site.kernel.index is None:
            return False
        at = site.kernel.index()
        units = at.reshape(math.prod(at.shape[:2]), -1)
        if len(units) != len(silent) or at.min() < 0:  # or another parameter makes a part of it
            return False
        if d.routed:  # a kernel that is not 0 read nothing: these examples choose other experts
            value = self.numpy(self.measured[site.kernel.name])
            silent = silent & ~matrices(value, at).any(axis=-1).ravel()
        axes = [*np.unravel_index(units, site.kernel.shape)]
        groups = d.contract.split
        axes += [np.arange(len(units))[:, None] * groups // len(units)] * (groups > 1)
        for places in axes:
            if (places == places[:, :1]).all():
                count, still = (np.bincount(places[:, 0], w) for w in (None, silent))
                if ((count >= WIDE) & (count == still)).any():
                    return True
        return False

    def _stepped(self, site: Site, notes: Notes) -> bool:
        """Whether a step makes the kernel, and no gradient passes it: but by its scale, if at all.

        Of a scale that is a length, a mean of sizes or the like, a unit's gradient is a sum of its
        weights, their signs and a constant; of one that is a largest weight or a quantile, it is
        that of one or two weights. Constant inputs alone give a constant one.
        """
        kernel, gradient = site.kernel, notes[f"weight {site.kernel.name}"].get("all", np.zeros(0))
        if not kernel.stepped or math.prod(gradient.shape) != math.prod(kernel.shape):
            return False
        at = kernel.index() if kernel.index else np.full((1, 1, 1), -1)
        if at.min() < 0 or at[0, 0].size < 2 * FORMS:
            at = np.arange(math.prod(kernel.shape)).reshape(1, 1, -1)
        if (count := at[0, 0].size) < 2 * FORMS:
            return False
        whole = self.numpy(self.measured[kernel.name])
        g, w = (matrices(v, at).reshape(-1, count) for v in (self.numpy(gradient), whole))
        told = np.argsort(-np.abs(g).max(axis=1))[:ROWS]
        g, w = g[told], w[told]
        forms = [w, np.sign(w), np.sign(w - w.mean(axis=1, keepdims=True)),
                 np.sign(w - whole.mean()), np.ones_like(w)]  # fmt: skip
        few = np.argsort(np.abs(g), axis=1)[:, :-2]  # without the two largest
        most = np.abs(g).max(axis=1, keepdims=True)
        made = np.stack([np.take_along_axis(form, few, axis=1) for form in forms], axis=2)
        rest, (q, _) = np.take_along_axis(g, few, axis=1), np.linalg.qr(made)
        rest = rest - (q @ (q.mT @ rest[..., None]))[..., 0]
        fits = (np.abs(rest) <= 1e-3 * most).all(axis=1)
        fits &= (np.ptp(g, axis=1) > 1e-3 * most[:, 0]) | (most[:, 0] == 0)
        sizes = (g == 0) | np.isclose(np.abs(g), most, rtol=1e-3)  # as of the mean of some
        ways = np.sign(g) * np.sign(w)
        sizes &= (ways >= 0).all(axis=1, keepdims=True) | (ways <= 0).all(axis=1, keepdims=True)
        return bool(sizes.all() or fits.all())

    def _parting(self, site: Site, notes: Notes) -> float:
        """How many units get different gradients: they part, though they may start as one."""
        kernel = site.kernel
        gradient = notes[f"weight {kernel.name}"].get("all", np.zeros(0))  # or nobody kept it
        at = kernel.index() if kernel.index else np.full((1, 1, 1), -1)
        if at.min() < 0 or math.prod(gradient.shape) <= at.max():
            return 0.0
        within = ROUNDED if gradient.dtype.itemsize > 2 else ROUNDED16
        rows = matrices(self.numpy(gradient), at)
        if site.units == rows.shape[1]:  # which the rows of a table share
            rows = rows.swapaxes(0, 1).reshape(site.units, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        # By one direction: of two rows that differ the same part is at random.
        ways = np.sort(rows @ np.random.default_rng(0).standard_normal(rows.shape[-1]))
        least = within * np.abs(rows).max() * math.sqrt(rows.shape[-1])
        return 1.0 + float((np.diff(ways) > least).sum()) if least > 0 else 0.0


_EMPTY = dict.fromkeys(("x2", "z2", "g2", "x_share", "z_share", "saturated", "peaked", "dead",
                        "distinct", "among", "std", "effect", "uneven", "still",
                        "stepped", "shares"), math.nan)  # fmt: skip


def together(notes: dict[str, Any], reader: Reader, calls: Mapping[int, list[int]]) -> None:
    """Notes of the calls that a loop ran step by step become those of one site, step by step."""
    kinds = [(i, kind) for i, (_, kind, _) in reader.roots.items()]
    for d in reader.drafts:
        each = calls.get(d.z, [d.z])
        for i in each:
            made = notes.get(f"z {i}")
            if made and f"g {i}" not in notes:  # no gradient came back
                notes[f"g {i}"] = {"n": made["n"], "x": np.zeros_like(made["x"])}
        for what in NOTES if len(each) > 1 else ():
            found = [notes[f"{what} {i}"] for i in each if f"{what} {i}" in notes]
            keys = [k for k in (found or [{}])[0] if all(k in note for note in found)]
            if keys:
                notes[f"{what} {d.z}"] = {k: _stacked([f[k] for f in found]) for k in keys}
        for i, kind in [kinds[p] for p in bits(d.x.roots)]:
            if kind == "state" and d.x.roots.bit_count() == 1 and f"x {d.z}" in notes:
                notes.setdefault(f"root {i}", notes[f"x {d.z}"])


def _stacked(parts: list[Any]) -> Any:
    """Notes of a loop's steps; where some steps have fewer examples, without blocks."""
    if len({part.shape for part in parts}) > 1:
        parts = [part.sum(axis=0, keepdims=True) for part in parts]
    return np.stack(parts)


def _steps(note: Note | None, key: str) -> Array:
    """The mean over a value's entries for each step of its loops; NaN where it was not run."""
    n = np.ravel(note["n"]).astype(np.float64) if note else np.zeros(1)
    if note is None or key not in note:
        return np.full(len(n), math.nan)
    sums = note[key].astype(np.float64).reshape(len(n), -1).sum(axis=1)
    n[n == 0] = math.nan
    return np.asarray(sums / n)


def _mean(steps: Array) -> float:
    """The mean over the steps that were reached."""
    reached = steps[~np.isnan(steps)]
    return float(reached.mean()) if len(reached) else math.nan


def _units(note: Note) -> Array:
    """The sum of squares of each unit."""
    sums = note["x"].astype(np.float64)
    return np.asarray(sums.reshape(-1, sums.shape[-1]).sum(axis=0))


def _dead(note: Note, layers: int, read: NDArray[np.bool_]) -> float:
    """The share of units to which nothing comes back.

    Of layers stacked in one kernel, and of wide groups whose outputs are felt, the most.
    """
    sums = note["x"].astype(np.float64)
    layers = layers if sums.ndim > 2 and len(sums) == layers else 1
    each = sums.reshape(layers, -1, sums.shape[-1]).sum(axis=1)
    share = (each <= SILENT * each.mean()).mean(axis=1).max()
    units, groups = sums.shape[-1], len(read)
    if read.any() and units >= WIDE * groups > WIDE and units % groups == 0:
        mute = (each == 0).reshape(layers, groups, -1)[:, read]  # others may be weak: `uneven`
        share = max(share, mute.mean(axis=2).max())
    return float(share)


def _uneven(units: Array, groups: int) -> float:
    """How far apart groups are that have kernels of their own, as members of an ensemble do."""
    if not len(units) >= WIDE * groups > WIDE or len(units) % groups:
        return 0.0
    sizes = units.reshape(groups, -1).mean(axis=1)
    if not 0 < sizes.max() < math.inf:
        return 0.0
    return math.log(sizes.max() / sizes[sizes > 0].min())  # what is 0 may open by itself


def _fewest(
    notes: Sequence[Note], layers: int, members: int, pruned: NDArray[np.bool_], picked: bool
) -> tuple[float, int]:
    """How many units differ, and of how many, where it is the least part.

    In one of the layers that are stacked in a kernel, and of the members that lie in it, if wide.
    Those of kernels that data pick are examples: narrow units differ if they do for any of them.
    """
    sums = [note["x"] for note in notes]
    layers = layers if all(m.ndim > 2 and len(m) == layers for m in sums) else 1
    layered = [m.reshape(layers, -1, m.shape[-1]) for m in sums]
    units = layered[0].shape[-1] if layered else 1
    narrow = units < WIDE * members or units % members
    if narrow and picked and units % members == 0:
        units //= members
        layered = [m.reshape(layers, -1, units) for m in layered]
    members = 1 if narrow else members
    pruned = pruned if len(pruned) == units else np.zeros(units, dtype=bool)
    found = []
    for layer in zip(*layered, strict=True):
        for own in np.split(np.arange(units), members):
            marks = [m for part in layer for m in part[:, own[~pruned[own]]]]
            if members * layers == 1 or any(0 < m.max(initial=0.0) < math.inf for m in marks):
                found.append((_distinct(marks) + float(pruned[own].sum()), len(own)))
    return min(found, key=lambda pair: pair[0] / pair[1], default=(math.nan, units))


def _distinct(marks: Sequence[Array]) -> float:
    """How many units differ in any of their sums, up to the roundings of float32."""
    wide = (np.asarray(m, np.float64) for m in marks)
    rows = np.array([m / m.max() for m in wide if 0 < m.max() < math.inf])
    if not len(rows):
        return 1.0 if marks else math.nan
    rows = rows[:, np.argsort(rows.sum(axis=0))]
    near = 1e-5 * np.maximum(rows[:, 1:], rows[:, :-1]) + 1e-12  # of squares: float32 has no less
    return 1.0 + float((np.abs(np.diff(rows, axis=1)) > near).any(axis=0).sum())
