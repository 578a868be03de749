"""`dfd card`, `dfd promote`, `dfd rebuild`: what is known of a checkpoint, its names, and making it again."""

from pathlib import Path
from typing import Annotated

import typer

from dfd.cli import shared
from dfd.errors import DfdError
from dfd.progress import printed

Known = Annotated[str, typer.Argument(metavar="REF", help="run id, models:/NAME@ALIAS, models:/NAME/VERSION or folder")]


def card(ref: Known, as_json: shared.Json = False) -> None:
    """Print a checkpoint's model card: data, protocol, figures with intervals, intended use, limits."""
    from dfd import model_card

    run_id = _run_of(ref)
    text = model_card.card(run_id)
    shared.show({"run_id": run_id, "card": text}, as_json, text.rstrip())


def promote(
    ref: Known,
    alias: Annotated[str, typer.Option(help="letters, digits, - and _; best and best-CORPUS are kept by dfd itself")],
    as_json: shared.Json = False,
) -> None:
    """Give a checkpoint a name of your own: models:/dfd-detector@ALIAS, which any verb and MLflow then take."""
    from dfd import tracking

    run_id = _run_of(ref)
    version = tracking.set_alias(run_id, alias)
    named = f"models:/{tracking.REGISTERED}@{alias}"
    facts = {"checkpoint": named, "version": version, "run_id": run_id}
    shared.show(facts, as_json, f"{named} is version {version}, of run {run_id}")


def rebuild(
    ref: Known,
    out: Annotated[Path | None, typer.Option(help="folder to keep the checkpoint in that was made anew")] = None,
    as_json: shared.Json = False,
) -> None:
    """Train a run's checkpoint again from what the run recorded, and compare the weights bit by bit.

    In a store of its own, which is removed; the exit code is 1 if the weights differ.
    """
    from dfd.rebuild import rebuild as again

    with printed() as progress:
        found = again(_run_of(ref), out, progress)
    shared.show(found.to_json(), as_json, found.text)
    if not found.same:
        raise typer.Exit(1)


def _run_of(ref: str) -> str:
    """The run of a checkpoint however it is named."""
    from dfd import checkpoints, tracking

    if not Path(ref).is_dir():
        return tracking.run_of(ref)
    run_id = checkpoints.read_meta(Path(ref)).run_id
    if run_id is None:
        raise DfdError(f"{ref} names no run that it came from; name a run or a registered model")
    return run_id
