"""The parts of the Overview page."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dfd import charts, overview, tracking
from dfd.corpora import inventory
from dfd.glossary import TERMS, metric
from dfd.overview import Best
from dfd.tracking import Training
from pages.ui import frame, store
from pages.ui.figures import figure

SMALL = "accuracy"  # the metric of the small chart


def numbers(runs: pd.DataFrame) -> None:
    """How many runs, detectors, data sets and searches the store has."""
    told = overview.contents(runs)
    with st.container(horizontal=True, gap="large"):
        _number("Runs", told.runs, f"{told.finished} finished, {told.training} training, {told.broken} broken")
        _number("Detectors", told.detectors, "with a checkpoint")
        _number("Data sets", len(told.corpora), "trained on")
        _number("Searches", told.searches, "of hyperparameters")
    st.space("small")


def _number(label: str, value: int, note: str) -> None:
    with st.container(width=150, gap=None):
        st.metric(label, f"{value:,}")
        st.caption(note)


def training_now() -> bool:
    """Each run in training with its share of the planned epochs, moving by itself; returns whether there is one."""
    with store.told():
        running = store.training()
    st.fragment(_training, run_every=3 if running else None)()
    return bool(running)


def _training() -> None:
    with store.told():
        running = store.training()
    if not running:
        return
    with st.container(border=True):
        st.subheader("Training now", anchor=False, help="Share of the planned epochs; one that stops early needs less.")
        for run in running:
            _progress(run)
    st.space("small")


def _progress(run: Training) -> None:
    told = f"epoch {run.epoch} of {run.epochs}" if run.epochs else "at work"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(run.share, text=f"{run.name} · {told}", width="stretch")
        if run.kind == "detector":
            st.page_link(
                "pages/runs.py", label="Curves", icon=":material/show_chart:", query_params={"run": run.run_id}
            )


def best_checkpoints(runs: pd.DataFrame) -> None:
    """The best checkpoint of each corpus, with what can be done with it."""
    st.subheader(
        "Best checkpoint of each data set",
        anchor=False,
        help="Best by AUC on validation clips; test figures are never looked at to choose. " + TERMS["interval"],
    )
    with store.told():
        found = overview.best(runs, store.aliases())
    if not found:
        st.caption("None is registered yet: a training registers its detector when it is finished.")
        return
    with st.container(horizontal=True, gap="medium"):
        for one in found:
            _best(one)
    st.caption("Chosen by AUC on validation clips; the figures are of test clips, with 95 % intervals over people.")
    st.space("small")


def _best(one: Best) -> None:
    with st.container(border=True, width=392, gap="small"):
        st.markdown(f"**{one.corpus}**  \n:gray[{one.detector}]")
        with st.container(horizontal=True, gap="medium"):
            for name in ("auc", "accuracy"):
                figure(one.figures, name)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.page_link("pages/runs.py", label="Run", icon=":material/table_rows:", query_params={"run": one.run_id})
            for page, label, icon in (("try_clip", "Try", "movie"), ("attribution", "Attribution", "blur_on")):
                key = f"{page}_{one.run_id}"
                if st.button(label, icon=f":material/{icon}:", type="tertiary", key=key):
                    _go_with(one.run_id, f"pages/{page}.py")


def _go_with(run_id: str, page: str) -> None:
    """Go to a page that judges clips, with this checkpoint chosen in its picker."""
    st.session_state["detectors"], st.session_state["detector"] = [run_id], run_id
    last = st.session_state.get("tried")
    if last is not None and last.run_id != run_id:
        del st.session_state["tried"]  # Attribution would go on with the checkpoint it was tried on
    st.switch_page(page)


@st.cache_data(max_entries=4, show_spinner=False)
def _lengths(uri: str, version: tuple[int, int], _runs: pd.DataFrame) -> Any:
    """The chart, or None where nothing was measured; drawn once for thousands of runs, until another one ends."""
    plain = _runs[_runs["search"] == ""]
    if charts.length_points(plain, SMALL).empty:
        return None
    return charts.length_summary(plain, SMALL, charts.corpus_colours(set(_runs["corpus"]) - {""}))


def lengths(runs: pd.DataFrame) -> None:
    """Accuracy against sequence length in small; a click leads to Compare."""
    figure = _lengths(tracking.store_uri(), store.version(), runs)
    if figure is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(
            f"{metric(SMALL).label} against sequence length", anchor=False, help=TERMS["interval"], width="content"
        )
        st.page_link("pages/compare.py", label="Compare", icon=":material/show_chart:")
    event = st.plotly_chart(
        figure,
        key="overview_lengths",
        on_select="rerun",
        selection_mode="points",
        config=frame.BARE,
        alt=f"{metric(SMALL).label} on test clips against sequence length, a line for each data set",
    )
    if event.selection.points:
        st.switch_page("pages/compare.py")


def first_steps() -> None:
    """What to do next while the store is empty."""
    there = inventory.names()
    with st.container(border=True, width=760):
        st.subheader("No detector yet: three ways to begin", anchor=False)
        st.markdown("**The sample sweep.** No GPU and no data of yours; runs appear here while it trains.")
        st.code("make demo", language=None)
        st.markdown("**A corpus of your own**, added, its faces found, and an experiment trained on it:")
        st.code("dfd corpora add FOLDER\ndfd preprocess CORPUS\ndfd train EXPERIMENT.yaml", language=None)
        st.markdown("**A published checkpoint**, to try clips with:")
        st.code("dfd import model_97_acc_60_frames_FF_data.pt", language=None)
        if there:
            st.caption(f"Data sets that are here already: {', '.join(there)}.")


def surroundings() -> DeltaGenerator:
    """Where the store is, and the versions; returns the place for `device`."""
    st.divider()
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=392, gap=None):
            st.markdown("**Device**")
            place = st.container()
        with st.container(width=392, gap=None):
            st.markdown("**Store**")
            st.caption(tracking.store_name())
            _mlflow()
        with st.container(width=392, gap=None):
            st.markdown("**Versions**")
            st.caption(", ".join(f"{name} {number}" for name, number in overview.versions().items()))
    return place


def device() -> None:
    """What clips are judged on here."""
    st.caption(_device())


@st.cache_resource(show_spinner="Asking torch")
def _device() -> str:
    return overview.device()


def _mlflow() -> None:
    address = tracking.ui_address()
    if address:
        st.link_button("MLflow's own pages", address, icon=":material/open_in_new:", type="tertiary")
    else:
        st.caption("MLflow's own pages of it:")
        st.code(tracking.ui_command(), language=None, wrap_lines=True)
