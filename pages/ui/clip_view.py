"""One clip of a data set on a page: its players, its crops, and other clips of the same people."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dfd import storage
from dfd.corpora import face_clips, numbers
from dfd.corpora.face_clips import FaceFacts
from dfd.corpora.inventory import Corpus
from dfd.glossary import TERMS
from dfd.video import VideoInfo, probe
from pages.ui import corpora, frame
from pages.ui.face_clips import COLOURS, wall
from pages.ui.picked import PLAYABLE, SENT, about

CONTAINERS = {".mp4", ".m4v", ".mov", ".webm"}  # that every current browser knows
STRIP = 24  # crops of one clip
BESIDE = 8  # other clips of the same people


def show(corpus: Corpus, clips: pd.DataFrame, clip_id: str) -> None:
    """One clip: what it is, its face-only video and the clip it was cut from, and other clips of its people."""
    rows = clips[clips["clip_id"] == clip_id]
    if rows.empty:
        st.warning(
            f"{corpus.name} has no clip '{clip_id}'; choose one from its face clips.", icon=":material/search_off:"
        )
        return
    clip = rows.iloc[0]
    st.header(corpora.literal(clip["clip_id"]), anchor=False)
    with st.container(horizontal=True, gap="small"):
        st.badge(clip["label"], color=COLOURS[clip["label"]])
        for fact in (clip["method"], clip["split"], clip["compression"]):
            if fact:
                st.badge(corpora.literal(fact), color="gray")
    st.markdown(_people(clip))
    facts = _players(clip)
    if facts is not None:
        st.subheader("Crops", anchor=False, help="Evenly from the first to the last of the face-only video.")
        with corpora.noted():
            crops = face_clips.some_crops(Path(clip["face_path"]), facts, STRIP)
            frame.strip(crops.pixels, crops.times, "Face crop")
    others = numbers.sharing(clips, clip_id)
    if len(others):
        st.subheader("The same people", anchor=False, help=TERMS["people"])
        wall(corpus.name, numbers.page(others, 1, BESIDE))


def _people(clip: pd.Series) -> str:
    target, source = (corpora.literal(clip[f"{role}_identity"]) for role in ("target", "source"))
    split = "as published" if clip["official_split"] else "by person"
    return f"**Target** {target or 'not known'}{f' · **Source** {source}' if source else ''} · **Split** {split}"


def _players(clip: pd.Series) -> FaceFacts | None:
    """The face-only video and the clip as it came, side by side; what is known of the first, where there is one."""
    facts = None
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Face-only video", anchor=False)
        if not clip["face_path"]:
            frame.hint("There is none: no face was found, or it is not preprocessed.", "person_off")
        with corpora.noted():
            if clip["face_path"]:
                facts = face_clips.face_facts(Path(clip["face_path"]))
                _face_player(clip["face_path"], facts)
    with right:
        st.subheader("The clip it was cut from", anchor=False)
        with corpora.noted():
            _original_player(clip["path"] or (facts.source if facts else ""))
    return facts


def _face_player(path: str, facts: FaceFacts) -> None:
    st.video(path, muted=True, loop=True, alt="The face-only video")
    found = "one person" if facts.faces == 1 else f"{facts.faces} people, of whom this one is longest in sight"
    st.caption(
        f"{len(facts.times)} crops of {facts.size} × {facts.size} px; the face box is {facts.width:.0f} px wide in the "
        f"clip, which shows {found}. Firefox and Safari cannot play its colour format; Chromium can."
    )


def _original_player(place: str) -> None:
    if not place or storage.is_url(place):
        frame.hint(f"It lies at {place}." if place else "Where it lies is not known.", "link")
        return
    path, info = Path(place), _probe(place, storage.stamp(place))
    if path.suffix.lower() == ".gif":
        st.image(place, width="stretch", alt="The clip")
    elif info.codec not in PLAYABLE or path.suffix.lower() not in CONTAINERS:
        frame.hint(f"Browsers cannot play {info.codec} in {path.suffix}.", "videocam_off")
    elif path.stat().st_size > SENT:
        frame.hint(f"It is larger than {SENT >> 20} MB; open it where it lies.", "videocam_off")
    else:
        st.video(place, muted=True, loop=True, width="stretch" if info.width > info.height else 460, alt="The clip")
    st.caption(f"{about(info)}  \n:material/folder: {corpora.literal(place)}")


@st.cache_data(max_entries=100, show_spinner=False)
def _probe(place: str, stamp: str | None) -> VideoInfo:
    return probe(Path(place))
