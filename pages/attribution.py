"""Attribution: what a verdict rests on, over the face and over time."""

from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dfd import attribution, charts
from dfd.attribution import Attribution
from dfd.glossary import METHODS, TERMS
from pages.ui import clips, frame, judging, store
from pages.ui.judging import Tried

KEPT = 6  # attributions a session keeps


def choose() -> Tried:
    """The clip last tried; while there is none, one chosen here."""
    if "tried" not in st.session_state:
        left, right = st.columns([2, 3], gap="large")
        with left, store.told():
            run_id = judging.detector_picker(runs)
            clip = clips.picker()
        with right:
            if clip is None:
                frame.hint("Choose a clip here, or try one first: the last clip tried is shown.", "movie")
                st.stop()
            with store.told():
                st.session_state["tried"] = judging.judge(clip, run_id)
        st.rerun()
    return st.session_state["tried"]


def explain(tried: Tried, method: str) -> Attribution:
    """The attribution of the tried clip by one method, from this session's memory where it is there."""
    memory: dict[tuple[str, ...], Attribution] = st.session_state.setdefault("attributions", {})
    key = (tried.clip.sha256, tried.run_id, method)
    if key not in memory:
        detector = judging.detector(tried.run_id)
        with judging.stages(METHODS[method].label) as report:
            memory[key] = attribution.explain(detector.checkpoint, tried.verdict.face_clip, method, progress=report)
        while len(memory) > KEPT:
            memory.pop(next(iter(memory)))
    return memory[key]


def pick_frame(key: str) -> None:
    """Move the slider to the bar that was clicked."""
    points = st.session_state["importance"].selection.points
    if points:
        st.session_state[key] = points[0]["customdata"][0] + 1


@st.fragment
def browse(found: Attribution, pictures: NDArray[np.uint8], tried: Tried) -> None:
    """The current frame, large, and the importance of all; moving the slider draws only this anew."""
    face = tried.verdict.face_clip
    times, last = face.track.times, len(pictures)
    key = f"frame_of_{last}"
    place = 0 if last == 1 else st.slider("Frame", 1, last, key=key, help="The frames scored, in order.") - 1
    left, middle, right = st.columns([3, 3, 5], gap="medium")
    left.image(
        pictures[place],
        width="stretch",
        caption=f"Heat map, frame {place + 1} of {last}, {times[place]:.2f} s",
        alt=f"Heat map over the face in frame {place + 1}",
    )
    middle.image(
        face.crops[place], width="stretch", caption="The crop as scored", alt=f"Face crop of frame {place + 1}"
    )
    with right:
        st.markdown("**Importance over time**", help=TERMS["importance"])
        st.plotly_chart(
            charts.frame_importance(found.frames, place, times),
            key="importance",
            on_select=partial(pick_frame, key),
            selection_mode="points",
            config={"displayModeBar": False},
            alt="Importance of each frame for the verdict, the current one picked out",
        )


frame.title("Attribution", "What does a verdict rest on: which parts of the face, in which frames?")
runs = store.judges()
if not (runs["checkpoint"] != "").any():
    store.follow(runs, store.judges)
    store.empty("detectors")
    st.stop()

tried = choose()
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(
        f"**{tried.clip.name}** judged **{tried.verdict.decision}** by {judging.detector_name(runs, tried.run_id)}"
    )
    st.page_link("pages/try_clip.py", label="Another clip", icon=":material/swap_horiz:")
if tried.verdict.p_fake is None:
    frame.hint("There is no score to explain: the detector gave none for this clip.", "person_off")
    st.stop()

with store.told():
    offered = attribution.views(judging.detector(tried.run_id).checkpoint.model)
with st.container(horizontal=True, gap="large"):
    method = st.segmented_control(
        "Method",
        offered,
        default="gradcam",
        required=True,
        format_func=lambda name: METHODS[name].label,
        key="method",
        bind="query-params",
        help=" ".join(METHODS[name].help for name in offered),
    )
    opacity = st.slider("Heat map opacity", 0.0, 1.0, 0.5, 0.05, key="opacity", width=260)
    with st.container(
        width="content", horizontal=True, gap="small", vertical_alignment="bottom", height=64, border=False
    ):
        if METHODS[method].signed:
            st.badge("speaks for fake", color="orange")
            st.badge("speaks for real", color="blue")
        else:
            st.badge("looked at", color="orange")

with store.told():
    found = explain(tried, method)
pictures = attribution.overlays(found, tried.verdict.face_clip.crops, opacity=opacity)
browse(found, pictures, tried)

legend = TERMS["heat map" if METHODS[method].signed else "unsigned map"]
st.subheader("Every frame", anchor=False, help=legend)
frame.strip(pictures, tried.verdict.face_clip.track.times, "Heat map")

st.subheader("How to read this", anchor=False)
st.markdown(f"{METHODS[method].help} {legend}")
st.markdown(f"**Target** {found.target}  \n**Baseline** {found.baseline or 'none; this method needs no baseline'}")
st.markdown(f"**Over time** {found.over_time}. {TERMS['importance']}")
if found.completeness_error is not None:
    st.metric("Completeness error", f"{found.completeness_error:.1%}", help=TERMS["completeness"], width="content")
st.caption(f"Computed in {found.seconds:.1f} s")
