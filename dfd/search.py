"""Random search of hyperparameters, judged on validation clips alone; test figures are never looked at.

Each trial is an experiment of its own, trained, recorded and registered as `dfd train` would do it: the best one's file
and its trial are the same work and have the same run, and `tracking.promote` chooses on validation clips too. Trials
lie in a database (`dfd.study`) that any number of processes share; a search that was stopped goes on where it was. A
figure that was the best of many flatters: what is to be reported is the best trial's on test clips.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import yaml

from dfd import checkpoints, experiments, tracking
from dfd.config import Experiment
from dfd.data import Table
from dfd.errors import ExperimentError, StoreError
from dfd.loop import Diverged, Epoch
from dfd.manifest import Manifest
from dfd.paths import store_dir
from dfd.progress import Progress, part, silent
from dfd.space import Search, ends
from dfd.study import (
    Claim,
    Database,
    Direction,
    Done,
    Draws,
    Rules,
    Study,
    Tally,
    distribution,
    once,
    open_database,
    shown,
    size,
)
from dfd.work import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far."""

    trial: int  # its place in the draw, from 0
    value: float  # of the objective, on validation clips
    run_id: str
    experiment: Experiment


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has come to."""

    study: str
    objective: str
    run_id: str  # of the search; its trials' runs are children of it
    tally: Tally
    best: Best | None  # None while no trial is complete

    @property
    def summary(self) -> str:
        """What became of the trials, in a sentence."""
        ended = ", ".join(f"{count} {end}" for end, count in self.tally.counts.items())
        others = ", ".join(self.tally.processes)
        going_on = f"; still run by {others} (host, pid, start)" if others else ""
        return f"search {self.study}, run {self.run_id}: {ended}{going_on}"

    @property
    def text(self) -> str:
        """The best experiment as a file for `dfd train`, with what it came to above; empty while there is none."""
        if self.best is None:
            return ""
        came_to = (
            f"# Best of {self.summary}.\n# Validation {self.objective} {self.best.value:.4f}, run {self.best.run_id}."
        )
        settings = self.best.experiment.model_dump(mode="json", exclude_none=True)
        return f"{came_to}\n{yaml.safe_dump(settings, sort_keys=False)}"

    def to_json(self) -> dict[str, Any]:
        """What `dfd search --json` prints."""
        tally, best = self.tally, self.best
        facts = None if best is None else {"trial": best.trial, "value": best.value, "run_id": best.run_id}
        settings = None if best is None else best.experiment.model_dump(mode="json", exclude_none=True)
        found = {"study": self.study, "run_id": self.run_id, "objective": self.objective, "trials": tally.counts}
        return found | {"running": list(tally.processes), "best": facts, "experiment": settings}


@dataclass(frozen=True, slots=True)
class _Search:
    """A search that goes on in this process."""

    experiment: Experiment
    plan: Search
    database: Database
    study: Study
    run_id: str
    lost: Sequence[str]

    def found(self) -> Found:
        """What all its processes have come to."""
        tally = self.study.tally()
        return Found(self.study.name, self.plan.objective, self.run_id, tally, self._best(tally))

    def _best(self, tally: Tally) -> Best | None:
        """By the objective, then by the lower validation log loss: accuracies of few clips are often equal."""
        sign = 1 if _direction(self.plan) == "maximize" else -1

        def rank(done: Done) -> tuple[float, float, int]:
            return sign * done.value, -done.result["log_loss"], -done.result["place"]

        if not tally.complete:
            return None
        done = max(tally.complete, key=rank)
        place = done.result["place"]
        return Best(place, done.value, done.result["run_id"], _proposal(self.experiment, done.values, place))


def default_storage() -> str:
    """Where trials are kept if nothing is said: beside the local store of runs."""
    return f"sqlite:///{(store_dir() / 'optuna.db').as_posix()}"


def search(
    experiment: Experiment,
    *,
    trials: int | None = None,
    storage: str | None = None,
    lost: Sequence[str] = (),
    progress: Progress = silent,
) -> Found:
    """Run a search, or this process's part of one, until all of its trials are ended or run elsewhere.

    Args:
        trials: how many are brought to an end by all processes together, those of before included; no more than differ.
        storage: URL of the trials' database; else the one that the experiment names, else `default_storage()`.
        lost: hosts that will not come back: trials that they were running are run anew.

    Raises:
        ExperimentError: there is no `search` section, values that it draws do not go together, or all trials failed.
        ManifestError: a corpus is not there, or a split has not both classes.
        StoreError: the database cannot be opened, or its study was begun with another store of runs.
    """
    plan = experiment.search
    if plan is None:
        raise ExperimentError(f"experiment '{experiment.name}' has no 'search' section; use `dfd train` for one run")
    clips = experiments.chosen_clips(experiment.data, part(progress, 0, 0))
    rules = _rules(experiment, plan)
    budget = int(min(trials or plan.trials, size(rules.space)))
    _check_draws(experiment, rules, budget)
    url, name = storage or plan.storage or default_storage(), f"{experiment.name} {_key(experiment, clips)}"
    with open_database(url) as database:
        run_id = once(database, f"{name}, its run", lambda: _parent_run(experiment, plan, name, clips), lost=lost)
        try:
            tracking.tags(run_id)
        except StoreError:
            raise StoreError(
                f"the search '{name}' in {shown(url)} was begun with another store of runs than "
                f"{tracking.store_name()}, which has not its run; set MLFLOW_TRACKING_URI as it was then, or name "
                "another --storage"
            ) from None
        study = Study(database, name, rules, budget, lost=lost)
        return _work(_Search(experiment, plan, database, study, run_id, lost), progress)


def _work(own: _Search, progress: Progress) -> Found:
    study = own.study
    try:
        with tracking.share_run(own.run_id) as run:
            while (claim := study.claim()) is not None:
                ended = min(sum(study.tally().counts.values()), study.budget - 1)
                _attempt(own, run, claim, part(progress, ended / study.budget, (ended + 1) / study.budget))
                _tell(run, own.found())
            found = own.found()
            _tell(run, found)
            run.text(found.text, "best.yaml")
    finally:
        _leave(own)
    if found.best is None and not found.tally.processes:
        reasons = found.tally.reasons or ("all were pruned",)
        raise ExperimentError(f"no trial of the search '{study.name}' came to a figure: {reasons[0]}")
    return found


def _leave(own: _Search) -> None:
    """Leave the search's run to the processes that still run trials, the last of which ends it."""
    others = [process for process in own.study.tally().processes if process]
    if others:
        tracking.hand_over(own.run_id, others[0])
        if not own.study.tally().processes:  # they ended it a moment before
            with tracking.share_run(own.run_id):
                pass


def _attempt(own: _Search, whole: tracking.Run, claim: Claim, progress: Progress) -> None:
    """Run a trial to its end, whatever that is. If something breaks that is not the trial's fault, it is run again."""
    proposal = _proposal(own.experiment, claim.values, claim.place)
    with own.study.held(claim):
        try:
            run_id = _train(own, claim, proposal, progress)
        except tracking.Ended:
            own.study.prune(claim)
        except (Diverged, torch.OutOfMemoryError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            log.warning("%s failed: %s", proposal.name, reason)
            own.study.fail(claim, reason)
        else:
            figures, objective = tracking.metrics(run_id), own.plan.objective
            result = {"run_id": run_id, "place": claim.place, "log_loss": figures["val/log_loss"]}
            own.study.complete(claim, figures[f"val/{objective}"], result)
            whole.metrics({f"search/{objective}": figures[f"val/{objective}"]}, step=claim.place + 1)


def _train(own: _Search, claim: Claim, proposal: Experiment, progress: Progress) -> str:
    """Train a trial; returns its run id."""
    watch = _watch(own, claim, proposal)
    crops = experiments.read_crops(proposal, proposal.model.sequence_length, part(progress, 0, 0.1))
    if proposal.train.mode == "end_to_end":
        return experiments.end_to_end(proposal, crops, part(progress, 0.1, 1), parent=own.run_id, watch=watch)
    fitted = _backbone(own, claim, crops, part(progress, 0.1, 0.6))
    features = experiments.features_of(crops, fitted, part(progress, 0.6, 0.7))
    return experiments.head(proposal, fitted, features, parent=own.run_id, progress=part(progress, 0.7, 1), watch=watch)


def _backbone(own: _Search, claim: Claim, crops: Table, progress: Progress) -> experiments.Backbone:
    """The backbone of a trial: all that agree in its settings share one, which one of their processes fits.

    Its run says nothing of their heads, so that whichever trial's process goes on with it tells the same of it.
    """
    usual = experiments.backbone_settings(own.experiment)
    touching = {
        key: value
        for key, value in claim.values.items()
        if experiments.backbone_settings(own.experiment.proposed({key: value})) != usual
    }
    shared = own.experiment.proposed(touching)

    def fit() -> str:
        fitted = experiments.backbone(shared, crops, progress)
        experiments.features_of(crops, fitted)  # kept, as the backbone is, for those that wait
        return fitted.run_id

    def waiting(process: str) -> None:
        progress(0, f"waiting for the backbone, which another process fits ({process})")

    name = f"{own.study.name}, backbone {_digest(experiments.backbone_settings(shared))}"
    run_id = once(own.database, name, fit, lost=own.lost, waiting=waiting)
    return experiments.Backbone(run_id, checkpoints.load(run_id).model, shared.data.recorded_as)


def _watch(own: _Search, claim: Claim, proposal: Experiment) -> Watch:
    """Tells the pruner of a trial's epochs."""

    def watch(run: tracking.Run, epoch: Epoch) -> None:
        run.tags({"dfd.search": own.study.name, "dfd.trial": claim.place})
        figures = {"accuracy": epoch.val_accuracy, "auc": epoch.val_auc, "log_loss": epoch.val_loss}
        hopeless = own.study.is_hopeless(claim, figures[own.plan.objective], epoch.number)
        if hopeless and epoch.number < proposal.train.head.epochs:  # after the last, nothing is saved
            run.tags({"dfd.pruned": epoch.number})
            raise tracking.Ended(f"{proposal.name} is pruned after epoch {epoch.number}")

    return watch


def _tell(run: tracking.Run, found: Found) -> None:
    """Write into a search's run what it has come to."""
    run.metrics({f"search/{end}": count for end, count in found.tally.counts.items()})
    if found.best is not None:
        run.metrics({"search/best": found.best.value})
        run.tags({"dfd.search.best_run": found.best.run_id, "dfd.search.best_trial": found.best.trial})


def _parent_run(experiment: Experiment, plan: Search, name: str, clips: Manifest) -> str:
    key = _digest({"search": name})
    known = tracking.finished(key) or tracking.interrupted(key)  # made by a process that was killed at once
    if known is not None:
        return known
    tags = {"dfd.kind": "search", "dfd.key": key, "dfd.corpus": clips.name, "dfd.search": name}
    with tracking.start_run(experiment.name, tags=tags) as run:
        run.params({**experiment.flat(), "search.sampler": f"RandomSampler({plan.seed})"})
        run.text(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False), "experiment.yaml")
        run.input(clips.split("val"), "val")
    return run.run_id


def _proposal(experiment: Experiment, values: Any, place: int) -> Experiment:
    """The experiment of a trial."""
    proposed = experiment.proposed(values)
    return proposed.model_copy(update={"name": f"{experiment.name} trial {place}", "published": None})


def _rules(experiment: Experiment, plan: Search) -> Rules:
    space = {}
    for key, options in plan.space.items():
        read = experiment.proposed({key: ends(options)[0]}).setting(key)
        space[key] = distribution(options, whole=isinstance(read, int))
    startup = None if plan.pruner == "none" else plan.startup
    return Rules(space, plan.seed, _direction(plan), startup, plan.warm_up)


def _direction(plan: Search) -> Direction:
    return "minimize" if plan.objective == "log_loss" else "maximize"


def _check_draws(experiment: Experiment, rules: Rules, budget: int) -> None:
    """Refuse, before anything is trained, values that are possible alone and not together."""
    draws = Draws(rules.space, rules.seed)
    for place in range(budget):
        try:
            experiment.proposed(draws.at(place))
        except ExperimentError as error:
            said = ", ".join(f"{key} = {value}" for key, value in draws.at(place).items())
            raise ExperimentError(f"search.space draws what does not go together ({said}): {error}") from None


def _key(experiment: Experiment, clips: Manifest) -> str:
    """Digest of all that makes figures comparable: a search of other settings or clips is another one."""
    asked = experiment.model_dump(mode="json", exclude={"name": True, "published": True, "search": {"trials"}})
    return _digest({"protocol": experiments.PROTOCOL, "asked": asked, "data": clips.content()})


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
