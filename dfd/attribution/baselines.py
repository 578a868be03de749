"""What a face is compared with: inputs that stand for nothing to see."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from dfd.recipe import CropRecipe

BLUR = 0.1  # standard deviation of the blur / side of the crop: colours stay, features go


def blurred_face(frames: Tensor) -> Tensor:
    """Each frame without its features, (T, 3, H, W)."""
    sigma = BLUR * frames.shape[-1]
    side = 2 * int(2 * sigma) + 1
    rows = gaussian_blur(frames, [side, 1], sigma)  # one axis at a time: the library convolves with the whole square
    return gaussian_blur(rows, [1, side], sigma)


def mean_face(frames: Tensor) -> Tensor:
    """The clip's mean frame in place of every one: what moves or flickers goes, (T, 3, H, W)."""
    return frames.mean(dim=0, keepdim=True).expand_as(frames).contiguous()


def black(frames: Tensor, recipe: CropRecipe) -> Tensor:
    """Black pixels as the network reads them, (T, 3, H, W)."""
    mean, std = (frames.new_tensor(values)[:, None, None] for values in (recipe.mean, recipe.std))
    return (-mean / std).expand_as(frames).contiguous()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What it is called, and how it is made from a clip's inputs."""

    label: str
    make: Callable[[Tensor, CropRecipe], Tensor]


BASELINES = {
    "blurred": Baseline("blurred face", lambda frames, recipe: blurred_face(frames)),
    "mean": Baseline("mean face", lambda frames, recipe: mean_face(frames)),
    "black": Baseline("black", black),
}
BASELINE = "blurred"  # where none is chosen: it keeps the colours that a black one calls evidence


def all_baselines(frames: Tensor, recipe: CropRecipe) -> Tensor:
    """Every baseline, (3, T, 3, H, W)."""
    return torch.stack([baseline.make(frames, recipe) for baseline in BASELINES.values()])
