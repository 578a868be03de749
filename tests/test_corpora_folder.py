"""A folder of one's own: labels from `real/` and `fake/`, splits from who is in a clip."""

from pathlib import Path

import pytest

from dfd.corpora.folder import folder
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
    trees.put(tmp_path, ["real/a.mp4"])
    with pytest.raises(ManifestError, match="no video under fake/"):
        folder(tmp_path, name="mine")
