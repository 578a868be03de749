"""A piece of training as a run of the store: done once, gone on with after an interruption, recorded whole.

A process may be killed at any moment. What was asked is known by its key; the same key means the same work. Work that
is finished is found by it; work that was interrupted goes on, in the same run, after the last epoch that was kept.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from torch import nn

from dfd import checkpoints, distributed, metrics, model_card, provenance, tracking
from dfd.checkpoints import CheckpointMeta
from dfd.config import Experiment, Stage
from dfd.data import Table
from dfd.device import best_device
from dfd.errors import ManifestError
from dfd.evaluation import Evaluation, Scores, check_people, record, score_clips, summarise
from dfd.loop import Diverged, Epoch, OnEpoch, unheard
from dfd.manifest import SPLITS, Split
from dfd.models.contract import ClipModel
from dfd.progress import Progress, silent
from dfd.resume import Keeper, claimed, keeper_of
from dfd.training import fit_backbone, fit_clips, score_table

log = logging.getLogger(__name__)

LOSS_AT_START = "val/loss_start"

Watch = Callable[[tracking.Run, Epoch], None]
"""Told of every epoch of a detector's run, once it is recorded; raising `tracking.Ended` ends the run."""


def unwatched(run: tracking.Run, epoch: Epoch) -> None:
    """Let every run go on to its end."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained (`part`, which reads `table`), what is stored (`model`), and what its record says."""

    name: str  # of the run
    experiment: Experiment
    kind: Literal["detector", "backbone"]  # a backbone is not tested or registered
    key: str
    table: Table
    model: ClipModel
    part: nn.Module
    described: dict[str, Any]  # the stored model: name and hyperparameters
    length: int
    backbone_corpora: tuple[str, ...]
    tags: Mapping[str, object]

    @property
    def stage(self) -> Stage:
        """How it is trained."""
        return self.experiment.train.backbone if self.kind == "backbone" else self.experiment.train.head

    def split(self, split: Split) -> Table:
        """The clips of a split that are long enough.

        Raises:
            ManifestError: they are not of both classes.
        """
        chosen = self.table.where(split, at_least=self.length)
        if set(chosen.labels.tolist()) != {0, 1}:
            raise ManifestError(
                f"corpus '{self.table.manifest.name}' has no {split} clips of both classes with at least "
                f"{self.length} frames; shorten model.sequence_length or add clips"
            )
        return chosen

    @property
    def tables(self) -> tuple[Table, Table]:
        """The clips that it is trained on, and those that it is validated on; raises as `split`."""
        return self.split("train"), self.split("val")

    @property
    def measured_on(self) -> tuple[Split, ...]:
        """The splits whose clips it is measured on once it is trained."""
        return ("val", "test") if self.kind == "detector" else ("val",)

    def check(self) -> None:
        """Whether all that comes after its training can be done.

        Raises:
            ManifestError: a split has not both classes, or too few people for intervals.
        """
        for split in ("train", *self.measured_on):
            table = self.split(split)
            if split != "train":
                check_people(table.manifest.name, table.manifest)

    def fit(self, keeper: Keeper, on_epoch: OnEpoch, progress: Progress) -> None:
        """Train, and give the weights the values that are stored."""
        settings, tables = self.experiment, self.tables
        how: dict[str, Any] = {"seed": settings.seed, "augmented": settings.train.augment}
        how |= {"balance": settings.data.balance, "keeper": keeper, "on_epoch": on_epoch, "progress": progress}
        if self.kind == "backbone":
            fit_backbone(self.part, *tables, self.stage, best_device(), **how)
        else:
            how |= {"length": self.length, "order": settings.data.frame_order}
            fit_clips(self.part, *tables, self.stage, best_device(), **how)
        checkpoints.round_weights(self.part, settings.train.store_as)


def once(
    name: str,
    key: str,
    make: Callable[[], Work],
    *,
    parent: str | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
) -> tuple[str, Work | None]:
    """The run of some work: the one that is finished, the one that was interrupted and is gone on with, or a new one.

    What is finished is nobody's to claim: any number of processes may ask for it at once. Only what has to be made is
    claimed, and then it is asked again, since another process may just have made it.

    Returns:
        Its id, and the work, trained, if it had to be done.

    Raises:
        ExperimentError: another process is at it.
    """
    done = distributed.by_first(lambda: _whole(key))
    if done is None:
        with claimed(key) as keeper:
            done = distributed.by_first(lambda: _done(key))
            if done is None:
                work = distributed.in_turn(make)  # weights that are downloaded are there for the others
                work.check()
                if distributed.is_first():
                    run_id = _record(work, keeper, parent, progress, watch)
                    return distributed.by_first(lambda: run_id), work
                work.fit(keeper, unheard, silent)
                return distributed.by_first(str), work  # the first one's run
    if distributed.is_first():
        keeper_of(key).remove()  # a process that was killed at its very end may have left it
    progress(1, f"{name} is there already")
    return done, None


def _whole(key: str) -> str | None:
    """A finished run of which nothing is left to do."""
    run_id = tracking.finished(key)
    return run_id if run_id is not None and _is_registered(run_id) else None


def _done(key: str) -> str | None:
    """A finished run, which is registered now if it was not: its process was killed in between."""
    run_id = tracking.finished(key)
    if run_id is not None:
        _register(run_id)
    return run_id


def _is_registered(run_id: str) -> bool:
    """Whether a finished detector is; a backbone never need be."""
    tags = tracking.tags(run_id)
    return tags["dfd.kind"] != "detector" or "dfd.registered" in tags


def _register(run_id: str) -> None:
    """Register a finished detector, and promote it if it is the best, unless that is done."""
    if not _is_registered(run_id):
        tracking.promote(run_id, tracking.Run(run_id).register(), tracking.tags(run_id)["dfd.corpus"])


def _record(work: Work, keeper: Keeper, parent: str | None, progress: Progress, watch: Watch) -> str:
    """Train within a run; then threshold, evaluation, checkpoint and, for a detector, registration."""
    epochs = _kept_epochs(keeper)
    if epochs:
        log.warning("%s goes on after epoch %d of %d", work.name, len(epochs), work.stage.epochs)
    with _run(work, parent) as run:

        def on_epoch(epoch: Epoch) -> None:
            _tell(run, epoch)
            watch(run, epoch)

        if work.kind == "detector" and not epochs:
            run.metrics({LOSS_AT_START: _loss_at_start(work)})
        try:
            for epoch in epochs:
                on_epoch(epoch)
            work.fit(keeper, on_epoch, progress)
        except (Diverged, tracking.Ended):  # nobody will go on with it
            keeper.remove()
            raise
        _finish(run, work)
    _register(run.run_id)
    keeper.remove()
    return run.run_id


def _loss_at_start(work: Work) -> float:
    """The validation loss before the first step: what a training must get below to have learnt anything.

    It costs one validation pass and draws no random number. Of a head on features it is that of a new head on a fitted
    backbone.
    """
    device, (_, table) = best_device(), work.tables
    how: dict[str, Any] = {"length": work.length, "order": work.experiment.data.frame_order}
    scores = score_table(work.part.to(device).eval(), table, device, seed=work.experiment.seed, **how)
    return metrics.clip_metrics(table.labels.numpy(), scores, threshold=0.5)["log_loss"]


def _kept_epochs(keeper: Keeper) -> list[Epoch]:
    kept = keeper.load()
    return [] if kept is None else [Epoch(**facts) for facts in kept.facts["epochs"]]


@contextmanager
def _run(work: Work, parent: str | None) -> Iterator[tracking.Run]:
    """The run that work is written to: the one that was interrupted, if there is one, or a new one."""
    facts: dict[str, object] = {
        "dfd.kind": work.kind,
        "dfd.key": work.key,
        "dfd.corpus": work.table.manifest.name,
        "dfd.backbone_corpora": "+".join(work.backbone_corpora),
        "dfd.weights": work.model.weights,
        "dfd.device": str(best_device()),
        **work.tags,
    }
    before = tracking.interrupted(work.key)
    started = tracking.resume_run(before) if before else tracking.start_run(work.name, parent=parent, tags=facts)
    with started as run:
        # What the key does not hold, such as a name, may differ in the run that is gone on with: it keeps its own.
        known = tracking.params(run.run_id) if before else {}
        run.params({name: value for name, value in work.experiment.flat().items() if name not in known})
        run.text(yaml.safe_dump(work.experiment.model_dump(mode="json"), sort_keys=False), "experiment.yaml")
        for split in SPLITS:
            run.input(work.table.manifest.split(split), split)
        yield run


def _tell(run: tracking.Run, epoch: Epoch) -> None:
    """Log an epoch, unless the run has it from before it was resumed: only how long it takes is then another number."""
    figures = epoch.metrics()
    told = {name: run.told.get((name, epoch.number)) for name in figures}
    if any(told[name] != value for name, value in figures.items() if name != "train/seconds"):
        run.metrics(figures, epoch.number)


def _finish(run: tracking.Run, work: Work) -> None:
    """Choose threshold and temperature on validation, evaluate, and store predictions, curves and checkpoint."""
    settings = work.experiment
    device = best_device()
    order = settings.data.frame_order if work.kind == "detector" else "natural"
    tables = {split: work.split(split) for split in work.measured_on}
    scores: dict[Split, Scores] = {
        split: score_clips(work.model, table, device, length=work.length, order=order, seed=settings.seed)
        for split, table in tables.items()
    }
    threshold, fpr = metrics.choose_threshold(tables["val"].labels.numpy(), scores["val"].clips)
    temperature = metrics.fit_temperature(tables["val"].labels.numpy(), scores["val"].clips)
    found = _evaluations(work, tables, scores, threshold, temperature)
    figures = record(run, found)
    run.metrics({"val/threshold_fpr": fpr, "val/temperature": temperature})
    code = provenance.commit()
    meta = CheckpointMeta(
        name=settings.name,
        model=work.described,
        recipe=settings.crop,
        sequence_length=work.length,
        frame_order=order,
        seed=settings.seed,
        threshold=threshold,
        threshold_fpr=fpr,
        temperature=temperature,
        store_as=settings.train.store_as,
        weights=work.model.weights,
        corpus=work.table.manifest.name,
        backbone_corpora=work.backbone_corpora,
        data_digest=work.table.manifest.digest(),
        experiment=settings.model_dump(mode="json"),
        git_commit=code.hash,
        dirty=code.dirty,
        run_id=run.run_id,
        metrics=figures,
    )
    checkpoints.keep(run, work.model, meta)
    run.text(model_card.card(run.run_id), model_card.NAME)
    run.tags({"dfd.threshold": threshold})  # last: it marks a run whose checkpoint is whole


def _evaluations(
    work: Work, tables: Mapping[Split, Table], scores: Mapping[Split, Scores], threshold: float, temperature: float
) -> dict[Split, Evaluation]:
    return {
        split: summarise(
            work.table.manifest.split(split),
            table.manifest,
            scores[split].clips,
            threshold,
            frames=scores[split].frames,
            temperature=temperature,
        )
        for split, table in tables.items()
    }
