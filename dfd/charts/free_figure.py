"""Any figure against anything, drawn: runs as points, their mean as a line, intervals as bands or bars; and parallel
coordinates of parameters and a figure.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dfd.charts.free import NOT_TOLD, View, column_label, figure_label, joined, looks
from dfd.charts.lengths import DASHES, OPENS_RUN, REFERENCES
from dfd.charts.style import CORPUS_PALETTE, NEUTRAL, RUN_DASHES, share, styled, tint
from dfd.glossary import Metric, metric
from dfd.metrics import thinned

COLUMNS = 3  # panels side by side
PANEL = 300  # px, where there are several
MOST_TICKS = 12  # values of x; with more the axis chooses its own ticks
FEW_LINES = 4  # up to here intervals are bands; of more, bars
MOST_RUNS = 1000  # lines of parallel coordinates


def free_chart(
    points: pd.DataFrame, view: View, corpora: list[str], references: Mapping[str, pd.DataFrame] | None = None
) -> go.Figure:
    """A figure against what the view asks for; runs alike in colour, facet and group are joined through their mean.

    At most `MOST_POINTS` runs are drawn as points, evenly taken; lines and intervals are of all. Points carry their run
    id as `customdata[0]`. Others' figures are hollow and never joined.

    Args:
        points: as from `points_of(table, view)`.
        corpora: of the whole store, for their colours.
        references: rows with x, value and text, by the name of their series.
    """
    look, panels = metric(view.y.partition("/")[2]), list(points.groupby("facet", sort=True))
    categories = [] if pd.api.types.is_numeric_dtype(points["at"]) else sorted(points["at"].unique())
    places = [*categories, *(_others(references, categories) if categories else ())]
    figure = _empty(panels, view)
    styles, bands = looks(points, view, corpora), points["line"].nunique() <= FEW_LINES
    dashes = {rest: RUN_DASHES[i % len(RUN_DASHES)] for i, rest in enumerate(_rests(points))}
    for number, (_, panel) in enumerate(panels):
        place = {"rows": number // COLUMNS + 1, "cols": number % COLUMNS + 1}
        traces: list[go.Scatter] = []
        for _, line in panel.groupby("line", sort=False) if joined(points) else ():
            dash = dashes[line["rest"].iloc[0]]
            traces += _line(line, styles[line["colour"].iloc[0]][0], dash, band=bands, join=not categories)
        drawn = thinned(panel.sort_values(["x", "run_id"]), share(len(panel), len(points)))
        for colour, rows in drawn.groupby("colour", sort=True):
            traces.append(_points(rows, styles[str(colour)], look, view))
        for series, rows in (references or {}).items():
            traces.append(_reference(series, rows, places, shown=number == 0))
        figure.add_traces(traces, **place)
    figure.add_traces(_legend(points, styles, dashes if not categories and joined(points) else {}))
    ticks = {"tickvals": list(range(len(places))), "ticktext": places} if categories else _few_ticks(points)
    figure.update_xaxes(title=column_label(view.x), showgrid=False, matches="x", **ticks)
    figure.update_yaxes(tickformat=".0%" if look.percent else ".2f")
    figure.update_yaxes(title=figure_label(view.y), col=1)
    return figure


def parallel_coordinates(table: pd.DataFrame, columns: list[str], name: str, ink: str | None = None) -> go.Figure:
    """A line a run through an axis for each column and, last, the figure, which colours it.

    At most `MOST_RUNS` runs, evenly taken along the figure. A column that is no number has its values in order.

    Args:
        table: runs with the columns and the figure; those without the figure, or a number, are left out.
        ink: colour of the page's text.
    """
    numbers = [column for column in columns if pd.api.types.is_numeric_dtype(table[column])]
    rows = thinned(table.dropna(subset=[name, *numbers]).sort_values(name), MOST_RUNS)
    look = metric(name.partition("/")[2])
    axes = [_axis(rows[column], column_label(column)) for column in columns]
    values = rows[name].astype(float)
    axes.append({"label": figure_label(name), "values": values, "tickformat": ".0%" if look.percent else ".2f"})
    scale = [[0, tint(NEUTRAL, 1)], [1, CORPUS_PALETTE[0]]]
    line = {"color": values, "colorscale": scale, "showscale": False}
    fonts: dict[str, Any] = {name: {"color": ink} for name in ("labelfont", "tickfont", "rangefont")}
    figure = go.Figure(go.Parcoords(dimensions=axes, line=line, **fonts))
    return styled(figure, height=460).update_layout(margin={"t": 60, "l": 120, "r": 60, "b": 24})


def _empty(panels: list[tuple[Any, pd.DataFrame]], view: View) -> go.Figure:
    rows, columns = max(1, -(-len(panels) // COLUMNS)), max(1, min(COLUMNS, len(panels)))
    named = column_label(view.facet)
    titles = [f"{named}: {'none' if facet == NOT_TOLD else facet}" for facet, _ in panels] if view.facet else None
    figure = make_subplots(
        rows, columns, shared_yaxes="all", subplot_titles=titles, vertical_spacing=0.3 / rows, horizontal_spacing=0.04
    )
    height = 460 if rows == 1 else PANEL * rows + 60
    top = 0.14 if view.facet else 0.02
    return styled(figure, height=height, hovermode="closest").update_layout(
        legend={"y": 1 + top / rows}, margin={"t": 40 if view.facet else 8}
    )


def _line(line: pd.DataFrame, colour: str, dash: str, *, band: bool, join: bool) -> list[go.Scatter]:
    """The mean of runs that are alike, and what their intervals span; categories are not joined."""
    quiet = {"showlegend": False, "hoverinfo": "skip"}
    ends = line.groupby("x").agg(low=("low", "min"), high=("high", "max"), value=("value", "mean"))
    traces = []
    known = ends.dropna()
    if len(known) > 1 and join and band:
        x, y = [*known.index, *known.index[::-1]], [*known["high"], *known["low"][::-1]]
        fill = {"fill": "toself", "fillcolor": tint(colour, 0.14)}
        traces.append(go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, **fill, **quiet))
    elif len(known):
        bars = {
            "array": known["high"] - known["value"],
            "arrayminus": known["value"] - known["low"],
            "color": tint(colour, 0.45),
            "thickness": 1.5,
            "width": 3,
        }
        unseen = {"size": 1, "opacity": 0}
        traces.append(go.Scatter(x=known.index, y=known["value"], mode="markers", marker=unseen, error_y=bars, **quiet))
    if join:
        stroke = {"color": colour, "width": 2, "dash": dash}
        traces.append(go.Scatter(x=ends.index, y=ends["value"], mode="lines", line=stroke, **quiet))
    else:
        marks = {"symbol": "line-ew-open", "size": 16, "color": colour, "line": {"width": 2.5}}
        traces.append(go.Scatter(x=ends.index, y=ends["value"], mode="markers", marker=marks, **quiet))
    return traces


def _points(rows: pd.DataFrame, style: tuple[str, str], look: Metric, view: View) -> go.Scatter:
    texts = [
        f"<b>{row.name}</b><br>{column_label(view.x)} {row.at}<br>{look.label} {look.write(row.value)}"
        + ("" if pd.isna(row.low) else f" (95 %: {look.write(row.low)} to {look.write(row.high)})")
        + (f"<br>{column_label(view.colour)} {row.colour}" if view.colour else "")
        + f"<br><i>{OPENS_RUN}</i>"
        for row in rows.itertuples(index=False)
    ]
    return go.Scatter(
        x=rows["x"],
        y=rows["value"],
        mode="markers",
        marker={"color": style[0], "symbol": style[1], "size": 8, "opacity": 0.85},
        customdata=[[run_id] for run_id in rows["run_id"]],
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _reference(series: str, rows: pd.DataFrame, places: list[str], *, shown: bool) -> go.Scatter:
    return go.Scatter(
        x=[places.index(at) for at in rows["x"]] if places else rows["x"],
        y=rows["value"],
        name=f"{series}, other data",
        mode="markers",
        marker={
            "color": NEUTRAL,
            "size": 9,
            "symbol": REFERENCES.get(series, "hexagon-open"),
            "line": {"width": 1.5, "color": NEUTRAL},
        },
        text=rows["text"],
        hovertemplate="%{text}<extra></extra>",
        showlegend=shown,
    )


def _others(references: Mapping[str, pd.DataFrame] | None, categories: list[str]) -> list[str]:
    """Categories that others alone have figures of."""
    return sorted({str(at) for rows in (references or {}).values() for at in rows["x"]} - set(categories))


def _rests(points: pd.DataFrame) -> list[str]:
    """What else tells lines apart, that of detectors which are no control first."""
    return sorted(points["rest"].unique(), key=lambda rest: (rest in DASHES, rest))


def _few_ticks(points: pd.DataFrame) -> dict[str, Any]:
    values = sorted(points["at"].unique())
    return {"tickvals": values} if len(values) <= MOST_TICKS else {}


def _legend(points: pd.DataFrame, styles: Mapping[str, tuple[str, str]], dashes: Mapping[str, str]) -> list[go.Scatter]:
    """Traces without points, one a colour and, where they differ, one a dash."""
    strokes = [
        go.Scatter(x=[None], y=[None], name=rest, mode="lines", line={"color": NEUTRAL, "width": 2, "dash": dash})
        for rest, dash in dashes.items()
        if rest and len(dashes) > 1
    ]
    return strokes + [
        go.Scatter(
            x=[None],
            y=[None],
            name=name,
            mode="lines+markers",
            line={"color": styles[name][0], "width": 2},
            marker={"symbol": styles[name][1], "size": 8},
        )
        for name in sorted(points["colour"].unique())
        if name
    ]


def _axis(column: pd.Series, label: str) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(column):
        values = np.sort(column.unique()).astype(float)
        ticks = {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}
        return {"label": label, "values": column.astype(float), **(ticks if len(values) <= MOST_TICKS else {})}
    words = column.astype(str).where(column.notna(), "")
    kinds = sorted(words.unique())
    return {
        "label": label,
        "values": words.map({kind: place for place, kind in enumerate(kinds)}).astype(float),
        "tickvals": np.arange(len(kinds)),
        "ticktext": [kind or NOT_TOLD for kind in kinds],
    }
