"""Neural-network weight initialization: schemes, theory and diagnosis in NumPy.

The schemes are at the top (``winit.he_normal((64, 128), rng=0)``); the rest is used by module, as
in ``winit.theory.gain("tanh")``. Modules load when first asked for: ``import winit`` costs NumPy
alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from winit.article import (
    weight_initializer,
    weight_initializer_for_relu,
    weight_initializer_for_sigmoid,
)
from winit.initializers import (
    constant,
    fans,
    get,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    identity,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    variance_scaling,
    zeros,
)

if TYPE_CHECKING:
    from winit import (
        activations,
        article,
        audit,
        diagnostics,
        initializers,
        keras,
        network,
        plots,
        theory,
    )

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "article",
    "audit",
    "diagnostics",
    "initializers",
    "keras",
    "network",
    "plots",
    "theory",
)

__all__ = [
    "activations",
    "article",
    "audit",
    "constant",
    "diagnostics",
    "fans",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "initializers",
    "keras",
    "lecun_normal",
    "lecun_uniform",
    "network",
    "normal",
    "ones",
    "orthogonal",
    "plots",
    "theory",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "weight_initializer",
    "weight_initializer_for_relu",
    "weight_initializer_for_sigmoid",
    "zeros",
]


def __getattr__(name: str) -> Any:
    """Load a module of the package when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"winit.{name}")
    raise AttributeError(f"module 'winit' has no attribute {name!r}")
