"""The models of PyTorch for the page "How the zoo starts": measured as those of Keras are."""

from __future__ import annotations

import json

import pytorch

pytorch.needed()

import torch  # noqa: E402
from torch import nn  # noqa: E402

import winit.torch  # noqa: E402
import zoo  # noqa: E402


def tower(std: float | None) -> nn.Sequential:
    """Eight ReLU layers drawn by He's rule, three of them with a std of their own."""
    layers = [part for _ in range(8) for part in (nn.Linear(64, 64, bias=False), nn.ReLU())]
    model = winit.torch.he_normal_(
        nn.Sequential(*layers, nn.Linear(64, 5)), generator=torch.Generator().manual_seed(0)
    )
    for at in (6, 8, 10) if std else ():
        nn.init.normal_(model[at].weight, std=std, generator=torch.Generator().manual_seed(at))
    return model


def test_entries_have_the_form_of_those_of_keras() -> None:
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    sound, broken = (
        zoo.entry(
            winit.audit(module, x, cures=False), "64", sum(map(torch.numel, module.parameters()))
        )
        for module in (tower(None), tower(0.01))
    )
    assert sound.keys() == next(iter(zoo.stored()["models"].values())).keys()
    assert (sound["kernels"], sound["parameters"], sound["bad"]) == (9, 8 * 64**2 + 64 * 5 + 5, 0)
    assert sound["ok"] and sound["verdicts"] == []
    assert not broken["ok"] and broken["verdicts"] == ["shrinking"] and broken["bad"] == 3
    # each of three layers keeps 64 · 0.01² of what it reads, instead of 2
    assert broken["signal"]["end"] < 0.01**3 < 0.01 < sound["signal"]["end"]
    assert json.loads(json.dumps(broken)) == broken
