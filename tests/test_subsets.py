"""Subsets: half real and half fake everywhere, in the shares asked for, nested, and refused where they cannot be."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest, Split, merge
from dfd.subsets import of_compression, of_methods, official, subset

SIZES: dict[Split, int] = {"train": 72, "val": 14, "test": 14}


def corpus(
    name: str = "films",
    *,
    real: dict[Split, int] = SIZES,
    methods: tuple[str, ...] = ("swap", "reenact"),
    fake: dict[Split, int] = SIZES,  # of each method
    compression: str = "c23",
    official: tuple[Split, ...] = SPLITS,
) -> Manifest:
    clips = []
    for method, sizes in (("original", real), *((method, fake) for method in methods)):
        for split, count in sizes.items():
            for number in range(count):
                person = f"{name}-{split}-{number}"
                clips.append(
                    Clip(
                        corpus=name,
                        clip_id=f"{compression}/{method}/{person}",
                        path=Path(f"{person}.mp4"),
                        label=Label.REAL if method == "original" else Label.FAKE,
                        method=method,
                        compression=compression,
                        target_identity=person,
                        source_identity="",
                        split=split,
                        official_split=split in official,
                    )
                )
    return Manifest(name, tuple(clips))


def counts(manifest: Manifest, *names: str) -> Counter[object]:
    """Clips by some of their fields."""
    return Counter(tuple(getattr(clip, name) for name in names) for clip in manifest)


@given(videos=st.integers(1, 100).map(lambda half: 2 * half), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_each_split_is_half_real_half_fake_and_keeps_its_proportion(videos: int, seed: int) -> None:
    chosen = subset(corpus(), videos, None, seed)
    assert len(chosen) == videos
    by = counts(chosen, "split", "label")
    for split, size in SIZES.items():
        assert by[split, Label.REAL] == by[split, Label.FAKE]
        assert abs(by[split, Label.REAL] - videos / 2 * size / 100) <= 1
    for split in SPLITS:
        methods = counts(chosen.split(split), "method")
        assert abs(methods["swap",] - methods["reenact",]) <= 1


def test_all_real_clips_of_a_corpus_can_be_asked_for() -> None:
    assert counts(subset(corpus(), 200, None, 0), "split", "label") == {
        (split, label): size for split, size in SIZES.items() for label in Label
    }


@given(
    first=st.integers(1, 90), second=st.integers(1, 90), shares=st.sampled_from([None, {"films": 0.5, "series": 0.5}])
)
@settings(deadline=None, max_examples=40)
def test_a_smaller_subset_is_within_a_larger_one(first: int, second: int, shares: dict[str, float] | None) -> None:
    both = merge([corpus(), corpus("series", methods=("swap",))])
    few, many = (subset(both, 2 * half, shares, 0) for half in sorted((first, second)))
    assert set(few) <= set(many)


@given(shuffler=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=15)
def test_the_same_clips_are_chosen_whatever_their_order(shuffler: random.Random) -> None:
    clips = list(corpus())
    shuffler.shuffle(clips)
    assert set(subset(Manifest("films", tuple(clips)), 60, None, 0)) == set(subset(corpus(), 60, None, 0))


def test_another_seed_chooses_other_clips_and_the_order_stays() -> None:
    manifest = corpus()
    one, other = (subset(manifest, 60, None, seed) for seed in (0, 1))
    assert set(one) != set(other)
    assert list(one) == [clip for clip in manifest if clip in set(one)]


def test_corpora_have_part_by_their_shares_or_their_size() -> None:
    small = corpus("series", real={"train": 30, "val": 10, "test": 10}, fake={"train": 30, "val": 10, "test": 10})
    both = merge([corpus(), small])
    assert counts(subset(both, 60, None, 0), "corpus") == {("films",): 40, ("series",): 20}
    asked = subset(both, 60, {"films": 0.3, "series": 0.7}, 0)
    assert counts(asked, "corpus") == {("films",): 18, ("series",): 42}
    assert counts(asked, "corpus", "label")["series", Label.REAL] == 21


def test_methods_have_part_equally_as_far_as_they_go() -> None:
    rare = corpus(methods=("rare",), fake={"train": 5, "val": 1, "test": 1}, real={})
    chosen = subset(merge([corpus(methods=("a", "b")), Manifest("films", rare.clips)]), 100, None, 0)
    methods = counts(chosen.split("train"), "method")
    assert methods["rare",] == 5
    assert abs(methods["a",] - methods["b",]) <= 1


@pytest.mark.parametrize(
    ("manifest", "videos", "shares", "said"),
    [
        (corpus(), 202, None, "'films' cannot give the 202 clips .* it has 100 real and 200 fake, .* 14 pairs in test"),
        (corpus(fake={"train": 3}, methods=("swap",)), 20, None, "3 pairs in train, 0 pairs in val, 0 pairs in test"),
        (merge([corpus(), corpus("tv", real={"val": 4})]), 40, {"films": 0.5, "tv": 0.5}, "'tv' cannot give the 20"),
        (merge([corpus(), corpus("tv", real={"val": 4})]), 300, None, "'films.tv' cannot give the 300"),
        (corpus(), 7, None, "7 clips cannot be half real and half fake"),
        (corpus(), 0, None, "0 clips cannot be half real"),
        (corpus(), 4, {"tv": 1.0}, "'films': shares must name each of the corpora and nothing else, 'films' is in one"),
        (merge([corpus(), corpus("tv")]), 4, {"films": 1.0, "tv": 0.0}, "above 0 and sum to 1"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    manifest: Manifest, videos: int, shares: dict[str, float] | None, said: str
) -> None:
    with pytest.raises(ManifestError, match=said):
        subset(manifest, videos, shares, 0)


def test_a_compression_is_chosen_where_a_corpus_comes_in_several() -> None:
    several = Manifest("films", corpus().clips + corpus(compression="c40").clips)
    one = corpus("tv", compression="")
    chosen = of_compression(merge([several, one]), "c40")
    assert counts(chosen, "corpus", "compression") == {("films", "c40"): 300, ("tv", ""): 300}


def test_a_compression_that_is_not_there_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"'films' has no clips of compression 'raw'; .* one it has, 'c23'"):
        of_compression(corpus(), "raw")


def test_methods_choose_fakes_and_leave_real_clips() -> None:
    assert counts(of_methods(corpus(), ("swap",)), "method") == {("original",): 100, ("swap",): 100}


def test_methods_that_are_not_there_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"no fakes of method 'morph'; set data.methods to some of reenact, swap"):
        of_methods(corpus(), ("swap", "morph"))
    both = merge([corpus(), corpus("tv", methods=("warp",))])
    with pytest.raises(ManifestError, match=r"leave corpus 'tv' without fakes; add some of its own \(warp\)"):
        of_methods(both, ("swap",))


def test_official_clips_are_chosen_alone() -> None:
    own = corpus(methods=("extra",), official=())
    mixed = Manifest("films", corpus(methods=("swap",)).clips + own.clips)
    assert official(mixed).clips == corpus(methods=("swap",)).clips


def test_a_corpus_without_an_official_split_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"'films' has no official train and val clips; .*write 'split: any'"):
        official(corpus(official=("test",)))
