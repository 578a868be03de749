"""Trials and the processes that run them.

A trial carries the process that runs it; if that is gone, the trial is failed and its place is given out again.
(Optuna's heartbeat is experimental, and works in `Study.optimize` alone.) The budget is kept by the trials' numbers,
which the database gives: of those that were taken at the same moment, the last ones are withdrawn.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from dfd import provenance
from dfd.space import Scalar
from dfd.study.database import Database
from dfd.study.draws import PLACE, SURPLUS, Draws, place_of

Direction = Literal["maximize", "minimize"]
PROCESS, REASON, RESULT = "dfd.process", "dfd.reason", "dfd.result"  # attributes of trials
SIGNED_WITHIN = 20.0  # seconds in which a process that takes a trial writes its name on it
POLL = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Rules:
    """What all processes of a study agree on."""

    space: Mapping[str, BaseDistribution] = field(default_factory=dict)
    seed: int = 0
    direction: Direction = "maximize"
    startup: int | None = None  # complete trials before one is pruned; None prunes none
    warm_up: int = 0  # first epochs in which a trial is not pruned

    def pruner(self) -> optuna.pruners.BasePruner:
        """Ends a trial whose best epoch so far is worse than the median of the complete ones' values at this epoch."""
        if self.startup is None:
            return optuna.pruners.NopPruner()
        return optuna.pruners.MedianPruner(n_startup_trials=self.startup, n_warmup_steps=self.warm_up + 1)


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process runs."""

    number: int
    place: int  # in the draw, from 0; that of the trial it repeats, if it does
    values: Mapping[str, Scalar]
    trial: Trial = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """A trial that came to a value."""

    number: int
    value: float
    values: Mapping[str, Scalar]
    result: Any  # what was told with it


@dataclass(frozen=True, slots=True)
class Tally:
    """The trials of a study by what became of them."""

    complete: tuple[Done, ...]
    pruned: int
    reasons: tuple[str, ...]  # why trials failed
    processes: tuple[str, ...]  # that run one

    @property
    def counts(self) -> dict[str, int]:
        """How many came to an end of their own, and to which."""
        return {"complete": len(self.complete), "pruned": self.pruned, "failed": len(self.reasons)}


class Study:
    """A study of `budget` trials; made where there is none of its name.

    Args:
        lost: hosts that will not come back: their trials are given out again.
        signed_within: seconds after which a trial without a name on it is given out again.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        rules: Rules,
        budget: int,
        *,
        lost: Sequence[str] = (),
        signed_within: float = SIGNED_WITHIN,
    ) -> None:
        self.name, self.budget = name, budget
        self._lost, self._signed_within = lost, signed_within
        self._space = dict(rules.space)
        self._unsigned: dict[int, float] = {}  # when each was first seen
        self._study = optuna.create_study(
            storage=database,
            study_name=name,
            load_if_exists=True,
            direction=rules.direction,
            sampler=Draws(rules.space, rules.seed),
            pruner=rules.pruner(),
        )

    def claim(self) -> Claim | None:
        """A trial to run, or None where all of the budget are ended or run by somebody."""
        while True:
            trials = self._trials()
            lost = [trial for trial in trials if self._is_lost(trial)]
            for trial in lost:
                self._give_out_again(trial)
            if lost:
                continue
            if sum(map(_holds, trials)) < self.budget:
                claim = self._ask()
                if claim is not None:
                    return claim
            elif any(map(_is_unsigned, trials)):
                time.sleep(POLL)  # it will be signed, or is lost
            else:
                return None

    @contextmanager
    def held(self, claim: Claim) -> Iterator[None]:
        """If the block breaks, the trial is given out again."""
        try:
            yield
        except BaseException:
            self._give_out_again(self._trials()[claim.number])
            raise

    def is_hopeless(self, claim: Claim, value: float, epoch: int) -> bool:
        """Report a trial's value at an epoch, counted from 1; whether it should be pruned there."""
        claim.trial.report(value, epoch)
        return bool(claim.trial.should_prune())

    def complete(self, claim: Claim, value: float, result: Any) -> None:
        """A trial came to a value, and to a result (JSON) that is kept with it."""
        claim.trial.set_user_attr(RESULT, result)
        self._study.tell(claim.trial, value)

    def prune(self, claim: Claim) -> None:
        """A trial was ended early."""
        self._study.tell(claim.trial, state=TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str) -> None:
        """A trial came to nothing, and would again: it counts, and is not repeated."""
        claim.trial.set_user_attr(REASON, reason)
        self._study.tell(claim.trial, state=TrialState.FAIL)

    def tally(self) -> Tally:
        """What became of the trials."""
        trials = self._trials()
        return Tally(
            complete=tuple(_done(trial) for trial in trials if trial.state == TrialState.COMPLETE),
            pruned=sum(trial.state == TrialState.PRUNED for trial in trials),
            reasons=tuple(trial.user_attrs[REASON] for trial in trials if REASON in trial.user_attrs),
            processes=tuple(trial.user_attrs.get(PROCESS, "") for trial in trials if trial.state == TrialState.RUNNING),
        )

    def _ask(self) -> Claim | None:
        """A trial, unless others took what was left at the same moment."""
        trial = self._study.ask(self._space)
        trial.set_user_attr(PROCESS, provenance.this_process())
        trials = self._trials()
        if sum(map(_holds, trials[: trial.number])) < self.budget:
            return Claim(trial.number, place_of(trials[trial.number], trials), trial.params, trial)
        trial.set_user_attr(SURPLUS, True)
        self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _is_lost(self, trial: FrozenTrial) -> bool:
        if trial.state != TrialState.RUNNING:
            return False
        if _is_unsigned(trial):  # by this process's own clock: those of machines differ
            first = self._unsigned.setdefault(trial.number, time.monotonic())
            return time.monotonic() - first > self._signed_within
        process = trial.user_attrs[PROCESS]
        return provenance.is_gone(process) or process.rsplit(" ", 2)[0] in self._lost

    def _give_out_again(self, trial: FrozenTrial) -> None:
        try:
            self._study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return  # another process was faster
        self._study.enqueue_trial(trial.params, user_attrs={PLACE: place_of(trial, self._trials())})


def once(
    database: Database,
    name: str,
    make: Callable[[], str],
    *,
    lost: Sequence[str] = (),
    waiting: Callable[[str], None] = lambda process: None,
) -> str:
    """What `make` returns, made by one process of all that share a database; the others wait and are given it.

    Args:
        name: of what is made.
        waiting: told now and then for which process (host, pid, start) this one waits.
    """
    study = Study(database, name, Rules(), budget=1, lost=lost)
    while True:
        claim = study.claim()
        if claim is not None:
            with study.held(claim):
                made = make()
                study.complete(claim, 0.0, made)
            return made
        tally = study.tally()
        if tally.complete:
            return str(tally.complete[0].result)
        waiting(next(iter(tally.processes), ""))
        time.sleep(POLL)


def _done(trial: FrozenTrial) -> Done:
    assert trial.value is not None  # a complete one has
    return Done(trial.number, trial.value, trial.params, trial.user_attrs[RESULT])


def _holds(trial: FrozenTrial) -> bool:
    """Whether a trial is part of the budget: it runs, or came to an end of its own."""
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED) or REASON in trial.user_attrs


def _is_unsigned(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and PROCESS not in trial.user_attrs
