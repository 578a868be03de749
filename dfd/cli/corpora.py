"""`dfd corpora`: thin verbs over the registry of corpora."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dfd.cli import shared
from dfd.progress import printed

if TYPE_CHECKING:
    from dfd.corpora.registry import Registered

app = typer.Typer(help="Corpora under a name: add, list, check.", no_args_is_help=True)

SHOWN = 3  # examples of what is missing or left out; --json has all


@app.command()
def add(
    root: Annotated[Path, typer.Argument(help="the corpus's folder, as its download left it")],
    name: Annotated[str | None, typer.Option(help="the folder's name if not given")] = None,
    kind: Annotated[str | None, typer.Option(help="as the layout says if not given")] = None,
    compression: Annotated[str | None, typer.Option(help="faceforensics: raw, c23 or c40; c23 if not given")] = None,
    methods: Annotated[
        str | None, typer.Option(help="faceforensics: names with commas; all there if not given")
    ] = None,
    actors: Annotated[bool, typer.Option("--actors", help="faceforensics: DeepFakeDetection as well")] = False,
    splits: Annotated[
        Path | None, typer.Option(help="faceforensics: folder of train.json, val.json, test.json")
    ] = None,
    split: Annotated[
        Literal["official", "identity"] | None, typer.Option(help="official where there is one if not given")
    ] = None,
    drop_audio_altered: Annotated[
        bool, typer.Option("--drop-audio-altered", help="dfdc: leave out fakes of which only the voice was changed")
    ] = False,
    table: Annotated[Path | None, typer.Option(help="csv, face_only: the CSV file")] = None,
    fake_label: Annotated[
        int | None, typer.Option(min=0, max=1, help="csv, face_only: which number is fake, if labels are numbers")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="take the name from another corpus")] = False,
    as_json: shared.Json = False,
) -> None:
    """Read a corpus, divide it into splits that share nobody, and keep it under a name."""
    from dfd.corpora import registry
    from dfd.corpora.kinds import Options

    options = Options(
        split=split,
        compression=compression,
        methods=tuple(part.strip() for part in methods.split(",")) if methods else None,
        actors=actors or None,
        splits=splits,
        drop_audio_altered=drop_audio_altered or None,
        table=table,
        fake_label=fake_label,
    )
    with printed() as progress:
        found = registry.add(
            name or root.resolve().name, root, kind, options=options, replace=replace, progress=progress
        )
    shared.show(_facts(found), as_json, "\n".join(_lines(found)))


@app.command(name="list")
def show(as_json: shared.Json = False) -> None:
    """List the corpora that were added, and the sample corpora."""
    from dfd.corpora import registry

    found = registry.registered()
    lines = [f"{'name':<24}{'kind':<15}{'clips':>8}{'coverage':>10}  root"]
    lines += [f"{one.name:<24}{one.kind:<15}{one.clips:>8}{one.coverage:>10.1%}  {one.root}" for one in found]
    text = "\n".join(lines) if found else "no corpus yet; `dfd corpora add` and `dfd sample` make some"
    shared.show([_facts(one) for one in found], as_json, text)


@app.command()
def check(name: str, as_json: shared.Json = False) -> None:
    """Look at a corpus again: who leaks, what is gone, what is new. Exit code 1 if anything is."""
    from dataclasses import asdict

    from dfd.corpora import registry

    found = registry.check(name)
    lines = [found.leak] if found.leak else []
    if found.edited:
        lines.append(f"the manifest of '{name}' was edited since it was added")
    lines += _some("clips are gone", found.gone) + _some("files are new", found.new)
    if lines:
        lines.append("`dfd corpora add --replace` reads the corpus anew")
    text = "\n".join([*lines, f"{name}: {'sound' if found.sound else 'not sound'}, coverage {found.coverage:.1%}"])
    shared.show({**asdict(found), "sound": found.sound}, as_json, text)
    if not found.sound:
        raise typer.Exit(1)


def _facts(found: "Registered") -> dict[str, Any]:
    return {
        "name": found.name, "kind": found.kind, "root": str(found.root), "options": found.options.record(),
        "added": found.added, "clips": found.clips, "expected": found.expected, "coverage": found.coverage,
        "missing": found.missing, "left_out": found.left_out, "notes": found.notes,
    }  # fmt: skip


def _lines(found: "Registered") -> list[str]:
    clips = found.manifest().clips
    counts = Counter((clip.split, clip.label.word) for clip in clips)
    listed = ", ".join(
        f"{counts[key]} {key[0]} {key[1]}" for key in sorted(counts, key=counts.__getitem__, reverse=True)
    )
    lines = [f"{found.name}: {found.clips} clips of {found.root} ({found.kind}): {listed}"]
    lines += [f"  {note}" for note in found.notes]
    lines += [f"  {line}" for line in _some(f"of {found.expected} clips are missing", found.missing)]
    return lines + [f"  {line}" for line in _some("are left out", [f"{at} ({why})" for at, why in found.left_out])]


def _some(what: str, names: Iterable[str]) -> list[str]:
    """How many, and the first of them."""
    listed = list(names)
    if not listed:
        return []
    more = ", ..." if len(listed) > SHOWN else ""
    return [f"{len(listed)} {what}: {', '.join(listed[:SHOWN])}{more}"]
