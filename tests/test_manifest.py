"""The table of clips: what is written is what is read, and what contradicts itself is refused by name."""

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import COLUMNS, SPLITS, Clip, Manifest, merge, read_manifest

REAL = Clip(
    corpus="films",
    clip_id="original/007",
    path=Path("videos/007.mp4"),
    label=Label.REAL,
    method="original",
    compression="c23",
    target_identity="films-007",
    source_identity="",
    split="train",
    official_split=True,
    frames=150,
)
FAKE = replace(
    REAL,
    clip_id="swap/007_003",
    label=Label.FAKE,
    method="swap",
    source_identity="films-003",
    path=Path("videos/f.mp4"),
)

# Anything a file name or a spreadsheet may hold: commas, quotes, line breaks, any script. Not lone surrogates, which
# are no text, and not NUL, which no path may hold.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
file_names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=12)


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    return Clip(
        corpus="films",
        clip_id=draw(text),
        path=Path("/films") / draw(file_names.filter(lambda name: name.strip(".") != "")),
        label=draw(st.sampled_from(Label)),
        method=draw(text),
        compression=draw(st.sampled_from(["raw", "c23", "c40", ""])),
        target_identity=draw(text),
        source_identity=draw(text),
        split=draw(st.sampled_from(SPLITS)),
        official_split=draw(st.booleans()),
        frames=draw(st.none() | st.integers(0, 10**6)),
        attributes=tuple(sorted(draw(st.dictionaries(text, text.filter(bool), max_size=3)).items())),
    )


manifests = st.lists(clips(), min_size=1, max_size=5).map(lambda drawn: Manifest("films", tuple(drawn)))


@given(manifest=manifests)
@settings(deadline=None, max_examples=40)
def test_what_is_written_is_what_is_read(manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        manifest.write(path)
        again = read_manifest(path)
        assert again == manifest
        assert again.digest() == manifest.digest()
        assert [entry.name for entry in Path(folder).iterdir()] == ["manifest.csv"]


@given(manifest=manifests, shuffled=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_the_digest_is_of_the_data_not_of_its_order_or_place(manifest: Manifest, shuffled: object) -> None:
    unique = {clip.clip_id: clip for clip in manifest}
    manifest = Manifest("films", tuple(unique.values()))
    moved = [replace(clip, path=Path("/elsewhere") / clip.path.name) for clip in manifest]
    shuffled.shuffle(moved)  # type: ignore[attr-defined]
    assert Manifest("films", tuple(moved)).digest() == manifest.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"label": Label.FAKE},
        {"clip_id": "original/008"},
        {"split": "test"},
        {"compression": "c40"},
        {"target_identity": "films-008"},
        {"source_identity": "films-008"},
        {"method": "swap"},
        {"official_split": False},
        {"frames": None},
        {"attributes": (("gender", "female"),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_sees_every_change_of_the_data(change: dict[str, object]) -> None:
    changed = replace(REAL, **change)  # type: ignore[arg-type]
    assert Manifest("films", (changed,)).digest() != Manifest("films", (REAL,)).digest()


def test_attributes_are_columns_that_only_some_clips_need(tmp_path: Path) -> None:
    """Such as gender or skin tone, where a corpus has them; one that has none is written as before there were any."""
    path = tmp_path / "manifest.csv"
    told = replace(REAL, attributes=(("gender", "female"), ("skin tone", "V")))
    Manifest("films", (told, FAKE)).write(path)
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [*COLUMNS, "attribute.gender", "attribute.skin tone"]
    assert [row[-2:] for row in rows] == [["female", "V"], ["", ""]]
    assert [clip.attributes for clip in read_manifest(path)] == [told.attributes, ()]
    Manifest("films", (REAL, FAKE)).write(path)
    assert path.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)


def test_the_digest_of_a_corpus_without_attributes_is_what_it_was_before_there_were_any() -> None:
    assert Manifest("films", (REAL, FAKE)).digest() == "3375cba35b8966d0"


def test_a_corpus_can_be_moved_as_a_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "videos").mkdir(parents=True)
    clip = replace(REAL, path=here / "videos" / "007.mp4")
    Manifest("films", (clip,)).write(here / "manifest.csv")
    here.rename(there)
    assert read_manifest(there / "manifest.csv").clips[0].path == there / "videos" / "007.mp4"


def test_a_clip_outside_the_corpus_keeps_its_full_path(tmp_path: Path) -> None:
    clip = replace(REAL, path=tmp_path / "elsewhere" / "007.mp4")
    Manifest("films", (clip,)).write(tmp_path / "corpus" / "manifest.csv")
    assert read_manifest(tmp_path / "corpus" / "manifest.csv").clips == (clip,)


def test_a_spreadsheets_byte_order_mark_is_no_column_name(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    Manifest("films", (REAL,)).write(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_manifest(path).clips[0].corpus == "films"


def test_splits_part_the_clips() -> None:
    manifest = Manifest("films", tuple(replace(REAL, clip_id=split, split=split) for split in SPLITS))
    assert [len(manifest.split(split)) for split in SPLITS] == [1, 1, 1]
    assert [clip.clip_id for split in SPLITS for clip in manifest.split(split)] == list(SPLITS)


def test_map_changes_every_clip() -> None:
    manifest = Manifest("films", (REAL, FAKE)).map(lambda clip: replace(clip, frames=7))
    assert [clip.frames for clip in manifest] == [7, 7]
    assert manifest.name == "films"


def test_both_people_of_a_fake_are_its_identities() -> None:
    assert FAKE.identities == {"films-007", "films-003"}
    assert REAL.identities == {"films-007"}


def test_a_sound_manifest_is_itself() -> None:
    manifest = Manifest("films", (REAL, FAKE))
    assert manifest.check() is manifest


@pytest.mark.parametrize(
    "leak",
    [
        replace(REAL, clip_id="other", split="test"),
        replace(FAKE, target_identity="films-999", source_identity="films-007", split="val"),
    ],
    ids=["as target", "as source"],
)
def test_an_identity_in_two_splits_is_refused(leak: Clip) -> None:
    with pytest.raises(ManifestError, match="leaks 1 identities between splits, for example 'films-007'"):
        Manifest("films", (REAL, leak)).check()


@given(manifest=manifests)
@settings(deadline=None, max_examples=25)
def test_a_manifest_that_passes_has_no_identity_in_two_splits(manifest: Manifest) -> None:
    try:
        manifest.check()
    except ManifestError:
        return
    people = [{name for clip in manifest.split(split) for name in clip.identities} for split in SPLITS]
    assert not people[0] & people[1]
    assert not people[0] & people[2]
    assert not people[1] & people[2]


def test_a_clip_id_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="'original/007' twice"):
        Manifest("films", (REAL, replace(FAKE, clip_id=REAL.clip_id))).check()


def test_an_empty_manifest_is_refused() -> None:
    with pytest.raises(ManifestError, match="'films' has no clips"):
        Manifest("films", ()).check()


def test_merged_corpora_keep_clips_of_one_id_apart() -> None:
    other = replace(REAL, corpus="series", target_identity="series-007")
    both = merge([Manifest("films", (REAL,)), Manifest("series", (other,))])
    assert both.name == "films+series"
    assert len(both.check()) == 2


def test_a_person_in_two_merged_corpora_keeps_one_split() -> None:
    other = replace(REAL, corpus="series", split="test")
    with pytest.raises(ManifestError, match="leaks"):
        merge([Manifest("films", (REAL,)), Manifest("series", (other,))]).check()


def test_a_missing_manifest_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no manifest at .*gone\.csv; make it with"):
        read_manifest(tmp_path / "gone.csv")


def written(folder: Path, **changes: str | None) -> Path:
    """A manifest as a person might have edited it: one sound row, one changed; None leaves the column out."""
    path = folder / "manifest.csv"
    Manifest("films", (REAL, FAKE)).write(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[1].update({name: value for name, value in changes.items() if value is not None})
    columns = [name for name in COLUMNS if changes.get(name, "") is not None]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(ManifestError, match=rf"manifest\.csv lacks the column '{column}'"):
        read_manifest(written(tmp_path, **{column: None}))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("label", "1"),
        ("label", "forged"),
        ("split", "dev"),
        ("frames", "many"),
        ("frames", "-1"),
        ("official_split", "true"),
    ],  # fmt: skip
)
def test_an_impossible_value_is_named_with_its_line(tmp_path: Path, column: str, value: str) -> None:
    with pytest.raises(ManifestError, match=rf"manifest\.csv line 3: .*'{value}'"):
        read_manifest(written(tmp_path, **{column: value}))


def test_a_row_cut_short_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").rstrip()[:-40], encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.csv line 3"):
        read_manifest(path)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_told_with_its_remedy(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, clip_id="caf\u00e9")
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    with pytest.raises(ManifestError, match=r"manifest\.csv is not UTF-8 text .*save it as CSV in UTF-8"):
        read_manifest(path)


def test_a_merged_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    other = replace(REAL, corpus="series", path=REAL.path.with_name("other.mp4"))
    both = merge([Manifest("films", (REAL,)), Manifest("series", (other,))])
    both.write(tmp_path / "manifest.csv")
    again = read_manifest(tmp_path / "manifest.csv")
    assert again.name == "films+series"
    assert again.digest() == both.digest()


def test_numbers_are_no_labels() -> None:
    """Corpora disagree on which of 0 and 1 is fake."""
    assert Label.parse(" Fake ") is Label.FAKE
    with pytest.raises(ValueError, match="neither 'real' nor 'fake'"):
        Label.parse("0")


def test_a_write_cut_short_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.csv"
    Manifest("films", (REAL,)).write(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(csv.DictWriter, "writerows", full)
    with pytest.raises(OSError, match="no space left"):
        Manifest("films", (REAL, FAKE)).write(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.csv"]
