"""What six sequence lengths cost beside the longest alone: two sweeps on the same face-only videos, in one run.

    python -m benchmarks.sweep [--identities 64] [--repeats 1] [--corpora sample-swap sample-reenact]

Both are `dfd.sweep.sweep` with the settings of `experiments/sample_sweep.yaml`, without controls: one of the lengths
10, 20, 40, 60, 80 and 100, one of 100 alone. Each has a fresh home with an empty store and empty caches, and fits the
same backbone on the same frames.

Counted, for both alike: from the call of `sweep` to its return, that is the crop table, the backbone, its features of
every frame, and of each head the training, evaluation, checkpoint, record and registration. Not counted, for both
alike: making the corpora, finding their faces, and MLflow's making of an empty database.

Limit: 1.4 times, twice: of the two sweeps as they took, and of the sweep of six to itself without the heads of the
five shorter lengths (each from its start to the next run's). The second does not depend on how fast the machine was in
which of the two sweeps: look at `backbone`, which is the same work in both. Below the ratios stand the parts that they
come from: `backbone` and `heads` are the runs as the store has them, `tables, features, registry` all the rest. Exit
code 1 if the second median ratio is above the limit.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import line, ratio, timed
from dfd import demo, tracking
from dfd.config import Experiment, Sweep, read_experiment
from dfd.corpora.sample import SampleSpec, make
from dfd.preprocess import preprocess
from dfd.progress import printed
from dfd.sweep import sweep

LIMIT = 1.4
LENGTHS = (10, 20, 40, 60, 80, 100)


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall seconds of one sweep."""

    whole: float
    backbone: float
    heads: dict[int, float]  # by sequence length, over all corpora
    fitting: float  # of the heads' seconds, those within their epochs
    shorter: float  # what the heads of all lengths but the longest took, each from its start to the next run's

    @property
    def rest(self) -> float:
        """Of what is within no run."""
        return self.whole - self.backbone - sum(self.heads.values())


def prepare(folder: Path, identities: int, experiment: Experiment) -> Path:
    """Face-only videos of the experiment's corpora; returns their folder."""
    with printed() as progress:
        corpora = make(folder / "sample", SampleSpec(identities=identities), progress=progress)
        for name in experiment.data.corpora:
            preprocess(corpora[name], folder / "faces" / name, experiment.crop)
    return folder / "faces"


def run(experiment: Experiment, lengths: Sequence[int], faces: Path, home: Path) -> Cost:
    """One sweep in a home of its own."""
    (home / "data").mkdir(parents=True)
    (home / "data" / "faces").symlink_to(faces)
    os.environ["DFD_HOME"] = str(home)
    tracking.client()
    asked = experiment.model_copy(update={"sweep": Sweep(sequence_lengths=tuple(lengths))})
    with printed() as progress:
        whole = timed(lambda: sweep(asked, progress))
    table = tracking.runs()
    table["seconds"] = (table["ended"] - table["started"]).dt.total_seconds()
    heads = table[table["kind"] == "detector"]
    until = table.sort_values("started")["started"].shift(-1)  # the last is of the longest length
    shorter = table["sequence_length"].lt(max(lengths)) & (table["kind"] == "detector")
    fitting = [tracking.history(run_id).query("metric == 'train/seconds'")["value"].sum() for run_id in heads["run_id"]]
    return Cost(
        whole,
        float(table.loc[table["kind"] == "backbone", "seconds"].sum()),
        {int(length): float(rows.sum()) for length, rows in heads.groupby("sequence_length")["seconds"]},
        float(sum(fitting)),
        float((until - table["started"])[shorter].dt.total_seconds().sum()),
    )


def report(six: Sequence[Cost], one: Sequence[Cost]) -> float:
    """Print the table; returns the median ratio of the six to themselves without the shorter."""
    ratios = [both.whole / alone.whole for both, alone in zip(six, one, strict=True)]
    for name, costs in ((f"{len(LENGTHS)} lengths", six), (f"{max(LENGTHS)} frames alone", one)):
        print(line(f"{name}, whole", [cost.whole for cost in costs]))
        print(line("  backbone", [cost.backbone for cost in costs]))
        print(line("  tables, features, registry", [cost.rest for cost in costs]))
        print(line("  heads", [sum(cost.heads.values()) for cost in costs]))
        print(line("    in their epochs", [cost.fitting for cost in costs]))
        for length in costs[0].heads:
            print(line(f"    {length} frames", [cost.heads[length] for cost in costs]))
    ratio("six lengths / longest alone", ratios, LIMIT)
    within = [cost.whole / (cost.whole - cost.shorter) for cost in six]
    return ratio("six lengths / the same without the shorter", within, LIMIT)


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identities", type=int, default=demo.SPEC.identities)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--corpora", nargs="+", default=["sample-swap", "sample-reenact"])
    asked = parser.parse_args()
    experiment = read_experiment(demo.SWEEP)
    data = experiment.data.model_copy(update={"corpora": tuple(asked.corpora)})
    experiment = experiment.model_copy(update={"data": data})
    six, one = [], []
    with tempfile.TemporaryDirectory() as folder:
        faces = prepare(Path(folder), asked.identities, experiment)
        for at in range(asked.repeats):  # in turns, so that what else the machine does falls on both
            one.append(run(experiment, LENGTHS[-1:], faces, Path(folder) / f"one-{at}"))
            six.append(run(experiment, LENGTHS, faces, Path(folder) / f"six-{at}"))
    cores = os.cpu_count() or 1
    print(f"{asked.identities} people, {' and '.join(asked.corpora)}, {cores} cores, {asked.repeats} repeats")
    return 0 if report(six, one) <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
