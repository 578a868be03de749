"""Detectors on a page: picking them, and judging a clip with them in turn with other sessions, until cancelled."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dfd import checkpoints, tracking
from dfd.checkpoints import CheckpointMeta
from dfd.glossary import metric
from dfd.inference import Detector, Verdict, judge_together
from dfd.memory import give_back
from dfd.progress import Progress
from dfd.turns import Turns
from pages.ui import frame
from pages.ui.picked import Picked, named

MOST = 4  # detectors that judge a clip together
KEPT = 8  # verdicts a session keeps, with their crops
NAMING = ["run_id", "kind", "name", "sequence_length", "control", "head", "model", "corpus", "test/auc"]
_named: tuple[pd.DataFrame, dict[str, str]] | None = None  # the last table, and what its runs are called
AT_WORK = Turns(2)  # sessions whose clips are judged at a time; the others see that they wait


@dataclass(frozen=True, slots=True)
class Tried:
    """A clip, the run whose checkpoint judged it, and the verdict."""

    clip: Picked
    run_id: str
    verdict: Verdict


def detector_picker(runs: pd.DataFrame) -> str:
    """Choose a checkpoint: the registered best first, then by AUC on validation (never on test); returns its run id."""
    names = _best_first(runs)
    return st.selectbox(
        "Detector",
        list(names),
        format_func=names.__getitem__,
        key="detector",
        persist_state="session",
        help="Best on validation first. The AUC is the one on test clips of the corpus it was trained on.",
    )


def detectors_picker(runs: pd.DataFrame) -> list[str]:
    """Choose up to `MOST` checkpoints, at first the registered best; returns their run ids in the order chosen."""
    names = _best_first(runs)
    return st.multiselect(
        "Detectors",
        list(names),
        default=list(names)[:1],
        max_selections=MOST,
        format_func=names.__getitem__,
        key="detectors",
        persist_state="session",
        placeholder="Choose one or more",
        wrap=True,
        help=f"Up to {MOST}, side by side. Best on validation first. The AUC is the one on test clips of the corpus it "
        "was trained on.",
    )


def _best_first(runs: pd.DataFrame) -> dict[str, str]:
    """What the checkpoints are called by the ids of their runs, the registered best first."""
    best = tracking.best()
    best_run = checkpoints.read_meta(tracking.checkpoint_folder(best)).run_id if best else None
    table = runs[runs["checkpoint"] != ""].assign(best=lambda rows: rows["run_id"] == best_run)
    if "val/auc" in table:  # a store of imported detectors alone has no figures
        table = table.sort_values(["best", "val/auc"], ascending=False)
    names = detector_names(runs)
    return {run_id: ("Best: " if run_id == best_run else "") + names[run_id] for run_id in table["run_id"]}


def detector_names(runs: pd.DataFrame) -> dict[str, str]:
    """A line for every run, by its id, that tells its detector from the others.

    Worked out once for a table, which sessions share while it does not change.
    """
    global _named
    if _named is None or _named[0] is not runs:
        _named = runs, {run["run_id"]: _name(run) for run in runs.reindex(columns=NAMING).to_dict("records")}
    return _named[1]


def _name(run: dict[Hashable, Any]) -> str:
    if run["kind"] == "imported":
        return f"{run['name']} · imported · {run['sequence_length']:.0f} frames"
    kind = run["control"] or (run["head"] if run["model"] == "resnext_lstm" else run["model"])
    return (
        f"{run['corpus']} · {kind} · {run['sequence_length']:.0f} frames · AUC {metric('auc').write(run['test/auc'])}"
    )


@st.cache_resource(max_entries=MOST, show_spinner="Loading the detector")
def detector(run_id: str) -> Detector:
    """The detector of a run's checkpoint, shared by all sessions; it locks itself."""
    return Detector(checkpoints.load(run_id))


@st.cache_data(max_entries=100, show_spinner=False)
def meta(run_id: str) -> CheckpointMeta:
    """What a run's checkpoint says of itself."""
    return checkpoints.read_meta(tracking.checkpoint_folder(run_id))


def judge(clip: Picked, run_id: str) -> Tried:
    """The verdict of a detector on a clip; as `judge_all`."""
    return judge_all(clip, [run_id])[0]


def judge_all(clip: Picked, run_ids: Sequence[str]) -> list[Tried]:
    """The verdicts of detectors on a clip, from this session's memory where they are there.

    The page ends here while this judging was cancelled and not asked for again.

    Raises:
        DfdError: the clip cannot be read; the message names it as the user does.
    """
    memory: dict[tuple[str, str], Verdict] = st.session_state.setdefault("verdicts", {})
    new = [run_id for run_id in run_ids if (clip.sha256, run_id) not in memory]
    asked = (clip.sha256, *run_ids)
    if new:
        end_if_cancelled(asked, "Cancelled before there was a verdict.", "Judge it after all")
        with stages("Judging the clip", cancel=asked) as report, named(clip):
            for run_id, verdict in zip(new, _in_turn(clip, new, report), strict=True):
                memory[clip.sha256, run_id] = verdict
    found = [Tried(clip, run_id, memory[clip.sha256, run_id]) for run_id in run_ids]
    while len(memory) > KEPT:
        memory.pop(next(iter(memory)))
    return found


def end_if_cancelled(asked: tuple[str, ...], said: str, again: str) -> None:
    """End the page with a sentence, and a button that asks `again`, where this work was cancelled."""
    if st.session_state.get("cancelled") == asked:
        frame.hint(said, "cancel")
        st.button(again, icon=":material/play_arrow:", on_click=_cancel, args=(None,))
        st.stop()


def _in_turn(clip: Picked, run_ids: Sequence[str], report: Progress) -> list[Verdict]:
    def waiting(ahead: int) -> None:
        others = "another session" if ahead == 1 else f"{ahead} other sessions"
        report(0.0, f"waiting for {others}")

    with AT_WORK.turn(waiting):
        report(0.0, "loading the detectors")
        return judge_together(clip.path, [detector(run_id) for run_id in run_ids], progress=report)


def _cancel(asked: tuple[str, ...] | None) -> None:
    st.session_state["cancelled"] = asked


@contextmanager
def stages(label: str, cancel: tuple[str, ...] | None = None) -> Iterator[Progress]:
    """A bar with what is being done now; gone when it is done.

    A press on a button makes Streamlit end the script at what it shows next: here, at the next report.

    Args:
        label: Of the work.
        cancel: What the work is known by, to be noted when it is cancelled; None: it cannot be.
    """
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="bottom"):
        bar = st.progress(0.0, text=label)
        if cancel is not None:
            key = f"cancel {' '.join(cancel)}"  # a page may have several works, one after the other
            st.button("Cancel", icon=":material/close:", key=key, on_click=_cancel, args=(cancel,))
    try:
        yield lambda fraction, message: bar.progress(min(max(fraction, 0.0), 1.0), text=f"{label} · {message}")
    finally:
        place.empty()
        give_back()
