"""One data set in numbers: clips of each kind, the leak check, how long and how large faces are, what was not taken."""

from typing import Any

import pandas as pd
import streamlit as st

from dfd import charts
from dfd.corpora import face_clips, inventory, numbers
from dfd.corpora.face_clips import FaceSizes
from dfd.corpora.inventory import Corpus
from dfd.corpora.numbers import Numbers
from dfd.glossary import TERMS
from pages.ui import corpora, frame

LISTED = 1000  # rows shown of a list; the rest is in the files that the page names


@st.cache_data(max_entries=8, show_spinner="Counting")
def _numbers(state: tuple[str, ...], _clips: pd.DataFrame) -> Numbers:
    return numbers.numbers(_clips)


@st.cache_data(max_entries=8, show_spinner="Reading face sizes")
def _sizes(state: tuple[str, ...], _clips: pd.DataFrame) -> FaceSizes:
    return face_clips.face_sizes(_clips)


def counts(corpus: Corpus, clips: pd.DataFrame) -> None:
    """How many clips there are of what, as charts and as a table."""
    found = _numbers(corpus.state, clips)
    for place, (column, rows) in zip(st.columns(len(found.by), gap="large"), found.by.items(), strict=True):
        with place:
            st.subheader(f"By {column}", anchor=False)
            st.plotly_chart(
                charts.clip_counts(rows), config=frame.BARE, key=f"by_{column}", alt=f"Real and fake clips by {column}"
            )
    table = found.crosstab
    with st.expander("The same numbers", icon=":material/table_rows:"):
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "split": "Split",
                "label": "Label",
                "method": "Method",
                "compression": "Compression",
                "clips": st.column_config.NumberColumn("Clips", format="localized"),
                "with_face": st.column_config.NumberColumn("With a face", format="localized"),
                "people": st.column_config.NumberColumn("People", format="localized", help=TERMS["people"]),
            },
            alt="Clips, clips with a face and people, by split, label, method and compression",
        )
        st.download_button(
            "Download as CSV",
            table.to_csv(index=False),
            file_name=f"{corpus.name}-clips.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def leak_check(corpus: Corpus, clips: pd.DataFrame) -> None:
    """Whether anybody is in two splits, and who."""
    known = corpora.figures(corpus)
    st.subheader("Leak check", anchor=False, help=TERMS["leak check"])
    if not known.leaking:
        st.markdown(
            f":green[:material/check_circle:] Passed: none of {known.people:,} people, as target or as source, is in "
            "two splits."
        )
        return
    st.error(
        f"{known.leaking:,} of {known.people:,} people are in more than one split, so that figures on these test clips "
        "would be too good; `dfd corpora add` it again, which divides it anew.",
        icon=":material/error:",
    )
    _rows(_numbers(corpus.state, clips).leaks, "People in more than one split")


def spreads(corpus: Corpus, clips: pd.DataFrame) -> None:
    """In how many clips people are, how many frames a face clip has and how wide faces are."""
    left, middle, right = st.columns(3, gap="large")
    with left:
        st.subheader("Clips a person", anchor=False, help=TERMS["people"])
        each = _numbers(corpus.state, clips).people
        _spread("clips a person", numbers.histogram(each, start=1), "Clips", of="people")
        st.caption(numbers.range_of(each, "clips a person"))
    if corpus.faces is None:
        return
    with middle:
        st.subheader("Frames a face clip", anchor=False, help=TERMS["sequence length"])
        faces = clips[clips["crops"] > 0]
        _spread("frames a face clip", numbers.histogram(faces["crops"], faces["label"], start=0), "Frames")
        st.caption(numbers.range_of(faces["crops"], "frames a face clip"))
    with right:
        st.subheader("Face width", anchor=False, help=TERMS["face width"])
        sizes = _sizes(corpus.state, clips)
        bins = numbers.histogram(sizes.table["width"], sizes.table["label"])
        _spread("face width", bins, "px", whole=False)
        st.caption(f"{numbers.range_of(sizes.table['width'], 'px')} {sizes.said}")


def _spread(what: str, bins: pd.DataFrame, title: str, **look: Any) -> None:
    figure = charts.spread(bins, title=title, **look)
    st.plotly_chart(figure, config=frame.BARE, key=what, alt=f"Histogram of {what}")


def not_taken(corpus: Corpus, clips: pd.DataFrame) -> None:
    """What is missing, was left out, gave no face or is there twice."""
    st.subheader("Not taken", anchor=False)
    added, first = corpus.added, ["clip", "why"]
    with corpora.noted():
        report = inventory.report(corpus)
        lists = {
            "missing on disk": (TERMS["listed"], pd.DataFrame({"file": added.missing if added else ()})),
            "left out": (TERMS["left out"], pd.DataFrame(added.left_out if added else (), columns=first)),
            "without a face-only video": (TERMS["with a face"], pd.DataFrame(report.failures, columns=first)),
            "files there more than once": (TERMS["copies"], numbers.copies(report, clips)),
        }
        for what, (meaning, rows) in lists.items():
            if len(rows):
                with st.expander(f"{len(rows):,} {what}"):
                    st.caption(meaning)
                    _rows(rows, what.capitalize())
        if all(rows.empty for _, rows in lists.values()):
            rest = " and gave a face" if corpus.faces else ""
            st.markdown(f":green[:material/check_circle:] Nothing: every clip was taken{rest}.")


def _rows(rows: pd.DataFrame, alt: str) -> None:
    """A list that may be long: its first rows, and how many there are."""
    names = {"clip": "Clip or file", "file": "File", "why": "Why", "clips": "Clips", "splits": "Splits"}
    names |= {"labels": "Labels", "identity": "Person", "example": "For example"}
    wide = st.column_config.TextColumn("Why", width="large")
    st.dataframe(rows.head(LISTED), hide_index=True, column_config={**names, "why": wide}, alt=alt)
    if len(rows) > LISTED:
        st.caption(f"The first {LISTED:,} of {len(rows):,}.")
