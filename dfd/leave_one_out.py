"""Leave one method out: a detector for each fake method of an experiment, trained without it and tested on it.

Does a detector know fakes, or the traces of the methods it was trained on? Each is trained, and its threshold and
temperature chosen, on clips without the method. It is tested on the other methods' fakes (in distribution) and on the
method that was left out, against the same real test clips; the two are two runs and are never averaged.

A corpus whose only method is the one left out is left out of training as a whole, since real clips without fakes would
teach that whatever looks like that corpus is real. The method's fakes are then of a corpus that was not met either.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from dfd import checkpoints, distributed, experiments, tracking
from dfd.config import Data, Experiment
from dfd.errors import ExperimentError
from dfd.evaluation import evaluate_and_record
from dfd.labels import Label
from dfd.loop import Epoch
from dfd.manifest import Manifest
from dfd.progress import Progress, part, silent
from dfd.work import Watch

KIND = "held-out method"  # of the run that tests on the method that was left out


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A detector that has not met one method, and its test figures by name (auc, auc_low, ...)."""

    method: str
    methods: tuple[str, ...]  # it was trained on
    corpora_left_out: tuple[str, ...]  # that have no other method
    run_id: str  # of the detector
    held_out_run: str  # of its test on the method
    in_distribution: Mapping[str, float]  # on the other methods
    held_out: Mapping[str, float]  # on the method, against the same real clips


@dataclass(frozen=True, slots=True)
class _Fold:
    """One detector to be trained."""

    method: str
    methods: tuple[str, ...]
    corpora_left_out: tuple[str, ...]
    experiment: Experiment
    clips: Manifest  # to test on: real clips of the fold's test split, and the method's fakes


def leave_one_out(experiment: Experiment, progress: Progress = silent) -> list[LeftOut]:
    """Train and test a detector for each method; what is finished is not done again.

    Processes that train together all come to the same; the first one alone tests and records.

    Raises:
        ExperimentError: the experiment's clips are of one method, or a method has no test clips.
        ManifestError: a corpus is not there, or a split is left without clips of both classes.
    """
    folds = distributed.in_turn(lambda: _folds(experiment))
    done = []
    for place, fold in enumerate(folds):
        share = part(progress, place / len(folds), (place + 1) / len(folds))
        run_id = experiments.train(fold.experiment, part(share, 0, 0.9), watch=_tagged(fold.method))
        tested = partial(_tested, run_id, fold, experiment.name, part(share, 0.9, 1))
        done.append(distributed.by_first(tested))
    return done


def table(done: list[LeftOut]) -> str:
    """The figures for a terminal; in distribution and held out stand apart."""
    width = max(len("left out"), *(len(each.method) for each in done)) + 2
    columns = f"{'test AUC (95 %)':<24}{'fakes found':<13}{'real ok':<9}"
    lines = [
        f"{'':<{width}}{'in distribution: the other methods':<{len(columns)}}held out: the method itself",
        f"{'left out':<{width}}{2 * columns}".rstrip(),
    ]
    lines += [
        (f"{each.method:<{width}}" + "".join(_written(side) for side in (each.in_distribution, each.held_out))).rstrip()
        for each in done
    ]
    lines += [f"{each.method}: detector {each.run_id}, on the method {each.held_out_run}" for each in done]
    lines += [
        f"{each.method} is all that {' and '.join(each.corpora_left_out)} has: held out is the corpus, too"
        for each in done
        if each.corpora_left_out
    ]
    return "\n".join(lines)


def _tagged(method: str) -> Watch:
    """Say from the first epoch on what is held out: such a detector is never promoted to be the best one."""

    def watch(run: tracking.Run, epoch: Epoch) -> None:
        if epoch.number == 1:
            run.tags({tracking.HELD_OUT: method})

    return watch


def _written(figures: Mapping[str, float]) -> str:
    auc = f"{figures['auc']:.3f} ({figures['auc_low']:.3f}-{figures['auc_high']:.3f})"
    return f"{auc:<24}{figures['acc_fake']:<13.1%}{figures['acc_real']:<9.1%}"


def _folds(experiment: Experiment) -> list[_Fold]:
    everything = experiments.chosen_clips(experiment.data.model_copy(update={"videos": None, "shares": None}))
    fakes = [clip for clip in everything if clip.label is Label.FAKE]
    methods = sorted({clip.method for clip in fakes})
    if len(methods) < 2:
        there = " and ".join(methods) or "no method"
        raise ExperimentError(
            f"the corpora of experiment '{experiment.name}' have fakes of {there} alone, and to leave one method out "
            "takes two; add a corpus or a method"
        )
    untested = sorted(set(methods) - {clip.method for clip in fakes if clip.split == "test"})
    if untested:
        raise ExperimentError(
            f"the method '{untested[0]}' has no test clips to be left out for; set data.methods to those that have"
        )
    return [_fold(experiment, everything, methods, method) for method in methods]


def _fold(experiment: Experiment, everything: Manifest, methods: list[str], method: str) -> _Fold:
    others = tuple(name for name in methods if name != method)
    lonely = tuple(
        corpus
        for corpus in experiment.data.corpora
        if {clip.method for clip in everything if clip.corpus == corpus and clip.label is Label.FAKE} == {method}
    )
    data = _without(experiment.data, others, lonely)
    real = tuple(clip for clip in experiments.chosen_clips(data).split("test") if clip.label is Label.REAL)
    fakes = tuple(clip for clip in everything.split("test") if clip.method == method and clip.label is Label.FAKE)
    asked = experiment.model_copy(
        update={"name": f"{experiment.name} without {method}", "data": data, "sweep": None, "published": None}
    )
    clips = Manifest(f"{'+'.join(data.corpora)} with {method}", (*real, *fakes))
    return _Fold(method, others, lonely, asked, clips)


def _without(data: Data, methods: tuple[str, ...], corpora: tuple[str, ...]) -> Data:
    """The data of the other methods; the shares of the corpora that stay keep their ratio."""
    kept = tuple(name for name in data.corpora if name not in corpora)
    shares = data.shares
    if shares is not None:
        total = sum(shares[name] for name in kept)
        shares = {name: shares[name] / total for name in kept}
    changes: dict[str, object] = {"corpora": kept, "methods": methods, "shares": shares}
    if data.pseudo_fakes is not None:  # its own methods are those of the fakes
        changes |= {"methods": None, "pseudo_fakes": {**data.pseudo_fakes.model_dump(), "methods": methods}}
    return Data.model_validate({**data.model_dump(), **changes})


def _tested(run_id: str, fold: _Fold, name: str, progress: Progress) -> LeftOut:
    """A fold whose detector is trained: what is held out is said of its run, and it is tested on that."""
    tracking.Run(run_id).tags({tracking.HELD_OUT: fold.method, "dfd.leave_one_out": name})
    held_out_run = _test(run_id, fold, name, progress)
    figures = [_test_figures(each) for each in (run_id, held_out_run)]
    return LeftOut(fold.method, fold.methods, fold.corpora_left_out, run_id, held_out_run, *figures)


def _test(run_id: str, fold: _Fold, name: str, progress: Progress) -> str:
    """The run of a detector's test on the method it has not met; one that is finished is not made again."""
    key = hashlib.sha256(f"{KIND}\x1f{run_id}\x1f{fold.clips.content()}".encode()).hexdigest()[:20]
    there = tracking.finished(key)
    if there is not None:
        return there
    tags = {"dfd.kind": KIND, "dfd.key": key, tracking.HELD_OUT: fold.method, "dfd.leave_one_out": name}
    made, _ = evaluate_and_record(checkpoints.load(run_id), fold.clips, "test", progress, tags=tags)
    return made


def _test_figures(run_id: str) -> dict[str, float]:
    figures = tracking.metrics(run_id)
    return {name.removeprefix("test/"): value for name, value in figures.items() if name.startswith("test/")}
