"""Accuracy against sequence length, done right: one split, one backbone, every length, and the controls beside them.

The backbone is fitted once on frames of all corpora's training clips and its features are cached; then each corpus gets
a head for each length, and two controls: mean pooling (no LSTM), and the LSTM on shuffled frames. If the controls do as
well as the LSTM, it is not the order of the frames that the detector reads. A sweep that was stopped goes on where it
was: finished runs are found by their key, and one that was interrupted goes on after an epoch that was kept.
"""

from collections.abc import Iterator

from dfd.config import Experiment
from dfd.data import Table
from dfd.device import best_device
from dfd.errors import ExperimentError
from dfd.experiments import Backbone, backbone, features_of, head, read_crops
from dfd.memory import held
from dfd.progress import Progress, part, silent


def sweep(experiment: Experiment, progress: Progress = silent) -> list[str]:
    """Run a sweep; returns the run ids of its heads, shortest sequence first.

    Raises:
        ExperimentError: the experiment has no `sweep` section.
        ManifestError: a corpus is not there, or a split has not both classes.
    """
    if experiment.sweep is None:
        raise ExperimentError(
            f"experiment '{experiment.name}' has no 'sweep' section; use `dfd train` for a single run"
        )
    with held(best_device().type):  # what one head frees, the next one takes
        return _sweep(experiment, experiment.sweep.longest, progress)


def _sweep(experiment: Experiment, longest: int, progress: Progress) -> list[str]:
    crops = read_crops(experiment, longest, part(progress, 0, 0.03))
    fitted = backbone(experiment, crops, part(progress, 0.03, 0.45))
    corpora = zip(experiment.data.corpora, experiment.data.recorded_as, strict=True)
    plan = [(recorded, list(members(experiment, corpus))) for corpus, recorded in corpora]
    done: list[str] = []
    for place, (corpus, variants) in enumerate(plan):
        share = part(progress, 0.45 + 0.55 * place / len(plan), 0.45 + 0.55 * (place + 1) / len(plan))
        features = features_of(crops.where(corpus=corpus), fitted, part(share, 0, 0.35))
        frames = [variant.model.sequence_length for variant in variants]
        for at, variant in enumerate(variants):
            reach = [0.35 + 0.65 * sum(frames[:upto]) / sum(frames) for upto in (at, at + 1)]
            done.append(_head(variant, fitted, features, part(share, *reach)))
    return done


def members(experiment: Experiment, corpus: str) -> Iterator[Experiment]:
    """The single experiments that a sweep stands for on one corpus, shortest sequence first."""
    plan = experiment.sweep
    assert plan is not None
    for seed in plan.seeds:
        for length in plan.sequence_lengths:
            yield _member(experiment, corpus, seed, length, "lstm")
        for length in plan.mean_pool:
            yield _member(experiment, corpus, seed, length, "mean pool")
        for length in plan.shuffled:
            yield _member(experiment, corpus, seed, length, "shuffled")


def _member(experiment: Experiment, corpus: str, seed: int, length: int, kind: str) -> Experiment:
    plain = {"name": "resnext_mean", "pooling": "mean"} if kind == "mean pool" else {}
    model = experiment.model.model_copy(update={"sequence_length": length, **plain})
    order = "shuffled" if kind == "shuffled" else "natural"
    data = experiment.data.model_copy(update={"corpora": (corpus,), "frame_order": order})
    name = f"{corpus} {length} frames" + ("" if kind == "lstm" else f", {kind}")
    return experiment.model_copy(update={"name": name, "seed": seed, "data": data, "model": model, "sweep": None})


def _head(variant: Experiment, fitted: Backbone, features: Table, progress: Progress) -> str:
    return head(
        variant,
        fitted,
        features,
        parent=fitted.run_id,
        progress=lambda fraction, message: progress(fraction, f"{variant.name}: {message}"),
    )
