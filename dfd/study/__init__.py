"""Trials that many processes share: who takes which, and what it tries. The only importer of Optuna.

A study lies in a database. What a trial tries follows from the sampler's seed and from the trial's place in the draw,
not from the process that runs it, so that all processes together try what `RandomSampler(seed)` draws in one.
"""

from dfd.study.database import Database, open_database, shown
from dfd.study.draws import Draws, distribution, size
from dfd.study.trials import Claim, Direction, Done, Rules, Study, Tally, once

__all__ = [
    "Claim",
    "Database",
    "Direction",
    "Done",
    "Draws",
    "Rules",
    "Study",
    "Tally",
    "distribution",
    "once",
    "open_database",
    "shown",
    "size",
]
