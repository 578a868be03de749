"""A metric against sequence length in small: a line for each corpus, however many runs there are."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dfd.charts.lengths import ALIKE, chart_of_lengths, length_points, own_points
from dfd.glossary import metric


def length_summary(runs: pd.DataFrame, name: str, colours: Mapping[str, str]) -> go.Figure:
    """The lines of `accuracy_by_length` without controls, one point for all runs (seeds) of a length: their mean.

    The band spans their 95 % intervals. A few dozen points stand for thousands of runs.

    Args:
        runs: as from `tracking.runs()`.
        name: a metric of `metrics_in(runs)`.
        colours: of all corpora, from `corpus_colours`.
    """
    points = length_points(runs, name)
    points = points[points["control"] == ""]
    ends = {"value": ("value", "mean"), "low": ("low", "min"), "high": ("high", "max")}
    means = points.groupby([*ALIKE, "line", "x"], as_index=False).agg(**ends).assign(run_id="", seed=float("nan"))
    figure = chart_of_lengths(means, own_points(runs.head(0), name), name, None, colours)
    figure.for_each_trace(lambda trace: trace.update(hovertemplate=_hover(name)), selector={"mode": "markers"})
    figure.update_yaxes(title=None)
    return figure.update_layout(height=300)


def _hover(name: str) -> str:
    look = metric(name)
    return f"%{{fullData.name}}<br>%{{x}} frames: {look.label} %{{y:{look.format}}}<extra></extra>"
