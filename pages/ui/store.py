"""The store on a page: its runs, how they are named, what to say while it is empty, following it while it grows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from dfd import curves, tracking
from dfd.errors import DfdError
from dfd.tracking import Training

_of_kind: dict[tuple[str, tuple[str, ...]], tuple[pd.DataFrame, pd.DataFrame]] = {}  # all runs, and some kinds of them


@contextmanager
def told(*, aside: bool = False) -> Iterator[None]:
    """Show what a user can put right as one sentence, and end the page there, unless it can do without (`aside`)."""
    try:
        yield
    except DfdError as error:
        st.error(str(error), icon=":material/error:")
        if not aside:
            st.stop()


@st.cache_resource(ttl=2, max_entries=2, show_spinner=False)  # shared by all sessions, and not copied
def _runs(uri: str) -> pd.DataFrame:
    return tracking.current_runs()


def readable() -> bool:
    """Whether the store can be read; where it cannot, why not is said, and the page goes on."""
    try:
        _runs(tracking.store_uri())
    except DfdError as error:
        st.error(str(error), icon=":material/error:")
        return False
    return True


def runs() -> pd.DataFrame:
    """All detectors' runs, the user's own among them, newest first; at most two seconds old."""
    return _of_kinds("detector", tracking.OWN)


def judges() -> pd.DataFrame:
    """As `runs`, with the imported detectors, which can judge a clip but were not trained or measured here."""
    return _of_kinds("detector", "imported")


def detectors() -> pd.DataFrame:
    """As `runs`, with the imported detectors."""
    return _of_kinds("detector", tracking.OWN, "imported")


def tested() -> pd.DataFrame:
    """As `runs`, with the evaluations of detectors on other data."""
    return _of_kinds("detector", tracking.OWN, "evaluation")


def everything() -> pd.DataFrame:
    """All runs of any kind, a sweep's backbone among them; shared by all sessions, and not to be changed."""
    with told():
        return _runs(tracking.store_uri())


def robustness() -> pd.DataFrame:
    """The robustness curves of detectors, a run each."""
    return _of_kinds(curves.KIND)


def version() -> tuple[int, int]:
    """Other numbers whenever a run of any kind starts or ends well; for what is kept from one drawing to the next."""
    frame = everything()
    return len(frame), int((frame["status"] == "FINISHED").sum())


def _of_kinds(*kinds: str) -> pd.DataFrame:
    """Runs of these kinds; shared by all sessions and not to be changed, and the same object while nothing changes."""
    frame, key = everything(), (tracking.store_uri(), kinds)
    known = _of_kind.get(key)
    if known is None or known[0] is not frame:
        known = _of_kind[key] = (frame, frame[frame["kind"].isin(kinds)].reset_index(drop=True))
    return known[1]


@st.cache_data(ttl=2, max_entries=2, show_spinner=False)
def _training(uri: str) -> list[Training]:
    return tracking.training()


def training() -> list[Training]:
    """What is training now, of any kind; at most two seconds old."""
    return _training(tracking.store_uri())


@st.cache_data(ttl=2, max_entries=2, show_spinner=False)
def _aliases(uri: str) -> dict[str, int]:
    return tracking.aliases()


def aliases() -> dict[str, int]:
    """The version that each alias of the registered detector points at; at most two seconds old."""
    return _aliases(tracking.store_uri())


def forget() -> None:
    """Ask the store anew at the next look: this page has just changed it."""
    _runs.clear()
    _aliases.clear()


def follow(shown: pd.DataFrame, look: Callable[[], pd.DataFrame] = runs, *, badge: bool = True) -> None:
    """Draw the page anew when a run starts, ends or gets its figures; look often while something is running."""
    running = int((shown["status"] == "RUNNING").sum())
    seen, drawing = _state(shown), True

    @st.fragment(run_every=4 if running or shown.empty else 30)
    def watch() -> None:
        nonlocal drawing
        if running and badge:
            st.badge(f"{running} training now; this page follows", icon=":material/autorenew:", color="gray")
        if drawing:  # with the page itself, which has just looked
            drawing = False
            return
        tracking.keep_fresh()
        if _state(look()) != seen:
            st.rerun()

    watch()


def _state(runs: pd.DataFrame) -> tuple[dict[str, int], int, int]:
    checkpoints, registered = (int((runs[name] != "").sum()) for name in ("checkpoint", "registered"))
    return runs["status"].value_counts().to_dict(), checkpoints, registered


def empty(what: str) -> None:
    """What to do while the store has nothing for this page."""
    with st.container(border=True, width=760):
        st.subheader(f"No {what} yet", anchor=False)
        st.markdown("Train the sample sweep, which needs no GPU and no data of yours; runs appear here as they finish.")
        st.code("make demo", language=None)
        st.markdown("Or train on a corpus of your own:")
        st.code("dfd preprocess CORPUS_FOLDER\ndfd train EXPERIMENT.yaml", language=None)
        st.caption(f"This page looks into the store {tracking.store_name()}")
