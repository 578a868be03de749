"""Corpora under a name: found by their layout, kept whole or not at all, and looked at again."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dfd.corpora import kinds, registry
from dfd.corpora.find import find
from dfd.corpora.kinds import KINDS, Options, detect
from dfd.corpora.sample import SampleSpec, make
from dfd.errors import ManifestError
from dfd.manifest import Manifest
from dfd.paths import data_dir
from dfd.video import write_video
from tests import corpora_trees as trees
from tests import videos


def crop(path: Path) -> None:
    """A face-only video."""
    write_video(path, videos.face_frames(3, 112, 112), 25)


TREES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "faceforensics": ("faceforensics", trees.faceforensics),
    "celeb_df": ("celeb_df", trees.celeb_df),
    "dfdc": ("dfdc", trees.dfdc),
    "dfdc preview": ("dfdc", trees.dfdc_preview),
    "face_only": ("face_only", lambda root: trees.face_only(root, crop)),
    "csv": ("csv", trees.csv_list),
    "folder": ("folder", trees.folder),
    "real clips alone": ("folder", trees.real_alone),
}


@pytest.mark.parametrize("tree", TREES)
def test_every_layout_is_recognised_read_and_kept(tmp_path: Path, tree: str) -> None:
    kind, build = TREES[tree]
    root = build(tmp_path / "the data")
    assert detect(root) == kind
    found = registry.add("mine", root)
    assert (found.kind, found.root, found.coverage) == (kind, root.resolve(), 1.0)
    manifest = found.manifest().check()
    assert len(manifest) == found.clips
    assert manifest == kinds.read(kind, root, "mine", Options()).manifest
    assert find("mine") == manifest
    assert registry.get("mine") == found
    assert registry.check("mine").sound


def test_a_table_of_labels_alone_beside_films_is_no_face_only_corpus(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label\na.mp4,real\nb.mp4,fake\n", encoding="utf-8")
    trees.put(tmp_path, ["a.mp4", "b.mp4"], trees.moving)
    assert detect(tmp_path) == "csv"


def test_an_unknown_layout_is_told_with_what_each_kind_needs(tmp_path: Path) -> None:
    trees.put(tmp_path, ["some/a.mp4", "others/b.mp4"])
    with pytest.raises(ManifestError) as told:
        detect(tmp_path)
    assert all(kind.needs in str(told.value) for kind in KINDS.values())


def test_two_layouts_in_one_folder_are_told(tmp_path: Path) -> None:
    trees.folder(trees.celeb_df(tmp_path))
    with pytest.raises(ManifestError, match=r"2 kinds \(celeb_df: .*; folder: real/ and fake/.*\).*--kind"):
        registry.add("mine", tmp_path)
    assert registry.add("mine", tmp_path, "folder").kind == "folder"


def test_options_reach_the_adapter_and_are_kept(tmp_path: Path) -> None:
    root = trees.faceforensics(tmp_path / "ff", compression="c40", lists=False)
    lists = trees.pair_lists(tmp_path / "lists")
    options = Options(compression="c40", methods=("Face2Face", "FaceSwap"), splits=lists, split="official")
    found = registry.add("ff-c40", root, options=options)
    assert {clip.method for clip in found.manifest()} == {"original", "Face2Face", "FaceSwap"}
    assert found.options == options
    assert registry.check("ff-c40").sound


@pytest.mark.parametrize(
    ("tree", "options", "said"),
    [
        ("celeb_df", Options(compression="c23"), "kind celeb_df does not take --compression; it takes --split"),
        ("folder", Options(fake_label=0), "kind folder does not take --fake-label"),
        ("csv", Options(drop_audio_altered=True), "kind csv does not take --drop-audio-altered"),
        ("dfdc", Options(splits=Path("x")), "kind dfdc does not take --splits"),
    ],
)
def test_an_option_that_a_kind_does_not_take_is_refused_by_name(
    tmp_path: Path, tree: str, options: Options, said: str
) -> None:
    with pytest.raises(ManifestError, match=said):
        registry.add("mine", TREES[tree][1](tmp_path / "root"), options=options)
    assert not registry.is_registered("mine")


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no kind of corpus 'ff'; there are faceforensics, "):
        registry.add("mine", trees.folder(tmp_path), "ff")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "with space", "-x"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match="is no name for a corpus; give"):
        registry.add(name, trees.folder(tmp_path / "root"))
    assert not (data_dir() / "corpora").exists()


def test_a_name_is_taken_over_only_if_asked(tmp_path: Path) -> None:
    root = trees.celeb_df(tmp_path / "celeb")
    first = registry.add("celeb", root)
    with pytest.raises(ManifestError, match="is there with another options .*--replace"):
        registry.add("celeb", root, options=Options(split="identity"))
    with pytest.raises(ManifestError, match="is there with another kind"):
        registry.add("celeb", trees.folder(tmp_path / "other"))
    assert registry.get("celeb") == first
    taken = registry.add("celeb", root, options=Options(split="identity"), replace=True)
    assert (taken.options.split, taken.clips) == ("identity", 38)


def test_the_same_once_more_reads_it_again(tmp_path: Path) -> None:
    root = trees.folder(tmp_path)
    registry.add("mine", root)
    trees.put(root, ["real/new.mp4"])
    assert registry.add("mine", root).clips == 41


def test_a_person_keeps_name_and_split_across_registrations(tmp_path: Path) -> None:
    for compression in ("c23", "c40"):
        root = trees.faceforensics(tmp_path, compression=compression)
        registry.add(f"ff-{compression}", root, options=Options(compression=compression))
    splits = [{clip.target_identity: clip.split for clip in find(f"ff-{quality}")} for quality in ("c23", "c40")]
    assert splits[0] == splits[1]
    assert len(splits[0]) == 10


def test_an_add_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trees.folder(tmp_path / "mine")
    registry.add("mine", root)
    before = {path: path.read_bytes() for path in (data_dir() / "corpora").rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Manifest, "write", full)
    with pytest.raises(OSError, match="no space left"):
        registry.add("mine", root)
    assert {path: path.read_bytes() for path in (data_dir() / "corpora").rglob("*") if path.is_file()} == before


def test_sample_corpora_are_there_without_being_added(tmp_path: Path) -> None:
    make(data_dir() / "sample", SampleSpec(identities=6, frames=2, size=128), families=("swap",), workers=1)
    registry.add("mine", trees.folder(tmp_path / "root"))
    assert [(one.name, one.kind, one.clips) for one in registry.registered()] == [
        ("mine", "folder", 40),
        ("sample-swap", "sample", 12),
    ]
    assert registry.check("sample-swap").sound
    next((data_dir() / "sample" / "sample-swap" / "videos").glob("*.mp4")).unlink()
    assert len(registry.check("sample-swap").gone) == 1
    with pytest.raises(ManifestError, match="kept for sample corpora"):
        registry.add("sample-swap", tmp_path / "root")


# check


def test_what_is_new_and_what_is_gone_is_found(tmp_path: Path) -> None:
    root = trees.faceforensics(tmp_path)
    registry.add("ff", root)
    below = "manipulated_sequences/FaceSwap/c23/videos"
    (root / below / "071_054.mp4").unlink()
    trees.put(root, [f"{below}/071_720.mp4"])
    found = registry.check("ff")
    assert not found.sound
    assert found.gone == ("FaceSwap/c23/071_054",)
    assert found.new == (f"{below}/071_720.mp4",)
    assert found.coverage == pytest.approx(49 / 50)


def test_a_clip_that_was_missing_and_has_come_is_new(tmp_path: Path) -> None:
    root = trees.celeb_df(tmp_path)
    (root / "YouTube-real" / "00001.mp4").unlink()
    assert registry.add("celeb", root).missing == ("YouTube-real/00001.mp4",)
    trees.put(root, ["YouTube-real/00001.mp4"])
    assert registry.check("celeb").new == ("YouTube-real/00001",)


def test_an_edited_manifest_and_a_leak_are_found(tmp_path: Path) -> None:
    path = registry.add("mine", trees.folder(tmp_path)).folder / "manifest.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(place for place, line in enumerate(lines) if ",train," in line)
    lines[at] = lines[at].replace(",train,", ",test,")
    path.write_text("".join(lines), encoding="utf-8")
    found = registry.check("mine")
    assert found.edited
    assert "leaks 1 identities" in found.leak
    assert not found.sound


def test_a_root_that_is_gone_is_told(tmp_path: Path) -> None:
    root = trees.folder(tmp_path / "mine")
    registry.add("mine", root)
    root.rename(tmp_path / "moved")
    with pytest.raises(ManifestError, match="there is no folder"):
        registry.check("mine")


def test_damaged_files_of_the_registry_are_told_with_the_remedy(tmp_path: Path) -> None:
    folder = registry.add("mine", trees.folder(tmp_path)).folder
    (folder / "listing.json").write_text("{", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"listing\.json cannot be read .*--replace"):
        registry.get("mine")
    facts = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    trees.write_json(folder / "corpus.json", {key: value for key, value in facts.items() if key != "digest"})
    trees.write_json(folder / "listing.json", {"expected": 40, "missing": [], "left_out": [], "notes": []})
    with pytest.raises(ManifestError, match=r"mine is damaged .*'digest'.*--replace"):
        registry.get("mine")


# find


def test_a_bare_folder_is_read_and_what_there_is_to_say_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = trees.faceforensics(tmp_path / "FF")
    (root / "original_sequences/youtube/c23/videos/071.mp4").unlink()
    trees.put(root, ["original_sequences/youtube/c23/videos/mine.mp4"])
    with caplog.at_level(logging.WARNING):
        manifest = find(str(root))
    assert (manifest.name, len(manifest)) == ("FF", 49)
    assert "1 of 50 clips are missing" in caplog.text
    assert "1 left out, the first original_sequences/youtube/c23/videos/mine.mp4" in caplog.text


def test_a_name_means_the_registered_corpus_and_a_path_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.celeb_df(tmp_path / "celeb")
    registry.add("celeb", tmp_path / "celeb", options=Options(split="identity"))
    monkeypatch.chdir(tmp_path)
    assert len(find("celeb")) == 38
    assert len(find("./celeb")) == 32


def test_a_table_that_is_called_manifest_is_read_as_one(tmp_path: Path) -> None:
    trees.csv_list(tmp_path)
    (tmp_path / "clips.csv").rename(tmp_path / "manifest.csv")
    assert len(find(str(tmp_path))) == 40
    find(str(tmp_path)).write(tmp_path / "manifest.csv")
    assert len(find(str(tmp_path))) == 40


def test_nothing_of_a_name_is_told_with_the_ways_in() -> None:
    with pytest.raises(ManifestError, match="no corpus 'nothing'.*`dfd corpora add` or `dfd sample`"):
        find("nothing")
