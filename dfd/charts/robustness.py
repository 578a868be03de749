"""Figures of a detector as its clips grow worse, a panel for each kind of change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dfd.charts.style import CORPUS_PALETTE, NEUTRAL, run_look, styled, tint
from dfd.glossary import Metric, metric

COLUMNS = 3  # panels side by side
PANEL = 265  # px


def robustness_curves(table: pd.DataFrame, name: str = "auc", colour: str = CORPUS_PALETTE[0]) -> go.Figure:
    """A figure against the level of each kind, with its 95 % interval as a band, and the untouched clips' as a line.

    All panels have one vertical axis, so that kinds can be compared; levels of different kinds can not.

    Args:
        table: as `Curves.table`; a figure without an interval has no band.
        name: one of its figures, such as "auc".
        colour: of the corpus the clips are of.
    """
    panels = _panels(table)
    figure = _empty(panels, metric(name))
    for number, curve in enumerate(panels):
        traces = _curve(curve, name, metric(name), colour, first=number == 0)
        figure.add_traces(traces, rows=number // COLUMNS + 1, cols=number % COLUMNS + 1)
    return figure


def robustness_of_runs(tables: Mapping[str, pd.DataFrame], name: str = "auc") -> go.Figure:
    """The same of several detectors, a line each; the untouched clips are the first point of every panel.

    Args:
        tables: of each, by its name, as `Curves.table`; the order gives the colours.
        name: one of its figures.
    """
    panels = _panels(pd.concat(list(tables.values())).drop_duplicates(["kind", "level"]).sort_values("level"))
    figure, look = _empty(panels, metric(name)), metric(name)
    for number, panel in enumerate(panels):
        place = {"rows": number // COLUMNS + 1, "cols": number % COLUMNS + 1}
        kinds = set(panel["kind"])
        for at, (run, table) in enumerate(tables.items()):
            curve = table[table["kind"].isin(kinds)].sort_values("level")
            stroke, values = run_look(at), curve[name]
            line = go.Scatter(
                x=curve["level"],
                y=values,
                name=run,
                legendgroup=run,
                mode="lines+markers",
                line={**stroke, "width": 2.25},
                marker={"size": 7},
                text=_texts(curve, name, look, run),
                hovertemplate="%{text}<extra></extra>",
                showlegend=number == 0,
            )
            low, high = _ends(curve, name)
            band = _band(curve["level"], low, high, stroke["color"], showlegend=False, legendgroup=run)
            figure.add_traces([*([] if low.isna().all() else [band]), line], **place)
    legend = {"orientation": "v", "yanchor": "top", "y": -0.3 / max(1, -(-len(panels) // COLUMNS)), "x": 0}
    return figure.update_layout(legend=legend, height=figure.layout.height + 24 * len(tables))


def _panels(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each kind of change, after those of the untouched clips."""
    untouched = table[table["level"] == 0]
    return [pd.concat([untouched, rows]) for _, rows in table[table["level"] > 0].groupby("kind", sort=False)]


def _empty(panels: list[pd.DataFrame], look: Metric) -> go.Figure:
    """A figure with a panel for each kind, three side by side."""
    if not panels:
        return styled(go.Figure(), height=PANEL)
    rows, columns = -(-len(panels) // COLUMNS), min(COLUMNS, len(panels))
    figure = make_subplots(
        rows,
        columns,
        shared_yaxes="all",
        subplot_titles=[panel["label"].iloc[-1] for panel in panels],
        vertical_spacing=0.42 / rows,
        horizontal_spacing=0.04,
    )
    for number, curve in enumerate(panels):
        ticks = [
            "none" if level == 0 else f"{value:g}" for level, value in zip(curve["level"], curve["value"], strict=True)
        ]
        figure.update_xaxes(
            title=curve["scale"].iloc[-1],
            tickvals=curve["level"],
            ticktext=ticks,
            showgrid=False,
            row=number // columns + 1,
            col=number % columns + 1,
        )
    figure.update_yaxes(tickformat=".0%" if look.percent else ".2f")
    figure.update_yaxes(title=look.label, col=1)
    return styled(figure, height=PANEL * rows + 70, hovermode="closest").update_layout(
        margin={"t": 40}, legend={"y": 1 + 0.16 / rows}
    )


def _ends(curve: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    low, high = (curve.get(f"{name}_{end}", pd.Series(np.nan, curve.index)) for end in ("low", "high"))
    return low, high


def _texts(curve: pd.DataFrame, name: str, look: Metric, run: str = "") -> list[str]:
    low, high = _ends(curve, name)
    return [
        (f"<b>{run}</b><br>" if run else "")
        + f"<b>{row['label']}</b>, {row['setting']}<br>{look.label} {look.write(row[name])}"
        + ("" if np.isnan(down) else f" (95 %: {look.write(down)} to {look.write(up)})")
        for row, down, up in zip(curve.to_dict("records"), low, high, strict=True)
    ]


def _band(levels: pd.Series, low: pd.Series, high: pd.Series, colour: str, **more: Any) -> go.Scatter:
    return go.Scatter(
        x=[*levels, *levels[::-1]],
        y=[*high, *low[::-1]],
        name="95 % interval",
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=tint(colour, 0.14),
        hoverinfo="skip",
        **more,
    )


def _curve(curve: pd.DataFrame, name: str, look: Metric, colour: str, *, first: bool) -> list[go.Scatter]:
    """Band, reference and line of one panel; the first panel's stand in the legend for all."""
    levels, values = curve["level"], curve[name]
    low, high = _ends(curve, name)
    texts = _texts(curve, name, look)
    band = _band(levels, low, high, colour, showlegend=first)
    reference = go.Scatter(
        x=[levels.min(), levels.max()],
        y=[values.iloc[0]] * 2,
        name="untouched",
        mode="lines",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
        showlegend=first,
    )
    line = go.Scatter(
        x=levels,
        y=values,
        name="changed",
        mode="lines+markers",
        line={"color": colour, "width": 2.5},
        marker={"size": 8},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        showlegend=first,
    )
    return [*([] if low.isna().all() else [band]), reference, line]
