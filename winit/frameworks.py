"""`audit` and `reinitialize` for a model of any framework that is read: Keras's and PyTorch's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from winit._checks import RNG, shown

if TYPE_CHECKING:
    from winit.report import Audit

# Modules of `winit` under the name of the package that they read; on PyTorch, Keras's are both.
BRIDGES = ("keras", "torch")


def audit(
    model: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    *,
    training: bool | None = None,
    cures: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a model starts, site by site, and say what is wrong.

    See `winit.keras.audit` and `winit.torch.audit`. By default Keras models are in training, and
    modules in the mode that each part is in.

    Raises
    ------
    TypeError
        A model of no framework that is read.
    """
    options = {"cures": cures, "rng": rng} | ({} if training is None else {"training": training})
    return _bridge(model).audit(model, x, y, loss, **options)  # type: ignore[no-any-return]


def reinitialize(
    model: Any, scheme: str = "auto", *, rng: RNG = None, force: bool = False, **options: Any
) -> dict[str, str]:
    """Draw a model's weights by their sites.

    See `winit.keras.reinitialize` and `winit.torch.reinitialize`. Draws are NumPy's: frameworks'
    seeds do not set them, and with ``rng=None`` each call has others.

    Raises
    ------
    TypeError
        A model of no framework that is read.
    """
    bridge = _bridge(model)
    return bridge.reinitialize(  # type: ignore[no-any-return]
        model, scheme, rng=rng, force=force, **options
    )


def bridge(model: Any) -> str | None:
    """Which module of `winit` reads a model; None where it is no model."""
    packages = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return next((name for name in BRIDGES if name in packages), None)


def _bridge(model: Any) -> Any:
    """The module for the framework that a model is of."""
    found = bridge(model)
    if found is None:
        raise TypeError(
            f"model must be a Keras model or a PyTorch module, got {shown(model)}; for a function "
            "of JAX there is winit.jax.audit(f, params, x)"
        )
    return importlib.import_module(f"winit.{found}")
