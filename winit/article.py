"""The three functions of the article that this book grew out of.

Names and shapes are the article's. Each function takes the layer sizes, input
first, and returns ``{"W1": …, "W2": …}`` with ``Wi`` of shape
``(sizes[i], sizes[i-1])``. Given ``rng=np.random.RandomState(s)`` they return
bit for bit what the article's own code returns after ``np.random.seed(s)``.
"""

from __future__ import annotations

from winit import _checks
from winit._checks import RNG, Sizes
from winit.initializers import Array, Initializer, glorot_normal, he_normal, normal


def _weights(layer_sizes: Sizes, initializer: Initializer, rng: RNG) -> dict[str, Array]:
    sizes = _checks.layer_sizes(layer_sizes)
    draws = _checks.as_rng(rng)
    shapes = zip(sizes[1:], sizes[:-1], strict=True)
    return {f"W{i}": initializer(shape, rng=draws) for i, shape in enumerate(shapes, start=1)}


def weight_initializer(layer_sizes: Sizes, *, rng: RNG = None) -> dict[str, Array]:
    """Plain random weights: `W ~ N(0, 1)`, whatever the width.

    Parameters
    ----------
    layer_sizes : sequence of at least two whole numbers, input first
    rng : None, int, numpy.random.Generator or numpy.random.RandomState
        Where the draws come from: an int is a seed, None draws other weights
        at each call. NumPy's global state is neither read nor changed.

    Returns
    -------
    dict
        ``"W1"``, ``"W2"`` … in float64, each of shape (units, units before).

    Raises
    ------
    ValueError
        Fewer than two sizes, or a size below 1.
    TypeError
        A size that is not a whole number, an unusable rng.

    Source: the article, "random weight initialization".
    """
    return _weights(layer_sizes, normal, rng)


def weight_initializer_for_relu(layer_sizes: Sizes, *, rng: RNG = None) -> dict[str, Array]:
    """He's scheme: `W ~ N(0, 2 / fan_in)`.

    Parameters
    ----------
    layer_sizes : sequence of at least two whole numbers, input first
    rng : None, int, numpy.random.Generator or numpy.random.RandomState
        As in `weight_initializer`, and so are the result and the errors.

    Source: He et al. 2015, eq. 10.
    """
    return _weights(layer_sizes, he_normal, rng)


def weight_initializer_for_sigmoid(layer_sizes: Sizes, *, rng: RNG = None) -> dict[str, Array]:
    """Glorot's scheme: `W ~ N(0, 2 / (fan_in + fan_out))`.

    Parameters
    ----------
    layer_sizes : sequence of at least two whole numbers, input first
    rng : None, int, numpy.random.Generator or numpy.random.RandomState
        As in `weight_initializer`, and so are the result and the errors.

    Source: Glorot & Bengio 2010, eq. 12.
    """
    return _weights(layer_sizes, glorot_normal, rng)
