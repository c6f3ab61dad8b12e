"""The article's three functions: its shapes, and its very numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import winit

# Word for word from the article (Shrestha, "Importance of Initializing Weights Properly").
THE_ARTICLES_CODE = """
#Scratch code implementation of random weight inilialization
def weight_initializer(l):
    #l = number of layers and number of neurons in each layer
    parameters  = {}
    for i in range(1,len(l)):
        parameters["W"+str(i)] = np.random.randn(l[i],l[i-1])
    return parameters

#Scratch code implementation of random weight inilialization with He initialization technique
def weight_initializer_for_relu(l): #He Initialization technique
    #l = number of layers and number of neurons in each layer
    parameters  = {}
    for i in range(1,len(l)):
        parameters["W"+str(i)] = np.random.randn(l[i],l[i-1]) * np.sqrt(2/l[i-1])
    return parameters

#Scratch code implementation of random weight inilialization with He initialization technique
def weight_initializer_for_sigmoid(l): #Xaview (Glorot) initialization tenchique
    #l = number of layers and number of neurons in each layer
    parameters  = {}
    for i in range(1,len(l)):
        parameters["W"+str(i)] = np.random.randn(l[i],l[i-1]) * np.sqrt(2/(l[i-1]+l[i]))
    return parameters
"""
ARTICLE: dict[str, Any] = {"np": np}
exec(THE_ARTICLES_CODE, ARTICLE)

NAMES = ["weight_initializer", "weight_initializer_for_relu", "weight_initializer_for_sigmoid"]


@pytest.fixture
def global_state() -> Iterator[None]:
    """The article's code draws from NumPy's global state: put that back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.usefixtures("global_state")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [[2, 4, 3, 1], [1, 1], (64, 37, 10), [3] * 12])
@pytest.mark.parametrize("seed", [0, 1, 20220128])
def test_same_bits_as_the_articles_code(name: str, sizes: Sequence[int], seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002
    theirs = ARTICLE[name](sizes)
    ours = getattr(winit, name)(sizes, rng=np.random.RandomState(seed))
    assert list(ours) == list(theirs)
    for key, weights in theirs.items():
        np.testing.assert_array_equal(ours[key], weights, strict=True)


def test_the_command_of_the_readme_prints_the_articles_shapes() -> None:
    code = (
        "import winit; [print(k, v.shape) for k, v in winit.weight_initializer([2,4,3,1]).items()]"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stderr == ""
    assert printed.stdout.splitlines() == ["W1 (4, 2)", "W2 (3, 4)", "W3 (1, 3)"]


@pytest.mark.parametrize("name", NAMES)
def test_seeds_repeat_and_none_does_not(name: str) -> None:
    draw = getattr(winit, name)
    assert np.array_equal(draw([5, 4], rng=3)["W1"], draw([5, 4], rng=3)["W1"])
    assert not np.array_equal(draw([5, 4])["W1"], draw([5, 4])["W1"])
    layers = draw([4, 4, 4], rng=3)  # one stream for all layers
    assert not np.array_equal(layers["W1"], layers["W2"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("sizes", "rng", "error", "message"),
    [
        ([], 0, ValueError, r"such as \[2, 4, 3, 1\], got \[\]"),
        ([2], 0, ValueError, r"such as \[2, 4, 3, 1\], got \[2\]"),
        ([2, 0, 1], 0, ValueError, r"\[2, 0, 1\] must be at least 1, got 0"),
        ([2, -4], 0, ValueError, "at least 1, got -4"),
        ([2, 1.5], 0, TypeError, "whole number, got 1.5"),
        ([2, True], 0, TypeError, "whole number, got True"),
        (24, 0, TypeError, "layer_sizes must be a sequence of whole numbers, got 24"),
        ([2, 1], -1, ValueError, "a seed must be 0 or larger"),
        ([2, 1], "seed", TypeError, "rng must be None, an int seed"),
    ],
)
def test_errors(name: str, sizes: Any, rng: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(winit, name)(sizes, rng=rng)
