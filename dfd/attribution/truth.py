"""Is a map true? Against a known mask, against the network's own answers, and against weights that know nothing.

With a mask, of what was manipulated: pointing game (Zhang et al. 2018), energy within it (Wang et al. 2020), overlap.
Without: deletion and insertion (Petsiuk et al. 2018), infidelity and max-sensitivity (Yeh et al. 2019), and the
model-randomisation check (Adebayo et al. 2018). Two maps that know nothing of the network are the controls: random
numbers, and the picture's own edges.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from captum.metrics import sensitivity_max
from numpy.typing import NDArray
from scipy import ndimage, special, stats
from torch import Tensor, nn

from dfd.attribution.reading import Reading
from dfd.models.contract import ClipModel
from dfd.overlays import LUMA

SQUARE = 0.25  # side of one / side of the crop
RADIUS = 0.02  # of max-sensitivity, in units of the input's range

Explain = Callable[[Tensor], Tensor]
"""From a clip's inputs (T, 3, H, W) to its maps (T, H, W)."""


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """A map against what was manipulated, mean over the frames that have a mask; NaN where none has."""

    pointing: float  # share of frames whose strongest pixel lies in the mask
    energy: float  # share of the map's positive part that lies in the mask
    iou: float  # of the mask and as many of the strongest pixels
    area: float  # of the mask: what `pointing` and `energy` of a map without knowledge come to


@dataclass(frozen=True, slots=True)
class Curves:
    """p of the decision while the pixels that speak for it are taken away, or given back, strongest first."""

    fractions: NDArray[np.float64]  # (N,) of the pixels, 0 to 1
    deletion: NDArray[np.float64]  # (N,)
    insertion: NDArray[np.float64]  # (N,)

    @property
    def deletion_area(self) -> float:
        """Area under it: the lower, the truer the map."""
        return float(np.trapezoid(self.deletion, self.fractions))

    @property
    def insertion_area(self) -> float:
        """Area under it: the higher, the truer the map."""
        return float(np.trapezoid(self.insertion, self.fractions))


def against_mask(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> MaskFigures:
    """What of a map's evidence for fake, its positive part, lies where the clip was manipulated.

    Args:
        maps: (T, H, W), positive for fake.
        masks: (T, H, W); frames without any mask are left out.
    """
    seen = masks.any(axis=(1, 2))
    if not seen.any():
        return MaskFigures(*[float("nan")] * 4)
    inside = masks[seen].reshape(seen.sum(), -1)
    evidence = maps[seen].clip(min=0).reshape(inside.shape).astype(np.float64)
    total = evidence.sum(axis=1)
    # Maps of windows have many strongest pixels: what counts is how many of them are right. A frame that speaks for
    # real alone points nowhere, and no share of it is right.
    strongest = (evidence == evidence.max(axis=1, keepdims=True)) & (total > 0)[:, None]
    pointing = (inside & strongest).sum(axis=1) / strongest.sum(axis=1).clip(min=1)
    energy = np.divide((evidence * inside).sum(axis=1), total, out=np.zeros(len(total)), where=total > 0)
    return MaskFigures(
        pointing=float(pointing.mean()),
        energy=float(energy.mean()),
        iou=float(np.mean([_overlap(*pair) for pair in zip(evidence, inside, strict=True)])),
        area=float(inside.mean()),
    )


def _overlap(evidence: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    count = int(inside.sum())
    strongest = np.argpartition(evidence, -count)[-count:]
    chosen = np.zeros(len(inside), np.bool_)
    chosen[strongest[evidence[strongest] > 0]] = True
    return float((chosen & inside).sum() / (chosen | inside).sum())


def random_map(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A control: uniform numbers in [0, 1), the same for the same seed."""
    return np.random.default_rng(seed).random(shape, np.float32)


def edge_map(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A control: how steep the picture's luminance is (Sobel), (T, S, S, 3) uint8 -> (T, S, S), none of it negative."""
    grey = crops.astype(np.float32) @ LUMA
    return np.hypot(ndimage.sobel(grey, axis=1), ndimage.sobel(grey, axis=2))


def curves(reading: Reading, maps: NDArray[np.float32], steps: int, *, signed: bool = True) -> Curves:
    """Deletion and insertion by a map, of the same share of pixels in every frame at once, replaced by the baseline.

    Args:
        maps: (T, H, W) in the order read, positive for fake; of a clip that is judged real the negative part counts.
        steps: from none of the pixels to all; all but the two ends cost two passes of the network each.
        signed: False for maps that say how much, not which way: their largest values come first for either decision.
    """
    view, inputs, baseline = reading.view, reading.inputs, reading.baseline
    whole, nothing = view.score_in_parts(torch.stack([reading.features, reading.baseline_features])).tolist()
    side = 1.0 if whole >= 0 else -1.0
    strength = torch.from_numpy(np.ascontiguousarray(maps * side if signed else maps)).to(inputs.device).flatten(1)
    rank = strength.argsort(dim=1, descending=True).argsort(dim=1).view(len(maps), 1, *maps.shape[1:])
    count = strength.shape[1]
    fractions = np.linspace(0, 1, steps + 1)
    strongest = [rank < round(share * count) for share in fractions[1:-1]]
    mixed = [torch.where(some, baseline, inputs) for some in strongest]
    mixed += [torch.where(some, inputs, baseline) for some in strongest]
    scores = view.score_in_parts(torch.stack([view.features(clip) for clip in mixed])).tolist() if mixed else []
    deleted, inserted = scores[: len(strongest)], scores[len(strongest) :]
    return Curves(
        fractions,
        deletion=_sigmoid(side, [whole, *deleted, nothing]),
        insertion=_sigmoid(side, [nothing, *inserted, whole]),
    )


def _sigmoid(side: float, scores: list[float]) -> NDArray[np.float64]:
    return special.expit(side * np.array(scores))


@dataclass(frozen=True, slots=True)
class Squares:
    """What a clip's score loses where a square of it, in all frames at once, is filled from the baseline."""

    places: NDArray[np.bool_]  # (N, S, S)
    lost: NDArray[np.float64]  # (N,) logits, score - score without the square


def squares(reading: Reading, count: int, seed: int = 0) -> Squares:
    """So many squares anywhere; each costs a pass of the network, and serves every map of the clip."""
    generator = np.random.default_rng(seed)
    view, inputs, side = reading.view, reading.inputs, reading.inputs.shape[-1]
    window = max(1, round(SQUARE * side))
    places = np.zeros((count, side, side), np.bool_)
    for one in places:
        top, left = generator.integers(0, side - window + 1, 2)
        one[top : top + window, left : left + window] = True
    there = torch.from_numpy(places).to(inputs.device)
    without = torch.stack([view.features(torch.where(one, reading.baseline, inputs)) for one in there])
    scores = view.score_in_parts(torch.cat([reading.features[None], without])).double().cpu().numpy()
    return Squares(places, scores[0] - scores[1:])


def infidelity_of(maps: NDArray[np.float32], known: Squares) -> float:
    """Mean squared difference between what the map says a square is worth and what the score loses without it.

    The map is scaled to fit best, as by Captum's `normalize`, so that maps without a unit can be compared; divided by
    the mean squared loss, so that 0 is a true map and 1 one that says nothing.

    Args:
        maps: (T, S, S), of the clip whose squares are known.
    """
    said = known.places.reshape(len(known.places), -1) @ maps.sum(axis=0, dtype=np.float64).ravel()
    fit = float(said @ known.lost) / max(float(said @ said), 1e-30)
    return float(np.mean((fit * said - known.lost) ** 2) / max(np.mean(known.lost**2), 1e-12))


def sensitivity_of(explain: Explain, inputs: Tensor, maps: NDArray[np.float32], neighbours: int) -> float:
    """Largest relative change of the maps by a perturbation of the clip too small to see.

    Args:
        maps: (T, H, W), what `explain` makes of the inputs.
        neighbours: perturbed clips to explain.
    """
    known = torch.from_numpy(maps).to(inputs.device)
    radius = RADIUS * (inputs.amax() - inputs.amin()).item()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = sensitivity_max(
            lambda clips: torch.stack([known if torch.equal(clip, inputs) else explain(clip) for clip in clips[0]]),
            inputs[None],
            perturb_radius=radius,
            n_perturb_samples=neighbours,
            max_examples_per_batch=1,
        )
    return float(found)


def randomised(model: ClipModel, seed: int = 2018) -> ClipModel:
    """A copy with new random weights in every layer and norms as untrained ones have them; in eval mode."""
    forgotten = copy.deepcopy(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in forgotten.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset) and isinstance(module, nn.Module):
                reset()
    return forgotten.eval()


def rank_correlation(maps: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Spearman's correlation of |a|, mean over frames: near 1, the map did not need what the network had learnt."""
    pairs = zip(np.abs(maps), np.abs(others), strict=True)
    found = [stats.spearmanr(one, other, axis=None).statistic for one, other in pairs if np.ptp(one) and np.ptp(other)]
    return float(np.mean(found)) if found else 0.0
