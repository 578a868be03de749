"""Face clips on a page: a wall of pictures to look through, each of which opens its clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dfd import storage
from dfd.corpora import face_clips, numbers
from dfd.corpora.inventory import Corpus
from dfd.errors import VideoError
from dfd.labels import Label
from pages.ui import corpora

PAGE = 24  # pictures
COLOURS = {Label.REAL.word: "blue", Label.FAKE.word: "orange"}


@st.fragment
def browse(corpus: Corpus, clips: pd.DataFrame) -> None:
    """The face clips that pass some filters, a page of them at a time; each opens its clip."""
    st.subheader("Face clips", anchor=False, help="A picture from about the middle of each face-only video.")
    found = _filtered(corpus.name, clips)
    count = numbers.pages(found, PAGE)
    st.caption(f"{len(found):,} face clips; the name below a picture opens its clip.")
    above = st.container()
    # The key has the count in it: with other filters the first page is shown.
    number = st.pagination(count, key=f"{corpus.name}_page_of_{len(found)}", persist_state="session", width="stretch")
    with above:
        wall(corpus.name, numbers.page(found, number, PAGE))


def _filtered(corpus: str, clips: pd.DataFrame) -> pd.DataFrame:
    with st.container(horizontal=True, gap="medium"):
        text = st.text_input(
            "Search",
            key=f"{corpus}_search",
            placeholder="Clip or person",
            type="search",
            live=True,
            width=260,
            persist_state="session",
        )
        wanted = {
            column: st.pills(
                column.capitalize(),
                list(clips[column].cat.categories),
                selection_mode="multi",
                key=f"{corpus}_{column}",
                persist_state="session",
            )
            for column in ("label", "split")
        }
        wanted["method"] = st.multiselect(
            "Method",
            list(clips["method"].cat.categories),
            key=f"{corpus}_method",
            placeholder="All",
            width=260,
            persist_state="session",
        )
    return numbers.matching(clips, text=text, **wanted)


def wall(corpus: str, clips: pd.DataFrame) -> None:
    """Pictures of face clips in rows."""
    st.html("<style>.st-key-wall button {min-height: 0; padding: 0.1rem 0}</style>")
    with st.container(horizontal=True, gap="small", key="wall"):
        for clip in clips.itertuples(index=False):
            with st.container(width=140, gap=None):
                _tile(corpus, clip)


def _tile(corpus: str, clip: Any) -> None:
    """A picture of a clip, its name, which opens it, and what it is."""
    try:
        picture = _picture(clip.face_path, storage.stamp(clip.face_path))
        st.image(picture, width="stretch", alt=f"A face from the {clip.label} clip {clip.clip_id}")
    except VideoError:
        with st.container(border=True, height=140, horizontal_alignment="center", vertical_alignment="center"):
            st.markdown(":gray[:material/broken_image:]")
    name = corpora.literal(clip.clip_id.rpartition("/")[2])
    if st.button(name, key=f"{corpus} {clip.clip_id}", help=corpora.literal(clip.clip_id), type="tertiary"):
        st.query_params.from_dict({"corpus": corpus, "clip": clip.clip_id})
        st.rerun()
    said = f":{COLOURS[clip.label]}[{clip.label}] :gray[· {corpora.literal(clip.method)} · {clip.split}]"
    st.markdown(f":small[{said}]")


@st.cache_data(max_entries=2000, show_spinner=False)
def _picture(path: str, stamp: str | None) -> NDArray[np.uint8]:
    return face_clips.middle_crop(Path(path))
