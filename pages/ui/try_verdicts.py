"""Verdicts on a page: one large, or several side by side; the threshold and what it costs, and what to be wary of."""

from collections.abc import Sequence

import streamlit as st

from dfd import charts
from dfd.cautions import cautions as told_of
from dfd.glossary import TERMS, probability
from dfd.inference import Verdict
from pages.ui import judging
from pages.ui.corpora import literal
from pages.ui.judging import Tried

LOOKS = {
    "real": ("Real", "blue", ":material/check_circle:"),
    "fake": ("Fake", "orange", ":material/report:"),
    "inconclusive": ("Inconclusive", "gray", ":material/help:"),
    "no face": ("No face", "gray", ":material/person_off:"),
}
STILL = {"staticPlot": True}


def one(tried: Tried) -> None:
    """The decision of one detector, large, and the number and threshold behind it."""
    verdict = tried.verdict
    with st.container(border=True):
        st.markdown(f"## {_word(verdict)}")
        st.markdown(verdict.message.replace(str(tried.clip.path), literal(tried.clip.name)))
        _scale(tried)
        _facts(verdict, judging.meta(tried.run_id).corpus)
        _truth(tried)


def several(found: Sequence[Tried], names: Sequence[str]) -> None:
    """The decisions of detectors one under the other, their scales aligned."""
    with st.container(border=True):
        for tried, name in zip(found, names, strict=True):
            verdict = tried.verdict
            st.markdown(f"### {_word(verdict)} :small[:gray[{literal(name)}]]")
            _scale(tried)
            st.caption(_line(verdict))
        _truth(found[0])
    decisions = {tried.verdict.decision for tried in found}
    agreed = f"All {len(found)} say {decisions.pop()}." if len(decisions) == 1 else "They do not agree."
    st.markdown(f"**{agreed}** {TERMS['side by side']}")


def cautions(found: Sequence[Tried], names: Sequence[str]) -> None:
    """What a reader of these detectors' verdicts must know, in plain words, each once; and of whom, if not of all."""
    warned: dict[str, list[str]] = {}
    for tried, name in zip(found, names, strict=True):
        for text in told_of(judging.meta(tried.run_id), faces=tried.verdict.judged):
            warned.setdefault(text, []).append(name)
    for text, whose in warned.items():
        of_some = "" if len(whose) == len(found) else f"{literal(', '.join(whose))}: "
        st.caption(f":material/info: {of_some}{text}")


def _word(verdict: Verdict) -> str:
    word, colour, icon = LOOKS[verdict.decision]
    return f":{colour}[{icon} {word}]"


def _scale(tried: Tried) -> None:
    verdict = tried.verdict
    if verdict.p_fake is not None:
        st.plotly_chart(
            charts.verdict_scale(verdict.p_fake, verdict.threshold),
            config=STILL,
            key=f"verdict_scale_{tried.run_id}",
            alt=f"p_fake {verdict.p_fake:.3f} on a scale from 0 to 1 with the threshold {verdict.threshold:.3f}",
        )


def _truth(tried: Tried) -> None:
    if tried.clip.truth:
        st.markdown(f"What the corpus says of this clip: **{tried.clip.truth}**")


def _line(verdict: Verdict) -> str:
    """The figures of a verdict in a line."""
    if verdict.p_fake is None:
        told = f"{verdict.frames_scored} of {verdict.sequence_length} frames scored; {TERMS['inconclusive']}"
        return told if verdict.faces else "No face was found in the frames that were looked at."
    rate = verdict.threshold_fpr
    parts = [f"**p_fake {verdict.p_fake:.3f}**"]
    if verdict.calibrated is not None:
        parts.append(f"calibrated {probability(verdict.calibrated)}")
    parts.append(f"threshold {verdict.threshold:.3f}")
    parts.append("false positives not known" if rate is None else f"false positives {rate:.0%}")
    parts.append(f"{verdict.frames_scored} of {verdict.sequence_length} frames")
    return " · ".join(parts)


def _facts(verdict: Verdict, corpus: str) -> None:
    rate = verdict.threshold_fpr
    with st.container(horizontal=True, gap="medium"):
        score = "–" if verdict.p_fake is None else f"{verdict.p_fake:.3f}"
        st.metric("p_fake", score, help=TERMS["p_fake"], width="content")
        if verdict.calibrated is not None:
            st.metric(
                "Calibrated",
                probability(verdict.calibrated),
                help=f"On validation clips of {corpus}. {TERMS['calibrated']}",
                width="content",
            )
        st.metric("Threshold", f"{verdict.threshold:.3f}", help=TERMS["threshold"], width="content")
        st.metric(
            "False positives", "–" if rate is None else f"{rate:.0%}", help=TERMS["false positives"], width="content"
        )
        st.metric(
            "Frames scored",
            f"{verdict.frames_scored} of {verdict.sequence_length}",
            help=f"{TERMS['sequence length']} {TERMS['inconclusive']}",
            width="content",
        )
    st.caption(f"{verdict.seconds:.1f} s on {verdict.device}")
