"""A run is enough: what it recorded trains to the same weights, bit for bit, and what has changed since is told."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from dfd import checkpoints, provenance, tracking
from dfd.config import read_experiment
from dfd.data import face_corpus
from dfd.errors import CheckpointError, ManifestError, StoreError
from dfd.experiments import train
from dfd.rebuild import rebuild
from dfd.sweep import sweep
from tests import face_corpora
from tests.commands import dfd
from tests.conftest import CORPORA, tiny_experiment, tiny_table


@pytest.fixture
def corpora(store: Path) -> Path:
    """dfd's home with an empty store and two small preprocessed corpora; returns the home."""
    face_corpora.stored(store, tiny_table())
    return store


def end_to_end() -> str:
    """A detector's run."""
    return train(tiny_experiment(data={"corpora": CORPORA[:1]}, train={"head": {"epochs": 1, "batch": 8}}, sweep=None))


def weights(run_id: str) -> bytes:
    return (tracking.checkpoint_folder(run_id) / checkpoints.WEIGHTS).read_bytes()


def test_the_experiment_of_a_run_trains_to_its_weights_in_an_empty_store(corpora: Path, tmp_path: Path) -> None:
    run_id = end_to_end()
    experiment = read_experiment(tracking.artifact(run_id, "experiment.yaml"))
    assert train(experiment) == run_id  # the same work, and done
    with tracking.another_store(f"sqlite:///{tmp_path / 'empty.db'}"):
        again = train(experiment)
        key, made, figures = tracking.tags(again)["dfd.key"], weights(again), tracking.metrics(again)
    assert again != run_id
    assert key == tracking.tags(run_id)["dfd.key"]
    assert made == weights(run_id)
    assert {**figures, "train/seconds": 0} == {**tracking.metrics(run_id), "train/seconds": 0}


def test_a_detector_is_made_again_to_the_bit(corpora: Path, tmp_path: Path) -> None:
    run_id = end_to_end()
    before = len(tracking.runs())
    found = rebuild(run_id, tmp_path / "again")
    assert found.same
    assert found.tensors == len(load_file(tmp_path / "again" / checkpoints.WEIGHTS))
    assert found.changed == ()
    assert found.text.startswith(f"run {run_id} was made again: all {found.tensors} tensors are equal to the bit")
    assert str(tmp_path / "again") in found.text
    assert len(tracking.runs()) == before
    with pytest.raises(CheckpointError, match="is there already"):
        rebuild(run_id, tmp_path / "again")


def test_a_head_of_a_sweep_is_made_again_on_the_sweeps_backbone(corpora: Path) -> None:
    (_, last) = sweep(tiny_experiment(sweep={"sequence_lengths": [4]}))
    assert rebuild(last).same
    assert rebuild(tracking.tags(last)["dfd.backbone_run"]).same


def test_weights_that_are_not_those_and_another_machine_are_told(
    corpora: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, machine = end_to_end(), provenance.machine()
    path = tracking.checkpoint_folder(run_id) / checkpoints.WEIGHTS
    state = load_file(path)
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    save_file({**state, name: state[name] + 0.5}, path)
    monkeypatch.setattr(provenance, "machine", lambda: {**machine, "cpu": "another one"})
    assert dfd(monkeypatch, "rebuild", run_id, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["differing"]) == (False, 1)
    assert told["largest"] == pytest.approx(0.5, abs=1e-6)
    assert told["changed"] == [f"cpu {machine['cpu']} -> another one"]


def test_clips_with_other_bytes_are_named(corpora: Path) -> None:
    run_id = end_to_end()
    clip = face_corpus(CORPORA[0]).clips[3]
    clip.path.write_bytes(clip.path.read_bytes() + b"\0")
    with pytest.raises(ManifestError, match=f"clip '{clip.clip_id}' of '{clip.corpus}' differs in sha256"):
        rebuild(run_id)


def test_clips_that_are_gone_are_named(corpora: Path) -> None:
    run_id = end_to_end()
    manifest = corpora / "data" / "faces" / CORPORA[0] / "manifest.csv"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ManifestError, match="is gone; put the corpus back"):
        rebuild(run_id)


def test_what_dfd_did_not_train_is_refused(store: Path, tiny_checkpoint: Path) -> None:
    with tracking.start_run("theirs", tags={"dfd.kind": "imported"}) as run:
        run.folder(tiny_checkpoint, tracking.CHECKPOINT)
    with pytest.raises(StoreError, match="trained no checkpoint"):
        rebuild(run.run_id)
