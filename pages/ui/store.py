"""The store on a page: its runs, how they are named, what to say while it is empty, following it while it grows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from dfd import tracking
from dfd.errors import DfdError


@contextmanager
def told() -> Iterator[None]:
    """Show what a user can put right as one sentence, and end the page there."""
    try:
        yield
    except DfdError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


@st.cache_data(ttl=2, max_entries=2, show_spinner=False)
def _runs(uri: str) -> pd.DataFrame:
    return tracking.runs()


def runs() -> pd.DataFrame:
    """All detectors' runs, newest first; at most two seconds old."""
    return _of_kinds("detector")


def judges() -> pd.DataFrame:
    """As `runs`, with the imported detectors, which can judge a clip but were not trained or measured here."""
    return _of_kinds("detector", "imported")


def _of_kinds(*kinds: str) -> pd.DataFrame:
    with told():
        frame = _runs(tracking.store_uri())
    return frame[frame["kind"].isin(kinds)].reset_index(drop=True)


def follow(shown: pd.DataFrame, look: Callable[[], pd.DataFrame] = runs) -> None:
    """Draw the page anew when a run starts, ends or gets its figures; look often while something is running."""
    running = int((shown["status"] == "RUNNING").sum())
    seen = _state(shown)

    @st.fragment(run_every=4 if running or shown.empty else 30)
    def watch() -> None:
        if running:
            st.badge(f"{running} training now; this page follows", icon=":material/autorenew:", color="gray")
        if _state(look()) != seen:
            st.rerun()

    watch()


def _state(runs: pd.DataFrame) -> tuple[int, int, int]:
    return len(runs), int((runs["status"] == "FINISHED").sum()), int((runs["checkpoint"] != "").sum())


def empty(what: str) -> None:
    """What to do while the store has nothing for this page."""
    with st.container(border=True, width=760):
        st.subheader(f"No {what} yet", anchor=False)
        st.markdown("Train the sample sweep, which needs no GPU and no data of yours; runs appear here as they finish.")
        st.code("make demo", language=None)
        st.markdown("Or train on a corpus of your own:")
        st.code("dfd preprocess CORPUS_FOLDER\ndfd train EXPERIMENT.yaml", language=None)
        st.caption(f"This page looks into the store {tracking.store_uri()}")
