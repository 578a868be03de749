"""A detector of the user's own on a corpus, as a checkpoint would be: threshold from validation, figures, a run.

It is given the corpus's clips as they are, not face-only videos. Its run has the kind "own" and the model "own: NAME";
it has no checkpoint, no sequence length and no seed, and what it was trained on is not known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd import metrics, tracking
from dfd.errors import ManifestError
from dfd.evaluation import Evaluation, record, summarise
from dfd.manifest import Clip, Manifest, Split
from dfd.own_detector import A_CLIP, KEPT_AS, OwnDetector, opened
from dfd.progress import Progress, part, silent

NOT_SCORED = "not_scored.json"  # artifact: the clips without a verdict, and why


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detector says of one split."""

    asked: Manifest
    scored: Manifest  # the clips that got a verdict, N of them
    p_fake: NDArray[np.float64]  # (N,)
    not_scored: tuple[tuple[str, str], ...]  # clip id and why, of the others


@dataclass(frozen=True, slots=True)
class OwnEvaluation:
    """A detector of the user's own on a corpus."""

    name: str
    sha256: str
    text: str  # of its file
    corpus: str
    threshold: float
    threshold_fpr: float | None  # on validation; None where the file sets the threshold
    temperature: float | None  # fitted on validation; the same
    judged: Mapping[Split, Judged]
    found: Mapping[Split, Evaluation]

    @property
    def model(self) -> str:
        """How charts and tables name it."""
        return f"own: {self.name}"


def evaluate_own(
    file: Path, manifest: Manifest, split: Split = "test", *, a_clip: float = A_CLIP, progress: Progress = silent
) -> OwnEvaluation:
    """Run a detector's file over the clips of a split.

    Where the file sets no THRESHOLD the validation clips are judged first, and threshold and temperature chosen on them
    as for every checkpoint. Where it does, they are not asked for, and nothing is said of calibration.

    Args:
        file: see `dfd.own_detector`.
        manifest: of the clips themselves, as `dfd.corpora.find.find` gives it.
        a_clip: seconds of wall-clock time for a clip.

    Raises:
        DetectorError: the file is no detector, or gave a clip what is no p_fake.
        ManifestError: a split has no clips, or those that got a verdict are not of both classes, or of too few people.
    """
    manifest.of_both_classes()
    with opened(file, a_clip=a_clip) as detector:
        splits: tuple[Split, ...] = (split,) if detector.threshold is not None or split == "val" else ("val", split)
        judged: dict[Split, Judged] = {}
        for place, name in enumerate(splits):
            share = part(progress, place / len(splits), (place + 1) / len(splits))
            judged[name] = judge(detector, manifest, name, share)
        threshold, fpr, temperature = detector.threshold, None, None
        if threshold is None:
            chosen_on = judged["val"]
            labels = np.array([int(clip.label) for clip in chosen_on.scored])
            threshold, fpr = metrics.choose_threshold(labels, chosen_on.p_fake)
            temperature = metrics.fit_temperature(labels, chosen_on.p_fake)
        found = {
            name: summarise(done.asked, done.scored, done.p_fake, threshold, temperature=temperature)
            for name, done in judged.items()
        }
        return OwnEvaluation(
            detector.name, detector.sha256, detector.text, manifest.name, threshold, fpr, temperature, judged, found
        )


def judge(detector: OwnDetector, manifest: Manifest, split: Split, progress: Progress = silent) -> Judged:
    """What a detector says of every clip of a split.

    Raises:
        DetectorError: it gave a clip what is no p_fake.
        ManifestError: there are no clips, or those with a verdict are not of both classes.
    """
    asked = manifest.asked(split)
    scored: list[Clip] = []
    p_fake: list[float] = []
    not_scored: list[tuple[str, str]] = []
    for number, clip in enumerate(asked, start=1):
        answer = detector.judge(clip)
        if answer.p_fake is None:
            not_scored.append((clip.clip_id, answer.reason))
        else:
            scored.append(clip)
            p_fake.append(answer.p_fake)
        without = f", {len(not_scored)} without a verdict" if not_scored else ""
        progress(number / len(asked), f"{detector.name} on {split} clips of {manifest.name}{without}")
    if {int(clip.label) for clip in scored} != {0, 1}:
        first = f"; {not_scored[0][0]}: {not_scored[0][1]}" if not_scored else ""
        raise ManifestError(
            f"{len(scored)} of {len(asked)} {split} clips of '{manifest.name}' got a verdict of {detector.name}, and "
            f"they are not of both classes{first}"
        )
    return Judged(asked, Manifest(manifest.name, tuple(scored)), np.array(p_fake), tuple(not_scored))


def record_own(done: OwnEvaluation) -> str:
    """Keep an evaluation as a run of kind "own"; returns its id."""
    title = f"{done.model} ({done.sha256[:8]})"
    facts = {
        "dfd.kind": tracking.OWN,
        "dfd.corpus": done.corpus,
        "dfd.evaluated_on": done.corpus,
        "dfd.evaluated_name": title,
        "dfd.evaluated_file": done.sha256,
        "dfd.threshold": done.threshold,
    }
    with tracking.start_run(f"{done.model} on {done.corpus}", tags=facts) as run:
        run.params({"model.name": done.model, "detector.sha256": done.sha256, "detector.threshold": done.threshold})
        run.text(done.text, KEPT_AS)
        for split, judged in done.judged.items():
            run.input(judged.asked, split)
        record(run, done.found)
        chosen = {"val/threshold_fpr": done.threshold_fpr, "val/temperature": done.temperature}
        run.metrics({name: value for name, value in chosen.items() if value is not None})
        run.text(json.dumps(not_scored(done), indent=1) + "\n", NOT_SCORED)
    return run.run_id


def not_scored(done: OwnEvaluation) -> list[dict[str, Any]]:
    """The clips without a verdict, of all splits that were judged."""
    return [
        {"split": split, "clip": clip, "reason": reason}
        for split, judged in done.judged.items()
        for clip, reason in judged.not_scored
    ]
