"""Point estimates and intervals: pure functions of arrays. Fake (1) is the positive class; a clip is fake at or above
the threshold.

Figures come from scikit-learn; ours are the threshold's choice and the bootstrap over identities.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

Floats = NDArray[np.float64]
INTERVAL_METRICS = ("auc", "accuracy")


def clip_metrics(labels: ArrayLike, p_fake: ArrayLike, threshold: float) -> dict[str, float]:
    """Clip-level figures at one threshold.

    Args:
        labels: (N,) 0 real, 1 fake; both must occur.
        p_fake: (N,) in [0, 1].
        threshold: fake at or above it.

    Returns:
        accuracy, acc_real, acc_fake, precision, recall, f1, auc, average_precision, eer, log_loss; all in [0, 1] but
        the last.
    """
    truth, scores = _checked(labels, p_fake)
    said = (scores >= threshold).astype(int)
    return {
        "accuracy": float((said == truth).mean()),
        "acc_real": float((said[truth == 0] == 0).mean()),
        "acc_fake": float((said[truth == 1] == 1).mean()),
        "precision": float(precision_score(truth, said, zero_division=0)),
        "recall": float(recall_score(truth, said)),
        "f1": float(f1_score(truth, said)),
        "auc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "eer": equal_error_rate(truth, scores),
        "log_loss": float(log_loss(truth, np.clip(scores, 1e-7, 1 - 1e-7))),
    }


def equal_error_rate(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """Where the false-positive and false-negative rates meet on the ROC curve, by linear interpolation."""
    fpr, tpr, _ = roc_curve(labels, p_fake, drop_intermediate=False)
    gap = (1 - tpr) - fpr
    after = int(np.argmax(gap <= 0))
    before = max(after - 1, 0)
    span = gap[before] - gap[after]
    share = 0.0 if span == 0 else gap[before] / span
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def choose_threshold(labels: ArrayLike, p_fake: ArrayLike) -> tuple[float, float]:
    """The threshold with the highest balanced accuracy, and its false-positive rate.

    Ties are settled towards the widest gap between neighbouring scores, and the threshold is put into its middle, so
    that it does not sit on a clip. To be called on validation clips, never on test.
    """
    truth, scores = _checked(labels, p_fake)
    levels = np.unique(scores)
    edges = np.concatenate([[0.0], levels, [1.0]])
    candidates = (edges[:-1] + edges[1:]) / 2  # candidate i lies between level i-1 and level i
    said = scores[None, :] >= candidates[:, None]
    tpr = said[:, truth == 1].mean(axis=1)
    fpr = said[:, truth == 0].mean(axis=1)
    balanced = (tpr + 1 - fpr) / 2
    best = np.flatnonzero(np.isclose(balanced, balanced.max()))
    widest = best[np.argmax((edges[1:] - edges[:-1])[best])]
    return float(candidates[widest]), float(fpr[widest])


def intervals(
    labels: ArrayLike,
    p_fake: ArrayLike,
    groups: Sequence[str],
    threshold: float,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap over groups (identities), which are what was sampled: clips of one person go together.

    Args:
        labels, p_fake, threshold: as for `clip_metrics`.
        groups: (N,) the identity of each clip.

    Returns:
        (low, high) for `auc` and `accuracy`. Resamples with one class only are drawn again.
    """
    truth, scores = _checked(labels, p_fake)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    counts = group.max() + 1
    rng = np.random.default_rng(seed)
    order = np.argsort(scores, kind="stable")
    drawn: dict[str, list[float]] = {name: [] for name in INTERVAL_METRICS}
    correct = (scores >= threshold).astype(int) == truth
    attempts = 0
    while len(drawn["auc"]) < resamples and attempts < 20 * resamples:
        attempts += 1
        weights = np.bincount(rng.integers(0, counts, counts), minlength=counts)[group].astype(float)
        if weights[truth == 1].sum() == 0 or weights[truth == 0].sum() == 0:
            continue
        drawn["accuracy"].append(float(np.average(correct, weights=weights)))
        drawn["auc"].append(_weighted_auc(truth[order], scores[order], weights[order]))
    if len(drawn["auc"]) < resamples:
        raise ValueError("too few identities of one class for a bootstrap interval")
    tail = (1 - level) / 2
    return {
        name: (float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))) for name, values in drawn.items()
    }


def roc(labels: ArrayLike, p_fake: ArrayLike) -> pd.DataFrame:
    """The ROC curve: columns fpr, tpr, threshold."""
    fpr, tpr, threshold = roc_curve(labels, p_fake, drop_intermediate=False)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold})


def confusion(labels: ArrayLike, p_fake: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """(2, 2) counts: rows the truth (real, fake), columns what was said (real, fake)."""
    truth, scores = np.asarray(labels), np.asarray(p_fake)
    return confusion_matrix(truth, (scores >= threshold).astype(int), labels=[0, 1])


def _weighted_auc(truth: NDArray[np.int64], scores: Floats, weights: Floats) -> float:
    """Mann-Whitney AUC of sorted scores with clip weights; ties count half (roc_auc_score is 50 times slower here)."""
    starts = np.flatnonzero(np.r_[True, np.diff(scores) > 0])
    real = np.add.reduceat(weights * (truth == 0), starts)
    fake = np.add.reduceat(weights * (truth == 1), starts)
    below = np.cumsum(real) - real
    return float((fake * (below + real / 2)).sum() / (real.sum() * fake.sum()))


def _checked(labels: ArrayLike, p_fake: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    truth = np.asarray(labels, dtype=np.int64)
    scores = np.asarray(p_fake, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and p_fake {scores.shape} must be one-dimensional and equally long")
    if not np.isfinite(scores).all():
        raise ValueError("p_fake has values that are not numbers")
    if set(np.unique(truth)) != {0, 1}:
        raise ValueError("both real and fake clips are needed")
    return truth, scores
