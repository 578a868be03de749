"""The model card: every number is the run's, what is missing is said, and cautions come first."""

import json
import re
from pathlib import Path

import pytest

from dfd import checkpoints, model_card, tracking
from dfd.errors import StoreError
from dfd.glossary import METRICS, metric
from dfd.recipe import CropRecipe
from tests.commands import dfd
from tests.stores import copied


def section(card: str, title: str) -> str:
    """The text under a heading."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return str(found)


def test_figures_come_with_their_intervals_and_are_the_runs(best_ref: str) -> None:
    figures = tracking.metrics(tracking.run_of(best_ref))
    card = model_card.card(best_ref)
    for title, split in (("Figures, clip level", "test"), ("Figures, frame level", "test_frame")):
        shown = section(card, title)
        low, high = figures[f"{split}/auc_low"], figures[f"{split}/auc_high"]
        assert f"| {figures[f'{split}/auc']:.3f} ({low:.3f} to {high:.3f}) |" in shown
        written = {metric(name.split("/")[1].removesuffix("_low").removesuffix("_high")).write(value)
                   for name, value in figures.items()}  # fmt: skip
        numbers = re.findall(r"\d+\.\d+%?", shown.partition("| ---")[2])
        assert len(numbers) > 20
        assert set(numbers) <= written
        assert all(METRICS[name].label in shown for name in ("accuracy", "acc_real", "acc_fake", "auc", "ece"))


def test_two_runs_have_two_cards(tiny_store: Path) -> None:
    first, second = (row["run_id"] for row in tracking.detectors()[:2])
    assert section(model_card.card(first), "Figures, clip level") != section(
        model_card.card(second), "Figures, clip level"
    )


def test_data_are_told_by_split_and_method_with_their_digests(best_ref: str) -> None:
    shown = section(model_card.card(best_ref), "Data")
    data = tracking.datasets(tracking.run_of(best_ref)).set_index("context")
    corpus = checkpoints.load(best_ref).meta.corpus
    for split, row in data.iterrows():
        assert f"| {split} | {row['clips']} | {row['real']} | {row['fake']} | {row['digest']} |" in shown
    assert f"| {corpus} | original |" in shown
    assert f"| {corpus} | {corpus.removeprefix('sample-')} |" in shown
    assert "sample-swap and sample-reenact" in shown  # the backbone's


def test_protocol_and_origin_say_how_it_was_made(best_ref: str) -> None:
    card, meta = model_card.card(best_ref), checkpoints.load(best_ref).meta
    assert f"{meta.threshold:.4f}, where balanced accuracy on validation clips is highest" in section(card, "Protocol")
    assert f"| temperature | {meta.temperature:.3f}, fitted on validation clips |" in card
    assert f"| reads | {meta.sequence_length} frames of a face at once, in {meta.frame_order} order |" in card
    assert "detect_long_side 360" in card
    assert "  sequence_length: " in section(card, "Protocol")
    origin = section(card, "Where it comes from")
    tags = tracking.tags(meta.run_id or "")
    assert tags["mlflow.source.git.commit"] in origin
    assert f"torch {tags['dfd.version.torch']}" in origin
    assert f"dfd rebuild {meta.run_id}" in origin


def test_synthetic_training_clips_are_said_first(best_ref: str) -> None:
    card = model_card.card(best_ref)
    assert "synthetic clips that dfd makes itself" in card.partition("## ")[0]
    assert "evidence, not proof" in card.partition("## ")[0]


def test_the_card_lies_beside_weights_that_it_does_not_change(best_ref: str) -> None:
    folder = tracking.checkpoint_folder(best_ref)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert section(text, "Figures, clip level") == section(model_card.card(best_ref), "Figures, clip level")
    assert checkpoints.load(folder).meta == checkpoints.load(best_ref).meta


def test_what_was_measured_since_is_in_a_new_card(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFD_HOME", str(copied(tiny_home, tmp_path / "copy")))
    run_id = tracking.detectors()[0]["run_id"]
    assert "It was tried on no other data set." in model_card.card(run_id)
    tags = {"dfd.kind": "evaluation", "dfd.evaluated_run": run_id, "dfd.evaluated_on": "elsewhere"}
    with tracking.start_run("one on elsewhere", tags={**tags, "dfd.evaluated_split": "test"}) as run:
        run.metrics({"test/auc": 0.625, "test/auc_low": 0.5, "test/auc_high": 0.75, "test/coverage": 0.875})
    card = model_card.card(run_id)
    assert "| elsewhere | test | 0.625 (0.500 to 0.750) | – | 87.5% |" in section(
        card, "Further evaluations, clip level"
    )
    assert "Beside its own it was tried on elsewhere." in card


@pytest.fixture
def imported(store: Path, tiny_checkpoint: Path) -> str:
    """A run whose checkpoint dfd did not train."""
    with tracking.start_run("theirs", tags={"dfd.kind": "imported", "dfd.weights": "published file x.pt"}) as run:
        run.params({"model.name": "resnext_lstm", "model.sequence_length": 4})
        run.folder(tiny_checkpoint, tracking.CHECKPOINT)
        run.tags({"dfd.threshold": 0.5})
    return run.run_id


def test_a_checkpoint_without_data_and_figures_says_so(imported: str) -> None:
    card = model_card.card(imported)
    assert "The run recorded no data" in section(card, "Data")
    assert section(card, "Figures").strip().startswith("None")
    assert "synthetic" not in card
    assert "dfd rebuild" not in card


def test_warnings_of_the_checkpoint_are_in_its_card(store: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    loaded = checkpoints.load(tiny_checkpoint)
    changes = {"reads": "It reads one frame, the last.", "frame_order": "shuffled", "threshold_fpr": None}
    meta = loaded.meta.model_copy(update={**changes, "recipe": CropRecipe(margin=2.0)})
    checkpoints.save(loaded.model, meta, tmp_path / "odd")
    with tracking.start_run("odd") as run:
        run.folder(tmp_path / "odd", tracking.CHECKPOINT)
    head = model_card.card(run.run_id).partition("## ")[0]
    for told in ("one frame, the last", "a shuffled order", "threshold was not chosen on validation"):
        assert told in head


def test_the_command_prints_a_card_however_the_checkpoint_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], best_ref: str
) -> None:
    run_id = tracking.run_of(best_ref)
    for ref in (best_ref, run_id, tracking.checkpoint_folder(best_ref)):
        assert dfd(monkeypatch, "card", ref, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told == {"run_id": run_id, "card": model_card.card(run_id)}
    assert dfd(monkeypatch, "card", best_ref) == 0
    assert capsys.readouterr().out == told["card"]


def test_a_card_of_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path, tiny_checkpoint: Path
) -> None:
    assert dfd(monkeypatch, "card", "nothing") == 1
    assert "no run of the store" in capsys.readouterr().err
    assert dfd(monkeypatch, "card", tiny_checkpoint) == 1
    assert "names no run that it came from" in capsys.readouterr().err
    with tracking.start_run("bare") as run:
        pass
    with pytest.raises(StoreError, match="has no checkpoint"):
        model_card.card(run.run_id)


def test_a_checkpoint_gets_a_name_of_the_users_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], imported: str
) -> None:
    assert dfd(monkeypatch, "promote", imported, "--alias", "mine", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"checkpoint": f"models:/{tracking.REGISTERED}@mine", "version": 1, "run_id": imported}
    assert tracking.run_of(told["checkpoint"]) == imported
    assert checkpoints.load(told["checkpoint"]).meta == checkpoints.load(imported).meta
    assert dfd(monkeypatch, "promote", told["checkpoint"], "--alias", "other") == 0
    assert tracking.versions()["aliases"].tolist() == [["mine", "other"]]
    assert tracking.best() is None


@pytest.mark.parametrize(
    ("alias", "said"),
    [("best", "by itself"), ("best-faceforensics", "by itself"), ("v1", "is no alias"), ("a b", "is no alias")],
)
def test_names_that_dfd_keeps_or_mlflow_refuses_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], imported: str, alias: str, said: str
) -> None:
    assert dfd(monkeypatch, "promote", imported, "--alias", alias) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_run_without_a_checkpoint_cannot_be_promoted(store: Path) -> None:
    with tracking.start_run("bare") as run:
        pass
    with pytest.raises(StoreError, match="no checkpoint that could be promoted"):
        tracking.set_alias(run.run_id, "mine")
