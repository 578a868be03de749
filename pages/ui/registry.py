"""The registered detector: its versions and aliases, and pointing an alias at one."""

import pandas as pd
import streamlit as st

from dfd import tracking
from dfd.errors import DfdError
from dfd.glossary import metric
from pages.ui import store

FOLLOWS = "`best` and `best-CORPUS` follow the validation figures by themselves; any other alias is yours to point."
PROMOTED = "promoted"  # of the session: the run that was just promoted, and the sentence that says so


def show(runs: pd.DataFrame) -> None:
    """Every version with what points at it, newest first."""
    with store.told():
        aliases = named(store.aliases())
    st.caption(f"Versions of the registered detector `{tracking.REGISTERED}`. {FOLLOWS}")
    table = runs[runs["registered"] != ""].assign(
        version=lambda rows: rows["registered"].astype(int),
        aliases=lambda rows: [aliases.get(number, []) for number in rows["registered"]],
        open=lambda rows: "/runs?run=" + rows["run_id"],
    )
    if table.empty:
        st.info(
            "None is registered yet: a training registers its detector when it is finished.", icon=":material/info:"
        )
        return
    figures = {f"test/{name}": metric(name) for name in ("auc", "accuracy") if f"test/{name}" in table}
    columns = ["version", "aliases", "name", "corpus", "model", "sequence_length", *figures, "started", "open"]
    st.dataframe(
        table.sort_values("version", ascending=False)[columns],
        hide_index=True,
        column_config={
            "version": st.column_config.NumberColumn("Version", format="%d"),
            "aliases": st.column_config.ListColumn("Aliases", width=230),
            "name": st.column_config.TextColumn("Run", width=230),
            "corpus": "Corpus",
            "model": "Model",
            "sequence_length": st.column_config.NumberColumn("Frames", format="%d"),
            "started": st.column_config.DatetimeColumn("Started", format="distance"),
            "open": st.column_config.LinkColumn("Open", display_text="open"),
            **{
                name: st.column_config.NumberColumn(
                    look.label, format="percent" if look.percent else "%.3f", help=look.help
                )
                for name, look in figures.items()
            },
        },
        alt="Registered versions of the detector and the aliases that point at them",
    )
    st.caption("Open a run to point an alias at its version.")


def named(aliases: dict[str, int]) -> dict[str, list[str]]:
    """The aliases of each version that has any, by its number as runs hold it."""
    found: dict[str, list[str]] = {}
    for alias, version in aliases.items():
        found.setdefault(str(version), []).append(alias)
    return found


def badges(run: pd.Series) -> None:
    """The version that a run's checkpoint is, and its aliases."""
    if run["registered"]:
        st.badge(f"{tracking.REGISTERED} version {run['registered']}", icon=":material/verified:", color="gray")
        with store.told():
            aliases = store.aliases()
        for alias in named(aliases).get(run["registered"], []):
            st.badge(alias, icon=":material/bookmark:", color="gray")


def promotion(run: pd.Series) -> None:
    """Point an alias at a run's checkpoint, after a question; then what came of it."""
    if not run["checkpoint"]:
        return
    done, told = st.session_state.pop(PROMOTED, ("", ""))
    if done == run["run_id"]:
        st.success(told, icon=":material/bookmark_added:")
    with st.popover("Promote", icon=":material/bookmark_add:", help=f"Give its checkpoint an alias. {FOLLOWS}"):
        _ask(run)


def _ask(run: pd.Series) -> None:
    alias = st.text_input(
        "Alias",
        key=f"alias_{run['run_id']}",
        placeholder="champion",
        help="Letters, digits, - and _. Any verb of dfd and MLflow take it.",
    ).strip()
    if not alias:
        st.caption(FOLLOWS)
        return
    present = store.aliases().get(alias)
    ref = f"models:/{tracking.REGISTERED}@{alias}"
    mine = f"version {run['registered']}" if run["registered"] else "a new version"
    before = "It points at nothing yet" if present is None else f"It points at version {present} now"
    st.markdown(f"`{ref}` will be **{mine}**, of the run {run['name']}. {before}.")
    if st.button("Promote it"):
        try:
            version = tracking.set_alias(run["run_id"], alias)
        except DfdError as error:
            st.error(str(error), icon=":material/error:")
            return
        st.session_state[PROMOTED] = (run["run_id"], f"`{ref}` is version {version} now.")
        store.forget()
        st.rerun()
