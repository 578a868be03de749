"""A metric against sequence length, many runs at once: lines, intervals, controls, and others' figures beside."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import NEUTRAL, corpus_colours, share, styled, tint
from dfd.glossary import METRICS, Metric, metric
from dfd.metrics import thinned

DASHES = {"": "solid", "mean pool": "dash", "shuffled frames": "dot"}
SYMBOLS = {"": "circle", "mean pool": "square", "shuffled frames": "triangle-up"}
REFERENCES = {"published accuracies": "diamond-open", "the code's README": "star-open"}
PALER = (1.0, 0.55, 0.35)  # shades of the detectors of one corpus
DODGE = {"mean pool": -0.01, "shuffled frames": 0.01}  # of the axis, so that controls do not hide each other
OPENS_RUN = "click a point to open its run"
PLAIN, PLAIN_HEAD = "resnext_lstm", "LSTM"  # what a line without a model's name is; every other model is named
# Runs that differ in none of these are seeds.
ALIKE = ["corpus", "model", "backbone", "head", "control", "setup", "sequence_length"]


def metrics_in(runs: pd.DataFrame) -> list[str]:
    """Test metrics that at least one run has, well known ones first; ends of intervals and counts are left out."""
    columns = [str(name) for name in runs.columns if str(name).startswith("test/")]
    measured = [name for name in columns if not name.endswith(("_low", "_high", "clips")) and runs[name].notna().any()]
    found = [name.removeprefix("test/") for name in measured]
    known = list(METRICS)
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name))


def length_columns(name: str) -> list[str]:
    """The columns of a table of runs that `length_points` and `own_points` read for a metric."""
    return ["run_id", *ALIKE, "seed", f"test/{name}", f"test/{name}_low", f"test/{name}_high"]


def length_points(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The finished measurements of one metric: one row a run.

    Returns:
        run_id, corpus, model, backbone, head, control, setup, line (its name in the legend), sequence_length, seed,
        value, low, high (95 % interval; NaN where the run has none), x (its place on the axis), sorted as drawn.
    """
    table = _measured(runs, name)
    table = table[table["value"].notna() & table["sequence_length"].notna()]
    parts = ["backbone", "head", "control", "setup"]
    table[parts] = table[parts].astype(object).fillna("")
    table["line"] = _line_names(table)
    span = table["sequence_length"].max() - table["sequence_length"].min()
    table["x"] = table["sequence_length"] + span * table["control"].map(DODGE).astype(float).fillna(0)
    return table.sort_values(["corpus", "control", "line", "sequence_length", "seed"], ignore_index=True)


def own_points(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The measurements of one metric of detectors without a sequence length: the user's own, which take a clip whole.

    Returns:
        run_id, corpus, model, value, low, high; one row a run.
    """
    table = _measured(runs, name)
    table = table[table["value"].notna() & table["sequence_length"].isna()]
    table = table[["run_id", "corpus", "model", "value", "low", "high"]]
    return table.sort_values(["corpus", "model"], ignore_index=True)


def _measured(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """`length_columns` of every run, the last three as the numbers value, low and high, NaN where it has none."""
    table = runs.reindex(columns=length_columns(name))
    table.columns = pd.Index(["run_id", *ALIKE, "seed", "value", "low", "high"])
    for column in ("value", "low", "high"):
        table[column] = pd.to_numeric(table[column])
    return table


def accuracy_by_length(
    runs: pd.DataFrame,
    name: str = "accuracy",
    references: Mapping[str, pd.DataFrame] | None = None,
    colours: Mapping[str, str] | None = None,
) -> go.Figure:
    """A test metric against sequence length: one line for each corpus and control, 95 % intervals, others' points.

    Where several runs (seeds) share a length each is a point, the line runs through their mean and the band spans all
    their intervals; of very many runs `MOST_POINTS` are drawn as points. Points carry their run id as `customdata[0]`.
    A detector of the user's own, which has no length, is a level line. Accuracies of others are hollow, never joined,
    and drawn for the metric accuracy alone, since nothing else was published by length.

    Args:
        runs: as from `tracking.runs()`.
        name: a metric of `metrics_in(runs)`.
        references: some of `published.references()`.
        colours: of all corpora, from `corpus_colours`.
    """
    return chart_of_lengths(length_points(runs, name), own_points(runs, name), name, references, colours)


def chart_of_lengths(
    points: pd.DataFrame,
    own: pd.DataFrame,
    name: str,
    references: Mapping[str, pd.DataFrame] | None = None,
    colours: Mapping[str, str] | None = None,
) -> go.Figure:
    """`accuracy_by_length` of what `length_points` and `own_points` gave for the metric."""
    look = metric(name)
    colours = colours or corpus_colours([*points["corpus"].unique(), *own["corpus"].unique()])
    ends_of = points.groupby(["line", "x"]).agg(low=("low", "min"), high=("high", "max"), value=("value", "mean"))
    lines = [(line, ends_of.loc[name]) for name, line in points.groupby("line", sort=False)]
    shades = _shades(points, colours)
    traces = [trace for line, ends in lines for trace in _interval(line, ends, colours)]
    for line, ends in lines:
        shown = thinned(line, share(len(line), len(points)))
        shade = shades[str(line["line"].iloc[0])]
        traces += [_mean_line(line, ends, shade), _run_markers(shown, shade, look)]
    figure = go.Figure([*traces, *_legend(points, shades, colours)])  # at once, as each addition has its cost
    lengths = sorted(points["sequence_length"].unique())
    for series, figures in (references or {}).items() if name == "accuracy" else ():
        figure.add_trace(_reference(series, figures))
        lengths = sorted({*lengths, *figures["sequence_length"]})
    for row in own.to_dict("records"):
        figure.add_trace(_level_line(row, colours[row["corpus"]], look, lengths or [0, 1]))
    figure.update_xaxes(title="Sequence length (frames)", tickvals=lengths, showgrid=False)
    figure.update_yaxes(title=f"{look.label} on test clips", tickformat=".0%" if look.percent else ".2f")
    return styled(figure, height=460, hovermode="closest")


def _line_names(points: pd.DataFrame) -> pd.Series:
    """Corpus, then what sets the line apart: the control, or the model where it is not plain or there are several; and
    the head, the backbone and the setup where the model has others, so that no line joins two of them as if they were
    seeds.
    """
    parts = ["corpus", "model", "control", "head", "backbone", "setup"]
    kinds = points[parts].drop_duplicates()  # few, of however many runs
    models = kinds[kinds["control"] == ""].groupby("corpus")["model"].nunique()
    alike = kinds.groupby(["corpus", "model", "control"])
    heads, backbones = (alike[part].transform("nunique") for part in ("head", "backbone"))
    setups = kinds.groupby(["corpus", "model", "control", "head", "backbone"])["setup"].transform("nunique")
    names = []
    apart = zip(kinds.itertuples(), heads > 1, backbones > 1, setups > 1, strict=True)
    for row, several_heads, several_backbones, several_setups in apart:
        told = [row.corpus, row.control or _model_name(row.model, models[row.corpus])]
        if (several_heads or row.model == PLAIN) and row.head != PLAIN_HEAD:
            told.append(row.head)
        if several_backbones:
            told.append(row.backbone)
        if several_setups and row.setup:
            told.append(f"setup {row.setup}")
        names.append(" · ".join(dict.fromkeys(part for part in told if part)))
    return points[parts].merge(kinds.assign(line=names), how="left", on=parts)["line"].set_axis(points.index)


def _model_name(model: str, models: int) -> str:
    return model if models > 1 or model != PLAIN else ""


def _interval(line: pd.DataFrame, ends: pd.DataFrame, colours: Mapping[str, str]) -> list[go.Scatter]:
    """A band for a detector's line; thin bars for a control or a single length, so that bands stay readable.

    Args:
        ends: of the line's runs at each x, low (the lowest), high (the highest) and value (the mean).
    """
    ends = ends.dropna()
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


def _shades(points: pd.DataFrame, colours: Mapping[str, str]) -> dict[str, str]:
    """The colour of every line: its corpus', paler for the second and later detectors of one."""
    lines = points[["corpus", "control", "line"]].drop_duplicates("line")
    place = lines.groupby(["corpus", lines["control"] == ""]).cumcount().where(lines["control"] == "", 0)
    return {
        line: tint(colours[corpus], PALER[min(at, len(PALER) - 1)]) if at else colours[corpus]
        for line, corpus, at in zip(lines["line"], lines["corpus"], place.astype(int), strict=True)
    }


def _mean_line(line: pd.DataFrame, ends: pd.DataFrame, shade: str) -> go.Scatter:
    means = ends["value"]
    stroke = _stroke(shade, line["control"].iloc[0])
    name = line["line"].iloc[0]
    return go.Scatter(x=means.index, y=means, name=name, mode="lines", line=stroke, showlegend=False, hoverinfo="skip")


def _stroke(colour: str, control: str) -> dict[str, Any]:
    return {"color": colour, "width": 1.5 if control else 2.5, "dash": DASHES.get(control, "longdashdot")}


def _legend(points: pd.DataFrame, shades: Mapping[str, str], colours: Mapping[str, str]) -> list[go.Scatter]:
    """Traces without points: colour tells the corpus (and its shade the detector, of several), dash the control."""
    drawn = points[["corpus", "control", "line"]].drop_duplicates()
    plain, controls = drawn[drawn["control"] == ""], sorted(set(drawn["control"]) - {""})
    named = {line: shades[line] for line in plain["line"]}
    named |= {name: colours[name] for name in drawn["corpus"].unique() if name not in set(plain["corpus"])}
    keys = [(name, _stroke(colour, "")) for name, colour in named.items()]
    keys += [(control, _stroke(NEUTRAL, control)) for control in controls]
    return [go.Scatter(x=[None], y=[None], name=name, mode="lines", line=stroke) for name, stroke in keys]


def _run_markers(line: pd.DataFrame, shade: str, look: Metric) -> go.Scatter:
    name, control = line["line"].iloc[0], line["control"].iloc[0]
    figures = zip(*(line[column] for column in ("sequence_length", "value", "low", "high", "seed")), strict=True)
    texts = [
        f"<b>{name}</b>, {length:.0f} frames<br>{look.label} {look.write(value)}"
        + ("" if low != low else f" (95 %: {look.write(low)} to {look.write(high)})")  # NaN where there is none
        + ("" if seed != seed else f"<br>seed {seed:.0f}")
        + f"<br><i>{OPENS_RUN}</i>"
        for length, value, low, high, seed in figures
    ]
    return go.Scatter(
        x=line["x"],
        y=line["value"],
        name=name,
        showlegend=False,
        mode="markers",
        marker={
            "color": shade,
            "size": 7 if control else 9,
            "symbol": SYMBOLS.get(control, "cross"),
        },
        customdata=[[run_id] for run_id in line["run_id"]],
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _level_line(own: dict[str, Any], colour: str, look: Metric, lengths: list[float]) -> go.Scatter:
    """A detector without a sequence length: a line over all lengths, and its interval as a bar at the line's end."""
    text = f"<b>{own['model']}</b> on {own['corpus']}<br>{look.label} {look.write(own['value'])}"
    bars: dict[str, Any] = {}
    if pd.notna(own["low"]):
        text += f" (95 %: {look.write(own['low'])} to {look.write(own['high'])})"
        up, down = own["high"] - own["value"], own["value"] - own["low"]
        bars = {"error_y": {"array": [0, up], "arrayminus": [0, down], "color": tint(colour, 0.4), "thickness": 1}}
    return go.Scatter(
        x=[lengths[0], lengths[-1]],
        y=[own["value"]] * 2,
        name=f"{own['corpus']} · {own['model']}",
        mode="lines+markers",
        line={"color": colour, "width": 1.5, "dash": "longdashdot"},
        marker={"size": 7, "symbol": "line-ew-open", "color": colour},
        customdata=[[own["run_id"]]] * 2,
        text=[f"{text}<br>it takes a clip whole<br><i>{OPENS_RUN}</i>"] * 2,
        hovertemplate="%{text}<extra></extra>",
        **bars,
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
