"""Attributions of the clip that was tried, kept for the session; what is beside them, and what is taken away."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dfd import attribution
from dfd.attribution import Attribution, export
from dfd.attribution.timeline import Timeline, timeline
from dfd.glossary import METHODS
from dfd.progress import Progress
from pages.ui import judging
from pages.ui.how import How
from pages.ui.judging import Tried

KEPT = 32  # results a session keeps, the charts of some among them

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
    work = partial(attribution.explain, checkpoint, tried.verdict.face_clip, **asdict(how))
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


def known_by(found: Attribution) -> str:
    """Which of a clip's attributions it is."""
    return f"{found.method} {found.layer} {found.baseline} {found.steps} {found.precision}"


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
