"""The bootstrap over identities: people were sampled, not clips, so people are drawn, and their clips come along.

A fake has two people, its target and its source. Where fakes join people into many small groups (the pairs of
FaceForensics++) the groups are drawn. Where nearly everybody hangs together (in Celeb-DF everyone is swapped with
everyone) people are drawn, and a fake comes as often as the product of its two people's draws: the pigeonhole bootstrap
(Owen 2007), for arrays whose rows and columns are one population (Davezies et al. 2021). To draw targets alone would be
too sure: in simulation such 95 % intervals of AUC held the truth in 86 to 90 % of the cases with 12 to 30 people who
differ, these in 94 %. Where people are joined in one long chain, these are too wide.

Thousands of resamples cost little since none is made: a resample is a column of clip weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dfd.metrics.arrays import Floats, Ints

LARGEST_GROUP = 0.1  # share of the clips; beyond it groups are too few and too unequal to be drawn
ELEMENTS = 100_000  # of a block of weights: 0.8 MB, which stays in the cache; ten times as many take far longer
PATIENCE = 20  # draws for each resample that is kept

Unit = Literal["groups", "people"]


@dataclass(frozen=True, slots=True)
class People:
    """Whom N clips belong to, as the bootstrap draws them."""

    unit: Unit
    drawn: int  # units there are, and units in every resample
    first: Ints  # (N,) unit of each clip
    second: Ints  # (N,) the other one of a fake, where people are drawn; -1 where there is none

    @classmethod
    def of(cls, targets: Sequence[str], sources: Sequence[str] | None = None) -> Self:
        """From identities: (N,) targets, and (N,) sources, "" where there is none."""
        first, second, people = _numbered(targets, sources)
        joined = second >= 0
        edges = coo_array((np.ones(joined.sum()), (first[joined], second[joined])), shape=(people, people))
        groups, group = connected_components(edges, directed=False)
        clips = np.bincount(group[first])
        if clips.max() <= LARGEST_GROUP * len(first):
            return cls("groups", int(groups), group[first].astype(np.int64), np.full(len(first), -1))
        return cls("people", people, first, second)

    def repeat(self, times: int) -> Self:
        """The same for items that are `times` to a clip, a clip's together: its frames."""
        return type(self)(self.unit, self.drawn, self.first.repeat(times), self.second.repeat(times))


def draws(people: People, labels: Ints, count: int, seed: int) -> Iterator[Floats]:
    """Blocks (N, B) of clip weights, `count` columns in all; draws without both classes are drawn again.

    Raises:
        ValueError: the clips of a class are of one person, or of so few that most draws are without them.
    """
    if min(len(np.unique(people.first[labels == label])) for label in (0, 1)) < 2:
        raise ValueError("all clips of one class are of one person; an interval needs several people")
    generator = np.random.default_rng(seed)
    width = max(1, min(count, ELEMENTS // max(len(labels), people.drawn)))
    both = np.stack([labels == 0, labels == 1]).astype(np.float64)
    kept, tried = 0, 0
    while kept < count:
        if tried > PATIENCE * count:
            raise ValueError("too few identities of one class for a bootstrap interval")
        weights = _weights(people, width, generator)
        weights = weights[:, (both @ weights > 0).all(axis=0)][:, : count - kept]
        tried += width
        if weights.shape[1]:
            kept += weights.shape[1]
            yield weights


def _weights(people: People, width: int, generator: np.random.Generator) -> Floats:
    """(N, width): how often each clip is in each of `width` resamples."""
    cells = generator.integers(0, people.drawn, (width, people.drawn))  # who is drawn; then its place in the counts
    cells *= width
    cells += np.arange(width)[:, None]
    counts = np.bincount(cells.ravel(), minlength=width * people.drawn).reshape(people.drawn, width).astype(np.float64)
    weights = counts[people.first]
    joined = people.second >= 0
    weights[joined] *= counts[people.second[joined]]
    return weights


def _numbered(targets: Sequence[str], sources: Sequence[str] | None) -> tuple[Ints, Ints, int]:
    """Target and source of each clip as numbers of people, -1 for nobody, and how many people there are."""
    given = [""] * len(targets) if sources is None else list(sources)
    if len(given) != len(targets):
        raise ValueError(f"{len(targets)} targets and {len(given)} sources must be equally many")
    numbers, known = pd.factorize(np.array([name or None for name in [*targets, *given]], dtype=object), sort=True)
    first, second = np.split(numbers.astype(np.int64), 2)
    if (first < 0).any():
        raise ValueError("a clip has no target identity")
    return first, np.where(second == first, -1, second), len(known)  # a fake of oneself is of one person
