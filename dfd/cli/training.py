"""`dfd train`, `dfd sweep`, `dfd leave-one-out`, `dfd search`: detectors from experiment files."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from dfd.cli import shared
from dfd.progress import Progress, printed, silent


def train(
    experiment: Path,
    pseudo_fakes: Annotated[
        bool,
        typer.Option("--pseudo-fakes", help="on fakes made of the corpora's real clips; fakes they have are left out"),
    ] = False,
    as_json: shared.Json = False,
) -> None:
    """Train one experiment file; goes on where an earlier training of it was stopped.

    Started by `torchrun --nproc-per-node=N -m dfd.cli train FILE`, N processes train it together.
    """
    from dfd import distributed, experiments
    from dfd.config import read_experiment

    asked = read_experiment(experiment)
    if pseudo_fakes:
        asked = asked.proposed({"data.pseudo_fakes.ignore_fakes": True, "name": f"{asked.name}, pseudo-fakes"})
    with distributed.joined():
        with _told() as progress:
            run_id = experiments.train(asked, progress)
        if distributed.is_first():
            shared.show_runs([run_id], as_json)


def sweep(experiment: Path, as_json: shared.Json = False) -> None:
    """Train every sequence length and control of an experiment file; goes on where an earlier sweep was stopped."""
    from dfd import distributed
    from dfd.config import read_experiment
    from dfd.sweep import sweep as run

    asked = read_experiment(experiment)
    with distributed.joined():
        with _told() as progress:
            run_ids = run(asked, progress)
        if distributed.is_first():
            shared.show_runs(run_ids, as_json)


def leave_one_out(
    experiment: Annotated[Path, typer.Argument(help="an experiment file whose corpora have several fake methods")],
    as_json: shared.Json = False,
) -> None:
    """Train a detector without each fake method, and test it on the others and, apart from them, on that one.

    Goes on where it was stopped, and may be started by `torchrun`, as `dfd train` may.
    """
    from dataclasses import asdict

    from dfd import distributed
    from dfd import leave_one_out as run
    from dfd.config import read_experiment

    asked = read_experiment(experiment)
    with distributed.joined():
        with _told() as progress:
            done = run.leave_one_out(asked, progress)
        if distributed.is_first():
            shared.show([asdict(each) for each in done], as_json, run.table(done))


def _told() -> AbstractContextManager[Progress]:
    """Progress on standard error, of the first of the processes that train together."""
    from dfd import distributed

    return printed() if distributed.is_first() else nullcontext(silent)


def search(
    experiment: Path,
    trials: Annotated[
        int | None, typer.Option(min=1, help="brought to an end in all, by every process of this search")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(envvar="DFD_SEARCH_STORAGE", help="URL of the trials' database; by default SQLite in dfd's home"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="file for the best experiment, for `dfd train`")] = None,
    lost: Annotated[
        list[str] | None, typer.Option(help="a host that will not come back: its unfinished trials are run anew")
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Search hyperparameters at random for the best figure on validation clips; prints the best experiment.

    Run it as often as wanted, at the same time and on several machines with one --storage and one store of runs: they
    share the trials. It goes on where an earlier search was stopped.
    """
    from dfd.config import read_experiment
    from dfd.paths import atomic_file
    from dfd.search import search as run

    asked = read_experiment(experiment)
    with printed() as progress:
        found = run(asked, trials=trials, storage=storage, lost=lost or (), progress=progress)
    typer.echo(found.summary, err=True)
    if out is not None and found.best is not None:
        with atomic_file(out) as part:
            part.write_text(found.text, encoding="utf-8")
    shared.show(found.to_json(), as_json, found.text.rstrip())
