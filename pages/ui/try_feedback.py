"""Agree or disagree with a verdict, with a note; kept in MLflow without the clip."""

import streamlit as st

from dfd.tracking.feedback import Opinion, give, opinions
from pages.ui import store
from pages.ui.corpora import literal
from pages.ui.judging import Tried

NOTE = 2000  # characters of a note
AGREE, DISAGREE = "I agree", "I disagree"


def form(tried: Tried, name: str) -> None:
    """Ask for an opinion on a verdict, and say what was said of this detector before.

    Args:
        tried: The verdict.
        name: Of its detector.
    """
    with st.expander("Is it right?", icon=":material/rate_review:"):
        st.markdown(f"On **{tried.verdict.decision}**, by {name}.")
        with st.form("feedback", clear_on_submit=True, border=False):
            answer = st.segmented_control("Do you agree?", [AGREE, DISAGREE], key="opinion")
            note = st.text_area(
                "Note", max_chars=NOTE, key="opinion_note", placeholder="What speaks for it or against?"
            )
            named = st.checkbox(f"Keep the clip's name with it: {literal(tried.clip.name)}", key="opinion_named")
            sent = st.form_submit_button("Send", icon=":material/send:")
        if sent and answer is None:
            st.warning("Choose whether you agree; nothing was kept.", icon=":material/rate_review:")
        elif sent:
            with store.told():
                give(_opinion(tried, answer == AGREE, note, tried.clip.name if named else ""))
            _counts.clear()
            st.success("Kept with the run in MLflow, as feedback on a trace.", icon=":material/check:")
        agreed, disagreed = _counts(tried.run_id)
        st.caption(
            f"Kept are the clip's SHA-256, the verdict and what you say; the clip is not. "
            f"So far {agreed} agreed with this detector's verdicts, {disagreed} did not."
        )


def _opinion(tried: Tried, agrees: bool, note: str, clip: str) -> Opinion:
    verdict = tried.verdict
    return Opinion(
        tried.run_id, tried.clip.sha256, verdict.decision, verdict.p_fake, verdict.threshold, agrees, note.strip(), clip
    )


@st.cache_data(ttl=30, max_entries=50, show_spinner=False)
def _counts(run_id: str) -> tuple[int, int]:
    with store.told():
        agrees = opinions(run_id)["agrees"]
    return int(agrees.sum()), int((~agrees.astype(bool)).sum())
