"""One noted pass through a Keras model: what went into each layer, what came out, what fed what.

For the length of one stateless pass the `call` of every layer and operation is replaced by one that
also takes notes. Tensors are told apart by identity, so that the notes make a graph: Sequential,
functional, nested, shared-layer, multi-input and subclassed models are all read the same way, and
the model is left as it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from winit import activations
from winit.activations import Activation
from winit.kernels import Array, Kernel, keras, kernel_of

DATA = -1  # stands for the event that the model's inputs come from
OUTSIDE = "operations outside layers"

# Layers that run their inside in a loop of the backend's, where nothing can be noted.
LOOPS = (keras.layers.RNN, keras.layers.TimeDistributed)
# Elementwise layers and operations, by class name, beside those that `winit` knows.
OTHERS = ("activation", "celu", "exponential", "hardsigmoid", "hardsilu", "logsigmoid", "swish")
ELEMENTWISE = {name.replace("_", "") for name in activations.ACTIVATIONS}.union(OTHERS)
# Layers that move values without changing them.
CLEAN = ("Flatten", "Reshape", "Permute", "Identity", "ActivityRegularization")
# Where functions are compared: beyond the upper kink of ReLU6.
GRID = np.linspace(-6, 9, 301, dtype=np.float32)


@dataclass
class Event:
    """One call of one layer or operation, noted during the pass."""

    op: Any
    name: str
    parents: list[int | None]  # the events its inputs came from; None where no layer made them
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    place: int | None  # its place among the noted tensors, for layers with kernels
    training: bool = False  # what the layer itself was told
    phi: Activation | None = None  # an activation outside layers that acts on its result


class Pass:
    """Sends inputs through a model and notes every call."""

    def __init__(self, model: Any, training: bool) -> None:
        self.model, self.training = model, training
        self.ops = list(leaves(model))
        self.kernels = {id(op): kernels_in(op) for op in self.ops}
        self.events: list[Event] = []
        self.loose: list[tuple[int, int]] = []
        self.links: dict[int, tuple[list[int], list[str]]] = {}
        self.takes_training = "training" in inspect.signature(model.call).parameters

    def __call__(self, weights: Any, fixed: Any, x: Any, nudges: Any = None) -> Any:
        """Outputs, and for each call of a layer with kernels its input and its z.

        `nudges` are added to the z's: zeros whose gradient is the gradient at z.
        """
        self.events, self.loose, alive = [], [], tensors_in(x)
        pairs: list[Any] = []  # a result, and what next came in from outside layers
        last: list[Any] = [None]
        producer: dict[int, int] = {id(tensor): DATA for tensor in alive}
        inputs: list[Any] = []
        zs: list[Any] = []

        def noted(op: Any, original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                tensors = tensors_in((args, kwargs))
                place: int | None = None
                if tensors and self.kernels[id(op)]:
                    out, place = measured(op, original, args, kwargs, tensors[0])
                else:
                    out = original(*args, **kwargs)
                results = tensors_in(out)
                if not results or any(results[0] is tensor for tensor in tensors):
                    return out
                parents = [producer.get(id(tensor)) for tensor in tensors]
                if parents and parents[0] is None and last[0] is not None:
                    self.loose.append((len(self.events) - 1, len(self.events)))
                    pairs.extend((last[0], tensors[0]))
                last[0] = results[0]
                shapes = (tuple(tensors[0].shape) if tensors else (), tuple(results[0].shape))
                producer.update({id(result): len(self.events) for result in results})
                alive.extend(tensors + results)  # an id is only good while its tensor lives
                self.events.append(
                    Event(
                        op,
                        _name(op, self.model, self.events),
                        parents,
                        shapes,
                        place,
                        bool(kwargs.get("training")),
                    )
                )
                return out

            return call

        def measured(
            op: Any, original: Callable[..., Any], args: Any, kwargs: Any, x: Any
        ) -> tuple[Any, int]:
            places: list[int] = []

            def note(z: Any) -> Any:
                if places:  # a layer may use its activation twice
                    return z
                places.append(len(zs))
                z = z if nudges is None else z + nudges[len(zs)]
                inputs.append(x)
                zs.append(z)
                return z

            fused = None if isinstance(op, LOOPS) else op.__dict__.get("activation")
            if fused is not None:
                op.__dict__["activation"] = lambda z: fused(note(z))
            try:
                out = original(*args, **kwargs)
            finally:
                if fused is not None:
                    op.__dict__["activation"] = fused
            if not places:
                first = tensors_in(out)[0]
                z = note(first)
                out = keras.tree.map_structure(lambda t: z if t is first else t, out)
            return out, places[0]

        replaced = [(op, op.__dict__.get("call")) for op in self.ops]
        try:
            for op, _ in replaced:
                op.__dict__["call"] = noted(op, op.call)
            keywords = {"training": self.training} if self.takes_training else {}
            outputs, _ = self.model.stateless_call(weights, fixed, x, **keywords)
        finally:
            for op, own in replaced:
                op.__dict__.pop("call", None)
                if own is not None:
                    op.__dict__["call"] = own
        return outputs, inputs + pairs, zs

    # The graph that the events make.

    def sources(self, i: int) -> tuple[list[int], list[str]]:
        """The calls with kernels whose results make event i's input, and what lies between."""
        found: set[int] = set()
        between: list[str] = []
        stack = self.events[i].parents[:1]
        visited: set[int | None] = {DATA}
        while stack:
            j = stack.pop()
            if j in visited:
                continue
            visited.add(j)
            if j is None:
                between.append(OUTSIDE)
            elif self.events[j].place is not None:
                found.add(j)
            else:
                between.append(type(self.events[j].op).__name__)
                stack += self.events[j].parents
        before = [j for j in self.calls if j < i]
        if not found and OUTSIDE in between:
            if before:
                found = {before[-1]}  # the order of the calls is all that is left to go by
            else:
                between.remove(OUTSIDE)  # data, which the model copied on its way in
        return sorted(found), between

    def read(self, inputs: list[Array] | None = None, zs: list[Array] | None = None) -> bool:
        """Link the calls; returns False where a link is made by operations outside layers.

        ``keras.ops.relu(self.dense(x))`` leaves no event, but with the noted values its work shows.
        """
        if inputs is not None and zs is not None:
            pairs = inputs[len(zs) :]
            for k, (a, b) in enumerate(self.loose):
                z, x = pairs[2 * k], pairs[2 * k + 1]
                found = _match(z.ravel(), x.ravel()) if z.shape == x.shape else None
                if found is not None:
                    self.events[a].phi, self.events[b].parents[0] = found, a
        self.links = {i: self.sources(i) for i in self.calls}
        return not any(OUTSIDE in between for _, between in self.links.values())

    @property
    def calls(self) -> list[int]:
        """The events of layers with kernels."""
        return [i for i, event in enumerate(self.events) if event.place is not None]

    def after(self, i: int) -> Iterator[Event]:
        """The events that event i's result reaches before another kernel, nearest first."""
        reached, queue = {i}, [i]
        while queue:
            now = queue.pop(0)
            for j in range(now + 1, len(self.events)):
                if now in self.events[j].parents and j not in reached:
                    reached.add(j)
                    yield self.events[j]
                    if self.events[j].place is None:
                        queue.append(j)

    def activation(self, i: int) -> tuple[Activation, bool]:
        """The activation that follows event i, and whether it acts on the very result.

        An output's softmax or sigmoid counts as linear.
        """
        event, followers = self.events[i], list(self.after(i))
        last = not any(follower.place is not None for follower in followers)
        op = event.op.layer if isinstance(event.op, keras.layers.TimeDistributed) else event.op
        fused = None if isinstance(op, keras.layers.RNN) else getattr(op, "activation", None)
        found = event.phi
        if found is None and fused is not None:
            found = identify(fused, getattr(fused, "__name__", ""))
        direct = True
        if found is None or found is activations.linear:
            for follower in followers:
                found = None
                if follower.place is None:
                    found = _activation_of(follower.op) or follower.phi
                if found is not None:
                    break
                direct = direct and type(follower.op).__name__ in CLEAN
        if found is None or (last and found is activations.sigmoid):
            return activations.linear, False
        return found, direct

    def joins(self, i: int) -> bool:
        """Whether event i's result is added to another before the next kernel."""
        return any(len(event.parents) > 1 and event.place is None for event in self.after(i))

    def normaliser(self, i: int) -> Any:
        """The normalisation that takes the scale of event i's result away, or None."""
        for event in self.after(i):
            kind = type(event.op).__name__
            if "Normalization" in kind:
                live = event.training and event.op.trainable
                return event.op if live or "BatchNormalization" not in kind else None
            if event.place is not None or len(event.parents) > 1:
                return None
        return None


def leaves(op: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Every layer and operation that does work of its own, each once."""
    seen = set() if seen is None else seen
    if id(op) in seen:
        return
    seen.add(id(op))
    if isinstance(op, keras.layers.InputLayer):
        return
    if isinstance(op, keras.Sequential):
        children = op.layers
    elif hasattr(op, "operations"):
        children = op.operations
    elif isinstance(op, keras.Layer) and not isinstance(op, LOOPS):
        children = list(op._flatten_layers(recursive=False, include_self=False))
    else:
        children = []
    if not children or kernels_in(op, inside=False):
        yield op
    for child in children:
        yield from leaves(child, seen)


def kernels_in(op: Any, inside: bool = True) -> list[tuple[Any, Kernel]]:
    """The kernels of a layer; for one that loops, those of the layers within."""
    if not isinstance(op, keras.Layer):
        return []
    layers = op._flatten_layers() if inside and isinstance(op, LOOPS) else [op]
    variables = [(layer, variable) for layer in layers for variable in layer._trainable_variables]
    variables += [(layer, v) for layer in layers for v in layer._non_trainable_variables]
    found = [(v, kernel_of(layer, v.name, v.shape)) for layer, v in variables]
    return [(v, kernel) for v, kernel in found if kernel is not None]


def tensors_in(structure: Any) -> list[Any]:
    """The floating or integer tensors in a structure."""
    flat = keras.tree.flatten(structure)
    return [t for t in flat if keras.ops.is_tensor(t) and len(getattr(t, "shape", ())) > 0]


def _name(op: Any, model: Any, events: list[Event]) -> str:
    """The layer's path in the model, with the number of the call when it is called again."""
    calls = sum(event.op is op for event in events)
    name = str(getattr(op, "path", "") or op.name).removeprefix(f"{model.name}/")
    return f"{name} (call {calls + 1})" if calls else name


def _match(z: Array, a: Array) -> Activation | None:
    """The activation that turned z into a, if `winit` has it."""
    allowed = 1e-4 * float(np.abs(a).max())
    below = z < 0
    slope = float(np.median(a[below] / z[below])) if below.any() else 1.0
    slope = 0.0 if abs(slope) < 1e-6 else round(slope, 5)
    known = [*activations.ACTIVATIONS.values(), activations.leaky_relu(slope)]
    for phi in known:
        if np.abs(phi(z.astype(np.float64)) - a).max() <= allowed:
            return phi
    return None


def identify(function: Any, name: str) -> Activation:
    """The `winit` activation that a Keras function is, or one made from it."""
    name = name or getattr(function, "name", type(function).__name__)
    if "softmax" in name.lower():
        return activations.linear

    def in_numpy(z: Array) -> Array:
        flat = keras.ops.convert_to_tensor(np.asarray(z, dtype=np.float32).reshape(1, -1))
        values: Array = keras.ops.convert_to_numpy(function(flat))
        return values.reshape(np.shape(z)).astype(np.float64)

    found = _match(GRID, in_numpy(GRID))
    # The derivative of float32 values needs a wider step than `activations.get` takes.
    return found or Activation(
        name, in_numpy, lambda z: (in_numpy(z + 1e-2) - in_numpy(z - 1e-2)) / 2e-2
    )


def _activation_of(op: Any) -> Activation | None:
    """The activation that a layer or operation is; None where it is none."""
    kind = type(op).__name__.lower()
    if "softmax" in kind:
        return activations.linear
    if kind == "prelu":
        slope = float(np.mean(keras.ops.convert_to_numpy(op.alpha)))
        return activations.leaky_relu(slope) if slope else activations.relu
    if kind == "lambda":
        try:
            known = identify(op.call, "lambda")
        except Exception:  # one that is not elementwise may refuse the grid
            return None
        return None if known.name in ("lambda", "linear") else known
    if kind not in ELEMENTWISE:
        return None
    if kind == "activation":
        return identify(op.activation, getattr(op.activation, "__name__", ""))
    return identify(op.call, kind)


def kernels_of(model: Any) -> dict[int, Kernel]:
    """The geometry of every kernel of a model, by the variable's id; embeddings are none."""
    require_model(model)
    found: dict[int, Kernel] = {}
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.Embedding):
            found |= {id(variable): kernel for variable, kernel in kernels_in(layer, inside=False)}
    return found


def require_model(model: Any) -> None:
    """Refuse what is no built Keras model."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {type(model).__name__}")
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        raise ValueError(
            f"{model.name} is not built, so it has no weights yet: call it on data, or give it an "
            "Input"
        )
