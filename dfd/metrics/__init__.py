"""Point estimates, intervals and comparisons: pure functions of arrays and tables. Fake (1) is the positive class; a
clip is fake at or above the threshold.
"""

from dfd.metrics.calibration import calibrated, expected_calibration_error, fit_temperature, reliability
from dfd.metrics.figures import choose_threshold, clip_metrics, confusion, equal_error_rate, roc, tpr_at_fpr
from dfd.metrics.intervals import INTERVAL_METRICS, intervals
from dfd.metrics.paired import Difference, Paired, delong, mcnemar, paired
from dfd.metrics.resampling import People, Ranking, draws
from dfd.metrics.slices import Gap, Slices, slices

__all__ = [
    "Difference",
    "Gap",
    "INTERVAL_METRICS",
    "Paired",
    "People",
    "Ranking",
    "Slices",
    "calibrated",
    "choose_threshold",
    "clip_metrics",
    "confusion",
    "delong",
    "draws",
    "equal_error_rate",
    "expected_calibration_error",
    "fit_temperature",
    "intervals",
    "mcnemar",
    "paired",
    "reliability",
    "roc",
    "slices",
    "tpr_at_fpr",
]
