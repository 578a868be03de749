"""Attributions of the clip that was tried, kept for the session, and how they lie over time and over the face."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from dfd import attribution, charts
from dfd.attribution import Attribution, export
from dfd.attribution.regions import REGIONS, region_shares, regions
from dfd.attribution.timeline import Timeline, timeline
from dfd.glossary import METHODS, TERMS
from dfd.progress import Progress
from pages.ui import judging
from pages.ui.how import How
from pages.ui.judging import Tried

KEPT = 32  # results a session keeps, the charts of some among them
QUIET = {"displayModeBar": False}

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Seen:
    """An attribution as it is looked at."""

    label: str
    found: Attribution
    pictures: NDArray[np.uint8]  # (T, S, S, 3)


@dataclass(frozen=True, slots=True)
class Beside:
    """What else the same frames are explained by: another method, or another detector (where there is none to name)."""

    label: str
    tried: Tried
    method: str | None


def maps(tried: Tried, how: How) -> Attribution:
    """The attribution of the tried clip by one method.

    The page ends here while this was cancelled and not asked for again.
    """
    checkpoint = judging.detector(tried.run_id).checkpoint
    settings = {"layer": how.layer, "baseline": how.baseline, "steps": how.steps}
    work = partial(attribution.explain, checkpoint, tried.verdict.face_clip, how.method, **settings)
    return _once(tried, f"maps {how}", METHODS[how.method].label, lambda report: work(progress=report))


def over_time(tried: Tried, found: Attribution, baseline: str) -> Timeline:
    """The tried clip's verdict along time, once one of its attributions has been found; else as `maps`."""
    checkpoint = judging.detector(tried.run_id).checkpoint
    work = partial(timeline, checkpoint, tried.verdict.face_clip, baseline=baseline, features=found.features)
    return _once(tried, f"timeline {baseline}", "Over time", lambda report: work(progress=report))


def beside_picker(runs: pd.DataFrame, tried: Tried, method: str, offered: Sequence[str]) -> Beside | None:
    """Choose another method of the same detector, or another detector that reads the same crops; None: neither."""
    methods = {f"method:{name}": METHODS[name].label for name in offered if name != method}
    others = runs[(runs["checkpoint"] != "") & (runs["run_id"] != tried.run_id)]
    same = others[others["sequence_length"] == tried.verdict.sequence_length]
    names = judging.detector_names(runs)
    detectors = {f"run:{run_id}": names[run_id] for run_id in same["run_id"]}
    labels = methods | detectors
    chosen = st.selectbox(
        "Beside it",
        list(labels),
        index=None,
        format_func=labels.get,
        placeholder="nothing",
        key="beside",
        help="Another method, or another detector that reads as many frames, on the same frames.",
        width=240,
    )
    if chosen is None:
        return None
    kind, _, name = chosen.partition(":")
    if kind == "method":
        return Beside(labels[chosen], tried, name)
    return Beside(labels[chosen], replace(tried, run_id=name), None)


def downloads(one: Seen, told: Timeline, tried: Tried) -> None:
    """The strip, a video, and the numbers; made when they are asked for."""
    face = tried.verdict.face_clip
    stem = f"{one.found.method}-{Path(tried.clip.name).stem.replace(' ', '-')}"
    offers = {
        "Strip (PNG)": (".png", "image/png", partial(export.strip_png, one.pictures)),
        "Video (MP4)": (".mp4", "video/mp4", partial(export.video_mp4, one.pictures, one.found.times)),
        "Maps (NPZ)": (".npz", "application/octet-stream", partial(export.arrays_npz, one.found, told, face)),
        "Facts (JSON)": (".json", "application/json", partial(_facts, one.found, told, tried)),
    }
    with st.container(horizontal=True, gap="small"):
        for label, (suffix, mime, make) in offers.items():
            st.download_button(
                label, make, file_name=stem + suffix, mime=mime, icon=":material/download:", on_click="ignore"
            )


def _facts(found: Attribution, told: Timeline, tried: Tried) -> str:
    facts = export.everything(found, told, tried.verdict.face_clip)
    return json.dumps({**facts, "clip": tried.clip.name}, indent=1)


def show_over_time(told: Timeline, tried: Tried, place: int, slider: str) -> None:
    """Three charts of a clip along time, the current frame picked out; a click on a bar moves the slider."""
    threshold = tried.verdict.threshold
    weights, so_far, orders = st.columns([5, 4, 3], gap="medium")
    with weights:
        st.markdown("**What each frame adds**", help=TERMS["importance"])
        st.plotly_chart(
            charts.frame_weights(told.weights, told.without, place, told.times),
            key="importance",
            on_select=partial(_pick, slider),
            selection_mode="points",
            config=QUIET,
            alt="What each frame adds to the score, the current one picked out",
        )
    with so_far:
        st.markdown("**Verdict so far**", help=TERMS["so far"])
        st.plotly_chart(
            charts.verdict_so_far(told.times, told.p_fake_after, threshold, place),
            key="so_far",
            config=QUIET,
            alt="p_fake had the clip ended at each frame",
        )
    with orders:
        st.markdown("**Other orders**", help=TERMS["orders"])
        st.plotly_chart(
            kept(tried, "orders", lambda: charts.other_orders(told.p_fake, told.p_fake_shuffled, threshold)),
            key="orders",
            config=QUIET,
            alt=f"p_fake of the frames in other orders; it changes by up to {told.order_effect:.3f}",
        )


def show_over_face(found: Attribution, tried: Tried) -> None:
    """Each part of the face: its share of the attribution beside its share of the picture."""
    st.markdown("**Over the face**", help=TERMS["parts"])
    figure = kept(tried, f"parts {known_by(found)}", partial(_parts, found, tried))
    if figure is None:
        st.caption("This clip came as crops without landmarks: where its eyes and mouth are is not known.")
        return
    st.plotly_chart(
        figure,
        key="parts",
        config=QUIET,
        alt="Share of the attribution in each part of the face, beside the part's share of the picture",
    )


def _parts(found: Attribution, tried: Tried) -> go.Figure | None:
    parts = regions(tried.verdict.face_clip)
    if parts is None:
        return None
    shares = region_shares(found.maps, parts)
    return charts.face_parts(REGIONS, shares.share, shares.area)


def known_by(found: Attribution) -> str:
    """Which of a clip's attributions it is."""
    return f"{found.method} {found.layer} {found.baseline} {found.steps}"


def kept(tried: Tried, what: str, work: Callable[[], Result]) -> Result:
    """What was worked out of a tried clip, from this session's memory where it is there."""
    memory: dict[tuple[str, ...], Result] = st.session_state.setdefault("explained", {})
    key = (tried.clip.sha256, tried.run_id, what)
    if key not in memory:
        memory[key] = work()
        while len(memory) > KEPT:
            memory.pop(next(iter(memory)))
    return memory[key]


def _once(tried: Tried, what: str, label: str, work: Callable[[Progress], Result]) -> Result:
    """As `kept`, under a progress bar that can be cancelled."""
    asked = (tried.clip.sha256, tried.run_id, what)

    def watched() -> Result:
        judging.end_if_cancelled(asked, f"{label}: cancelled.", "Explain it after all")
        with judging.stages(label, cancel=asked) as report:
            return work(report)

    return kept(tried, what, watched)


def _pick(slider: str) -> None:
    """Move the slider to the bar that was clicked."""
    points = st.session_state["importance"].selection.points
    if points and "customdata" in points[0]:
        st.session_state[slider] = points[0]["customdata"][0] + 1
