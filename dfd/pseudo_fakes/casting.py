"""Which real clip gets which pseudo-fake, and how both stand in a manifest."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest
from dfd.pseudo_fakes.settings import Method, PseudoFakes, pseudo


def cast(manifest: Manifest, settings: PseudoFakes) -> dict[str, Method]:
    """By clip id, the method of every real clip that gets a fake: `share` of each split, the methods by turns.

    Clips come in the order of a hash of seed and id; those without a face (`frames` 0) get none.
    """

    def order(clip: Clip) -> bytes:
        return hashlib.sha256(f"{settings.seed}\x1f{clip.corpus}\x1f{clip.clip_id}".encode()).digest()

    roles: dict[str, Method] = {}
    for split in SPLITS:
        there = [clip for clip in manifest.split(split) if clip.label is Label.REAL and clip.frames != 0]
        chosen = sorted(there, key=order)[: max(1, round(settings.share * len(there)))]
        roles |= {clip.clip_id: settings.methods[at % len(settings.methods)] for at, clip in enumerate(chosen)}
    return roles


def pair(
    real: Clip, path: Path, fake: tuple[Method, Path] | None, settings: PseudoFakes, **changes: str | int | None
) -> Iterator[Clip]:
    """A real clip in a corpus of pseudo-fakes, and its fake, which shows nobody else and has its split.

    The fake's id holds the key of the settings, so that the digest of a corpus tells other fakes from these.
    """
    own = replace(real, corpus=pseudo(real.corpus), path=path, **changes)  # type: ignore[arg-type]
    yield own
    if fake is not None:
        method, place = fake
        yield replace(
            own,
            clip_id=f"{method}.{settings.key()}/{real.clip_id}",
            path=place,
            label=Label.FAKE,
            method=method,
            source_identity=real.target_identity,
        )
