"""`dfd pseudo-fakes`: a corpus of fakes with known masks, from real clips alone."""

from pathlib import Path
from typing import Annotated

import typer

from dfd.cli import shared
from dfd.progress import printed


def pseudo_fakes(
    root: Annotated[str, typer.Argument(help="name of a corpus (`dfd corpora list`), or a folder of real clips")],
    out: Annotated[Path, typer.Option(help="folder for the corpus")],
    methods: Annotated[
        str, typer.Option(help="self_blend and warp, with commas, dealt out evenly")
    ] = "self_blend,warp",
    share: Annotated[float, typer.Option(help="of each split's real clips that get a fake, up to 1")] = 1.0,
    coherence: Annotated[float, typer.Option(help="1 the same in all frames of a clip .. 0 anew each frame")] = 1.0,
    strength: Annotated[float, typer.Option(help="0.1 nearly invisible .. 1 as published .. 2 plain to see")] = 1.0,
    colour: Annotated[float, typer.Option(help="of the colour shifts, 0 none .. 2")] = 1.0,
    seed: Annotated[int, typer.Option(help="same seed, same fakes")] = 0,
    crf: Annotated[int, typer.Option(min=0, max=51, help="x264's rate factor, of fakes and real clips alike")] = 23,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; one a core if not given")] = None,
    as_json: shared.Json = False,
) -> None:
    """Make pseudo-fakes of real clips, with their masks; the corpus is named as the clips' own, and +pseudo.

    `dfd preprocess OUT` finds its faces, `dfd corpora add OUT` keeps it under a name. Fakes that ROOT has are left out.
    """
    from pydantic import ValidationError

    from dfd.pseudo_fakes.corpus import make_corpus, real_clips
    from dfd.pseudo_fakes.settings import PseudoFakes
    from dfd.settings import explain

    asked = {"share": share, "coherence": coherence, "strength": strength, "colour": colour, "seed": seed}
    try:
        settings = PseudoFakes.model_validate({"methods": [name.strip() for name in methods.split(",")], **asked})
    except ValidationError as error:
        raise typer.BadParameter(explain(error, PseudoFakes)) from None
    with printed() as progress:
        made = make_corpus(real_clips(root), out, settings, crf=crf, workers=workers, progress=progress)
    for clip, reason in made.failures:
        typer.echo(f"left out {clip}: {reason}", err=True)
    facts = {"corpus": made.manifest.name, "out": str(out), "clips": len(made.manifest), "fakes": made.fakes}
    facts |= {"failures": [{"clip": clip, "reason": reason} for clip, reason in made.failures]}
    text = f"{made.manifest.name}: {made.fakes} pseudo-fakes of {len(made.manifest) - made.fakes} real clips in {out}"
    shared.show(facts, as_json, text)
