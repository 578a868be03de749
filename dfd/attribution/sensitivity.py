"""Methods that read the score's gradient at, or around, the clip itself.

SmoothGrad and GradientSHAP draw random numbers: always the same ones, so that the same clip gives the same maps.

Saliency is in float32 in any case: a single gradient in bfloat16 is another map (rank correlation 0.68). The others are
means of many, and how many there are counts for more than their precision (`python -m benchmarks.precision`).
Sources: Simonyan et al. 2013 (saliency), Smilkov et al. 2017 (SmoothGrad), Lundberg and Lee 2017 (GradientSHAP).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from captum.attr import GradientShap, NoiseTunnel, Saliency
from torch import Tensor

from dfd.attribution.asked import Asked, Found
from dfd.attribution.baselines import all_baselines
from dfd.attribution.reading import Judged
from dfd.attribution.result import UNSIGNED
from dfd.attribution.view import View
from dfd.progress import Progress

NOISE = 0.15  # standard deviation / range of the inputs; Smilkov et al. find 0.1 to 0.2 best
SEVERAL = "blurred face, mean face and black"


class PixelScore:
    """Clips (B, T, 3, H, W) -> (B,) logit difference, differentiable by the pixels; it tells its progress by calls."""

    def __init__(self, view: View, calls: int, progress: Progress, what: str, *, float32: bool = False) -> None:
        self._view, self._features = view, view.pixel_features(float32=float32)
        self._calls, self._progress, self._what = calls, progress, what
        self._done = 0
        self.last: Judged | None = None  # the last clip that was asked for

    def __call__(self, clips: Tensor) -> Tensor:
        self._progress(min(1.0, self._done / self._calls), f"{self._what}, {self._done} of {self._calls}")
        self._done += len(clips)
        features = self._features(clips)
        scores = self._view.score(features)
        self.last = Judged(features[-1].detach(), scores[-1].detach())
        return scores


def saliency(asked: Asked) -> Found:
    """|gradient|, the largest of the three channels: how much the score would change with the pixel, either way."""
    pixels = asked.clip.inputs[None].clone().requires_grad_()
    score = PixelScore(asked.clip.view, 1, asked.progress, "Saliency", float32=True)
    gradient = Saliency(score).attribute(pixels)
    return Found(gradient[0].detach().amax(dim=1), target=UNSIGNED, clip=score.last, float32=True)


def smoothgrad(asked: Asked) -> Found:
    """Mean saliency of noisy copies of the clip."""
    tunnel = NoiseTunnel(Saliency(PixelScore(asked.clip.view, asked.samples, asked.progress, "SmoothGrad, copy")))
    pixels = asked.clip.inputs[None].clone().requires_grad_()
    noise = NOISE * (asked.clip.inputs.amax() - asked.clip.inputs.amin()).item()
    with _same_numbers():
        gradient = tunnel.attribute(pixels, nt_samples=asked.samples, nt_samples_batch_size=1, stdevs=noise)
    return Found(gradient[0].detach().amax(dim=1), target=UNSIGNED)


def gradient_shap(asked: Asked) -> Found:
    """Expected gradients: at random points between the clip, a little noisy, and baselines drawn from several."""
    method = GradientShap(PixelScore(asked.clip.view, asked.samples, asked.progress, "GradientSHAP, point"))
    noise = NOISE / 3 * (asked.clip.inputs.amax() - asked.clip.inputs.amin()).item()
    baselines = all_baselines(asked.clip.inputs, asked.clip.recipe)
    total = torch.zeros_like(asked.clip.inputs)
    with _same_numbers():
        for _ in range(asked.samples):  # the library holds all samples at once; the mean of single ones is the same
            total += method.attribute(asked.clip.inputs[None], baselines, n_samples=1, stdevs=noise)[0].detach()
    return Found((total / asked.samples).sum(dim=1), baseline=SEVERAL)


_drawing = threading.Lock()


@contextmanager
def _same_numbers() -> Iterator[None]:
    """Captum draws from both global generators: one thread at a time, and they are as they were afterwards."""
    before = np.random.get_state()
    with _drawing, torch.random.fork_rng():
        torch.manual_seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(before)
