"""What there is of a corpus: found whether added, made or preprocessed, and refused in one sentence when damaged."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd.corpora import inventory, registry
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest, read_manifest
from dfd.paths import data_dir, home
from tests import corpora_trees, face_corpora

PLAIN_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


def clips_of(name: str) -> pd.DataFrame:
    return inventory.clips(inventory.corpus(name))


def test_an_empty_home_has_no_corpora() -> None:
    assert inventory.names() == []


def test_corpora_are_found_whether_added_or_preprocessed(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    registry.add("celeb", corpora_trees.celeb_df(tmp_path / "Celeb-DF-v2"))
    face_corpora.preprocessed(home(), replace(manifest, name="loose"))
    assert inventory.names() == ["celeb", "loose", "swaps"]
    assert inventory.corpus("loose").added is None
    assert inventory.corpus("celeb").faces is None


@pytest.mark.parametrize("name", ["nothing", "../corpora/swaps", ".", ""])
def test_a_name_that_is_no_corpus_is_refused(tmp_path: Path, name: str) -> None:
    face_corpora.added(tmp_path / "tree")
    with pytest.raises(ManifestError, match="dfd corpora list"):
        inventory.corpus(name)


def test_a_corpus_that_is_not_preprocessed_has_unknown_crops(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    table = clips_of("swaps")
    assert list(table["clip_id"]) == [clip.clip_id for clip in manifest]
    assert table["crops"].isna().all()
    assert set(table["face_path"]) == {""}


def test_preprocessing_is_joined_to_the_clips(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    faceless = manifest.clips[3].clip_id
    face_corpora.preprocessed(home(), manifest, faceless=[faceless])
    table = clips_of("swaps").set_index("clip_id")
    assert table.loc[faceless, "crops"] == 0
    assert table.loc[faceless, "face_path"] == ""
    for number, clip in enumerate(manifest):
        assert table.loc[clip.clip_id, "path"] == str(clip.path), "the clip as it came, not its face-only video"
        if clip.clip_id != faceless:
            assert table.loc[clip.clip_id, "crops"] == 2 + number % 7
            assert Path(table.loc[clip.clip_id, "face_path"]).is_file()
    assert not table["differs"].any()


def test_clips_that_came_later_are_not_taken_for_faceless(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), replace(manifest, clips=manifest.clips[2:]))
    table = clips_of("swaps")
    assert list(table["crops"].isna()) == [True, True] + [False] * (len(manifest) - 2)


def test_preprocessing_by_an_older_manifest_is_seen(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    folder = face_corpora.preprocessed(home(), manifest)
    first = manifest.clips[0]
    face_corpora.rewrite(folder / "manifest.csv", split=next(split for split in SPLITS if split != first.split))
    table = clips_of("swaps").set_index("clip_id")
    assert list(table.index[table["differs"]]) == [first.clip_id]
    assert table.loc[first.clip_id, "split"] == first.split, "the split is that of the corpus as it was added"


def test_the_state_changes_with_the_manifests(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    states = [inventory.corpus("swaps").state]
    folder = face_corpora.preprocessed(home(), manifest)
    states.append(inventory.corpus("swaps").state)
    face_corpora.rewrite(folder / "manifest.csv", method="another")
    states.append(inventory.corpus("swaps").state)
    assert len(set(states)) == 3


def test_preprocessing_that_was_cut_off_is_told_from_none(tmp_path: Path) -> None:
    face_corpora.added(tmp_path / "tree")
    assert not inventory.corpus("swaps").begun
    (data_dir() / "faces" / "swaps").mkdir(parents=True)
    assert inventory.corpus("swaps").begun


def test_a_folder_that_has_gone_away_is_seen(tmp_path: Path) -> None:
    face_corpora.added(tmp_path / "tree")
    assert not inventory.corpus("swaps").away
    shutil.rmtree(tmp_path / "tree")
    assert inventory.corpus("swaps").away
    assert len(clips_of("swaps")) == 24, "what was read of it is still there"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("label", "class", 1), "lacks the column 'label'"),
        (lambda text: text.replace(",real,", ",genuine,", 1), "line 2: 'genuine' is neither"),
        (lambda text: text.replace(",no,", ",perhaps,", 1), "line 2: official_split is yes or no"),
        (lambda text: text.splitlines()[0] + "\n", "has no clips"),
        (lambda text: text + text.splitlines()[1] + "\n", "twice"),
        (lambda text: text.replace("person00", "pers\udcffn00", 1), "not UTF-8"),
    ],
)
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    face_corpora.added(tmp_path / "tree")
    path = data_dir() / "corpora" / "swaps" / "manifest.csv"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ManifestError, match=said) as refusal:
        clips_of("swaps")
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_manifest_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    face_corpora.added(tmp_path / "tree")
    (data_dir() / "corpora" / "swaps" / "manifest.csv").unlink()
    with pytest.raises(ManifestError, match="there is no manifest at"):
        clips_of("swaps")


@given(st.lists(st.tuples(PLAIN_TEXT, PLAIN_TEXT, st.sampled_from(SPLITS), st.booleans()), min_size=1, max_size=5))
def test_the_table_says_what_the_manifest_says(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    clips = [
        Clip(
            corpus="any",
            clip_id=f"{number}{name}",
            path=folder / f"{number}.mp4",
            label=Label(int(fake)),
            method=name,
            compression="",
            target_identity=person,
            source_identity=name if fake else "",
            split=split,
            official_split=fake,
            frames=number or None,
        )
        for number, (name, person, split, fake) in enumerate(rows)
    ]
    Manifest("any", tuple(clips)).write(folder / "manifest.csv")
    table = inventory.read_clips(folder / "manifest.csv")
    for clip, row in zip(read_manifest(folder / "manifest.csv"), table.itertuples(), strict=True):
        assert (clip.clip_id, str(clip.path), clip.label.word) == (row.clip_id, row.path, row.label)
        assert (clip.method, clip.split, clip.official_split) == (row.method, row.split, row.official_split)
        assert (clip.target_identity, clip.source_identity) == (row.target_identity, row.source_identity)
        assert (clip.frames or -1) == (-1 if pd.isna(row.frames) else row.frames)


def test_what_a_person_wrote_by_hand_is_read_too(tmp_path: Path) -> None:
    face_corpora.added(tmp_path / "tree")
    path = data_dir() / "corpora" / "swaps" / "manifest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",real,", ", REAL ,"), encoding="utf-8-sig")
    assert (clips_of("swaps")["label"] == "real").sum() == 12


def test_the_report_is_read_and_a_damaged_one_is_one_sentence(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    assert inventory.report(inventory.corpus("swaps")).failures == ()
    folder = face_corpora.preprocessed(home(), manifest, faceless=[manifest.clips[0].clip_id])
    corpus = inventory.corpus("swaps")
    assert inventory.report(corpus).failures == ((manifest.clips[0].clip_id, "no face was found"),)
    (folder / "report.json").write_text(json.dumps({"failures": [1]}))
    with pytest.raises(ManifestError, match=r"report\.json cannot be read .* run `dfd preprocess` again"):
        inventory.report(corpus)
