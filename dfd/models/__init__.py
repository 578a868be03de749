"""Detectors by name, and what they all share: input, precision, order of frames."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd.models.resnext_lstm import ResNeXtLSTM
from dfd.recipe import CropRecipe

FrameOrder = Literal["natural", "shuffled"]

MODELS: dict[str, Callable[..., ResNeXtLSTM]] = {
    "resnext_lstm": lambda **hp: ResNeXtLSTM(temporal="lstm", **hp),
    "resnext_mean": lambda **hp: ResNeXtLSTM(temporal="none", **hp),
}


def build(name: str, **hyperparameters: Any) -> ResNeXtLSTM:
    """Make a detector: (B, T, 3, H, W) normalised float -> (B, 2) logits in the order real, fake.

    Raises:
        ValueError: unknown name, weights, or a hyperparameter it does not take.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'; choose one of {', '.join(MODELS)}")
    try:
        return MODELS[name](**hyperparameters)
    except TypeError as error:
        raise ValueError(f"model '{name}': {error}") from None


def to_input(crops: NDArray[np.uint8] | Tensor, recipe: CropRecipe) -> Tensor:
    """Crops (..., S, S, 3) uint8 RGB -> (..., 3, S, S) float32, in the recipe's colour order and normalisation."""
    pixels = torch.as_tensor(crops)
    if recipe.colour == "bgr":
        pixels = pixels.flip(-1)
    mean = torch.tensor(recipe.mean, device=pixels.device) * 255
    std = torch.tensor(recipe.std, device=pixels.device) * 255
    return ((pixels.float() - mean) / std).movedim(-1, -3)


def p_fake(logits: Tensor) -> Tensor:
    """(..., 2) logits -> (...) probability of fake."""
    return logits.float().softmax(dim=-1)[..., 1]


def frame_permutation(length: int, order: FrameOrder, seed: int) -> Tensor:
    """Positions (T,) in which frames are read: as they come, or the one shuffle that `seed` fixes for this length."""
    if order == "natural":
        return torch.arange(length)
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 where the hardware multiplies it fast (CUDA from Ampere on, CPUs with AMX or AVX512-BF16)."""
    if fast_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `autocast` changes anything on this device."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
