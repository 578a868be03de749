"""Attacks that know a detector: every pixel is moved by at most epsilon, so that the detector doubts the truth.

FGSM is one step of epsilon along the sign of the gradient (Goodfellow et al. 2015). PGD starts at a random place within
epsilon and takes many small steps, each followed by the way back into bounds (Madry et al. 2018). Both go through the
whole detector, over all frames at once, and climb the logit difference fake - real against the truth. Cross-entropy
rises strictly with it, so the signs are the same, and they do not fade where the detector is sure.

Pixels are those of the face crops, in [0, 255], before the detector's own normalisation; epsilon counts in the same
unit, so that epsilon 1 is the literature's 1/255. They stay fractions: a file of 8 bits could not hold an epsilon below
one half, and the curve there says how near the detector's boundary is, not what an upload could do.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dfd.attribution.view import View
from dfd.corruptions import Levels
from dfd.models import to_input
from dfd.models.contract import ClipModel
from dfd.recipe import CropRecipe

STEPS = 10  # of PGD
REACH = 2.5  # epsilons that PGD's steps add up to: any place within bounds is reached from any other

_EPSILONS = (0.25, 0.5, 1, 2, 4)
LEVELS: dict[str, Levels] = {
    "fgsm": Levels("FGSM", "epsilon (1/255)", "epsilon {:g}/255", _EPSILONS),
    "pgd": Levels("PGD", "epsilon (1/255)", "epsilon {:g}/255", _EPSILONS),
}


class Target:
    """A detector as an attack sees it; the detector itself is not touched: no mode, gradient or hook of it changes."""

    def __init__(self, model: ClipModel, recipe: CropRecipe, device: torch.device) -> None:
        self._view = View(model, device, stop=lambda: False)
        self._features = self._view.pixel_features()
        self._recipe = recipe
        self.device = device

    def score(self, clips: Tensor) -> Tensor:
        """Pixels (B, T, S, S, 3) in [0, 255], in the order they are read -> (B,) logit difference fake - real.

        Where there are more frames than memory is for, they are gone through in parts, and again on the way back.
        """
        return self._view.score(self._features(to_input(clips, self._recipe)))

    def away(self, clips: Tensor, labels: Tensor) -> Tensor:
        """The direction, -1, 0 or 1 a pixel, in which the score leaves the truth: up for real clips, down for fakes.

        Args:
            clips: as for `score`.
            labels: (B,) 1 = fake.
        """
        with torch.inference_mode(False), torch.enable_grad():
            pixels = clips.clone().requires_grad_()
            against = (1 - 2 * labels) @ self.score(pixels)
            (gradient,) = torch.autograd.grad(against, pixels)
        return gradient.sign()


def attack(
    target: Target,
    clips: Tensor,
    labels: Tensor,
    kind: str,
    level: int,
    generators: Sequence[Generator],
    *,
    steps: int = STEPS,
) -> Tensor:
    """Clips attacked at a level of one kind; arguments and result as of `fgsm`.

    Args:
        kind: a key of `LEVELS`.
        level: 1 to 5.
        generators: one for each clip, see `corruptions.generator_of`; PGD starts where they say.
        steps: of PGD.

    Raises:
        ValueError: there is no such kind or level.
    """
    if kind not in LEVELS:
        raise ValueError(f"unknown attack '{kind}'; choose one of {', '.join(LEVELS)}")
    epsilon = LEVELS[kind].value(level)
    if kind == "fgsm":
        return fgsm(target, clips, labels, epsilon)
    start = torch.stack([random_start(tuple(clips.shape[1:]), generator) for generator in generators])
    return pgd(target, clips, labels, epsilon, start, steps=steps)


def fgsm(target: Target, clips: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Clips after one step of epsilon.

    Args:
        clips: (B, T, S, S, 3) uint8 or float, in the order the detector reads them.
        labels: (B,) 1 = fake.
        epsilon: at least 0, in grey levels of 255.

    Returns:
        float32 of the same shape on the target's device, within epsilon of the clips and within [0, 255].
    """
    clean, truth = _given(target, clips, labels)
    return _bounded(clean + epsilon * target.away(clean, truth), clean, epsilon)


def pgd(target: Target, clips: Tensor, labels: Tensor, epsilon: float, start: Tensor, *, steps: int = STEPS) -> Tensor:
    """Clips after `steps` steps of `step_size(epsilon, steps)`; arguments and result as of `fgsm`.

    Args:
        start: the clips' shape, in [-1, 1]: where it begins, in epsilons.
    """
    clean, truth = _given(target, clips, labels)
    moved = _bounded(clean + epsilon * start.to(target.device), clean, epsilon)
    for _ in range(steps):
        moved = _bounded(moved + step_size(epsilon, steps) * target.away(moved, truth), clean, epsilon)
    return moved


def step_size(epsilon: float, steps: int) -> float:
    """How far one step of PGD goes, in grey levels of 255."""
    return REACH * epsilon / steps


def random_start(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Where PGD begins on a clip: float32 of this shape, uniform in [-1, 1]."""
    return 2 * torch.rand(shape, generator=generator) - 1


def setting(kind: str, level: int, steps: int) -> str:
    """A level in words, with the steps that lead there."""
    epsilon = LEVELS[kind].value(level)
    count, size = (1, epsilon) if kind == "fgsm" else (steps, step_size(epsilon, steps))
    return f"{LEVELS[kind].setting(level)}, {count} {'step' if count == 1 else 'steps'} of {size:g}/255"


def _given(target: Target, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return clips.to(target.device).float(), labels.to(target.device).float()


def _bounded(moved: Tensor, clean: Tensor, epsilon: float) -> Tensor:
    """The nearest pixels within epsilon of the clean ones and within [0, 255]."""
    return torch.minimum(torch.maximum(moved, clean - epsilon), clean + epsilon).clamp(0, 255)
