"""Data sets on a page: their tables, kept between runs of a page; a table of all; the head of one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from dfd import charts
from dfd.corpora import inventory, numbers
from dfd.corpora.inventory import Corpus
from dfd.corpora.numbers import Figures
from dfd.errors import DfdError
from dfd.glossary import TERMS
from pages.ui import frame

KINDS = {
    "faceforensics": "FaceForensics++",
    "celeb_df": "Celeb-DF",
    "dfdc": "DFDC",
    "face_only": "face-only videos",
    "csv": "listed in a CSV",
    "folder": "folder",
    "sample": "synthetic sample",
    "": "preprocessed, not added",
}


def clips(corpus: Corpus) -> pd.DataFrame:
    """The table of a corpus's clips, read again when a manifest has changed.

    Raises:
        ManifestError: a manifest is missing or damaged.
    """
    return _clips(corpus.state, corpus)


@st.cache_data(max_entries=4, show_spinner="Reading the manifest")
def _clips(state: tuple[str, ...], _corpus: Corpus) -> pd.DataFrame:
    return inventory.clips(_corpus)


def figures(corpus: Corpus) -> Figures:
    """The figures of a corpus, counted again when a manifest has changed."""
    return _figures(corpus.state, corpus)


@st.cache_data(max_entries=100, show_spinner=False)
def _figures(state: tuple[str, ...], _corpus: Corpus) -> Figures:
    return numbers.figures(clips(_corpus))


@contextmanager
def noted() -> Iterator[None]:
    """Show what a user can put right as one sentence, and go on with the page."""
    try:
        yield
    except DfdError as error:
        st.error(str(error), icon=":material/error:")


def literal(text: str) -> str:
    """A name as it is, not as Markdown."""
    return re.sub(r"([!-.:-@\[-^`{-~])", r"\\\1", text)  # Markdown has backslashes before ASCII alone


def empty() -> None:
    """What to do while there is no data set."""
    with st.container(border=True, width=760):
        st.subheader("No data sets yet", anchor=False)
        st.markdown("Add one as it came off its download script, or any folder that has `real/` and `fake/` in it:")
        st.code("dfd corpora add FOLDER\ndfd preprocess NAME", language=None)
        st.markdown("Or make the sample data sets, which are synthetic and need no data of yours:")
        st.code("make demo", language=None)


def choose(names: Sequence[str]) -> None:
    """A table of all data sets, in which a selected row opens one, and their sizes side by side."""
    rows = []
    for name in names:
        with noted():  # of one data set: the others are still to be seen
            corpus = inventory.corpus(name)
            rows.append(numbers.overview(corpus, figures(corpus)))
    if not rows:
        return
    table = pd.DataFrame(rows)
    event = st.dataframe(
        table.assign(kind=table["kind"].map(lambda kind: KINDS.get(kind, kind))),
        hide_index=True,
        column_config={
            "corpus": st.column_config.TextColumn("Data set", width=220),
            "kind": "Kind",
            "clips": st.column_config.NumberColumn("Clips", format="localized"),
            "real": st.column_config.NumberColumn("Real", format="localized"),
            "fake": st.column_config.NumberColumn("Fake", format="localized"),
            "people": st.column_config.NumberColumn("People", format="localized", help=TERMS["people"]),
            "leaking": st.column_config.NumberColumn("In two splits", format="localized", help=TERMS["leak check"]),
            "listed": st.column_config.NumberColumn("On disk", format="percent", help=TERMS["listed"]),
            "with_face": st.column_config.NumberColumn("With a face", format="percent", help=TERMS["with a face"]),
        },
        on_select="rerun",
        selection_mode="single-row",
        key="corpora_table",
        placeholder="–",
        alt="Data sets",
    )
    st.caption("Select a row to open its data set. `dfd corpora add FOLDER` adds another.")
    st.subheader("Side by side", anchor=False)
    st.plotly_chart(
        charts.clip_counts(numbers.sizes(table)),
        config=frame.BARE,
        key="corpora_chart",
        alt="Real and fake clips of each data set",
    )
    if event.selection.rows:
        st.query_params["corpus"] = table.loc[event.selection.rows[0], "corpus"]
        st.rerun()


def head(corpus: Corpus) -> None:
    """What the data set is, its figures, and what is to be done about it."""
    known, added = figures(corpus), corpus.added
    st.header(literal(corpus.name), anchor=False)
    with st.container(horizontal=True, gap="small"):
        kind = added.kind if added else ""
        st.badge(KINDS.get(kind, kind), color="gray")
        st.badge(_splits(known), color="gray", help=TERMS["official"])
        if known.leaking:
            st.badge("people in two splits", icon=":material/error:", color="red", help=TERMS["leak check"])
        else:
            st.badge("leak check passed", icon=":material/check:", color="green", help=TERMS["leak check"])
    st.space("small")
    _figures_row(corpus, known)
    _to_do(corpus, known)
    if added:
        notes = [f":material/info: {literal(note)}" for note in added.notes]
        st.caption("  \n".join([*notes, f":material/folder: {literal(str(added.root))}"]))


def _splits(known: Figures) -> str:
    if known.official in (0, known.clips):
        return "official splits" if known.official else "split by person"
    return f"official splits: {known.official:,} of {known.clips:,} clips"


def _figures_row(corpus: Corpus, known: Figures) -> None:
    added = corpus.added
    shown = [
        ("Clips", f"{known.clips:,}", "", None),
        ("Real", f"{known.real:,}", "", None),
        ("Fake", f"{known.fake:,}", "", None),
        ("People", f"{known.people:,}", "", TERMS["people"]),
    ]
    if added:
        there = f"{added.expected - len(added.missing):,} of {added.expected:,} listed"
        shown.append(("On disk", f"{added.coverage:.1%}", there, TERMS["listed"]))
    if corpus.faces:
        seen = f"{known.with_face:,} of {known.clips:,} clips"
        shown.append(("With a face", f"{known.face_coverage:.1%}", seen, TERMS["with a face"]))
    with st.container(horizontal=True, gap="medium"):
        for label, value, beside, meaning in shown:
            with st.container(width=150, gap=None):
                st.metric(label, value, help=meaning)
                st.caption(beside)


def _to_do(corpus: Corpus, known: Figures) -> None:
    """What keeps the data set from being used as it is."""
    command = f"`dfd preprocess {corpus.name}`"
    if corpus.added and corpus.away:
        st.warning(
            f"{corpus.added.root} is not there; connect the disk it lies on. What was read of it is still shown.",
            icon=":material/hard_drive:",
        )
    if corpus.begun:
        st.info(f"Preprocessing has begun and is not finished; {command} goes on where it was.", icon=":material/face:")
    elif corpus.faces is None:
        st.info(
            f"Its faces are not cut out yet, and nothing can be trained on it: run {command}.", icon=":material/face:"
        )
    elif known.waiting:
        st.info(f"{known.waiting:,} of its clips are not preprocessed yet: run {command}.", icon=":material/face:")
    if known.differing:
        st.warning(
            f"{known.differing:,} clips were preprocessed with another label, method, person or split than they have "
            f"here; run {command} again, which keeps the faces and takes over the rest.",
            icon=":material/sync_problem:",
        )
