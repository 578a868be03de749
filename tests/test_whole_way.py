"""The way of every corpus: from its tree, as its download leaves it, to an evaluated detector, by commands alone."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from dfd import tracking
from dfd.corpora import registry
from dfd.data import face_corpus
from dfd.recipe import GIVEN
from tests import corpora_trees as trees
from tests.commands import dfd
from tests.conftest import TINY_MODEL

STAGE = {"epochs": 1, "batch": 8}
FEW = ("Deepfakes", "NeuralTextures")

WAYS: dict[str, tuple[Callable[[Path], Path], str, Sequence[str]]] = {
    "FaceForensics++": (
        lambda root: trees.faceforensics(root, trees.moving, methods=FEW, actors=True),
        "faceforensics",
        ["--actors"],
    ),
    "Celeb-DF": (lambda root: trees.celeb_df(root, trees.moving), "celeb_df", ["--split", "identity"]),
    "DFDC": (lambda root: trees.dfdc(root, trees.moving, parts=2, originals=8, fakes=1), "dfdc", []),
    "DFDC preview": (lambda root: trees.dfdc_preview(root, trees.moving), "dfdc", []),
    "face-only": (
        lambda root: trees.face_only(root, trees.cropped, celebrities=24),
        "face_only",
        ["--kind", "face_only"],
    ),
    "a folder": (lambda root: trees.folder(root, trees.moving, people=16), "folder", []),
    "a table": (lambda root: trees.csv_list(root, trees.moving, people=10), "csv", []),
}


@pytest.mark.parametrize("corpus", WAYS)
def test_from_a_corpus_to_an_evaluated_detector(
    corpus: str, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make, kind, options = WAYS[corpus]
    experiment = tmp_path / "experiment.yaml"
    recipe = {**GIVEN.model_dump(mode="json", include={"detector", "margin"})} if kind == "face_only" else {}
    settings = {
        "name": "whole way",
        "data": {"corpora": ["here"]},
        "crop": {**recipe, "size": 32, "max_frames": 8, "detect_long_side": 160},
        "model": {**TINY_MODEL, "sequence_length": 4},
        "train": {"mode": "two_stage", "backbone": STAGE, "head": STAGE},
    }
    experiment.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def told(*command: str | Path) -> dict[str, object]:
        assert dfd(monkeypatch, *command, "--json") == 0, capsys.readouterr().err
        found = json.loads(capsys.readouterr().out)
        return found[0] if isinstance(found, list) else found

    added = told("corpora", "add", make(tmp_path / "tree"), "--name", "here", *options)
    assert (added["kind"], added["coverage"]) == (kind, 1.0)
    clips = registry.get("here").manifest()
    assert clips.check() is clips  # nobody is in two splits

    cut = told("preprocess", "here", "--experiment", experiment, "--workers", "2")
    assert (cut["clips"], cut["failures"]) == (len(clips), [])
    kept = face_corpus("here")
    assert [(clip.clip_id, clip.split, clip.label) for clip in kept] == [
        (clip.clip_id, clip.split, clip.label) for clip in clips
    ]

    trained = told("train", experiment)
    assert (trained["corpus"], trained["sequence_length"]) == ("here", 4)
    inputs = tracking.datasets(str(trained["run_id"])).set_index("context")["clips"]
    assert {split: int(inputs[split]) for split in inputs.index} == {
        split: len(clips.split(split)) for split in ("train", "val", "test")
    }

    evaluated = told("evaluate", "here", "--checkpoint", str(trained["run_id"]))
    metrics = evaluated["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["coverage"] == 1.0
    assert metrics["auc_low"] <= metrics["auc"] <= metrics["auc_high"]
    assert metrics["auc"] == pytest.approx(trained["metrics"]["test/auc"])  # type: ignore[index]
