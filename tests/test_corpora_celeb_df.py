"""Celeb-DF: 1 is real in its test list, and whoever is in that list is in no other split."""

from pathlib import Path

import pytest

from dfd.corpora.celeb_df import celeb_df
from dfd.errors import ManifestError
from dfd.labels import Label
from tests import corpora_trees as trees


def test_labels_people_and_ids_come_from_the_names(tmp_path: Path) -> None:
    listing = celeb_df(trees.celeb_df(tmp_path), name="celeb", split="identity")
    clips = {clip.clip_id: clip for clip in listing.manifest.check()}
    fake, real, stranger = (
        clips[at] for at in ("Celeb-synthesis/id2_id3_0000", "Celeb-real/id2_0000", "YouTube-real/00002")
    )
    assert (fake.label, fake.target_identity, fake.source_identity) == (Label.FAKE, "celeb-id2", "celeb-id3")
    assert (real.label, real.target_identity, real.source_identity) == (Label.REAL, "celeb-id2", "")
    assert (stranger.label, stranger.target_identity) == (Label.REAL, "celeb-youtube-00002")
    assert len(clips) == 38


def test_the_test_list_is_the_test_split_and_nothing_else_is(tmp_path: Path) -> None:
    listing = celeb_df(trees.celeb_df(tmp_path), name="celeb")
    tested = listing.manifest.check().split("test")
    assert {clip.clip_id for clip in tested} == {
        "Celeb-real/id0_0000", "YouTube-real/00001", "Celeb-synthesis/id0_id1_0000",
    }  # fmt: skip
    assert all(clip.official_split == (clip.split == "test") for clip in listing.manifest)


def test_other_clips_of_the_people_tested_are_left_out_and_the_note_says_so(tmp_path: Path) -> None:
    listing = celeb_df(trees.celeb_df(tmp_path), name="celeb")
    out = {name for name, _ in listing.left_out}
    assert out == {
        "Celeb-real/id0_0001", "Celeb-real/id1_0000", "Celeb-real/id1_0001", "Celeb-synthesis/id0_id1_0001",
        "Celeb-synthesis/id1_id0_0000", "Celeb-synthesis/id1_id0_0001",
    }  # fmt: skip
    assert any("--split identity" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 Celeb-real/id1_0000.mp4", r"line 4: the flag 0 says that Celeb-real/id1_0000.mp4 is fake \(1 is real\)"),
        ("1 Celeb-synthesis/id0_id1_0001.mp4", r"line 4: the flag 1 says .* is real"),
        ("Celeb-real/id1_0000.mp4", "line 4: 'Celeb-real/id1_0000.mp4' is not a flag and a clip"),
        ("1 Celeb-unreal/id1_0000.mp4", "line 4: .* is not a flag and a clip"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = trees.celeb_df(tmp_path) / "List_of_testing_videos.txt"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=rf"List_of_testing_videos\.txt {said}"):
        celeb_df(tmp_path, name="celeb")


def test_listed_files_that_are_not_there_are_missing(tmp_path: Path) -> None:
    trees.celeb_df(tmp_path)
    (tmp_path / "YouTube-real" / "00001.mp4").unlink()
    listing = celeb_df(tmp_path, name="celeb")
    assert listing.missing == ("YouTube-real/00001.mp4",)
    assert (listing.expected, listing.coverage) == (38, pytest.approx(37 / 38))


def test_a_missing_list_is_told_with_its_remedy(tmp_path: Path) -> None:
    (trees.celeb_df(tmp_path) / "List_of_testing_videos.txt").unlink()
    with pytest.raises(ManifestError, match=r"no .*List_of_testing_videos\.txt.*--split identity"):
        celeb_df(tmp_path, name="celeb")
    assert len(celeb_df(tmp_path, name="celeb", split="identity").manifest) == 38


def test_copies_with_videos_folders_and_another_spelling_are_read(tmp_path: Path) -> None:
    trees.celeb_df(tmp_path)
    for part, spelt in (("Celeb-real", "Celeb-real"), ("YouTube-real", "Youtube-real")):
        (tmp_path / part).rename(tmp_path / "moving")
        (tmp_path / spelt).mkdir()
        (tmp_path / "moving").rename(tmp_path / spelt / "videos")
    listing = celeb_df(tmp_path, name="celeb")
    assert len(listing.manifest) + len(listing.left_out) == 38
    assert len(listing.manifest.split("test")) == 3


@pytest.mark.parametrize(
    ("name", "said"), [("Celeb-DF-v1", "Celeb-DF v1: 16 of 158"), ("Celeb-DF-v2", "v2: 16 of 590")]
)
def test_the_folders_name_tells_the_version(tmp_path: Path, name: str, said: str) -> None:
    assert any(said in note for note in celeb_df(trees.celeb_df(tmp_path / name), name="celeb").notes)


def test_what_only_version_2_can_hold_tells_it(tmp_path: Path) -> None:
    trees.celeb_df(tmp_path)
    assert any("cannot be told" in note for note in celeb_df(tmp_path, name="celeb").notes)
    trees.put(tmp_path, [f"Celeb-real/id9_{take:04}.mp4" for take in range(150)])
    assert any(note.startswith("Celeb-DF v2: ") for note in celeb_df(tmp_path, name="celeb").notes)
