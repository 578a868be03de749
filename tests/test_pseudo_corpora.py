"""Corpora of pseudo-fakes: made of whole clips or of face-only videos, trained on, and their masks found again."""

import json
from pathlib import Path

import numpy as np
import pytest

from dfd import tracking
from dfd.attribution import explain
from dfd.attribution.truth import against_mask
from dfd.cautions import cautions
from dfd.checkpoints import load
from dfd.comparison import relation
from dfd.corpora import registry
from dfd.corpora.sample import load_mask, mask_path
from dfd.data import face_corpus
from dfd.errors import ManifestError
from dfd.evaluation import evaluate_and_record
from dfd.experiments import train
from dfd.face_only import load_face_clip
from dfd.faces import FaceFinder, crop, face_clips
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, read_manifest
from dfd.pseudo_fakes.casting import cast
from dfd.pseudo_fakes.partners import with_partners
from dfd.pseudo_fakes.settings import PseudoFakes
from dfd.recipe import GIVEN, CropRecipe
from dfd.truth_masks import mask_in_crops, mask_of
from dfd.video import probe, read_frames, write_video
from tests import corpora_trees, videos
from tests.commands import dfd, snapshot
from tests.conftest import tiny_experiment
from tests.pseudo import real_corpus, without_landmarks
from tests.stored_faces import experiment_file

AS_USUAL = PseudoFakes()
FRAMES = 12


@pytest.fixture(scope="module")
def reals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of seven clips of one moving head each, one of them odd-sized, and one without a face."""
    root = tmp_path_factory.mktemp("reals") / "people"
    corpora_trees.put(root, [f"person{one}.mp4" for one in range(6)], corpora_trees.moving)
    odd = videos.face_frames(FRAMES, 121, 161, size=90)
    videos.encode(root / "odd.mkv", odd, pixel_format="yuv444p")
    write_video(root / "wall.mp4", videos.wall(FRAMES, 120, 160), 25)
    return root


@pytest.fixture(scope="module")
def corpus(reals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus that `dfd pseudo-fakes` makes of it."""
    out = tmp_path_factory.mktemp("out") / "fakes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(out.parent / "home"))
        assert dfd(patch, "pseudo-fakes", reals, "--out", out, "--workers", "1") == 0
    return out


def of(manifest: Manifest, label: Label) -> list[Clip]:
    return [clip for clip in manifest if clip.label is label]


def test_a_folder_of_real_clips_becomes_pairs_and_says_who_has_no_face(corpus: Path) -> None:
    manifest = read_manifest(corpus / "manifest.csv").check()
    assert manifest.name == "people+pseudo"
    real, fake = of(manifest, Label.REAL), of(manifest, Label.FAKE)
    assert sorted(clip.clip_id for clip in real) == ["odd.mkv", *(f"person{one}.mp4" for one in range(6))]
    assert {clip.clip_id.partition("/")[2] for clip in fake} == {clip.clip_id for clip in real}
    assert {clip.method for clip in fake} == {"self_blend", "warp"}
    persons = {clip.clip_id: (clip.target_identity, clip.split) for clip in real}
    for clip in fake:
        assert (clip.target_identity, clip.split) == persons[clip.clip_id.partition("/")[2]]
        assert clip.source_identity == clip.target_identity
    failures = json.loads((corpus / "report.json").read_text())["failures"]
    assert [clip for clip, _ in failures] == ["wall.mp4"]
    assert "no face was found" in failures[0][1]


def test_real_and_fake_are_encoded_alike_and_differ_where_the_mask_is(corpus: Path) -> None:
    manifest = read_manifest(corpus / "manifest.csv")
    real = {clip.clip_id: clip for clip in of(manifest, Label.REAL)}
    for fake in of(manifest, Label.FAKE):
        own = real[fake.clip_id.partition("/")[2]]
        infos = [probe(clip.path) for clip in (own, fake)]
        assert len({(info.frames, info.width, info.height, info.fps, info.codec) for info in infos}) == 1
        frames = [read_frames(clip.path, range(FRAMES)).pixels.astype(int) for clip in (own, fake)]
        mask = load_mask(mask_path(fake.path))
        assert mask.shape == frames[0].shape[:3]
        change = np.abs(frames[0] - frames[1]).mean(axis=-1)
        assert change[mask].mean() > 4 * change[~mask].mean()
        assert not mask_path(own.path).exists()


def test_a_finished_corpus_is_left_alone_and_a_killed_one_is_completed(
    corpus: Path, reals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(corpus)
    lost = next(path for path in sorted((corpus / "videos").iterdir()) if "-original" not in path.name)
    stayed = max((corpus / "videos").iterdir())  # of another clip
    lost.unlink()
    written = stayed.stat().st_mtime_ns
    assert dfd(monkeypatch, "pseudo-fakes", reals, "--out", corpus, "--workers", "1") == 0
    assert snapshot(corpus) == before
    assert stayed.stat().st_mtime_ns == written


def test_other_settings_take_another_folder(
    corpus: Path, reals: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dfd(monkeypatch, "pseudo-fakes", reals, "--out", corpus, "--seed", "1") == 1
    assert "choose another --out" in capsys.readouterr().err
    assert dfd(monkeypatch, "pseudo-fakes", reals, "--out", corpus, "--methods", "magic") == 2
    assert dfd(monkeypatch, "pseudo-fakes", corpus / "masks", "--out", corpus) == 1


def test_preprocess_and_corpora_take_a_corpus_of_pseudo_fakes_and_its_masks_are_cut_as_its_crops(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(corpus / "manifest.csv")
    assert dfd(monkeypatch, "corpora", "add", corpus, "--name", "mine") == 0
    added = registry.get("mine")
    assert (added.kind, added.coverage, added.left_out) == ("csv", 1.0, ())
    splits = {(clip.path, clip.split, clip.method, clip.target_identity) for clip in added.manifest()}
    assert splits == {(clip.path, clip.split, clip.method, clip.target_identity) for clip in manifest}

    assert dfd(monkeypatch, "preprocess", corpus, "--workers", "1") == 0
    faces = face_corpus("people+pseudo")
    assert [clip.frames for clip in faces] == [FRAMES] * len(manifest)
    whole = {clip.clip_id: clip.path for clip in manifest}
    for clip in of(faces, Label.FAKE):
        mask, fake = mask_of(clip), load_face_clip(clip.path)
        assert mask is not None
        assert (mask.shape, mask.dtype) == ((FRAMES, 112, 112), np.float32)
        assert 0 <= mask.min() < mask.max() <= 1
        frames = read_frames(whole[clip.clip_id.partition("/")[2]], range(FRAMES)).pixels
        real = np.stack([crop(*pair, fake.recipe) for pair in zip(frames, fake.track.boxes, strict=True)])
        change = np.abs(fake.crops.astype(int) - real).mean(axis=-1)
        assert change[mask > 0.5].mean() > 2 * change[mask < 0.5].mean()
        again = mask_in_crops(face_clips(whole[clip.clip_id], FaceFinder(CropRecipe()))[0])
        assert again is not None
        np.testing.assert_allclose(again, mask, atol=0.02)  # the kept boxes are rounded
    assert {mask_of(clip) is None for clip in of(faces, Label.REAL)} == {True}


def test_a_mask_of_another_length_is_refused(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = of(read_manifest(corpus / "manifest.csv"), Label.FAKE)[0]
    face = face_clips(fake.path, FaceFinder(CropRecipe()))[0]
    monkeypatch.setattr("dfd.truth_masks.load_mask", lambda path: np.zeros((3, 120, 160), bool))
    with pytest.raises(ManifestError, match="has 3 frames and its clip has 12"):
        mask_in_crops(face)


def test_every_real_clip_gets_one_fake_and_the_methods_are_dealt_out_evenly(tmp_path: Path) -> None:
    manifest = real_corpus(tmp_path / "home", people=16)
    roles = cast(manifest, AS_USUAL)
    assert set(roles) == {clip.clip_id for clip in manifest}
    for split, people in (("train", 8), ("val", 4), ("test", 4)):
        methods = [roles[clip.clip_id] for clip in manifest if clip.split == split]
        assert sorted(methods) == ["self_blend"] * (people // 2) + ["warp"] * (people // 2)
    half = cast(manifest, PseudoFakes(share=0.5, methods=("warp",)))
    assert len(half) == 8
    assert set(half.values()) == {"warp"}


def test_face_only_videos_get_partners_once_and_their_masks_beside_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    manifest = real_corpus(home, people=8)
    found = with_partners(manifest, AS_USUAL, workers=1)
    assert found.name == "reals+pseudo"
    assert {clip.corpus for clip in found} == {"reals+pseudo"}
    assert len(of(found, Label.REAL)) == len(of(found, Label.FAKE)) == 8
    before = snapshot(home / "data" / "pseudo")
    assert with_partners(manifest, AS_USUAL, workers=1) == found
    assert snapshot(home / "data" / "pseudo") == before
    real = {clip.clip_id: load_face_clip(clip.path) for clip in of(found, Label.REAL)}
    for clip in of(found, Label.FAKE):
        mask, fake = mask_of(clip), load_face_clip(clip.path)
        assert mask is not None
        assert mask.shape == (8, 32, 32)
        np.testing.assert_array_equal(mask > 0.5, load_mask(mask_path(clip.path)))  # crops of themselves
        change = np.abs(fake.crops.astype(int) - real[clip.clip_id.partition("/")[2]].crops).mean(axis=-1)
        assert change[mask > 0.5].mean() > 3 * change[mask < 0.5].mean()
        assert mask_in_crops(fake) is not None
    other = with_partners(manifest, PseudoFakes(coherence=0), workers=1)
    assert other.digest() != found.digest()
    assert of(other, Label.REAL) == of(found, Label.REAL)


def test_a_home_that_moved_keeps_its_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_partners(real_corpus(tmp_path / "home", people=2), AS_USUAL, workers=1)
    moved = (tmp_path / "home").rename(tmp_path / "elsewhere")
    for clip in of(read_manifest(moved / "data" / "pseudo" / "reals" / "manifest.csv"), Label.FAKE):
        assert mask_of(clip) is not None


def test_landmarks_of_crops_that_others_cut_are_looked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = real_corpus(tmp_path / "home", people=2, recipe=GIVEN.model_copy(update={"max_frames": 8, "size": 112}))
    for clip in manifest:
        without_landmarks(clip)
    write_video(manifest.clips[0].path, videos.wall(8, 112, 112), 25)
    found = with_partners(manifest, AS_USUAL, workers=1)
    assert [clip.frames for clip in of(found, Label.REAL)] == [0, 8]
    fakes = of(found, Label.FAKE)
    assert len(fakes) == 1
    mask = mask_of(fakes[0])
    assert mask is not None
    assert mask[:, 60:80, 50:62].min() == 1  # about the nose
    assert "no face was found" in caplog.text


def test_fakes_that_a_corpus_has_are_refused_unless_they_are_to_be_left_out(tmp_path: Path) -> None:
    manifest = real_corpus(tmp_path / "home", people=4, fakes=True)
    with pytest.raises(ManifestError, match="has 4 fakes; .*ignore_fakes"):
        with_partners(manifest, AS_USUAL, workers=1)
    found = with_partners(manifest, PseudoFakes(ignore_fakes=True), workers=1)
    assert {clip.method for clip in of(found, Label.FAKE)} == {"self_blend", "warp"}
    with pytest.raises(ManifestError, match="has no real clip"):
        with_partners(Manifest("fakes", tuple(of(manifest, Label.FAKE))), PseudoFakes(ignore_fakes=True), workers=1)


def test_a_clip_without_a_face_stays_and_lowers_the_coverage(tmp_path: Path) -> None:
    from dataclasses import replace

    first, *rest = real_corpus(tmp_path / "home", people=2).clips
    found = with_partners(Manifest("reals", (replace(first, frames=0), *rest)), AS_USUAL, workers=1)
    assert sorted((clip.label.word, clip.frames) for clip in found) == [("fake", 8), ("real", 0), ("real", 8)]


def test_a_corpus_of_pseudo_fakes_that_is_not_there_is_told_with_both_ways_to_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"'a\+pseudo' is not there: .*`dfd train --pseudo-fakes` makes it, or"):
        face_corpus("a+pseudo")
    with_partners(real_corpus(tmp_path / "home", "a", people=2), AS_USUAL, workers=1)
    last = face_corpus("a+pseudo")
    assert {clip.corpus for clip in last} == {"a+pseudo"}
    preprocessed = real_corpus(tmp_path / "home", "a+pseudo", people=4)
    assert face_corpus("a+pseudo").digest() == preprocessed.digest(), "one that was preprocessed goes first"


def test_real_clips_alone_are_preprocessed_and_refused_where_fakes_are_needed(
    reals: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("person0.mp4", "person1.mp4"):
        (folder / name).symlink_to(reals / name)
    assert dfd(monkeypatch, "preprocess", folder, "--workers", "1") == 0
    assert [(clip.label, clip.frames) for clip in face_corpus("few")] == [(Label.REAL, FRAMES)] * 2

    file = experiment_file(tmp_path / "e.yaml", data={"corpora": ["few"]}, sweep=None)
    assert dfd(monkeypatch, "train", file) == 1
    assert "corpus 'few' has real clips alone, and a detector is trained and measured on fakes too" in (
        capsys.readouterr().err
    )
    assert tracking.runs().empty


def test_training_on_real_clips_alone_is_recorded_as_on_pseudo_fakes(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_corpus(store, people=12)
    real_corpus(store, "swaps", people=8, fakes=True)
    asked = tiny_experiment(data={"corpora": ["reals"], "pseudo_fakes": {"coherence": 0.9}}, sweep=None)
    run_id = train(asked)
    assert tracking.tags(run_id)["dfd.corpus"] == "reals+pseudo"
    assert tracking.tags(run_id)["dfd.backbone_corpora"] == "reals+pseudo"
    inputs = tracking.datasets(run_id)
    assert set(inputs["corpus"]) == {"reals+pseudo"}
    told = tracking.predictions(run_id)
    assert set(told["corpus"]) == {"reals+pseudo"}
    assert {"self_blend", "warp", "original"} >= set(told["method"]) > {"original"}
    meta = load(run_id).meta
    assert (meta.corpus, meta.backbone_corpora) == ("reals+pseudo", ("reals+pseudo",))
    assert "pseudo-fakes" in " ".join(cautions(meta))

    assert train(asked) == run_id
    flickering = tiny_experiment(data={"corpora": ["reals"], "pseudo_fakes": {"coherence": 0}}, sweep=None)
    assert train(flickering) != run_id

    made = read_manifest(store / "data" / "pseudo" / "reals" / "manifest.csv")
    fake = next(clip for clip in made.split("test") if clip.label is Label.FAKE)
    maps, mask = explain(load(run_id), load_face_clip(fake.path), "gradcam").maps, mask_of(fake)
    assert mask is not None
    assert 0 < against_mask(maps, mask > 0.5).area < 1

    assert face_corpus("reals+pseudo").clips == made.clips, "by its name, what was made last"
    assert dfd(monkeypatch, "evaluate", "reals+pseudo", "--checkpoint", run_id) == 0
    assert tracking.runs()["name"].iloc[0] == "tiny on reals+pseudo"

    evaluated, found = evaluate_and_record(load(run_id), face_corpus("swaps"))
    assert tracking.tags(evaluated)["dfd.evaluated_on"] == "swaps"
    assert found.metrics["coverage"] == 1.0


@pytest.mark.parametrize(
    ("trained", "tested", "said"),
    [
        ("a+pseudo", "a+pseudo", "in distribution"),
        ("a+pseudo", "a", "mixed"),
        ("a", "a+pseudo", "mixed"),
        ("a+pseudo+b+pseudo", "b+pseudo", "in distribution"),
        ("a+pseudo+b+pseudo", "c", "held out"),
        ("a+pseudo+b", "b", "in distribution"),
        ("pseudonym", "pseudo", "held out"),
    ],
)
def test_no_table_takes_a_test_on_fakes_for_one_on_pseudo_fakes(trained: str, tested: str, said: str) -> None:
    assert relation(trained, trained, tested) == said


def test_any_detector_of_fakes_is_better_than_one_of_pseudo_fakes(store: Path) -> None:
    versions = {}
    for corpus, auc in (("a+pseudo", 1.0), ("a", 0.6), ("b+pseudo", 1.0)):
        with tracking.start_run(corpus, tags={"dfd.corpus": corpus}) as run:
            run.metrics({"val/auc": auc, "val/log_loss": 0.5})
        (store / "checkpoint").mkdir(exist_ok=True)
        (store / "checkpoint" / "model.txt").write_text(corpus)
        run.folder(store / "checkpoint", tracking.CHECKPOINT)
        versions[corpus] = run.register()
        tracking.promote(run.run_id, versions[corpus], corpus)
    best = tracking.best()
    assert best is not None
    assert (tracking.checkpoint_folder(best) / "model.txt").read_text() == "a"
    own = tracking.best("b+pseudo")
    assert own == "models:/dfd-detector@best-b_pseudo"
    assert (tracking.checkpoint_folder(own) / "model.txt").read_text() == "b+pseudo"


def test_the_flag_leaves_the_fakes_of_the_corpora_out(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    real_corpus(store, people=12, fakes=True)
    path = tmp_path / "experiment.yaml"
    settings = tiny_experiment(data={"corpora": ["reals"]}, sweep=None).model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    assert dfd(monkeypatch, "train", path, "--pseudo-fakes", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["corpus"], told["name"]) == ("reals+pseudo", "tiny, pseudo-fakes")
