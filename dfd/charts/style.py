"""What all figures share: the two colours of real and fake, the palette of the corpora, margins and legend."""

from collections.abc import Iterable

import plotly.graph_objects as go

REAL, FAKE = "#2A7DBF", "#D55E00"
NEUTRAL = "#7B8794"
CORPUS_PALETTE = ("#12977A", "#8C6BC8", "#B07D12", "#C2578F", "#5C8A2E", "#6B7C93")
MOST_POINTS = 300  # runs that a chart draws one by one; of more, these are taken evenly
RUN_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def corpus_colours(corpora: Iterable[str]) -> dict[str, str]:
    """A colour for each corpus, by the order of their names; given all corpora, filters never change a colour."""
    names = sorted(set(corpora))
    return {name: CORPUS_PALETTE[i % len(CORPUS_PALETTE)] for i, name in enumerate(names)}


def share(part: int, whole: int) -> int:
    """How many of `MOST_POINTS` a part of the rows gets, at least one."""
    return max(1, round(MOST_POINTS * part / whole))


def run_look(place: int) -> dict[str, str]:
    """Colour and dash of the run that was chosen at this place, from 0, where runs and not corpora are compared."""
    return {
        "color": CORPUS_PALETTE[place % len(CORPUS_PALETTE)],
        "dash": RUN_DASHES[place % len(RUN_DASHES)],
    }


def tint(colour: str, alpha: float) -> str:
    """A colour, so opaque."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def styled(figure: go.Figure, *, height: int, hovermode: str = "x unified") -> go.Figure:
    """The figure with the looks that all share; colours of paper and text are the page's."""
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
