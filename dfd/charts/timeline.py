"""A verdict along time, and over the parts of the face."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dfd.charts.style import CORPUS_PALETTE, FAKE, NEUTRAL, REAL, styled, tint
from dfd.charts.verdicts import Numbers, p_fake_line


def frame_weights(weights: Numbers, without: Numbers, current: int, times: Numbers) -> go.Figure:
    """What each frame adds to the score: bars by integrated gradients, marks by leaving the frame out.

    `customdata[0]` is the frame.

    Args:
        weights: (T,) signed, positive speaks for fake.
        without: (T,) score minus the score without the frame; NaN where it is the only one.
        current: frame in [0, T), picked out.
        times: (T,) seconds, for the hover text.
    """
    values = np.asarray(weights, dtype=float)
    colours = [FAKE if value >= 0 else REAL for value in values]
    figure = go.Figure()
    figure.add_bar(
        x=np.arange(len(values)) + 1,
        y=values,
        name="integrated gradients",
        marker={"color": [colour if at == current else tint(colour, 0.35) for at, colour in enumerate(colours)]},
        customdata=[[at, float(time)] for at, time in enumerate(times)],
        hovertemplate="frame %{x} at %{customdata[1]:.2f} s: %{y:+.3f}<extra></extra>",
    )
    if not np.isnan(np.asarray(without, dtype=float)).all():
        figure.add_scatter(
            x=np.arange(len(values)) + 1,
            y=np.asarray(without, dtype=float),
            name="left out",
            mode="markers",
            marker={"symbol": "line-ew-open", "size": 9, "color": NEUTRAL, "line": {"width": 2}},
            hovertemplate="without frame %{x}: %{y:+.3f}<extra></extra>",
        )
    figure.update_xaxes(title="Frame", showgrid=False, tickformat="d")
    figure.update_yaxes(title="Towards fake (logit)", exponentformat="power")
    return styled(figure, height=260, hovermode="closest").update_layout(bargap=0.25)


def verdict_so_far(times: Numbers, p_fake: Numbers, threshold: float, current: int) -> go.Figure:
    """p_fake had the clip ended at each frame, (T,) against seconds; the current frame is ringed."""
    sizes = [12 if at == current else 6 for at in range(len(p_fake))]
    figure = p_fake_line(times, p_fake, threshold, sizes, "after %{x:.2f} s: p_fake %{y:.3f}")
    figure.update_xaxes(title="Clip up to (s)")
    figure.update_yaxes(title="p_fake so far")
    return styled(figure, height=260)


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
