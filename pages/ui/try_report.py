"""What was said of a clip, to take away: JSON, and a page to print; and which detector is looked at closer."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import streamlit as st

from dfd import attribution, report
from dfd.attribution import Attribution
from dfd.checkpoints import CheckpointMeta
from dfd.glossary import METHODS, TERMS
from pages.ui import judging
from pages.ui.judging import Tried


def focus_picker(names: Sequence[str]) -> int:
    """Which of several detectors is looked at closer; its place."""
    if len(names) == 1:
        return 0
    return st.selectbox(
        "Look closer at",
        range(len(names)),
        format_func=lambda place: names[place],
        key="focus",
        help="Its faces and crops are below; its heat maps are on the Attribution page.",
    )


def downloads(found: Sequence[Tried], names: Sequence[str]) -> None:
    """The verdicts as JSON, and as a page; made when they are asked for."""
    stem = Path(found[0].clip.name).stem or "clip"
    # Gathered here: what a download button calls knows nothing of the session.
    metas = [judging.meta(tried.run_id) for tried in found]
    seen = [_looked_at(tried) for tried in found]
    whole = partial(_report, list(found), list(names), metas, seen)
    offers = {
        "Verdict as JSON" if len(found) == 1 else "Verdicts as JSON": (".json", "application/json", _json),
        "Report to print": (".html", "text/html", _html),
    }
    for label, (suffix, mime, make) in offers.items():
        st.download_button(
            label,
            partial(make, whole),
            file_name=f"{stem}-verdict{suffix}",
            mime=mime,
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help="With the heat maps that were looked at in this session." if suffix == ".html" else None,
        )


def _json(whole: Callable[[], report.ClipReport]) -> str:
    return json.dumps(report.to_json(whole()), indent=2)


def _html(whole: Callable[[], report.ClipReport]) -> str:
    return report.to_html(whole())


def _report(
    found: Sequence[Tried],
    names: Sequence[str],
    metas: Sequence[CheckpointMeta],
    seen: Sequence[Sequence[Attribution]],
) -> report.ClipReport:
    judgements = tuple(
        report.Judgement(name, meta, tried.verdict, tuple(_heat_maps(tried, maps) for maps in looked_at))
        for tried, name, meta, looked_at in zip(found, names, metas, seen, strict=True)
    )
    clip = found[0].clip
    return report.ClipReport(clip.name, clip.sha256, judgements, datetime.now(UTC))


def _looked_at(tried: Tried) -> list[Attribution]:
    """The attributions of a verdict that this session has looked at."""
    explained: dict[tuple[str, ...], object] = st.session_state.get("explained", {})
    found = [explained.get((tried.clip.sha256, tried.run_id, method)) for method in METHODS]
    frames = tried.verdict.frames_scored
    return [maps for maps in found if isinstance(maps, Attribution) and len(maps.maps) == frames]


def _heat_maps(tried: Tried, maps: Attribution) -> report.HeatMaps:
    method = METHODS[maps.method]
    pictures = attribution.overlays(maps, tried.verdict.face_clip.crops, opacity=0.5)
    return report.HeatMaps(
        method.label, pictures, f"{method.help} {TERMS['heat map' if method.signed else 'unsigned map']}"
    )
