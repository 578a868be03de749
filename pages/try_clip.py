"""Try a clip: pick a detector and a clip, watch it being judged, see the verdict and what it rests on."""

import json

import streamlit as st

from dfd import charts
from dfd.glossary import TERMS
from pages.ui import clips, frame, judging, store

frame.title("Try a clip", "What does a detector say of a video, frame by frame, and on which pictures of the face?")
runs = store.judges()
if not (runs["checkpoint"] != "").any():
    store.follow(runs, store.judges)
    store.empty("detectors")
    st.stop()

left, right = st.columns([2, 3], gap="large")
with left, store.told():
    run_id = judging.detector_picker(runs)
    clip = clips.picker()
    if clip:
        clips.preview(clip)

with right, store.told():
    if clip is None:
        frame.hint("Choose a clip; the verdict appears here.", "movie")
        st.stop()
    tried = judging.judge(clip, run_id)
    st.session_state["tried"] = tried
    judging.verdict_card(tried)
    with st.container(horizontal=True, vertical_alignment="center"):
        if tried.verdict.p_fake is not None:
            st.page_link("pages/attribution.py", label="What did it look at?", icon=":material/blur_on:")
        st.download_button(
            "Verdict as JSON",
            json.dumps({**tried.verdict.to_json(), "clip": clip.name}, indent=2),
            file_name="verdict.json",
            mime="application/json",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )
    judging.cautions(tried)

verdict = tried.verdict
if verdict.face_clip is None:
    st.stop()

times = verdict.face_clip.track.times
if verdict.p_fake is not None:
    st.subheader("Frame by frame", anchor=False, help=TERMS["p_fake"])
    st.plotly_chart(
        charts.p_fake_over_time(times, verdict.frame_p_fake, verdict.threshold),
        config={"displaylogo": False},
        key="over_time",
        alt="p_fake of each scored frame over the clip's time, with the threshold",
    )

st.subheader("The crops it scored", anchor=False, help="Exactly these pixels went into the detector, in this order.")
frame.strip(verdict.face_clip.crops, times, "Face crop")
