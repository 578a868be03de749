"""One run: how it learnt, and what its detector says of the test clips."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dfd.charts.style import CORPUS_PALETTE, FAKE, NEUTRAL, REAL, styled, tint
from dfd.glossary import metric


def learning_curves(history: pd.DataFrame, kind: str) -> go.Figure:
    """One run's curves by epoch: `kind` "loss" draws training and validation loss, "score" what else is validated.

    Args:
        history: metric, step, value, as from `tracking.history()`.
        kind: "loss" or "score".
    """
    splits = ("train/", "val/") if kind == "loss" else ("val/",)
    names = [name for name in sorted(history["metric"].unique()) if name.startswith(splits)]
    figure = go.Figure()
    for i, name in enumerate(name for name in names if ("loss" in name) == (kind == "loss")):
        rows = history[history["metric"] == name].sort_values("step")
        training = name.startswith("train/")
        label = metric(name.removeprefix("val/").removesuffix("_epoch")).label
        figure.add_scatter(
            x=rows["step"],
            y=rows["value"],
            name="training" if training else "validation" if kind == "loss" else label,
            mode="lines+markers",
            line={
                "color": NEUTRAL if training else CORPUS_PALETTE[i % len(CORPUS_PALETTE)],
                "dash": "dot" if training else "solid",
            },
            marker={"size": 5},
            hovertemplate="%{y:.4f}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title="Epoch", showgrid=False, tickformat="d")
    figure.update_yaxes(title="Loss" if kind == "loss" else "On validation clips")
    return styled(figure, height=300)


def confusion(matrix: NDArray[np.int64], ink: str | None = None) -> go.Figure:
    """A confusion matrix, shape (2, 2): rows what the clips are, columns what they were judged; real first.

    Each cell has its count and its share of the row, tinted in the row's colour by that share; `ink` is the colour of
    the page's text, since the theme's own for charts is too faint on a tint.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = go.Figure()
    for (row, column), share in np.ndenumerate(shares):
        box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.47, "y1": row + 0.47}
        figure.add_shape(type="rect", fillcolor=tint((REAL, FAKE)[row], 0.06 + 0.5 * share), line_width=0, **box)
        text = f"<b>{matrix[row, column]}</b><br>{share:.0%}"
        figure.add_annotation(x=column, y=row, text=text, showarrow=False, font={"size": 17, "color": ink})
    ticks: dict[str, Any] = {"tickvals": [0, 1], "showgrid": False, "ticks": "", "fixedrange": True}
    figure.update_xaxes(side="top", ticktext=["judged real", "judged fake"], range=[-0.5, 1.5], **ticks)
    figure.update_yaxes(ticktext=["real clips", "fake clips"], range=[1.5, -0.5], **ticks)
    return styled(figure, height=320)


def roc(curve: pd.DataFrame, threshold: float | None = None) -> go.Figure:
    """True against false positive rate; chance as a diagonal, and a marker where `threshold` operates.

    Args:
        curve: fpr, tpr, threshold, as from `metrics.roc()`.
        threshold: of the checkpoint; fake is called at or above it.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name="chance",
        mode="lines",
        line={"color": NEUTRAL, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=curve["fpr"],
        y=curve["tpr"],
        name="detector",
        mode="lines",
        line={"color": CORPUS_PALETTE[0], "width": 2.5},
        fill="tozeroy",
        fillcolor=tint(CORPUS_PALETTE[0], 0.08),
        customdata=curve["threshold"],
        hovertemplate="%{x:.1%} of real clips called fake<br>%{y:.1%} of fakes found<br>"
        "at threshold %{customdata:.3f}<extra></extra>",
    )
    operating = curve[curve["threshold"] >= threshold].tail(1) if threshold is not None else curve.head(0)
    if len(operating):
        figure.add_scatter(
            x=operating["fpr"],
            y=operating["tpr"],
            name=f"at threshold {threshold:.3f}",
            mode="markers",
            marker={"color": CORPUS_PALETTE[0], "size": 12, "line": {"width": 2, "color": "white"}},
            hoverinfo="name",
        )
    figure.update_xaxes(title="Real clips called fake", range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(title="Fakes found", range=[-0.02, 1.04], tickformat=".0%")
    return styled(figure, height=320, hovermode="closest")
