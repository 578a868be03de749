"""One detector by the slices of its clips."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import NEUTRAL, styled
from dfd.glossary import metric


def slice_figures(rows: pd.DataFrame, name: str = "auc") -> go.Figure:
    """A figure of every slice with its 95 % interval, the best on top; slices without the figure are left out.

    Args:
        rows: as `Slices.rows`.
        name: "auc" or "accuracy".
    """
    look = metric(name)
    shown = rows[rows[name].notna()].sort_values(name)
    low, high = (shown[f"{name}_{end}"] for end in ("low", "high"))
    labels = [value or "not known" for value in shown["value"]]
    texts = [
        f"<b>{label}</b><br>{look.label} {look.write(row[name])}"
        + ("" if np.isnan(down) else f" (95 %: {look.write(down)} to {look.write(up)})")
        + f"<br>{row['real']} real and {row['fake']} fake clips"
        for label, row, down, up in zip(labels, shown.to_dict("records"), low, high, strict=True)
    ]
    bars = {"array": (high - shown[name]).fillna(0), "arrayminus": (shown[name] - low).fillna(0), "thickness": 2}
    figure = go.Figure(
        go.Scatter(
            x=shown[name],
            y=labels,
            mode="markers",
            marker={"color": NEUTRAL, "size": 11},
            error_x={**bars, "color": NEUTRAL, "width": 5},
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_xaxes(title=f"{look.label}, with 95 % intervals", tickformat=".0%" if look.percent else ".2f")
    figure.update_yaxes(type="category", showgrid=False, automargin=True)
    return styled(figure, height=110 + 38 * len(shown), hovermode="closest")
