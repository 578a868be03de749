"""Are a checkpoint's heat maps true? Every method over the clips of a split, beside two maps that know nothing.

Each clip is read as the checkpoint reads it, explained by each method, and the maps are put to the tests of
`dfd.attribution.truth`. A method that does not beat the picture's own edges has shown the edges, not the network.
A clip's rows are kept in `data/audits` of dfd's home as soon as they are there: an audit that was killed goes on.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfd import tracking
from dfd.attribution import METHODS, views
from dfd.attribution.truth import randomised
from dfd.checkpoints import Checkpoint
from dfd.clip_audit import CONTROLS, FIGURES, PROTOCOL, QUICK, THOROUGH, Effort, Row, clip_rows, facts_of_clip
from dfd.errors import ManifestError
from dfd.evaluation import facts_of
from dfd.manifest import Manifest, Split
from dfd.metrics import People
from dfd.metrics.intervals import interval
from dfd.metrics.resampling import draws
from dfd.paths import atomic_file, data_dir
from dfd.progress import Progress, part, silent
from dfd.subsets import subset

__all__ = [
    "CLIPS", "CONTROLS", "FIGURES", "HIGHER_IS_TRUER", "KIND", "QUICK", "TABLE", "THOROUGH", "Audit", "Effort", "audit",
    "audit_and_record", "beats_edges", "better_than_edges", "written",
]  # fmt: skip

TABLE, CLIPS = "attribution_truth.parquet", "attribution_clips.parquet"
KIND = "attribution"
HIGHER_IS_TRUER = ("pointing", "energy", "iou", "insertion")
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of it."""

    clips: pd.DataFrame  # a row a clip and method: clip_id, label, target_identity, source_identity, way, FIGURES
    table: pd.DataFrame  # a row a method: way, clips, and each of FIGURES with _low and _high, NaN where it has none
    effort: Effort

    @property
    def text(self) -> str:
        """The table for a terminal, and in words which methods beat the edges."""
        shown = [name for name in FIGURES if self.table[name].notna().any()]
        lines = [f"  {'':<22}" + "".join(f"{name:<24}" for name in shown)]
        lines += [
            f"  {row['way']:<22}" + "".join(f"{written(row, name):<24}" for name in shown)
            for row in self.table.to_dict("records")
        ]
        lines += [f"  {line}" for line in [*beats_edges(self.clips), f"each clip: {self.effort.text}"]]
        return "\n".join(line.rstrip() for line in lines)


def audit(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split = "test",
    methods: Sequence[str] = tuple(METHODS),
    *,
    clips: int | None = None,
    effort: Effort = QUICK,
    progress: Progress = silent,
) -> Audit:
    """Put the methods to the test on the face-only videos of one split of a corpus.

    Clips that a call with the same arguments finished before it was killed are not gone through again.

    Args:
        methods: some of `views(checkpoint.model)`; the controls are always there.
        clips: so many alone, half real and half fake, the same ones each time; None: all.

    Raises:
        ManifestError: the split has no clip of each class that is long enough, or too few people for intervals.
        ValueError: a method that the checkpoint has not.
    """
    unknown = [name for name in methods if name not in views(checkpoint.model)]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not one of {', '.join(views(checkpoint.model))}")
    asked = _long_enough(manifest.of_both_classes().split(split), checkpoint.meta.sequence_length)
    chosen = asked if clips is None else subset(asked, clips, None, seed=0)
    most = len(chosen) if effort.checked is None else effort.checked
    checked = {clip.clip_id for clip in (subset(chosen, most, None, seed=0) if most < len(chosen) else chosen)}
    try:
        _interval_of(np.zeros(len(chosen)), pd.DataFrame([facts_of_clip(clip) for clip in chosen]))
    except ValueError as error:  # before hours are spent on them
        raise ManifestError(
            f"corpus '{manifest.name}': {len(chosen)} {split} clips are too few for intervals ({error}); take more"
        ) from None
    kept = _kept(checkpoint, chosen, methods, effort)
    forgotten = Checkpoint(randomised(checkpoint.model), checkpoint.meta, checkpoint.ref)
    found: list[pd.DataFrame] = []
    for number, clip in enumerate(chosen):
        share = part(progress, number / len(chosen), (number + 1) / len(chosen))
        path = kept / f"{number:04}.parquet"
        if not path.is_file():
            blank = forgotten if clip.clip_id in checked else None
            rows = pd.DataFrame(clip_rows(checkpoint, blank, clip, methods, effort, share))
            with atomic_file(path) as unfinished:
                rows.to_parquet(unfinished)
        share(1.0, clip.clip_id)
        found.append(pd.read_parquet(path))
    told = pd.concat(found, ignore_index=True)
    shutil.rmtree(kept)
    return Audit(told, _summary(told), effort)


def _kept(checkpoint: Checkpoint, chosen: Manifest, methods: Sequence[str], effort: Effort) -> Path:
    """The folder of the clips that are done, of exactly this audit."""
    told = [PROTOCOL, checkpoint.meta.model_dump_json(), chosen.content(), list(methods), asdict(effort)]
    digest = hashlib.sha256(json.dumps(told).encode())
    for name, weights in sorted(checkpoint.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return data_dir() / "audits" / digest.hexdigest()[:24]


def audit_and_record(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split = "test",
    methods: Sequence[str] = tuple(METHODS),
    *,
    clips: int | None = None,
    effort: Effort = QUICK,
    progress: Progress = silent,
) -> tuple[str, Audit]:
    """`audit`, kept as a run of kind "attribution" beside the checkpoint's own; returns the run id too."""
    meta = checkpoint.meta
    facts = facts_of(checkpoint, manifest, split, kind=KIND)
    with tracking.start_run(f"{meta.name} attribution on {manifest.name}", parent=meta.run_id, tags=facts) as run:
        run.params({"truth.methods": ",".join(methods), "truth.clips": clips or "all", **effort.parameters})
        run.input(manifest.split(split), split)
        found = audit(checkpoint, manifest, split, methods, clips=clips, effort=effort, progress=progress)
        run.metrics(
            {
                f"truth/{row['way'].replace(' ', '_')}/{name}": row[name]
                for row in found.table.to_dict("records")
                for name in FIGURES
                if not np.isnan(row[name])
            }
        )
        run.table(found.table, TABLE)
        run.table(found.clips, CLIPS)
    return run.run_id, found


def better_than_edges(clips: pd.DataFrame) -> dict[str, list[str]]:
    """For each figure that has a better end, and that these clips have: the methods that surely beat the edge map.

    Surely: the 95 % interval, over people, of the difference on the same clips leaves 0 out.
    """
    found = {}
    for name in (*HIGHER_IS_TRUER, "deletion"):
        side = 1 if name in HIGHER_IS_TRUER else -1
        wide = clips.pivot(index="clip_id", columns="way", values=name)
        if wide.isna().all(axis=None):
            continue
        facts = clips.drop_duplicates("clip_id").set_index("clip_id").loc[wide.index]
        ways = [way for way in wide if way not in CONTROLS]
        gains = {way: side * (wide[way] - wide["edge map"]).to_numpy() for way in ways}
        found[name] = [way for way, gain in gains.items() if _interval_of(gain, facts)[0] > 0]
    return found


def beats_edges(clips: pd.DataFrame, labels: Mapping[str, str] | None = None) -> list[str]:
    """`better_than_edges` in words, a line a figure.

    Args:
        labels: what figures and methods are called; where it has none, by their own names.
    """
    called = labels or {}
    lines = []
    for name, better in better_than_edges(clips).items():
        ways = ", ".join(called.get(way, way) for way in better) or "none"
        verb = "beat" if len(better) > 1 else "beats"
        lines.append(f"{called.get(name, name)}: {ways} {verb} the edge map")
    return lines


def _long_enough(manifest: Manifest, length: int) -> Manifest:
    kept = tuple(clip for clip in manifest if (clip.frames or 0) >= length)
    if {int(clip.label) for clip in kept} != {0, 1}:
        raise ManifestError(
            f"corpus '{manifest.name}' has no clips of both classes with at least {length} frames; take a checkpoint "
            "that reads fewer"
        )
    return Manifest(manifest.name, kept)


def _summary(clips: pd.DataFrame) -> pd.DataFrame:
    """A row a way: the mean of each figure over the clips that have it, with its 95 % interval over people."""
    rows = []
    for way, some in clips.groupby("way", sort=False):
        row: Row = {"way": way, "clips": len(some)}
        for name in FIGURES:
            values = some[name].to_numpy()
            known = ~np.isnan(values)
            row[name] = float(values[known].mean()) if known.any() else float("nan")
            row[f"{name}_low"], row[f"{name}_high"] = _interval_of(values, some)
        rows.append(row)
    return pd.DataFrame(rows)


def _interval_of(values: NDArray[np.float64], facts: pd.DataFrame) -> tuple[float, float]:
    """95 % interval of the mean of values (N,), those that are numbers, over the people of N clips."""
    known = ~np.isnan(values)
    if not known.any():
        return float("nan"), float("nan")
    people = People.of(facts["target_identity"].tolist(), facts["source_identity"].tolist())
    labels, filled = facts["label"].to_numpy(), np.where(known, values, 0.0)
    sums, counts = (
        np.concatenate([each @ weights for weights in draws(people, labels, RESAMPLES, seed=0)])
        for each in (filled, known.astype(float))
    )
    return interval(sums[counts > 0] / counts[counts > 0])  # a figure of few clips is missing in some draws


def written(row: Row, name: str) -> str:
    """A figure of a row of `Audit.table` with its interval; "–" where it has none."""
    if np.isnan(row[name]):
        return "–"
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f}-{row[f'{name}_high']:.3f})"
