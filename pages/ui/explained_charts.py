"""The charts of an attribution: along time with a line at the current frame, and over the parts of the face."""

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from dfd import charts
from dfd.attribution import Attribution
from dfd.attribution.regions import REGIONS, region_shares, regions
from dfd.attribution.timeline import Timeline
from dfd.glossary import TERMS
from pages.ui import frame
from pages.ui.explained import kept, known_by
from pages.ui.judging import Tried


def show_over_time(told: Timeline, tried: Tried, place: int, slider: str) -> None:
    """Three charts of a clip along time, a line at the current frame; a click on a bar moves the slider."""
    threshold, after = tried.verdict.threshold, (told.times, told.p_fake_after)
    marked = {
        "importance": kept(
            tried, f"weights {told.baseline}", lambda: charts.frame_weights(told.weights, told.without, told.times)
        ),
        "so_far": kept(tried, "so far", lambda: charts.verdict_so_far(*after, threshold)),
    }
    weights, so_far, orders = st.columns([5, 4, 3], gap="medium")
    with weights:
        st.markdown("**What each frame adds**", help=TERMS["importance"])
        st.plotly_chart(
            marked["importance"].figure,
            key="importance",
            on_select=partial(_pick, slider),
            selection_mode="points",
            config=frame.BARE,
            alt="What each frame adds to the score, a line at the current one",
        )
    with so_far:
        st.markdown("**Verdict so far**", help=TERMS["so far"])
        st.plotly_chart(
            marked["so_far"].figure,
            key="so_far",
            config=frame.BARE,
            alt="p_fake had the clip ended at each frame, a line at the current one",
        )
    with orders:
        st.markdown("**Other orders**", help=TERMS["orders"])
        st.plotly_chart(
            kept(tried, "orders", lambda: charts.other_orders(told.p_fake, told.p_fake_shuffled, threshold)),
            key="orders",
            config=frame.BARE,
            alt=f"p_fake of the frames in other orders; it changes by up to {told.order_effect:.3f}",
        )
    st.html(f"<p>{_in_words(told, place)}</p><style>{_line_at(marked, place)}</style>")


def _in_words(told: Timeline, place: int) -> str:
    without = told.without[place]
    left_out = "" if np.isnan(without) else f", {without:+.3f} by leaving it out"
    return (
        f"The line is at frame {place + 1}: it adds {told.weights[place]:+.3f} by integrated gradients{left_out}; "
        f"p_fake up to it is {told.p_fake_after[place]:.3f}."
    )


def _line_at(marked: dict[str, charts.AlongFrames], place: int) -> str:
    """A style that lays a line over the charts at a frame: to draw a chart anew takes a browser a tenth of a second."""
    edge = charts.MARGIN
    return "".join(
        f".st-key-{key} .stPlotlyChart {{position: relative}}"
        f".st-key-{key} .stPlotlyChart::after {{content: ''; position: absolute; pointer-events: none;"
        f"top: {edge['t']}px; bottom: {edge['b']}px; border-left: 2px solid; opacity: 0.55;"
        f"left: calc({edge['l']}px + (100% - {edge['l'] + edge['r']}px) * {chart.at[place]:.5f} - 1px)}}"
        for key, chart in marked.items()
    )


def show_over_face(found: Attribution, tried: Tried) -> None:
    """Each part of the face: its share of the attribution beside its share of the picture."""
    st.markdown("**Over the face**", help=TERMS["parts"])
    figure = kept(tried, f"parts {known_by(found)}", partial(_parts, found, tried))
    if figure is None:
        st.caption("This clip came as crops without landmarks: where its eyes and mouth are is not known.")
        return
    st.plotly_chart(
        figure,
        key="parts",
        config=frame.BARE,
        alt="Share of the attribution in each part of the face, beside the part's share of the picture",
    )


def _parts(found: Attribution, tried: Tried) -> Any:
    parts = regions(tried.verdict.face_clip)
    if parts is None:
        return None
    shares = region_shares(found.maps, parts)
    return charts.face_parts(REGIONS, shares.share, shares.area)


def _pick(slider: str) -> None:
    """Move the slider to the bar that was clicked."""
    points = st.session_state["importance"].selection.points
    if points and "customdata" in points[0]:
        st.session_state[slider] = points[0]["customdata"][0] + 1
