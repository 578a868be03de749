"""A checkpoint on a corpus: what it says of every clip and frame, and the figures of that with 95 % intervals.

How figures are named, in runs and in JSON:

- `test/auc` is clip level: each clip counts once, by the p_fake of its verdict
- `test_frame/auc` is frame level: each frame that was read counts once, by the p_fake at that frame, for which a
  recurrent detector has read those before it; at the same threshold, which was chosen for clips
- `_low` and `_high` behind a name are its 95 % interval, by the bootstrap over identities
- `_calibrated` is of p_fake after temperature scaling; every other figure is of p_fake as the detector gives it

`val` in place of `test` is the validation split, on which threshold and temperature were chosen. Figures by method are
a table of their own, `methods_test.parquet`: each method's fakes against all real clips. What has no interval, and why,
`dfd.metrics.intervals` says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dfd import tracking
from dfd.checkpoints import Checkpoint
from dfd.data import Table, crop_table
from dfd.device import best_device
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import ATTRIBUTE, Manifest, Split
from dfd.metrics import (
    People,
    Slices,
    calibrated,
    clip_metrics,
    confusion,
    expected_calibration_error,
    intervals,
    roc,
    slices,
)
from dfd.metrics.calibration import cross_entropy
from dfd.metrics.intervals import RESAMPLES
from dfd.metrics.resampling import draws
from dfd.models import FrameOrder, autocast, frame_permutation, p_fake, to_input
from dfd.models.contract import ClipModel
from dfd.progress import Progress, silent

FRAMES = "frames.parquet"
FRAME_RESAMPLES = 1000  # of many more scores, of the same people


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector says of N clips of T frames each."""

    clips: NDArray[np.float64]  # (N,) p_fake
    frames: NDArray[np.float64]  # (N, T) p_fake at each frame, in the order read


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions (one row a clip) and figures of one split."""

    predictions: pd.DataFrame  # see `predictions`
    frames: pd.DataFrame | None  # see `frame_predictions`; None for a detector that says nothing of single frames
    metrics: dict[str, float]  # clip level, with *_low and *_high of the 95 % interval, and coverage
    frame_metrics: dict[str, float]  # frame level, the same; empty where there are no frames
    methods: Slices
    confusion: NDArray[np.int64]  # (2, 2) clips: rows the truth (real, fake), columns what was said

    def figures(self, split: Split) -> dict[str, float]:
        """Every number under the name it is logged by."""
        clips = {f"{split}/{name}": value for name, value in self.metrics.items()}
        return clips | {f"{split}_frame/{name}": value for name, value in self.frame_metrics.items()}

    @property
    def text(self) -> str:
        """All figures as a table for a terminal: clip level, frame level, by method."""
        lines = [f"  {'':<20}{'clip level':<28}{'frame level' if self.frame_metrics else ''}"]
        shown = [name for name in self.metrics if not name.endswith(("_low", "_high"))]
        shown += [name for name in self.frame_metrics if name not in self.metrics]
        levels = (self.metrics, self.frame_metrics)
        lines += [f"  {name:<20}" + "".join(f"{_written(level, name):<28}" for level in levels) for name in shown]
        (right_real, wrong_real), (wrong_fake, right_fake) = self.confusion.tolist()
        lines += [f"  real clips: {right_real} judged real, {wrong_real} fake"]
        lines += [f"  fake clips: {wrong_fake} judged real, {right_fake} fake", "  by method, against all real clips:"]
        for row in self.methods.rows.to_dict("records"):
            figures = f"auc {_written(row, 'auc'):<26}acc_fake {row['acc_fake']:.4f}  ({row['fake']} fakes)"
            lines.append(f"    {row['value']:<18}{figures}")
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON types; null where a method lacks one."""
        rows = self.methods.rows.astype(object)
        return {
            "metrics": self.metrics,
            "frame_metrics": self.frame_metrics,
            "methods": rows.where(rows.notna(), None).to_dict("records"),
            "confusion": self.confusion.tolist(),
        }


def _written(figures: Mapping[str, float], name: str) -> str:
    """A figure with its interval, or nothing where there is none."""
    if name not in figures:
        return ""
    low, high = (figures.get(f"{name}_{end}") for end in ("low", "high"))
    return f"{figures[name]:.4f}" + ("" if low is None else f" ({low:.3f}-{high:.3f})")


def score_clips(
    model: ClipModel,
    table: Table,
    device: torch.device,
    *,
    length: int,
    order: FrameOrder,
    seed: int,
    batch: int = 16,
    progress: Progress = silent,
) -> Scores:
    """p_fake of every clip of a table, in its order, and at every frame; one pass through the backbone gives both.

    Args:
        model: a whole detector; of a table of features its head alone is used.
        length: frames a clip, which all clips have.
    """
    permutation = frame_permutation(length, order, seed)
    clips, frames = [], []
    for start in range(0, len(table), batch):
        rows = np.arange(start, min(start + batch, len(table)))
        inputs = table.read(rows, length)[:, permutation]
        pixels = inputs.dtype == torch.uint8
        with torch.inference_mode(), autocast(device):
            given = (to_input(inputs, table.recipe) if pixels else inputs).to(device)
            features = model.features(given) if pixels else given
            said = model.head.read_once(features)
            clips.append(p_fake(said.clip).double().cpu().numpy())
            frames.append(p_fake(said.frames).double().cpu().numpy())
        progress((rows[-1] + 1) / len(table), f"scoring clips of {table.manifest.name}")
    return (
        Scores(np.concatenate(clips), np.concatenate(frames)) if clips else Scores(np.empty(0), np.empty((0, length)))
    )


def check_people(name: str, scored: Manifest) -> None:
    """Whether clips can have figures with intervals: asked before a training that would end in them.

    Raises:
        ManifestError: they are of too few people.
    """
    labels = np.array([int(clip.label) for clip in scored])
    try:
        for _ in draws(_people(scored), labels, 100, seed=0):
            pass
    except ValueError as error:
        raise _too_few(name, len(scored), error) from None


def _people(scored: Manifest) -> People:
    return People.of([clip.target_identity for clip in scored], [clip.source_identity for clip in scored])


def _too_few(name: str, clips: int, error: ValueError) -> ManifestError:
    return ManifestError(
        f"corpus '{name}': the {clips} clips that could be scored are too few for intervals ({error}); take a split "
        "with more people"
    )


def summarise(
    asked: Manifest,
    scored: Manifest,
    p_fake: NDArray[np.float64],
    threshold: float,
    *,
    frames: NDArray[np.float64] | None = None,
    temperature: float | None = None,
) -> Evaluation:
    """Figures of one split at the checkpoint's threshold, which was chosen on validation.

    Args:
        asked: the clips that should have been scored.
        scored: those that were, N of them.
        p_fake: (N,) in the order of `scored`.
        frames: (N, T) p_fake at each frame; None for a detector that says nothing of single frames.
        temperature: fitted on validation; None for a detector that has none, which gets no calibrated figures.

    Raises:
        ManifestError: the scored clips are not of both classes, or of too few people for intervals.
    """
    labels = np.array([int(clip.label) for clip in scored])
    if set(labels) != {0, 1}:
        raise ManifestError(
            f"corpus '{asked.name}': {len(scored)} of {len(asked)} clips could be scored and they are not of both "
            "classes; check the sequence length against the clips' lengths, and the split"
        )
    told = predictions(scored, p_fake, threshold)
    people = _people(scored)
    try:
        clip_level = _figures(labels, p_fake, threshold, people, RESAMPLES)
        frame_level = {} if frames is None else _frame_figures(labels, frames, threshold, people)
        methods = slices(told, "method")
    except ValueError as error:
        raise _too_few(asked.name, len(scored), error) from None
    if temperature is not None:
        clip_level |= _calibrated(labels, p_fake, temperature)
    return Evaluation(
        predictions=told,
        frames=None if frames is None else frame_predictions(told, frames),
        metrics=clip_level | {"coverage": len(scored) / len(asked), "clips": float(len(scored))},
        frame_metrics=frame_level,
        methods=methods,
        confusion=confusion(labels, p_fake, threshold),
    )


def _figures(
    labels: NDArray[np.int64], scores: NDArray[np.float64], threshold: float, people: People, resamples: int
) -> dict[str, float]:
    figures = clip_metrics(labels, scores, threshold)
    for name, ends in intervals(labels, scores, people, threshold, resamples=resamples).items():
        value = figures[name]  # of another library: the same number, summed otherwise, may differ in its last digit
        low, high = (value if math.isclose(end, value, rel_tol=0, abs_tol=1e-12) else end for end in ends)
        figures |= {f"{name}_low": low, f"{name}_high": high}
    return figures


def _frame_figures(
    labels: NDArray[np.int64], frames: NDArray[np.float64], threshold: float, people: People
) -> dict[str, float]:
    times = frames.shape[1]
    figures = _figures(labels.repeat(times), frames.ravel(), threshold, people.repeat(times), FRAME_RESAMPLES)
    return figures | {"frames": float(frames.size)}


def _calibrated(labels: NDArray[np.int64], scores: NDArray[np.float64], temperature: float) -> dict[str, float]:
    after = calibrated(scores, temperature)
    return {
        "ece_calibrated": expected_calibration_error(labels, after),
        "log_loss_calibrated": cross_entropy(labels, after),
    }


def predictions(scored: Manifest, p_fake: NDArray[np.float64], threshold: float) -> pd.DataFrame:
    """One row a clip, with what slices, curves and comparisons need; attributes are columns `attribute.NAME`."""
    table = pd.DataFrame(
        {
            "corpus": [clip.corpus for clip in scored],
            "clip_id": [clip.clip_id for clip in scored],
            "split": [clip.split for clip in scored],
            "label": [int(clip.label) for clip in scored],
            "p_fake": p_fake,
            "threshold": threshold,
            "method": [clip.method for clip in scored],
            "compression": [clip.compression for clip in scored],
            "official_split": ["yes" if clip.official_split else "no" for clip in scored],
            "target_identity": [clip.target_identity for clip in scored],
            "source_identity": [clip.source_identity for clip in scored],
        }
    )
    known = [dict(clip.attributes) for clip in scored]
    more = sorted({name for attributes in known for name in attributes})
    return table.assign(**{f"{ATTRIBUTE}{name}": [each.get(name, "") for each in known] for name in more})


def frame_predictions(clips: pd.DataFrame, p_fake: NDArray[np.float64]) -> pd.DataFrame:
    """One row a frame of `predictions`' N clips: corpus, clip_id, split, label, position (0 is read first), p_fake."""
    count = p_fake.shape[1]
    table = clips.loc[clips.index.repeat(count), ["corpus", "clip_id", "split", "label"]].reset_index(drop=True)
    return table.assign(position=np.tile(np.arange(count), len(clips)), p_fake=p_fake.ravel())


def evaluate(
    checkpoint: Checkpoint, manifest: Manifest, split: Split = "test", progress: Progress = silent
) -> Evaluation:
    """Run a checkpoint over the face-only videos of one split of a corpus.

    Clips shorter than the checkpoint's sequence length are left out and lower the coverage.

    Raises:
        ManifestError: the split is empty or has one class only, or its face-only videos were cut by another recipe.
    """
    asked = manifest.of_both_classes().asked(split)
    meta = checkpoint.meta
    table = crop_table(asked, meta.recipe, meta.sequence_length, progress=progress).where(at_least=meta.sequence_length)
    device = best_device()
    model = checkpoint.model.to(device)
    scores = score_clips(
        model,
        table,
        device,
        length=meta.sequence_length,
        order=meta.frame_order,
        seed=meta.seed,
        batch=4,
        progress=progress,
    )
    model.to(torch.device("cpu"))
    return summarise(
        asked, table.manifest, scores.clips, meta.threshold, frames=scores.frames, temperature=meta.temperature
    )


def facts_of(checkpoint: Checkpoint, manifest: Manifest, split: Split, *, kind: str) -> dict[str, str]:
    """What the run of an evaluation is tagged with: which checkpoint, trained on what, on which clips."""
    meta = checkpoint.meta
    return {
        "dfd.kind": kind,
        "dfd.corpus": meta.corpus,
        "dfd.backbone_corpora": "+".join(meta.backbone_corpora),
        "dfd.evaluated_on": manifest.name,
        "dfd.evaluated_split": split,
        "dfd.evaluated_run": meta.run_id or checkpoint.ref,
        "dfd.evaluated_name": meta.name,
        "dfd.evaluated_unseen": ",".join(_unseen(checkpoint, manifest, split)),
    }


def _unseen(checkpoint: Checkpoint, manifest: Manifest, split: Split) -> list[str]:
    """The fake methods of a test that the checkpoint's training was without, where its experiment chose some."""
    data = checkpoint.meta.experiment.get("data", {})
    chosen = data.get("methods") or (data.get("pseudo_fakes") or {}).get("methods")
    tested = {clip.method for clip in manifest.split(split) if clip.label is Label.FAKE}
    return [] if chosen is None else sorted(tested - set(chosen))


def evaluate_and_record(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split = "test",
    progress: Progress = silent,
    *,
    tags: Mapping[str, object] | None = None,
) -> tuple[str, Evaluation]:
    """`evaluate`, kept as a run of kind "evaluation" beside the checkpoint's own; returns the run id too.

    `tags` are added to what is said of the run, or take the place of it.
    """
    meta, facts = checkpoint.meta, {**facts_of(checkpoint, manifest, split, kind="evaluation"), **(tags or {})}
    found = evaluate(checkpoint, manifest, split, progress)
    with tracking.start_run(f"{meta.name} on {manifest.name}", parent=meta.run_id, tags=facts) as run:
        run.input(manifest.split(split), split)
        record(run, {split: found})
    return run.run_id, found


def record(run: tracking.Run, found: Mapping[Split, Evaluation]) -> dict[str, float]:
    """Keep evaluations in a run: figures, predictions, curves and the rows by method; returns the figures as named."""
    figures = {name: value for split, done in found.items() for name, value in done.figures(split).items()}
    run.metrics(figures)
    run.table(pd.concat([done.predictions for done in found.values()], ignore_index=True), tracking.PREDICTIONS)
    frames = [done.frames for done in found.values() if done.frames is not None]
    if frames:
        run.table(pd.concat(frames, ignore_index=True), FRAMES)
    for split, done in found.items():
        run.table(roc(done.predictions["label"], done.predictions["p_fake"]), f"roc_{split}.parquet")
        run.table(done.methods.rows, f"methods_{split}.parquet")
    return figures
