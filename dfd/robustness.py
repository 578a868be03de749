"""How far a checkpoint's figures fall as its clips are corrupted or attacked: its robustness curves over a split.

Each level of each kind is one more evaluation of the same clips, with the same threshold, whose crops are changed as
they are read: nothing but the untouched crops is kept, and a few clips are in memory at once. Level 0 is the plain
evaluation of `dfd.evaluation`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd import adversarial, corruptions, tracking
from dfd.adversarial import STEPS, Target, attack
from dfd.checkpoints import Checkpoint
from dfd.corruptions import Levels, corrupt, generator_of
from dfd.curves import CLIPS, KIND, TABLE, UNTOUCHED, Curves, logged
from dfd.data import Table, crop_table
from dfd.device import best_device
from dfd.errors import ManifestError
from dfd.evaluation import facts_of, score_clips, summarise
from dfd.labels import Label
from dfd.manifest import Manifest, Split
from dfd.models import autocast, frame_permutation, to_input
from dfd.progress import Progress, part, silent
from dfd.subsets import subset

KINDS: dict[str, Levels] = {**corruptions.LEVELS, **adversarial.LEVELS}
USUAL = tuple(corruptions.LEVELS)  # attacks take several times as long, and are asked for by name
EVERY = (1, 2, 3, 4, 5)
BATCH = 4  # clips at once, as `evaluate` reads them

Row = dict[str, Any]


def robustness(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split = "test",
    kinds: Sequence[str] = USUAL,
    levels: Sequence[int] = EVERY,
    *,
    clips: int | None = None,
    steps: int = STEPS,
    progress: Progress = silent,
) -> Curves:
    """The curves of a checkpoint over the face-only videos of one split of a corpus.

    Clips shorter than the checkpoint's sequence length are left out and lower the coverage.

    Args:
        kinds: keys of `KINDS`, drawn in this order.
        levels: of each kind, from 1; the untouched clips are always first.
        clips: so many alone, half real and half fake, the same ones each time; None: all.
        steps: of PGD.

    Raises:
        ManifestError: as `evaluate`, or the split cannot give so many clips.
        ValueError: an unknown kind or level, or steps < 1.
    """
    job = _prepared(checkpoint, manifest, split, kinds, levels, clips, steps, part(progress, 0, 0.05))
    return _measured(job, lambda row: None, part(progress, 0.05, 1))


def robustness_and_record(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split = "test",
    kinds: Sequence[str] = USUAL,
    levels: Sequence[int] = EVERY,
    *,
    clips: int | None = None,
    steps: int = STEPS,
    progress: Progress = silent,
) -> tuple[str, Curves]:
    """`robustness`, kept as a run of kind "robustness" beside the checkpoint's own; returns the run id too.

    The run has the figures of each level as soon as they are there.
    """
    job = _prepared(checkpoint, manifest, split, kinds, levels, clips, steps, part(progress, 0, 0.05))
    meta = checkpoint.meta
    facts = facts_of(checkpoint, manifest, split, kind=KIND)
    with tracking.start_run(f"{meta.name} robustness on {manifest.name}", parent=meta.run_id, tags=facts) as run:
        run.params({"robust.kinds": ",".join(kinds), "robust.levels": ",".join(map(str, levels))})
        run.params({"robust.clips": clips or "all", "robust.pgd_steps": steps})
        run.input(job.asked, split)
        found = _measured(job, lambda row: run.metrics(logged(row)), part(progress, 0.05, 1))
        run.table(found.table, TABLE)
        run.table(found.clips, CLIPS)
    return run.run_id, found


@dataclass(frozen=True, slots=True)
class _Job:
    """What is measured, found to be possible."""

    checkpoint: Checkpoint
    asked: Manifest
    table: Table  # of those clips that are long enough
    points: tuple[tuple[str, int], ...]  # kind and level
    steps: int


def _prepared(
    checkpoint: Checkpoint,
    manifest: Manifest,
    split: Split,
    kinds: Sequence[str],
    levels: Sequence[int],
    clips: int | None,
    steps: int,
    progress: Progress,
) -> _Job:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind '{unknown[0]}'; choose some of {', '.join(KINDS)}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    points = tuple((kind, level) for kind in dict.fromkeys(kinds) for level in sorted(set(levels)))
    for kind, level in points:
        KINDS[kind].value(level)
    asked = _asked(manifest, split, clips)
    meta = checkpoint.meta
    table = crop_table(asked, meta.recipe, meta.sequence_length, progress=progress).where(at_least=meta.sequence_length)
    return _Job(checkpoint, asked, table, ((UNTOUCHED, 0), *points), steps)


def _asked(manifest: Manifest, split: Split, clips: int | None) -> Manifest:
    asked = manifest.of_both_classes().asked(split)
    if clips is None:
        return asked
    count = Counter(clip.label for clip in asked)
    most = 2 * min(count[label] for label in Label)
    if clips > most:
        raise ManifestError(
            f"corpus '{manifest.name}' has {count[Label.REAL]} real and {count[Label.FAKE]} fake {split} clips; ask "
            f"for at most {most} of them, or for all"
        )
    return subset(asked, clips, None, seed=0)


def _measured(job: _Job, on_row: Callable[[Row], None], progress: Progress) -> Curves:
    """All points one after the other; `on_row` is told each."""
    meta, device = job.checkpoint.meta, best_device()
    model = job.checkpoint.model.to(device)
    target = Target(model, meta.recipe, device) if any(kind in adversarial.LEVELS for kind, _ in job.points) else None
    passes = np.cumsum([0, *(_passes(kind, job.steps) for kind, _ in job.points)])
    shares = passes / passes[-1]
    rows: list[Row] = []
    clips: dict[tuple[str, int], pd.DataFrame] = {}
    for (kind, level), start, end in zip(job.points, shares[:-1], shares[1:], strict=True):
        facts = _facts(kind, level, job.steps)
        scores = score_clips(
            model,
            _changed(job, kind, level, target),
            device,
            length=meta.sequence_length,
            order=meta.frame_order,
            seed=meta.seed,
            batch=BATCH,
            progress=_saying(f"{facts['label']}, {facts['setting']}", part(progress, start, end)),
        )
        found = summarise(job.asked, job.table.manifest, scores.clips, meta.threshold, temperature=meta.temperature)
        rows.append({**facts, **found.metrics})
        clips[kind, level] = found.predictions
        on_row(rows[-1])
    model.to(torch.device("cpu"))
    told = pd.concat(clips, names=["kind", "level"]).reset_index(["kind", "level"]).reset_index(drop=True)
    return Curves(pd.DataFrame(rows), told)


def _passes(kind: str, steps: int) -> int:
    """What a level costs, in passes through the network; a step of an attack is about three."""
    return 1 + 3 * {"fgsm": 1, "pgd": steps}.get(kind, 0)


def _saying(what: str, progress: Progress) -> Progress:
    return lambda fraction, message: progress(fraction, what)


def _facts(kind: str, level: int, steps: int) -> Row:
    """The first columns of `Curves.table`."""
    if kind == UNTOUCHED:
        return {
            "kind": kind, "label": "Untouched", "level": 0, "scale": "", "value": np.nan, "setting": "as it is",
        }  # fmt: skip
    of = KINDS[kind]
    setting = adversarial.setting(kind, level, steps) if kind in adversarial.LEVELS else of.setting(level)
    return {
        "kind": kind, "label": of.label, "level": level, "scale": of.scale, "value": of.value(level),
        "setting": setting,
    }  # fmt: skip


def _changed(job: _Job, kind: str, level: int, target: Target | None) -> Table:
    """The job's clips, changed whenever they are read."""
    if kind == UNTOUCHED:
        return job.table
    own: dict[str, Any] = {field.name: getattr(job.table, field.name) for field in fields(Table)}
    own |= {"kind": kind, "level": level}
    if target is None or kind in corruptions.LEVELS:
        return _Corrupted(**own)
    return _Attacked(**own, steps=job.steps, checkpoint=job.checkpoint, target=target)


@dataclass(frozen=True, slots=True)
class _Corrupted(Table):
    """Crops that are corrupted as they are read."""

    kind: str
    level: int

    def read(self, clips: NDArray[np.int64], length: int) -> Tensor:
        """uint8 (B, length, S, S, 3)."""
        generators = [generator_of(self.manifest.clips[clip], self.kind) for clip in clips]
        crops = zip(Table.read(self, clips, length), generators, strict=True)
        return torch.stack([corrupt(clip, self.kind, self.level, generator) for clip, generator in crops])


@dataclass(frozen=True, slots=True)
class _Attacked(Table):
    """Features of crops that are attacked as they are read: those of the backbone, since a head reads no fractions."""

    kind: str
    level: int
    steps: int
    checkpoint: Checkpoint
    target: Target

    def read(self, clips: NDArray[np.int64], length: int) -> Tensor:
        """(B, length, F), in the clips' own order of frames."""
        meta, model, device = self.checkpoint.meta, self.checkpoint.model, self.target.device
        order = frame_permutation(length, meta.frame_order, meta.seed)
        crops = Table.read(self, clips, length)[:, order]
        generators = [generator_of(self.manifest.clips[clip], self.kind) for clip in clips]
        moved = attack(self.target, crops, self.labels[clips], self.kind, self.level, generators, steps=self.steps)
        with torch.inference_mode(), autocast(device):
            features = model.features(to_input(moved, self.recipe))
        return features[:, order.argsort()]
