"""The `dfd` command: thin verbs over the modules.

Exit codes: 0 done, 1 bad input (one line on standard error says what), 2 wrong usage. Modules are imported within the
verbs, since torch and MLflow take seconds that `dfd --help` need not wait.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dfd import cli_corpora
from dfd.errors import DfdError
from dfd.progress import printed

app = typer.Typer(
    help="Deepfake video detection: train, compare, try, inspect.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_corpora.app, name="corpora")

Json = Annotated[bool, typer.Option("--json", help="print JSON on standard output, nothing else")]
Ref = Annotated[
    str | None,
    typer.Option("--checkpoint", help="folder, run id or models:/NAME@ALIAS; the registered best if not given"),
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")]


@app.command()
def sample(
    out: Annotated[Path | None, typer.Option(help="folder; data/sample if not given")] = None,
    identities: Annotated[int | None, typer.Option(help="people; each gives a real clip and a fake a corpus")] = None,
    frames: Annotated[int | None, typer.Option(help="of each clip, at 30 a second")] = None,
    difficulty: Annotated[float | None, typer.Option(help="0 plain to see .. 1 nearly invisible")] = None,
    seed: Annotated[int | None, typer.Option(help="same seed, same corpus")] = None,
) -> None:
    """Make the sample corpora, sample-swap and sample-reenact, with their ground-truth masks."""
    from dataclasses import replace

    from dfd.corpora.sample import make
    from dfd.demo import SPEC
    from dfd.paths import data_dir

    asked = {"identities": identities, "frames": frames, "difficulty": difficulty, "seed": seed}
    folder = out or data_dir() / "sample"
    spec = replace(SPEC, **{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]
    with printed() as progress:
        made = make(folder, spec, progress=progress)
    for name, manifest in made.items():
        typer.echo(f"{name}: {len(manifest)} clips in {folder / name}")


@app.command()
def preprocess(
    root: Annotated[str, typer.Argument(help="name of a corpus (`dfd corpora list`), or a corpus's folder")],
    out: Annotated[str | None, typer.Option(help="folder or URL; data/faces/NAME if not given")] = None,
    experiment: Annotated[Path | None, typer.Option(help="cut as its `crop` section says, not as usual")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes, or Ray actors; one a core if not given")
    ] = None,
    engine: Annotated[Literal["pool", "ray"], typer.Option(help="this machine's cores, or a Ray cluster")] = "pool",
    gpus: Annotated[float, typer.Option(min=0, help="with ray: share of a GPU that an actor takes")] = 0.0,
    as_json: Json = False,
) -> None:
    """Find the faces of a corpus's clips and keep them as face-only videos.

    ROOT may be the URL of a manifest.csv whose paths are relative to it, such as s3://bucket/corpus/manifest.csv.
    """
    from functools import partial

    from dfd import cluster
    from dfd.corpora.find import located, recipe_for
    from dfd.paths import data_dir
    from dfd.preprocess import preprocess as run

    manifest, source = located(root)
    if experiment is None:
        recipe = recipe_for(root)
    else:
        from dfd.config import read_experiment  # with it comes torch, for which a parent of workers need not wait

        recipe = read_experiment(experiment).crop
    folder = out or str(data_dir() / "faces" / manifest.name)
    spread = partial(cluster.run, workers=workers or os.cpu_count() or 1, gpus=gpus) if engine == "ray" else None
    with printed() as progress:
        report = run(manifest, folder, recipe, workers=workers, engine=spread, source=source, progress=progress)
    for clip, reason in report.failures:
        typer.echo(f"left out {clip}: {reason}", err=True)
    facts = {"corpus": manifest.name, "out": folder, "clips": report.done + report.skipped}
    facts["failures"] = [{"clip": clip, "reason": reason} for clip, reason in report.failures]
    _show(facts, as_json, f"{manifest.name}: {facts['clips']} face-only videos in {folder}")
    if not facts["clips"]:
        raise DfdError(f"no clip of {root} gave a face-only video; the lines above say why of each")


@app.command()
def train(experiment: Path, as_json: Json = False) -> None:
    """Train one experiment file."""
    from dfd import experiments
    from dfd.config import read_experiment

    asked = read_experiment(experiment)
    with printed() as progress:
        run_id = experiments.train(asked, progress)
    _show_runs([run_id], as_json)


@app.command()
def sweep(experiment: Path, as_json: Json = False) -> None:
    """Train every sequence length and control of an experiment file; goes on where an earlier sweep was stopped."""
    from dfd.config import read_experiment
    from dfd.sweep import sweep as run

    asked = read_experiment(experiment)
    with printed() as progress:
        run_ids = run(asked, progress)
    _show_runs(run_ids, as_json)


@app.command()
def evaluate(
    corpus: Annotated[str, typer.Argument(help="a preprocessed corpus")],
    checkpoint: Ref = None,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    as_json: Json = False,
) -> None:
    """Evaluate a checkpoint on a split of a corpus, with 95 % intervals, and record it as a run.

    Figures are clip level and, beside them, frame level; then by method, and calibrated.
    """
    from dfd.checkpoints import load
    from dfd.data import face_corpus
    from dfd.evaluation import evaluate_and_record

    asked = _split(split)
    loaded = load(_best(checkpoint))
    with printed() as progress:
        run_id, found = evaluate_and_record(loaded, face_corpus(corpus), asked, progress)
    facts = {"run_id": run_id, "checkpoint": loaded.ref, "corpus": corpus, "split": split, **found.to_json()}
    facts["temperature"] = loaded.meta.temperature
    _show(facts, as_json, f"{loaded.meta.name} on {corpus} {split}\n{found.text}")


@app.command()
def compare(
    run_a: Annotated[str, typer.Argument(help="id of a run: a detector, or an evaluation of one")],
    run_b: Annotated[str, typer.Argument(help="another, tested on the same clips")],
    split: Annotated[str, typer.Option(help="val or test")] = "test",
    as_json: Json = False,
) -> None:
    """Compare two runs on the same clips: McNemar's test, DeLong's, and intervals of the differences over people."""
    from dfd import comparison

    found = comparison.compare(run_a, run_b, _split(split))
    _show(found.to_json(), as_json, f"{found.text}\n{found.caution}")


@app.command(name="import")
def import_published(
    file: Annotated[Path, typer.Argument(help="a .pt of the public ResNeXt-LSTM code, or a .h5 of MesoNet")],
    temporal: Annotated[
        Literal["legacy_last", "legacy_mean"] | None,
        typer.Option(help="of a .pt: the last frame, as its web app serves (the default), or the mean over frames"),
    ] = None,
    sequence_length: Annotated[
        int | None, typer.Option(help="frames it is given; the file's name says it if not given, 16 for a .h5")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a published file a checkpoint that gives the same logits, and say what it really reads."""
    from dfd import checkpoints, imports, tracking

    ref = imports.import_file(file, temporal, sequence_length)
    meta = checkpoints.read_meta(tracking.checkpoint_folder(ref))
    facts = meta.model_dump(mode="json", include={"name", "model", "recipe", "sequence_length", "threshold", "reads"})
    text = f"checkpoint: {ref} ({meta.name}, {meta.sequence_length} frames)\n{meta.reads}\n"
    text += f"Its threshold {meta.threshold} was not chosen on validation clips."
    _show({"checkpoint": ref, **facts, "threshold_fpr": meta.threshold_fpr}, as_json, text)


@app.command()
def predict(clips: list[Path], checkpoint: Ref = None, as_json: Json = False) -> None:
    """Judge clips: one line, or one JSON object, a clip."""
    from dfd.checkpoints import load
    from dfd.inference import Detector

    ref = _best(checkpoint)
    detector = Detector(load(ref))
    if not as_json:
        typer.echo(f"checkpoint: {ref} ({detector.checkpoint.meta.name}), on {detector.device_name}")
    failed = 0
    for clip in clips:
        try:
            verdict = detector.judge(clip)
        except DfdError as error:
            failed += 1
            _complain(error)
            continue
        typer.echo(json.dumps({**verdict.to_json(), "checkpoint": ref}) if as_json else _verdict_line(verdict))
    if failed:
        raise typer.Exit(1)


@app.command()
def explain(
    clip: Path,
    out: Annotated[Path, typer.Option(help="folder for the heat maps")],
    method: Annotated[str, typer.Option(help="gradcam, integrated_gradients or attention")] = "gradcam",
    checkpoint: Ref = None,
    steps: Annotated[int, typer.Option(min=2, help="of integrated gradients")] = 32,
    as_json: Json = False,
) -> None:
    """Show which pixels and frames a checkpoint's verdict on a clip rests on."""
    from dfd import attribution
    from dfd.checkpoints import load
    from dfd.errors import NoFaceError
    from dfd.inference import Detector

    if method not in attribution.VIEWS:
        raise typer.BadParameter(f"'{method}' is not one of {', '.join(attribution.VIEWS)}", param_hint="--method")
    ref = _best(checkpoint)
    loaded = load(ref)
    verdict = Detector(loaded).judge(clip)
    if verdict.face_clip is None:
        raise NoFaceError(verdict.message)
    with printed() as progress:
        found = attribution.explain(loaded, verdict.face_clip, method, steps=steps, progress=progress)
    written = attribution.write(found, verdict.face_clip, out)
    facts = {**verdict.to_json(), "checkpoint": ref, "method": method, "out": str(out), "files": len(written)}
    _show(facts, as_json, f"checkpoint: {ref}\n{_verdict_line(verdict)}\n{len(written)} files in {out}")


@app.command()
def runs(as_json: Json = False) -> None:
    """List the store's detectors with their test figures."""
    _show_runs(None, as_json)


@app.command(name="app")
def serve(port: Port = 8501) -> None:
    """Open the dashboard."""
    from dfd.demo import serve as run

    raise typer.Exit(run(port))


@app.command()
def demo(
    port: Port = 8501,
    serve: Annotated[bool, typer.Option(help="open the dashboard as soon as there is a checkpoint")] = True,
) -> None:
    """Sample corpora, sample sweep, dashboard: everything from nothing."""
    from dfd import demo as run

    if serve:
        raise typer.Exit(run.prepare_and_serve(port))
    with printed() as progress:
        run_ids = run.prepare(progress)
    _show_runs(run_ids, as_json=False)


def main() -> None:
    """Entry point of the `dfd` command."""
    logging.basicConfig(level=logging.WARNING, format="dfd: %(message)s")
    # A run that is ended either way is recorded so; in a shell's background SIGINT is ignored, and SIGTERM must not be.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except DfdError as error:
        _complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(error: DfdError) -> None:
    typer.echo(f"dfd: {error}", err=True)


def _show(facts: dict[str, Any], as_json: bool, text: str) -> None:
    typer.echo(json.dumps(facts) if as_json else text)


def _split(name: str) -> Any:
    from dfd.manifest import SPLITS

    if name not in SPLITS:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(SPLITS)}", param_hint="--split")
    return name


def _best(ref: str | None) -> str:
    from dfd import tracking

    chosen = ref or tracking.best()
    if chosen is None:
        raise DfdError("the store has no registered checkpoint yet; run `make demo` or `dfd train`, or name one")
    return chosen


def _verdict_line(verdict: Any) -> str:
    score = "" if verdict.p_fake is None else f"  p_fake {verdict.p_fake:.3f} (threshold {verdict.threshold:.3f})"
    note = f"  {verdict.message}" if verdict.message else ""
    return f"{verdict.clip}: {verdict.decision}{score}  {verdict.seconds:.2f} s{note}"


def _show_runs(run_ids: list[str] | None, as_json: bool) -> None:
    from dfd import tracking

    table = tracking.detectors()
    if run_ids is not None:
        table = [row for row in table if row["run_id"] in run_ids]
    if as_json:
        typer.echo(json.dumps(table, indent=1))
        return
    typer.echo(f"{'name':<38}{'model':<14}{'frames':>6}{'seed':>5}  {'test AUC (95 %)':<22}{'accuracy':>8}  run")
    for row in table:
        figures = row["metrics"]
        auc, low, high = (figures.get(f"test/auc{end}", float("nan")) for end in ("", "_low", "_high"))
        accuracy = figures.get("test/accuracy", float("nan"))
        typer.echo(
            f"{row['name']:<38}{row['model']:<14}{row['sequence_length']:>6}{row['seed']:>5}  "
            f"{auc:.3f} ({low:.3f}-{high:.3f})   {accuracy:>8.3f}  {row['run_id']}"
        )


if __name__ == "__main__":
    main()
