"""Are the maps of a corpus's clips true? The whole way, on fakes whose masks are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dfd import checkpoints, tracking
from dfd.attribution import METHODS
from dfd.audit import CLIPS, CONTROLS, FIGURES, QUICK, TABLE, Audit, audit, audit_and_record, beats_edges
from dfd.checkpoints import Checkpoint
from dfd.clip_audit import clip_rows
from dfd.corpora.sample import mask_path, save_mask
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Manifest, read_manifest
from dfd.models import build
from dfd.paths import data_dir
from tests.commands import dfd
from tests.conftest import TINY_MODEL
from tests.face_corpora import RECIPE, added, preprocessed

pytestmark = pytest.mark.usefixtures("float32")
LENGTH = 2


@pytest.fixture
def corpus(store: Path, tmp_path: Path) -> Manifest:
    """A preprocessed corpus of 12 people, whose fakes were manipulated in the upper half of the frame."""
    folder = preprocessed(store, added(tmp_path / "tree"))
    manifest = read_manifest(folder / "manifest.csv")
    mask = np.zeros((40, 160, 220), np.bool_)
    mask[:, :65] = True
    for clip in manifest:
        if clip.label is Label.FAKE:
            mask_path(clip.path).parent.mkdir(exist_ok=True)
            save_mask(mask_path(clip.path), mask)
    return manifest


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    torch.manual_seed(0)
    meta = checkpoints.CheckpointMeta(
        name="tiny", model=TINY_MODEL, recipe=RECIPE, sequence_length=LENGTH, threshold=0.5, threshold_fpr=0.1
    )
    checkpoints.save(build(**TINY_MODEL), meta, tmp_path / "tiny")
    return checkpoints.load(tmp_path / "tiny")


def test_every_method_stands_beside_two_maps_that_know_nothing(corpus: Manifest, checkpoint: Checkpoint) -> None:
    found = audit(checkpoint, corpus, "train", ["gradcam", "saliency"], clips=8)
    assert found.table["way"].tolist() == [*CONTROLS, "gradcam", "saliency"]
    assert (found.table["clips"] == 8).all()
    for name in FIGURES:
        known = found.table[found.table[name].notna()]
        assert (known[f"{name}_low"] <= known[name] + 1e-9).all()
        assert (known[name] <= known[f"{name}_high"] + 1e-9).all()
    methods = found.table[~found.table["way"].isin(CONTROLS)]
    assert methods[list(FIGURES)].notna().all(axis=None)
    twice = found.clips[found.clips["way"] == "gradcam"].groupby("label")["after_random_weights"].count()
    assert twice.tolist() == [2, 2], "two clips of each class are explained again"
    controls = found.table[found.table["way"].isin(CONTROLS)]
    assert controls[["max_sensitivity", "after_random_weights"]].isna().all(axis=None), "they have no network"


def test_masks_are_of_fakes_alone_and_where_the_frame_was_manipulated(corpus: Manifest, checkpoint: Checkpoint) -> None:
    found = audit(checkpoint, corpus, "train", ["saliency"], clips=8).clips
    assert found[found["label"] == 0]["energy"].isna().all()
    assert found[found["label"] == 1]["energy"].notna().all()
    random = found[(found["way"] == "random map") & (found["label"] == 1)]
    assert random["energy"].between(0.4, 0.6).all(), "half of the crop was manipulated"


def test_it_is_the_same_each_time(corpus: Manifest, checkpoint: Checkpoint) -> None:
    one, other = (audit(checkpoint, corpus, "train", ["smoothgrad"], clips=8).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_what_was_killed_goes_on_and_comes_to_the_same(
    corpus: Manifest, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audit(checkpoint, corpus, "train", ["gradcam"], clips=8)
    kept = data_dir() / "audits"
    assert not list(kept.iterdir()), "nothing is left of an audit that ended"

    class Killed(Exception):
        pass

    asked: list[str] = []

    def watched(*args: object) -> list[dict[str, object]]:
        if len(asked) == 5:
            raise Killed
        asked.append(args[2].clip_id)  # type: ignore[attr-defined]
        return clip_rows(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("dfd.audit.clip_rows", watched)
    with pytest.raises(Killed):
        audit(checkpoint, corpus, "train", ["gradcam"], clips=8)
    done = asked.copy()
    assert len(list(kept.rglob("*.parquet"))) == 5
    other = Checkpoint(build(**TINY_MODEL).eval(), checkpoint.meta, checkpoint.ref)
    asked.clear()
    with pytest.raises(Killed):  # another checkpoint, though it is called the same, begins at the beginning
        audit(other, corpus, "train", ["gradcam"], clips=8)
    assert asked == done
    asked.clear()
    again = audit(checkpoint, corpus, "train", ["gradcam"], clips=8)
    assert len(asked) == 3
    assert set(asked).isdisjoint(done)
    pd.testing.assert_frame_equal(again.clips, whole.clips)
    pd.testing.assert_frame_equal(again.table, whole.table)


def test_too_few_people_are_said_before_the_work(
    corpus: Manifest, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfd.audit.clip_rows", lambda *args: pytest.fail("minutes are spent in vain"))
    with pytest.raises(ManifestError, match="too few for intervals"):
        audit(checkpoint, corpus, "train", ["gradcam"], clips=2)


def test_it_is_kept_as_a_run(corpus: Manifest, checkpoint: Checkpoint) -> None:
    run_id, found = audit_and_record(checkpoint, corpus, "train", ["gradcam"], clips=8)
    told = tracking.tags(run_id)
    assert (told["dfd.kind"], told["dfd.evaluated_on"]) == ("attribution", corpus.name)
    kept = tracking.metrics(run_id)
    assert kept["truth/gradcam/pointing"] == found.table.set_index("way").loc["gradcam", "pointing"]
    assert "truth/edge_map/energy" in kept
    assert tracking.params(run_id)["truth.samples"] == str(QUICK.samples)
    assert not any(np.isnan(value) for value in kept.values())
    for name, table in ((TABLE, found.table), (CLIPS, found.clips)):
        pd.testing.assert_frame_equal(tracking.table(run_id, name), table)


def test_only_what_surely_beats_the_edges_is_said_to() -> None:
    people = [f"p{number}" for number in range(20)]
    generator = np.random.default_rng(0)
    edges = generator.uniform(0.2, 0.4, 20)
    gains = {"edge map": 0.0, "gradcam": 0.2, "saliency": generator.normal(0, 0.1, 20), "occlusion": -0.1}
    rows = [
        pd.DataFrame(
            {"clip_id": people, "label": [0, 1] * 10, "target_identity": people, "source_identity": "", "way": way}
            | {name: float("nan") for name in FIGURES}
            | {"insertion": edges + gain, "deletion": edges + gain}
        )
        for way, gain in gains.items()
    ]
    clips = pd.concat(rows, ignore_index=True)
    assert beats_edges(clips) == ["insertion: gradcam beats the edge map", "deletion: occlusion beats the edge map"]
    labels = {"insertion": "Insertion", "gradcam": "Grad-CAM"}
    assert beats_edges(clips, labels)[0] == "Insertion: Grad-CAM beats the edge map"


def test_clips_that_are_too_short_are_said(corpus: Manifest, checkpoint: Checkpoint) -> None:
    long = Checkpoint(checkpoint.model, checkpoint.meta.model_copy(update={"sequence_length": 30}), "long")
    with pytest.raises(ManifestError, match="no clips of both classes with at least 30 frames"):
        audit(long, corpus, "train")


def test_the_command_prints_the_table(
    corpus: Manifest, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", "--corpus", corpus.name, "--split", "train", "--clips", "8", "--checkpoint", checkpoint.ref]
    assert dfd(monkeypatch, *command, "--method", "gradcam") == 0
    shown = capsys.readouterr().out
    for part in ("random map", "edge map", "gradcam", "beat"):
        assert part in shown
    assert dfd(monkeypatch, *command, "--method", "gradcam,saliency", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["way"] for row in told["rows"]] == [*CONTROLS, "gradcam", "saliency"]
    assert told["rows"][0]["max_sensitivity"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give a clip, or --corpus"),
        (["clip.mp4", "--corpus", "swaps"], "give a clip, or --corpus"),
        (["clip.mp4"], "give a folder for the heat maps"),
        (["--corpus", "swaps", "--method", "attention"], "'attention' is not one of gradcam"),
    ],
)
def test_wrong_usage_is_said(
    options: list[str],
    said: str,
    corpus: Manifest,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dfd(monkeypatch, "explain", *options, "--checkpoint", checkpoint.ref) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_method_that_the_detector_has_not_is_refused(corpus: Manifest, checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match="'attention' is not one of"):
        audit(checkpoint, corpus, "train", [*METHODS, "attention"])


def test_the_text_says_nothing_of_figures_that_none_has() -> None:
    table = pd.DataFrame(
        [{"way": way, "clips": 2} | {f"{name}{end}": 0.5 if name == "deletion" else float("nan") for name in FIGURES
                                     for end in ("", "_low", "_high")} for way in CONTROLS]
    )  # fmt: skip
    empty = pd.DataFrame(columns=["clip_id", "way", "label", "target_identity", "source_identity", *FIGURES])
    text = Audit(empty, table, QUICK).text
    assert "deletion" in text
    assert "pointing" not in text
    assert "GradientSHAP of 4 draws" in text
