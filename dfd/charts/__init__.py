"""Figures: pure functions of data frames (the only importer of plotly).

Colour belongs to the data. Two colours mean real and fake everywhere and nothing else; corpora have a palette of their
own. Each keeps a contrast of at least 3.5 to a white and to a near-black page and is told apart without colour vision
(Okabe and Ito 2008, shifted in lightness); dash and marker say the same again. Backgrounds are transparent and fonts
are left to the page's theme.
"""

from dfd.charts.corpora import clip_counts, spread
from dfd.charts.free import (
    ALIKE,
    View,
    axes_in,
    column_label,
    figure_label,
    figures_in,
    joined,
    parts_in,
    points_of,
)
from dfd.charts.free_figure import MOST_RUNS, free_chart, parallel_coordinates
from dfd.charts.learning import curve_label, curve_names, learning_of_runs, smoothed
from dfd.charts.lengths import (
    DASHES,
    accuracy_by_length,
    chart_of_lengths,
    length_columns,
    length_points,
    metrics_in,
    own_points,
)
from dfd.charts.matrix import cross_matrix
from dfd.charts.operating import det_curves, precision_recall_curves, reliability_curves, roc_curves, score_histogram
from dfd.charts.overview import length_summary
from dfd.charts.robustness import robustness_curves, robustness_of_runs
from dfd.charts.runs import confusion, learning_curves, roc
from dfd.charts.slices import slice_figures
from dfd.charts.style import CORPUS_PALETTE, FAKE, MOST_POINTS, NEUTRAL, REAL, corpus_colours
from dfd.charts.timeline import MARGIN, AlongFrames, face_parts, frame_weights, other_orders, verdict_so_far
from dfd.charts.verdicts import ScoredFrames, p_fake_of_detectors, p_fake_over_time, verdict_scale

__all__ = [
    "ALIKE",
    "MARGIN",
    "CORPUS_PALETTE",
    "DASHES",
    "FAKE",
    "MOST_POINTS",
    "MOST_RUNS",
    "NEUTRAL",
    "REAL",
    "AlongFrames",
    "ScoredFrames",
    "View",
    "accuracy_by_length",
    "axes_in",
    "chart_of_lengths",
    "clip_counts",
    "column_label",
    "confusion",
    "corpus_colours",
    "cross_matrix",
    "curve_label",
    "curve_names",
    "det_curves",
    "face_parts",
    "figure_label",
    "figures_in",
    "frame_weights",
    "free_chart",
    "joined",
    "learning_curves",
    "learning_of_runs",
    "length_columns",
    "length_points",
    "length_summary",
    "metrics_in",
    "other_orders",
    "own_points",
    "p_fake_of_detectors",
    "p_fake_over_time",
    "parallel_coordinates",
    "parts_in",
    "points_of",
    "precision_recall_curves",
    "reliability_curves",
    "robustness_curves",
    "robustness_of_runs",
    "roc",
    "roc_curves",
    "score_histogram",
    "slice_figures",
    "smoothed",
    "spread",
    "verdict_scale",
    "verdict_so_far",
]
