"""Point estimates, intervals and comparisons: pure functions of arrays and tables. Fake (1) is the positive class; a
clip is fake at or above the threshold.
"""

from dfd.metrics.calibration import calibrated, expected_calibration_error, fit_temperature, reliability
from dfd.metrics.figures import choose_threshold, clip_metrics, confusion, equal_error_rate, roc, tpr_at_fpr
from dfd.metrics.intervals import INTERVAL_METRICS, intervals
from dfd.metrics.operating import (
    OperatingPoint,
    detection_error_tradeoff,
    deviates,
    operating_point,
    precision_recall,
    score_histogram,
    thinned,
)
from dfd.metrics.paired import Difference, Paired, delong, mcnemar, paired
from dfd.metrics.ranking import Ranking
from dfd.metrics.resampling import People, draws
from dfd.metrics.slices import Gap, Slices, columns_to_slice_by, slices

__all__ = [
    "Difference",
    "Gap",
    "INTERVAL_METRICS",
    "OperatingPoint",
    "Paired",
    "People",
    "Ranking",
    "Slices",
    "calibrated",
    "choose_threshold",
    "clip_metrics",
    "columns_to_slice_by",
    "confusion",
    "delong",
    "detection_error_tradeoff",
    "deviates",
    "draws",
    "equal_error_rate",
    "expected_calibration_error",
    "fit_temperature",
    "intervals",
    "mcnemar",
    "operating_point",
    "paired",
    "precision_recall",
    "reliability",
    "roc",
    "score_histogram",
    "slices",
    "thinned",
    "tpr_at_fpr",
]
