"""A checkpoint on a corpus: per-clip predictions, and clip-level figures with 95 % intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dfd import tracking
from dfd.checkpoints import Checkpoint
from dfd.data import crop_table
from dfd.errors import ManifestError
from dfd.manifest import Manifest, Split
from dfd.metrics import clip_metrics, intervals
from dfd.models import best_device
from dfd.progress import Progress, silent
from dfd.training import score_table


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions (one row a clip) and clip-level metrics of one split."""

    predictions: pd.DataFrame  # corpus, clip_id, split, label, p_fake, method, compression, target_identity
    metrics: dict[str, float]  # clip-level, with *_low and *_high of the 95 % interval, and coverage


def summarise(asked: Manifest, scored: Manifest, p_fake: NDArray[np.float64], threshold: float) -> Evaluation:
    """Figures of one split at the checkpoint's threshold, which was chosen on validation.

    Args:
        asked: the clips that should have been scored.
        scored: those that were, N of them.
        p_fake: (N,) in the order of `scored`.

    Raises:
        ManifestError: the scored clips are not of both classes.
    """
    labels = np.array([int(clip.label) for clip in scored])
    if set(labels) != {0, 1}:
        raise ManifestError(
            f"corpus '{asked.name}': {len(scored)} of {len(asked)} clips could be scored and they are not of both "
            "classes; check the sequence length against the clips' lengths, and the split"
        )
    figures = clip_metrics(labels, p_fake, threshold)
    spans = intervals(labels, p_fake, [clip.target_identity for clip in scored], threshold)
    for name, (low, high) in spans.items():
        figures |= {f"{name}_low": low, f"{name}_high": high}
    figures |= {"coverage": len(scored) / len(asked), "clips": float(len(scored))}
    return Evaluation(predictions(scored, p_fake), figures)


def predictions(scored: Manifest, p_fake: NDArray[np.float64]) -> pd.DataFrame:
    """One row a clip, with what slices and curves need."""
    return pd.DataFrame(
        {
            "corpus": [clip.corpus for clip in scored],
            "clip_id": [clip.clip_id for clip in scored],
            "split": [clip.split for clip in scored],
            "label": [int(clip.label) for clip in scored],
            "p_fake": p_fake,
            "method": [clip.method for clip in scored],
            "compression": [clip.compression for clip in scored],
            "target_identity": [clip.target_identity for clip in scored],
        }
    )


def evaluate(
    checkpoint: Checkpoint, manifest: Manifest, split: Split = "test", progress: Progress = silent
) -> Evaluation:
    """Run a checkpoint over the face-only videos of one split of a corpus.

    Clips shorter than the checkpoint's sequence length are left out and lower the coverage.

    Raises:
        ManifestError: the split is empty or has one class only, or its face-only videos were cut by another recipe.
    """
    asked = manifest.split(split)
    if not len(asked):
        raise ManifestError(f"corpus '{manifest.name}' has no {split} clips")
    meta = checkpoint.meta
    table = crop_table(asked, meta.recipe, meta.sequence_length, progress=progress).where(at_least=meta.sequence_length)
    device = best_device()
    model = checkpoint.model.to(device)
    scores = score_table(
        model, table, device, length=meta.sequence_length, order=meta.frame_order, seed=meta.seed, batch=4
    )
    model.to(torch.device("cpu"))
    return summarise(asked, table.manifest, scores, meta.threshold)


def evaluate_and_record(
    checkpoint: Checkpoint, manifest: Manifest, split: Split = "test", progress: Progress = silent
) -> tuple[str, Evaluation]:
    """`evaluate`, kept as a run of kind "evaluation" beside the checkpoint's own; returns the run id too."""
    meta = checkpoint.meta
    facts = {
        "dfd.kind": "evaluation",
        "dfd.corpus": meta.corpus,
        "dfd.evaluated_on": manifest.name,
        "dfd.evaluated_run": meta.run_id or checkpoint.ref,
    }
    found = evaluate(checkpoint, manifest, split, progress)
    with tracking.start_run(f"{meta.name} on {manifest.name}", parent=meta.run_id, tags=facts) as run:
        run.input(manifest.split(split), split)
        run.metrics({f"{split}/{name}": value for name, value in found.metrics.items()})
        run.table(found.predictions, tracking.PREDICTIONS)
    return run.run_id, found
