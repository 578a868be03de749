"""What detectors said of a clip, to be kept, sent or printed: JSON, and one HTML page that needs nothing else.

The page has no script and fetches nothing: pictures are data URIs, the chart is SVG, and whatever comes from the clip,
the user or a checkpoint is escaped.
"""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfd import __version__
from dfd.cautions import cautions
from dfd.checkpoints import CheckpointMeta
from dfd.glossary import TERMS, probability, with_interval
from dfd.inference import TrackVerdict, Verdict
from dfd.report_look import STYLE, timeline

MOST_CROPS = 24  # pictures of a row, evenly from first to last
WORDS = {"real": "Real", "fake": "Fake", "inconclusive": "Inconclusive", "no face": "No face"}


@dataclass(frozen=True, slots=True)
class HeatMaps:
    """What a verdict rests on by one method, over its crops."""

    label: str
    pictures: NDArray[np.uint8]  # (T, S, S, 3), one for each crop of the track that counts
    legend: str  # how to read them


@dataclass(frozen=True, slots=True)
class Judgement:
    """One detector's verdict and what belongs to it."""

    detector: str  # its name for people
    meta: CheckpointMeta
    verdict: Verdict
    heat_maps: tuple[HeatMaps, ...] = ()


@dataclass(frozen=True, slots=True)
class ClipReport:
    """A clip and all that was said of it."""

    clip: str  # its name as the person knows it
    sha256: str  # of its bytes
    judgements: tuple[Judgement, ...]
    made: datetime


def to_json(report: ClipReport) -> dict[str, Any]:
    """Everything but the pictures, as JSON types; where the clip lay is left out."""
    return {
        "clip": report.clip,
        "sha256": report.sha256,
        "made": report.made.isoformat(timespec="seconds"),
        "dfd": __version__,
        "verdicts": [
            {
                **each.verdict.to_json(),
                "clip": report.clip,
                "message": _told(report, each.verdict),
                "detector": each.detector,
                "trained_on": each.meta.corpus,
                "run_id": each.meta.run_id,
                "data_digest": each.meta.data_digest,
                "git_commit": each.meta.git_commit,
                "temperature": each.meta.temperature,
                "recipe": each.meta.recipe.model_dump(mode="json"),
                "cautions": list(cautions(each.meta, faces=each.verdict.judged)),
            }
            for each in report.judgements
        ],
    }


def to_html(report: ClipReport) -> str:
    """One self-contained page, made to be printed."""
    title = f"What detectors say of {report.clip}"
    facts = [
        ("Clip", report.clip),
        ("SHA-256 of the clip", report.sha256),
        ("Made", report.made.isoformat(sep=" ", timespec="seconds")),
        ("dfd", __version__),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            _table(facts),
            *(_judgement(report, each) for each in report.judgements),
            "</main></body></html>",
        ]
    )


def _judgement(report: ClipReport, each: Judgement) -> str:
    verdict, meta = each.verdict, each.meta
    look = verdict.decision if verdict.decision in ("real", "fake") else "open"
    parts = [
        f'<section><h2><span class="{look}">{WORDS[verdict.decision]}</span> {escape(each.detector)}</h2>',
        f"<p>{escape(_told(report, verdict))}</p>",
        _table(_figures(verdict, meta)),
        '<ul class="cautions">',
        *(f"<li>{escape(text)}</li>" for text in cautions(meta, faces=verdict.judged)),
        "</ul>",
        *(_track(track, verdict) for track in verdict.tracks),
    ]
    parts += [_heat_maps(maps, verdict) for maps in each.heat_maps]
    parts += ["<h3>The checkpoint and its protocol</h3>", _table(_protocol(meta, verdict)), "</section>"]
    return "\n".join(parts)


def _figures(verdict: Verdict, meta: CheckpointMeta) -> list[tuple[str, str]]:
    rate = verdict.threshold_fpr
    rows = [("p_fake", "none" if verdict.p_fake is None else f"{verdict.p_fake:.3f}")]
    if verdict.calibrated is not None:
        corpus = meta.corpus or "the corpus it was trained on"
        rows.append(
            ("Calibrated", f"{probability(verdict.calibrated)}, on validation clips of {corpus}. {TERMS['calibrated']}")
        )
    rows.append(("Threshold", f"{verdict.threshold:.3f}; fake at or above it"))
    share = "not known" if rate is None else f"{rate:.1%} of real validation clips are called fake by it"
    rows.append(("False positives", share))
    rows.append(("Frames scored", f"{verdict.frames_scored} of {verdict.sequence_length}. {TERMS['inconclusive']}"))
    rows.append(("Faces", str(verdict.faces) + (f". {TERMS['tracks']}" if verdict.faces > 1 else "")))
    return rows


def _track(track: TrackVerdict, verdict: Verdict) -> str:
    title = "Frame by frame"
    if len(verdict.tracks) > 1:
        told = "inconclusive" if track.p_fake is None else f"p_fake {track.p_fake:.3f}"
        title = f"Face {track.number}: {told}" + (", the one that counts" if track.number == verdict.track else "")
    times = track.face_clip.track.times
    chart = "" if track.p_fake is None else timeline(times, track.frame_p_fake, verdict.threshold, track.missed)
    missed = f"<p>{len(track.missed)} frames were read that do not show this face.</p>" if len(track.missed) else ""
    return f"<h3>{escape(title)}</h3>{chart}{missed}{_strip(track.face_clip.crops, times, 'Face crop')}"


def _heat_maps(maps: HeatMaps, verdict: Verdict) -> str:
    if verdict.face_clip is None:
        return ""
    strip = _strip(maps.pictures, verdict.face_clip.track.times, "Heat map")
    return f"<h3>{escape(maps.label)}</h3><p>{escape(maps.legend)}</p>{strip}"


def _strip(pictures: NDArray[np.uint8], times: NDArray[np.float64], what: str) -> str:
    """Some of the pictures (T, S, S, 3) with their times."""
    chosen = np.linspace(0, len(pictures) - 1, min(MOST_CROPS, len(pictures))).round().astype(int)
    figures = [
        f'<figure><img src="{_data_uri(pictures[at])}" alt="{what} at {times[at]:.2f} s">'
        f"<figcaption>{times[at]:.2f} s</figcaption></figure>"
        for at in chosen.tolist()
    ]
    note = f"<p>{len(chosen)} of {len(pictures)} frames.</p>" if len(chosen) < len(pictures) else ""
    return f'<div class="strip">{"".join(figures)}</div>{note}'


def _protocol(meta: CheckpointMeta, verdict: Verdict) -> list[tuple[str, str]]:
    recipe = meta.recipe
    temperature = "none" if meta.temperature is None else f"{meta.temperature:.3f}, fitted on validation clips"
    return [
        ("Checkpoint", f"{meta.name}, run {meta.run_id or 'not recorded'}, made {meta.created}"),
        ("Model", ", ".join(f"{name} {value}" for name, value in meta.model.items())),
        ("Trained on", f"{meta.corpus or 'not recorded'}; backbone from {meta.weights}"),
        ("Data digest", meta.data_digest or "not recorded"),
        ("Code", meta.git_commit + (" with changes" if meta.dirty else "")),
        ("Test AUC, clip level", with_interval(meta.metrics, "test/auc")),
        ("Test accuracy, clip level", with_interval(meta.metrics, "test/accuracy")),
        ("Temperature", temperature),
        (
            "Frames read",
            f"{meta.sequence_length}, {recipe.sampling}, {meta.frame_order} order, of the first {recipe.max_frames}",
        ),
        (
            "Crops",
            f"{recipe.size} px, {recipe.margin:g} times the face box, faces: {recipe.detector}; recipe {recipe.key()}",
        ),
        ("Judged in", f"{verdict.seconds:.1f} s on {verdict.device}"),
    ]


def _told(report: ClipReport, verdict: Verdict) -> str:
    return verdict.message.replace(verdict.clip, report.clip)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
