"""The tables of docs/sequence_length.md, from the store: `python docs/length_table.py`.

Needs the runs of `dfd sweep experiments/sample_ablation.yaml`. The first table is every control at every length, as
mean and range over seeds; the second the paired tests between two runs of one seed, on the same test clips.
"""

from itertools import product

import pandas as pd

from dfd import comparison, tracking

CORPORA = ("sample-swap", "sample-reenact")
LENGTHS = (10, 20, 40, 60, 80, 100)
SEEDS = (0, 1, 2)
LONG = 80  # frames that every test clip has; one has fewer than 100, and tests are paired by clip
CONTROLS = {"LSTM": "", "mean pool": "mean pool", "LSTM, frames shuffled": "shuffled frames"}


def over_seeds(runs: pd.DataFrame, figure: str, corpus: str, control: str) -> list[str]:
    """Mean and range over seeds at each length."""
    cells = []
    for length in LENGTHS:
        found = comparison.across_seeds(of(runs, corpus, control, length), figure)
        cells += [f"{row['mean']:.3f} ({row['lowest']:.3f}-{row['highest']:.3f})" for row in found.to_dict("records")]
    return cells


def of(runs: pd.DataFrame, corpus: str, control: str, length: int) -> pd.DataFrame:
    """The runs of one cell, a seed each."""
    same = (runs["control"] == CONTROLS[control]) & (runs["corpus"] == corpus)
    return runs[same & (runs["sequence_length"] == length)]


def pairs(runs: pd.DataFrame) -> list[list[str]]:
    """The paired tests: is the longest better than the shortest, and does the order of frames, or the LSTM, matter?"""
    asked = [
        (("LSTM", LONG), ("LSTM", 10)),
        (("mean pool", LONG), ("mean pool", 10)),
        (("LSTM", LONG), ("LSTM, frames shuffled", LONG)),
        (("LSTM", LONG), ("mean pool", LONG)),
    ]
    rows = []
    for corpus, (first, second), seed in product(CORPORA, asked, SEEDS):
        ids = [of(runs[runs["seed"] == seed], corpus, *which)["run_id"].iloc[0] for which in (first, second)]
        found = comparison.compare(ids[0], ids[1])
        names = " against ".join(f"{control}, {length}" for control, length in (first, second))
        told = [
            f"{each.difference:+.3f} ({each.low:+.3f} to {each.high:+.3f}), p {each.p:.2f}"
            for each in (found.accuracy, found.auc)
        ]
        rows.append([corpus, names, str(seed), *told])
    return rows


def printed(header: list[str], rows: list[list[str]]) -> None:
    """A table in Markdown."""
    for cells in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(cells)} |")
    print()


def main() -> None:
    """Print both."""
    runs = tracking.runs()
    runs = runs[(runs["kind"] == "detector") & (runs["status"] == "FINISHED")]
    for figure in ("test/accuracy", "test/auc"):
        print(f"`{figure}`\n")
        rows = [
            [corpus, control, *over_seeds(runs, figure, corpus, control)]
            for corpus, control in product(CORPORA, CONTROLS)
        ]
        printed(["corpus", "head", *map(str, LENGTHS)], rows)
    printed(["corpus", "compared, frames", "seed", "accuracy", "AUC"], pairs(runs))


if __name__ == "__main__":
    main()
