"""A corpus: how many clips there are of what, and how long and how large its faces are."""

import pandas as pd
import plotly.graph_objects as go

from dfd.charts.style import FAKE, NEUTRAL, REAL, styled
from dfd.labels import Label

COLOURS = {Label.REAL.word: REAL, Label.FAKE.word: FAKE}
ROW = 34  # px


def clip_counts(counts: pd.DataFrame) -> go.Figure:
    """Real and fake clips of each group, stacked, the first group at the top; totals stand at the ends.

    Args:
        counts: group, label, clips, as from `numbers.counts`.
    """
    figure = go.Figure()
    groups = list(counts["group"].drop_duplicates())
    for label, colour in COLOURS.items():
        rows = counts[(counts["label"] == label) & (counts["clips"] > 0)]
        figure.add_bar(
            y=rows["group"],
            x=rows["clips"],
            name=label,
            orientation="h",
            marker={"color": colour},
            hovertemplate=f"%{{y}}: %{{x:,}} {label}<extra></extra>",
        )
    totals = counts.groupby("group", observed=True, sort=False)["clips"].sum()
    for group, total in totals.items():
        figure.add_annotation(x=total, y=group, text=f"{total:,}", showarrow=False, xanchor="left", xshift=4)
    figure.update_xaxes(range=[0, 1.12 * totals.max()], showgrid=False, showticklabels=False, fixedrange=True)
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=groups[::-1], fixedrange=True, ticks="")
    figure.update_layout(barmode="stack", bargap=0.35)
    return _styled(figure, height=ROW * len(groups) + 48)


def spread(bins: pd.DataFrame, *, title: str, of: str = "clips", whole: bool = True) -> go.Figure:
    """A histogram: real and fake clips stacked, or, where bins have no label, one colour that means neither.

    Args:
        bins: low, high, label, clips, as from `numbers.histogram`.
        title: what is counted into bins, with its unit.
        of: what the bars count.
        whole: only whole numbers occur, so that a bin from 3 to below 4 is that of 3.
    """
    figure = go.Figure()
    for label, rows in bins.groupby("label", sort=False):
        last = rows["high"] - whole
        figure.add_bar(
            x=(rows["low"] + last) / 2,
            y=rows["clips"],
            width=rows["high"] - rows["low"],
            name=str(label),
            marker={"color": COLOURS.get(str(label), NEUTRAL)},
            text=[
                f"{low:g}" if low == high else f"{low:g} to {high:g}"
                for low, high in zip(rows["low"], last, strict=True)
            ],
            textposition="none",
            hovertemplate=f"%{{text}}: %{{y:,}} {label} {of}<extra></extra>",
            showlegend=bool(label),
        )
    few = {"dtick": 1} if whole and bins["high"].max() <= 12 else {}
    figure.update_xaxes(title=title, showgrid=False, fixedrange=True, **few)
    figure.update_yaxes(title=of.capitalize(), fixedrange=True)
    figure.update_layout(barmode="stack", bargap=0.06)
    return _styled(figure, height=250)


def _styled(figure: go.Figure, *, height: int) -> go.Figure:
    return styled(figure, height=height, hovermode="closest").update_layout(legend_traceorder="normal")
