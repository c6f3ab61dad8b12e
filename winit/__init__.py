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
        diagnostics,
        initializers,
        jax,
        keras,
        network,
        plots,
        theory,
    )
    from winit.report import Audit

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "article",
    "diagnostics",
    "initializers",
    "jax",
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
    "jax",
    "keras",
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


def audit(model: Any, *arguments: Any, **keywords: Any) -> Audit:
    """Say how a model starts: `winit.keras.audit`, for a model of any framework that is read."""
    return _bridge(model).audit(model, *arguments, **keywords)  # type: ignore[no-any-return]


def reinitialize(model: Any, *arguments: Any, **keywords: Any) -> dict[str, str]:
    """Draw a model's weights: `winit.keras.reinitialize`, for a model of any framework."""
    return _bridge(model).reinitialize(model, *arguments, **keywords)  # type: ignore[no-any-return]


def _bridge(model: Any) -> Any:
    """The module for the framework that a model is of."""
    frameworks = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    found = next((name for name in ("keras",) if name in frameworks), None)
    if found is None:
        raise TypeError(
            f"model must be a Keras model, got {type(model).__name__}; for a function of JAX there "
            "is winit.jax.audit(f, params, x)"
        )
    return importlib.import_module(f"winit.{found}")


def __getattr__(name: str) -> Any:
    """Load a module of the package when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"winit.{name}")
    raise AttributeError(f"module 'winit' has no attribute {name!r}")
