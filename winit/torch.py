"""PyTorch: schemes in the manner of `torch.nn.init`, with the fans of the operation.

``winit.torch.he_normal_(layer)`` draws in place. A model is read by what it computes, not by its
layers: see `winit.reader`; the schemes alone must know layers, since they draw before it is run.
"""

from __future__ import annotations

import copy
import inspect
import math
import random
import re
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass, replace
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from winit import _checks, initializers, reader, redraw, subject
from winit._checks import RNG
from winit.program import Array, Elementwise, Measured, Program
from winit.reader import Contract, Draft, Op, Reader, Value
from winit.subject import NOTES, ROUNDED, SHARES, same_rows, together
from winit.subject import Subject as Base

try:
    import torch
    import torch.utils.checkpoint
    from torch import Tensor, nn
    from torch.distributions import Distribution
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.utils.parametrizations import _SpectralNorm
    from torch.nn.utils.parametrize import ParametrizationList
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_flatten, tree_unflatten
    from torch.utils.weak import TensorWeakRef, WeakTensorKeyDictionary
except ModuleNotFoundError as error:
    reason = "winit.torch needs PyTorch: https://pytorch.org/get-started shows how to install it"
    raise ImportError(reason) from error

if TYPE_CHECKING:
    from winit.report import Audit

# ------------------------------------------------------------------ schemes, in place

Weight = TypeVar("Weight", Tensor, nn.Module)
Said = TypeVar("Said")
Generator: TypeAlias = "torch.Generator | None"
# Of the examples in a tensor: their axis, and how many entries of it follow each other in one.
Place: TypeAlias = tuple[int, int]
# The kernels of PyTorch's own layers, by name.
KERNELS = r"weight|in_proj_weight|[qkv]_proj_weight|weight_(ih|hh|hr)(_l\d+(_reverse)?)?"
DEFAULTS: dict[str, Any] = {"groups": 1, "stride": 1, "transposed": False, "blocks": 1}


class Scheme(Protocol):
    """Draws a tensor, or the kernels of a module, in place and returns it.

    Parameters
    ----------
    weight : Tensor or Module
        A tensor, as ``(outputs, inputs, *window)`` if no more is said; or one of PyTorch's
        layers, or a module made of them: they know their layouts. Biases and normalization stay.
    generator : torch.Generator, optional
        Without one, PyTorch's global one, as in `torch.nn.init`.
    groups, stride : of a convolution
    transposed : bool
        The tensor is ``(inputs, outputs, *window)``: a transposed convolution's, or of `x @ w`.
    blocks : int
        Matrices packed along the outputs: queries, keys and values, the gates of an LSTM.
    options : those of the scheme of the same name in `winit`

    Raises
    ------
    ValueError, TypeError
        An option out of range, a layout that does not fit, weights that the dtype cannot hold, a
        parameter whose use is not known or that has two. Nothing is drawn then.
    """

    def __call__(
        self,
        weight: Weight,
        *,
        generator: Generator = None,
        groups: int = 1,
        stride: int | Sequence[int] = 1,
        transposed: bool = False,
        blocks: int = 1,
        **options: Any,
    ) -> Weight:
        """Draw."""


class _Kernel(NamedTuple):
    """A tensor in its layout."""

    name: str
    tensor: Tensor
    places: Tensor  # a view of it: (groups, blocks, outputs, inputs, *window)
    fans: tuple[float, float]
    zero_row: int | None = None  # of an embedding that pads


def _kernel(name: str, tensor: Tensor, layout: dict[str, Any]) -> _Kernel:
    """A tensor in its layout, checked."""
    if nn.parameter.is_lazy(tensor):
        raise ValueError(f"{name} has no shape yet: call the module once with data")
    if not tensor.is_floating_point() or tensor.itemsize < 2 or tensor.layout != torch.strided:
        raise TypeError(f"{name} must hold floating numbers, got {tensor.dtype}, {tensor.layout}")
    shape = _checks.shape(tuple(tensor.shape), at_least=2)
    groups, blocks = (_checks.size(layout[key], key) for key in ("groups", "blocks"))
    turned, stride = _checks.flag(layout["transposed"], "transposed"), layout["stride"]
    split = (groups, blocks) if turned else (groups * blocks, 1)
    if shape[0] % split[0] or shape[1] % split[1]:
        raise ValueError(f"{name} of shape {shape} does not divide into {groups=} and {blocks=}")
    if turned:
        places = tensor.view(groups, -1, blocks, shape[1] // blocks, *shape[2:]).movedim(1, 3)
    else:
        places = tensor.view(groups, blocks, -1, *shape[1:])
    each = _checks.entries(stride, _checks.MOST_AXES) or [stride] * (len(shape) - 2)
    if len(each) != len(shape) - 2:
        raise ValueError(f"stride must have {len(shape) - 2} entries, got {_checks.shown(stride)}")
    steps = math.prod(_checks.size(step, "stride") for step in each)
    fan_in, fan_out = initializers.fans(places.shape[2:])
    fans = fan_in / (steps if turned else 1), fan_out / (1 if turned else steps)
    return _Kernel(name, tensor, places, fans)


def _of_layer(name: str, tensor: Tensor, layer: nn.Module) -> _Kernel:
    """A kernel of one of PyTorch's layers."""
    match layer if re.fullmatch(KERNELS, name.rpartition(".")[2]) else None:
        case nn.Embedding() | nn.EmbeddingBag():  # an output is an entry of one row
            places, row = tensor[:, None, :, None], layer.padding_idx
            return _kernel(name, tensor, DEFAULTS)._replace(
                places=places, fans=(1.0, float(tensor.shape[1])), zero_row=row
            )
        case nn.modules.conv._ConvNd():
            layout = {key: getattr(layer, key) for key in ("groups", "stride", "transposed")}
        case nn.MultiheadAttention():
            layout = {"blocks": 3 if name.endswith("in_proj_weight") else 1}
        case nn.RNNBase() | nn.RNNCellBase():  # 1 for an LSTM's projection
            layout = {"blocks": max(1, len(tensor) // layer.hidden_size)}
        case nn.Bilinear():  # a matrix for the products of its two inputs
            return _kernel(name, tensor.view(len(tensor), -1), DEFAULTS)
        case nn.Linear():
            layout = {}
        case _:
            raise ValueError(
                f"how {type(layer).__name__} uses {name} is not known: pass the tensor itself with "
                "its layout (such as transposed=True for x @ w), or the model to "
                "winit.torch.reinitialize"
            )
    return _kernel(name, tensor, DEFAULTS | layout)


def _kernels(weight: object, layout: dict[str, Any]) -> list[_Kernel]:
    """What is to be drawn; of a module all but biases, vectors and normalization."""
    if isinstance(weight, Tensor):
        return [_kernel("weight", weight, DEFAULTS | layout)]
    if not isinstance(weight, nn.Module):
        raise TypeError(f"weight must be a tensor or a module, got {_checks.shown(weight)}")
    if layout:
        raise TypeError(f"the layers of a module know their layouts, got {_checks.shown(layout)}")
    found: dict[int, _Kernel] = {}
    for prefix, layer in weight.named_modules():
        for name, tensor in layer.named_parameters(prefix, recurse=False):
            shaped = nn.parameter.is_lazy(tensor) or tensor.ndim > 1
            if not shaped or "bias" in name or isinstance(layer, (nn.LayerNorm, nn.RMSNorm)):
                continue
            new = _of_layer(name, tensor, layer)
            old = found.setdefault(id(tensor), new)
            if old.fans != new.fans:
                raise ValueError(f"{old.name} and {name} use one tensor in two ways: draw it alone")
    return list(found.values())


def fans(weight: Tensor | nn.Module, **layout: Any) -> dict[str, tuple[float, float]]:
    """fan_in and fan_out of a tensor in its layout, or of each kernel of a module."""
    for key in layout:
        _checks.choice(key, "a keyword of the layout", DEFAULTS)
    return {kernel.name: kernel.fans for kernel in _kernels(weight, layout)}


def _law(scheme: str, options: dict[str, Any], fans: tuple[float, float]) -> tuple[str, float]:
    """The distribution and the std of what a scheme draws; of a matrix, its gain."""
    of, (family, _, kind) = options.get, scheme.rpartition("_")
    if scheme in redraw.MATRICES:
        return scheme, float(of("gain", 1.0))
    if scheme == "truncated_normal":
        return scheme, of("std", 1.0) * initializers.TRUNCATED_STD
    scale, mode = of("scale", 1.0), of("mode", "fan_in")
    if family == "he":
        scale = initializers._he_scale(of("negative_slope", 0.0))
    elif family == "glorot":
        scale, mode = initializers._squared(of("gain", 1.0)), "fan_avg"
    elif scheme == "variance_scaling":
        kind = of("distribution", "normal")
    return "truncated_normal" if of("truncated") else kind, initializers._std(scale, mode, *fans)


def _draw(kernel: _Kernel, kind: str, std: float, generator: Generator) -> None:
    tensor, places = kernel.tensor, kernel.places
    if not std:
        nn.init.zeros_(tensor)
    elif kind == "normal":
        nn.init.normal_(tensor, 0.0, std, generator)
    elif kind == "uniform":
        nn.init.uniform_(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, generator)
    elif kind == "truncated_normal":
        cut = 2 * (wide := std / initializers.TRUNCATED_STD)
        nn.init.trunc_normal_(tensor, 0.0, wide, -cut, cut, generator)
    elif kind == "identity":
        one = initializers.identity(places.shape[2:], gain=std)
        places.copy_(torch.from_numpy(one))
    else:
        wider = torch.promote_types(tensor.dtype, torch.float32)  # there is no QR in bfloat16
        drawn = torch.empty(places.shape, dtype=wider, device=tensor.device).flatten(3)
        wide = drawn.normal_(generator=generator).shape[-2] < drawn.shape[-1]
        q, r = torch.linalg.qr(drawn.mT if wide else drawn)
        q = std * q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        places.copy_((q.mT if wide else q).reshape(places.shape))
    if kernel.zero_row is not None:
        tensor[kernel.zero_row] = 0.0


def _scheme(name: str) -> Scheme:
    """A scheme of `winit`, in place."""

    def scheme(weight: Any, *, generator: Generator = None, **options: Any) -> Any:
        if not isinstance(generator, (torch.Generator, type(None))):
            given = _checks.shown(generator)
            raise TypeError(f"generator must be a torch.Generator or None, got {given}")
        if "rng" in options:
            raise TypeError(f"{name}_ takes no rng, but generator=, a torch.Generator")
        layout = {key: options.pop(key) for key in DEFAULTS if key in options}
        redraw.check_options(name, options)
        laws = [(kernel, *_law(name, options, kernel.fans)) for kernel in _kernels(weight, layout)]
        for kernel, _, std in laws:
            info = torch.finfo(kernel.tensor.dtype)
            least = _checks.FEWEST_STEPS * info.smallest_normal * info.eps
            if std and not least <= abs(std) <= info.max / 8:  # no draw reaches eight stds
                raise ValueError(f"{kernel.name} of {info.dtype} cannot hold a std of {std:.3g}")
        with torch.no_grad():
            for kernel, kind, std in laws:
                _draw(kernel, kind, std, generator)
        return weight

    scheme.__name__ = scheme.__qualname__ = f"{name}_"
    what = (initializers.SCHEMES[name].__doc__ or "").partition("\n")[0]
    scheme.__doc__ = f"{what}\n\nSee `winit.torch.Scheme`, and for the options `winit.{name}`."
    return scheme


he_normal_, he_uniform_ = _scheme("he_normal"), _scheme("he_uniform")
glorot_normal_, glorot_uniform_ = _scheme("glorot_normal"), _scheme("glorot_uniform")
lecun_normal_, lecun_uniform_ = _scheme("lecun_normal"), _scheme("lecun_uniform")
orthogonal_, identity_ = _scheme("orthogonal"), _scheme("identity")
variance_scaling_, truncated_normal_ = _scheme("variance_scaling"), _scheme("truncated_normal")


# ------------------------------------------------------------------ a module, read as it runs

KINDS = {  # of operations that are neither elementwise nor reductions by PyTorch's own tags
    "affine": "neg _to_copy clone copy detach alias lift_fresh native_dropout",
    "add": "add sub rsub complex",
    "mul": "mul",
    "div": "div",
    "choose": "where masked_fill",
    "map": "_prelu_kernel log_sigmoid_forward hardswish special_ndtr",
    "move": "view _unsafe_view _reshape_alias permute transpose t expand unsqueeze squeeze slice "
    "select split split_with_sizes unsafe_split unsafe_split_with_sizes unbind flip roll diagonal "
    "as_strided constant_pad_nd unfold pixel_shuffle pixel_unshuffle repeat im2col tril triu index "
    "index_select reflection_pad1d reflection_pad2d replication_pad2d upsample_nearest2d",
    "join": "cat stack index_put index_add index_copy scatter scatter_add masked_scatter",
    "reduce": "avg_pool2d avg_pool3d _adaptive_avg_pool2d max_pool2d_with_indices cumsum sort topk "
    "max_pool3d_with_indices adaptive_max_pool2d",
    "contract": "mm bmm mv dot vdot addmm addmv baddbmm convolution _trilinear _grouped_mm",
    "constant": "bernoulli normal uniform exponential zero",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
ADDED = {"addmm": torch.mm, "addmv": torch.mv, "baddbmm": torch.bmm}
NORMS = {"native_layer_norm": 2, "native_group_norm": 1, "native_batch_norm": 1}
NORMS["_fused_rms_norm"] = 2  # where their scales stand among the arguments
FAINT = 1e-15  # of outputs' length: by what is less, float32 could not square their gradient
SUMS = ("sum", "mean", "index_add", "scatter_add", "index_put")
FUSED = ("mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn", "_thnn_fused")
MEASURED = (*NOTES, "peak", "root", "shares")
PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
MASKED = -1e8  # what a softmax reads where nothing is to be seen
AGAIN = "_checkpoint_without_reentrant_generator"  # yields once, before the function runs
OWN_STATE = (random.Random, np.random.Generator, np.random.RandomState, np.ndarray)


def _mapped(tree: Any, f: Callable[[Any], Any]) -> Any:
    """Nested containers, dataclasses and distributions, copied, with f of each tensor and array."""
    if isinstance(tree, (Tensor, np.ndarray)):
        return f(tree)
    if isinstance(tree, (list, tuple)):
        parts, kind = (_mapped(part, f) for part in tree), type(tree)
        return kind._make(parts) if hasattr(kind, "_make") else kind(parts)
    made = copy.copy(tree)
    if isinstance(tree, Mapping):
        for key, part in tree.items():
            made[key] = _mapped(part, f)
    elif isinstance(tree, Distribution) or (is_dataclass(tree) and not isinstance(tree, type)):
        for key, part in vars(tree).items():
            object.__setattr__(made, key, _mapped(part, f))
    return made


def _leaves(tree: Any, floats: bool = False) -> list[Any]:
    """The tensors in nested containers; of floats those of complex numbers, too."""
    found: list[Any] = []
    _mapped(tree, lambda t: found.append(t) if isinstance(t, Tensor) else None)
    return [t for t in found if t.is_floating_point() or t.is_complex()] if floats else found


def _real(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _tried(tree: Any) -> list[Any]:
    """The tensors of floats that training moves: a distribution's fixed std is none. Or all."""
    floats = _leaves(tree, floats=True)
    return [t for t in floats if t.requires_grad] or floats


def _filled(tree: Any, new: Callable[[Tensor], Any]) -> Any:
    """Nested containers with others of these."""
    tried = {id(t) for t in _tried(tree)}
    return _mapped(tree, lambda t: new(t) if id(t) in tried else t)


def _positive(output: Tensor) -> bool:
    """Whether all are; the first example tells most often."""
    some = output[:1] if output.ndim else output
    return not output.is_complex() and all(bool((part >= 0).all()) for part in (some, output))


def _classes(output: Tensor) -> int | None:
    """The axis of a softmax, or of its logarithm, if it gave these."""
    axes = dict.fromkeys((output.ndim - 1, 1)) if output.ndim > 1 < output.numel() else ()
    for some in (output[:1], output) if axes else ():  # the first example tells most often
        shares = some if _positive(output) else some.exp()
        sums = {a: shares.sum(a) for a in axes if output.shape[a] > 1}
        axes = {a: None for a, s in sums.items() if bool(((s - 1).abs() < SHARES).all())}
        if not axes:
            return None
    return next(iter(axes), None)


def _even(output: Tensor) -> float:
    """What knows nothing: an even share, or its logarithm; else 1/2, or 0 of logits."""
    axis, shares = _classes(output), _positive(output)
    if axis is None:
        return 0.5 if shares else 0.0
    return 1 / output.shape[axis] if shares else -math.log(output.shape[axis])


def _lies(tensor: Tensor) -> Any:
    """How it lies in its storage."""
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset()


def _disjoint(one: Tensor, other: Tensor) -> bool:
    """Whether two views with the same strides are parts of one array that share no entry."""
    if one.stride() != other.stride() or one.dtype != other.dtype:
        return False
    starts = [one.storage_offset(), other.storage_offset()]
    axes = sorted(zip(one.stride(), one.shape, other.shape, strict=True), reverse=True)
    room, parted = math.inf, False
    for stride, *sizes in axes:
        firsts = [start // max(1, stride) for start in starts]
        ends = [first + size for first, size in zip(firsts, sizes, strict=True)]
        if max(ends) * stride > room:  # it runs over into the next row
            return False
        parted |= max(firsts) >= min(ends)
        starts, room = [start % max(1, stride) for start in starts], stride
    return parted


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


def _numbers(tensor: Tensor) -> Array:
    """In NumPy, narrow floats as float32."""
    wide = _wide(tensor) if tensor.is_floating_point() else tensor.detach()
    return wide.resolve_neg().cpu().numpy()  # type: ignore[no-any-return]


def _note(values: Tensor, units: Sequence[int] = (), *, about_mean: bool = False) -> dict[str, Any]:
    """How many values, and sums over blocks of their squares for each unit: (blocks, units)."""
    wide, mean = _wide(values), torch.zeros(())
    if about_mean and wide.numel():  # of equal numbers it is exact
        first = wide.flatten()[0]
        mean = first + (wide - first).mean()
        wide = wide - mean
    rest = [a for a in range(wide.ndim) if a not in units]
    rows = math.prod(wide.shape[a] for a in rest)
    blocks = next(n for n in range(8, 0, -1) if rows % n == 0)
    size = math.prod(wide.shape[a] for a in units)
    parts = wide.permute((*rest, *units)).reshape(blocks, rows // blocks, size)
    parts = parts.abs() if parts.is_complex() else parts
    sums = parts.square().sum(1).double()
    n = np.array(float(values.numel()))
    return {"n": n, "x": sums.cpu().numpy(), "mean": mean.cpu().numpy()}


def _rows(values: Tensor, within: float = 0.0) -> Array:
    """Whether all rows are equal; where the first two differ, no others are fetched."""
    two = values.detach().flatten(0, -2)[:2] if values.ndim > 1 and values.numel() else None
    same = two is not None and bool(same_rows(_numbers(two), within))
    return same_rows(_numbers(values), within) if same else np.array(False)


def _varying(values: Tensor, place: Place | None, examples: int) -> dict[str, Any]:
    """Sums of the squares about the mean over the examples, where it is known where they lie."""
    if examples > 1 and place is None and not values.any():  # a state, wherever they lie
        return {"v": _note(values)["x"]}
    if examples < 2 or place is None:
        return {}
    axis, inner = place
    wide = _wide(values).unflatten(axis, (-1, examples, inner))
    return {"v": _note(wide - wide.mean(axis + 1, keepdim=True))["x"]}


def _followed(
    x: Tensor, place: Place, examples: int, name: str, kind: str, args: Any, out: Tensor
) -> Place | None:
    """Where the examples lie in an operation's result, or None where that is not known."""
    (axis, inner), size, rank = place, x.shape[place[0]], x.ndim
    if out.layout is not torch.strided:
        return None
    if x.untyped_storage()._cdata == out.untyped_storage()._cdata:  # a view: they stay in memory
        step = inner * x.stride(axis)
        sizes = [(n, a) for a, n in enumerate(out.stride()) if 0 < n <= step and step % n == 0]
        wide = [(n, a) for n, a in sizes if n * out.shape[a] >= step * examples]
        n, a = max(wide, default=(1, -1))
        return None if a < 0 else (a, step // n)
    if kind in reader.ELEMENTWISE:
        axis += out.ndim - rank
    elif name == "stack":
        axis += (args[1] if len(args) > 1 else 0) % out.ndim <= axis
    elif kind == "reduce" and out.ndim < rank:
        k = 2 if "norm" in name else 1  # after its power
        gone = args[k] if len(args) > k else None
        gone = [a % rank for a in ([gone] if isinstance(gone, int) else gone or range(rank))]
        axis = -1 if axis in gone else axis - sum(a < axis for a in gone)
    stays = 0 <= axis < out.ndim and out.shape[axis] == size
    return (axis, inner) if stays else None


@cache
def _about(func: Any) -> tuple[str, str, bool, bool]:
    """An operation's name and kind, whether it writes, and whether it gives views."""
    schema = func._schema
    name = schema.name.partition("::")[2].removesuffix("_")
    views = not schema.is_mutable and any(r.alias_info is not None for r in schema.returns)
    if name.endswith("_like") or name.startswith(("new_", "rand")):
        return name, "constant", schema.is_mutable, views
    tags = {torch.Tag.pointwise: "map", torch.Tag.reduction: "reduce"}
    kind = KIND.get(name) or next((tags[tag] for tag in func.tags if tag in tags), "other")
    kind = "map" if name == "div" and "mode" in func._overloadname else kind
    return name, kind, schema.is_mutable, views


def _runner(func: Any, leaves: Sequence[Any], spec: Any, kwargs: Any, slots: Sequence[int]) -> Any:
    """The operation in NumPy: a list of results, of arrays at these places of its arguments."""
    given = [leaves[k] for k in slots]
    dtypes = [a.dtype if isinstance(a, Tensor) and not a.is_floating_point() else None
              for a in given]  # fmt: skip
    bare: list[Any] = list(leaves)
    for k in slots:  # else they were kept alive
        bare[k] = None

    def run(*numbers: Any) -> list[Any]:
        filled = list(bare)
        for k, dtype, number in zip(slots, dtypes, numbers, strict=True):
            tensor = torch.from_numpy(np.array(number, order="C"))  # else no view of any shape
            filled[k] = tensor.to(dtype) if dtype and number.dtype.kind == "f" else tensor
        made = func.overloadpacket(*tree_unflatten(filled, spec), **kwargs)
        return [np.asarray(m) for m in _leaves(made)]

    return run


# Of a kernel that multiplies products of two signals, and of those of experts, of which each takes
# the rows that are its own: the axes of groups, outputs and inputs.
KERNEL_AXES = {"_trilinear": ((), (0,), (1, 2), ()), "_grouped_mm": ((0,), (2,), (1,), ())}


def _convolution(
    shape: tuple[int, ...], stride: Sequence[int], transposed: bool, groups: int
) -> Contract:
    """A convolution's kernel; of a transposed one its groups stand in front."""
    front, steps = int(transposed), math.prod(stride)
    order = range(front), (2 * front,), (1,), range(front + 2, len(shape))
    split, stride_in, stride_out = (1, steps, 1) if transposed else (groups, 1, steps)
    return Contract(order, shape, split, stride_in, stride_out,
                    units=(1,), examples_x=(0,), examples_z=(0,))  # fmt: skip


def _exp(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.exp(values)


class _Taken(float):
    """A number that the model took out of a tensor; what it makes of it is made of that, too."""

    tensor: Tensor | None = None  # of a number that others made of it

    @classmethod
    def of(cls, number: float, tensor: Tensor) -> _Taken:
        made = cls(number)
        made.tensor = tensor
        return made


def _known(number: Any) -> Any:
    """The tensor out of which a number was taken, if it is known."""
    tensor = number.tensor if isinstance(number, _Taken) else None
    return number if tensor is None else tensor


def _arithmetic(name: str) -> Callable[..., Any]:
    def made(self: _Taken, *others: Any) -> Any:
        number = getattr(float, name)(self, *others)  # of tensors it is their affair
        if type(number) is not float or self.tensor is None:
            return number
        return _Taken.of(number, getattr(self.tensor, name)(*map(_known, others)))

    return made


for _name in re.findall("[a-z]+", "add radd sub rsub mul rmul truediv rtruediv pow rpow neg abs"):
    setattr(_Taken, f"__{_name}__", _arithmetic(f"__{_name}__"))


class _Numbers(TorchFunctionMode):  # type: ignore[misc]
    """Has what a model computes with `.item()` computed with the tensor."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.item and args[0].is_floating_point():
            return _Taken.of(func(*args), _wide(args[0]).reshape(()))
        if any(name in func.__name__ for name in ("add", "sub", "mul", "div")):
            args, kwargs = map(_known, args), {k: _known(a) for k, a in kwargs.items()}
        return func(*args, **kwargs)


class _Unlike(BaseException):  # so that no model catches it
    """A run takes other steps than the first one."""


class _Run(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operation of a run, reads it and measures what the reader asks for.

    Of a run like one `before`, with other numbers, nothing is read again.
    """

    def __init__(self, examples: int, before: _Run | None = None) -> None:
        super().__init__()
        self.reader, self.examples, self.count, self.fused = Reader(), examples, 0, False
        self.found, self.before = self.reader.found, before
        self.calls: dict[int, list[int]] = {}
        self.program: Program
        if before:
            self.reader, self.found, self.calls = before.reader, before.found, before.calls
            self.program = before.program
        self.steps: list[tuple[Any, Any]] = []  # what was asked of the reader, and what it said
        self.again = iter(before.steps if before else ())
        self.known: Any = WeakTensorKeyDictionary()
        self.views: dict[int, list[Any]] = {}  # of each storage
        self.fresh: list[tuple[int, Sequence[int], Tensor]] = []
        self.lone: dict[int, float] = {}  # of softmaxes, the share of rows with one entry
        self.places: Any = WeakTensorKeyDictionary()  # of the examples
        self.notes: dict[str, dict[str, Any]] = {}
        self.strangers: list[str] = []
        self.items: dict[float, Value] = {}  # numbers taken out otherwise than by `.item()`
        self.inside = False  # the model runs
        self.parted = False  # from the run before, which a compiled function says in its own words

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be kept from compiling takes seconds to load, and nothing compiles here

    def once(self, asked: Any, read: Callable[[], Said]) -> Said:
        """What the reader says, or said when the same was asked in the run before."""
        step = next(self.again, None) if self.before else (asked, read())
        if step is None or step[0] != asked:
            self.parted = True
            raise _Unlike
        self.steps += [] if self.before else [step]
        return step[1]

    def value(self, operand: Any) -> Value:
        """What is known of an operand; of a constant its number, if it is full of it."""
        if not isinstance(operand, Tensor):
            plain = Value(number=float(operand), exact=True)
            return self.items.get(operand, plain)
        if operand in self.known:
            return self.known[operand]  # type: ignore[no-any-return]
        own = operand.requires_grad and operand.is_leaf
        if own and not operand.is_meta and operand.numel():
            self.strangers.append(f"one of shape {tuple(operand.shape)}")
        return self.constant(operand)

    def constant(self, tensor: Tensor) -> Value:
        """Of a mask, as of dropout, what it multiplies by where it is not 0."""
        bare = tensor.is_meta or tensor.layout is not torch.strided
        if bare or tensor.is_complex() or not tensor.numel():
            return Value()
        if tensor._is_zerotensor():  # which holds no numbers
            raise ValueError("derivatives taken forward (torch.func.jvp, jacfwd or hessian, "
                             "forward_ad) are not read, those taken back are: write them with "
                             "torch.func.grad or jacrev")  # fmt: skip
        known = self.once(tensor.shape, lambda: reader.constant(_numbers(tensor)))
        whole = not (tensor.is_floating_point() or known.exact or known.share < 1)
        return replace(known, number=1.0) if whole else known  # no fraction, which would be 0

    def emit(self, *op: Any, **more: Any) -> Value:
        """What is known of an operation's first result; none of them is looked up yet."""
        return self.apply(*op, **more)[0]

    def apply(self, kind: str, inputs: Any, run: Any = None, **more: Any) -> list[Value]:
        """What is known of an operation's results."""
        stops = more.get("stops", False) or not torch.is_grad_enabled()
        more = {"shapes": [()] * len(inputs), **more, "stops": stops}
        number, self.count = self.count, self.count + more.get("outputs", 1)
        asked = kind, more.get("label"), more["shapes"], stops, self.count, *inputs
        return self.once(asked, lambda: self.reader.apply(Op(kind, number, run, **more), inputs))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and take down what is known of its results."""
        self.settle()
        kwargs, (name, kind, writes, views) = kwargs or {}, _about(func)
        self.fused |= name.startswith(FUSED)
        options = {k: v for k, v in kwargs.items() if k != "out"}
        operands, first, product = _leaves([args, [*options.values()]]), self.count, list[Any]()
        told, lying = [self.value(t) for t in operands], self.lying(operands)
        read = list(operands)
        if writes and told and self.reader.bend(told[0]).tails:  # it is measured as it was
            read[0] = read[0].detach().clone()
        if kind == "contract" and not writes:
            result, *product = _computed(func, name, args, kwargs)
        else:
            result = func(*args, **kwargs)
        results = _leaves(result)
        if not results or name == "embedding_renorm":
            self.taken(result, told)
            return result
        if kind == "constant" or not any(v.level or v.powers for v in told):
            made = [self.constant(t) for t in results]
        elif product:
            made = [self.product(name, args, told, product, results[0])]
        else:
            single = self.special(name, args, told, results[0])
            made = [single] if single else self.plain(func, args, options, told, results)
            made += [self.emit("reduce", told[:1]) for _ in results[len(made) :]]
        self.follow(lying, name, kind, args, results)
        for tensor, value in zip(results, made, strict=False):
            inexact = tensor.is_floating_point() or tensor.is_complex()
            if value.level > reader.ROUTING and not inexact:
                value = self.emit("other", [value], whole=True)
            if value.pending and value.source >= first:
                self.notes[f"root {value.source}"] = _note(tensor)
            self.known[tensor] = value
            if writes:
                self.written(tensor, value)
        # of an operation that gives one number
        self.bent(first, {2: read[0]} if name == "masked_fill" else dict(enumerate(read)))
        if views and results[0].layout is torch.strided:
            shared = self.views.setdefault(results[0].untyped_storage()._cdata, [])
            shared += [TensorWeakRef(t) for t in (*operands[:1], *results)]
        return result

    def taken(self, number: Any, told: list[Value]) -> None:
        """Remember a number that the model took out of a tensor; not one that people write."""
        if type(number) is float and told[0].level and float(f"{number:.6g}") != number:
            self.items[number] = replace(told[0], flows=0)

    def lying(self, operands: Sequence[Tensor]) -> list[tuple[Tensor, Place]]:
        """Where the examples lie in operands, which an operation may turn."""
        return [(x.detach(), self.places[x]) for x in operands if x in self.places]

    def follow(self, lying: Any, name: str, kind: str, args: Any, results: Any) -> None:
        """Where the examples lie in results, if all that they are made of says the same."""
        for out in results:
            found = {_followed(x, at, self.examples, name, kind, args, out) for x, at in lying}
            if len(found) == 1 and (place := found.pop()):
                self.places[out] = place

    def written(self, tensor: Tensor, value: Value) -> None:
        """Other views of what was written to hold it, too."""
        storage = tensor.untyped_storage()
        for other in [ref() for ref in self.views.get(storage._cdata, ())]:
            shares = other is not None and other.untyped_storage()._cdata == storage._cdata
            if not shares or other is tensor or _disjoint(other, tensor):
                continue
            if _lies(other) == _lies(tensor):  # it holds the very numbers
                self.known[other] = value
            else:
                old = [] if tensor.nbytes >= storage.nbytes() else [self.known.get(other, Value())]
                self.known[other] = self.emit("join", [*old, value])
                self.bent(self.count - 1, {len(old): tensor})
                self.follow(self.lying([tensor]), "", "move", (), [other])

    def plain(
        self, func: Any, args: Any, kwargs: Any, told: list[Value], results: list[Tensor]
    ) -> list[Value]:
        """An operation of one of the reader's kinds."""
        (name, kind, *_), slots, inputs, left = _about(func), list[int](), list[Value](), iter(told)
        args = [abs(a) if isinstance(a, complex) else a for a in args]  # turns, and keeps sizes
        leaves, spec = tree_flatten(args)
        for k, a in enumerate(leaves):
            number = kind in ("add", "mul", "div", "choose") and type(a) in (bool, int, float)
            if isinstance(a, Tensor) or (number and k < 3):
                v = next(left) if isinstance(a, Tensor) else self.value(a)
                if kind != "move" or not k or v.level or v.powers:  # others stay where they are
                    slots.append(k)
                    inputs.append(v)
        inputs += left  # by keyword
        run, read = _runner(func, leaves, spec, kwargs, slots), [leaves[k] for k in slots]
        whole = not any(t.is_floating_point() or t.is_complex() for t in results)
        shapes = [tuple(getattr(a, "shape", ())) for a in read]
        whole_in = max((a.numel() for a in read if isinstance(a, Tensor)), default=1)
        sums = name in SUMS and results[0].numel() > 0
        count = max(1.0, whole_in / results[0].numel()) if sums else 1.0
        if name.startswith("avg_pool"):
            count = math.prod(args[1] if len(args[1]) > 1 else args[1] * int(name[-2]))
        moves = kind in ("move", "join")
        if name == "copy":
            inputs, shapes = inputs[1:2], shapes[1:2]
        elif name == "masked_fill":
            inputs, shapes = [inputs[k] for k in (1, 2, 0)], [shapes[k] for k in (1, 2, 0)]
        elif len(inputs) > 1 if kind == "move" else kind == "choose" and len(inputs) < 3:
            kind = "other"  # to places that come from the data

        def single(*numbers: Any) -> Any:
            arrays = np.broadcast_arrays(*map(np.asarray, numbers))
            if kind == "affine":  # between kinds of numbers
                number = arrays[0] + 0.0 if arrays[0].dtype == bool else arrays[0]
                return -number if name == "neg" else np.trunc(number) if whole else number
            made = np.where(*arrays) if kind == "choose" else run(*arrays)[0]
            made = sum(arrays) if name == "complex" else made  # both halves go on
            return made.real if np.iscomplexobj(made) else made

        takes = kind == "move" and (name in ("select", "unbind", "slice") or "split" in name)
        parts = reader.equal_parts(args[0].numel(), results[0].numel()) if takes else 1
        kept = args[0].numel() / results[0].numel() if name == "constant_pad_nd" else 1.0
        rest = [a for a in args if not isinstance(a, Tensor)]
        label = f"{name}{_mapped(rest, lambda t: t.shape if t.is_floating_point() else t)}"
        zeros = kind == "join" and inputs[0].exact and not inputs[0].number
        return self.apply(
            kind, inputs, run if moves else single, outputs=len(results), shapes=shapes,
            whole=whole, scatters=sums and zeros, stops=name == "detach", count=count, parts=parts,
            label=label, kept=min(kept, 1.0), mean=name.startswith(("mean", "avg_pool")),
        )  # fmt: skip

    def special(self, name: str, args: Any, told: list[Value], result: Tensor) -> Value | None:
        """A fused operation, by what it is made of."""
        x, emit = told[0], self.emit
        if name in ("_softmax", "_safe_softmax"):
            e = emit("map", [x], _exp)
            made = emit("div", [e, emit("reduce", [e])], np.divide)
            entries = (args[0] > MASKED).sum(args[1])
            self.lone[made.source] = float((entries < 2).float().mean())
            return made
        if name == "_log_softmax":
            return emit("add", [x, emit("reduce", [x])], np.subtract)
        if name in ("var", "var_mean"):
            return emit("mul", [emit("reduce", [x])] * 2, np.multiply)
        if name == "glu":
            axis = args[1] if len(args) > 1 else -1
            a, b = (emit("move", [x], lambda v, k=k: [np.split(v, 2, axis)[k]], label=f"glu {k}",
                         parts=2, shapes=[args[0].shape]) for k in (0, 1))  # fmt: skip
            gated = emit("mul", [a, emit("map", [b], lambda v: 1 / (1 + _exp(-v)))], np.multiply)
            self.bent(gated.source, {1: args[0].chunk(2, axis)[1].sigmoid()})
            return gated
        if name == "_weight_norm_interface":
            v, g = (a.shape for a in args[:2])
            unit = emit("div", [x, emit("reduce", [x])], np.divide, shapes=[v, ()])
            return emit("mul", [unit, told[1]], np.multiply, shapes=[v, g])
        if name in NORMS:
            kept = name == "native_batch_norm" and not args[5]  # by statistics of before
            shapes = [tuple(args[0].shape), ()]
            y = (
                emit("mul", [x, Value()], np.multiply, shapes=shapes)
                if kept
                else emit("div", [x, emit("reduce", [x])], np.divide, shapes=shapes)
            )
            affine = ("mul", np.multiply), ("add", np.add)
            for (kind, run), a in zip(affine, args[NORMS[name] :], strict=False):
                if isinstance(a, Tensor):
                    y = emit(kind, [y, self.value(a)], run, shapes=[shapes[0], tuple(a.shape)])
            return y
        if name in ("embedding", "_embedding_bag"):
            return self.lookup(0, args[0], args[1], told, result)
        if name in ("index", "index_select") and not x.level and x.powers:
            picks = [args[1:]] if name == "index_select" else enumerate(args[1])
            (axis, rows), *others = ((a, p) for a, p in picks if p is not None)
            whole = rows.dtype not in (torch.bool, torch.uint8)
            if not others and told[1].level == reader.ROUTING and whole:
                return self.lookup(axis, args[0], rows, told, result)
        return None

    def lookup(self, axis: int, w: Tensor, picks: Tensor, told: list[Value], z: Tensor) -> Value:
        """Rows that whole numbers pick; a bag has fewer of them."""
        kept = [a for a in range(w.ndim) if a != axis]
        rows = range(axis, axis + z.ndim - len(kept))
        contract = Contract(((axis,), kept, (), ()), tuple(w.shape),
                            units=[a for a in range(z.ndim) if a not in rows], apart=False,
                            examples_x=range(picks.ndim), examples_z=rows)  # fmt: skip
        made = self.emit("lookup", told[:2], contract=(contract, None), shape=tuple(z.shape))
        if d := self.found.get(self.count - 1):
            self.site(d, picks, w, z, z)
        return made

    def product(self, name: str, args: Any, told: list[Value], product: Any, result: Any) -> Value:
        """A contraction, and the bias that is added to it."""
        a, b, z, bias, alpha = product
        sides, count = told[1:3] if name in ADDED else told[:2], a.shape[-1]
        contracts: list[Contract | None] = [None, None]
        if name == "convolution":
            stride, transposed, groups = args[3], args[6], args[8]
            shape = (groups, len(b) // groups, *b.shape[1:]) if transposed else tuple(b.shape)
            contracts[1], count = _convolution(shape, stride, transposed, groups), 1
            if transposed:
                sides[1] = self.emit("move", [sides[1]], lambda e: [e.reshape(shape)],
                                     shapes=[tuple(b.shape)])  # fmt: skip
        elif name in KERNEL_AXES and b.ndim == 3 != a.ndim:
            contracts[1] = Contract(KERNEL_AXES[name], tuple(b.shape), units=(1,), examples_x=(0,),
                                    examples_z=(0,), apart=name == "_trilinear")  # fmt: skip
            if name == "_trilinear":
                place = self.places.get(args[0])
                self.places |= {a: place} if place else {}
                sides = [self.emit("mul", told[::2], np.multiply), told[1]]
        else:
            stack = (0,) * (a.ndim == 3)
            summed = (a.ndim - 1,), (len(stack),)
            contracts = [*reader.products((a.shape, b.shape), summed, (stack, stack))]
            for k, side in enumerate((a, b)):
                if side.ndim == 3 and len(side) > 1 and side.stride(0) == 0:  # one for all
                    sides[k] = self.emit("move", [sides[k]], lambda e: [e[0]],
                                         shapes=[tuple(side.shape)])  # fmt: skip
                    contracts[k] = Contract(
                        ((), (k,), (1 - k,), ()), tuple(side.shape[1:]), units=(1 + k,),
                        examples_x=(0, 2 - k), examples_z=(0, 2 - k),
                    )  # fmt: skip
        idle = [k for k, v in enumerate(sides) if v.exact and v.number == 0]
        for k in idle:
            self.count += 1
            sides[k] = self.once("state", partial(self.reader.state, self.count - 1))
        made = self.emit("contract", sides, contract=contracts, count=count, shape=tuple(z.shape))
        made, number = replace(made, dom=reader.EVERY) if idle else made, self.count - 1
        if d := self.found.get(number):
            self.site(d, product[1 - d.side], product[d.side], z, result)
            if torch._C._current_graph_task_id() >= 0:  # no signal on its way to the outputs
                self.reader.derived |= 1 << d.number
        if number in self.reader.peaks:
            side = self.reader.peaks[number][0]
            rows = -1 - side if name.endswith("mm") else None
            self.peak(number, product[side], rows, self.lone.get(sides[side].source, 0.0))
        made = self.times(made, alpha)
        if bias is None:
            return made
        shapes = [tuple(z.shape), tuple(bias.shape)]
        return self.emit("add", [made, self.value(bias)], np.add, shapes=shapes)

    def peak(self, number: int, shares: Tensor, rows: int | None, alone: float) -> None:
        """Note how much of a softmax is in rows of one entry, but for those that have no other.

        Where it divides behind the product, as parts of rows; those that see one entry in all
        examples have no other, since a large score alone makes the others' exponentials 0.
        Dropout makes what it keeps larger: as parts of the largest row, of which all is kept.
        """
        shares = _wide(shares)
        whole = shares.new_ones(()) if rows is None else shares.sum(rows, keepdim=True)
        if rows is not None and number in self.reader.late:
            if shares.ndim == 3 and len(shares) > 1:
                alone = float(((shares > 0).any(0).sum(rows) < 2).float().mean())
            shares = shares / whole.clamp(min=1e-6)
        else:
            shares = shares / whole.max().clamp(min=1.0)
        share = float((shares * (shares > subject.PEAK)).sum() / shares.sum())
        share = (share - alone) / (1 - alone) if alone < 1 else 0.0
        self.notes[f"peak {number}"] = {"x": np.array(max(share, 0.0))}

    def times(self, made: Value, number: float) -> Value:
        """A value times a known number."""
        return made if number == 1 else self.emit("mul", [made, self.value(number)], np.multiply)

    def site(self, d: Draft, x: Tensor, w: Tensor, z: Tensor, result: Tensor) -> None:
        """Measure what a site reads, its kernel and what it makes."""
        c, n, place = d.contract, self.examples, self.places.get(x)
        to, (axis, inner) = None, place or (-1, 1)
        if axis in c.examples_x:  # of a bag, several make one
            b = c.examples_z[list(c.examples_x).index(axis)]
            after, rest = divmod(inner * z.shape[b], x.shape[axis])
            to = None if rest else (b, after)
            self.places |= {z: to} if to else {}
        self.notes[f"z {d.z}"] = _note(z, c.units) | _varying(z, to, n)
        if d.z in self.reader.roots:
            self.notes[f"root {d.z}"] = _note(z)
        if x.is_floating_point() or x.is_complex():
            self.notes[f"x {d.z}"] = _note(x) | _varying(x, place, n)
            if not (d.x.masked or x.is_complex()):
                self.flat(d.z, self.reader.bend(d.x), x)
            if d.x.bounded and _positive(x):
                off = (x.sum(d.side - 2) - 1).abs()  # along what is contracted
                self.notes[f"shares {d.z}"] = {"x": (off < SHARES).all().cpu().numpy()}
        names = [p for p, times in d.kernel.times.items() if p in d.kernel.entries and times == 1]
        whole = [math.prod(self.reader.parameters[p].shape) for p in names] == [w.numel()]
        if not d.lookup and (not whole or len(d.kernel.powers) > 1):  # else std is its parameter's
            self.notes[f"w {d.z}"] = _note(w, about_mean=True)
        self.fresh.append((d.z, c.units, result))

    def bent(self, number: int, inputs: Mapping[int, Tensor]) -> None:
        """Of the bent inputs of an operation, the share of flat slopes."""
        for k, x in inputs.items():
            bend = self.reader.bends.get((number, k))
            if bend and (number, k) not in self.reader.masked:
                self.flat(f"{number}.{k}", bend[0], x)

    def flat(self, place: Any, act: Elementwise, x: Tensor) -> None:
        """Of a curve that is flat at both ends, the share of flat slopes."""
        if tails := act.tails:
            ends = {"x": x.detach() <= tails[0], "high": x.detach() >= tails[1]}
            self.notes[f"flat {place}"] = {k: f.float().mean().cpu().numpy()
                                           for k, f in ends.items()}  # fmt: skip

    def settle(self) -> None:
        """Have noted what comes back to sites: once their results have a place in the graph."""
        for z, units, tensor in self.fresh:
            if tensor.requires_grad and tensor.grad_fn is not None:
                edge = torch.autograd.graph.get_gradient_edge(tensor)
                edge.node.register_prehook(partial(self.came, z, units, edge.output_nr))
        self.fresh.clear()

    def came(self, z: int, units: Sequence[int], k: int, back: Any) -> None:
        """Note what comes back to a site."""
        if back[k] is not None and not self.inside:  # else it is of a gradient that the model takes
            self.notes[f"g {z}"] = _note(back[k], units)


def _computed(func: Any, name: str, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """A product; its two sides, what they make, the bias or None, and what multiplies the rest."""
    if name == "convolution":
        x, w, bias, *rest = args
        z = func(x, w, None, *rest)
        return z if bias is None else z + bias.view(-1, *[1] * (w.ndim - 2)), x, w, z, bias, 1
    if name in ADDED:
        c, a, b = args
        z, alpha, beta = ADDED[name](a, b), kwargs.get("alpha", 1), kwargs.get("beta", 1)
        return alpha * z if beta == 0 else torch.add(beta * c, z, alpha=alpha), a, b, z, c, alpha
    if name == "_trilinear":  # a kernel for the products of two signals
        a, w, b = args[:3]
        both = (a[:, :, None] * b[:, None, :]).flatten(1)
        return (z := both @ w.flatten(1).T), both, w, z, None, 1
    z = func(*args, **kwargs)
    return z, *args[:2], z, None, 1


# ------------------------------------------------------------------ a model of PyTorch


@contextmanager
def _apart(seed: int, fused: bool) -> Iterator[None]:
    """What a run sets, put back after it: random states, modes, and who computes what."""
    checkpoint = torch.utils.checkpoint.CheckpointFunction
    with (
        torch.random.fork_rng(),
        torch.inference_mode(False),
        torch.enable_grad(),
        sdpa_kernel(SDPBackend.MATH),
        ExitStack() as stack,
    ):
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if not fused:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "TF32 acceleration")
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        # Reentrant, it would run without a gradient, and either way a second time on the way back,
        # when the model has its own weights again.
        checkpoint.apply = staticmethod(lambda run, _, *inputs: run(*inputs))
        stack.callback(delattr, checkpoint, "apply")
        stack.callback(
            setattr, torch.utils.checkpoint, AGAIN, getattr(torch.utils.checkpoint, AGAIN)
        )
        setattr(torch.utils.checkpoint, AGAIN, lambda *_, **__: (step for step in [None]))
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield


class Subject(Base):
    """A function of tensors by name and of inputs, of all of which it gets copies.

    See `winit.jax.Subject`; `buffers`, all that is not trainable by default, are no parameters.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Tensor], Any], Any],
        arrays: Mapping[str, Tensor],
        x: Any,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        targets: Any = None,
        trainable: Collection[str] = (),
        buffers: Collection[str] | None = None,
        rng: RNG = 0,
        made: bool = False,
    ) -> None:
        self.name, self.function, self.loss, self.arrays = name, function, loss, dict(arrays)
        self.x, self.targets = (_mapped(tree, torch.as_tensor) for tree in (x, targets))
        self.trainable, known = set(trainable), _leaves(self.targets)
        self.marks = all(bool(((t == 0) | (t == 1)).all()) for t in known)
        self.buffers = set(arrays) - self.trainable if buffers is None else set(buffers)
        draws, seed = _checks.as_rng(rng), _checks.whole(rng)
        own = [subject.KEY, *([*draws.bytes(8)] if seed is None else [seed])]
        self.stream = np.random.default_rng(np.random.SeedSequence(own))
        self.seed = int(np.random.SeedSequence([*own, 1]).generate_state(1)[0])
        self.examples = next((len(t) for t in _leaves(self.x) if t.ndim), 1)
        self.directions: list[Array] = []
        self.weights: dict[str, tuple[Tensor, Any]] = {}
        self.fused, self.returned = True, False
        self.like_first: _Run | None = None
        self.like_first = run = self._run(self.arrays, self.x)
        self.reader, self.program, self.first = run.reader, run.program, run.notes
        if made:
            place = count()
            self.x = _mapped(self.x, lambda t: self.noise(next(place), t, self.stream))
            self.first = {}

    def sample(self, name: str, count: int) -> Array:
        """The first entries of a parameter, of whatever kind."""
        return self.numpy(self.arrays[name].detach().reshape(-1)[:count])

    def numpy(self, array: Any) -> Array:
        """A tensor as float64, or complex128."""
        wide = torch.promote_types(array.dtype, torch.float64)
        return array.detach().cpu().to(wide).numpy().copy()  # type: ignore[no-any-return]

    def data(self) -> list[Any]:
        """All inputs, in the reader's order."""
        return _leaves(self.x)

    def like(self, value: Any, old: Any) -> Any:
        """A value in the dtype and at the device of a tensor."""
        return torch.as_tensor(np.asarray(value)).to(old.device, old.dtype)

    def assign(self, name: str, value: Array) -> None:
        """Set a tensor in place."""
        self.first, _ = {}, self.weights.pop(name, None)
        with torch.no_grad():
            self.arrays[name].copy_(self.like(value, self.arrays[name]))

    def execute(self, arrays: Mapping[str, Any], standardized: bool) -> Any:
        """One run, forward and back, its notes at the numbers of the first one's sites."""
        same = all(arrays[n] is a for n, a in self.arrays.items())
        if self.first and same and not standardized:
            return self.first
        run = self._run(arrays, _mapped(self.x, self.standard) if standardized else self.x)
        here, there = (
            {site.name: d.z for site, d in zip(p.sites, r.drafts, strict=True)}
            for p, r in ((self.program, self.reader), (run.program, run.reader))
        )
        place = dict(zip(map(str, run.reader.roots), self.reader.roots, strict=False))
        place |= {str(z): here.get(name, -1) for name, z in there.items()}
        split = ((key.partition(" "), note) for key, note in run.notes.items())
        return {f"{what}{gap}{place.get(i, i) if what in MEASURED else i}": note
                for (what, gap, i), note in split}  # fmt: skip

    def _run(self, arrays: Mapping[str, Any], x: Any) -> Any:
        if self.like_first:
            run = _Run(self.examples, self.like_first)
            try:
                return self._ran(arrays, x, run)
            except (_Unlike, RuntimeError):  # it chooses its way by its numbers
                if not run.parted:
                    raise
        return self._ran(arrays, x, _Run(self.examples))

    def _ran(self, arrays: Mapping[str, Any], x: Any, run: _Run) -> Any:
        with _apart(self.seed, self.fused):
            inputs, own = _mapped(x, lambda t: t.detach().clone()), dict[str, Tensor]()
            for i, (t, name) in enumerate(zip(_leaves(inputs), self.entries(), strict=True)):
                inexact = t.is_floating_point() or t.is_complex()
                run.known[t] = run.once(name, partial(run.reader.input, i, name, inexact))
                if t.ndim and len(t) == self.examples:
                    run.places[t] = 0, 1
                run.notes |= {f"root {i}": _note(t)} if inexact else {}
            run.count = len(run.reader.inputs)
            for n, a in arrays.items():
                own[n] = made = a.detach().clone()
                if a.is_floating_point() and a.layout is torch.strided:
                    if n not in self.weights or self.weights[n][0] is not a:
                        self.weights[n] = a, _note(a, about_mean=True) | {"rows": _rows(a)}
                    run.notes[f"value {n}"] = note = self.weights[n][1]
                    mean, free = float(note["mean"]), n in self.trainable
                    known = None if free else run.constant(a)
                    read = partial(run.reader.parameter, n, tuple(a.shape), mean, known)
                    value = run.once(n, read)
                    # Of buffers, vectors are statistics, which a run writes over.
                    alone = a.ndim > 1 or n not in self.buffers
                    run.known[made] = value if alone else Value()
                    made.requires_grad_(alone)
                    # Else a slice of an nn.ParameterList would hold a copy of it.
                    made._is_param = isinstance(a, nn.Parameter)
            run.inside = True
            with run, _Numbers():
                given = {n: a.clone() if n in self.buffers else a for n, a in own.items()}
                outputs = self.function(given, inputs)
            run.settle()
            run.inside = False
            if not (run.fused and self.fused):
                self._read(run, outputs, own)
                return run
        self.fused = False  # once more, step by step
        return self._ran(arrays, x, _Run(self.examples))

    def _read(self, run: _Run, outputs: Any, own: Mapping[str, Tensor]) -> None:
        """The program of a run and, back from its outputs, the rest of its notes."""
        ends = _leaves(outputs, floats=True)
        told = [run.known.get(t, Value()) for t in ends]
        if not run.before:
            run.found = dict(run.reader.found)
            run.calls, told = run.reader.loops(told)
        seen = self._back(run, outputs, own)
        if not run.before:
            run.program = run.reader.program(told, [*self._remarks(run)], seen)
        felt = {n for n in self.weights if run.notes[f"weight {n}"]["x"].any()}
        asked = {site.kernel.name for site in run.program.sites
                 if site.head or site.kernel.stepped}  # fmt: skip
        for n in self.weights.keys() - asked if not run.reader.derived else ():
            del run.notes[f"weight {n}"]["all"]  # which would be kept, and nobody asks for them
        run.program = replace(  # functions have derivatives of their own
            run.program,
            stopped=tuple(n for n in run.program.stopped if n not in felt),
            severed=tuple(n for n in run.program.severed if n not in felt),
        )
        run.bent(-1, dict(enumerate(ends)))
        together(run.notes, run.reader, run.calls)

    def entries(self) -> list[str]:
        """The inputs' names."""
        return ["x"] * len(_leaves(self.x))

    def _remarks(self, run: _Run) -> Iterator[str]:
        if self.returned:
            yield ("The loss is one of the outputs, so what knowing nothing costs is not known: "
                   "give a loss of the others to have the first one judged.")  # fmt: skip
        yield from self.unread()
        if run.strangers:
            found = ", ".join(dict.fromkeys(run.strangers))
            yield f"Parameters are used that the module does not hold, and not judged: {found}."

    def _back(self, run: _Run, made: Any, own: Mapping[str, Tensor]) -> list[bool]:
        """The gradient, of the loss or in a random direction; which outputs it comes from."""
        outputs = _leaves(made, floats=True)
        if not _leaves(made):
            raise ValueError(
                f"{self.name} gives {_checks.shown(made)}, in which no tensor is found: return "
                "tensors, or lists, tuples, dicts, dataclasses or distributions of them"
            )
        self.directions = self.directions or [
            self.stream.standard_normal(tuple(_real(t).shape)) for t in outputs
        ]
        value = self._first(made, outputs)
        finite = [bool(torch.isfinite(t).all()) for t in (value, *outputs)]
        both, back = [*own.items(), *enumerate(outputs)], dict[Any, Any]()
        free = {k: t for k, t in both if t.requires_grad}
        if value.requires_grad:
            grads = torch.autograd.grad(value, [*free.values()], allow_unused=True)
            back = dict(zip(free, grads, strict=True))
        self.returned = self.loss is not None and any(
            back.get(i) is not None and not o.ndim and bool(o == value)
            for i, o in enumerate(outputs)
        )
        for n in self.weights:
            g = back.get(n)
            g = own[n].new_zeros(1) if g is None else g.coalesce().values() if g.is_sparse else g
            note = _note(g.detach())
            top = float(g.detach().max()) if g.numel() and not g.is_complex() else math.nan
            rows = _rows(g, ROUNDED)
            run.notes[f"weight {n}"] = note | {"top": np.array(top), "rows": rows, "all": g}
            finite.append(bool(np.isfinite(note["x"]).all() or torch.isfinite(g).all()))
        run.notes["finite"] = {"x": np.array(finite)}
        if self.loss is not None:
            loss = value.detach().double().cpu().numpy()
            with torch.no_grad():
                run.notes |= {"loss": {"x": loss}} | self._guesses(made)
        return [back.get(i) is not None for i in range(len(outputs))]

    def _guesses(self, made: Any) -> dict[str, Any]:
        """What constants cost, and how the loss grows with targets that are numbers."""
        cost, tries = self._cost, self._constants(made)
        zero = cost(tries[0])
        even = zero if tries[1] is tries[0] else cost(tries[1])
        mean = map(cost, tries[2:])
        outputs = _tried(made)
        known = [t for t in _leaves(self.targets) if not t.is_complex()]
        notes = {"blind": {"x": np.array([zero if zero <= 2 * even else even, *mean])}}
        axes = {id(o): _classes(o) for o in outputs if _positive(o)}
        if outputs and all(axes.get(id(o)) is not None for o in outputs):
            last = _filled(made, lambda o: torch.zeros_like(o).index_fill(
                axes[id(o)], torch.tensor([o.shape[axes[id(o)]] - 1], device=o.device), 1.0,
            ))  # fmt: skip
            notes["sure"] = {"x": np.array(cost(last))}
        evens = [_even(o) for o in outputs]
        apart = [float((o - e).abs().square().mean().sqrt()) / (e if e > 0 else 1.0)
                 for o, e in zip(outputs, evens, strict=True) if o.numel()]  # fmt: skip
        notes["ends"] = {"x": np.array(max(apart, default=math.nan))}
        paired = [t.numel() for t in known] == [o.numel() for o in outputs]
        wide = [t for t in known if bool(((t < 0) | (t > 1)).any())]  # and no shares
        numbers = [t for t in wide if paired or t.is_floating_point()]
        self.y2 = max((float(t.double().square().mean()) for t in numbers), default=math.nan)
        if numbers:
            at = {id(t) for t in numbers}

            def half(t: Tensor) -> Tensor:
                return t if id(t) not in at else t / 2 if t.is_floating_point() else t // 2

            targets = _mapped(self.targets, half)
            high, base = (even, tries[1]) if math.isnan(zero) else (zero, tries[0])
            low = cost(base, targets)
            others = (_filled(made, partial(torch.full_like, fill_value=c)) for c in self.others())
            notes |= {"others": {"x": np.array([*map(cost, others)])},
                      "growth": {"x": np.array(high / low if low else math.nan)}}  # fmt: skip
        return notes

    def _first(self, made: Any, outputs: Sequence[Tensor]) -> Any:
        """The loss of what the model gives."""
        try:
            return self._value(made, outputs)
        except ValueError as error:
            with torch.no_grad():
                takes = any(math.isfinite(self._cost(each)) for each in self._constants(made))
                top = max((float(o.abs().max()) for o in outputs if o.numel()), default=0.0)
            said = str(error.__context__ or "").partition("\n")[0]  # in others' words
            if not (said and takes):
                raise
            raise ValueError(f"loss takes small outputs, and not those of {self.name}, of which "
                             f"one is {top:.3g} in size: {said}") from None  # fmt: skip

    def _cost(self, outputs: Any, targets: Any = None) -> float:
        """The loss of other outputs; NaN of those that it does not take, as a std of 0."""
        try:
            return float(self._value(outputs, (), targets))
        except ValueError:
            return math.nan

    def _value(self, made: Any, outputs: Sequence[Tensor], targets: Any = None) -> Any:
        if self.loss is None:
            total = torch.zeros(())
            for d, o in zip(self.directions, map(_real, outputs), strict=True):
                norm = _wide(o).square().sum().sqrt()
                wide, norm = o.to(norm.dtype), max(norm, FAINT) if norm > 0 else 1.0
                own = np.resize(d, o.shape)  # their number may depend on the data
                total = total + (self.like(own, wide) * wide).sum() / norm
            return total
        parts = [*self.loss.modules()] if isinstance(self.loss, nn.Module) else []
        try:
            with _standing_in(parts, {}, None):  # it may keep a mean of what it saw
                value = self.loss(made, self.targets if targets is None else targets)
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            said = str(error).partition("\n")[0]  # in others' words
            raise ValueError(f"y and loss do not fit the outputs of {self.name}: {said}") from None
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError("loss must return a tensor of a single number, which sends a gradient "
                             f"back (no .item()), got {_checks.shown(value)}")  # fmt: skip
        if any(o.requires_grad for o in outputs) and not value.requires_grad:
            raise ValueError("loss must depend on the outputs and send a gradient back to them: "
                             "this one is constant, or detaches them")  # fmt: skip
        return value.reshape(())

    def _constants(self, made: Any) -> list[Any]:
        """Outputs that know nothing: 0, if it is no logarithm; `_even`; the mean of no marks."""
        outputs, targets = _tried(made), _leaves(self.targets)
        found: dict[int, float] = {}

        def even(o: Tensor) -> float:
            if id(o) not in found:
                found[id(o)] = _even(o)
            return found[id(o)]

        tries = [_filled(made, lambda o: torch.full_like(o, min(0.0, even(o))))]
        logits = max(found.values(), default=0.0) <= 0  # then both are the same
        tries += tries if logits else [_filled(made, lambda o: torch.full_like(o, even(o)))]
        if [o.numel() for o in outputs] == [t.numel() for t in targets] and not self.marks:
            of = {id(o): t for o, t in zip(outputs, targets, strict=True)}
            tries.append(_filled(
                made, lambda o: of[id(o)].reshape(o.shape).to(o.dtype).mean(0).expand(o.shape)
            ))  # fmt: skip
        return tries


# ------------------------------------------------------------------ modules


def _reached(module: nn.Module, path: str, seen: dict[int, Any]) -> Iterator[Any]:
    """A module and all in it, with their paths: in lists and dicts, too, which register nothing."""
    if id(module) in seen:
        return
    seen[id(module)] = module
    yield path, module
    for key, held in module.__dict__.items():
        at = "" if key == "_modules" else f"{key}."
        held = dict(enumerate(held)) if isinstance(held, (list, tuple)) else held
        for k, part in held.items() if isinstance(held, dict) else ():
            if isinstance(part, nn.Module):
                yield from _reached(part, f"{path}{at}{k}.", seen)


@contextmanager
def _standing_in(modules: list[nn.Module], copies: dict[int, Any], flags: Any) -> Iterator[None]:
    """Have modules hold copies of their tensors and containers; then all is as it was."""

    def copied(held: Any) -> Any:
        if id(held) in copies:
            return copies[id(held)]
        made: Any = held
        if isinstance(held, Tensor):
            made = held.detach().clone().requires_grad_(held.requires_grad)
        elif isinstance(held, torch.Generator):
            made = held.clone_state()
        elif isinstance(held, OWN_STATE):
            made = copy.deepcopy(held)
        elif type(held) is tuple or hasattr(held, "_make"):
            made = getattr(type(held), "_make", tuple)(map(copied, held))
        elif isinstance(held, (dict, list, deque, set)):
            made = copies[id(held)] = copy.copy(held)
            whole: Any = {} if isinstance(held, set) else held
            for key in whole if isinstance(held, dict) else range(len(whole)):
                made[key] = copied(whole[key])
        copies[id(held)] = made
        return made

    before = [(m, dict(m.__dict__)) for m in modules]
    try:
        for m, held in before:
            m.__dict__.update({k: copied(v) for k, v in held.items()})
            m.__dict__.update({} if flags is None else {"training": flags})
        yield
    finally:
        for m, held in before:
            m.__dict__.clear()
            m.__dict__.update(held)


class Module(Subject):
    """A `torch.nn.Module`, and what its layers say of their parameters."""

    def __init__(
        self, module: Any, x: Any, y: Any, loss: Any, training: bool | None, rng: RNG
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {_checks.shown(module)}")
        _ = loss is None or _checks.loss(loss, "torch.nn.CrossEntropyLoss()")
        if (loss is None) != (y is None):
            raise ValueError("a loss needs targets and targets a loss: give both y and loss")
        while isinstance(module, PARALLEL) or hasattr(module, "_orig_mod"):
            module = module.module if isinstance(module, PARALLEL) else module._orig_mod
        found, seen = [*_reached(module, "", {})], set[int]()
        for path, part in found:
            if isinstance(part, torch.jit.ScriptModule):
                at = f" in {path[:-1]}" if path else ""
                raise TypeError("module must be as it was before torch.jit, whose scripts show no "
                                f"operations, got a {type(part).__name__}{at}")  # fmt: skip
        own = {id(t) for t in (*module.parameters(), *module.buffers())}
        arrays, self.owners = dict[str, Tensor](), dict[str, tuple[nn.Module, str]]()
        for path, part in found:
            for name, t in [*part._parameters.items(), *part._buffers.items()]:
                # without values it may be a mold for torch.func.functional_call
                bare = t is not None and t.is_meta and id(t) not in own
                if t is not None and id(t) not in seen and not bare:
                    seen.add(id(t))
                    arrays[path + name], self.owners[path + name] = t, (part, name)
        _check(type(module).__name__, arrays)
        whole = {n: t for n, t in arrays.items() if t.numel()}  # what is empty is no kernel
        buffers = [n for n, (part, name) in self.owners.items() if name in part._buffers]
        halves = {n: [f"{n}.real", f"{n}.imag"] for n, t in whole.items()
                  if t.is_complex() and n not in buffers}  # fmt: skip
        self.owners |= {half: self.owners[n] for n, pair in halves.items() for half in pair}
        parts = {n: torch.view_as_real(t).unbind(-1) if n in halves else (t,)
                 for n, t in whole.items()}  # fmt: skip
        arrays = {half: part for n, t in parts.items()
                  for half, part in zip(halves.get(n, [n]), t, strict=True)}  # fmt: skip
        self.known = dict[str, list[Array]]()
        args, words = self.asked = _arguments(module, x, arrays)

        def call(own: Mapping[str, Tensor], inputs: Any) -> Any:
            copies = {id(t): torch.complex(*(own[half] for half in halves[n])) if n in halves
                      else own[n] for n, t in whole.items()}  # fmt: skip
            with _standing_in([part for _, part in found], copies, training):
                return module(*inputs[0], **inputs[1])

        free = [n for n, t in whole.items() if t.requires_grad]
        trainable = [half for n in free for half in halves.get(n, [n])]
        try:
            super().__init__(type(module).__name__, call, arrays, (args, words), loss=loss,
                             targets=y, trainable=trainable, buffers=buffers, rng=rng)  # fmt: skip
        except (IndexError, RuntimeError, TypeError) as error:
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            if frame.f_globals.get("__name__", "").partition(".")[0] not in ("torch", "winit"):
                raise  # by the module itself
            said = str(error).partition("\n")[0]  # in others' words
            raise ValueError(f"{type(module).__name__} does not run on x: {said}") from error
        held = {id(p) for p in module.parameters()}
        missed = [n for n in free if id(whole[n]) not in held and n not in buffers]
        packed = [path.removesuffix(".") or self.name for path, part in found
                  if ".quantized" in type(part).__module__ and hasattr(part, "weight")]  # fmt: skip
        about = ((missed, "not registered in the module, so no optimizer gets it."),
                 (packed, "quantized, neither judged nor drawn."))  # fmt: skip
        notes = [f"{', '.join(names)}: {text}" for names, text in about if names]
        unused = tuple(n for n in self.program.unused if n not in buffers)
        self.program = replace(
            self.program, unused=unused, notes=(*self.program.notes, *notes), table=1.0
        )

    def entries(self) -> list[str]:
        """Keywords, or places among the arguments."""
        args, words = self.asked
        places = [str(i) if len(args) > 1 else "x" for i, a in enumerate(args) for _ in _leaves(a)]
        return places + [k for k, a in words.items() for _ in _leaves(a)]

    def start(self, name: str) -> tuple[Array, str] | None:
        """What the layer's own reset always gives; 0 for what is only added."""
        part, own = self.owners[name]
        if own.startswith("bias_ih") and isinstance(part, (nn.LSTM, nn.LSTMCell)):
            return np.repeat([0.0, 1.0, 0.0, 0.0], part.hidden_size), "zeros, forget gate 1"
        values = self.resets(name)
        if values and not np.ptp(values):
            value = float(values[0].flat[0])
            return values[0], {0.0: "zeros", 1.0: "ones"}.get(value, f"constant, value={value:g}")
        return None if name in self.buffers else super().start(name)

    def resets(self, name: str) -> list[Array]:
        """What the layer's own reset draws; often where there are few numbers."""
        part, own = self.owners[name]
        if name not in self.known:
            self.known[name] = []
            draws = 2 if self.arrays[name].numel() > 8 else 8
            resets = hasattr(part, "reset_parameters") and not part._modules
            resets &= name.endswith(own)  # no half of complex numbers
            for seed in range(draws) if resets else ():
                with torch.random.fork_rng(), _standing_in([part], {}, None), torch.no_grad():
                    torch.manual_seed(seed)
                    kept = {**part._parameters, **part._buffers}[own]
                    kept.fill_(math.nan if kept.is_floating_point() else 0)
                    part.reset_parameters()
                    value = self.numpy({**part._parameters, **part._buffers}[own])
                if not np.isnan(value).any():  # else it is what a layer of one's own adds
                    self.known[name].append(value)
        return self.known[name] if self.arrays[name].ndim < 2 else self.known.pop(name)

    def kept(self, name: str) -> str:
        """Why a parameter is to be left alone, or ""."""
        part, _ = self.owners[name]
        free = name in self.trainable
        if name in self.buffers:  # statistics of a layer that is not frozen
            beside = [*part._parameters.values()]
            free = not beside or any(p is not None and p.requires_grad for p in beside)
            return "" if free and self.start(name) is not None else "frozen"
        return self.given(name) if free else "frozen"

    def assign(self, name: str, value: Array) -> None:
        """Set a tensor in place; an embedding's row that pads is 0."""
        super().assign(name, value)
        row = getattr(self.owners[name][0], "padding_idx", None)
        if row is not None and self.owners[name][1] == "weight":
            with torch.no_grad():
                self.arrays[name][row] = 0.0

    def measure(
        self, scales: Mapping[str, Any] | None = None, values: Mapping[str, Array] | None = None,
        **how: bool,
    ) -> Measured:  # fmt: skip
        """As any subject; new values bring their singular vectors."""
        given = dict(values or {})
        return super().measure(scales, given | self._vectors(given), **how)

    def refresh(self, drawn: Collection[str]) -> dict[str, str]:
        """Bring up to date what spectral normalization keeps of new kernels."""
        vectors = self._vectors({name: self.value(name) for name in drawn})
        for name, value in vectors.items():
            self.assign(name, value)
        return dict.fromkeys(vectors, "a singular vector of its kernel")

    def _vectors(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The singular vectors that spectral normalization keeps of kernels, by their names."""
        found: dict[str, Array] = {}
        for name, value in values.items():
            part, own = self.owners[name]
            kept = [(part, hook.dim, f"{hook.name}_u", f"{hook.name}_v")
                    for hook in part._forward_pre_hooks.values()
                    if isinstance(hook, SpectralNorm) and own == f"{hook.name}_orig"]  # fmt: skip
            parts = [*part][:1] if isinstance(part, ParametrizationList) and value.ndim > 1 else []
            kept += [(p, p.dim, "_u", "_v") for p in parts if isinstance(p, _SpectralNorm)]
            for holder, dim, *names in kept:
                matrix = np.moveaxis(value, dim, 0).reshape(value.shape[dim], -1)
                left, _, right = np.linalg.svd(matrix, full_matrices=False)
                ends = dict(zip(names, (left[:, 0], right[0]), strict=True))
                found |= {n: ends[o] for n, (p, o) in self.owners.items()
                          if p is holder and o in ends}  # fmt: skip
        return found

    def trained(self) -> str:
        """The sign that the module was trained, or ""."""
        used = self.used
        for n, a in self.arrays.items():
            if n.endswith("num_batches_tracked") and a and self._moved(n):
                return f"{n} is {int(a)}"
            # that says 0, or it was told
            fresh = self.owners[n][0]._buffers.get("num_batches_tracked") is not None
            if n in self.trainable and n not in used and n in self.program.factors and not fresh:
                start = self.start(n)
                if start and np.ptp(self.value(n)):
                    return f"{n} is not {start[1]}"
        return ""

    def _moved(self, counter: str) -> bool:
        """Whether a layer that counts batches may have learned: a call alone moves no scale."""
        part, own = self.owners[counter]
        names = [f"{counter.removesuffix(own)}{n}" for n, p in part._parameters.items()
                 if p is not None]  # fmt: skip
        starts = {n: self.start(n) for n in names if n in self.arrays}
        return not starts or any(s is None or (self.value(n) != s[0]).any()
                                 for n, s in starts.items())  # fmt: skip


def _check(name: str, arrays: Mapping[str, Tensor]) -> None:
    """Refuse a module without values."""
    for n, t in arrays.items():
        if nn.parameter.is_lazy(t):
            raise ValueError(f"{name} is lazy, and {n} has no shape yet: call it once on data")
        if t.is_meta:
            raise ValueError(f"{n} of {name} is on the meta device and has no values yet: "
                             "to_empty(device=…) and a draw give it some")  # fmt: skip
        if hasattr(t, "full_tensor"):
            raise ValueError(f"{n} of {name} is spread over processes, each with its part alone: "
                             "give the module as it was before, or a copy with "
                             f"{n}.full_tensor()")  # fmt: skip
        if t.layout is not torch.strided and t.requires_grad:
            raise ValueError(f"{n} of {name} is sparse, and only dense parameters are measured: "
                             f"hold {n}.to_dense()")  # fmt: skip


def _arguments(module: nn.Module, x: Any, arrays: Mapping[str, Tensor]) -> tuple[Any, Any]:
    """Positional and keyword arguments; arrays of doubles in the module's own dtype."""
    if x is None:
        raise ValueError(f"{type(module).__name__} does not say what it takes: give x")
    dtype = next((t.dtype for t in arrays.values() if t.is_floating_point()), torch.float32)

    def tensor(part: Any) -> Tensor:
        wide = isinstance(part, np.ndarray) and part.dtype == np.float64
        return torch.as_tensor(part).to(dtype) if wide else torch.as_tensor(part)

    x = _mapped(x, tensor)
    takes = inspect.signature(module.forward).parameters
    any_word = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    words = isinstance(x, Mapping) and (any_word or set(x) <= set(takes))
    for t in _leaves(x):
        if t.is_meta:
            raise ValueError("x must hold values, got a tensor on the meta device")
        if t.layout is not torch.strided:
            raise ValueError(f"x holds a sparse tensor ({t.layout}), and only dense ones are "
                             "measured: give its to_dense(), or hold it as a buffer")  # fmt: skip
        if t.is_floating_point() and not (
            t.isfinite().all() or ((t == 0) | (t == -math.inf)).all()
        ):
            raise ValueError(f"{subject.INFINITE}, got {t[~t.isfinite()][0].item()}")
    if not any(t.ndim for t in _leaves(x)) or not all(t.numel() for t in _leaves(x)):
        raise ValueError(f"x must hold tensors of at least one example, got {_checks.shown(x)}")
    args, kwargs = ((), dict(x)) if words else (x if type(x) is tuple else (x,), {})
    try:
        inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(
            f"x does not fit {type(module).__name__}.forward({', '.join(takes)}), {error}: a tuple "
            f"is several arguments, a dict keywords, got a {type(x).__name__}"
        ) from None
    return args, kwargs


def audit(
    module: nn.Module,
    x: Any,
    y: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    *,
    training: bool | None = None,
    cures: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a module starts, site by site, and say what is wrong and what cures it.

    Parameters
    ----------
    x : what the module takes, examples first
        A tuple is several arguments; a dict is keywords, if `forward` takes them.
    y, loss : targets, and a function of (outputs, y), such as `torch.nn.CrossEntropyLoss()`
    training : bool, optional
        By default each part is in the mode that it is in.
    cures, rng : as in `winit.keras.audit`

    Raises
    ------
    TypeError, ValueError
        Not a module, one without values (lazy, or on the meta device) or of torch.jit, inputs that
        `forward` does not take or that are not finite, a loss without targets, one that does not
        fit, or its class.
    """
    from winit.judge import judge  # with what it needs, when it is needed

    cures = _checks.flag(cures, "cures")
    training = training if training is None else _checks.flag(training, "training")
    return judge(Module(module, x, y, loss, training, rng), cures=cures)


def reinitialize(
    module: nn.Module,
    scheme: str = "auto",
    *,
    x: Any = None,
    rng: RNG = None,
    force: bool = False,
    **options: Any,
) -> dict[str, str]:
    """Draw every kernel by its site, in place, and put the rest at its conventional start.

    Parameters
    ----------
    scheme : "auto" or a scheme's name
        "auto" draws each kernel by its fans and the activation before it, the last one small; a
        name, as "he_normal", draws all by one scheme, with its `options`. What is set and what is
        left besides is said in `winit.redraw.reinitialize`.
    x : tensor, tuple or dict of arguments
        What the module takes, one small batch; the draw is run with it.
    rng : int or numpy.random.Generator
        Draws are NumPy's: `torch.manual_seed` does not set them, and with ``rng=None`` each call
        has others.
    force : bool
        Needed for a module that was trained; sets also what is frozen or was given on purpose.

    Returns
    -------
    dict
        What each parameter is now, by its path; "left: …" where it is as it was, and why.

    Raises
    ------
    TypeError, ValueError
        What is no module, a trained one, an unknown scheme or option. The module is as it was then.
    """
    from winit.judge import level  # with what it needs, when it is needed

    redraw.check_scheme(scheme, options)  # before x is asked for
    subject = Module(module, x, None, None, None, 0)
    return redraw.reinitialize(subject, scheme, rng=rng, force=force, level=level, **options)
