"""Every detector on every corpus: rows trained on, columns tested on, each cell marked by what was met before."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import CORPUS_PALETTE, NEUTRAL, styled, tint
from dfd.glossary import metric

RELATION_COLOURS = {
    "in distribution": NEUTRAL,
    "mixed": CORPUS_PALETTE[2],
    "backbone only": CORPUS_PALETTE[1],
    "held out": CORPUS_PALETTE[0],
    "not known": CORPUS_PALETTE[5],
}
ROW = 46  # px


def cross_matrix(values: pd.DataFrame, relations: pd.DataFrame, name: str = "auc", ink: str | None = None) -> go.Figure:
    """A figure of detectors on corpora: a cell has its value and its relation, and the relation's colour.

    The deeper the colour, the higher the value among those shown. A cell without a test is empty.

    Args:
        values: (detectors, corpora), NaN where there was no test; rows by trained_on, backbone_on and detector.
        relations: the same, with a key of `RELATION_COLOURS`, or "".
        name: the figure's, such as "auc".
        ink: colour of the page's text.
    """
    look, numbers = metric(name), values.to_numpy(dtype=np.float64)
    least, most = (np.nanmin(numbers), np.nanmax(numbers)) if np.isfinite(numbers).any() else (0.0, 1.0)
    figure = go.Figure()
    for (row, column), value in np.ndenumerate(numbers):
        if np.isnan(value):
            continue
        relation = str(relations.iat[row, column])
        share = (value - least) / (most - least) if most > least else 1.0
        box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.46, "y1": row + 0.46}
        fill = tint(RELATION_COLOURS[relation], 0.1 + 0.4 * share)
        figure.add_shape(type="rect", fillcolor=fill, line_width=0, **box)
        text = f"<b>{look.write(float(value))}</b><br>{relation}"
        figure.add_annotation(x=column, y=row, text=text, showarrow=False, font={"size": 12, "color": ink})
    ticks: dict[str, Any] = {"showgrid": False, "ticks": "", "fixedrange": True, "automargin": True}
    rows, columns = numbers.shape
    tested = [f"tested on {corpus}" for corpus in values.columns]
    figure.update_xaxes(
        side="top", tickvals=list(range(columns)), ticktext=tested, range=[-0.5, columns - 0.5], **ticks
    )
    named = [row_name(*index) for index in values.index]
    figure.update_yaxes(tickvals=list(range(rows)), ticktext=named, range=[rows - 0.5, -0.5], **ticks)
    return styled(figure, height=60 + ROW * rows)


def row_name(trained_on: str, backbone_on: str, detector: str) -> str:
    """A detector, and what it was trained on, in two lines."""
    backbone = f", its backbone on {backbone_on}" if backbone_on not in ("", trained_on) else ""
    return f"{detector}<br>trained on {trained_on}{backbone}" if trained_on else f"{detector}<br>training not known"
