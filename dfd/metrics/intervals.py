"""95 % intervals of the figures, by the bootstrap over identities of `dfd.metrics.resampling`.

Not every figure gets one, since the bootstrap is not sound for all. How often intervals hold the truth was simulated
(benchmarks/coverage.py, 20 to 150 people):

- The expected calibration error is too high for few clips, and a resample, which has fewer different clips still, is
  higher again: the whole interval lies above the truth, which it held in 0 to 5 % of the cases. It has none.
- The share of fakes found at a small false-positive rate hangs on the highest-scoring real clips. Where the rate allows
  fewer than `FEWEST` people's, that is nearly their maximum, for which the bootstrap is known to fail (Bickel &
  Freedman 1981): it held the truth in 61 to 90 % of the cases, beyond in 93 to 96 %.
- Average precision has one, which is somewhat too sure with few people (86 % with 20 to 30, 91 to 93 % from 40 on).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dfd.metrics.arrays import Floats, Ints, checked
from dfd.metrics.calibration import NEAREST
from dfd.metrics.ranking import Ranking
from dfd.metrics.resampling import People, draws

RESAMPLES = 10_000
INTERVAL_METRICS = (
    "accuracy", "acc_real", "acc_fake", "precision", "recall", "f1", "auc", "average_precision", "eer",
    "tpr_at_fpr_1", "tpr_at_fpr_5", "log_loss",
)  # fmt: skip
FEWEST = 2  # of the people with real clips, who may be called fake
RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_5": 0.05}


def intervals(
    labels: ArrayLike,
    p_fake: ArrayLike,
    people: People | Sequence[str],
    threshold: float,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals over people, which are what was sampled: clips of one person go together.

    Args:
        labels, p_fake, threshold: as for `clip_metrics`.
        people: whose the clips are; (N,) names where each clip has one person.

    Returns:
        (low, high) for each of `INTERVAL_METRICS`, but for the rates of `RATES` where they allow too few people.

    Raises:
        ValueError: too few people for an interval.
    """
    truth, scores = checked(labels, p_fake)
    owners = people if isinstance(people, People) else People.of(people)
    ranking, sums = Ranking.of(truth, scores), _summands(truth, scores, threshold)
    blocks = [
        {**_rates(sums @ weights), **ranking.figures(weights)} for weights in draws(owners, truth, resamples, seed)
    ]
    of_real = len(np.unique(owners.first[truth == 0]))
    told = [name for name in INTERVAL_METRICS if name not in RATES or RATES[name] * of_real >= FEWEST]
    return {name: interval(np.concatenate([block[name] for block in blocks]), level) for name in told}


def interval(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of resampled values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _summands(truth: Ints, scores: Floats, threshold: float) -> Floats:
    """(5, N): each clip's part in true negatives, false positives, false negatives, true positives and log loss."""
    said = scores >= threshold
    sure = np.clip(np.where(truth == 1, scores, 1 - scores), NEAREST, 1 - NEAREST)
    cells = [(truth == label) & (said == call) for label in (0, 1) for call in (False, True)]
    return np.stack([*(cell.astype(np.float64) for cell in cells), -np.log(sure)])


def _rates(sums: Floats) -> dict[str, Floats]:
    """(5, B) weighted sums of `_summands` -> figures (B,)."""
    right_real, wrong_real, wrong_fake, right_fake, loss = sums
    clips, called = sums[:4].sum(axis=0), right_fake + wrong_real
    recall = right_fake / (right_fake + wrong_fake)
    return {
        "accuracy": (right_real + right_fake) / clips,
        "acc_real": right_real / (right_real + wrong_real),
        "acc_fake": recall,
        "precision": np.divide(right_fake, called, out=np.zeros_like(called), where=called > 0),
        "recall": recall,
        "f1": 2 * right_fake / (right_fake + wrong_fake + called),
        "log_loss": loss / clips,
    }
