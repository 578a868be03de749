"""Robustness curves: level 0 is the plain evaluation, levels change the clips alone, and a run tells all of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dfd import adversarial, charts, checkpoints, curves, tracking
from dfd.adversarial import Target, fgsm
from dfd.checkpoints import Checkpoint
from dfd.curves import CLIPS, TABLE, Curves
from dfd.data import face_corpus
from dfd.errors import ManifestError
from dfd.evaluation import evaluate
from dfd.face_only import load_crops
from dfd.labels import Label
from dfd.manifest import Manifest
from dfd.models import frame_permutation, p_fake, to_input
from dfd.robustness import KINDS, USUAL, robustness, robustness_and_record
from tests import face_corpora, stores
from tests.commands import dfd
from tests.conftest import tiny_table
from tests.test_pages import open_page, words

pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own with the runs of `tiny_home`, and a corpus `other` of 20 test clips, 4 of them short."""
    made = stores.copied(tiny_home, tmp_path / "own")
    monkeypatch.setenv("DFD_HOME", str(made))
    table = tiny_table(("other",), clips=80).where("test")
    frames = np.where(np.arange(len(table)) < 4, 3, table.lengths)
    clips = [replace(clip, frames=int(count)) for clip, count in zip(table.manifest, frames, strict=True)]
    face_corpora.stored(made, replace(table, manifest=Manifest("other", tuple(clips)), lengths=frames))
    return made


def detector(control: str = "") -> Checkpoint:
    """A detector of sample-swap."""
    rows = [row for row in tracking.detectors() if row["corpus"] == "sample-swap" and row["control"] == control]
    return checkpoints.load(rows[0]["checkpoint"])


def scores(found: Curves, kind: str, level: int) -> pd.Series:
    """p_fake of each clip at a level."""
    rows = found.clips[(found.clips["kind"] == kind) & (found.clips["level"] == level)]
    return rows.set_index("clip_id")["p_fake"]


def test_level_0_is_the_plain_evaluation(home: Path) -> None:
    loaded, manifest = detector(), face_corpus("other")
    plain = evaluate(loaded, manifest)
    found = robustness(loaded, manifest, kinds=["blur"], levels=[2])
    first = found.table.iloc[0]
    assert (first["kind"], first["level"]) == ("none", 0)
    assert {name: first[name] for name in plain.metrics} == plain.metrics
    told = found.clips[found.clips["kind"] == "none"].drop(columns=["kind", "level"])
    pd.testing.assert_frame_equal(told.reset_index(drop=True), plain.predictions)


def test_every_level_of_every_kind_is_a_row_with_intervals(home: Path) -> None:
    found = robustness(detector(), face_corpus("other"), kinds=USUAL, levels=[4, 1])
    rows = found.table
    assert list(zip(rows["kind"], rows["level"], strict=True)) == [
        ("none", 0),
        *((kind, level) for kind in USUAL for level in (1, 4)),
    ]
    for row in rows.iloc[1:].to_dict("records"):
        assert row["value"] == KINDS[row["kind"]].value(row["level"])
        assert row["setting"] == KINDS[row["kind"]].setting(row["level"])
    for name in ("auc", "accuracy", "acc_real", "acc_fake"):
        assert (rows[f"{name}_low"] <= rows[name]).all()
        assert (rows[name] <= rows[f"{name}_high"]).all()
    for kind in USUAL:
        assert not np.allclose(scores(found, kind, 4), scores(found, "none", 0)), kind


def test_the_same_is_found_again(home: Path) -> None:
    one, other = (robustness(detector(), face_corpus("other"), kinds=["noise"], levels=[3]) for _ in range(2))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.clips, other.clips)


def test_the_threshold_is_the_checkpoints(home: Path) -> None:
    loaded = detector()
    found = robustness(loaded, face_corpus("other"), kinds=["jpeg"], levels=[5])
    assert set(found.clips["threshold"]) == {loaded.meta.threshold}
    rows = found.clips[found.clips["kind"] == "jpeg"]
    said = (rows["p_fake"] >= loaded.meta.threshold) == (rows["label"] == 1)
    assert found.table.iloc[1]["accuracy"] == pytest.approx(said.mean())


def test_clips_that_are_too_short_are_in_the_coverage(home: Path) -> None:
    loaded, asked = detector(), face_corpus("other").split("test")
    long_enough = [clip for clip in asked if clip.frames is not None and clip.frames >= loaded.meta.sequence_length]
    found = robustness(loaded, face_corpus("other"), kinds=["blur"], levels=[1])
    assert (len(long_enough), len(asked)) == (16, 20)
    assert set(found.table["clips"]) == {len(long_enough)}
    assert set(found.table["coverage"]) == {len(long_enough) / len(asked)}
    assert f"{len(long_enough)} clips, coverage {len(long_enough) / len(asked):.1%}" in found.text


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
@pytest.mark.parametrize("control", ["", "shuffled frames"])
def test_an_attack_makes_every_clip_less_like_what_it_is(home: Path, kind: str, control: str) -> None:
    loaded = detector(control)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    found = robustness(loaded, face_corpus("other"), kinds=[kind], levels=[5], steps=3)
    labels = found.clips.drop_duplicates("clip_id").set_index("clip_id")["label"]
    change = (scores(found, kind, 5) - scores(found, "none", 0)) * (1 - 2 * labels)
    assert (change > 0).all()
    assert found.table.iloc[1]["auc"] <= found.table.iloc[0]["auc"]
    assert "step" in found.table.iloc[1]["setting"]
    assert not loaded.model.training
    assert all(weight.grad is None for weight in loaded.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


def test_a_detector_of_shuffled_frames_is_attacked_in_the_order_it_reads(home: Path) -> None:
    loaded, manifest = detector("shuffled frames"), face_corpus("other")
    found = scores(robustness(loaded, manifest, kinds=["fgsm"], levels=[5]), "fgsm", 5)
    meta = loaded.meta
    order = frame_permutation(meta.sequence_length, meta.frame_order, meta.seed)
    assert order.tolist() != sorted(order.tolist())
    clip = next(clip for clip in manifest if clip.frames == meta.sequence_length)
    read = torch.from_numpy(load_crops(clip.path))[order][None]
    moved = fgsm(Target(loaded.model, meta.recipe, torch.device("cpu")), read, torch.tensor([clip.label]), 4.0)
    with torch.no_grad():
        said = p_fake(loaded.model(to_input(moved, meta.recipe)))
    assert found[clip.clip_id] == pytest.approx(said.item(), abs=1e-5)


def test_an_epsilon_of_nearly_0_leaves_the_scores(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is attacked goes another way through the code than what is not, to the same numbers."""
    tiny = {kind: adversarial.Levels("x", "x", "{:g}", (1e-9,)) for kind in adversarial.LEVELS}
    monkeypatch.setattr(adversarial, "LEVELS", tiny)
    monkeypatch.setattr("dfd.robustness.KINDS", tiny)
    for control in ("", "shuffled frames"):
        found = robustness(detector(control), face_corpus("other"), kinds=["pgd"], levels=[1], steps=1)
        np.testing.assert_allclose(scores(found, "pgd", 1), scores(found, "none", 0), atol=1e-5)


def test_a_number_of_clips_is_balanced_and_the_same_each_time(home: Path) -> None:
    loaded, manifest = detector(), face_corpus("other")
    one, again, more = (
        robustness(loaded, manifest, kinds=[], clips=clips).clips.set_index("clip_id")["label"]
        for clips in (14, 14, 18)
    )
    assert one.equals(again)
    assert set(one.index) < set(more.index)
    assert 0 < len(one) <= 14


def test_more_clips_than_there_are_is_told(home: Path) -> None:
    with pytest.raises(ManifestError, match="corpus 'other' has 10 real and 10 fake test clips; ask for at most 20"):
        robustness(detector(), face_corpus("other"), clips=22)


def test_a_split_without_clips_is_told(home: Path) -> None:
    with pytest.raises(ManifestError, match="corpus 'other' has no val clips"):
        robustness(detector(), face_corpus("other"), "val")


def test_what_is_unknown_is_told_before_anything_is_done(home: Path) -> None:
    loaded, manifest = detector(), face_corpus("other")
    with pytest.raises(ValueError, match="unknown kind 'rain'; choose some of h264, jpeg"):
        robustness(loaded, manifest, kinds=["rain"])
    with pytest.raises(ValueError, match="JPEG has levels 1 to 5, not 7"):
        robustness(loaded, manifest, kinds=["jpeg"], levels=[7])
    with pytest.raises(ValueError, match="steps must be at least 1"):
        robustness(loaded, manifest, kinds=["pgd"], steps=0)
    with pytest.raises(ValueError, match="unknown kind"):
        robustness_and_record(loaded, manifest, kinds=["rain"])
    assert curves.KIND not in set(tracking.runs()["kind"]), "no run was begun for it"


def test_progress_goes_from_nothing_to_all_and_names_the_level(home: Path) -> None:
    told: list[tuple[float, str]] = []
    robustness(
        detector(),
        face_corpus("other"),
        kinds=["jpeg", "pgd"],
        levels=[2],
        steps=1,
        progress=lambda *now: told.append(now),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    said = [message for _, message in told]
    assert "JPEG, quality 70" in said
    assert "PGD, epsilon 0.5/255, 1 step of 1.25/255" in said


def test_a_run_beside_the_checkpoints_has_the_table_and_the_figures(home: Path) -> None:
    loaded = detector()
    run_id, found = robustness_and_record(loaded, face_corpus("other"), kinds=["jpeg"], levels=[1, 5], clips=18)
    tags, metrics = tracking.tags(run_id), tracking.metrics(run_id)
    assert tags["dfd.kind"] == "robustness"
    assert tags["mlflow.parentRunId"] == tags["dfd.evaluated_run"] == loaded.meta.run_id
    assert (tags["dfd.evaluated_on"], tags["dfd.evaluated_split"]) == ("other", "test")
    for row in found.table.to_dict("records"):
        for name in ("auc", "auc_low", "auc_high", "accuracy"):
            assert metrics[f"robust/{row['kind']}/{row['level']}/{name}"] == row[name]
    assert {name.rsplit("/", 1)[0] for name in metrics} == {"robust/none/0", "robust/jpeg/1", "robust/jpeg/5"}
    assert tracking.params(run_id)["robust.clips"] == "18"
    (data,) = tracking.datasets(run_id).to_dict("records")
    assert (data["context"], data["corpus"], data["real"], data["fake"]) == ("test", "other", 9, 9)
    assert {TABLE, CLIPS} <= {entry.path for entry in tracking.client().list_artifacts(run_id)}
    pd.testing.assert_frame_equal(curves.read(run_id), found.table)


def test_recorded_curves_are_found_by_the_checkpoints_run_newest_first(home: Path) -> None:
    loaded = detector()
    assert loaded.meta.run_id is not None
    assert curves.recorded(loaded.meta.run_id).empty
    ids = [robustness_and_record(loaded, face_corpus("other"), kinds=[])[0] for _ in range(2)]
    found = curves.recorded(loaded.meta.run_id)
    assert list(found["run_id"]) == ids[::-1]
    assert set(found["corpus"]) == {"other"}
    other = detector("mean pool").meta.run_id
    assert other is not None
    assert curves.recorded(other).empty


def test_the_command_prints_the_rows_and_says_what_was_changed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = detector().ref
    command = ["robustness", "other", "--checkpoint", ref, "--kinds", "blur,fgsm", "--levels", "1,2"]
    assert dfd(monkeypatch, *command, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["level"]) for row in told["rows"]] == [
        ("none", 0), ("blur", 1), ("blur", 2), ("fgsm", 1), ("fgsm", 2),
    ]  # fmt: skip
    assert told["rows"][0]["value"] is None
    assert tracking.tags(told["run_id"])["dfd.kind"] == "robustness"
    assert dfd(monkeypatch, *command) == 0
    text = capsys.readouterr().out
    assert "sigma 0.5 px" in text
    assert "epsilon 0.5/255, 1 step of 0.5/255" in text
    assert "not the full clip before faces are found" in text


@pytest.mark.parametrize(
    ("wrong", "said"), [(("--kinds", "rain"), "rain"), (("--levels", "1,9"), "'9'"), (("--clips", "1"), "clips")]
)
def test_wrong_usage_is_exit_code_2(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: tuple[str, str],
    said: str,
) -> None:
    assert dfd(monkeypatch, "robustness", "other", *wrong) == 2
    assert said in capsys.readouterr().err


def test_a_run_without_curves_says_how_to_draw_them_and_one_with_shows_them(home: Path) -> None:
    loaded = detector()
    run_id = loaded.meta.run_id
    assert run_id is not None
    app = open_page("runs", run=run_id)
    app.query_params["run"] = run_id
    app.run()
    assert f"dfd robustness sample-swap --checkpoint {run_id}" in words(app)
    before = len(app.get("plotly_chart"))
    _, found = robustness_and_record(loaded, face_corpus("other"), kinds=["blur", "jpeg"], levels=[1, 3])
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == before + 1
    assert "dfd robustness" not in words(app)
    table = next(frame.value for frame in app.dataframe if "setting" in frame.value)
    assert list(table["auc"]) == list(found.table["auc"])
    app.selectbox(key="robust_metric").set_value("accuracy").run()
    assert not app.exception
    changes = next(group for group in app.get("pills") if group.label == "Changes")
    changes.set_value(["JPEG"]).run()
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "setting" in frame.value)
    assert list(table["label"]) == ["Untouched", "JPEG", "JPEG"]


# The chart, from numbers made up.


def made_up() -> pd.DataFrame:
    rows = [("none", "Untouched", 0, "", np.nan, "as it is", 0.9)]
    rows += [("jpeg", "JPEG", level, "quality", 100 - 20 * level, "quality", 0.9 - 0.1 * level) for level in (1, 2)]
    rows += [("blur", "Blur", level, "sigma (px)", level / 2, "sigma", 0.9 - 0.05 * level) for level in (1, 3)]
    table = pd.DataFrame(rows, columns=["kind", "label", "level", "scale", "value", "setting", "auc"])
    return table.assign(auc_low=table["auc"] - 0.1, auc_high=table["auc"] + 0.05)


def test_each_kind_is_a_panel_that_begins_at_the_untouched_clips() -> None:
    figure = charts.robustness_curves(made_up(), "auc")
    lines = [trace for trace in figure.data if trace.name == "changed"]
    assert [list(line.x) for line in lines] == [[0, 1, 2], [0, 1, 3]]
    assert list(lines[0].y) == pytest.approx([0.9, 0.8, 0.7])
    assert len({line.xaxis for line in lines}) == 2
    assert {note.text for note in figure.layout.annotations} == {"JPEG", "Blur"}
    assert list(figure.layout.xaxis.ticktext) == ["none", "80", "60"]
    assert figure.layout.xaxis.title.text == "quality"
    assert figure.layout.yaxis2.matches == "y", "one scale for all kinds"


def test_bands_are_intervals_and_the_dashed_line_the_untouched_figure() -> None:
    figure = charts.robustness_curves(made_up(), "auc")
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert list(bands[0].y) == pytest.approx([0.95, 0.85, 0.75, 0.6, 0.7, 0.8])
    references = [trace for trace in figure.data if trace.name == "untouched"]
    assert len(references) == 2
    assert all(set(trace.y) == {0.9} and trace.line.dash == "dash" for trace in references)
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["95 % interval", "changed", "untouched"], "once in the legend"


def test_a_figure_without_intervals_has_no_band_and_real_and_fake_keep_their_colours() -> None:
    figure = charts.robustness_curves(made_up().drop(columns=["auc_low", "auc_high"]), "auc")
    assert not [trace for trace in figure.data if trace.fill == "toself"]
    assert not {charts.REAL, charts.FAKE} & {trace.line.color for trace in figure.data}


def test_no_kind_is_an_empty_chart() -> None:
    assert not charts.robustness_curves(made_up().head(1), "auc").data


def test_the_table_in_words_and_as_json_says_the_same() -> None:
    table = made_up().assign(clips=20.0, coverage=0.8, **{name: 0.5 for name in ("acc_real", "acc_fake")})
    table = table.assign(accuracy=0.7, accuracy_low=0.6, accuracy_high=0.8)
    found = Curves(table, pd.DataFrame())
    rows = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert rows[0]["value"] is None
    assert rows[2]["value"] == 60
    lines = found.text.splitlines()
    assert len(lines) == len(table) + 2
    assert "0.900 (0.800 to 0.950)" in lines[1]
    assert "20 clips, coverage 80.0%" in lines[-1]
    assert Label.FAKE.word in lines[0]
