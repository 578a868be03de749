"""The tables of docs/attribution_truth.md, from the store: `python -m docs.truth_table`.

Needs runs of `dfd explain --corpus CORPUS --checkpoint RUN`. Of several of one checkpoint on one corpus the newest
counts. The first table says where each method beats the picture's edges; the others have every figure, a checkpoint
each.
"""

import pandas as pd

from dfd import audit, tracking
from docs.length_table import printed


def audits() -> dict[str, str]:
    """The run ids of the audits there are, by what they are called here."""
    done = tracking.measured(None, audit.KIND).iloc[::-1]
    found = {f"{row['detector']}, on {row['corpus']}": row["run_id"] for row in done.to_dict("records")}
    return dict(sorted(found.items()))


def summary(found: dict[str, str]) -> None:
    """A row a method, a column a checkpoint: the figures in which it surely beats the edge map."""
    better = {name: audit.better_than_edges(tracking.table(run_id, audit.CLIPS)) for name, run_id in found.items()}
    ways = pd.concat([tracking.table(run_id, audit.TABLE)["way"] for run_id in found.values()]).unique()
    rows = [
        [
            way,
            *(
                ", ".join(figure for figure, ways_of in each.items() if way in ways_of) or "none"
                for each in better.values()
            ),
        ]
        for way in ways
        if way not in audit.CONTROLS
    ]
    printed(["beats the edge map in", *better], rows)


def main() -> None:
    """Print all."""
    found = audits()
    summary(found)
    for name, run_id in found.items():
        table = tracking.table(run_id, audit.TABLE)
        shown = [figure for figure in audit.FIGURES if table[figure].notna().any()]
        rows = [[row["way"], *(audit.written(row, figure) for figure in shown)] for row in table.to_dict("records")]
        effort = tracking.params(run_id)["truth.effort"]
        print(f"### {name}, {table['clips'].max()} test clips\n\nRun {run_id}: {effort}.\n")
        printed(["", *shown], rows)


if __name__ == "__main__":
    main()
