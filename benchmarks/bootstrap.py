"""What intervals cost: `dfd.metrics` beside a plain loop over resampled arrays with scikit-learn, in one run.

    python -m benchmarks.bootstrap [--clips 5000] [--people 500] [--resamples 10000] [--loop 100] [--repeats 3]

The corpus is made up: half of the clips real, each of one person, and each fake of two, who are drawn from the same
people, with scores in steps of 1/1000, so that many are equal.

- intervals: the 95 % intervals of all figures over people, whole. Limit 5 s.
- AUC alone: the same resamples, only the AUC of each.
- loop: the clips of each resample are gathered, one as often as its people were drawn, and given to
  `sklearn.metrics.roc_auc_score`. It does the first --loop resamples and its seconds are scaled to all of them.

Before that, the AUC of the loop's resamples must be equal to ours to 1e-9, and the resident memory that a whole run
adds is taken. Limit 300 MB. Exit code 1 if a limit is missed.
"""

import argparse
import json
import os
import statistics
import threading
import time

import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.timing import line, timed
from dfd.metrics import People, Ranking, draws, intervals

SECONDS, MEGABYTES, AGREEMENT = 5.0, 300.0, 1e-9
SEED = 0


def corpus(clips: int, people: int) -> tuple[NDArray[np.int64], NDArray[np.float64], People]:
    """Labels, scores and people of a made-up test split."""
    generator = np.random.default_rng(SEED)
    labels = np.arange(clips) % 2
    names = np.array([f"p{number}" for number in range(people)])
    targets, sources = names[generator.integers(0, people, (2, clips))]
    scores = ((generator.normal(labels, 1) + 4) / 9).clip(0, 1).round(3)
    return labels, scores, People.of(targets.tolist(), np.where(labels == 1, sources, "").tolist())


def looped(labels: NDArray[np.int64], scores: NDArray[np.float64], weights: NDArray[np.float64]) -> list[float]:
    """AUC of every column of (N, B) clip weights, by making the arrays it stands for."""
    found = []
    for column in weights.T:
        taken = np.repeat(np.arange(len(labels)), column.astype(int))
        found.append(float(roc_auc_score(labels[taken], scores[taken])))
    return found


def added_memory(labels: NDArray[np.int64], scores: NDArray[np.float64], people: People, resamples: int) -> float:
    """Megabytes of resident memory that one run adds at its peak."""
    process, done = psutil.Process(os.getpid()), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    intervals(labels, scores, people, 0.5, resamples=resamples, seed=SEED)
    done.set()
    watcher.join()
    return (peak - before) / 1e6


def measure(clips: int, people_count: int, resamples: int, loop: int, repeats: int) -> int:
    """Check equality, time all three in turn, print; returns the exit code."""
    labels, scores, people = corpus(clips, people_count)
    ranking = Ranking.of(labels, scores)
    megabytes = added_memory(labels, scores, people, resamples)

    first = np.concatenate(list(draws(people, labels, loop, SEED)), axis=1)
    apart = float(np.abs(ranking.auc(first) - looped(labels, scores, first)).max())

    def auc_alone() -> None:
        for weights in draws(people, labels, resamples, SEED):
            ranking.auc(weights)

    whole, alone, plain = [], [], []
    for _ in range(repeats):
        whole.append(timed(lambda: intervals(labels, scores, people, 0.5, resamples=resamples, seed=SEED)))
        alone.append(timed(auc_alone))
        plain.append(timed(lambda: looped(labels, scores, first)) * resamples / loop)
    print(f"{clips} clips of {people.drawn} people ({people.unit} are drawn), {resamples} resamples, {repeats} repeats")
    print(line("intervals of all figures", whole))
    print(line("AUC alone", alone))
    print(line(f"loop over arrays (scaled from {loop})", plain))
    ratio = statistics.median(plain) / statistics.median(alone)
    print(f"AUC alone is {ratio:.0f} times as fast as the loop; they differ by at most {apart:.1e}")
    print(f"memory added by one run: {megabytes:.0f} MB")
    facts = {"intervals_s": whole, "auc_s": alone, "loop_s": plain, "apart": apart, "megabytes": megabytes}
    print(json.dumps({name: np.round(value, 12).tolist() for name, value in facts.items()}))
    kept = statistics.median(whole) <= SECONDS and megabytes <= MEGABYTES and apart <= AGREEMENT
    return 0 if kept else 1


def main() -> int:
    """Read the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clips", 5000), ("people", 500), ("resamples", 10_000), ("loop", 100), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    return measure(asked.clips, asked.people, asked.resamples, asked.loop, asked.repeats)


if __name__ == "__main__":
    raise SystemExit(main())
