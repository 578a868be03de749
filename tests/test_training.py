"""Training: it learns, it repeats, it keeps the best epoch, and validation alone decides."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dfd import checkpoints, tracking
from dfd.config import Balance, Data, Stage
from dfd.data import crop_table, epoch_rows, face_corpus, feature_table
from dfd.errors import DfdError, ManifestError
from dfd.evaluation import summarise
from dfd.experiments import backbone, chosen_clips, end_to_end, head, read_crops, train
from dfd.labels import Label
from dfd.manifest import SPLITS, Manifest, merge, read_manifest
from dfd.models import build
from dfd.paths import data_dir
from dfd.preprocess import preprocess
from dfd.recipe import CropRecipe
from dfd.sweep import members, sweep
from dfd.training import fit, fit_backbone, fit_clips, score_table
from tests.conftest import TINY_MODEL, tiny_experiment, tiny_table
from tests.stored_faces import stored

CPU = torch.device("cpu")
STAGE = Stage(epochs=4, batch=8, learning_rate=0.01)


def trained(**changes: object) -> tuple[torch.nn.Module, list[float]]:
    torch.manual_seed(0)
    table = tiny_table(("a",))
    model = build(**TINY_MODEL)
    settings = {"length": 4, "order": "natural", "seed": 0, "augmented": True, **changes}
    epochs = fit_clips(model, table.where("train"), table.where("val"), STAGE, CPU, **settings)
    return model, [epoch.val_loss for epoch in epochs]


def test_validation_loss_falls_and_the_best_epoch_is_kept() -> None:
    model, losses = trained()
    assert min(losses) < losses[0]
    val = tiny_table(("a",)).where("val")
    scores = score_table(model, val, CPU, length=4, order="natural", seed=0)
    labels = val.labels.numpy()
    kept = -np.mean(np.log(np.where(labels == 1, scores, 1 - scores)))
    assert kept == pytest.approx(min(losses), rel=1e-4)


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    one, other = trained()[0].state_dict(), trained()[0].state_dict()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_a_loss_that_is_no_number_is_told() -> None:
    def batches(epoch: int):  # type: ignore[no-untyped-def]
        yield torch.full((2, 4), float("nan")), torch.tensor([0, 1])

    with pytest.raises(DfdError, match="lower the learning rate"):
        fit(
            torch.nn.Linear(4, 2),
            batches,
            lambda: (np.array([0, 1]), np.array([0.1, 0.2])),
            STAGE,
            torch.tensor([0, 1]),
            CPU,
        )


def test_features_and_crops_give_the_same_scores() -> None:
    table = tiny_table(("a",))
    model = build(**TINY_MODEL).eval()
    features = feature_table(table, model.backbone, CPU)
    for order in ("natural", "shuffled"):
        settings = {"length": 6, "order": order, "seed": 3}
        direct = score_table(model, table, CPU, **settings)
        np.testing.assert_allclose(score_table(model.head, features, CPU, **settings), direct, atol=1e-5)


def test_features_of_another_backbone_are_not_mixed_up() -> None:
    table = tiny_table(("a",))
    one = feature_table(table, build(**TINY_MODEL).backbone, CPU)
    other = feature_table(table, build(**TINY_MODEL).backbone, CPU)
    assert not np.array_equal(one.values, other.values)


@pytest.mark.parametrize("change", [{"colour": "bgr"}, {"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}])
def test_features_of_crops_that_are_read_otherwise_are_not_mixed_up(change: dict[str, object]) -> None:
    table, backbone = tiny_table(("a",)), build(**TINY_MODEL).backbone
    other = replace(table, recipe=table.recipe.model_copy(update=change))
    one, two = (feature_table(each, backbone, CPU) for each in (table, other))
    assert not np.array_equal(one.values, two.values)


def test_a_last_step_of_one_frame_is_trained_on_a_trunk_that_ends_in_one_pixel() -> None:
    """Its batch norm takes no single value a channel."""
    table = tiny_table(("a",)).where("train")
    few = replace(
        table, manifest=Manifest("a", table.manifest.clips[:3]), rows=table.rows[:3], lengths=table.lengths[:3]
    )
    model = build("resnext_mean", backbone="resnet18", weights="none")
    epochs = fit_backbone(model, few, few, Stage(epochs=1, batch=2), CPU, seed=0, augmented=False)
    assert np.isfinite(epochs[0].train_loss)


@pytest.mark.parametrize("steps", [None, 3, 11])
def test_an_epoch_visits_clips_evenly(steps: int | None) -> None:
    rows = list(epoch_rows(torch.zeros(10), 4, steps, torch.Generator().manual_seed(0)))
    drawn = np.bincount(np.concatenate(rows), minlength=10)
    assert drawn.max() - drawn.min() <= 1
    assert len(rows) == (steps or 3)


@pytest.mark.parametrize("steps", [None, 5])
def test_a_balanced_epoch_draws_both_classes_equally_often(steps: int | None) -> None:
    labels = torch.tensor([0] * 3 + [1] * 27)
    rows = list(epoch_rows(labels, 8, steps, torch.Generator().manual_seed(0), balanced=True))
    assert sum(len(step) for step in rows) == (40 if steps else 30)
    for step in rows:
        assert labels[step].float().mean() == pytest.approx(0.5)
    drawn = np.bincount(np.concatenate(rows), minlength=30)
    assert drawn[:3].max() - drawn[:3].min() <= 1
    assert drawn[3:].max() - drawn[3:].min() <= 1


@pytest.mark.parametrize(("balance", "prior"), [("weights", 0.5), ("sampler", 0.5), ("none", 0.9)])
def test_what_a_detector_that_sees_nothing_learns_is_the_prior_unless_classes_are_balanced(
    balance: Balance, prior: float
) -> None:
    clips = tiny_table(("a",), clips=40)
    kept = [row for row, label in enumerate(clips.labels.tolist()) if label == 1 or row % 18 == 0]
    few = Manifest("a", tuple(clips.manifest.clips[row] for row in kept))
    blank = replace(clips, manifest=few, values=np.zeros((len(kept), 8, 4), np.float32), rows=np.arange(len(kept)))
    blank = replace(blank, lengths=np.full(len(kept), 8))
    assert blank.labels.float().mean() == pytest.approx(0.87, abs=0.05)

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(torch.zeros(2))

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(clips), 2)

    model = Constant()
    stage = Stage(epochs=12, batch=24, learning_rate=0.2)
    fit_clips(model, blank, blank, stage, CPU, length=4, order="natural", seed=0, augmented=False, balance=balance)
    assert score_table(model, blank, CPU, length=4, order="natural", seed=0)[0] == pytest.approx(prior, abs=0.06)


def preprocessed(manifest: Manifest) -> None:
    """Put a manifest where preprocessed corpora lie."""
    manifest.write(data_dir() / "faces" / manifest.name / "manifest.csv")


def test_the_clips_of_an_experiment_are_chosen_from_its_corpora() -> None:
    for name in ("a", "b"):
        preprocessed(tiny_table((name,), clips=40).manifest)
    everything = chosen_clips(Data(corpora=("a", "b")))
    assert everything.clips == merge([face_corpus("a"), face_corpus("b")]).clips
    chosen = chosen_clips(Data(corpora=("a", "b"), videos=24, shares={"a": 0.75, "b": 0.25}, compression="crf23"))
    count = Counter((clip.corpus, clip.label) for clip in chosen)
    assert [count[name, label] for name in ("a", "b") for label in Label] == [9, 9, 3, 3]
    assert {clip.split for clip in chosen} == set(SPLITS)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"split": "official"}, "no official train and val and test clips"),
        ({"compression": "c40"}, "no clips of compression 'c40'"),
        ({"methods": ["morph"]}, "no fakes of method 'morph'; set data.methods to some of a"),
        ({"videos": 400}, "cannot give the 400 clips"),
    ],
)
def test_what_a_corpus_does_not_have_is_refused_before_anything_is_read(asked: dict[str, Any], said: str) -> None:
    preprocessed(tiny_table(("a",)).manifest)
    with pytest.raises(ManifestError, match=said):
        read_crops(tiny_experiment(data={"corpora": ["a"], **asked}, sweep=None), 4)


def test_short_clips_are_left_out_and_lower_the_coverage() -> None:
    table = tiny_table(("a",)).where("test")
    few = replace(table, lengths=np.array([3, 3, *[8] * (len(table) - 2)]))
    kept = few.where(at_least=8)
    assert len(kept) == len(table) - 2
    found = summarise(table.manifest, kept.manifest, np.linspace(0, 1, len(kept)), 0.5)
    assert found.metrics["coverage"] == pytest.approx(len(kept) / len(table))


def test_one_class_alone_is_refused() -> None:
    table = tiny_table(("a",)).where("test")
    real = type(table.manifest)("a", tuple(clip for clip in table.manifest if clip.label == 0))
    with pytest.raises(ManifestError, match="not of both classes"):
        summarise(table.manifest, real, np.zeros(len(real)), 0.5)


def test_end_to_end_training_is_recorded_and_loads(store: Path) -> None:
    experiment = tiny_experiment(data={"corpora": ["a"]}, train={"head": {"epochs": 1, "batch": 8}}, sweep=None)
    run_id = end_to_end(experiment, tiny_table(("a",)))
    loaded = checkpoints.load(run_id)
    assert loaded.meta.corpus == "a"
    assert loaded.meta.data_digest == tiny_table(("a",)).manifest.digest()
    told = tracking.predictions(run_id).query("split == 'test'")
    test = tiny_table(("a",)).where("test")
    again = score_table(loaded.model, test, CPU, length=4, order="natural", seed=0)
    np.testing.assert_allclose(told["p_fake"], again, atol=1e-5)


def test_finished_work_is_not_done_again(own_store: Path) -> None:
    experiment, table = tiny_experiment(), tiny_table()
    before = len(tracking.runs())
    fitted = backbone(experiment, table)
    member = next(members(experiment, "sample-swap"))
    features = feature_table(table.where(corpus="sample-swap"), fitted.model.backbone, CPU)
    head(member, fitted, features, parent=fitted.run_id)
    assert len(tracking.runs()) == before


def test_clips_that_were_replaced_under_their_old_names_are_other_work(store: Path) -> None:
    """What a run read is its clips' bytes, not their ids alone."""
    stage = {"epochs": 1, "batch": 8}
    asked = tiny_experiment(data={"corpora": ["a"]}, train={"head": stage}, sweep=None)
    table = tiny_table(("a",))
    stored(store, table)
    first = train(asked)
    assert train(asked) == first
    stored(store, replace(table, values=255 - table.values))
    assert face_corpus("a").digest() == checkpoints.load(first).meta.data_digest
    assert train(asked) != first


def test_what_cannot_be_measured_is_told_before_anything_is_trained(store: Path) -> None:
    table = tiny_table(("a",))
    asked = tiny_experiment(data={"corpora": ["a"]}, train={"head": {"epochs": 1, "batch": 8}}, sweep=None)
    fakes = [clip for clip in table.manifest if clip.split != "test" or clip.label is Label.FAKE]
    lonely = [
        replace(clip, target_identity="p2") if clip.split == "val" and clip.label is Label.REAL else clip
        for clip in table.manifest
    ]
    for clips, said in ((fakes, "no test clips of both classes"), (lonely, "too few for intervals .*of one person")):
        kept = [place for place, clip in enumerate(table.manifest) if clip.clip_id in {each.clip_id for each in clips}]
        some = replace(table, manifest=Manifest("a", tuple(clips)), rows=table.rows[kept], lengths=table.lengths[kept])
        with pytest.raises(ManifestError, match=said):
            end_to_end(asked, some)
    assert tracking.runs().empty


def test_the_mean_pool_control_pools_by_the_mean_whatever_the_detector_does() -> None:
    asked = tiny_experiment(model={**TINY_MODEL, "pooling": "last"})
    pooled = {each.model.name: each.model.pooling for each in members(asked, "a")}
    assert pooled == {"resnext_lstm": "last", "resnext_mean": "mean"}


def test_how_clips_were_chosen_is_no_other_work_where_they_are_the_same(own_store: Path) -> None:
    experiment, table = tiny_experiment(), tiny_table()
    fitted = backbone(experiment, table)
    member = next(members(experiment, "sample-swap"))
    features = feature_table(table.where(corpus="sample-swap"), fitted.model.backbone, CPU)
    before = len(tracking.runs())
    chosen = member.data.model_copy(update={"videos": 24, "compression": "crf23"})
    first = head(member, fitted, features)
    assert head(member.model_copy(update={"data": chosen}), fitted, features) == first
    assert len(tracking.runs()) == before


def test_another_balance_is_other_work(own_store: Path) -> None:
    experiment, table = tiny_experiment(), tiny_table()
    fitted = backbone(experiment, table)
    member = next(members(experiment, "sample-swap"))
    features = feature_table(table.where(corpus="sample-swap"), fitted.model.backbone, CPU)
    sampled = member.data.model_copy(update={"balance": "sampler"})
    run_id = head(member.model_copy(update={"data": sampled}), fitted, features)
    assert run_id != head(member, fitted, features)
    assert tracking.params(run_id)["data.balance"] == "sampler"


def test_another_seed_is_other_work(own_store: Path) -> None:
    experiment, table = tiny_experiment(), tiny_table()
    fitted = backbone(experiment, table)
    member = next(members(experiment, "sample-swap")).model_copy(update={"seed": 9})
    features = feature_table(table.where(corpus="sample-swap"), fitted.model.backbone, CPU)
    run_id = head(member, fitted, features)
    assert tracking.params(run_id)["seed"] == "9"


def test_a_head_serves_with_the_backbone_it_was_trained_on(tiny_store: Path) -> None:
    """Figures were computed from cached features; the stored checkpoint must repeat them from crops."""
    table = tiny_table()
    for row in tracking.detectors():
        loaded = checkpoints.load(row["checkpoint"])
        meta = loaded.meta
        test = table.where("test", corpus=meta.corpus)
        again = score_table(
            loaded.model, test, CPU, length=meta.sequence_length, order=meta.frame_order, seed=meta.seed
        )
        told = tracking.predictions(row["run_id"]).query("split == 'test'")
        np.testing.assert_allclose(told["p_fake"], again, atol=1e-4)


def test_members_cover_lengths_and_controls() -> None:
    names = [member.name for member in members(tiny_experiment(), "c")]
    assert names == ["c 4 frames", "c 8 frames", "c 4 frames, mean pool", "c 8 frames, shuffled"]


def test_a_sweep_needs_its_section_and_its_corpus() -> None:
    with pytest.raises(DfdError, match="no 'sweep' section"):
        sweep(tiny_experiment(sweep=None))
    with pytest.raises(ManifestError, match="corpus 'sample-swap' is not preprocessed"):
        sweep(tiny_experiment())
    with pytest.raises(ManifestError, match="dfd preprocess"):
        face_corpus("nothing")


def test_a_missing_face_video_is_told() -> None:
    with pytest.raises(ManifestError, match="is gone; run `dfd preprocess` again"):
        crop_table(tiny_table().manifest, CropRecipe(size=32), 4)


def test_forgotten_frames_are_read_again(tmp_path: Path) -> None:
    values = tiny_table(("a",)).values
    np.save(tmp_path / "crops.npy", values)
    table = replace(tiny_table(("a",)), values=np.load(tmp_path / "crops.npy", mmap_mode="r"))
    before = table.read(np.array([0, 3]), 4)
    table.forget()
    assert torch.equal(table.read(np.array([0, 3]), 4), before)


def test_a_clip_without_a_face_lowers_the_coverage_and_is_never_read(tmp_path: Path, face_video: Path) -> None:
    first = replace(tiny_table().manifest.clips[0], path=face_video)
    lost = replace(first, clip_id="lost", path=tmp_path / "gone.mp4")
    cut = CropRecipe(size=48, max_frames=4)
    preprocess(Manifest(first.corpus, (lost, first)), tmp_path / "faces", cut, workers=1)
    table = crop_table(read_manifest(tmp_path / "faces" / "manifest.csv"), cut, 4, tmp_path)
    kept = table.where(at_least=4)
    assert (len(table), [clip.clip_id for clip in kept.manifest]) == (2, [first.clip_id])
    features = feature_table(table, build(**TINY_MODEL).backbone, CPU, tmp_path)
    assert not features.values[0].any()
    np.testing.assert_array_equal(features.where(at_least=1).rows, [1])


def test_face_videos_of_another_recipe_are_refused(tmp_path: Path, face_video: Path) -> None:
    clip = replace(tiny_table().manifest.clips[0], path=face_video, frames=4)
    cut = CropRecipe(size=48, max_frames=4)
    preprocess(Manifest("a", (clip,)), tmp_path / "faces", cut, workers=1)
    manifest = read_manifest(tmp_path / "faces" / "manifest.csv")
    assert crop_table(manifest, cut, 4).values.shape == (1, 4, 48, 48, 3)
    with pytest.raises(ManifestError, match="another recipe \\(margin differ"):
        crop_table(manifest, cut.model_copy(update={"margin": 2.0}), 4)
