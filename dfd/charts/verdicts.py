"""One clip: its score, what each frame says, and how much each counts."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dfd.charts.style import FAKE, NEUTRAL, REAL, styled, tint


def verdict_scale(p_fake: float, threshold: float) -> go.Figure:
    """A clip's p_fake on a scale from 0 to 1, cut at the threshold into what is called real and what fake."""
    figure = go.Figure()
    for low, high, colour, word in ((0, threshold, REAL, "real"), (threshold, 1, FAKE, "fake")):
        inside = low <= p_fake < high or (word == "fake" and p_fake >= high)
        figure.add_shape(
            type="rect", x0=low, x1=high, y0=0, y1=1, line_width=0, fillcolor=tint(colour, 0.55 if inside else 0.18)
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
    return styled(figure, height=72).update_layout(margin={"t": 4, "b": 28})


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
    figure.add_hrect(y0=threshold, y1=1, fillcolor=tint(FAKE, 0.06), line_width=0, layer="below")
    figure.add_hrect(y0=0, y1=threshold, fillcolor=tint(REAL, 0.06), line_width=0, layer="below")
    figure.add_scatter(
        x=np.asarray(times),
        y=values,
        mode="lines+markers",
        line={"color": tint(NEUTRAL, 0.6), "width": 1.5},
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
    return styled(figure, height=280)


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
        marker={"color": [colour if i == current else tint(colour, 0.35) for i, colour in enumerate(colours)]},
        customdata=[[i, float(time)] for i, time in enumerate(times)],
        hovertemplate="frame %{x} at %{customdata[1]:.2f} s: %{y:+.3f}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title="Frame", showgrid=False, tickformat="d")
    figure.update_yaxes(title="Towards fake", exponentformat="power")
    figure.update_layout(bargap=0.25)
    return styled(figure, height=250, hovermode="closest")
