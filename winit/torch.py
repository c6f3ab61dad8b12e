"""PyTorch: schemes in the manner of `torch.nn.init`, with the fans of the operation.

``winit.torch.he_normal_(layer)`` draws in place. A model is read by what it computes, not by its
layers: see `winit.program`; the schemes alone must know layers, since they draw before it is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from winit import _checks, initializers, redraw

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as error:
    reason = "winit.torch needs PyTorch: https://pytorch.org/get-started shows how to install it"
    raise ImportError(reason) from error

# ------------------------------------------------------------------ schemes, in place

Weight = TypeVar("Weight", Tensor, nn.Module)
Generator = torch.Generator | None
# The kernels of PyTorch's own layers, by name.
KERNELS = r"weight|in_proj_weight|[qkv]_proj_weight|weight_(ih|hh|hr)(_l\d+(_reverse)?)?"
DEFAULTS: dict[str, Any] = {"groups": 1, "stride": 1, "transposed": False, "blocks": 1}


class Scheme(Protocol):
    """Draws a tensor, or the kernels of a module, in place and returns it.

    Parameters
    ----------
    weight : Tensor or Module
        A tensor, as (outputs, inputs, *window) if its layout says no more; or one of PyTorch's
        layers, or a module made of them: they know their layouts. Biases and normalization stay.
    generator : torch.Generator, optional
        Without one, PyTorch's global one, as in `torch.nn.init`.
    groups, stride : of a convolution
    transposed : bool
        The tensor is (inputs, outputs, *window): a transposed convolution's, or that of `x @ w`.
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
        view = tensor.view(groups, -1, blocks, shape[1] // blocks, *shape[2:])
    places = view.movedim(1, 3) if turned else tensor.view(groups, blocks, -1, *shape[1:])
    each = _checks.entries(stride, _checks.MOST_AXES) or [stride] * (len(shape) - 2)
    if len(each) != len(shape) - 2:
        raise ValueError(f"stride must have {len(shape) - 2} entries, got {_checks.shown(stride)}")
    steps = math.prod(_checks.size(step, "stride") for step in each)
    fan_in, fan_out = initializers.fans(places.shape[2:])
    fans = fan_in / (steps if turned else 1), fan_out / (1 if turned else steps)
    return _Kernel(name, tensor, places, fans)


def _of_layer(name: str, tensor: Tensor, layer: nn.Module) -> _Kernel:
    """A kernel of one of PyTorch's layers."""
    layout: dict[str, Any] | None = None
    if not re.fullmatch(KERNELS, name.rpartition(".")[2]):
        pass
    elif isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):  # an output is an entry of one row
        places, row = tensor[:, None, :, None], layer.padding_idx
        return _kernel(name, tensor, DEFAULTS)._replace(
            places=places, fans=(1.0, float(tensor.shape[1])), zero_row=row
        )
    elif isinstance(layer, nn.modules.conv._ConvNd):
        layout = {key: getattr(layer, key) for key in ("groups", "stride", "transposed")}
    elif isinstance(layer, nn.MultiheadAttention):
        layout = {"blocks": 3 if name.endswith("in_proj_weight") else 1}
    elif isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
        layout = {"blocks": max(1, len(tensor) // layer.hidden_size)}  # 1 for an LSTM's projection
    elif isinstance(layer, (nn.Linear, nn.Bilinear)):
        layout = {}
    if layout is None:
        raise ValueError(
            f"how {type(layer).__name__} uses {name} is not known: pass the tensor itself with its "
            "layout (such as transposed=True for x @ w), or the model to winit.torch.reinitialize"
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
    """Fill a tensor."""
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

    @torch.no_grad()
    def scheme(weight: Any, *, generator: Generator = None, **options: Any) -> Any:
        if not isinstance(generator, (torch.Generator, type(None))):
            given = _checks.shown(generator)
            raise TypeError(f"generator must be a torch.Generator or None, got {given}")
        layout = {key: options.pop(key) for key in DEFAULTS if key in options}
        redraw.check_options(name, options)
        laws = [(kernel, *_law(name, options, kernel.fans)) for kernel in _kernels(weight, layout)]
        for kernel, _, std in laws:
            info = torch.finfo(kernel.tensor.dtype)
            least = _checks.FEWEST_STEPS * info.smallest_normal * info.eps
            if std and not least <= abs(std) <= info.max / 8:  # no draw reaches eight stds
                raise ValueError(f"{kernel.name} of {info.dtype} cannot hold a std of {std:.3g}")
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
