"""The charts of an attribution: along time with the current frame picked out, and over the parts of the face."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dfd import charts
from dfd.attribution import Attribution
from dfd.attribution.regions import REGIONS, region_shares, regions
from dfd.attribution.timeline import Timeline
from dfd.glossary import TERMS
from pages.ui.explained import kept, known_by
from pages.ui.judging import Tried

QUIET = {"displayModeBar": False}


def show_over_time(told: Timeline, tried: Tried, place: int, slider: str) -> None:
    """Three charts of a clip along time, the current frame picked out; a click on a bar moves the slider."""
    threshold, after = tried.verdict.threshold, (told.times, told.p_fake_after)
    weights, so_far, orders = st.columns([5, 4, 3], gap="medium")
    with weights:
        st.markdown("**What each frame adds**", help=TERMS["importance"])
        st.plotly_chart(
            _drawn("weights", told, place, lambda: charts.frame_weights(told.weights, told.without, place, told.times)),
            key="importance",
            on_select=partial(_pick, slider),
            selection_mode="points",
            config=QUIET,
            alt="What each frame adds to the score, the current one picked out",
        )
    with so_far:
        st.markdown("**Verdict so far**", help=TERMS["so far"])
        st.plotly_chart(
            _drawn("so far", told, place, lambda: charts.verdict_so_far(*after, threshold, place)),
            key="so_far",
            config=QUIET,
            alt="p_fake had the clip ended at each frame",
        )
    with orders:
        st.markdown("**Other orders**", help=TERMS["orders"])
        st.plotly_chart(
            kept(tried, "orders", lambda: charts.other_orders(told.p_fake, told.p_fake_shuffled, threshold)),
            key="orders",
            config=QUIET,
            alt=f"p_fake of the frames in other orders; it changes by up to {told.order_effect:.3f}",
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
        config=QUIET,
        alt="Share of the attribution in each part of the face, beside the part's share of the picture",
    )


def _parts(found: Attribution, tried: Tried) -> Any:
    parts = regions(tried.verdict.face_clip)
    if parts is None:
        return None
    shares = region_shares(found.maps, parts)
    return charts.face_parts(REGIONS, shares.share, shares.area)


def _drawn(what: str, told: Timeline, place: int, draw: Callable[[], Any]) -> Any:
    """A chart of a verdict along time at a frame: the last one again, while both are the same."""
    last: dict[str, tuple[Timeline, int, Any]] = st.session_state.setdefault("drawn", {})
    if what not in last or last[what][0] is not told or last[what][1] != place:
        last[what] = (told, place, draw())
    return last[what][2]


def _pick(slider: str) -> None:
    """Move the slider to the bar that was clicked."""
    points = st.session_state["importance"].selection.points
    if points and "customdata" in points[0]:
        st.session_state[slider] = points[0]["customdata"][0] + 1
