"""FaceForensics++: four methods of one pair are four clips, and the official pair lists decide."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.corpora.faceforensics import faceforensics
from dfd.errors import ManifestError
from dfd.labels import Label
from tests import corpora_trees as trees


def test_a_pair_under_four_methods_stays_four_clips(tmp_path: Path) -> None:
    manifest = faceforensics(trees.faceforensics(tmp_path), name="ff").manifest.check()
    fakes = [clip for clip in manifest if clip.path.stem == "071_054"]
    assert [clip.clip_id for clip in fakes] == [f"{method}/c23/071_054" for method in trees.METHODS]
    assert {(clip.target_identity, clip.source_identity) for clip in fakes} == {("ff-071", "ff-054")}
    assert {(clip.label, clip.method, clip.compression) for clip in manifest if clip.path.stem == "071"} == {
        (Label.REAL, "original", "c23")
    }


def test_the_official_lists_decide_the_splits(tmp_path: Path) -> None:
    listing = faceforensics(trees.faceforensics(tmp_path), name="ff")
    assert all(clip.official_split for clip in listing.manifest)
    for split, pairs in trees.PAIRS.items():
        stems = {clip.path.stem for clip in listing.manifest if clip.split == split}
        assert stems == {name for a, b in pairs for name in (a, b, f"{a}_{b}", f"{b}_{a}")}
    assert (listing.expected, listing.coverage, listing.missing) == (50, 1.0, ())


@pytest.mark.parametrize("place", ["", "splits", "dataset/splits"])
def test_the_lists_are_found_beside_the_data(tmp_path: Path, place: str) -> None:
    trees.faceforensics(tmp_path, lists=False)
    trees.pair_lists(tmp_path / place)
    assert len(faceforensics(tmp_path, name="ff").manifest) == 50


def test_the_lists_can_be_given(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path / "data", lists=False)
    lists = trees.pair_lists(tmp_path / "lists")
    assert len(faceforensics(tmp_path / "data", name="ff", splits=lists).manifest) == 50


def test_missing_lists_are_told_with_the_places_and_the_remedy(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path, lists=False)
    with pytest.raises(ManifestError) as told:
        faceforensics(tmp_path, name="ff")
    for part in (str(tmp_path / "splits"), str(tmp_path / "dataset" / "splits"), "--splits", "--split identity"):
        assert part in str(told.value)


def test_split_by_identity_needs_no_lists_and_parts_nobody(tmp_path: Path) -> None:
    listing = faceforensics(trees.faceforensics(tmp_path, lists=False), name="ff", split="identity")
    assert len(listing.manifest.check()) == 50
    assert not any(clip.official_split for clip in listing.manifest)
    assert listing.left_out == ()


def test_a_half_downloaded_corpus_is_taken_with_its_coverage(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    (tmp_path / "manipulated_sequences/FaceSwap/c23/videos/071_054.mp4").unlink()
    (tmp_path / "original_sequences/youtube/c23/videos/720.mp4").unlink()
    listing = faceforensics(tmp_path, name="ff")
    assert listing.missing == (
        "manipulated_sequences/FaceSwap/c23/videos/071_054.mp4",
        "original_sequences/youtube/c23/videos/720.mp4",
    )
    assert listing.coverage == pytest.approx(48 / 50)


def test_originals_that_were_never_downloaded_are_missing(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    (tmp_path / "original_sequences").rename(tmp_path / "kept_elsewhere")
    listing = faceforensics(tmp_path, name="ff")
    assert len(listing.missing) == 10
    assert "original_sequences/youtube is not there" in listing.notes


def test_a_missing_compression_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path, compression="c40")
    trees.put(tmp_path, ["original_sequences/youtube/raw/videos/071.mp4"])
    with pytest.raises(
        ManifestError,
        match=r"no .*youtube/c23/videos, there is raw and c40, which `dfd corpora add --compression` takes",
    ):
        faceforensics(tmp_path, name="ff")
    assert {clip.compression for clip in faceforensics(tmp_path, name="ff", compression="c40").manifest} == {"c40"}


def test_methods_can_be_chosen_and_absent_ones_are_told(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    listing = faceforensics(tmp_path, name="ff", methods=["Face2Face"])
    assert Counter(clip.method for clip in listing.manifest) == {"original": 10, "Face2Face": 10}
    with pytest.raises(ManifestError, match=r"no .*manipulated_sequences/FaceShifter; download it"):
        faceforensics(tmp_path, name="ff", methods=["FaceShifter"])
    with pytest.raises(ManifestError, match=r"no method 'Deepfake'; it has Deepfakes"):
        faceforensics(tmp_path, name="ff", methods=["Deepfake"])
    assert "manipulated_sequences/FaceShifter is not there" in faceforensics(tmp_path, name="ff").notes


def test_actors_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path, actors=True)
    without = faceforensics(tmp_path, name="ff")
    assert len(without.manifest) == 50
    assert any("--actors" in note for note in without.notes)
    listing = faceforensics(tmp_path, name="ff", actors=True)
    listing.manifest.check()
    clips = {clip.clip_id: clip for clip in listing.manifest}
    fake = clips["DeepFakeDetection/c23/01_02__kitchen_pan__Y1GY8LOK"]
    assert (fake.target_identity, fake.source_identity) == ("ff-actor-01", "ff-actor-02")
    assert clips["actors/c23/01__kitchen_pan"].target_identity == "ff-actor-01"
    assert clips["actors/c23/01__kitchen_pan"].method == "original"
    assert not fake.official_split
    assert clips["original/c23/071"].official_split


def test_masks_and_archives_are_no_clips(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    trees.put(tmp_path, ["manipulated_sequences/Deepfakes/masks/videos/071_054.mp4", "Deepfakes_c23.zip"])
    trees.put(tmp_path, ["manipulated_sequences/Deepfakes/c23/videos/071_054.zip"])
    assert len(faceforensics(tmp_path, name="ff").manifest) == 50


def test_strange_names_and_unlisted_pairs_are_left_out_by_name(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    below = "manipulated_sequences/Deepfakes/c23/videos"
    trees.put(tmp_path, [f"{below}/071_720.mp4", f"{below}/my clip 'final'.mp4"])
    assert dict(faceforensics(tmp_path, name="ff").left_out) == {
        f"{below}/071_720.mp4": "it is in none of the official pair lists",
        f"{below}/my clip 'final'.mp4": "its name is not one that FaceForensics++ gives",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("[", "is not a list of pairs"), ('[["071"]]', "is not a list of pairs"), ("[[71, 54]]", "names in quotes")],
)
def test_a_list_that_is_none_is_named(tmp_path: Path, text: str, said: str) -> None:
    trees.faceforensics(tmp_path)
    (tmp_path / "splits" / "val.json").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=rf"val\.json .*{said}"):
        faceforensics(tmp_path, name="ff")


def test_a_clip_in_two_lists_is_refused(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    trees.pair_lists(tmp_path / "splits", {"val": [("071", "672")]})
    with pytest.raises(ManifestError, match="has clip '071' in train.json and in val.json"):
        faceforensics(tmp_path, name="ff")


@given(gone=st.sets(st.integers(0, 49)))
@settings(deadline=None, max_examples=15)
def test_whatever_is_missing_the_rest_is_listed_and_counted(
    gone: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = trees.faceforensics(tmp_path_factory.mktemp("ff"))
    files = sorted(root.rglob("*.mp4"))
    assert len(files) == 50
    for place in gone:
        files[place].unlink()
    if len(gone) == 50:
        return
    listing = faceforensics(root, name="ff")
    assert len(listing.manifest.check()) == 50 - len(gone)
    assert set(listing.missing) == {files[place].relative_to(root).as_posix() for place in gone}
    assert listing.coverage == pytest.approx(1 - len(gone) / 50)
