"""Tables of clips: a label is a word, or a number of which it was said what it means."""

import csv
from pathlib import Path

import pytest

from dfd.corpora.csv_list import csv_list
from dfd.corpora.face_only_corpus import face_only
from dfd.errors import ManifestError
from dfd.labels import Label
from tests import corpora_trees as trees


def table(root: Path, *lines: str) -> Path:
    """A table, and the clips that it names."""
    trees.put(root, [next(csv.reader([line]))[0] for line in lines[1:]])
    (root / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def labels(root: Path, **options: int) -> dict[str, Label]:
    return {clip.clip_id: clip.label for clip in csv_list(root, name="mine", **options).manifest}  # type: ignore[arg-type]


def test_columns_become_the_manifests(tmp_path: Path) -> None:
    listing = csv_list(trees.csv_list(tmp_path), name="mine")
    clips = {clip.clip_id: clip for clip in listing.manifest.check()}
    assert len(clips) == 40
    fake = clips["clips/3b.mp4"]
    assert (fake.label, fake.method, fake.target_identity, fake.source_identity) == (Label.FAKE, "swap", "p3", "p2")
    assert clips["clips/3a.mp4"].method == "original"
    assert clips["clips/3a.mp4"].path == tmp_path.resolve() / "clips" / "3a.mp4"


def test_what_else_is_known_of_clips_is_kept_under_its_name(tmp_path: Path) -> None:
    rows = ["a.mp4,real,female,dark,x", "b.mp4,fake,,light,y"]
    root = table(tmp_path, "file,label,Attribute.Gender,attribute.light,notes", *rows)
    known = {clip.clip_id: clip.attributes for clip in csv_list(root, name="mine").manifest}
    assert known == {"a.mp4": (("gender", "female"), ("light", "dark")), "b.mp4": (("light", "light"),)}


def test_a_split_column_is_official(tmp_path: Path) -> None:
    rows = ["a.mp4,real,test", "b.mp4,fake,test", "c.mp4,real,", "d.mp4,fake,"]
    root = table(tmp_path, "File, Label, Split", *rows)
    manifest = csv_list(root, name="mine").manifest.check()
    assert {clip.clip_id for clip in manifest if clip.official_split} == {"a.mp4", "b.mp4"}
    assert {clip.clip_id for clip in manifest.split("test")} == {"a.mp4", "b.mp4"}
    assert not any(clip.official_split for clip in csv_list(root, name="mine", split="identity").manifest)


def test_without_identities_every_clip_is_a_person_and_that_is_said(tmp_path: Path) -> None:
    listing = csv_list(table(tmp_path / "films", "file,label", "a.mp4,REAL", "b.mp4,Fake"), name="mine")
    assert {clip.target_identity for clip in listing.manifest} == {"films-a", "films-b"}
    assert any("who is seen in 2 clips is not known" in note for note in listing.notes)


def test_numbers_need_to_be_explained(tmp_path: Path) -> None:
    root = table(tmp_path, "file,label", "a.mp4,0", "b.mp4,1")
    with pytest.raises(ManifestError, match=r"clips\.csv line 2: the label 0 does not say .*--fake-label"):
        csv_list(root, name="mine")
    assert labels(root, fake_label=0) == {"a.mp4": Label.FAKE, "b.mp4": Label.REAL}
    assert labels(root, fake_label=1) == {"a.mp4": Label.REAL, "b.mp4": Label.FAKE}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b.mp4,maybe", "line 3: 'maybe' is neither"),
        ("b.mp4", "line 3: '' is neither"),
        (",fake", "line 3: no file is named"),
        ("a.mp4,fake", r"says of a\.mp4 two things, in lines 2 and 3"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    table(tmp_path, "file,label", "a.mp4,real")
    path = tmp_path / "clips.csv"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=rf"clips\.csv {said}"):
        csv_list(tmp_path, name="mine")


def test_a_wrong_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"clips\.csv line 2: the split 'dev' is not one of"):
        csv_list(table(tmp_path, "file,label,split", "a.mp4,real,dev"), name="mine")


def test_missing_unnamed_and_repeated_files_are_told(tmp_path: Path) -> None:
    table(tmp_path, "file,label", "a.mp4,real", "sub/b.mp4,fake", "a.mp4,real", "gone.mp4,fake")
    (tmp_path / "gone.mp4").unlink()
    trees.put(tmp_path, ["stray.mp4"])
    listing = csv_list(tmp_path, name="mine")
    assert listing.missing == ("gone.mp4",)
    assert dict(listing.left_out) == {
        "clips.csv line 4": "line 2 names a.mp4 already",
        "stray.mp4": "clips.csv does not name it",
    }


def test_names_with_commas_quotes_and_any_script_are_read(tmp_path: Path) -> None:
    names = ["a, b.mp4", "it's.mp4", "\u0444\u0438\u043b\u044c\u043c \u6f22.mp4"]
    listing = csv_list(table(tmp_path, "file,label", *(f'"{name}",fake' for name in names), "r.mp4,real"), name="mine")
    assert {clip.path.name for clip in listing.manifest} == {*names, "r.mp4"}


def test_a_name_that_two_files_have_is_told(tmp_path: Path) -> None:
    table(tmp_path, "file,label", "r.mp4,real")
    trees.put(tmp_path, ["x/a.mp4", "y/a.mp4"])
    (tmp_path / "clips.csv").write_text("file,label\nr.mp4,real\na.mp4,fake\n", encoding="utf-8")
    listing = csv_list(tmp_path, name="mine")
    assert dict(listing.left_out)["a.mp4"] == "x/a.mp4 and y/a.mp4 have this name: give the path"
    assert listing.missing == ()


def test_which_of_two_tables_must_be_said(tmp_path: Path) -> None:
    trees.csv_list(tmp_path)
    (tmp_path / "other.csv").write_text("file,label\nclips/0a.mp4,real\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"more than one table of clips \(clips.csv, other.csv\).*--table"):
        csv_list(tmp_path, name="mine")
    assert len(csv_list(tmp_path, name="mine", table=tmp_path / "other.csv").manifest) == 1


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes("file,label\ncaf\u00e9.mp4,real\n".encode("utf-16"))
    with pytest.raises(ManifestError, match=r"clips\.csv is no table of clips in UTF-8"):
        csv_list(tmp_path, name="mine", table=tmp_path / "clips.csv")


# face-only corpora


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(("words", "fake_label"), [(("REAL", "FAKE"), None), (("real", "Fake"), None), (("1", "0"), 0)])
def test_every_spelling_of_the_labels_is_read(
    tmp_path: Path, words: tuple[str, str], header: bool, fake_label: int | None
) -> None:
    root = trees.face_only(tmp_path, words=words, header=header)
    manifest = face_only(root, name="faces", fake_label=fake_label).manifest.check()
    assert len(manifest) == 19
    fakes = {clip.path.stem for clip in manifest if clip.label is Label.FAKE}
    assert {"071_054", "id0_id1_0000", "aagfhgtpmv"} <= fakes
    assert len(fakes) == 8


def test_people_are_read_off_the_names_of_other_corpora(tmp_path: Path) -> None:
    listing = face_only(trees.face_only(tmp_path / "shared"), name="faces")
    people = {clip.path.stem: (clip.target_identity, clip.source_identity) for clip in listing.manifest}
    assert people["071_054"] == ("ff-071", "ff-054")
    assert people["071"] == ("ff-071", "")
    assert people["id0_id1_0000"] == ("celeb-id0", "celeb-id1")
    assert people["id0_0000"] == ("celeb-id0", "")
    assert people["aagfhgtpmv"] == ("shared-aagfhgtpmv", "")
    assert any("who is seen in 2 clips is not known" in note for note in listing.notes)


def test_numbers_of_face_only_corpora_need_to_be_explained_too(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="`dfd corpora add --fake-label 0`, or 1"):
        face_only(trees.face_only(tmp_path, words=("1", "0")), name="faces")


def test_folders_of_crops_are_clips_of_a_face_only_corpus(tmp_path: Path) -> None:
    trees.face_only(tmp_path)
    (tmp_path / "FF_Face" / "071.mp4").unlink()
    trees.put(tmp_path, ["FF_Face/071/0001.png", "FF_Face/071/0002.png", "notes/page.png"])
    listing = face_only(tmp_path, name="faces")
    clips = {clip.clip_id: clip for clip in listing.manifest.check()}
    assert clips["FF_Face/071"].target_identity == "ff-071"
    assert clips["FF_Face/071"].path == tmp_path.resolve() / "FF_Face" / "071"
    assert listing.missing == ()
    assert dict(listing.left_out)["notes"] == "Gobal_metadata.csv does not name it"


def test_folders_of_pictures_of_scenes_are_refused_with_the_way_in(tmp_path: Path) -> None:
    trees.csv_list(tmp_path)
    (tmp_path / "clips" / "0a.mp4").unlink()
    trees.put(tmp_path, ["clips/0a/0001.png"])
    with pytest.raises(ManifestError, match=r"0a is a folder of pictures.*--kind face_only.*ffmpeg .*0a\.mp4"):
        csv_list(tmp_path, name="mine")
