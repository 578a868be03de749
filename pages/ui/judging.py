"""Detectors on a page: picking one, judging a clip with it under staged progress, and showing the verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dfd import charts, checkpoints, tracking
from dfd.glossary import TERMS, metric
from dfd.inference import Detector, Verdict
from dfd.progress import Progress
from pages.ui.clips import Picked, named

KEPT = 6  # verdicts a session keeps, with their crops
LOOKS = {
    "real": ("Real", "blue", ":material/check_circle:"),
    "fake": ("Fake", "orange", ":material/report:"),
    "inconclusive": ("Inconclusive", "gray", ":material/help:"),
    "no face": ("No face", "gray", ":material/person_off:"),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """A clip, the run whose checkpoint judged it, and the verdict."""

    clip: Picked
    run_id: str
    verdict: Verdict


def detector_picker(runs: pd.DataFrame) -> str:
    """Choose a checkpoint: the registered best first, then by AUC on validation (never on test); returns its run id."""
    best = tracking.best()
    best_run = checkpoints.read_meta(tracking.checkpoint_folder(best)).run_id if best else None
    table = runs[runs["checkpoint"] != ""].assign(best=lambda rows: rows["run_id"] == best_run)
    if "val/auc" in table:  # a store of imported detectors alone has no figures
        table = table.sort_values(["best", "val/auc"], ascending=False)
    return st.selectbox(
        "Detector",
        table["run_id"].tolist(),
        format_func=lambda run_id: ("Best: " if run_id == best_run else "") + detector_name(runs, run_id),
        key="detector",
        persist_state="session",
        help="Best on validation first. The AUC is the one on test clips of the corpus it was trained on.",
    )


def detector_name(runs: pd.DataFrame, run_id: str) -> str:
    """A line that tells a run's detector from the others."""
    run = runs[runs["run_id"] == run_id].iloc[0]
    if run["kind"] == "imported":
        return f"{run['name']} · imported · {run['sequence_length']:.0f} frames"
    kind = run["control"] or ("LSTM" if run["model"] == "resnext_lstm" else run["model"])
    return (
        f"{run['corpus']} · {kind} · {run['sequence_length']:.0f} frames · AUC {metric('auc').write(run['test/auc'])}"
    )


@st.cache_resource(max_entries=2, show_spinner="Loading the detector")
def detector(run_id: str) -> Detector:
    """The detector of a run's checkpoint, shared by all sessions; it locks itself."""
    return Detector(checkpoints.load(run_id))


def judge(clip: Picked, run_id: str) -> Tried:
    """The verdict of a detector on a clip, from this session's memory where it is there.

    Raises:
        DfdError: the clip cannot be read; the message names it as the user does.
    """
    memory: dict[tuple[str, str], Verdict] = st.session_state.setdefault("verdicts", {})
    key = (clip.sha256, run_id)
    if key not in memory:
        with stages("Judging the clip") as report, named(clip):
            memory[key] = detector(run_id).judge(clip.path, progress=report)
        while len(memory) > KEPT:
            memory.pop(next(iter(memory)))
    return Tried(clip, run_id, memory[key])


@contextmanager
def stages(label: str) -> Iterator[Progress]:
    """A bar with what is being done now; gone when it is done."""
    place = st.empty()
    bar = place.progress(0.0, text=label)
    try:
        yield lambda fraction, message: bar.progress(min(max(fraction, 0.0), 1.0), text=f"{label} · {message}")
    finally:
        place.empty()


def verdict_card(tried: Tried) -> None:
    """The decision, the number and threshold behind it, and, for a sample, what the clip is."""
    verdict = tried.verdict
    word, colour, icon = LOOKS[verdict.decision]
    with st.container(border=True):
        st.markdown(f"## :{colour}[{icon} {word}]")
        st.markdown(verdict.message.replace(str(tried.clip.path), tried.clip.name))
        if verdict.p_fake is not None:
            st.plotly_chart(
                charts.verdict_scale(verdict.p_fake, verdict.threshold),
                config={"staticPlot": True},
                key="verdict_scale",
                alt=f"p_fake {verdict.p_fake:.3f} on a scale from 0 to 1 with the threshold {verdict.threshold:.3f}",
            )
        _facts(verdict)
        if tried.clip.truth:
            st.markdown(f"What the corpus says of this clip: **{tried.clip.truth}**")


def cautions(tried: Tried) -> None:
    """What a reader of this detector's verdicts must know, in plain words."""
    meta = checkpoints.read_meta(tracking.checkpoint_folder(tried.run_id))
    if "sample" in meta.corpus:
        _caution(
            f"This detector was trained on {meta.corpus}, synthetic clips that dfd makes itself. "
            "Its verdict on real footage means little."
        )
    if meta.reads:
        _caution(meta.reads)
    if meta.frame_order == "shuffled":
        _caution("It is a control: it reads the frames in a shuffled order.")
    _caution("A verdict is evidence, not proof: on faces, cameras or fakes unlike its training clips it can be wrong.")


def _caution(text: str) -> None:
    st.caption(f":material/info: {text}")


def _facts(verdict: Verdict) -> None:
    rate = verdict.threshold_fpr
    with st.container(horizontal=True, gap="large"):
        score = "–" if verdict.p_fake is None else f"{verdict.p_fake:.3f}"
        st.metric("p_fake", score, help=TERMS["p_fake"], width="content")
        st.metric("Threshold", f"{verdict.threshold:.3f}", help=TERMS["threshold"], width="content")
        st.metric(
            "False positives", "–" if rate is None else f"{rate:.0%}", help=TERMS["false positives"], width="content"
        )
        st.metric(
            "Frames scored",
            f"{verdict.frames_scored} of {verdict.sequence_length}",
            help=TERMS["sequence length"],
            width="content",
        )
    st.caption(f"{verdict.seconds:.1f} s on {verdict.device}")
