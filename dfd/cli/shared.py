"""What the verbs share: their common options, and how results and errors are printed."""

import json
from typing import Annotated, Any

import typer

from dfd.errors import DfdError

Json = Annotated[bool, typer.Option("--json", help="print JSON on standard output, nothing else")]
Ref = Annotated[
    str | None,
    typer.Option("--checkpoint", help="folder, run id or models:/NAME@ALIAS; the registered best if not given"),
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")]


def complain(error: DfdError) -> None:
    """One line on standard error."""
    typer.echo(f"dfd: {error}", err=True)


def show(facts: Any, as_json: bool, text: str) -> None:
    """A result: JSON, or the text that says it."""
    typer.echo(json.dumps(facts) if as_json else text)


def split(name: str) -> Any:
    """A split by its name; wrong usage if there is none of it."""
    from dfd.manifest import SPLITS

    if name not in SPLITS:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(SPLITS)}", param_hint="--split")
    return name


def best(ref: str | None) -> str:
    """A checkpoint's reference, by default the registered best."""
    from dfd import tracking

    chosen = ref or tracking.best()
    if chosen is None:
        raise DfdError("the store has no registered checkpoint yet; run `make demo` or `dfd train`, or name one")
    return chosen


def verdict_line(verdict: Any) -> str:
    """A verdict in a line."""
    score = "" if verdict.p_fake is None else f"  p_fake {verdict.p_fake:.3f} (threshold {verdict.threshold:.3f})"
    note = f"  {verdict.message}" if verdict.message else ""
    return f"{verdict.clip}: {verdict.decision}{score}  {verdict.seconds:.2f} s{note}"


def show_runs(run_ids: list[str] | None, as_json: bool) -> None:
    """Detectors with their test figures, all or those named."""
    from dfd import tracking

    table = tracking.detectors()
    if run_ids is not None:
        table = [row for row in table if row["run_id"] in run_ids]
    if as_json:
        typer.echo(json.dumps(table, indent=1))
        return
    widths = {name: max([12, *(len(row[name]) for row in table)]) + 2 for name in ("model", "head")}
    columns = "".join(f"{name:<{width}}" for name, width in widths.items())
    typer.echo(f"{'name':<38}{columns}{'frames':>6}{'seed':>5}  {'test AUC (95 %)':<22}{'accuracy':>8}  run")
    for row in table:
        figures = row["metrics"]
        auc, low, high = (figures.get(f"test/auc{end}", float("nan")) for end in ("", "_low", "_high"))
        accuracy = figures.get("test/accuracy", float("nan"))
        length, seed = ("-" if row[name] is None else row[name] for name in ("sequence_length", "seed"))
        columns = "".join(f"{row[name]:<{width}}" for name, width in widths.items())
        typer.echo(
            f"{row['name']:<38}{columns}{length:>6}{seed:>5}  "
            f"{auc:.3f} ({low:.3f}-{high:.3f})   {accuracy:>8.3f}  {row['run_id']}"
        )
