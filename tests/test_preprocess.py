"""Face-only videos: made once, found again, nearly lossless, and never mixed between recipes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from dfd import cutter, faces, provenance
from dfd import preprocess as module
from dfd.checkpoints import load
from dfd.corpora.find import located
from dfd.errors import DfdError, VideoError
from dfd.face_only import load_crops, load_face_clip
from dfd.faces import FaceFinder, face_clips
from dfd.labels import Label
from dfd.manifest import COLUMNS, Clip, Manifest, read_manifest
from dfd.models import to_input
from dfd.preprocess import preprocess
from dfd.recipe import GIVEN, CropRecipe
from dfd.video import write_video
from tests import videos
from tests.commands import snapshot

RECIPE = CropRecipe(max_frames=12)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Two clips with a face, one without, one that is no video, one that is missing."""
    root = tmp_path_factory.mktemp("corpus")
    write_video(root / "a.mp4", videos.face_frames(14), 25)
    write_video(root / "b.mp4", videos.face_frames(10, size=90), 30)
    write_video(root / "wall.mp4", videos.wall(10, 120, 160), 30)
    (root / "text.mp4").write_text("hello")
    names = ("a", "b", "wall", "text", "missing")
    clips = [
        Clip(
            corpus="mine",
            clip_id=f"{'fake' if name == 'b' else 'real'}/{name}",
            path=root / f"{name}.mp4",
            label=Label.FAKE if name == "b" else Label.REAL,
            method="swap" if name == "b" else "original",
            compression="c23",
            target_identity=name,
            source_identity="s" if name == "b" else "",
            split="test" if name == "b" else "train",
            official_split=True,
            frames=99,
        )
        for name in names
    ]
    return Manifest("mine", tuple(clips)).check()


@pytest.fixture(scope="module")
def made(corpus: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("faces")
    preprocess(corpus, out, RECIPE, workers=1)
    return out


def test_the_manifest_leads_to_the_face_only_videos_and_keeps_every_other_column(corpus: Manifest, made: Path) -> None:
    found = read_manifest(made / "manifest.csv")
    assert [clip.frames for clip in found] == [12, 10, 0, 0, 0]
    for before, after in zip(corpus, found, strict=True):
        assert all(getattr(before, name) == getattr(after, name) for name in COLUMNS if name not in ("path", "frames"))
        if not after.frames:
            assert after.path == before.path.resolve()
            continue
        assert after.path.is_relative_to(made.resolve())
        assert load_crops(after.path).shape == (after.frames, 112, 112, 3)


def test_every_clip_that_failed_is_listed_with_its_reason(made: Path) -> None:
    report = json.loads((made / "report.json").read_text())
    reasons = dict(report["failures"])
    assert list(reasons) == ["real/wall", "real/text", "real/missing"]
    for name, words in (("wall", "no face"), ("text", "not a video"), ("missing", "no file")):
        assert words in reasons[f"real/{name}"]
        assert f"{name}.mp4" in reasons[f"real/{name}"]
    assert report["clips"] == 5


def test_a_face_clip_comes_back_with_its_track(corpus: Manifest, made: Path) -> None:
    path = read_manifest(made / "manifest.csv").clips[0].path
    stored, direct = load_face_clip(path), face_clips(corpus.clips[0].path, FaceFinder(RECIPE))[0]
    assert (stored.recipe, stored.source) == (RECIPE, str(corpus.clips[0].path))
    np.testing.assert_allclose(stored.track.boxes, direct.track.boxes, atol=0.01)
    np.testing.assert_allclose(stored.track.landmarks, direct.track.landmarks, atol=0.01)
    np.testing.assert_allclose(stored.track.times, direct.track.times, atol=1e-6)
    np.testing.assert_array_equal(stored.track.indices, direct.track.indices)
    np.testing.assert_array_equal(stored.track.detected, direct.track.detected)


def test_training_sees_what_serving_sees(corpus: Manifest, made: Path, tiny_checkpoint: Path) -> None:
    """Training reads crops that were compressed, serving crops from the source: neither eye nor logits may tell."""
    direct = face_clips(corpus.clips[0].path, FaceFinder(RECIPE))[0].crops
    stored = load_crops(read_manifest(made / "manifest.csv").clips[0].path)
    error = np.mean((stored.astype(float) - direct) ** 2)
    assert 10 * np.log10(255**2 / error) > 45
    model = load(tiny_checkpoint).model
    with torch.inference_mode():
        logits = [model(to_input(crops, RECIPE)[None]) for crops in (direct, stored)]
    torch.testing.assert_close(logits[0], logits[1], atol=0.01, rtol=0)


def test_frames_are_chosen_on_reading(made: Path) -> None:
    path = read_manifest(made / "manifest.csv").clips[0].path
    whole = load_crops(path)
    np.testing.assert_array_equal(load_crops(path, 5), whole[:5])
    np.testing.assert_array_equal(load_crops(path, 4, "even"), whole[[0, 4, 7, 11]])
    np.testing.assert_array_equal(load_crops(path, 50), whole)


def test_what_is_there_is_not_made_again(corpus: Manifest, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutter, "write_video", lambda *arguments, **options: pytest.fail("made again"))
    before = (made / "manifest.csv").read_bytes()
    report = preprocess(corpus, made, RECIPE, workers=1)
    assert (report.done, report.skipped, len(report.failures)) == (0, 2, 3)
    assert (made / "manifest.csv").read_bytes() == before


def test_another_recipe_or_source_never_mixes_with_what_is_there(corpus: Manifest, tmp_path: Path) -> None:
    one = Manifest("mine", corpus.clips[1:2])
    preprocess(one, tmp_path, RECIPE, workers=1)
    first = read_manifest(tmp_path / "manifest.csv").clips[0].path
    wider = RECIPE.model_copy(update={"margin": 1.6})
    assert preprocess(one, tmp_path, wider, workers=1).done == 1
    second = read_manifest(tmp_path / "manifest.csv").clips[0].path
    assert load_face_clip(second).recipe.margin == 1.6
    assert load_face_clip(first).recipe.margin == 1.3
    assert preprocess(one, tmp_path, RECIPE, workers=1).skipped == 1
    assert preprocess(one, tmp_path, RECIPE.model_copy(update={"colour": "bgr"}), workers=1).skipped == 1
    changed = tmp_path / "b.mp4"
    write_video(changed, videos.face_frames(9, size=90), 30)
    moved = one.map(lambda clip: Clip(**{**{name: getattr(clip, name) for name in COLUMNS}, "path": changed}))
    assert preprocess(moved, tmp_path, RECIPE, workers=1).done == 1


def test_a_picture_that_is_changed_in_place_makes_its_folder_anew(corpus: Manifest, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for at in range(3):
        Image.new("RGB", (112, 112), (at, 100, 100)).save(album / f"{at}.png")
    one = Manifest("mine", (replace(corpus.clips[0], path=album),))
    assert preprocess(one, tmp_path / "out", GIVEN, workers=1).done == 1
    assert preprocess(one, tmp_path / "out", GIVEN, workers=1).skipped == 1
    Image.new("RGB", (112, 112), (200, 100, 100)).save(album / "1.png")
    assert preprocess(one, tmp_path / "out", GIVEN, workers=1).done == 1


def test_an_interrupted_clip_is_made_again(corpus: Manifest, tmp_path: Path) -> None:
    one = Manifest("mine", corpus.clips[1:2])
    preprocess(one, tmp_path, RECIPE, workers=1)
    side = next(tmp_path.glob("clips/*.json"))
    side.unlink()  # it is written last
    assert preprocess(one, tmp_path, RECIPE, workers=1).done == 1
    assert side.exists()
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_workers_give_the_same_as_one(
    corpus: Manifest, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW", 0)
    told: list[float] = []
    report = preprocess(corpus, tmp_path, RECIPE, workers=2, progress=lambda fraction, message: told.append(fraction))
    assert (report.done, len(report.failures)) == (2, 3)
    assert told == sorted(told)
    assert told[-1] == 1.0
    for one, other in zip(read_manifest(made / "manifest.csv"), read_manifest(tmp_path / "manifest.csv"), strict=True):
        assert one.path.name == other.path.name
        assert not one.frames or one.path.read_bytes() == other.path.read_bytes()


def test_a_resumed_run_counts_what_is_there(corpus: Manifest, tmp_path: Path) -> None:
    preprocess(Manifest("mine", corpus.clips[:2]), tmp_path, RECIPE, workers=1)
    told: list[tuple[float, str]] = []
    preprocess(corpus, tmp_path, RECIPE, workers=1, progress=lambda *news: told.append(news))
    assert [fraction for fraction, _ in told] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [message for _, message in told] == [f"face-only videos of mine: {ready} of 5" for ready in (3, 4, 5)]


def test_a_clip_that_dfd_fails_on_is_named_and_the_rest_is_done(
    corpus: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_on_a(path: Path, *arguments: object, **options: object) -> object:
        return 1 / 0 if path.name == "a.mp4" else faces.search(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cutter, "search", fails_on_a)
    report = preprocess(Manifest("mine", corpus.clips[:2]), tmp_path, RECIPE, workers=1)
    assert report.done == 1
    assert [clip_id for clip_id, _ in report.failures] == ["real/a"]
    assert "dfd itself failed on" in report.failures[0][1]
    assert "ZeroDivisionError" in report.failures[0][1]
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("taken", ["clips", "manifest.csv", "done.jsonl"])
def test_a_folder_that_cannot_be_written_ends_the_run(corpus: Manifest, tmp_path: Path, taken: str) -> None:
    """No clip is to blame, and none is called a failure for it."""
    (tmp_path / taken).mkdir() if "." in taken else (tmp_path / taken).touch()
    with pytest.raises(DfdError, match=f"{tmp_path} cannot be written"):
        preprocess(corpus, tmp_path, RECIPE, workers=1)
    assert not (tmp_path / "report.json").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_damaged_record_of_what_is_done_costs_a_look(corpus: Manifest, tmp_path: Path) -> None:
    two = Manifest("mine", corpus.clips[:2])
    preprocess(two, tmp_path, RECIPE, workers=1)
    before, record = snapshot(tmp_path), tmp_path / "done.jsonl"
    record.write_bytes(record.read_bytes()[:-40] + b'\n{"corpus": "mine"}\n\xff\xfe null')
    assert preprocess(two, tmp_path, RECIPE, workers=1).skipped == 2
    assert snapshot(tmp_path) == before


def test_a_parent_of_workers_loads_no_torch() -> None:
    """It is two thirds of a worker's memory and most of its start."""
    script = "import sys, dfd.cli, dfd.cluster, dfd.corpora.find, dfd.preprocess; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"


def test_only_one_run_writes_to_a_folder(corpus: Manifest, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(provenance.this_process())
    with pytest.raises(DfdError, match=r"another run writes to .*delete .*\.lock"):
        preprocess(corpus, tmp_path, RECIPE, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_results_can_go_to_a_url(corpus: Manifest, made: Path, tmp_path: Path) -> None:
    url = "memory://faces"
    report = preprocess(corpus, url, RECIPE, workers=1)
    assert (report.done, len(report.failures)) == (2, 3)
    assert preprocess(corpus, url, RECIPE, workers=1).skipped == 2
    memory = fsspec.filesystem("memory")
    memory.get("/faces", str(tmp_path / "faces"), recursive=True)
    assert snapshot(tmp_path / "faces") == snapshot(made)


def test_clips_can_come_from_a_url(corpus: Manifest, made: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    names = {"real/a": "a.mp4", "fake/b": "b.mp4"}
    two = Manifest("mine", tuple(replace(clip, path=tmp_path / names[clip.clip_id]) for clip in corpus.clips[:2]))
    two.write(tmp_path / "manifest.csv")
    memory.put(str(tmp_path / "manifest.csv"), "/corpus/manifest.csv")
    for clip in corpus.clips[:2]:
        memory.put(str(clip.path), f"/corpus/{names[clip.clip_id]}")
    manifest, source = located("memory://corpus/manifest.csv")
    assert preprocess(manifest, tmp_path / "out", RECIPE, workers=1, source=source).done == 2
    for one, other in zip(
        read_manifest(made / "manifest.csv").clips[:2], read_manifest(tmp_path / "out" / "manifest.csv"), strict=True
    ):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_a_store_that_cannot_be_reached_is_told(corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DfdError, match=r"nowhere://x/manifest\.csv cannot be .*"):
        located("nowhere://x/manifest.csv")


def test_damaged_face_only_videos_are_named(made: Path, tmp_path: Path) -> None:
    source = read_manifest(made / "manifest.csv").clips[0].path
    alone = tmp_path / source.name
    alone.write_bytes(source.read_bytes())
    with pytest.raises(VideoError, match=f"{alone.name} is not a face-only video"):
        load_face_clip(alone)
    alone.write_bytes(b"nothing")
    with pytest.raises(VideoError, match=f"{alone.name} cannot be read"):
        load_crops(alone)
    with pytest.raises(VideoError, match="cannot be read"):
        load_crops(tmp_path / "gone.mp4")
