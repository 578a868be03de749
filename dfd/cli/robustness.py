"""`dfd robustness`: how far a checkpoint's figures fall as its clips grow worse."""

from typing import Annotated

import typer

from dfd.cli import shared
from dfd.progress import printed


def robustness(
    corpus: Annotated[str, typer.Argument(help="a preprocessed corpus")],
    checkpoint: shared.Ref = None,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    kinds: Annotated[
        str | None,
        typer.Option(help="with commas: h264, jpeg, blur, noise, downscale, fgsm, pgd; the first five if not given"),
    ] = None,
    levels: Annotated[str | None, typer.Option(help="with commas, of 1 to 5; all if not given")] = None,
    clips: Annotated[
        int | None, typer.Option(min=2, help="so many alone, half real and half fake, the same ones each time")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="of pgd")] = 10,
    as_json: shared.Json = False,
) -> None:
    """Draw a checkpoint's robustness curves over a split of a corpus, and record them as a run.

    Every level of a kind is one more evaluation of the same clips at the checkpoint's own threshold. The face crops
    are changed as they are read, not the full clips before faces are found. fgsm and pgd are attacks that know the
    detector; they take several times as long.
    """
    from dfd.checkpoints import load
    from dfd.data import face_corpus
    from dfd.robustness import EVERY, KINDS, USUAL, robustness_and_record

    asked = shared.split(split)
    wanted = _listed(kinds, list(KINDS), "--kinds") or USUAL
    numbers = [int(level) for level in _listed(levels, [str(level) for level in EVERY], "--levels")] or EVERY
    loaded = load(shared.best(checkpoint))
    with printed() as progress:
        run_id, found = robustness_and_record(
            loaded, face_corpus(corpus), asked, wanted, numbers, clips=clips, steps=steps, progress=progress
        )
    facts = {"run_id": run_id, "checkpoint": loaded.ref, "corpus": corpus, "split": split, "rows": found.to_json()}
    shared.show(facts, as_json, f"{loaded.meta.name} on {corpus} {split}, run {run_id}\n{found.text}")


def _listed(text: str | None, known: list[str], option: str) -> list[str]:
    """What stands between the commas; wrong usage if one of it is not known."""
    given = [part.strip() for part in (text or "").split(",") if part.strip()]
    unknown = [part for part in given if part not in known]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}' is not one of {', '.join(known)}", param_hint=option)
    return given
