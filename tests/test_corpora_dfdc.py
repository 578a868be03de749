"""DFDC: clips go with their original, and fakes of which only the voice was changed can be left out."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dfd.corpora import dfdc_audio
from dfd.corpora.dfdc import dfdc
from dfd.corpora.sample_render import Pair, render_pair
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.video import read_frames, write_video
from tests import corpora_trees as trees
from tests import videos

FRAMES = 8


def edit(root: Path, part: str = "dfdc_train_part_0", **entries: object) -> None:
    """Change entries of a part's metadata."""
    path = root / part / "metadata.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    trees.write_json(path, facts | entries)


def test_a_fake_shares_its_originals_identity_and_split(tmp_path: Path) -> None:
    manifest = dfdc(trees.dfdc(tmp_path), name="dfdc").manifest.check()
    assert len(manifest) == 48
    splits = defaultdict(set)
    for clip in manifest:
        splits[clip.target_identity].add(clip.split)
        assert clip.label is (Label.FAKE if clip.path.name.startswith("fake") else Label.REAL)
    assert len(splits) == 16
    assert all(len(found) == 1 for found in splits.values())
    assert {clip.target_identity for clip in manifest if "fake000003" in clip.path.name} == {"dfdc-real000003"}
    assert {clip.clip_id for clip in manifest} >= {"original/real000003", "dfdc/fake000003a"}


def test_one_part_and_nested_archives_are_read(tmp_path: Path) -> None:
    trees.dfdc(tmp_path / "part_00")
    assert len(dfdc(tmp_path, name="dfdc").manifest) == 48
    assert len(dfdc(tmp_path / "part_00" / "dfdc_train_part_1", name="dfdc").manifest) == 24


def test_that_people_are_unknown_is_said(tmp_path: Path) -> None:
    notes = dfdc(trees.dfdc(tmp_path), name="dfdc").notes
    assert any("does not say who is seen" in note for note in notes)
    assert any("name no test split" in note for note in notes)


def test_what_is_missing_unnamed_or_twice_is_named(tmp_path: Path) -> None:
    trees.dfdc(tmp_path)
    first, second = tmp_path / "dfdc_train_part_0", tmp_path / "dfdc_train_part_1"
    (first / "fake000000a.mp4").unlink()
    trees.put(second, ["stray.mp4", "real000000.mp4"])
    edit(tmp_path, second.name, **{"real000000.mp4": {"label": "REAL", "split": "train"}})
    (tmp_path / "dfdc_train_part_2").mkdir()
    trees.put(tmp_path, ["dfdc_train_part_2/x.mp4"])
    listing = dfdc(tmp_path, name="dfdc")
    listing.manifest.check()
    assert listing.missing == ("dfdc_train_part_0/fake000000a.mp4",)
    assert dict(listing.left_out) == {
        "dfdc_train_part_1/stray.mp4": "metadata.json beside it does not name it",
        "dfdc_train_part_1/real000000.mp4": "dfdc_train_part_0/real000000.mp4 has the same name",
        "dfdc_train_part_2": "it has videos and no metadata.json",
    }


def test_a_name_twice_in_the_metadata_is_named(tmp_path: Path) -> None:
    trees.dfdc(tmp_path, parts=1)
    path = tmp_path / "dfdc_train_part_0" / "metadata.json"
    text = path.read_text(encoding="utf-8")
    twice = '{"real000000.mp4": {"label": "REAL", "split": "train"}, ' + text.removeprefix("{")
    path.write_text(twice, encoding="utf-8")
    listing = dfdc(tmp_path, name="dfdc")
    assert len(listing.manifest.check()) == 24
    assert listing.left_out == (
        ("dfdc_train_part_0/real000000.mp4", "metadata.json names it twice; its first entry stands"),
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"label": "FORGED"}, r"metadata\.json: 'dfdc_train_part_0/x\.mp4' has no label FAKE or REAL"),
        ({"split": "train"}, "has no label FAKE or REAL"),
        ({"label": "REAL", "split": "devel"}, "odd split .*'devel'"),
        ("REAL", r"metadata\.json is no table of clips"),
    ],
)
def test_metadata_that_say_nothing_are_refused(tmp_path: Path, entry: object, said: str) -> None:
    edit(trees.dfdc(tmp_path, parts=1), **{"x.mp4": entry})
    with pytest.raises(ManifestError, match=said):
        dfdc(tmp_path, name="dfdc")


def test_metadata_cut_short_are_named(tmp_path: Path) -> None:
    path = trees.dfdc(tmp_path, parts=1) / "dfdc_train_part_0" / "metadata.json"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(ManifestError, match=r"metadata\.json cannot be read .*download it again"):
        dfdc(tmp_path, name="dfdc")


def test_the_previews_people_and_test_split_are_known(tmp_path: Path) -> None:
    listing = dfdc(trees.dfdc_preview(tmp_path), name="dfdcp")
    clips = {clip.clip_id: clip for clip in listing.manifest.check()}
    fake = clips["method_B/1002_1001_A_001"]
    assert (fake.target_identity, fake.source_identity, fake.method) == ("dfdcp-1001", "dfdcp-1002", "method_B")
    assert {clip.target_identity for clip in listing.manifest.split("test")} == {"dfdcp-1011", "dfdcp-1012"}
    assert all(clip.official_split == (clip.split == "test") for clip in listing.manifest)
    assert len(listing.manifest.split("val")) > 0
    assert any("no official validation split" in note for note in listing.notes)
    by_identity = dfdc(tmp_path, name="dfdcp", split="identity").manifest.check()
    assert not any(clip.official_split for clip in by_identity)


def test_the_preview_has_no_fakes_altered_in_their_voice(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="without --drop-audio-altered"):
        dfdc(trees.dfdc_preview(tmp_path), name="dfdcp", drop_audio_altered=True)


# pictures


@pytest.fixture(scope="module")
def pair() -> Pair:
    return render_pair("swap", 1, 2, seed=0, frames=FRAMES, size=256, fps=30.0, difficulty=0.2)


def again(path: Path, out: Path, crf: int) -> Path:
    """Decode a clip and encode it once more."""
    write_video(out, read_frames(path, range(FRAMES)).pixels, 30, crf=crf)
    return out


def wide(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A head in a wider picture."""
    frames = videos.wall(len(pixels), 360, 640, seed=1)
    frames[:, 50:306, 100:356] = pixels
    return frames


@pytest.mark.parametrize("crf", [23, 28])
def test_encoding_again_changes_no_picture_and_another_face_does(tmp_path: Path, pair: Pair, crf: int) -> None:
    for name, place in (("close", lambda pixels: pixels), ("wide", wide)):
        original, fake = tmp_path / f"{name}.mp4", tmp_path / f"{name}-fake.mp4"
        write_video(original, place(pair.real), 30, crf=23)
        write_video(fake, place(pair.fake), 30, crf=crf)
        copy = again(original, tmp_path / f"{name}-copy.mp4", crf)
        assert dfdc_audio.difference(copy, original) < dfdc_audio.LIMIT < dfdc_audio.difference(fake, original)
        assert dfdc_audio.difference(original, original) == 0


def test_a_picture_of_another_size_is_another_picture(tmp_path: Path, pair: Pair) -> None:
    write_video(tmp_path / "a.mp4", pair.real, 30)
    write_video(tmp_path / "b.mp4", pair.real[:, :128], 30)
    assert dfdc_audio.difference(tmp_path / "b.mp4", tmp_path / "a.mp4") == float("inf")


@pytest.fixture
def voices(tmp_path: Path, pair: Pair) -> Path:
    """An original with a fake of its voice and one of its face, a fake without an original, and a broken one."""
    part = tmp_path / "dfdc" / "dfdc_train_part_0"
    part.mkdir(parents=True)
    write_video(part / "original.mp4", pair.real, 30, crf=23)
    again(part / "original.mp4", part / "voice.mp4", 28)
    write_video(part / "face.mp4", pair.fake, 30, crf=28)
    write_video(part / "orphan.mp4", pair.fake, 30, crf=28)
    (part / "broken.mp4").write_text("no video")
    fake = {"label": "FAKE", "split": "train"}
    made_of = {"voice": "original", "face": "original", "orphan": "elsewhere", "broken": "original"}
    facts = {f"{name}.mp4": {**fake, "original": f"{real}.mp4"} for name, real in made_of.items()}
    trees.write_json(part / "metadata.json", {"original.mp4": {"label": "REAL", "split": "train"}, **facts})
    return tmp_path / "dfdc"


def test_fakes_of_the_voice_alone_are_left_out_if_asked(voices: Path) -> None:
    kept = {clip.path.stem for clip in dfdc(voices, name="dfdc").manifest}
    assert kept == {"original", "voice", "face", "orphan", "broken"}
    listing = dfdc(voices, name="dfdc", drop_audio_altered=True)
    assert {clip.path.stem for clip in listing.manifest} == kept - {"voice"}
    assert listing.left_out == (("dfdc/voice", "its picture is its original's: only the voice was changed"),)
    assert "1 fakes were taken unseen: their originals are not on disk" in listing.notes
    assert "1 fakes were taken unseen: they or their originals do not decode" in listing.notes


def test_what_was_looked_at_is_not_looked_at_again(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (voices / "dfdc_train_part_0" / "broken.mp4").unlink()
    first = dfdc(voices, name="dfdc", drop_audio_altered=True)
    read: list[Path] = []
    monkeypatch.setattr(dfdc_audio, "read_frames", lambda path, *_, **__: read.append(path))
    assert dfdc(voices, name="dfdc", drop_audio_altered=True) == first
    assert read == []


def test_a_fake_that_changed_is_looked_at_again(voices: Path, pair: Pair) -> None:
    dfdc(voices, name="dfdc", drop_audio_altered=True)
    write_video(voices / "dfdc_train_part_0" / "voice.mp4", pair.fake, 30, crf=20)
    assert dfdc(voices, name="dfdc", drop_audio_altered=True).left_out == ()
