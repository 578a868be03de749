"""Face clips are looked at without decoding them whole, and a damaged one is named in one sentence."""

from pathlib import Path

import pytest

from dfd.corpora import face_clips, inventory
from dfd.errors import VideoError
from dfd.paths import home
from tests import face_corpora


def test_face_widths_are_in_pixels_of_the_original_frames(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest, width=80)
    found = face_clips.face_sizes(inventory.clips(inventory.corpus("swaps")))
    assert found.table.set_index("clip_id")["width"].to_dict() == {
        clip.clip_id: 80 + number for number, clip in enumerate(manifest)
    }
    assert found.said == "All clips with a face."


def test_a_sample_of_face_sizes_is_the_same_each_time_and_says_what_it_is(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest)
    clips = inventory.clips(inventory.corpus("swaps"))
    found = face_clips.face_sizes(clips, most=5)
    again = face_clips.face_sizes(clips.iloc[::-1], most=5)
    assert set(found.table["clip_id"]) == set(again.table["clip_id"])
    assert found.said == "5 of 24 clips with a face, the same ones each time."
    Path(clips.set_index("clip_id").loc[found.table["clip_id"].iloc[0], "face_path"]).with_suffix(".json").unlink()
    assert "1 of them cannot be read" in face_clips.face_sizes(clips, most=5).said


def test_the_middle_crop_is_a_picture_of_its_clip(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest)
    for number, path in enumerate(inventory.clips(inventory.corpus("swaps"))["face_path"]):
        crop = face_clips.middle_crop(Path(path))
        assert crop.shape == (32, 32, 3)
        assert crop.mean() == pytest.approx(40 + 5 * number, abs=2)


def test_crops_of_a_clip_have_its_own_times(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest)
    path = Path(inventory.clips(inventory.corpus("swaps"))["face_path"].iloc[6])  # 8 frames, from the clip's second 1
    facts = face_clips.face_facts(path)
    crops = face_clips.some_crops(path, facts, most=3)
    assert crops.pixels.shape == (3, 32, 32, 3)
    assert list(crops.indices) == [0, 4, 7]
    assert crops.times == pytest.approx([1.0, 1.16, 1.28])
    assert (facts.size, facts.faces, facts.source) == (32, 1, str(manifest.clips[6].path))


def test_damaged_and_missing_face_only_videos_are_one_sentence(tmp_path: Path) -> None:
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest)
    first, second, *_ = (Path(path) for path in inventory.clips(inventory.corpus("swaps"))["face_path"])
    first.unlink()
    second.with_suffix(".json").write_text('{"track": {}}')
    for read, path in (
        (face_clips.middle_crop, first),
        (face_clips.face_facts, first),
        (face_clips.face_facts, second),
    ):
        with pytest.raises(VideoError, match="run `dfd preprocess` again") as refusal:
            read(path)
        assert "\n" not in str(refusal.value)
