"""A folder of one's own: labels from `real/` and `fake/`, splits from who is in a clip."""

from pathlib import Path

import pytest

from dfd.corpora.folder import folder, has_real_alone
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS
from tests import corpora_trees as trees


def test_a_folder_is_read_by_its_labels(tmp_path: Path) -> None:
    trees.put(
        tmp_path / "corpus", ["real/ann.mp4", "real/more/bob.MOV", "fake/swap/ann.mp4", "fake/x.webm", "fake/a.txt"]
    )
    found = folder(tmp_path / "corpus", name="mine").manifest.check()
    rows = {clip.clip_id: (clip.label, clip.method, clip.target_identity) for clip in found}
    assert found.name == "mine"
    assert rows == {
        "real/ann.mp4": (Label.REAL, "original", "corpus-ann"),
        "real/more/bob.MOV": (Label.REAL, "original", "corpus-bob"),
        "fake/swap/ann.mp4": (Label.FAKE, "swap", "corpus-ann"),
        "fake/x.webm": (Label.FAKE, "fake", "corpus-x"),
    }


def test_a_person_has_one_split_and_every_split_has_both_classes(tmp_path: Path) -> None:
    manifest = folder(trees.folder(tmp_path), name="mine").manifest.check()
    for split in SPLITS:
        assert {clip.label for clip in manifest.split(split)} == set(Label)
    people = [{clip.target_identity for clip in manifest.split(split)} for split in SPLITS]
    assert sum(map(len, people)) == 20


def test_a_folder_without_both_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no folder"):
        folder(tmp_path / "gone", name="mine")
    (tmp_path / "fake").mkdir()
    trees.put(tmp_path, ["real/a.mp4"])
    with pytest.raises(ManifestError, match="no video under fake/"):
        folder(tmp_path, name="mine")
    trees.put(tmp_path / "fakes alone", ["fake/a.mp4"])
    with pytest.raises(ManifestError, match="no video under real/"):
        folder(tmp_path / "fakes alone", name="mine")


@pytest.mark.parametrize("below", ["", "real/", "real/more/"])
def test_real_clips_alone_are_taken_and_said_to_be_that(tmp_path: Path, below: str) -> None:
    trees.put(tmp_path / "people", [f"{below}ann.mp4", f"{below}bob.mp4", f"{below}notes.txt"])
    found = folder(tmp_path / "people", name="mine")
    assert [clip.clip_id for clip in found.manifest] == [f"{below}ann.mp4", f"{below}bob.mp4"]
    assert {clip.label for clip in found.manifest} == {Label.REAL}
    assert {clip.target_identity for clip in found.manifest} == {"people-ann", "people-bob"}
    assert "there is no fake/: every video is taken for a real clip" in found.notes
    assert sum("real clips alone" in note for note in found.notes) == 1
    assert not any("no fake clip" in note for note in found.notes), "once is enough"
    with pytest.raises(ManifestError, match=r"'mine' has real clips alone, .* \(`dfd train --pseudo-fakes`"):
        found.manifest.of_both_classes()


@pytest.mark.parametrize("other", ["fakes/ann.mp4", "fake/ann.mp4", "more/ann.mp4"])
def test_videos_elsewhere_are_not_taken_for_real(tmp_path: Path, other: str) -> None:
    """Who misspells fake/, or names a folder of several things, is asked and not believed."""
    for root in (tmp_path / "one", tmp_path / "two"):
        trees.put(root, [other])
    trees.put(tmp_path / "one", ["bob.mp4"])
    trees.put(tmp_path / "two", ["real/bob.mp4"])
    assert not has_real_alone(tmp_path / "one")
    assert not has_real_alone(tmp_path / "two")
