"""`dfd predict`, `dfd explain`: what a checkpoint says of a clip, and what from."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from dfd.cli import shared
from dfd.errors import DfdError
from dfd.progress import part, printed


def predict(clips: list[Path], checkpoint: shared.Ref = None, as_json: shared.Json = False) -> None:
    """Judge clips: one line, or one JSON object, a clip.

    With several people each is judged, the most suspicious one is the clip's verdict, and `tracks` in JSON has all.
    """
    from dfd.checkpoints import load
    from dfd.inference import Detector

    ref = shared.best(checkpoint)
    detector = Detector(load(ref))
    if not as_json:
        typer.echo(f"checkpoint: {ref} ({detector.checkpoint.meta.name}), on {detector.device_name}")
    failed = 0
    for clip in clips:
        try:
            verdict = detector.judge(clip)
        except DfdError as error:
            failed += 1
            shared.complain(error)
            continue
        typer.echo(json.dumps({**verdict.to_json(), "checkpoint": ref}) if as_json else shared.verdict_line(verdict))
    if failed:
        raise typer.Exit(1)


def explain(
    clip: Annotated[Path | None, typer.Argument(help="a clip; or give --corpus")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the heat maps of the clip")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="gradcam (the usual one), integrated_gradients, gradient_shap, occlusion, saliency, smoothgrad; "
            "attention, where a detector has its own; with --corpus several with commas, all of them if not given"
        ),
    ] = None,
    checkpoint: shared.Ref = None,
    corpus: Annotated[str | None, typer.Option(help="instead of a clip: are the maps of its clips true?")] = None,
    split: Annotated[str, typer.Option(help="of the corpus: train, val or test")] = "test",
    clips: Annotated[int | None, typer.Option(min=2, help="of the corpus, half real and half fake; all if not")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="of the corpus: as many draws a clip as the page takes; 10 times as long")
    ] = False,
    steps: Annotated[int, typer.Option(min=2, help="of integrated gradients")] = 32,
    layer: Annotated[str, typer.Option(help="of Grad-CAM: layer1 to layer4")] = "layer3",
    baseline: Annotated[str, typer.Option(help="what a face is compared with: blurred, mean or black")] = "blurred",
    precision: Annotated[
        str, typer.Option(help="of a clip's maps: fast (bfloat16 where that is quick), or float32, twice as long")
    ] = "fast",
    extras: Annotated[
        bool, typer.Option("--extras", help="of a clip, also strip.png, overlay.mp4 and maps.npz")
    ] = False,
    as_json: shared.Json = False,
) -> None:
    """Show which pixels and frames a checkpoint's verdict on a clip rests on; or, of a corpus, whether maps are true.

    With --corpus every method's maps are held to the masks of what was manipulated, where they are known, and to the
    network's own answers, beside a random map and the picture's edges; the table is recorded as a run. A minute a
    clip, about, of a ResNeXt-50 that reads 20 frames, on two cores; killed, the same command goes on.
    """
    if (clip is None) == (corpus is None):
        raise typer.BadParameter("give a clip, or --corpus")
    if corpus is not None:
        _audit(corpus, shared.split(split), method, checkpoint, clips, thorough, as_json)
    else:
        assert clip is not None
        if out is None:
            raise typer.BadParameter("give a folder for the heat maps", param_hint="--out")
        how = {"steps": steps, "layer": layer, "baseline": baseline, "precision": precision}
        _explain_clip(clip, out, method or "gradcam", checkpoint, how, extras, as_json)


def _audit(
    corpus: str,
    split: Any,
    method: str | None,
    checkpoint: str | None,
    clips: int | None,
    thorough: bool,
    as_json: bool,
) -> None:
    from dfd import audit
    from dfd.attribution import METHODS, views
    from dfd.checkpoints import load
    from dfd.data import face_corpus

    loaded = load(shared.best(checkpoint))
    methods = [part.strip() for part in method.split(",")] if method else list(METHODS)
    known = views(loaded.model)
    for name in methods:
        _one_of(name, known, "--method")
    effort = audit.THOROUGH if thorough else audit.QUICK
    with printed() as progress:
        run_id, found = audit.audit_and_record(
            loaded, face_corpus(corpus), split, methods, clips=clips, effort=effort, progress=progress
        )
    rows = found.table.astype(object)
    facts = {"run_id": run_id, "checkpoint": loaded.ref, "corpus": corpus, "split": split}
    facts["effort"] = effort.parameters
    facts["rows"] = rows.where(rows.notna(), None).to_dict("records")
    shared.show(facts, as_json, f"{loaded.meta.name} on {corpus} {split}, run {run_id}\n{found.text}")


def _explain_clip(
    clip: Path,
    out: Path,
    method: str,
    checkpoint: str | None,
    how: dict[str, Any],
    extras: bool,
    as_json: bool,
) -> None:
    from dfd import attribution
    from dfd.attribution.export import everything, write_extras
    from dfd.attribution.timeline import timeline
    from dfd.checkpoints import load
    from dfd.errors import NoFaceError
    from dfd.inference import Detector

    _one_of(method, attribution.VIEWS, "--method")
    _one_of(how["baseline"], attribution.BASELINES, "--baseline")
    _one_of(how["precision"], attribution.PRECISIONS, "--precision")
    ref = shared.best(checkpoint)
    loaded = load(ref)
    verdict = Detector(loaded).judge(clip)
    face = verdict.face_clip
    if face is None or verdict.p_fake is None:  # where there is no verdict, there is nothing that it rests on
        raise NoFaceError(verdict.message)
    with printed() as progress:
        try:
            found = attribution.explain(loaded, face, method, **how, progress=part(progress, 0, 0.8))
        except ValueError as error:  # which layers there are, the detector says
            raise typer.BadParameter(str(error)) from None
        told = timeline(
            loaded, face, baseline=how["baseline"], features=found.features, progress=part(progress, 0.8, 1)
        )
    written = attribution.write(found, face, out, everything(found, told, face))
    if extras:
        written += write_extras(found, told, face, out)
    facts = {**verdict.to_json(), "checkpoint": ref, "method": method, "out": str(out), "files": len(written)}
    shared.show(facts, as_json, f"checkpoint: {ref}\n{shared.verdict_line(verdict)}\n{len(written)} files in {out}")


def _one_of(name: str, known: Iterable[str], option: str) -> None:
    if name not in known:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(known)}", param_hint=option)
