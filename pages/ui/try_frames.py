"""A verdict frame by frame: who was judged, what is said along the clip, and the crops that were scored."""

from collections.abc import Sequence

import streamlit as st

from dfd import charts
from dfd.glossary import TERMS
from dfd.inference import TrackVerdict, Verdict
from pages.ui import frame
from pages.ui.judging import Tried

PLOT = {"displaylogo": False}


def side_by_side(found: Sequence[Tried], names: Sequence[str]) -> None:
    """p_fake along the clip of every detector that has a score, each with its own threshold."""
    lines = [
        charts.ScoredFrames(
            name, track.face_clip.track.times, track.frame_p_fake, tried.verdict.threshold, track.missed
        )
        for tried, name in zip(found, names, strict=True)
        if (track := counted(tried.verdict)) is not None and track.p_fake is not None
    ]
    if lines:
        st.subheader("Frame by frame", anchor=False, help=TERMS["several over time"])
        st.plotly_chart(
            charts.p_fake_of_detectors(lines),
            config=PLOT,
            key="over_time_of_all",
            alt="p_fake of each scored frame over the clip's time, a line a detector, each with its threshold",
        )


def counted(verdict: Verdict) -> TrackVerdict | None:
    """The track that the verdict is of."""
    return None if verdict.track is None else verdict.tracks[verdict.track - 1]


def track_picker(tried: Tried) -> TrackVerdict | None:
    """With several people, choose whose track is looked at; at first the one that counts. None without a face."""
    verdict = tried.verdict
    if len(verdict.tracks) < 2:
        return counted(verdict)
    st.subheader("People", anchor=False, help=TERMS["tracks"])
    chosen = st.segmented_control(
        "Face track",
        [track.number for track in verdict.tracks],
        default=verdict.track,
        required=True,
        format_func=lambda number: _named(verdict, verdict.tracks[number - 1]),
        key=f"track_{tried.run_id}_{tried.clip.sha256}",
        label_visibility="collapsed",
    )
    return verdict.tracks[(chosen or 1) - 1]


def closer(verdict: Verdict, track: TrackVerdict, *, alone: bool) -> None:
    """One track's p_fake along the clip, and its crops.

    Args:
        verdict: Whose track it is.
        track: One of it.
        alone: No other detector's line is shown above.
    """
    times = track.face_clip.track.times
    if track.p_fake is not None and (alone or len(verdict.tracks) > 1):
        st.subheader("Frame by frame" if alone else "This face", anchor=False, help=TERMS["p_fake"])
        st.plotly_chart(
            charts.p_fake_over_time(times, track.frame_p_fake, verdict.threshold, track.missed),
            config=PLOT,
            key="over_time",
            alt="p_fake of each scored frame over the clip's time, with the threshold",
        )
    if len(track.missed):
        st.caption(f":material/person_off: {len(track.missed)} frames were read that do not show this face.")
    st.subheader(
        "The crops it scored", anchor=False, help="Exactly these pixels went into the detector, in this order."
    )
    if track.p_fake is None:
        st.caption(f"These were too few to be scored. {TERMS['inconclusive']}")
    frame.strip(track.face_clip.crops, times, "Face crop")


def _named(verdict: Verdict, track: TrackVerdict) -> str:
    told = "inconclusive" if track.p_fake is None else f"p_fake {track.p_fake:.3f}"
    return f"Face {track.number} · {told}" + (" · counts" if track.number == verdict.track else "")
