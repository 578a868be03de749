"""A store with as many runs as a team makes in years: for benchmarks, and for trying the pages by hand.

    python -m benchmarks.many_runs FROM TO [--runs 10000] [--points 20]

FROM is a dfd home with finished detectors (`make demo SERVE=0` makes one), TO a new one. TO has FROM's runs, and copies
of its detectors until there are `--runs`. Each copy has its pattern's parameters, tags and files, a seed and a start of
its own, and `--points` metric values: figures and their intervals, drawn around its pattern's, then epochs of its
learning curve. The rows are those that MLflow writes, put into its SQLite file at once, since through its client
10,000 runs take an hour. They are nobody's results: each has the tag `dfd.generated`.
"""

import argparse
import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = ("accuracy", "auc", "eer", "average_precision")
SHOWN = tuple(f"{split}/{name}{end}" for split in ("test", "val") for name in FIGURES for end in ("", "_low", "_high"))
CURVES = ("train/loss", "val/loss", "val/auc")
SPREAD = 0.02  # of a copy's figures around its pattern's
APART = 20 * 60_000  # ms from one start to the next
LASTS = 15 * 60_000  # ms

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A finished detector as its store has it."""

    run: dict[str, Any]  # columns of `runs`
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


def fill(store: Path, runs: int, points: int, seed: int = 0) -> int:
    """Add copies to a store's SQLite file until it has so many runs; returns how many were added.

    Raises:
        ValueError: the store has no finished detector to copy.
    """
    generator = np.random.default_rng(seed)
    with closing(sqlite3.connect(store)) as database, database:
        database.row_factory = sqlite3.Row
        patterns = _patterns(database)
        if not patterns:
            raise ValueError(f"{store} has no finished detector to copy; make one first, with make demo SERVE=0")
        there = database.execute("select count(*) from runs").fetchone()[0]
        first = database.execute("select min(start_time) from runs").fetchone()[0]
        for at in range(runs - there):
            _add(database, patterns[at % len(patterns)], at, first - (at + 1) * APART, points, generator)
    return max(0, runs - there)


def _patterns(database: sqlite3.Connection) -> list[Pattern]:
    asked = (
        "select * from runs where status = 'FINISHED' and lifecycle_stage = 'active' and run_uuid in (select run_uuid "
        "from tags where key = 'dfd.kind' and value = 'detector') order by start_time"
    )
    return [
        Pattern(dict(run), *({row["key"]: row["value"] for row in _of(database, table, run["run_uuid"])} for table in
                             ("params", "tags", "latest_metrics")))
        for run in database.execute(asked).fetchall()
    ]  # fmt: skip


def _of(database: sqlite3.Connection, table: str, run_id: str) -> list[sqlite3.Row]:
    return database.execute(f"select key, value from {table} where run_uuid = ?", (run_id,)).fetchall()


def _add(
    database: sqlite3.Connection, pattern: Pattern, at: int, start: int, points: int, generator: np.random.Generator
) -> None:
    run_id, seed = uuid.UUID(bytes=generator.bytes(16)).hex, str(at + 1)
    name = f"{pattern.run['name']}, seed {seed}"
    run = pattern.run | {"run_uuid": run_id, "name": name, "start_time": start, "end_time": start + LASTS}
    tags = pattern.tags | {"mlflow.runName": name, "dfd.key": f"generated-{run_id}", "dfd.generated": "true"}
    tags.pop("dfd.registered", None)
    values = list(_values(pattern, generator))[:points]
    _insert(database, "runs", [tuple(run.values())], tuple(run))
    for table, held in (("params", pattern.params | {"seed": seed}), ("tags", tags)):
        _insert(database, table, [(key, value, run_id) for key, value in held.items()], ("key", "value", "run_uuid"))
    rows = [(key, value, start, step, False, run_id) for key, step, value in values]
    columns = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
    _insert(database, "metrics", rows, columns)
    _insert(database, "latest_metrics", list({row[0]: row for row in rows}.values()), columns)


def _values(pattern: Pattern, generator: np.random.Generator) -> Iterator[tuple[str, int, float]]:
    """Metric, step and value: final figures, each with its interval moved along, then epochs."""
    moves = {name: generator.normal(0, SPREAD) for name in FIGURES}
    for key in SHOWN:
        if key in pattern.metrics:
            move = moves[key.split("/")[1].removesuffix("_low").removesuffix("_high")]
            yield key, 0, float(np.clip(pattern.metrics[key] + move, 0, 1))
    for epoch in range(1, 100):
        for key in CURVES:
            yield key, epoch, float(0.7 * np.exp(-epoch / 10) + generator.uniform(0, 0.05))


def _insert(database: sqlite3.Connection, table: str, rows: list[Row], columns: tuple[str, ...]) -> None:
    marks = ", ".join("?" for _ in columns)
    database.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", rows)


def generate(source: Path, to: Path, runs: int, points: int) -> int:
    """A new home with the runs of another and copies of them; returns how many were added.

    Raises:
        FileExistsError: the new home is there already.
        ValueError: there is nothing to copy.
    """
    store = source / "mlruns" / "mlflow.db"
    if not store.is_file():
        raise ValueError(f"{source} has no store (mlruns/mlflow.db); make one first, with make demo SERVE=0")
    (to / "mlruns").mkdir(parents=True)
    shutil.copy(store, to / "mlruns" / "mlflow.db")  # files of runs are read where they lie
    if (source / "data").is_dir():
        (to / "data").symlink_to((source / "data").resolve())
    return fill(to / "mlruns" / "mlflow.db", runs, points)


def main() -> int:
    """Generate, and say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("to", type=Path, metavar="TO")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=20)
    asked = parser.parse_args()
    added = generate(asked.source, asked.to, asked.runs, asked.points)
    print(json.dumps({"home": str(asked.to), "runs": asked.runs, "added": added, "points a run": asked.points}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
