"""Detectors at every threshold: ROC, precision-recall, DET and reliability, a line a detector, one of them in focus.

Colour and dash tell the detectors apart; a filled mark is where the one in focus operates, a hollow one where another
does by the threshold of its own validation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import FAKE, NEUTRAL, REAL, run_look, styled, tint
from dfd.metrics import OperatingPoint, deviates

PLOT, LINE = 320, 24  # px: of the plot itself, of a line of the legend below it
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
CHANCE: dict[str, Any] = {"mode": "lines", "line": {"color": NEUTRAL, "width": 1, "dash": "dot"}, "hoverinfo": "skip"}

Curves = Mapping[str, pd.DataFrame]
Points = Mapping[str, OperatingPoint]


def roc_curves(curves: Curves, points: Points, focus: str) -> go.Figure:
    """True against false positive rate; chance as a diagonal.

    Args:
        curves: of each detector, by its name, as from `metrics.roc`; the order gives the colours.
        points: where each operates.
        focus: one of the names.
    """
    hover = "%{x:.1%} of real clips called fake<br>%{y:.1%} of fakes found<br>at threshold %{customdata:.3f}"
    lines = _lines(curves, "fpr", "tpr", hover, focus)
    marks = {name: (point.fpr, point.tpr) for name, point in points.items()}
    return _of_rates(lines + _marks(marks, points, focus), (0, 1), "Real clips called fake", "Fakes found", len(curves))


def precision_recall_curves(curves: Curves, points: Points, focus: str) -> go.Figure:
    """Precision against recall; the share of fakes among the clips of the one in focus, which is chance, as a level.

    Args:
        curves: as from `metrics.precision_recall`.
        points, focus: as for `roc_curves`.
    """
    clips = points[focus].confusion
    share = clips[1].sum() / clips.sum()
    hover = "%{x:.1%} of fakes found<br>%{y:.1%} of the clips called fake are<br>at threshold %{customdata:.3f}"
    lines = _lines(curves, "recall", "precision", hover, focus)
    marks = {name: (point.tpr, point.precision) for name, point in points.items()}
    return _of_rates(
        lines + _marks(marks, points, focus), (share, share), "Recall: fakes found", "Precision", len(curves)
    )


def _of_rates(traces: list[go.Scatter], chance: tuple[float, float], x: str, y: str, detectors: int) -> go.Figure:
    """One rate against another, with what chance gives at the two ends of the first."""
    figure = go.Figure(go.Scatter(x=[0, 1], y=chance, name="chance", showlegend=False, **CHANCE))
    figure.add_traces(traces)
    figure.update_xaxes(title=x, range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(title=y, range=[-0.02, 1.04], tickformat=".0%")
    return _finished(figure, detectors)


def det_curves(curves: Curves, points: Points, focus: str) -> go.Figure:
    """Missed fakes against false alarms, both as normal deviates, which spreads the corner where detectors work.

    Args:
        curves: as from `metrics.detection_error_tradeoff`.
        points, focus: as for `roc_curves`.
    """
    figure = go.Figure()
    hover = (
        "%{customdata[0]:.1%} of real clips called fake<br>%{customdata[1]:.1%} of fakes missed<br>"
        "at threshold %{customdata[2]:.3f}"
    )
    marks = {
        name: tuple(
            float(deviates(rate, int(clips.sum())))
            for rate, clips in zip((point.fpr, point.fnr), point.confusion, strict=True)
        )
        for name, point in points.items()
    }
    figure.add_traces(_lines(curves, "x", "y", hover, focus, ["fpr", "fnr", "threshold"]))
    figure.add_traces(_marks(marks, points, focus))
    drawn = np.concatenate([curve[axis].to_numpy() for curve in curves.values() for axis in ("x", "y")])
    ticks = deviates(RATES, 10**6)
    ends = [min(drawn.min(), ticks[3]) - 0.1, max(drawn.max(), ticks[8]) + 0.1]
    look = {"tickvals": ticks, "ticktext": [f"{rate:.1%}".replace(".0%", "%") for rate in RATES], "range": ends}
    figure.update_xaxes(title="Real clips called fake", **look)
    figure.update_yaxes(title="Fakes missed", **look)
    return _finished(figure, len(curves))


def reliability_curves(curves: Curves, points: Points, focus: str) -> go.Figure:
    """The share of fakes among clips of like p_fake; on the diagonal p_fake is a probability. Larger marks: more clips.

    Args:
        curves: as from `metrics.reliability`.
        points, focus: as for `roc_curves`.
    """
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], name="calibrated", showlegend=False, **CHANCE))
    hover = "mean p_fake %{x:.3f}<br>%{y:.1%} of these %{customdata} clips are fake"
    lines = _lines(curves, "p_fake", "fakes", hover, focus, "clips")
    for line, curve in zip(lines, curves.values(), strict=True):
        sizes = 5 + 13 * np.sqrt(curve["clips"] / curve["clips"].max())
        line.update(mode="lines+markers", marker={"size": sizes, "opacity": 0.85})
    figure.add_traces(lines)
    figure.add_vline(
        x=points[focus].threshold,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        annotation={"text": "threshold", "yanchor": "bottom", "y": 0, "yref": "paper"},
    )
    figure.update_xaxes(title="p_fake", range=[-0.03, 1.03], tickformat=".1f")
    figure.update_yaxes(title="Share of fakes", range=[-0.05, 1.06], tickformat=".0%")
    return _finished(figure, len(curves))


def _lines(
    curves: Curves, x: str, y: str, hover: str, focus: str, told: str | Sequence[str] = "threshold"
) -> list[go.Scatter]:
    return [
        go.Scatter(
            x=curve[x],
            y=curve[y],
            name=name,
            mode="lines",
            line={**run_look(place), "width": 3 if name == focus else 1.75},
            customdata=curve[told],
            hovertemplate=f"<b>{name}</b><br>{hover}<extra></extra>",
        )
        for place, (name, curve) in enumerate(curves.items())
    ]


def _marks(marks: Mapping[str, tuple[float, ...]], points: Points, focus: str) -> list[go.Scatter]:
    """Where each operates; a point without a precision, since nothing is called fake, has no mark."""
    traces = []
    for place, (name, (x, y)) in enumerate(marks.items()):
        if np.isnan([x, y]).any():
            continue
        colour, here = run_look(place)["color"], name == focus
        traces.append(
            go.Scatter(
                x=[x],
                y=[y],
                name=name,
                mode="markers",
                marker={
                    "color": colour,
                    "size": 13 if here else 9,
                    "symbol": "circle" if here else "circle-open",
                    "line": {"width": 2, "color": "white" if here else colour},
                },
                hovertemplate=f"<b>{name}</b><br>at its threshold {points[name].threshold:.3f}<extra></extra>",
                showlegend=False,
            )
        )
    return traces


def _finished(figure: go.Figure, detectors: int) -> go.Figure:
    """With the legend below, a line a detector, since names are long."""
    legend = {"orientation": "v", "yanchor": "top", "y": -0.2, "xanchor": "left", "x": 0}
    return styled(figure, height=PLOT + LINE * detectors, hovermode="closest").update_layout(legend=legend)


def score_histogram(bins: pd.DataFrame, threshold: float) -> go.Figure:
    """Real and fake clips by p_fake, cut at the threshold.

    Args:
        bins: as from `metrics.score_histogram`.
    """
    figure = go.Figure()
    for name, colour in (("real", REAL), ("fake", FAKE)):
        figure.add_bar(
            x=(bins["low"] + bins["high"]) / 2,
            y=bins[name],
            width=bins["high"] - bins["low"],
            name=f"{name} clips",
            marker={"color": tint(colour, 0.6), "line": {"color": colour, "width": 1}},
            customdata=bins[["low", "high"]],
            hovertemplate=f"p_fake %{{customdata[0]:.2f}} to %{{customdata[1]:.2f}}: %{{y}} {name}<extra></extra>",
        )
    figure.add_vline(x=threshold, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(title="p_fake", range=[-0.02, 1.02], tickformat=".1f", showgrid=False)
    figure.update_yaxes(title="Clips")
    return styled(figure, height=320, hovermode="closest").update_layout(barmode="overlay", bargap=0)
