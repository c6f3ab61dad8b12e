"""`audit` and `reinitialize` for a model of any framework that is read: today Keras's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from winit._checks import RNG, shown

if TYPE_CHECKING:
    from winit.report import Audit

BRIDGES = ("keras",)  # modules of `winit` under the name of the package that they read


def audit(
    model: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    *,
    training: bool = True,
    cures: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a model starts, site by site, and say what is wrong: see `winit.keras.audit`.

    Raises
    ------
    TypeError
        A model of no framework that is read.
    """
    options = {"training": training, "cures": cures, "rng": rng}
    return _bridge(model).audit(model, x, y, loss, **options)  # type: ignore[no-any-return]


def reinitialize(
    model: Any, scheme: str = "auto", *, rng: RNG = None, force: bool = False, **options: Any
) -> dict[str, str]:
    """Draw a model's weights by their sites: see `winit.keras.reinitialize`.

    Raises
    ------
    TypeError
        A model of no framework that is read.
    """
    bridge = _bridge(model)
    return bridge.reinitialize(  # type: ignore[no-any-return]
        model, scheme, rng=rng, force=force, **options
    )


def _bridge(model: Any) -> Any:
    """The module for the framework that a model is of."""
    packages = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    found = next((name for name in BRIDGES if name in packages), None)
    if found is None:
        raise TypeError(
            f"model must be a Keras model, got {shown(model)}; for a function of JAX there is "
            "winit.jax.audit(f, params, x)"
        )
    return importlib.import_module(f"winit.{found}")
