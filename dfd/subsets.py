"""A part of a manifest: one compression, some methods, the official clips, a balanced number of clips.

Clips keep their split and their order. Which clips a balanced number takes follows a hash of clip and seed, and room is
given one pair of a real and a fake clip at a time, so that a larger number holds every clip of a smaller one.
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest


def of_compression(manifest: Manifest, compression: str) -> Manifest:
    """The clips of one compression; corpora that come in one alone, and so name none, are left whole.

    Raises:
        ManifestError: a corpus names compressions, and not this one.
    """
    kept = _where(manifest, lambda clip: clip.compression in (compression, ""))
    for corpus in sorted(_corpora(manifest) - _corpora(kept)):
        found = sorted({clip.compression for clip in _of_corpus(manifest, corpus)})
        raise ManifestError(
            f"corpus '{corpus}' has no clips of compression '{compression}'; set data.compression to one it has, "
            f"{_either(found)}, or preprocess that one too"
        )
    return kept


def of_methods(manifest: Manifest, methods: Collection[str]) -> Manifest:
    """All real clips, and the fakes of some methods.

    Raises:
        ManifestError: no corpus has one of the methods, or a corpus is left without fakes.
    """
    fakes = _where(manifest, lambda clip: clip.label is Label.FAKE)
    known = sorted({clip.method for clip in fakes})
    unknown = sorted(set(methods) - set(known))
    if unknown:
        raise ManifestError(
            f"corpus '{manifest.name}' has no fakes of method '{unknown[0]}'; set data.methods to some of "
            f"{', '.join(known)}"
        )
    chosen = _where(fakes, lambda clip: clip.method in methods)
    for corpus in sorted(_corpora(manifest) - _corpora(chosen)):
        found = sorted({clip.method for clip in _of_corpus(fakes, corpus)})
        raise ManifestError(
            f"data.methods leave corpus '{corpus}' without fakes; add some of its own ({', '.join(found)}) or leave "
            "the corpus out"
        )
    return _where(manifest, lambda clip: clip.label is Label.REAL or clip.method in methods)


def official(manifest: Manifest) -> Manifest:
    """The clips whose split is the published one.

    Raises:
        ManifestError: a corpus has none of these in some split.
    """
    kept = _where(manifest, lambda clip: clip.official_split)
    there = {(clip.corpus, clip.split) for clip in kept}
    for corpus in sorted(_corpora(manifest)):
        lacking = [split for split in SPLITS if (corpus, split) not in there]
        if lacking:
            raise ManifestError(
                f"corpus '{corpus}' has no official {' and '.join(lacking)} clips; preprocess it with the published "
                "lists of its splits, or write 'split: any' in the experiment's data"
            )
    return kept


def wrong_shares(shares: Mapping[str, float], corpora: Collection[str]) -> str | None:
    """What is wrong with the shares of corpora, if anything."""
    odd = sorted(set(corpora) ^ shares.keys())
    if odd:
        return f"shares must name each of the corpora and nothing else, '{odd[0]}' is in one of them only"
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        return f"shares must be above 0 and sum to 1, they sum to {sum(shares.values()):g}"
    return None


def subset(manifest: Manifest, videos: int, shares: Mapping[str, float] | None, seed: int) -> Manifest:
    """So many clips, half of them real and half fake, in every corpus and every split.

    A corpus's splits, and the corpora where no shares are given, have part in proportion to the pairs of a real and a
    fake clip that they can give; a corpus's methods have part equally, as far as they go.

    Raises:
        ManifestError: a corpus has too few clips of a class, the number is odd, or the shares are wrong.
    """
    if videos < 2 or videos % 2:
        raise ManifestError(f"{videos} clips cannot be half real and half fake; ask for an even number")
    wrong = wrong_shares(shares, _corpora(manifest)) if shares is not None else None
    if wrong is not None:
        raise ManifestError(f"corpus '{manifest.name}': {wrong}")
    pools = {corpus: _of_corpus(manifest, corpus) for corpus in sorted(_corpora(manifest))}
    room = {corpus: _pairs(pool) for corpus, pool in pools.items()}
    if shares is None:
        _require(manifest, sum(room.values(), Counter[str]()), videos // 2)
    parts = _apportion(videos // 2, shares or {corpus: pairs.total() for corpus, pairs in room.items()})
    chosen: set[tuple[str, str]] = set()
    for corpus, pairs in parts.items():
        _require(pools[corpus], room[corpus], pairs)
        for split, count in _apportion(pairs, room[corpus]).items():
            for label in Label:
                drawn = _drawn(pools[corpus], split, label, seed)
                chosen |= {(clip.corpus, clip.clip_id) for clip in drawn[:count]}
    return _where(manifest, lambda clip: (clip.corpus, clip.clip_id) in chosen)


def _where(manifest: Manifest, keep: Callable[[Clip], bool]) -> Manifest:
    return replace(manifest, clips=tuple(clip for clip in manifest if keep(clip)))


def _of_corpus(manifest: Manifest, corpus: str) -> Manifest:
    return _where(manifest, lambda clip: clip.corpus == corpus)


def _corpora(manifest: Iterable[Clip]) -> set[str]:
    return {clip.corpus for clip in manifest}


def _either(words: list[str]) -> str:
    return " or ".join(f"'{word}'" for word in words)


def _pairs(manifest: Manifest) -> Counter[str]:
    """Of each split, how many pairs of a real and a fake clip it can give."""
    count = Counter((clip.split, clip.label) for clip in manifest)
    return Counter({split: min(count[split, label] for label in Label) for split in SPLITS})


def _require(manifest: Manifest, room: Counter[str], pairs: int) -> None:
    if pairs <= room.total():
        return
    corpora = "+".join(sorted(_corpora(manifest)))
    count = Counter(clip.label for clip in manifest)
    raise ManifestError(
        f"corpus '{corpora}' cannot give the {2 * pairs} clips asked of it, half real and half fake: it has "
        f"{count[Label.REAL]} real and {count[Label.FAKE]} fake, which make "
        f"{', '.join(f'{room[split]} pairs in {split}' for split in SPLITS)}; lower data.videos or its part in "
        "data.shares"
    )


def _apportion(seats: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in the ratio of the weights (Webster's method: where seats are added, nobody loses one)."""
    given = dict.fromkeys(weights, 0)
    queue = [(-weight, place, key) for place, (key, weight) in enumerate(weights.items()) if weight > 0]
    heapq.heapify(queue)
    for _ in range(seats):
        _, place, key = queue[0]
        given[key] += 1
        heapq.heapreplace(queue, (-weights[key] / (2 * given[key] + 1), place, key))
    return given


def _drawn(manifest: Manifest, split: str, label: Label, seed: int) -> list[Clip]:
    """The clips of a split and class in the order they are taken: by turns of their methods, each by its hash."""
    methods: dict[str, list[Clip]] = defaultdict(list)
    for clip in manifest:
        if clip.split == split and clip.label is label:
            methods[clip.method].append(clip)
    for clips in methods.values():
        clips.sort(key=lambda clip: hashlib.sha256(f"{seed}\x1f{clip.corpus}\x1f{clip.clip_id}".encode()).digest())
    return list(_by_turns([methods[name] for name in sorted(methods)]))


def _by_turns(rows: list[list[Clip]]) -> Iterator[Clip]:
    for turn in zip_longest(*rows):
        yield from (clip for clip in turn if clip is not None)
