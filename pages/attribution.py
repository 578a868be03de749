"""Attribution: what a verdict rests on, over the face and over time."""

import streamlit as st

from dfd import attribution
from dfd.attribution.timeline import Timeline
from dfd.errors import StoreError
from dfd.glossary import METHODS, TERMS
from pages.ui import clips, explained, explained_charts, frame, how, judging, store, truth, try_verdicts
from pages.ui.explained import Seen
from pages.ui.judging import Tried


def choose() -> Tried:
    """The clip that a link names, else the one last tried; while there is none, one chosen here."""
    run_id, ref = st.query_params.get("run"), st.query_params.get("clip")
    last: Tried | None = st.session_state.get("tried")
    if run_id and ref and (last is None or (last.run_id, last.clip.ref) != (run_id, ref)):
        with store.told():
            if run_id not in judging.detector_names(runs):
                raise StoreError(f"this link's run, {run_id[:80]}, is no finished detector of this store; choose one")
            last = st.session_state["tried"] = judging.judge(clips.of_corpus(ref), run_id)
    if last is None:
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
    if last.clip.ref:  # an upload is nobody else's, and has no link
        st.query_params.update({"run": last.run_id, "clip": last.clip.ref})
    return last


def place_of(key: str, last: int) -> int:
    """The current frame: where the slider is, at first where the link says."""
    asked = st.query_params.get("frame", "")
    if key not in st.session_state and asked.isdecimal() and len(asked) < 9:
        st.session_state[key] = min(max(int(asked), 1), last)
    place = 1 if last == 1 else st.slider("Frame", 1, last, key=key, help="The frames scored, in order.")
    if place > 1 or asked:
        st.query_params["frame"] = str(place)
    return place - 1


@st.fragment
def browse(seen: list[Seen], told: Timeline, tried: Tried) -> None:
    """The current frame, large, and the verdict along time; moving the slider draws only this anew."""
    face = tried.verdict.face_clip
    times, last = face.track.times, len(face.crops)
    key = f"frame_of_{last}"
    place = place_of(key, last)
    columns = st.columns([3] * (1 + len(seen)) + [5 if len(seen) == 1 else 4], gap="medium")
    for column, one in zip(columns, seen, strict=False):
        column.image(
            one.pictures[place],
            width="stretch",
            caption=f"{one.label}, frame {place + 1} of {last}, {times[place]:.2f} s",
            alt=f"{one.label}: heat map over the face in frame {place + 1}",
        )
    columns[-2].image(
        face.crops[place], width="stretch", caption="The crop as scored", alt=f"Face crop of frame {place + 1}"
    )
    with columns[-1]:
        explained_charts.show_over_face(seen[0].found, tried)
    explained_charts.show_over_time(told, tried, place, key)


frame.title("Attribution", "What does a verdict rest on: which parts of the face, in which frames?")
runs = store.judges()
if not (runs["checkpoint"] != "").any():
    store.follow(runs, store.judges)
    store.empty("detectors")
    st.stop()

tried = choose()
with st.container(horizontal=True, vertical_alignment="center"):
    name = judging.detector_names(runs)[tried.run_id]
    score = tried.verdict.p_fake
    scored = "" if score is None else f" (p_fake {score:.3f}, threshold {tried.verdict.threshold:.3f})"
    st.markdown(f"**{tried.clip.name}** judged **{tried.verdict.decision}** by {name}{scored}")
    st.page_link("pages/try_clip.py", label="Another clip", icon=":material/swap_horiz:")
if tried.verdict.p_fake is None:
    frame.hint("There is no score to explain: the detector gave none for this clip.", "person_off")
    st.stop()

try_verdicts.cautions([tried], [name])

face = tried.verdict.face_clip
with store.told():
    model = judging.detector(tried.run_id).checkpoint.model
offered = attribution.views(model)
with st.container(horizontal=True, gap="medium"):
    method = st.selectbox(
        "Method",
        offered,
        format_func=lambda name: METHODS[name].label,
        key="method",
        bind="query-params",
        help=" ".join(METHODS[name].help for name in offered),
        width=240,
    )
    beside = explained.beside_picker(runs, tried, method, offered)
    asked, look = how.pick(method, model)

with store.told():
    found = explained.maps(tried, asked)
    told = explained.over_time(tried, found, asked.baseline)
    seen = [Seen(METHODS[method].label, found, look.over(found, face.crops))]
if beside is not None:
    with store.told(aside=True):
        other = explained.maps(beside.tried, asked.by(beside.method or method))
        seen.append(Seen(beside.label, other, look.over(other, face.crops)))
browse(seen, told, tried)

legend = TERMS["heat map" if METHODS[method].signed else "unsigned map"]
for one in seen:
    st.subheader("Every frame" if len(seen) == 1 else one.label, anchor=False, help=legend)
    frame.strip(one.pictures, face.track.times, "Heat map")
explained.downloads(seen[0], told, tried)

with store.told(aside=True):
    truth.show(found, tried)

st.subheader("How to read this", anchor=False)
st.markdown(f"{METHODS[method].help} {legend}")
st.markdown(
    f"**Target** {found.target}  \n**Baseline** {found.baseline or 'none; this method needs no baseline'}"
    + (f"  \n**Layer** {found.layer}" if found.layer else "")
)
st.markdown(f"**Over time** {TERMS['importance']} {TERMS['so far']} {TERMS['orders']}")
st.markdown(f"**Over the face** {TERMS['parts']}")
if found.completeness_error is not None:
    st.metric("Completeness error", f"{found.completeness_error:.1%}", help=TERMS["completeness"], width="content")
st.caption(f"Computed in {found.precision} in {found.seconds:.1f} s, over time in {told.seconds:.1f} s")
