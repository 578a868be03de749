"""`dfd sample`, `dfd preprocess`: what detectors read."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from dfd.cli import shared
from dfd.errors import DfdError
from dfd.progress import printed


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


def preprocess(
    root: Annotated[str, typer.Argument(help="name of a corpus (`dfd corpora list`), or a corpus's folder")],
    out: Annotated[str | None, typer.Option(help="folder or URL; data/faces/NAME if not given")] = None,
    experiment: Annotated[Path | None, typer.Option(help="cut as its `crop` section says, not as usual")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes, or Ray actors; one a core if not given")
    ] = None,
    engine: Annotated[Literal["pool", "ray"], typer.Option(help="this machine's cores, or a Ray cluster")] = "pool",
    gpus: Annotated[float, typer.Option(min=0, help="with ray: share of a GPU that an actor takes")] = 0.0,
    as_json: shared.Json = False,
) -> None:
    """Find the faces of a corpus's clips and keep them as face-only videos.

    A folder of videos without fake/ is taken for real clips alone, of which pseudo-fakes can be made. ROOT may be the
    URL of a manifest.csv whose paths are relative to it, such as s3://bucket/corpus/manifest.csv.
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
    for same in report.copies:
        typer.echo(f"the same face-only video: {', '.join(same)}", err=True)
    facts = {"corpus": manifest.name, "out": folder, "clips": report.done + report.skipped, "copies": report.copies}
    facts["failures"] = [{"clip": clip, "reason": reason} for clip, reason in report.failures]
    shared.show(facts, as_json, f"{manifest.name}: {facts['clips']} face-only videos in {folder}")
    if not facts["clips"]:
        raise DfdError(f"no clip of {root} gave a face-only video; the lines above say why of each")
