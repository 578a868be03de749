"""Try a clip: pick detectors and a clip, watch it being judged, see the verdicts and what they rest on."""

import streamlit as st

from pages.ui import clips, frame, judging, picked, store, try_feedback, try_frames, try_report, try_verdicts

frame.title("Try a clip", "What do detectors say of a video, frame by frame, and on which pictures of the face?")
runs = store.judges()
if not (runs["checkpoint"] != "").any():
    store.follow(runs, store.judges)
    store.empty("detectors")
    st.stop()

left, right = st.columns([2, 3], gap="large")
with left, store.told():
    run_ids = judging.detectors_picker(runs)
    clip = clips.picker(max((judging.meta(run_id).recipe.max_frames for run_id in run_ids), default=None))
    if clip:
        picked.preview(clip)

with right, store.told():
    if not run_ids or clip is None:
        frame.hint("Choose a clip; the verdict appears here." if run_ids else "Choose a detector.", "movie")
        st.stop()
    found = judging.judge_all(clip, run_ids)
    called = judging.detector_names(runs)
    names = [called[run_id] for run_id in run_ids]
    if len(found) == 1:
        try_verdicts.one(found[0])
    else:
        try_verdicts.several(found, names)
    place = try_report.focus_picker(names)
    tried = st.session_state["tried"] = found[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        if tried.verdict.p_fake is not None:
            st.page_link("pages/attribution.py", label="What did it look at?", icon=":material/blur_on:")
        try_report.downloads(found, names)
    try_verdicts.cautions(found, names)
    try_feedback.form(tried, names[place])

if len(found) > 1:
    try_frames.side_by_side(found, names)
track = try_frames.track_picker(tried)
if track is not None:
    try_frames.closer(tried.verdict, track, alone=len(found) == 1)
