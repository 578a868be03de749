"""Splits: nobody in two, nothing lost unsaid, official splits as they are, and the same on every machine."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest, Split
from dfd.splits import SHARES, Divided, divide


def real(person: str, number: int = 0, **changes: object) -> Clip:
    clip = Clip(
        corpus="films",
        clip_id=f"original/{person}/{number}",
        path=Path(f"{person}-{number}.mp4"),
        label=Label.REAL,
        method="original",
        compression="",
        target_identity=person,
        source_identity="",
        split="train",
        official_split=False,
    )
    return replace(clip, **changes)  # type: ignore[arg-type]


def fake(target: str, source: str, number: int = 0, method: str = "swap", **changes: object) -> Clip:
    names = {"clip_id": f"{method}/{target}_{source}/{number}", "method": method, "source_identity": source}
    return real(target, number, label=Label.FAKE, **{**names, **changes})


def films(*clips: Clip) -> Manifest:
    return Manifest("films", clips)


def share(divided: Divided, split: Split, *, of: Label | None = None) -> float:
    clips = [clip for clip in divided.manifest if of in (None, clip.label)]
    return sum(clip.split == split for clip in clips) / len(clips)


def pairs(count: int) -> list[Clip]:
    """As in FaceForensics++: people in pairs, each swapped with the other, by two methods."""
    found = []
    for number in range(0, 2 * count, 2):
        one, other = f"p{number:04d}", f"p{number + 1:04d}"
        found += [real(one), real(other)]
        swaps = ((one, other), (other, one))
        found += [fake(target, source, method=m) for target, source in swaps for m in ("swap", "reenact")]
    return found


def circle(people: int, fakes: int) -> list[Clip]:
    """As in Celeb-DF: everybody is swapped with everybody."""
    draw = random.Random(0)
    names = [f"id{number:02d}" for number in range(people)]
    swaps = [draw.sample(names, 2) for _ in range(fakes)]
    clips = [real(name, number) for name in names for number in range(8)]
    return clips + [fake(target, source, number) for number, (target, source) in enumerate(swaps)]


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Anybody swapped with anybody, partly official; official clips do not contradict each other."""
    people = [f"p{number}" for number in range(draw(st.integers(1, 12)))]
    officially: dict[str, Split] = {name: draw(st.sampled_from(SPLITS)) for name in people}
    clips = []
    for number in range(draw(st.integers(1, 30))):
        target, source = draw(st.sampled_from(people)), draw(st.sampled_from(["", *people]))
        agreed = not source or officially[source] == officially[target]
        published = draw(st.booleans()) and agreed
        method = draw(st.sampled_from(["swap", "reenact"]))
        clip = fake(target, source, number, method) if source else real(target, number)
        clips.append(replace(clip, official_split=published, split=officially[target]))
    return films(*clips)


@given(manifest=manifests())
@settings(deadline=None, max_examples=80)
def test_nobody_is_in_two_splits_and_every_clip_is_accounted_for(manifest: Manifest) -> None:
    divided = divide(manifest)
    if len(divided.manifest):
        divided.manifest.check()
    out = [clip_id for clip_id, _ in divided.left_out]
    assert sorted([*out, *(clip.clip_id for clip in divided.manifest)]) == sorted(clip.clip_id for clip in manifest)
    assert all(len(why) > 20 for _, why in divided.left_out)


@given(manifest=manifests(), shuffler=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_the_clips_does_not_matter(manifest: Manifest, shuffler: random.Random) -> None:
    shuffled = list(manifest)
    shuffler.shuffle(shuffled)
    one, other = divide(manifest), divide(films(*shuffled))
    assert set(one.manifest) == set(other.manifest)
    assert set(one.left_out) == set(other.left_out)


@given(manifest=manifests())
@settings(deadline=None, max_examples=60)
def test_official_clips_stay_as_they_are_and_nobody_joins_the_official_test(manifest: Manifest) -> None:
    divided = divide(manifest)
    before = [clip for clip in manifest if clip.official_split]
    assert [clip for clip in divided.manifest if clip.official_split] == before
    tested = {name for clip in before if clip.split == "test" for name in clip.identities}
    assert not any(clip.identities & tested for clip in divided.manifest if not clip.official_split)


@pytest.mark.parametrize("shares", [SHARES, {"train": 0.5, "val": 0.25, "test": 0.25}])
def test_shares_hold_for_both_classes_and_no_clip_of_a_pair_is_lost(shares: dict[Split, float]) -> None:
    divided = divide(films(*pairs(200)), shares)
    assert divided.left_out == ()
    for label in Label:
        for split in SPLITS:
            assert share(divided, split, of=label) == pytest.approx(shares[split], abs=0.02)


@given(groups=st.integers(60, 200), name=st.text("abc", max_size=5))
@settings(deadline=None, max_examples=20)
def test_shares_hold_whatever_people_are_called(groups: int, name: str) -> None:
    clips = [real(f"{name}{number}", take) for number in range(groups) for take in range(1 + number % 3)]
    divided = divide(films(*clips))
    for split in SPLITS:
        assert share(divided, split) == pytest.approx(SHARES[split], abs=0.05)


def test_every_stratum_is_in_every_split() -> None:
    rare = [clip for number in range(3) for clip in (real(f"r{number}"), fake(f"r{number}", "", method="rare"))]
    divided = divide(films(*pairs(50), *rare))
    for split in SPLITS:
        methods = Counter(clip.method for clip in divided.manifest if clip.split == split)
        assert methods["rare"] == 1
        assert min(methods["swap"], methods["reenact"], methods["original"]) > 5


def test_strata_of_too_few_groups_do_not_all_go_one_way() -> None:
    odd = [fake(f"o{number}", "", method=f"method {number}") for number in range(30)]
    divided = divide(films(*odd))
    assert Counter(clip.split for clip in divided.manifest) == {"train": 21, "val": 5, "test": 4}


def test_a_split_without_a_share_gets_nothing() -> None:
    divided = divide(films(*pairs(20)), {"train": 0.5, "val": 0.0, "test": 0.5})
    assert {clip.split for clip in divided.manifest} == {"train", "test"}


def test_where_everybody_is_swapped_with_everybody_bridging_fakes_are_left_out() -> None:
    clips = circle(40, 1200)
    divided = divide(films(*clips))
    assert share(divided, "train", of=Label.REAL) == pytest.approx(0.7, abs=0.05)
    for split in SPLITS:
        assert {clip.label for clip in divided.manifest if clip.split == split} == set(Label)
    places = {clip.target_identity: clip.split for clip in divided.manifest if clip.label is Label.REAL}
    whole = {clip.clip_id: clip for clip in clips}
    for clip_id, why in divided.left_out:
        target, source = whole[clip_id].target_identity, whole[clip_id].source_identity
        assert source, "a clip of one person is never left out"
        assert places[target] != places[source]
        assert f"'{target}' in {places[target]}" in why
        assert f"'{source}' in {places[source]}" in why
    within = sum(len({places[name] for name in clip.identities}) == 1 for clip in clips if clip.label is Label.FAKE)
    assert within == sum(clip.label is Label.FAKE for clip in divided.manifest), "no more are left out than must be"


def test_a_group_of_less_than_half_of_the_clips_stays_whole() -> None:
    crowd = [fake(f"c{number}", f"c{number + 1}") for number in range(12)]
    divided = divide(films(*crowd, *pairs(5)))
    assert divided.left_out == ()
    assert {clip.split for clip in divided.manifest if clip.target_identity[0] == "c"} == {"train"}


OFFICIAL = {"official_split": True}


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (real("ann", 1), "'ann' is in the official test split"),
        (fake("new", "ann"), "'ann' is in the official test split"),
        (fake("ann", "bob"), "official splits pin its people apart: 'ann' in test, 'bob' in val"),
        (fake("bob", "cat"), "official splits pin its people apart: 'bob' in val, 'cat' in train"),
    ],
)
def test_what_official_splits_forbid_is_left_out_with_the_reason(clip: Clip, why: str) -> None:
    published = [
        real("ann", split="test", **OFFICIAL),
        real("bob", split="val", **OFFICIAL),
        real("cat", split="train", **OFFICIAL),
    ]
    divided = divide(films(*published, clip))
    assert divided.manifest.clips == tuple(published)
    ((clip_id, said),) = divided.left_out
    assert clip_id == clip.clip_id
    assert said.startswith(why)


def test_people_swapped_with_an_official_person_join_their_split() -> None:
    published = real("bob", split="val", **OFFICIAL)
    divided = divide(films(published, fake("bob", "new"), real("new"), fake("new", "newer"), *pairs(10)))
    places = {clip.clip_id: clip.split for clip in divided.manifest}
    assert divided.left_out == ()
    assert {places[f"{clip_id}/0"] for clip_id in ("swap/bob_new", "original/new", "swap/new_newer")} == {"val"}


def test_people_whom_official_splits_pull_two_ways_are_taken_one_by_one() -> None:
    published = [real("bob", split="val", **OFFICIAL), real("cat", split="train", **OFFICIAL)]
    chain = [fake("bob", "x"), fake("x", "y"), fake("y", "cat")]
    divided = divide(films(*published, *chain, real("x"), real("y"), *pairs(10)))
    assert [clip_id for clip_id, _ in divided.left_out] == ["swap/x_y/0"]
    places = {clip.clip_id: clip.split for clip in divided.manifest}
    assert (places["original/x/0"], places["original/y/0"]) == ("val", "train")


def test_an_official_contradiction_is_not_hidden() -> None:
    published = [real("ann", number, split=split, **OFFICIAL) for number, split in enumerate(("train", "test"))]
    divided = divide(films(*published, real("ann", 2)))
    assert [clip_id for clip_id, _ in divided.left_out] == ["original/ann/2"]
    with pytest.raises(ManifestError, match="leaks 1 identities"):
        divided.manifest.check()


def test_a_clip_of_nobody_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"clip 'original/ann/0' of corpus 'films' names nobody.*target_identity"):
        divide(films(replace(real("ann"), target_identity="")))


@pytest.mark.parametrize("shares", [{"train": 0.7, "val": 0.1}, {"train": 1.2, "val": -0.2}, {}])
def test_shares_that_are_none_are_refused(shares: dict[Split, float]) -> None:
    with pytest.raises(ManifestError, match="0 or more and sum to 1"):
        divide(films(real("ann")), shares)
