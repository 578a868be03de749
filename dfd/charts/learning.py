"""Learning curves of several runs: one figure by epoch, as logged and smoothed."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import run_look, styled, tint
from dfd.glossary import metric
from dfd.metrics import thinned

SPLITS = {"train": "training", "val": "validation"}
FEW = 60  # epochs; up to here each has a mark


def curve_names(histories: Mapping[str, pd.DataFrame]) -> list[str]:
    """What at least one run logged by epoch, on training or validation clips: losses first."""
    logged = {name for history in histories.values() for name in history["metric"].unique()}
    return sorted(
        (name for name in logged if name.split("/")[0] in SPLITS), key=lambda name: ("loss" not in name, name)
    )


def curve_label(name: str) -> str:
    """How a figure by epoch is called: "Loss, validation"."""
    split, _, rest = name.partition("/")
    return f"{metric(rest.removesuffix('_epoch')).label}, {SPLITS.get(split, split)}"


def smoothed(values: pd.Series, weight: float) -> pd.Series:
    """The exponential moving average that gives what came before this weight, in [0, 1); its start is not biased to 0.

    At 0 the values themselves.
    """
    return values.ewm(alpha=1 - weight, adjust=True).mean()


def learning_of_runs(histories: Mapping[str, pd.DataFrame], name: str, smoothing: float = 0.0) -> go.Figure:
    """One figure of several runs by epoch; with smoothing the values as logged stay, faint, behind the average.

    Args:
        histories: of each run, by its name, as from `tracking.history`; the order gives the colours.
        name: one of `curve_names`.
        smoothing: the weight for `smoothed`.
    """
    figure = go.Figure()
    look = metric(name.partition("/")[2].removesuffix("_epoch"))
    for place, (run, history) in enumerate(histories.items()):
        rows = history[history["metric"] == name].sort_values("step")
        if rows.empty:
            continue
        stroke = run_look(place)
        marks = "lines+markers" if len(rows) <= FEW else "lines"
        if smoothing > 0:
            logged = thinned(rows)
            faint = {"color": tint(stroke["color"], 0.35), "width": 1}
            figure.add_scatter(
                x=logged["step"],
                y=logged["value"],
                name=run,
                mode="lines",
                line=faint,
                hoverinfo="skip",
                showlegend=False,
            )
        drawn = thinned(rows.assign(value=smoothed(rows["value"], smoothing)))
        figure.add_scatter(
            x=drawn["step"],
            y=drawn["value"],
            name=run,
            mode=marks,
            line={**stroke, "width": 2.25},
            marker={"size": 5},
            hovertemplate=f"<b>{run}</b><br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            showlegend=True,
        )
    figure.update_xaxes(title="Epoch", showgrid=False, tickformat="d")
    figure.update_yaxes(title=curve_label(name), tickformat=".0%" if look.percent else None)
    legend = {"orientation": "v", "yanchor": "top", "y": -0.16, "xanchor": "left", "x": 0}
    return styled(figure, height=400 + 24 * len(histories), hovermode="closest").update_layout(legend=legend)
