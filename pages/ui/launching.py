"""The parts of the Train page: choosing an experiment file, and following what was started."""

import pandas as pd
import streamlit as st

from dfd import launches
from dfd.config import Experiment
from dfd.errors import DfdError
from dfd.launches import Launch, Report
from pages.ui import store

LOOKS = {
    "running": ("blue", ":material/autorenew:"),
    "stopping": ("gray", ":material/hourglass_empty:"),
    "done": ("green", ":material/check_circle:"),
    "stopped": ("gray", ":material/stop_circle:"),
    "failed": ("red", ":material/error:"),
}
ASKED = "launch"  # the query parameter
EVERY = 2  # seconds between two looks at one that runs
MANY, LONG = 14, 380  # lines of a log from which on it scrolls, and how high it is then


def not_here() -> None:
    """Why nothing can be started from this page, and what can be done instead."""
    st.info(
        "This dashboard can be reached from other machines, so it starts no processes. Start a training in a shell; "
        f"its runs appear here by themselves. (`{launches.ALLOWED}=1` in the dashboard's environment allows it.)",
        icon=":material/shield:",
    )
    st.code("dfd train EXPERIMENT.yaml", language=None)


def choose() -> None:
    """An experiment file, what is in it, and the way to start it."""
    name = st.selectbox(
        "Experiment file",
        launches.experiments(),
        index=None,
        placeholder="Choose a file below experiments/",
        key="experiment_file",
        persist_state="session",
        width=560,
        help="Add one of your own to the folder experiments/: `extends: base.yaml`, and what differs.",
    )
    if name is None:
        return
    try:
        experiment = launches.read(name)
    except DfdError as error:
        st.error(str(error), icon=":material/error:")
        return
    _facts(experiment)
    missing = launches.not_preprocessed(experiment)
    if missing:
        st.warning(f"Not preprocessed yet: {', '.join(missing)}. It can be trained after:", icon=":material/database:")
        st.code("\n".join(f"dfd preprocess {each}" for each in missing), language=None)
        st.caption("One that is not here at all: `dfd corpora add FOLDER`, or `make demo` for the sample corpora.")
    verb = launches.verb_of(experiment)
    if st.button(f"Start this {verb if verb != 'train' else 'training'}", disabled=bool(missing)):
        _start(name)


def _facts(experiment: Experiment) -> None:
    plan, model = experiment.sweep, experiment.model
    lengths = (model.sequence_length,) if plan is None else plan.sequence_lengths
    told = {
        "Name": experiment.name,
        "Corpora": ", ".join(experiment.data.corpora),
        "Model": f"{model.name} on {model.backbone}",
        "Sequence length": ", ".join(map(str, lengths)),
        "Epochs, at most": str(experiment.train.head.epochs),
    }
    with st.container(border=True):
        st.markdown("  \n".join(f":gray[{fact}] {value}" for fact, value in told.items()))
        with st.expander("The whole experiment", icon=":material/description:"):
            st.json(experiment.model_dump(mode="json"), expanded=1)


def _start(name: str) -> None:
    try:
        launch = launches.start(name)
    except DfdError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.query_params[ASKED] = launch.id
    st.rerun()


def which(found: list[Launch]) -> Launch:
    """Choose among what was started: the newest, or the one that the link names."""
    by_id = {each.id: each for each in found}
    asked = st.query_params.get(ASKED)
    st.space("small")
    st.subheader("Started here", anchor=False)
    chosen = st.selectbox(
        "Started",
        list(by_id),
        index=list(by_id).index(asked) if asked in by_id else 0,
        format_func=lambda key: _named(by_id[key]),
        width=560,
        label_visibility="collapsed",
    )
    st.query_params[ASKED] = chosen
    return by_id[chosen]


def _named(launch: Launch) -> str:
    started = pd.Timestamp(launch.started).tz_convert(st.context.timezone or "UTC")
    return f"{launch.verb} {launch.experiment} · {started:%d %b %Y, %H:%M}"


def watch(launch: Launch) -> None:
    """How a launch is doing, its log, and stopping it or going on with it; it moves by itself."""
    over = launches.report(launch).over

    @st.fragment(run_every=None if over else EVERY)
    def followed() -> None:
        with store.told():
            found = launches.report(launch)
        if found.over and not over:
            st.rerun()
        _report(launch, found)
        _buttons(launch, found)
        lines = launches.tail(launch)
        with st.container(height=LONG if len(lines) > MANY else "content", border=False, autoscroll=True):
            st.code("\n".join(lines) or "Nothing was printed yet.", language=None, wrap_lines=True)

    followed()


def _report(launch: Launch, found: Report) -> None:
    colour, icon = LOOKS[found.state]
    with st.container(horizontal=True, gap="small"):
        st.badge(found.state, color=colour, icon=icon)
        st.badge(f"dfd {launch.verb} {launch.experiment}", color="gray")
        if found.ended is not None:
            st.badge(f"exit code {found.code}", color="gray")
    if found.state == "failed":
        how = f"exit code {found.code}" if found.code is not None else "it is gone without having said how it ended"
        st.error(f"It failed ({how}): {found.last or 'its log is empty'}", icon=":material/error:")
    if not found.over:
        st.progress(found.share or 0.0, text=found.doing or "It is getting ready.")


def _buttons(launch: Launch, found: Report) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("pages/runs.py", label="Its runs", icon=":material/table_rows:")
        if not launches.allowed(st.get_option("server.address")):
            return
        if found.state == "running" and st.button(
            "Stop", icon=":material/stop_circle:", help="Its run can go on later."
        ):
            with store.told():
                launches.stop(launch)
            st.rerun()
        if found.state in ("stopped", "failed") and st.button("Go on with it", icon=":material/play_arrow:"):
            with store.told():
                st.query_params[ASKED] = launches.start(launch.experiment).id
            st.rerun()
