"""Several processes that train one model: the same course as one, one of them writes, and one's end is everybody's."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dfd import distributed, tracking
from dfd.config import Stage, read_experiment
from dfd.errors import DfdError, ExperimentError
from dfd.experiments import train
from dfd.loop import fit
from tests.conftest import tiny_table
from tests.stored_faces import experiment_file, stored

# The command, in float32 on any machine. It keeps every epoch, and sees that all processes have the same weights then.
MAIN = """
import os, sys
from dfd import cli, distributed, loop, models, resume
from dfd.errors import DfdError
models.fast_bfloat16 = lambda device: False
resume.EVERY = resume.SHARE = 0
step, train, taken, fails = loop._Fit._step, loop._Fit._train, 0, int(sys.argv.pop(1))

def failing(*given):
    global taken
    taken += 1
    if taken == fails and os.environ["RANK"] == "1":
        raise DfdError("the second process has had enough")
    return step(*given)

def compared(self, *given):
    losses = train(self, *given)
    for name, weight in self._model.named_parameters():
        everybodys = distributed.gathered(weight.detach().contiguous())
        assert all(each.equal(everybodys[0]) for each in everybodys), name
    return losses

loop._Fit._step, loop._Fit._train = failing, compared
cli.main()
"""


def together(tmp_path: Path, verb: str, file: Path, *, fails: int = 0, processes: int = 2) -> tuple[int, str, str]:
    """`torchrun` of the command; the second process may fail at a step. Exit code, output and what was said."""
    main = tmp_path / "main.py"
    main.write_text(MAIN, encoding="utf-8")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*run, str(main), str(fails), verb, str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout, done.stderr


def alone(file: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """The curves of the same experiment in one process, in another home."""
    with monkeypatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        return curves(train(read_experiment(file)))


def curves(run_id: str) -> dict[str, list[float]]:
    told = tracking.history(run_id)
    return {str(name): rows["value"].tolist() for name, rows in told.groupby("metric")}


STAGE = {"epochs": 4, "batch": 5, "learning_rate": 0.01, "clip_gradient": 0.1, "patience": 1}
MODEL = {"name": "resnext_lstm", "backbone": "tiny", "weights": "none", "hidden": 8, "dropout": 0, "sequence_length": 4}


@pytest.mark.usefixtures("float32")
def test_two_processes_take_the_course_of_one_and_go_on_after_one_has_failed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 clips in micro-batches of 5, two a step: 10 clips and 2. Frozen batch norms have no statistics of a batch."""
    stored(store, tiny_table(("a",)))
    stored(tmp_path / "alone", tiny_table(("a",)))
    stage = {**STAGE, "accumulate": 2, "freeze": "backbone"}
    settings = {"data": {"corpora": ["a"]}, "model": MODEL, "train": {"head": stage, "augment": False}, "sweep": None}
    file = experiment_file(tmp_path / "e.yaml", **settings)
    code, _, said = together(tmp_path, "train", file, fails=4)  # in the second epoch
    assert code != 0
    assert "dfd: the second process has had enough" in said
    assert tracking.detectors() == []

    code, told, said = together(tmp_path, "train", file)
    assert code == 0, said
    assert said.count("tiny goes on after epoch 1 of 4") == 1
    (row,) = json.loads(told)
    assert len(tracking.runs()) == 1
    assert tracking.runs().loc[0, "status"] == "FINISHED"
    found, expected = curves(row["run_id"]), alone(file, tmp_path / "alone", monkeypatch)
    for name in ("train/loss", "val/loss", "train/learning_rate", "val/auc_epoch"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)
    assert len(found["train/loss"]) == 4


@pytest.mark.usefixtures("float32")
def test_two_processes_share_frames_and_features_and_objectives_of_a_models_own(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch norms see one process's part: the same weights in both, and figures near those of one."""
    stored(store, tiny_table(("a",)))
    stored(tmp_path / "alone", tiny_table(("a",)))
    own = {"name": "multi_attention", "backbone": "tiny", "attention": {"maps": 2, "texture_channels": 4}, "dropout": 0}
    stage = {"epochs": 2, "batch": 11, "learning_rate": 0.01}  # a last step of one clip
    settings = {"data": {"corpora": ["a"]}, "model": {**own, "sequence_length": 4}, "train": {"head": stage}}
    file = experiment_file(tmp_path / "own.yaml", **settings, sweep=None)
    code, told, said = together(tmp_path, "train", file)
    assert code == 0, said
    (row,) = json.loads(told)
    found, expected = curves(row["run_id"]), alone(file, tmp_path / "alone", monkeypatch)
    assert found["train/loss"][0] == pytest.approx(expected["train/loss"][0], rel=0.2)

    two = {"mode": "two_stage", "backbone": stage, "head": stage}
    file = experiment_file(
        tmp_path / "two.yaml", data={"corpora": ["a"]}, train=two, sweep={"sequence_lengths": [4], "shuffled": [4]}
    )
    code, told, said = together(tmp_path, "sweep", file)
    assert code == 0, said
    assert len(json.loads(told)) == 2
    assert tracking.runs()["status"].tolist() == ["FINISHED"] * 4
    assert len(list((store / "data" / "cache").glob("features-*.npy"))) == 1


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("count", "batch"), [(12, 5), (7, 7), (1, 4), (10, 3)])
def test_processes_share_every_micro_batch(
    processes: int, count: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "size", lambda: processes)
    shares: list[list[distributed.Part]] = []
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(distributed.parts(count, batch))
        assert distributed.mine(count, batch).tolist() == [int(at) for part in shares[-1] for at in part.places]
    taken = [int(at) for own in shares for part in own if part.share for at in part.places]
    assert sorted(taken) == list(range(count))
    assert sum(part.share for own in shares for part in own) == pytest.approx(1)
    assert {len(own) for own in shares} == {-(-count // batch)}
    assert all(len(part.places) for own in shares for part in own)
    assert all(max(part.places) - min(part.places) < batch for own in shares for part in own)


def test_a_batch_that_is_too_small_for_the_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 3)
    told = np.array([0, 1]), np.array([0.4, 0.6])
    with pytest.raises(ExperimentError, match="a batch of 2 cannot be shared by 3 processes; start fewer, or raise"):
        fit(
            nn.Linear(2, 2),
            lambda epoch: iter([]),
            lambda: told,
            Stage(batch=2),
            torch.tensor([0, 1]),
            torch.device("cpu"),
        )


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DfdError, match=r"fewer GPUs \(2\) than processes; start torchrun --nproc-per-node=2"):
        distributed.joined().__enter__()


def test_one_process_waits_for_nobody() -> None:
    with distributed.joined():
        assert (distributed.size(), distributed.rank(), distributed.is_first()) == (1, 0, True)
        generator = torch.Generator()
        assert distributed.own_generator(generator) is generator
        assert distributed.by_first(lambda: 3) == distributed.in_turn(lambda: 3) == 3
        assert distributed.summed([1.0, 2.0]) == [1.0, 2.0]
