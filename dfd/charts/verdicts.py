"""One clip: its score, and what each frame says, by one detector or by several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dfd.charts.style import FAKE, NEUTRAL, REAL, run_look, styled, tint

SYMBOLS = ("circle", "square", "diamond", "triangle-up")  # of detectors, to tell them apart without colour

Numbers = Sequence[float] | NDArray[np.float32] | NDArray[np.float64]


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
    times: Numbers,
    p_fake: Numbers,
    threshold: float,
    missed: Numbers = (),
) -> go.Figure:
    """What each frame says: p_fake in [0, 1] against seconds, coloured by its side of the threshold.

    Args:
        times: (T,) seconds from the clip's start.
        p_fake: (T,).
        threshold: drawn as a dashed line; at or above it is fake.
        missed: (M,) seconds of frames that were read and do not show the face; crosses at the foot.
    """
    figure = p_fake_line(*_with_gaps(times, p_fake, missed), threshold, 7, "%{x:.2f} s: p_fake %{y:.3f}")
    figure.add_annotation(
        text=f"threshold {threshold:.3f}",
        x=1,
        y=threshold,
        xref="x domain",
        yref="y",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
    )
    _add_missed(figure, missed)
    figure.update_xaxes(title="Time in the clip (s)")
    figure.update_yaxes(title="p_fake of the frame")
    return styled(figure, height=280)


@dataclass(frozen=True, slots=True)
class ScoredFrames:
    """What one detector says along a clip."""

    label: str
    times: Numbers  # (T,) seconds from the clip's start
    p_fake: Numbers  # (T,) in [0, 1]
    threshold: float
    missed: Numbers  # (M,) seconds of frames that were read and do not show the face


def p_fake_of_detectors(lines: Sequence[ScoredFrames]) -> go.Figure:
    """p_fake against seconds of several detectors, each with its own threshold as a thin line of its colour.

    A mark is filled where the frame is at or above the detector's threshold. Crosses at the foot are frames in which
    one of them, at least, was shown no face.
    """
    figure = go.Figure()
    for place, line in enumerate(lines):
        colour, symbol = run_look(place)["color"], SYMBOLS[place % len(SYMBOLS)]
        times, values = _with_gaps(line.times, line.p_fake, line.missed)
        figure.add_scatter(
            x=times,
            y=values,
            name=line.label,
            legendgroup=line.label,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={
                "size": 8,
                "color": colour,
                "symbol": [symbol if value >= line.threshold else f"{symbol}-open" for value in values],
                "line": {"width": 1.5, "color": colour},
            },
            hovertemplate="p_fake %{y:.3f}, threshold " + f"{line.threshold:.3f}",
        )
        figure.add_hline(y=line.threshold, line={"color": tint(colour, 0.8), "width": 1.25, "dash": "dot"})
    _add_missed(figure, sorted({float(time) for line in lines for time in line.missed}))
    figure.update_xaxes(title="Time in the clip (s)", showgrid=False, ticksuffix=" s", hoverformat=".2f")
    figure.update_yaxes(title="p_fake of the frame", range=[-0.06, 1.03], tickformat=".1f")
    return styled(figure, height=360).update_layout(margin={"t": 8 + 24 * len(lines)})


def _with_gaps(times: Numbers, p_fake: Numbers, missed: Numbers) -> tuple[list[float], list[float]]:
    """Times and values in order, with NaN where a face is missed, so that no line is drawn across."""
    known = {float(time): float("nan") for time in missed}
    known |= {float(time): float(value) for time, value in zip(times, p_fake, strict=True)}
    ordered = sorted(known)
    return ordered, [known[time] for time in ordered]


def _add_missed(figure: go.Figure, missed: Numbers) -> None:
    if len(missed):
        figure.add_scatter(
            x=np.asarray(missed, dtype=float),
            y=np.full(len(missed), -0.03),
            name="no face",
            mode="markers",
            marker={"symbol": "x-thin", "size": 7, "color": NEUTRAL, "line": {"width": 1.5, "color": NEUTRAL}},
            hovertemplate="%{x:.2f} s: no face here<extra></extra>",
            showlegend=True,
        )
        figure.update_yaxes(range=[-0.07, 1.03])


def p_fake_line(times: Numbers, p_fake: Numbers, threshold: float, size: int, hover: str) -> go.Figure:
    """p_fake (T,) against seconds (T,), each mark, `size` px large, in its side's colour; the threshold is a line."""
    values = np.asarray(p_fake, dtype=float)
    figure = go.Figure()
    across = {"xref": "x domain", "x0": 0, "x1": 1, "yref": "y"}
    line = {"type": "line", "y0": threshold, "y1": threshold, "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"}}
    bands = [_band(threshold, 1, FAKE), _band(0, threshold, REAL)]
    # as add_hrect and add_hline do, at once
    figure.update_layout(shapes=[across | shape for shape in (*bands, line)])
    figure.add_scatter(
        x=np.asarray(times),
        y=values,
        mode="lines+markers",
        line={"color": tint(NEUTRAL, 0.6), "width": 1.5},
        marker={"color": [FAKE if value >= threshold else REAL for value in values], "size": size},
        hovertemplate=f"{hover}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(showgrid=False)
    return figure.update_yaxes(range=[-0.03, 1.03], tickformat=".1f")


def _band(low: float, high: float, colour: str) -> dict[str, Any]:
    look = {"fillcolor": tint(colour, 0.06), "line": {"width": 0}, "layer": "below"}
    return {"type": "rect", "y0": low, "y1": high} | look
