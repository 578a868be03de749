"""Detectors by name, and what they all share: input, precision, order of frames."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd.models import baselines
from dfd.models.backbones import check_weights, known_weights
from dfd.models.contract import ClipModel
from dfd.models.multi_attention import MultiAttention
from dfd.models.resnext_lstm import ResNeXtLSTM, resnext_mean
from dfd.recipe import CropRecipe

FrameOrder = Literal["natural", "shuffled"]

MODELS: dict[str, Callable[..., ClipModel]] = {
    "resnext_lstm": ResNeXtLSTM,
    "resnext_mean": resnext_mean,
    "frame_cnn": baselines.frame_cnn,
    "cnn_lstm": baselines.cnn_lstm,
    "meso4": baselines.meso4,
    "mesoinception4": baselines.mesoinception4,
    "resnext_published": baselines.resnext_published,
    "multi_attention": MultiAttention,
}
END_TO_END = frozenset({"multi_attention"})  # their backbone cannot be fitted apart, as another detector's


def takes(name: str) -> frozenset[str]:
    """The hyperparameters of the model of this name."""
    return frozenset(signature(MODELS[name]).parameters)


def build(name: str, **hyperparameters: Any) -> ClipModel:
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


def check(name: str, **hyperparameters: Any) -> None:
    """Raise what `build` would raise of hyperparameters, without making the network or fetching its weights."""
    if "backbone" in hyperparameters:
        check_weights(hyperparameters["backbone"], hyperparameters.get("weights", "none"))
    with torch.device("meta"):  # no memory and no numbers
        build(name, **{**hyperparameters, "weights": "none"})


def usual(name: str, backbone: str | None = None) -> dict[str, Any]:
    """The hyperparameters of the model of this name where nothing else is said, on its own or another backbone.

    Weights are the backbone's newest published ones, "none" where it has none.
    """
    found = {key: entry.default for key, entry in signature(MODELS[name]).parameters.items()}
    return {**found, "weights": known_weights(backbone or found["backbone"])[0]}


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
