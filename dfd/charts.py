"""Figures: pure functions of data frames (the only importer of plotly).

Colour belongs to the data. Two colours mean real and fake everywhere and nothing else; corpora have a palette of their
own. Each keeps a contrast of at least 3.5 to a white and to a near-black page and is told apart without colour vision
(Okabe and Ito 2008, shifted in lightness); dash and marker say the same again. Backgrounds are transparent and fonts
are left to the page's theme.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dfd.glossary import METRICS, Metric, metric

REAL, FAKE = "#2A7DBF", "#D55E00"
NEUTRAL = "#7B8794"
CORPUS_PALETTE = ("#12977A", "#8C6BC8", "#B07D12", "#C2578F", "#5C8A2E", "#6B7C93")
DASHES = {"": "solid", "mean pool": "dash", "shuffled frames": "dot"}
SYMBOLS = {"": "circle", "mean pool": "square", "shuffled frames": "triangle-up"}
DODGE = {"mean pool": -0.01, "shuffled frames": 0.01}  # of the axis, so that controls do not hide each other
OPENS_RUN = "click a point to open its run"


def metrics_in(runs: pd.DataFrame) -> list[str]:
    """Test metrics that at least one run has, well known ones first; ends of intervals and counts are left out."""
    columns = [str(name) for name in runs.columns if str(name).startswith("test/") and runs[name].notna().any()]
    found = [name.removeprefix("test/") for name in columns if not name.endswith(("_low", "_high", "clips"))]
    known = list(METRICS)
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name))


def corpus_colours(corpora: Iterable[str]) -> dict[str, str]:
    """A colour for each corpus, by the order of their names; given all corpora, filters never change a colour."""
    names = sorted(set(corpora))
    return {name: CORPUS_PALETTE[i % len(CORPUS_PALETTE)] for i, name in enumerate(names)}


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
    published: pd.DataFrame | None = None,
    colours: Mapping[str, str] | None = None,
) -> go.Figure:
    """A test metric against sequence length: one line for each corpus and control, 95 % intervals, published points.

    Where several runs (seeds) share a length each is a point, the line runs through their mean and the band spans all
    their intervals. Points carry their run id as `customdata[0]`. Published accuracies are hollow, never joined, and
    drawn for the metric accuracy alone, since nothing else was published.

    Args:
        runs: as from `tracking.runs()`.
        name: a metric of `metrics_in(runs)`.
        published: name, accuracy (in [0, 1]), sequence_length, videos, corpora, source.
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
    if published is not None and name == "accuracy" and len(published):
        figure.add_trace(_published(published))
        lengths = sorted({*lengths, *published["sequence_length"]})
    figure.update_xaxes(title="Sequence length (frames)", tickvals=lengths, showgrid=False)
    figure.update_yaxes(title=f"{look.label} on test clips", tickformat=".0%" if look.percent else ".2f")
    return _style(figure, height=460, hovermode="closest")


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
    return _style(figure, height=300)


def confusion(matrix: NDArray[np.int64], ink: str | None = None) -> go.Figure:
    """A confusion matrix, shape (2, 2): rows what the clips are, columns what they were judged; real first.

    Each cell has its count and its share of the row, tinted in the row's colour by that share; `ink` is the colour of
    the page's text, since the theme's own for charts is too faint on a tint.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = go.Figure()
    for (row, column), share in np.ndenumerate(shares):
        box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.47, "y1": row + 0.47}
        figure.add_shape(type="rect", fillcolor=_alpha((REAL, FAKE)[row], 0.06 + 0.5 * share), line_width=0, **box)
        text = f"<b>{matrix[row, column]}</b><br>{share:.0%}"
        figure.add_annotation(x=column, y=row, text=text, showarrow=False, font={"size": 17, "color": ink})
    ticks: dict[str, Any] = {"tickvals": [0, 1], "showgrid": False, "ticks": "", "fixedrange": True}
    figure.update_xaxes(side="top", ticktext=["judged real", "judged fake"], range=[-0.5, 1.5], **ticks)
    figure.update_yaxes(ticktext=["real clips", "fake clips"], range=[1.5, -0.5], **ticks)
    return _style(figure, height=320)


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
        fillcolor=_alpha(CORPUS_PALETTE[0], 0.08),
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
    return _style(figure, height=320, hovermode="closest")


def verdict_scale(p_fake: float, threshold: float) -> go.Figure:
    """A clip's p_fake on a scale from 0 to 1, cut at the threshold into what is called real and what fake."""
    figure = go.Figure()
    for low, high, colour, word in ((0, threshold, REAL, "real"), (threshold, 1, FAKE, "fake")):
        inside = low <= p_fake < high or (word == "fake" and p_fake >= high)
        figure.add_shape(
            type="rect", x0=low, x1=high, y0=0, y1=1, line_width=0, fillcolor=_alpha(colour, 0.55 if inside else 0.18)
        )
    figure.add_scatter(
        x=[p_fake],
        y=[0.5],
        mode="markers",
        marker={"symbol": "diamond", "size": 15, "color": FAKE if p_fake >= threshold else REAL, "line": {"width": 2}},
        showlegend=False,
    )
    labels = {0.0: "0", 1.0: "1"} | ({threshold: f"threshold {threshold:.3f}"} if 0.15 < threshold < 0.85 else {})
    figure.update_xaxes(range=[-0.01, 1.01], tickvals=list(labels), ticktext=list(labels.values()), showgrid=False)
    figure.update_yaxes(visible=False, range=[0, 1])
    return _style(figure, height=72).update_layout(margin={"t": 4, "b": 28})


def p_fake_over_time(
    times: Sequence[float] | NDArray[np.float64],
    p_fake: Sequence[float] | NDArray[np.float32],
    threshold: float,
) -> go.Figure:
    """What each frame says: p_fake in [0, 1] against seconds, coloured by its side of the threshold.

    Args:
        times: (T,) seconds from the clip's start.
        p_fake: (T,).
        threshold: drawn as a dashed line; at or above it is fake.
    """
    values = np.asarray(p_fake, dtype=float)
    figure = go.Figure()
    figure.add_hrect(y0=threshold, y1=1, fillcolor=_alpha(FAKE, 0.06), line_width=0, layer="below")
    figure.add_hrect(y0=0, y1=threshold, fillcolor=_alpha(REAL, 0.06), line_width=0, layer="below")
    figure.add_scatter(
        x=np.asarray(times),
        y=values,
        mode="lines+markers",
        line={"color": _alpha(NEUTRAL, 0.6), "width": 1.5},
        marker={"color": [FAKE if value >= threshold else REAL for value in values], "size": 7},
        hovertemplate="%{x:.2f} s: p_fake %{y:.3f}<extra></extra>",
        showlegend=False,
    )
    figure.add_hline(
        y=threshold,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        annotation={"text": f"threshold {threshold:.3f}", "xanchor": "right", "yanchor": "bottom"},
    )
    figure.update_xaxes(title="Time in the clip (s)", showgrid=False)
    figure.update_yaxes(title="p_fake of the frame", range=[-0.03, 1.03], tickformat=".1f")
    return _style(figure, height=280)


def frame_importance(
    values: Sequence[float] | NDArray[np.float32], current: int, times: Sequence[float] | NDArray[np.float64]
) -> go.Figure:
    """How much each frame adds to the score, as bars, the current frame picked out; `customdata[0]` is the frame.

    Args:
        values: (T,) signed, positive speaks for fake.
        current: frame in [0, T).
        times: (T,) seconds, for the hover text.
    """
    colours = [FAKE if value >= 0 else REAL for value in values]
    figure = go.Figure()
    figure.add_bar(
        x=np.arange(len(values)) + 1,
        y=np.asarray(values, dtype=float),
        marker={"color": [colour if i == current else _alpha(colour, 0.35) for i, colour in enumerate(colours)]},
        customdata=[[i, float(time)] for i, time in enumerate(times)],
        hovertemplate="frame %{x} at %{customdata[1]:.2f} s: %{y:+.3f}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title="Frame", showgrid=False, tickformat="d")
    figure.update_yaxes(title="Towards fake", exponentformat="power")
    figure.update_layout(bargap=0.25)
    return _style(figure, height=250, hovermode="closest")


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
        fill = {"fill": "toself", "fillcolor": _alpha(colours[corpus], 0.14)}
        return [go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, name="95 % interval", **fill, **shared)]
    bars = {
        "array": ends["high"] - ends["value"],
        "arrayminus": ends["value"] - ends["low"],
        "color": _alpha(colours[corpus], 0.4),
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


def _published(published: pd.DataFrame) -> go.Scatter:
    texts = [
        f"<b>{row.name}</b><br>published accuracy {row.accuracy:.2%}<br>{row.corpora}, {row.videos} videos"
        f"<br>{row.source}<br><i>as published, not measured here</i>"
        for row in published.itertuples(index=False)
    ]
    return go.Scatter(
        x=published["sequence_length"],
        y=published["accuracy"],
        name="published, other data",
        mode="markers",
        marker={"color": NEUTRAL, "size": 10, "symbol": "diamond-open", "line": {"width": 2, "color": NEUTRAL}},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _alpha(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _style(figure: go.Figure, *, height: int, hovermode: str = "x unified") -> go.Figure:
    figure.update_yaxes(zeroline=False)
    return figure.update_xaxes(zeroline=False).update_layout(
        height=height,
        hovermode=hovermode,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "title": None},
        modebar={"remove": ["lasso2d", "select2d", "zoomin2d", "zoomout2d", "autoScale2d"]},
    )
