"""Figures: pure functions of data frames (the only importer of plotly).

Colour belongs to the data. Two colours mean real and fake everywhere and nothing else; corpora have a palette of their
own. Each keeps a contrast of at least 3.5 to a white and to a near-black page and is told apart without colour vision
(Okabe and Ito 2008, shifted in lightness); dash and marker say the same again. Backgrounds are transparent and fonts
are left to the page's theme.
"""

from dfd.charts.corpora import clip_counts, spread
from dfd.charts.lengths import DASHES, accuracy_by_length, length_points, metrics_in
from dfd.charts.runs import confusion, learning_curves, roc
from dfd.charts.style import CORPUS_PALETTE, FAKE, NEUTRAL, REAL, corpus_colours
from dfd.charts.verdicts import frame_importance, p_fake_over_time, verdict_scale

__all__ = [
    "CORPUS_PALETTE",
    "DASHES",
    "FAKE",
    "NEUTRAL",
    "REAL",
    "accuracy_by_length",
    "clip_counts",
    "confusion",
    "corpus_colours",
    "frame_importance",
    "learning_curves",
    "length_points",
    "metrics_in",
    "p_fake_over_time",
    "roc",
    "spread",
    "verdict_scale",
]
