"""`dfd app`, `dfd demo`: the dashboard."""

from typing import Annotated

import typer

from dfd.cli import shared
from dfd.progress import printed


def serve(port: shared.Port = 8501) -> None:
    """Open the dashboard."""
    from dfd.demo import serve as run

    raise typer.Exit(run(port))


def demo(
    port: shared.Port = 8501,
    serve: Annotated[bool, typer.Option(help="open the dashboard as soon as there is a checkpoint")] = True,
) -> None:
    """Sample corpora, sample sweep, dashboard: everything from nothing."""
    from dfd import demo as run

    if serve:
        raise typer.Exit(run.prepare_and_serve(port))
    with printed() as progress:
        run_ids = run.prepare(progress)
    shared.show_runs(run_ids, as_json=False)
