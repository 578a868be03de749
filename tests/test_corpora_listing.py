"""What is on disk: every clip once, links followed, and whatever is not taken named with its reason."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.corpora.faceforensics import faceforensics
from dfd.corpora.folder import folder
from dfd.corpora.listing import Disk
from dfd.errors import ManifestError
from dfd.manifest import read_manifest
from tests import corpora_trees as trees

file_names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=12)


def test_videos_are_found_by_suffix_and_hidden_files_are_not(tmp_path: Path) -> None:
    trees.put(tmp_path, ["b.mp4", "a.MOV", "._b.mp4", ".hidden.mp4", "notes.txt", "deeper/c.webm"])
    disk = Disk(tmp_path)
    assert list(disk.videos()) == ["a.MOV", "b.mp4"]
    assert disk.left_out == {}
    assert list(Disk(tmp_path).videos(deep=True)) == ["a.MOV", "b.mp4", "deeper/c.webm"]


def test_links_are_followed_even_to_another_disk(tmp_path: Path) -> None:
    trees.put(tmp_path / "elsewhere", ["a.mp4", "b.mp4"])
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "half").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    disk = Disk(tmp_path / "root")
    assert list(disk.videos(deep=True)) == ["half/a.mp4", "half/b.mp4"]
    assert disk.path("half/a.mp4").is_file()


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    disk = Disk(tmp_path)
    assert list(disk.videos()) == []
    assert "nowhere.mp4, which is not there" in disk.left_out["gone.mp4"]


def test_a_file_that_is_reached_twice_is_taken_once(tmp_path: Path) -> None:
    trees.put(tmp_path, ["a.mp4", "x/b.mp4"])
    (tmp_path / "again.mp4").symlink_to(tmp_path / "a.mp4")
    (tmp_path / "y").symlink_to(tmp_path / "x", target_is_directory=True)
    disk = Disk(tmp_path)
    assert list(disk.videos(deep=True)) == ["a.mp4", "x/b.mp4"]
    assert disk.left_out == {"again.mp4": "it is the same as a.mp4", "y": "it is the same as x"}


def test_a_folder_that_links_to_its_parent_ends(tmp_path: Path) -> None:
    trees.put(tmp_path, ["x/a.mp4"])
    (tmp_path / "x" / "loop").symlink_to(tmp_path, target_is_directory=True)
    disk = Disk(tmp_path)
    assert list(disk.videos(deep=True)) == ["x/a.mp4"]
    assert list(disk.left_out) == ["x/loop"]


def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    trees.put(tmp_path, ["good.mp4"])
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    disk = Disk(tmp_path)
    assert list(disk.videos()) == ["good.mp4"]
    assert disk.left_out == {"caf\\xe9.mp4": "its name is not UTF-8; rename it"}


def test_a_missing_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"there is no folder .*gone"):
        Disk(tmp_path / "gone")


@given(names=st.sets(file_names, min_size=1, max_size=6))
@settings(deadline=None, max_examples=30)
def test_any_file_name_comes_through_to_the_manifest_and_back(names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        trees.put(root, [f"{label}/{name}.mp4" for label in ("real", "fake") for name in names])
        listing = folder(root, name="mine")
        listing.manifest.write(Path(place) / "manifest.csv")
        assert read_manifest(Path(place) / "manifest.csv") == listing.manifest
        visible = {f"{name}.mp4" for name in names if not name.startswith(".")}
        assert {clip.path.name for clip in listing.manifest} == visible or not visible


def test_a_clip_that_is_a_link_stays_in_its_corpus(tmp_path: Path) -> None:
    trees.put(tmp_path / "disk", ["1.mp4", "2.mp4"])
    for label, target in (("real", "1.mp4"), ("fake", "2.mp4")):
        (tmp_path / "root" / label).mkdir(parents=True)
        (tmp_path / "root" / label / "ann.mp4").symlink_to(tmp_path / "disk" / target)
    folder(tmp_path / "root", name="mine").manifest.write(tmp_path / "root" / "manifest.csv")
    found = {clip.clip_id: clip.path for clip in read_manifest(tmp_path / "root" / "manifest.csv")}
    assert found == {name: tmp_path.resolve() / "root" / name for name in ("real/ann.mp4", "fake/ann.mp4")}


def test_two_files_of_one_clip_are_one(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    trees.put(tmp_path, ["original_sequences/youtube/c23/videos/071.avi"])
    listing = faceforensics(tmp_path, name="ff")
    assert listing.manifest.check() is listing.manifest
    assert ("original_sequences/youtube/c23/videos/071.mp4", "071.avi is clip original/c23/071 already") in (
        listing.left_out
    )


def test_a_split_without_a_class_is_told(tmp_path: Path) -> None:
    trees.folder(tmp_path, people=1)
    notes = folder(tmp_path, name="mine").notes
    assert "the test split has no fake clip" in notes
    assert not any(note.startswith("the train split") for note in notes)
