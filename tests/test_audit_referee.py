"""The audit against the referee: every start's numbers, verdict, cure and redraw; every rule.

The referee and its list of starts share no code with `winit`. A selection runs in `make test`, the
others in `make test-long`, but for those of full size, which `make starts` runs (20 minutes).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import referee
import starts
from trials import compare, places_of, word

import winit.jax
from winit import judge, redraw
from winit.program import Measured

# Quick to compile; among them are each verdict and framework.
QUICK = (
    "simple_rnn",
    "relu_output_dead",
    "tabular_offset",  # inputs unscaled
    "mixed_float16_overflow",  # exploding
    "scan_stack_gain_2",
    "expert_by_index",
    "stopped_encoder",
    "nnx_tanh_std_3",  # saturated
    "nnx_weight_norm",
    "eqx_sigmoid_12",  # collapsed
    "eqx_mlp_head",  # first loss far too high
    "sigmoid_zeros",  # symmetric
    "reads_again",  # shrinking, by its gradient
)


def reads_again(seed: int) -> starts.Case:
    """Sigmoid layers that read x beside the layer before: what varies stays, the gradient fades."""
    new = starts.draw(seed)
    params = {f"w{k}": new(1 / 8, 64 if k == 0 else 128, 64) for k in range(8)}
    params["head"] = new(1 / 8, 64, 10)

    def f(p: Any, x: Any) -> Any:
        h = jax.nn.sigmoid(x @ p["w0"])
        for k in range(1, 8):
            h = jax.nn.sigmoid(jnp.concatenate([h, x], axis=1) @ p[f"w{k}"])
        return h @ p["head"]

    return starts.classify(f, starts.normal(seed, 32, 64), params=params)


def low_rank_of_zeros(seed: int) -> starts.Case:
    """A sound network, to one kernel of which a product is added whose two factors are both 0."""
    new = starts.draw(seed)
    params = {
        "first": new(2 / 16, 16, 64),
        "w": new(2 / 64, 64, 64),
        "head": new(0.01 / 64, 64, 10),
    }
    params |= {"a": np.zeros((64, 4), np.float32), "b": np.zeros((4, 64), np.float32)}

    def f(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["first"])
        return jax.nn.relu(h @ (p["w"] + p["a"] @ p["b"])) @ p["head"]

    return starts.classify(f, starts.normal(seed, 32, 16), params=params)


def argmax_between(seed: int) -> starts.Case:
    """A kernel that reads which unit of the one before is the largest, and nothing else of it."""
    new = starts.draw(seed)
    params = {"first": new(1 / 16, 16, 64), "head": new(0.01 / 64, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        return jax.nn.one_hot(jnp.argmax(x @ p["first"], axis=1), 64) @ p["head"]

    return starts.classify(f, starts.normal(seed, 32, 16), params=params)


def rounded_weights(seed: int, through: Any = jnp.round) -> starts.Case:
    """The weights of a sound network, rounded to 1/16, whose rounding lets no gradient through."""
    new = starts.draw(seed)
    params = {"w0": new(1 / 16, 16, 64), "w1": new(2 / 64, 64, 64), "head": new(1 / 64, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        q = {name: through(16 * w) / 16 for name, w in p.items()}
        return jax.nn.relu(jax.nn.relu(x @ q["w0"]) @ q["w1"]) @ q["head"]

    return starts.classify(f, starts.normal(seed, 32, 16), params=params)


def stopped_weights(seed: int) -> starts.Case:
    """A sound network whose gradients are all stopped."""
    return rounded_weights(seed, jax.lax.stop_gradient)


def equal_copies(seed: int) -> starts.Case:
    """The mean of two networks that start as copies of one."""
    new = starts.draw(seed)
    first, last = new(2 / 16, 16, 64), new(0.01 / 64, 64, 10)
    params = {f"{name}{i}": a for i in range(2) for name, a in (("first", first), ("last", last))}

    def f(p: Any, x: Any) -> Any:
        return sum(jax.nn.relu(x @ p[f"first{i}"]) @ p[f"last{i}"] for i in range(2)) / 2

    return starts.classify(f, starts.normal(seed, 32, 16), params=params)


def one_member_fades(seed: int) -> starts.Case:
    """The mean of four networks in one array, of which one has kernels a twentieth as large."""
    new = starts.draw(seed)
    sizes = np.array([1, 1, 0.05, 1], np.float32)[:, None, None]
    params = {f"w{k}": sizes * np.stack([new(1 / 4, 32, 32) for _ in sizes]) for k in range(8)}
    params["head"] = np.stack([new(0.01 / 32, 32, 10) for _ in sizes])

    def member(p: Any, x: Any) -> Any:
        for k in range(8):
            x = jax.nn.relu(x @ p[f"w{k}"])
        return x @ p["head"]

    def f(p: Any, x: Any) -> Any:
        return jax.vmap(member, (0, None))(p, x).mean(axis=0)

    return starts.classify(f, starts.normal(seed, 32, 32), params=params)


def equal_tokens(seed: int) -> starts.Case:
    """Four learned tokens that start equal, beside four of the data, and what all of them ask."""
    new = starts.draw(seed)
    params = {n: new(1 / 32, 32, 32) for n in ("asks", "keys", "values", "out")}
    params |= {"tokens": np.full((4, 32), 0.5, np.float32), "head": new(0.01 / 32, 32, 10)}

    def f(p: Any, x: Any) -> Any:
        learned = jnp.broadcast_to(p["tokens"], (len(x), 4, 32))
        x = jnp.concatenate([x.reshape(len(x), 4, 32), learned], axis=1)
        scores = (x @ p["asks"]) @ (x @ p["keys"]).swapaxes(-1, -2) / np.sqrt(32)
        read = x + jax.nn.softmax(scores) @ (x @ p["values"]) @ p["out"]
        return jax.nn.relu(read).mean(axis=1) @ p["head"]

    return starts.classify(f, starts.normal(seed, 32, 128), params=params)


def off_center(seed: int) -> starts.Case:
    """Columns near 1, as of prices over yesterday's."""
    new = starts.draw(seed)
    params = {"w0": new(1 / 32, 32, 64), "w1": new(2 / 64, 64, 64), "head": new(0.01 / 64, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(jax.nn.relu(x @ p["w0"]) @ p["w1"]) @ p["head"]

    return starts.classify(f, 1 + 0.07 * starts.normal(seed, 32, 32), params=params)


def cold_outputs(seed: int) -> starts.Case:
    """Directions that are compared with those of the classes, at a temperature of 260."""
    new = starts.draw(seed)
    params = {"w0": new(1 / 4, 16, 64), "w1": new(1 / 6, 64, 32), "classes": new(1 / 6, 32, 10)}
    params["scale"] = np.array(-np.log(260), np.float32)

    def unit(a: Any, axis: int) -> Any:
        return a / jnp.sqrt(jnp.sum(a**2, axis=axis, keepdims=True))

    def f(p: Any, x: Any) -> Any:
        z = jax.nn.relu(x @ p["w0"]) @ p["w1"]
        return unit(z, 1) @ unit(p["classes"], 0) * jnp.exp(p["scale"])

    return starts.classify(f, starts.normal(seed, 32, 16), params=params)


# Kinds that the list does not have. No signal fades with the gradient...
AGAIN = starts.Start(
    *("reads_again", "jax", "here", reads_again, "shrinking", "a fifteenth a layer"),
    curable=False,
)
# ...and nothing is dead but a part, which the referee, who asks for units, does not see.
NEVER = starts.Start(
    *(
        "low_rank_of_zeros",
        "jax",
        "here",
        low_rank_of_zeros,
        "dead",
        "neither gets a gradient",
    ),
    blame=("a", "b"),
    curable=True,
)
# Nor does the referee ask for what a gradient cannot reach.
SEVERED = starts.Start(
    *("argmax_between", "jax", "here", argmax_between, "dead", "no gradient passes the argmax"),
    blame=("first",),
    curable=False,
)
ROUNDED = starts.Start(
    *("rounded_weights", "jax", "here", rounded_weights, "dead", "no gradient passes a rounding"),
    blame=("w0", "w1", "head"),
    curable=False,
)
STOPPED = starts.Start(
    *("stopped_weights", "jax", "here", stopped_weights, "dead", "the model stops all gradients"),
    curable=False,
)
# It looks for copies within a layer, not beside it.
COPIES = starts.Start(
    *("equal_copies", "jax", "here", equal_copies, "symmetric", "two copies are averaged"),
    blame=("first0", "last0", "first1", "last1"),
)
# To the referee, too, the four are one.
MEMBER = starts.Start(
    *("one_member_fades", "jax", "here", one_member_fades, "shrinking", "one of four fades"),
    blame=tuple(f"w{k}" for k in range(8)),
)
# What is no kernel the referee does not look at.
TOKENS = starts.Start(
    *("equal_tokens", "jax", "here", equal_tokens, "symmetric", "equal learned tokens"),
    blame=("tokens",),
)
# It asks how large data are, and not how much of them is a mean.
CENTER = starts.Start(
    *("off_center", "jax", "here", off_center, "inputs unscaled", "a mean hides the differences"),
    curable=False,
)
# Nor how much all of them do, if none does less than others.
COLD = starts.Start(
    *("cold_outputs", "jax", "here", cold_outputs, "shrinking", "next to nothing moves"),
    blame=("scale",),
)
UNSEEN = {s.name: s for s in (NEVER, SEVERED, ROUNDED, STOPPED, COPIES, MEMBER, TOKENS, CENTER,
                              COLD)}  # fmt: skip
STARTS = {s.name: s for s in (*starts.STARTS, AGAIN)}

pytestmark = [
    # What `referee.from_nnx` calls is to go in a later Flax.
    pytest.mark.filterwarnings("ignore:.*flax.nnx.State.*:DeprecationWarning"),
    # keras-hub's T5 says it of itself.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning"),
]


class Trial:
    """A start with the audit's and the referee's program of it: each is compiled once."""

    def __init__(self, start: starts.Start) -> None:
        self.start, self.case = start, start.build(0)
        self.f, params = starts.function_of(self.case)
        self.params = {name: jnp.asarray(array) for name, array in params.items()}
        x, y, self.loss = self.case.x, self.case.y, self.case.loss
        loss = None if self.loss is None else lambda o, y: referee.scalar(o, y, self.loss, 0)
        y = None if self.loss is None else y
        self.subject = winit.jax.Function(self.f, self.params, x, y, loss, None, 0)

    @functools.cached_property
    def theirs(self) -> referee.Program:
        x = referee.arrays(self.case.x)
        return referee.Program(self.f, self.params, x, self.case.y, self.loss, 0)

    def referees(self, params: Any = None, x: Any = None) -> tuple[str, referee.Measurement]:
        """The referee's word, and what it measured."""
        params, x = params or self.params, self.case.x if x is None else x
        given, rest = (params, x), (self.case.y, self.loss)
        m = referee.measure(self.f, *given, *rest, program=self.theirs)
        after_opening = functools.partial(referee.opened, self.theirs, *given, *rest)
        return referee.verdict(m, after_opening).word, m

    def measured(self) -> Measured:
        """The audit's numbers; without a loss, of the direction that the referee sends back."""
        if self.loss is None:
            self.subject.prepare()
            x = referee.arrays(self.case.x)
            outs = [o for o in jax.tree.leaves(self.theirs(self.params, x)["out"])
                    if referee.is_float(o)]  # fmt: skip
            # The audit divides each output by its norm.
            self.subject.directions = [
                (referee.cotangent(o.shape, 0, k) * np.linalg.norm(o.astype(float))).astype(o.dtype)
                for k, o in enumerate(map(np.asarray, outs))
            ]
        return self.subject.measure()

    def rounded(self, seed: int) -> Measured:
        """The audit's numbers with each number of the kernels at one of the two next to it."""
        rng, arrays = np.random.default_rng(seed), self.subject.arrays
        kernels = {k.name: np.asarray(arrays[k.name])
                   for site in self.subject.program.sites for k in site.kernels}  # fmt: skip
        ends = {n: np.where(rng.random(w.shape) < 0.5, -np.inf, np.inf) for n, w in kernels.items()}
        return self.subject.measure(
            values={n: np.nextafter(w, ends[n].astype(w.dtype)) for n, w in kernels.items()}
        )

    @functools.cached_property
    def audit(self) -> tuple[Any, judge.Change | None]:
        return judge.examine(self.subject)


def _tier(start: starts.Start) -> list[Any]:
    tier = [] if start.name in QUICK else [pytest.mark.long]
    return [*tier, pytest.mark.slow] if start.slow else tier


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=_tier(start)) for name, start in STARTS.items()],
)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    yield Trial(STARTS[request.param])
    if list(STARTS).index(request.param) % 10 == 0:  # the whole list would fill the memory
        jax.clear_caches()


def standardized(x: Any) -> Any:
    if not np.issubdtype(x.dtype, np.floating):
        return x
    return ((x - x.mean()) / (x.std() or 1.0)).astype(x.dtype)


def cured(trial: Trial, change: judge.Change) -> tuple[dict[str, Any], Any]:
    """Parameters and inputs after what a cure changes."""
    params, x = dict(trial.params), trial.case.x
    for name, factor in change.scales.items():
        wide = np.asarray(params[name], np.float64) * factor
        params[name] = jnp.asarray(wide.astype(params[name].dtype))
    for name, value in change.values.items():
        params[name] = jnp.asarray(np.asarray(value).astype(params[name].dtype))
    return params, jax.tree.map(standardized, x) if change.standardized else x


def test_the_verdict_is_the_referees(trial: Trial) -> None:
    report, _ = trial.audit
    assert word(report) == trial.referees()[0] == trial.start.verdict


def test_the_cure_makes_the_referee_agree(trial: Trial) -> None:
    report, change = trial.audit
    assert change is not None or not trial.start.curable
    if change is not None:
        assert trial.referees(*cured(trial, change))[0] == "good"
    elif report.findings:
        assert "no redraw cures this: " in report.findings[0].cure


def test_the_numbers_are_the_referees(trial: Trial) -> None:
    program, ours, (_, theirs) = trial.subject.program, trial.measured(), trial.referees()
    sites, places = defaultdict(list), places_of(theirs)
    for i, site in enumerate(program.sites):
        key = tuple(sorted(kernel.name for kernel in site.kernels))
        sites[key].append(i)
    for key, indices in sites.items():  # of branches, those that are taken
        run = [i for i in indices if not np.isnan(ours.z2[i])]
        sites[key] = run if run or key not in places else indices
    taken = {key: indices for key, indices in sites.items() if indices}
    narrow = any(a.dtype.itemsize < 4 for a in trial.params.values()) or "16" in trial.start.name
    # Two programs of those of full size differ by up to 6e-6 in float32, and by 4e-16 in float64:
    # what roundings do to these is measured.
    nudged = [trial.rounded(seed) for seed in range(3)] if trial.start.slow else []
    compare(program, ours, theirs, taken, narrow, nudged)


def test_reinitialize_makes_the_start_sound(trial: Trial) -> None:
    """Last, since it changes the subject's parameters."""
    redraw.reinitialize(trial.subject, rng=0)
    ok = judge.judge(trial.subject, cures=False).ok
    assert ok == (trial.referees(dict(trial.subject.arrays))[0] == "good")
    assert ok or trial.start.curable is False


# ------------------------------------------------------------------ every rule, every threshold

# A start that each rule alone calls what it is.
RULED = {
    "not_finite": "mixed_float16_overflow",
    "unscaled": "tabular_1e3",
    "uncentered": "off_center",
    "dead": "eqx_conv_dead",
    "stuck": "low_rank_of_zeros",
    "severed": "argmax_between",
    "rounded": "rounded_weights",
    "idle": "stopped_weights",
    "tied": "equal_tokens",
    "symmetric": "convolution_ones",
    "inseparable": "equal_copies",
    "saturated": "simple_rnn_ten_times",
    "collapsed": "eqx_mlp_24",
    "grows": "scan_stack_gain_4",
    "fades": "standardized_gain_1",
    "uneven": "one_member_fades",
    "first_loss": "nnx_tied_std_1",
    "starves": "reads_again",
    "bursts": "siren_without_30",
    "numb": "cold_outputs",
}
# A start whose verdict turns with four times a threshold, or a quarter of it.
NEAR = {
    ("BOUND", 0.25): "eqx_mlp_2",
    ("SPREADS", 4.0): "standardized_gain_1",
    ("LOSS", 4.0): "nnx_tied_std_1",
    ("LOSS", 0.25): "jax_relu_gain_2",
    ("SATURATED", 4.0): "simple_rnn_ten_times",
    ("SATURATED", 0.25): "sigmoid_10_deep_gain",
    ("MOSTLY", 4.0): "eqx_conv_dead",
    ("MOSTLY", 0.25): "jax_relu_gain_2",
    ("ALIKE", 4.0): "batchnorm_12",
    ("VARIES", 0.25): "off_center",
    ("FELT", 0.25): "cold_outputs",
}
# Where a factor of 4 turns none, and why no start lies so near: what is broken is so by a power of
# the depth, what is sound is so by theory.
SIGNAL = "broken starts move E x² by 4,000 and more"
CHANCE = "sound starts of these widths stay within BOUND, below which chance is not asked"
GRADIENT = "the first kernels of sound starts have 1/1,500 and more, of broken ones 1e-8 and less"
NORMALIZED = "batch normalization of 12 layers makes 260, of 50 layers 1e9"
ALL_ALIKE = "sound starts keep 2e-4 and more, broken ones 1e-13 and less"
TIED = "units that are tied are tied all of them: 1 of 16 or more differs"
ROWS = "fresh attentions have next to no such rows; those of N(0, 1) have six in ten and more"
SCALE = "data are standardized, or in units that are off by hundreds in rms"
MOVED = "redrawing one kernel of a sound start of classes changes 3e-4 of the loss and more"
CENTERED = "of the data of all sound starts nearly all varies"
FREE = {
    ("BOUND", 4.0): SIGNAL,
    ("SPREADS", 0.25): CHANCE,
    **dict.fromkeys([("STEEP", 4.0), ("STEEP", 0.25)], GRADIENT),
    **dict.fromkeys([("STEEP_NORMALIZED", 4.0), ("STEEP_NORMALIZED", 0.25)], NORMALIZED),
    **dict.fromkeys([("COLLAPSED", 4.0), ("COLLAPSED", 0.25)], ALL_ALIKE),
    ("ALIKE", 0.25): TIED,
    **dict.fromkeys([("LOW", 4.0), ("LOW", 0.25), ("HIGH", 4.0), ("HIGH", 0.25)], SCALE),
    ("VARIES", 4.0): CENTERED,
    **dict.fromkeys([("PEAKED", 4.0), ("PEAKED", 0.25)], ROWS),
    ("FELT", 4.0): MOVED,
}


@functools.cache
def measured(name: str) -> judge.Case:
    return judge.start(Trial({**STARTS, **UNSEEN}[name]).subject)


def verdict(name: str) -> str:
    found = judge.fault(measured(name))
    return "good" if found is None else found.verdict


@pytest.mark.long
@pytest.mark.parametrize("rule", judge.RULES, ids=lambda rule: rule.find.__name__)
def test_no_rule_can_be_spared(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = RULED[rule.find.__name__]
    before = verdict(name)
    monkeypatch.setattr(judge, "RULES", tuple(r for r in judge.RULES if r is not rule))
    assert verdict(name) != before == rule.verdict


def test_every_threshold_is_tried_both_ways() -> None:
    thresholds = {n for n, value in vars(judge).items() if n.isupper() and type(value) is float}
    # They blame, open or note, and turn no verdict.
    thresholds -= {"NEAR", "HEAD", "HANIN", "STRAIGHT", "OPENED", "PARTLY", "CROSSED", "EQUAL"}
    assert {(n, factor) for n in thresholds for factor in (4.0, 0.25)} == NEAR.keys() | FREE.keys()


@pytest.mark.long
@pytest.mark.parametrize(("threshold", "factor"), NEAR)
def test_every_threshold_counts(
    threshold: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = NEAR[threshold, factor]
    before = verdict(name)
    assert before == {**STARTS, **UNSEEN}[name].verdict
    monkeypatch.setattr(judge, threshold, factor * getattr(judge, threshold))
    assert verdict(name) != before
