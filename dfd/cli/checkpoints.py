"""`dfd evaluate`, `leave-one-out`, `compare`, `slices`, `import`, `runs`: detectors and how good they are."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dfd.cli import shared
from dfd.progress import printed


def evaluate(
    corpus: Annotated[
        str, typer.Argument(help="a preprocessed corpus; with --detector any that was added, or a folder")
    ],
    checkpoint: shared.Ref = None,
    detector: Annotated[
        Path | None, typer.Option(help="a Python file of yours with predict(path) -> p_fake, in place of a checkpoint")
    ] = None,
    limit: Annotated[float, typer.Option(min=0.1, help="seconds for a clip, with --detector")] = 60.0,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    as_json: shared.Json = False,
) -> None:
    """Evaluate a checkpoint, or a detector of your own, on a split of a corpus, and record it as a run.

    Figures have 95 % intervals and are clip level and, for a checkpoint, frame level; then by method, and calibrated.
    Your own detector's file may set NAME, and THRESHOLD, which is chosen on the validation clips if not.
    """
    from dfd.checkpoints import load
    from dfd.data import face_corpus
    from dfd.evaluation import evaluate_and_record

    asked = shared.split(split)
    if detector is not None:
        if checkpoint is not None:
            raise typer.BadParameter("give either --checkpoint or --detector", param_hint="--detector")
        _evaluate_own(detector, corpus, asked, limit, as_json)
        return
    loaded = load(shared.best(checkpoint))
    with printed() as progress:
        run_id, found = evaluate_and_record(loaded, face_corpus(corpus), asked, progress)
    facts = {"run_id": run_id, "checkpoint": loaded.ref, "corpus": corpus, "split": split, **found.to_json()}
    facts["temperature"] = loaded.meta.temperature
    shared.show(facts, as_json, f"{loaded.meta.name} on {corpus} {split}\n{found.text}")


def _evaluate_own(file: Path, corpus: str, split: Any, limit: float, as_json: bool) -> None:
    from dfd.corpora.find import find
    from dfd.own_evaluation import evaluate_own, not_scored, record_own

    with printed() as progress:
        done = evaluate_own(file, find(corpus), split, a_clip=limit, progress=progress)
    run_id = record_own(done)
    silent = not_scored(done)
    for clip in silent:
        typer.echo(f"no verdict on {clip['clip']} ({clip['split']}): {clip['reason']}", err=True)
    told = ("name", "sha256", "corpus", "threshold", "threshold_fpr", "temperature")
    facts = {"run_id": run_id, "checkpoint": "", "detector": str(file), "split": split, "not_scored": silent}
    facts |= {name: getattr(done, name) for name in told} | done.found[split].to_json()
    chosen = "set by the file" if done.threshold_fpr is None else "chosen on validation"
    text = f"{done.model} on {corpus} {split}, threshold {done.threshold:.4f} ({chosen}), run {run_id}"
    shared.show(facts, as_json, f"{text}\n{done.found[split].text}")


def slices(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="id of a run: a detector, or an evaluation of one")],
    by: Annotated[str, typer.Option(help="a column of its clips: method, compression, or an attribute of the corpus")],
    split: Annotated[str, typer.Option(help="val or test")] = "test",
    as_json: shared.Json = False,
) -> None:
    """Figures of a run for every value of a column, with 95 % intervals, and the gap between the best and the worst."""
    from dfd import comparison

    found = comparison.slices_of(run_id, by, shared.split(split))
    shared.show({"run_id": run_id, "split": split, **found.to_json()}, as_json, found.text)


def compare(
    run_a: Annotated[str, typer.Argument(help="id of a run: a detector, or an evaluation of one")],
    run_b: Annotated[str, typer.Argument(help="another, tested on the same clips")],
    split: Annotated[str, typer.Option(help="val or test")] = "test",
    as_json: shared.Json = False,
) -> None:
    """Compare two runs on the same clips: McNemar's test, DeLong's, and intervals of the differences over people."""
    from dfd import comparison

    found = comparison.compare(run_a, run_b, shared.split(split))
    shared.show(found.to_json(), as_json, f"{found.text}\n{found.caution}")


def import_published(
    file: Annotated[Path, typer.Argument(help="a .pt of the public ResNeXt-LSTM code, or a .h5 of MesoNet")],
    temporal: Annotated[
        Literal["legacy_last", "legacy_mean"] | None,
        typer.Option(help="of a .pt: the last frame, as its web app serves (the default), or the mean over frames"),
    ] = None,
    sequence_length: Annotated[
        int | None, typer.Option(help="frames it is given; the file's name says it if not given, 16 for a .h5")
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Make a published file a checkpoint that gives the same logits, and say what it really reads."""
    from dfd import checkpoints, imports, tracking

    ref = imports.import_file(file, temporal, sequence_length)
    meta = checkpoints.read_meta(tracking.checkpoint_folder(ref))
    facts = meta.model_dump(mode="json", include={"name", "model", "recipe", "sequence_length", "threshold", "reads"})
    text = f"checkpoint: {ref} ({meta.name}, {meta.sequence_length} frames)\n{meta.reads}\n"
    text += f"Its threshold {meta.threshold} was not chosen on validation clips."
    shared.show({"checkpoint": ref, **facts, "threshold_fpr": meta.threshold_fpr}, as_json, text)


def runs(as_json: shared.Json = False) -> None:
    """List the store's detectors with their test figures."""
    shared.show_runs(None, as_json)
