"""The table of all models: no model is forgotten, its figures are the store's, and nothing finished is done again."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.models import experiments, explained, measured, table
from dfd import attribution, tracking
from dfd.models import MODELS
from tests import face_corpora
from tests.conftest import TINY_MODEL, tiny_experiment, tiny_table


def test_every_model_has_an_experiment_and_its_name_is_the_files() -> None:
    found = experiments()
    assert {experiment.model.name for experiment in found.values()} == set(MODELS) - {"resnext_published"}
    assert all(name == experiment.name for name, experiment in found.items())
    heads = {tracking.head_of(experiment.flat()) for experiment in found.values()}
    assert heads >= {"LSTM", "GRU", "two-way LSTM", "LSTM, attention pooling", "mean pool", "–"}
    attentive = [each.model for each in found.values() if each.model.name == "multi_attention"]
    assert {model.backbone for model in attentive} == {"efficientnet_b4", "resnext50_32x4d"}


def test_some_can_be_chosen_and_others_are_told() -> None:
    assert list(experiments(["meso4", "resnext_gru"])) == ["meso4", "resnext_gru"]
    with pytest.raises(SystemExit, match="there is no model 'meso5'; choose some of cnn_lstm, "):
        experiments(["meso5"])


def test_a_row_is_what_the_run_says_and_is_not_trained_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    face_corpora.stored(store, tiny_table(("a",)))
    model = {**TINY_MODEL, "sequence_length": 4}
    stage = {"epochs": 2, "batch": 8, "learning_rate": 0.01}
    experiment = tiny_experiment(data={"corpora": ["a"]}, model=model, train={"head": stage}, sweep=None)
    row = measured("small", experiment)
    (run,) = tracking.runs().to_dict("records")
    figures, curve = tracking.metrics(run["run_id"]), tracking.history(run["run_id"])
    assert row.start == figures["val/loss_start"]
    assert row.best == min(curve.loc[curve["metric"] == "val/loss", "value"])
    assert row.auc == tuple(figures[f"test/auc{end}"] for end in ("", "_low", "_high"))
    assert (row.explained, row.unchanged, row.epochs) == (True, True, 2)
    assert measured("small", experiment) == row
    assert len(tracking.runs()) == 1

    told = table([row, replace(row, name="worse", best=row.start, largest=0.0, unchanged=False)]).splitlines()
    assert [line.count("|") for line in told] == [8] * 4
    assert "**not below**" in told[3]
    assert "no, **the detector changed**" in told[3]
    assert "**" not in table([replace(row, start=1.0, best=0.5)])
    assert replace(row, start=1.0, best=0.5).sound
    assert not replace(row, start=1.0, best=0.5, largest=float("nan")).sound

    attribute = attribution.explain

    def careless(checkpoint, *given, **named):  # type: ignore[no-untyped-def]
        checkpoint.model.head.train()
        return attribute(checkpoint, *given, **named)

    monkeypatch.setattr(attribution, "explain", careless)
    assert explained(run["run_id"], experiment)[1] is False
