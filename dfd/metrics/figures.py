"""Point estimates at one threshold and over all. Figures come from scikit-learn; ours is the threshold's choice."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from dfd.metrics.arrays import checked
from dfd.metrics.calibration import cross_entropy, expected_calibration_error


def clip_metrics(labels: ArrayLike, p_fake: ArrayLike, threshold: float) -> dict[str, float]:
    """Figures at one threshold, of clips; of frames where each is given as a clip of one frame.

    Args:
        labels: (N,) 0 real, 1 fake; both must occur.
        p_fake: (N,) in [0, 1].
        threshold: fake at or above it.

    Returns:
        accuracy, acc_real, acc_fake, precision (0 where nothing is called fake), recall, f1, auc, average_precision,
        eer, tpr_at_fpr_1, tpr_at_fpr_5 (percent), log_loss, ece; all in [0, 1] but the log loss.
    """
    truth, scores = checked(labels, p_fake)
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
        "tpr_at_fpr_1": tpr_at_fpr(truth, scores, 0.01),
        "tpr_at_fpr_5": tpr_at_fpr(truth, scores, 0.05),
        "log_loss": cross_entropy(truth, scores),
        "ece": expected_calibration_error(truth, scores),
    }


def equal_error_rate(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """Where the false-positive and false-negative rates meet on the ROC curve, by linear interpolation."""
    fpr, tpr, _ = roc_curve(*checked(labels, p_fake), drop_intermediate=False)
    gap = (1 - tpr) - fpr
    after = int(np.argmax(gap <= 0))
    before = max(after - 1, 0)
    span = gap[before] - gap[after]
    share = 0.0 if span == 0 else gap[before] / span
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def tpr_at_fpr(labels: ArrayLike, p_fake: ArrayLike, most: float) -> float:
    """The largest share of fakes that a threshold finds while it calls at most `most` of the real clips fake.

    Not interpolated: with fewer real clips than 1 / `most` it is what is found without any false positive.
    """
    fpr, tpr, _ = roc_curve(*checked(labels, p_fake), drop_intermediate=False)
    return float(tpr[fpr <= most + 1e-12].max())


def choose_threshold(labels: ArrayLike, p_fake: ArrayLike) -> tuple[float, float]:
    """The threshold with the highest balanced accuracy, and its false-positive rate.

    Ties are settled towards the widest gap between neighbouring scores, and the threshold is put into its middle, so
    that it does not sit on a clip. To be called on validation clips, never on test.
    """
    truth, scores = checked(labels, p_fake)
    edges = np.concatenate([[0.0], np.unique(scores), [1.0]])
    candidates = (edges[:-1] + edges[1:]) / 2  # candidate i lies between level i-1 and level i
    fpr, tpr = (
        1 - np.searchsorted(np.sort(own), candidates) / len(own) for own in (scores[truth == 0], scores[truth == 1])
    )
    balanced = (tpr + 1 - fpr) / 2
    best = np.flatnonzero(np.isclose(balanced, balanced.max()))
    widest = best[np.argmax((edges[1:] - edges[:-1])[best])]
    return float(candidates[widest]), float(fpr[widest])


def roc(labels: ArrayLike, p_fake: ArrayLike) -> pd.DataFrame:
    """The ROC curve: columns fpr, tpr, threshold."""
    fpr, tpr, threshold = roc_curve(labels, p_fake, drop_intermediate=False)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold})


def confusion(labels: ArrayLike, p_fake: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """(2, 2) counts: rows the truth (real, fake), columns what was said (real, fake)."""
    truth, scores = np.asarray(labels), np.asarray(p_fake)
    return confusion_matrix(truth, (scores >= threshold).astype(int), labels=[0, 1])
