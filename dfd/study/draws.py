"""What trials try: distributions, and values drawn at random by a trial's place."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from dfd.space import Options, Range, Scalar

PLACE, SURPLUS = "dfd.place", "dfd.surplus"  # attributes of trials: of one that repeats another; of one too many


def distribution(options: Options, *, whole: bool) -> BaseDistribution:
    """A range or list as Optuna says it; `whole` numbers are drawn for settings that take no others."""
    if not isinstance(options, Range):
        return CategoricalDistribution(options)
    if whole:
        return IntDistribution(int(options.low), int(options.high), log=options.log, step=int(options.step or 1))
    return FloatDistribution(options.low, options.high, log=options.log, step=options.step)


def size(space: Mapping[str, BaseDistribution]) -> float:
    """How many trials differ; infinite where a number is drawn from an interval."""
    return math.prod(map(_size, space.values()))


def _size(values: BaseDistribution) -> float:
    if isinstance(values, CategoricalDistribution):
        return len(set(map(repr, values.choices)))
    if isinstance(values, IntDistribution | FloatDistribution) and values.step is not None:
        return round((values.high - values.low) / values.step) + 1
    return math.inf


class Draws(optuna.samplers.BaseSampler):
    """What `RandomSampler(seed)` draws one trial after another in a single process, by a trial's place among them.

    What was drawn before is left out until there is nothing else.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], seed: int) -> None:
        self._space = dict(sorted(space.items()))  # the order of a file's lines changes nothing
        self._alone = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        self._size = size(space)
        self._drawn: dict[str, Mapping[str, Scalar]] = {}

    def at(self, place: int) -> Mapping[str, Scalar]:
        """The values of the trial at a place, counted from 0."""
        while len(self._drawn) <= min(place, self._size - 1):
            values = self._alone.ask(self._space).params
            self._drawn.setdefault(repr(values), values)
        return list(self._drawn.values())[place % len(self._drawn)]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is drawn jointly."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is drawn jointly."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One value of a trial."""
        return self.at(place_of(trial, study.get_trials(deepcopy=False)))[param_name]


def place_of(trial: FrozenTrial, trials: list[FrozenTrial]) -> int:
    """A trial's place in the draw: that of the one it repeats, or after those before it that repeat none."""
    if PLACE in trial.user_attrs:
        return int(trial.user_attrs[PLACE])
    before = (other.user_attrs for other in trials if other.number < trial.number)
    return sum(PLACE not in attributes and SURPLUS not in attributes for attributes in before)
