"""The zoo's models of PyTorch: architectures of the package transformers by configuration alone.

`make zoo` measures them where both are installed. Nothing is downloaded: a configuration makes a
model with random weights. transformers is no dependency: ``pip install transformers==5.24.0`` works
beside PyTorch 2.13. (torchvision's wheel for it wants PyTorch's CUDA build, and timm wants
torchvision.)
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

VERSION = "5.24.0"
BATCH, LENGTH, VOCABULARY = 8, 16, 100
SIDE = 32  # of the pictures, in pixels
# Made narrow by hand; the depth, which is what a signal meets, is kept.
WIDTHS = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 256}
DEEP = WIDTHS | {"num_hidden_layers": 12}
TOKENS = {"vocab_size": VOCABULARY, "pad_token_id": 0}
TEXT = DEEP | TOKENS | {"max_position_embeddings": LENGTH * 2}
GROUPED = TEXT | {"num_key_value_heads": 2}
PATCHES = DEEP | {"image_size": SIDE, "patch_size": 8}
# Name on the page -> the model's class, its configuration's, and what differs from the default.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "GPT2 (PyTorch)": (
        "GPT2LMHeadModel",
        "GPT2Config",
        TOKENS | {"n_embd": 64, "n_layer": 12, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0},
    ),
    "GPTNeoX (PyTorch)": ("GPTNeoXForCausalLM", "GPTNeoXConfig", TEXT),
    "BERT (PyTorch)": ("BertForMaskedLM", "BertConfig", TEXT),
    "Llama (PyTorch)": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "Mistral (PyTorch)": ("MistralForCausalLM", "MistralConfig", GROUPED),
    "Qwen2 (PyTorch)": ("Qwen2ForCausalLM", "Qwen2Config", GROUPED),
    "ViT (PyTorch)": ("ViTForImageClassification", "ViTConfig", PATCHES),
    "DeiT (PyTorch)": ("DeiTForImageClassification", "DeiTConfig", PATCHES),
    "ResNet50 (PyTorch)": ("ResNetForImageClassification", "ResNetConfig", {}),
    "ConvNeXt (PyTorch)": (
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [16, 32, 64, 128]},
    ),
}


def build(name: str) -> tuple[Any, Any]:
    """A model as its library draws it, in training, and a batch of what it reads."""
    torch, transformers = map(importlib.import_module, ("torch", "transformers"))
    model, config, sizes = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = getattr(transformers, model)(getattr(transformers, config)(**sizes)).train()
    draws = torch.Generator().manual_seed(0)
    if "vocab_size" in sizes:  # from 1, since 0 is padding
        return made, torch.randint(1, VOCABULARY, (BATCH, LENGTH), generator=draws)
    return made, torch.randn(BATCH, 3, SIDE, SIDE, generator=draws)


def missing() -> list[str]:
    """Which of the packages that these models need are not installed."""
    return [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
