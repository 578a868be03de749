"""How often 95 % intervals hold the truth, where it is known: simulated detectors, the figures of `dfd.metrics`.

    python -m benchmarks.coverage [--people 20 30 40 100 150] [--worlds 300] [--resamples 300]

Every person has a real and a fake clip. The scores of the curves' figures are normal, fakes 1.5 above real clips; the
truth of average precision is that of 400,000 clips. For the calibration error labels are drawn at honest probabilities,
and the detector says them with their logit times 1.5 (too sure), or as they are; what would be its interval is made
here as `dfd.metrics.intervals` makes the others, since it has none. Its truth is that of 1,000,000 clips, or 0.

Prints the share of worlds in which the interval holds the truth, a row for each number of people.
"""

import argparse

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from dfd.metrics import People, Ranking, draws, expected_calibration_error
from dfd.metrics.arrays import Floats, Ints

SHIFT, SURE, SPREAD = 1.5, 1.5, 1.5


def normal(people: int, generator: np.random.Generator) -> tuple[Ints, Floats]:
    """Labels and scores of a detector whose scores are normal."""
    labels = np.tile([0, 1], people)
    return labels, norm.cdf(generator.normal(labels * SHIFT))


def judged(clips: int, sure: float, generator: np.random.Generator) -> tuple[Ints, Floats]:
    """Labels, and p_fake that is honest at `sure` 1 and too sure above."""
    logits = generator.normal(0, SPREAD, clips)
    labels = (generator.random(clips) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-sure * logits))


def truths() -> dict[str, float]:
    """Of the curves' figures, for all clips there could be."""
    labels, scores = normal(200_000, np.random.default_rng(0))
    found = {
        "auc": norm.cdf(SHIFT / np.sqrt(2)),
        "average_precision": average_precision_score(labels, scores),
        "eer": norm.cdf(-SHIFT / 2),
    }
    return found | {f"tpr_at_fpr_{rate}": norm.sf(norm.isf(rate / 100) - SHIFT) for rate in (1, 5)}


def held(values: Floats, truth: float) -> bool:
    """Whether the middle 95 % of resampled values hold the truth."""
    low, high = np.quantile(values, [0.025, 0.975])
    return bool(low <= truth <= high)


def curves(people: int, worlds: int, resamples: int) -> dict[str, float]:
    """Coverage of each figure of `Ranking.figures`."""
    generator, known = np.random.default_rng(people), truths()
    owners = People.of([f"p{clip // 2}" for clip in range(2 * people)])
    hits = dict.fromkeys(known, 0)
    for world in range(worlds):
        labels, scores = normal(people, generator)
        ranking = Ranking.of(labels, scores)
        blocks = [ranking.figures(weights) for weights in draws(owners, labels, resamples, world)]
        for name, truth in known.items():
            hits[name] += held(np.concatenate([block[name] for block in blocks]), truth)
    return {name: count / worlds for name, count in hits.items()}


def calibration(people: int, sure: float, worlds: int, resamples: int) -> float:
    """Coverage of the interval that the calibration error would have."""
    generator, clips = np.random.default_rng(people), 2 * people
    truth = 0.0 if sure == 1 else expected_calibration_error(*judged(1_000_000, sure, np.random.default_rng(0)))
    hits = 0
    for _ in range(worlds):
        labels, scores = judged(clips, sure, generator)
        rows = generator.integers(0, clips, (resamples, clips))
        there = [row for row in rows if len(set(labels[row])) == 2]
        hits += held(np.array([expected_calibration_error(labels[row], scores[row]) for row in there]), truth)
    return hits / worlds


def main() -> None:
    """Read the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[20, 30, 40, 100, 150])
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=300)
    asked = parser.parse_args()
    for people in asked.people:
        shares = curves(people, asked.worlds, asked.resamples)
        few = min(asked.worlds, 100)  # the plain loop of the calibration error is slow
        shares["ece, honest"] = calibration(people, 1.0, few, asked.resamples)
        shares["ece, too sure"] = calibration(people, SURE, few, asked.resamples)
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        print(f"{people} people: {told}", flush=True)


if __name__ == "__main__":
    main()
