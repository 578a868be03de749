"""A verdict along time, and over the parts of the face."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dfd.charts.style import CORPUS_PALETTE, FAKE, NEUTRAL, REAL, styled, tint
from dfd.charts.verdicts import Numbers, p_fake_line

MARGIN = {"l": 76, "r": 12, "t": 46, "b": 52}  # px; fixed, so that a page knows where a chart's frames are


@dataclass(frozen=True, slots=True)
class AlongFrames:
    """A chart of a clip's frames on which a page can mark one of them without having the chart drawn anew.

    `MARGIN` lies around the plotting area, and dragging does not move its axis of frames.
    """

    figure: go.Figure
    at: NDArray[np.float64]  # (T,) where each frame is across the plotting area: 0 its left end, 1 its right end


def frame_weights(weights: Numbers, without: Numbers, times: Numbers) -> AlongFrames:
    """What each frame adds to the score: bars by integrated gradients, marks by leaving the frame out.

    `customdata[0]` is the frame.

    Args:
        weights: (T,) signed, positive speaks for fake.
        without: (T,) score minus the score without the frame; NaN where it is the only one.
        times: (T,) seconds, for the hover text.
    """
    values, frames = np.asarray(weights, dtype=float), np.arange(1, len(weights) + 1, dtype=np.float64)
    figure = go.Figure()
    figure.add_bar(
        x=frames,
        y=values,
        name="integrated gradients",
        marker={"color": [FAKE if value >= 0 else REAL for value in values]},
        customdata=[[at, float(time)] for at, time in enumerate(times)],
        hovertemplate="frame %{x} at %{customdata[1]:.2f} s: %{y:+.3f}<extra></extra>",
        unselected={"marker": {"opacity": 1}},  # a bar is clicked to go to its frame, and stays one of many
    )
    if not np.isnan(np.asarray(without, dtype=float)).all():
        figure.add_scatter(
            x=frames,
            y=np.asarray(without, dtype=float),
            name="left out",
            mode="markers",
            marker={"symbol": "line-ew-open", "size": 9, "color": NEUTRAL, "line": {"width": 2}},
            hovertemplate="without frame %{x}: %{y:+.3f}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    figure.update_xaxes(title="Frame", showgrid=False, tickformat="d")
    figure.update_yaxes(title="Towards fake (logit)", tickformat=".2~g")
    return _along(styled(figure, height=260, hovermode="closest").update_layout(bargap=0.25), frames, 0.5)


def verdict_so_far(times: Numbers, p_fake: Numbers, threshold: float) -> AlongFrames:
    """p_fake had the clip ended at each frame, (T,) against seconds."""
    figure = p_fake_line(times, p_fake, threshold, 6, "after %{x:.2f} s: p_fake %{y:.3f}")
    figure.update_xaxes(title="Clip up to (s)")
    figure.update_yaxes(title="p_fake so far")
    seconds = np.asarray(times, dtype=float)
    return _along(styled(figure, height=260), seconds, 0.03 * np.ptp(seconds) or 0.5)


def _along(figure: go.Figure, places: NDArray[np.float64], room: float) -> AlongFrames:
    """The chart with its axis of frames held, from the first less some room to the last and as much."""
    low, high = float(places[0]) - room, float(places[-1]) + room
    figure.update_xaxes(range=[low, high], fixedrange=True, automargin=False)
    figure.update_yaxes(automargin=False).update_layout(margin=MARGIN)
    return AlongFrames(figure, (places - low) / (high - low))


def other_orders(p_fake: float, shuffled: Numbers, threshold: float) -> go.Figure:
    """p_fake of the frames in their order, a diamond, and in other orders, (N,) dots side by side."""
    values = np.sort(np.asarray(shuffled, dtype=float))
    across = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
    figure = go.Figure()
    figure.add_scatter(
        x=across,
        y=values,
        name="other orders",
        mode="markers",
        marker={"color": NEUTRAL, "size": 6, "opacity": 0.6},
        hovertemplate="another order: p_fake %{y:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=[0],
        y=[p_fake],
        name="as read",
        mode="markers",
        marker={"symbol": "diamond", "size": 13, "color": FAKE if p_fake >= threshold else REAL, "line": {"width": 2}},
        hovertemplate="as read: p_fake %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=threshold, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(visible=False, range=[-1, 1])
    figure.update_yaxes(title="p_fake", range=[-0.03, 1.03], tickformat=".1f")
    return styled(figure, height=260, hovermode="closest")


def face_parts(names: Sequence[str], share: Numbers, area: Numbers) -> go.Figure:
    """Each part's share of the attribution, bars, against its share of the pixels, marks: (R,) each, in [0, 1].

    A bar beyond its mark says that the part weighs more than its size.
    """
    figure = go.Figure()
    rows = list(names)
    figure.add_bar(
        x=np.asarray(share, dtype=float),
        y=rows,
        orientation="h",
        name="of the attribution",
        marker={"color": tint(NEUTRAL, 0.7)},
        hovertemplate="%{y}: %{x:.1%} of the attribution<extra></extra>",
    )
    figure.add_scatter(
        x=np.asarray(area, dtype=float),
        y=rows,
        name="of the picture",
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": CORPUS_PALETTE[1], "line": {"width": 2.5}},
        hovertemplate="%{y}: %{x:.1%} of the picture<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return styled(figure, height=280, hovermode="closest").update_layout(bargap=0.35)
