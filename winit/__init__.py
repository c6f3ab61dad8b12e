"""Neural-network weight initialization: schemes, theory and diagnosis in NumPy.

The schemes are at the top (``winit.he_normal((64, 128), rng=0)``); the rest is used by module, as
in ``winit.theory.gain("tanh")``. Modules load when first asked for: ``import winit`` costs NumPy
alone.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

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

__version__ = "0.1.0"

# What `from winit import *` brings: all that needs no optional package, so no bridge.
__all__ = [
    "activations",
    "article",
    "audit",
    "blocks",
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
    "lecun_normal",
    "lecun_uniform",
    "network",
    "normal",
    "ones",
    "orthogonal",
    "plots",
    "reinitialize",
    "theory",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "weight_initializer",
    "weight_initializer_for_relu",
    "weight_initializer_for_sigmoid",
    "zeros",
]

# What is loaded when it is first asked for: a module of the package under its own name, or a
# function under the module that holds it. A name here stands among the imports below, too.
_LATER = {
    "activations": "winit.activations",
    "audit": "winit.frameworks",
    "blocks": "winit.blocks",
    "diagnostics": "winit.diagnostics",
    "jax": "winit.jax",
    "keras": "winit.keras",
    "network": "winit.network",
    "plots": "winit.plots",
    "reinitialize": "winit.frameworks",
    "theory": "winit.theory",
    "torch": "winit.torch",
}

if TYPE_CHECKING:  # so that a type checker knows each name, and `winit.he_nromal` is an error
    from winit import activations as activations
    from winit import article as article
    from winit import blocks as blocks
    from winit import diagnostics as diagnostics
    from winit import initializers as initializers
    from winit import jax as jax
    from winit import keras as keras
    from winit import network as network
    from winit import plots as plots
    from winit import theory as theory
    from winit import torch as torch
    from winit.frameworks import audit as audit
    from winit.frameworks import reinitialize as reinitialize
else:

    def __getattr__(name: str) -> object:
        """Load what is asked for the first time."""
        this = sys.modules[__name__]
        if name not in _LATER:
            message = f"module 'winit' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=this)
        try:
            module = importlib.import_module(_LATER[name])
        except ImportError as error:  # `hasattr`, `help` and the like expect this kind
            raise AttributeError(str(error), name=name, obj=this) from error
        return module if _LATER[name] == f"winit.{name}" else getattr(module, name)

    def __dir__() -> list[str]:
        """What is public, loaded or not."""
        return sorted({*__all__, *_LATER, *(name for name in globals() if name[:2] == "__")})
