"""A metric against sequence length, many runs at once: lines, intervals, controls, and others' figures beside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import NEUTRAL, corpus_colours, styled, tint
from dfd.glossary import METRICS, Metric, metric

DASHES = {"": "solid", "mean pool": "dash", "shuffled frames": "dot"}
SYMBOLS = {"": "circle", "mean pool": "square", "shuffled frames": "triangle-up"}
REFERENCES = {"published accuracies": "diamond-open", "the code's README": "star-open"}
DODGE = {"mean pool": -0.01, "shuffled frames": 0.01}  # of the axis, so that controls do not hide each other
OPENS_RUN = "click a point to open its run"


def metrics_in(runs: pd.DataFrame) -> list[str]:
    """Test metrics that at least one run has, well known ones first; ends of intervals and counts are left out."""
    columns = [str(name) for name in runs.columns if str(name).startswith("test/") and runs[name].notna().any()]
    found = [name.removeprefix("test/") for name in columns if not name.endswith(("_low", "_high", "clips"))]
    known = list(METRICS)
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name))


def length_points(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The finished measurements of one metric: one row a run.

    Returns:
        run_id, corpus, model, control, line (its name in the legend), sequence_length, seed, value, low, high (95 %
        interval; NaN where the run has none), x (its place on the axis), sorted as drawn.
    """
    table = runs.reindex(columns=["run_id", "corpus", "model", "control", "sequence_length", "seed"]).copy()
    for column, source in (("value", f"test/{name}"), ("low", f"test/{name}_low"), ("high", f"test/{name}_high")):
        table[column] = pd.to_numeric(runs[source]) if source in runs else np.nan
    table = table[table["value"].notna() & table["sequence_length"].notna()]
    table["control"] = table["control"].fillna("")
    table["line"] = _line_names(table)
    span = table["sequence_length"].max() - table["sequence_length"].min()
    table["x"] = table["sequence_length"] + span * table["control"].map(DODGE).astype(float).fillna(0)
    return table.sort_values(["corpus", "control", "line", "sequence_length", "seed"], ignore_index=True)


def accuracy_by_length(
    runs: pd.DataFrame,
    name: str = "accuracy",
    references: Mapping[str, pd.DataFrame] | None = None,
    colours: Mapping[str, str] | None = None,
) -> go.Figure:
    """A test metric against sequence length: one line for each corpus and control, 95 % intervals, others' points.

    Where several runs (seeds) share a length each is a point, the line runs through their mean and the band spans all
    their intervals. Points carry their run id as `customdata[0]`. Accuracies of others are hollow, never joined, and
    drawn for the metric accuracy alone, since nothing else was published by length.

    Args:
        runs: as from `tracking.runs()`.
        name: a metric of `metrics_in(runs)`.
        references: some of `published.references()`.
        colours: of all corpora, from `corpus_colours`.
    """
    points, look = length_points(runs, name), metric(name)
    colours = colours or corpus_colours(points["corpus"])
    lines = [line for _, line in points.groupby("line", sort=False)]
    figure = go.Figure()
    for line in lines:
        figure.add_traces(_interval(line, colours))
    for line in lines:
        figure.add_traces([_mean_line(line, colours), _run_markers(line, colours, look)])
    figure.add_traces(_legend(points, colours))
    lengths = sorted(points["sequence_length"].unique())
    for series, figures in (references or {}).items() if name == "accuracy" else ():
        figure.add_trace(_reference(series, figures))
        lengths = sorted({*lengths, *figures["sequence_length"]})
    figure.update_xaxes(title="Sequence length (frames)", tickvals=lengths, showgrid=False)
    figure.update_yaxes(title=f"{look.label} on test clips", tickformat=".0%" if look.percent else ".2f")
    return styled(figure, height=460, hovermode="closest")


def _line_names(points: pd.DataFrame) -> pd.Series:
    """Corpus, then what sets the line apart: the control, or the model where a corpus has several."""
    plain = points[points["control"] == ""]
    models = plain.groupby("corpus")["model"].nunique()
    return pd.Series(
        [
            " · ".join(
                part for part in (row.corpus, row.control or (row.model if models[row.corpus] > 1 else "")) if part
            )
            for row in points.itertuples()
        ],
        index=points.index,
        dtype=object,
    )


def _interval(line: pd.DataFrame, colours: Mapping[str, str]) -> list[go.Scatter]:
    """A band for a detector's line; thin bars for a control or a single length, so that bands stay readable."""
    ends = line.groupby("x").agg(low=("low", "min"), high=("high", "max"), value=("value", "mean")).dropna()
    if ends.empty:
        return []
    corpus, control = line["corpus"].iloc[0], line["control"].iloc[0]
    shared: dict[str, Any] = {"showlegend": False, "hoverinfo": "skip"}
    if len(ends) > 1 and not control:
        x, y = [*ends.index, *ends.index[::-1]], [*ends["high"], *ends["low"][::-1]]
        fill = {"fill": "toself", "fillcolor": tint(colours[corpus], 0.14)}
        return [go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, name="95 % interval", **fill, **shared)]
    bars = {
        "array": ends["high"] - ends["value"],
        "arrayminus": ends["value"] - ends["low"],
        "color": tint(colours[corpus], 0.4),
        "thickness": 1,
        "width": 3,
    }
    marks = {"size": 1, "opacity": 0}
    return [go.Scatter(x=ends.index, y=ends["value"], mode="markers", marker=marks, error_y=bars, **shared)]


def _mean_line(line: pd.DataFrame, colours: Mapping[str, str]) -> go.Scatter:
    means = line.groupby("x")["value"].mean()
    stroke = _stroke(colours[line["corpus"].iloc[0]], line["control"].iloc[0])
    name = line["line"].iloc[0]
    return go.Scatter(x=means.index, y=means, name=name, mode="lines", line=stroke, showlegend=False, hoverinfo="skip")


def _stroke(colour: str, control: str) -> dict[str, Any]:
    return {"color": colour, "width": 1.5 if control else 2.5, "dash": DASHES.get(control, "longdashdot")}


def _legend(points: pd.DataFrame, colours: Mapping[str, str]) -> list[go.Scatter]:
    """Traces without points: colour tells the corpus (and model, where several were trained), dash the control."""
    plain, controls = points[points["control"] == ""], sorted(set(points["control"]) - {""})
    named = {line: colours[corpus] for corpus, line in zip(plain["corpus"], plain["line"], strict=True)}
    named |= {name: colours[name] for name in points["corpus"].unique() if name not in set(plain["corpus"])}
    keys = [(name, _stroke(colour, "")) for name, colour in named.items()]
    keys += [(control, _stroke(NEUTRAL, control)) for control in controls]
    return [go.Scatter(x=[None], y=[None], name=name, mode="lines", line=stroke) for name, stroke in keys]


def _run_markers(line: pd.DataFrame, colours: Mapping[str, str], look: Metric) -> go.Scatter:
    control = line["control"].iloc[0]
    texts = [
        f"<b>{row.line}</b>, {row.sequence_length:.0f} frames<br>{look.label} {look.write(row.value)}"
        + ("" if pd.isna(row.low) else f" (95 %: {look.write(row.low)} to {look.write(row.high)})")
        + ("" if pd.isna(row.seed) else f"<br>seed {row.seed:.0f}")
        + f"<br><i>{OPENS_RUN}</i>"
        for row in line.itertuples()
    ]
    return go.Scatter(
        x=line["x"],
        y=line["value"],
        name=line["line"].iloc[0],
        showlegend=False,
        mode="markers",
        marker={
            "color": colours[line["corpus"].iloc[0]],
            "size": 7 if control else 9,
            "symbol": SYMBOLS.get(control, "cross"),
        },
        customdata=[[run_id] for run_id in line["run_id"]],
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _reference(series: str, figures: pd.DataFrame) -> go.Scatter:
    texts = [
        f"<b>{row.name}</b><br>published accuracy {row.accuracy:.2%}<br>{row.data}"
        f"<br>{row.source}<br><i>as published, not measured here</i>"
        for row in figures.itertuples(index=False)
    ]
    symbol = REFERENCES.get(series, "hexagon-open")
    return go.Scatter(
        x=figures["sequence_length"],
        y=figures["accuracy"],
        name=f"{series}, other data",
        mode="markers",
        marker={"color": NEUTRAL, "size": 10, "symbol": symbol, "line": {"width": 2, "color": NEUTRAL}},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )
