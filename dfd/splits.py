"""Splits that share nobody, target or source, for the clips that no official split decides.

Official clips keep their split and pin everybody in them to it. The other people are shared out in groups: whoever is
in one fake is in one group, so that no clip is lost. A group of more than half of these clips (in Celeb-DF and
DeepFakeDetection everybody is swapped with everybody) would leave the other splits a few people only: its people are
shared out one by one, and fakes of two splits' people are left out. So it is with a group that official splits pull two
ways.

A stratum is the groups of the same labels and methods; strata of fewer groups than there are splits are one. In each,
groups come in the order of a hash: the first give every split one, the rest go where most is lacking.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest, Split

SHARES: Mapping[Split, float] = {"train": 0.7, "val": 0.15, "test": 0.15}


@dataclass(frozen=True, slots=True)
class Divided:
    """A manifest whose every clip has its split, and what could be in none."""

    manifest: Manifest  # the clips kept, in the order they came
    left_out: tuple[tuple[str, str], ...]  # (clip id, why)


@dataclass(frozen=True, slots=True)
class _Group:
    """People who share a split."""

    people: tuple[str, ...]  # sorted
    clips: int  # that show any of them
    kinds: frozenset[tuple[Label, str]]  # labels and methods of these clips
    pulls: frozenset[Split]  # official splits of the other people in these clips

    @property
    def order(self) -> bytes:
        """Where the group comes: as good as random, and the same on every machine."""
        return hashlib.sha256(self.people[0].encode()).digest()


def divide(manifest: Manifest, shares: Mapping[Split, float] = SHARES) -> Divided:
    """Give every clip a split, so that no person is in two; the order of the clips does not matter.

    A clip that is not official joins the split that the people in it are pinned to, but never an official test split:
    that one stays what others measured on.

    Raises:
        ManifestError: a clip names nobody, or the shares are not shares.
    """
    if min(shares.values(), default=0) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ManifestError(f"the shares of the splits must be 0 or more and sum to 1, not {dict(shares)}")
    nameless = next((clip for clip in manifest if not clip.identities), None)
    if nameless is not None:
        raise ManifestError(
            f"clip '{nameless.clip_id}' of corpus '{nameless.corpus}' names nobody, so that no split can keep them to "
            "itself; give it a target_identity"
        )
    pins = _pins(manifest)
    places = {name: next(iter(splits)) for name, splits in pins.items() if len(splits) == 1}
    free = [clip for clip in manifest if not clip.official_split and _refused(clip, pins) is None]
    places |= _share_out(_groups(free, places), shares)
    kept: list[Clip] = []
    left_out: list[tuple[str, str]] = []
    for clip in manifest:
        why = None if clip.official_split else _refused(clip, pins) or _parted(clip, places)
        if why is not None:
            left_out.append((clip.clip_id, why))
        else:
            kept.append(clip if clip.official_split else replace(clip, split=places[min(clip.identities)]))
    return Divided(replace(manifest, clips=tuple(kept)), tuple(left_out))


def _pins(manifest: Manifest) -> dict[str, set[Split]]:
    pins: dict[str, set[Split]] = defaultdict(set)
    for clip in manifest:
        if clip.official_split:
            for name in clip.identities:
                pins[name].add(clip.split)
    return dict(pins)


def _refused(clip: Clip, pins: Mapping[str, set[Split]]) -> str | None:
    """Why official splits leave this clip no place."""
    pinned = sorted((name, split) for name in clip.identities for split in pins.get(name, ()))
    splits = {split for _, split in pinned}
    if len(splits) > 1:
        return f"official splits pin its people apart: {_listed(pinned)}"
    if "test" in splits:
        return f"'{pinned[0][0]}' is in the official test split, which takes no other clips"
    return None


def _parted(clip: Clip, places: Mapping[str, Split]) -> str | None:
    found = sorted((name, places[name]) for name in clip.identities)
    return f"its people are in two splits: {_listed(found)}" if len({split for _, split in found}) > 1 else None


def _listed(places: Iterable[tuple[str, Split]]) -> str:
    return ", ".join(f"'{name}' in {split}" for name, split in places)


def _groups(clips: list[Clip], pinned: Mapping[str, Split]) -> list[_Group]:
    """The groups of everybody who is not pinned; those that are not to stay whole as single people."""
    touching: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        for name in clip.identities - pinned.keys():
            touching[name].append(clip)
    undecided = sum(not clip.identities <= pinned.keys() for clip in clips)
    groups: list[_Group] = []
    for people in _components(clip.identities - pinned.keys() for clip in clips):
        group = _group(people, touching, pinned)
        whole = 2 * group.clips <= undecided and len(group.pulls) < 2
        groups += [group] if whole else [_group([name], touching, pinned) for name in people]
    return groups


def _group(people: list[str], touching: Mapping[str, list[Clip]], pinned: Mapping[str, Split]) -> _Group:
    clips = {id(clip): clip for name in people for clip in touching[name]}.values()  # two of them may share a clip
    return _Group(
        tuple(sorted(people)),
        len(clips),
        frozenset((clip.label, clip.method) for clip in clips),
        frozenset(pinned[name] for clip in clips for name in clip.identities & pinned.keys()),
    )


def _components(links: Iterable[frozenset[str]]) -> list[list[str]]:
    """People who are linked, directly or through others (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for linked in links:
        for name in linked:
            parent.setdefault(name, name)
        roots = sorted({root(name) for name in linked})
        for other in roots[1:]:
            parent[other] = roots[0]
    members: dict[str, list[str]] = defaultdict(list)
    for name in parent:
        members[root(name)].append(name)
    return list(members.values())


def _share_out(groups: Iterable[_Group], shares: Mapping[Split, float]) -> dict[str, Split]:
    """Everybody's split."""
    places: dict[str, Split] = {}
    strata: dict[frozenset[tuple[Label, str]], list[_Group]] = defaultdict(list)
    for group in groups:
        if len(group.pulls) == 1:
            places |= dict.fromkeys(group.people, next(iter(group.pulls)))
        else:
            strata[group.kinds].append(group)
    open_splits = sorted((split for split in SPLITS if shares.get(split, 0) > 0), key=lambda split: -shares[split])
    rare = [stratum for stratum in strata.values() if len(stratum) < len(open_splits)]
    common = [stratum for stratum in strata.values() if len(stratum) >= len(open_splits)]
    for stratum in [*common, list(chain.from_iterable(rare))]:
        for group, split in _share_stratum(sorted(stratum, key=lambda group: group.order), open_splits, shares):
            places |= dict.fromkeys(group.people, split)
    return places


def _share_stratum(
    groups: list[_Group], splits: list[Split], shares: Mapping[Split, float]
) -> Iterator[tuple[_Group, Split]]:
    """Each group and its split; `splits` by falling share."""
    given: Counter[Split] = Counter()
    first = sorted(groups[: len(splits)], key=lambda group: -group.clips)  # the largest where most is wanted
    for place, group in enumerate([*first, *groups[len(splits) :]]):
        total = given.total() + group.clips
        split = splits[place] if place < len(splits) else max(splits, key=lambda at: shares[at] * total - given[at])
        given[split] += group.clips
        yield group, split
