"""A run that was killed goes on after an epoch that was kept, and comes to what it would have come to, bit for bit."""

import json
import logging
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from dfd import provenance, resume, tracking, work
from dfd.checkpoints import WEIGHTS
from dfd.config import Stage, read_experiment
from dfd.data import feature_table
from dfd.errors import CheckpointError, ExperimentError
from dfd.experiments import backbone, end_to_end, train
from dfd.loop import Epoch
from dfd.metrics import clip_metrics
from dfd.models import build
from dfd.resume import Keeper, State, claimed
from dfd.sweep import sweep
from dfd.training import fit_backbone, fit_clips, score_table
from tests.conftest import TINY_MODEL, tiny_experiment, tiny_table
from tests.stored_faces import experiment_file, stored

CPU = torch.device("cpu")
SMALL_ATTENTION = {
    "name": "multi_attention",
    "backbone": "tiny",
    "attention": {"maps": 2, "texture_channels": 4},
}


class Interrupted(Exception):
    """Stands for a kill, within one process."""


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """One that keeps every epoch."""
    monkeypatch.setattr(resume, "EVERY", 0)
    monkeypatch.setattr(resume, "SHARE", 0)
    (tmp_path / "kept").mkdir()
    return Keeper(tmp_path / "kept" / "key.safetensors")


def fitted(
    model: dict[str, Any], stage: dict[str, Any], how: dict[str, Any], keeper: Keeper | None, last: int | None = None
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """A fit from its seed, interrupted within the epoch after `last`; weights, and figures without their seconds."""
    torch.manual_seed(5)
    np.random.seed(5)
    table = tiny_table(("a",))
    trunk = build(**model)
    trunk.backbone.to(memory_format=torch.channels_last)
    part: nn.Module = trunk
    if how.get("of") == "features":
        table, part = feature_table(table, trunk.backbone, CPU), trunk.head

    def progress(done: float, message: str) -> None:
        if last is not None and message.startswith(f"epoch {last + 1} "):
            raise Interrupted

    options: dict[str, Any] = {"seed": 1, "augmented": True, "keeper": keeper, "progress": progress}
    options |= {name: value for name, value in how.items() if name == "balance"}
    settings = Stage.model_validate({"epochs": 5, "batch": 5, "learning_rate": 0.01, **stage})
    tables = table.where("train"), table.where("val")
    if how.get("of") == "frames":
        epochs = fit_backbone(part, *tables, settings, CPU, **options)
    else:
        epochs = fit_clips(part, *tables, settings, CPU, length=4, order=how.get("order", "natural"), **options)
    figures = [asdict(epoch) for epoch in epochs]
    for each in figures:
        del each["seconds"]
    return part, figures


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "end to end": (TINY_MODEL, {"patience": 1}, {}),
    "frames of a backbone": ({**TINY_MODEL, "name": "resnext_mean"}, {"schedule": "one_cycle"}, {"of": "frames"}),
    "a head in changing orders": (TINY_MODEL, {"warmup": 2.5}, {"of": "features", "order": "shuffled"}),
    "micro-batches": (
        TINY_MODEL,
        {"accumulate": 2, "clip_gradient": 0.5, "optimiser": "adamw", "decay": "weights"},
        {},
    ),
    "a frozen stem, a slow backbone": (TINY_MODEL, {"freeze": 1, "backbone_rate": 0.1, "weight_decay": 0.1}, {}),
    "few steps of a sampler": (TINY_MODEL, {"steps": 2, "stop_after": 4}, {"balance": "sampler"}),
    "an objective of the model's own": (SMALL_ATTENTION, {"epochs": 4}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_fit_comes_to_the_same_bit_for_bit(way: str, keeper: Keeper) -> None:
    whole, figures = fitted(*WAYS[way], None)
    for last in (1, 3):
        with pytest.raises(Interrupted):
            fitted(*WAYS[way], keeper, last)
    again, found = fitted(*WAYS[way], keeper)
    assert found == figures
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert not again.training


def test_a_fit_that_had_all_its_epochs_is_not_trained_on(keeper: Keeper) -> None:
    whole, figures = fitted(*WAYS["end to end"], keeper)
    again, found = fitted(*WAYS["end to end"], keeper, last=0)  # would be interrupted by its first step
    assert found == figures
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in whole.state_dict().items())


def test_a_fit_that_had_waited_long_enough_is_not_trained_on(keeper: Keeper) -> None:
    way = TINY_MODEL, {"epochs": 30, "learning_rate": 1.0, "stop_after": 2}, {"of": "features"}
    stopped = len(fitted(*way, keeper)[1])
    assert stopped < 30
    assert len(fitted(*way, keeper, last=stopped)[1]) == stopped


def test_the_state_is_of_the_best_epoch_and_the_last(keeper: Keeper) -> None:
    fitted(*WAYS["end to end"], keeper)
    state = keeper.load()
    assert state is not None
    losses = [epoch["val_loss"] for epoch in state.facts["epochs"]]
    assert ("best.head.linear.weight" in state.tensors) == (int(np.argmin(losses)) + 1 < len(losses))
    with safe_open(keeper.path, framework="pt") as file:
        assert set(json.loads(file.metadata()["training"])) == {"format", "turned", "facts"}


def test_the_global_random_numbers_of_numpy_go_on_too(keeper: Keeper) -> None:
    fitted(*WAYS["a head in changing orders"], keeper)
    np.random.seed(1)
    np.random.normal()  # leaves a second number waiting
    state = resume.numpy_random()
    drawn = np.random.normal(size=3)
    resume.restore_numpy_random(json.loads(json.dumps(state)))
    np.testing.assert_array_equal(np.random.normal(size=3), drawn)


def test_a_damaged_state_is_told_and_the_fit_starts_anew(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    whole, figures = fitted(*WAYS["end to end"], None)
    with pytest.raises(Interrupted):
        fitted(*WAYS["end to end"], keeper, 2)
    keeper.path.write_bytes(keeper.path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        assert fitted(*WAYS["end to end"], keeper)[1] == figures
    assert "is damaged or of another dfd" in caplog.text


def test_a_state_of_another_fit_is_refused(keeper: Keeper) -> None:
    with pytest.raises(Interrupted):
        fitted(*WAYS["end to end"], keeper, 2)
    with pytest.raises(CheckpointError, match="is not of this run .*; delete it to train anew"):
        fitted({**TINY_MODEL, "hidden": 9}, *WAYS["end to end"][1:], keeper)


def test_writing_takes_a_tenth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("dfd.resume.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("dfd.resume.save_file", lambda *given: clock.__setitem__(0, clock[0] + 9))  # seconds a write
    keeper = Keeper(tmp_path / "key.safetensors")
    clock[0] += 59
    assert not keeper.due()
    clock[0] += 1
    assert keeper.due()
    keeper.save(State({}, {}))
    clock[0] += 89
    assert not keeper.due()
    clock[0] += 1
    assert keeper.due()


def test_a_run_is_claimed_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "data" / "training"
    with (
        claimed("key"),
        pytest.raises(ExperimentError, match="another process trains this run already"),
        claimed("key"),
    ):
        pass
    assert list(folder.glob("*.process")) == []
    with claimed("key"), claimed("other"):
        pass
    (folder / "key.process").write_text("elsewhere 1 0")
    with pytest.raises(ExperimentError, match=r"delete .*key\.process if that host is down"), claimed("key"):
        pass


def test_a_claim_of_a_process_that_is_gone_does_not_count(tmp_path: Path) -> None:
    code = "import os, signal; from dfd.resume import claimed\nwith claimed('key'): os.kill(os.getpid(), 9)"
    folder = tmp_path / "home" / "data" / "training"
    child = subprocess.Popen([sys.executable, "-c", code])
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:  # killed, and nobody has asked how it ended
        time.sleep(0.01)
    (folder / ".key.abc.part.safetensors").write_bytes(b"half a state")
    assert not provenance.is_gone(provenance.this_process())
    assert (folder / "key.process").is_file()
    with claimed("key"):
        assert (folder / "key.process").read_text() == provenance.this_process()
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert child.wait() == -signal.SIGKILL


def raises_after(epochs: int, error: BaseException) -> Callable[[tracking.Run, Epoch], None]:
    def watch(run: tracking.Run, epoch: Epoch) -> None:
        if epoch.number == epochs:
            raise error

    return watch


def interrupted(run: tracking.Run) -> int:
    raise Interrupted


EXPERIMENT = {
    "data": {"corpora": ["a"]},
    "train": {"head": {"epochs": 5, "batch": 5, "learning_rate": 0.01}},
    "sweep": None,
}


@pytest.mark.usefixtures("keeper")
def test_a_run_that_was_stopped_goes_on_as_itself_and_tells_every_epoch_once(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    with pytest.raises(KeyboardInterrupt):
        end_to_end(experiment, table, watch=raises_after(4, KeyboardInterrupt()))
    (row,) = tracking.runs().itertuples()
    assert row.status == "KILLED"
    assert len(list((store / "data" / "training").glob("*.safetensors"))) == 1
    heard: list[int] = []
    with caplog.at_level(logging.WARNING):
        run_id = end_to_end(experiment, table, watch=lambda run, epoch: heard.append(epoch.number))
    assert "tiny goes on after epoch 3 of 5" in caplog.text  # the fourth was told, and not yet kept
    assert heard == [1, 2, 3, 4, 5]
    assert run_id == row.run_id
    for name in ("val/loss", "train/loss", "train/seconds"):
        told = tracking.client().get_metric_history(run_id, name)
        assert [point.step for point in told] == [1, 2, 3, 4, 5]
    assert tracking.runs()["status"].tolist() == ["FINISHED"]
    assert [path.name for path in (store / "data" / "training").iterdir()] == [".lock"]


@pytest.mark.usefixtures("keeper")
def test_epochs_that_a_new_store_does_not_have_are_told_to_it(
    store: Path, empty_database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    with pytest.raises(KeyboardInterrupt):
        end_to_end(experiment, table, watch=raises_after(4, KeyboardInterrupt()))
    with tracking.another_store(f"sqlite:///{(store / 'other.db').as_posix()}"):
        shutil.copy(empty_database, store / "other.db")
        told = tracking.history(end_to_end(experiment, table))
    assert told.query("metric == 'val/loss'")["step"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("keeper")
def test_nothing_is_kept_of_a_run_that_was_ended_on_purpose(store: Path) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    with pytest.raises(tracking.Ended):
        end_to_end(experiment, table, watch=raises_after(3, tracking.Ended("worse than the others")))
    assert list((store / "data" / "training").glob("*.safetensors")) == []
    assert tracking.runs()["status"].tolist() == ["KILLED"]


def test_a_detector_that_finished_and_was_not_registered_is_registered(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    with monkeypatch.context() as patch:
        patch.setattr(tracking.Run, "register", interrupted)
        with pytest.raises(Interrupted):
            end_to_end(experiment, table)
    assert tracking.best() is None
    run_id = end_to_end(experiment, table)
    assert len(tracking.runs()) == 1
    assert tracking.best() is not None
    assert tracking.tags(run_id)["dfd.registered"] == "1"


def test_what_is_finished_is_nobodys_to_claim(store: Path) -> None:
    """Two sweeps on one backbone may begin at the same moment."""
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    fitted, run_id = backbone(experiment, table).run_id, end_to_end(experiment, table)
    with ExitStack() as others:
        for key in tracking.runs()["key"]:
            others.enter_context(claimed(key))
        assert backbone(experiment, table).run_id == fitted
        assert end_to_end(experiment, table) == run_id
    assert len(tracking.runs()) == 2


def test_a_run_says_its_validation_loss_before_the_first_step(store: Path) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    told = tracking.metrics(end_to_end(experiment, table))[work.LOSS_AT_START]
    torch.manual_seed(experiment.seed)
    model, val = build(**TINY_MODEL).eval(), table.where("val")
    scores = score_table(model, val, CPU, length=4, order="natural", seed=0)
    assert told == pytest.approx(clip_metrics(val.labels.numpy(), scores, threshold=0.5)["log_loss"], rel=1e-3)


def test_what_another_process_finished_in_between_is_not_made_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    made = []

    @contextmanager
    def late(key: str) -> Iterator[Keeper]:
        with monkeypatch.context() as patch:
            patch.setattr(work, "claimed", claimed)
            made.append(backbone(experiment, table).run_id)
        with claimed(key) as keeper:
            yield keeper

    monkeypatch.setattr(work, "claimed", late)
    assert [backbone(experiment, table).run_id] == made
    assert len(tracking.runs()) == 1


# A process that kills itself, as kill -9 would, when it calls something for the n-th time.
DYING = """
import importlib, os, signal, sys
from dfd import cli, resume
resume.EVERY = resume.SHARE = 0
place, name, at = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
owner = importlib.import_module(place)
*inner, name = name.split(".")
for each in inner:
    owner = getattr(owner, each)
original, calls = getattr(owner, name), 0
def dying(*given, **named):
    global calls
    calls += 1
    if calls == at:
        if name == "save_file":
            open(given[1], "wb").write(bytes(1000))
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*given, **named)
setattr(owner, name, dying)
cli.main()
"""


def killed(verb: str, file: Path, place: str, name: str, at: int) -> str:
    """Run the command until it calls something for the n-th time; what it said."""
    command = [sys.executable, "-c", DYING, place, name, str(at), verb, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stderr


def finished(verb: str, file: Path) -> str:
    """Run the command to its end; what it said."""
    command = [sys.executable, "-m", "dfd.cli", verb, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def come_to(run_id: str) -> tuple[dict[str, torch.Tensor], dict[str, float], list[tuple[Any, ...]]]:
    """Weights, figures and curves of a run, without its seconds."""
    weights = load_file(tracking.checkpoint_folder(run_id) / WEIGHTS)
    figures = {name: value for name, value in tracking.metrics(run_id).items() if name != "train/seconds"}
    curves = tracking.history(run_id).query("metric != 'train/seconds'")
    return weights, figures, list(curves.itertuples(index=False, name=None))


def same(one: str, other: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a run of the present store and one of another home came to the same, bit for bit."""
    weights, *told = come_to(one)
    with monkeypatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        others, *others_told = come_to(other)
    assert told == others_told
    return weights.keys() == others.keys() and all(torch.equal(each, others[name]) for name, each in weights.items())


@pytest.fixture
def homes(store: Path, tmp_path: Path, empty_database: Path) -> tuple[Path, Path]:
    """Two homes with the same corpora and no runs; the first is this test's."""
    stored(store, tiny_table())
    shutil.copytree(store, tmp_path / "uninterrupted")
    return store, tmp_path / "uninterrupted"


def test_killed_at_any_point_a_detector_comes_to_the_same(
    homes: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a step, while a state is written, and when all epochs are done."""
    stage = {"epochs": 5, "batch": 6, "learning_rate": 0.01}
    file = experiment_file(tmp_path / "e.yaml", data={"corpora": ["sample-swap"]}, train={"head": stage}, sweep=None)
    killed("train", file, "dfd.loop", "_Fit._step", 4)  # the second of two steps, in the second epoch
    assert "tiny goes on after epoch 1 of 5" in killed("train", file, "dfd.resume", "save_file", 2)
    assert "tiny goes on after epoch 2 of 5" in killed("train", file, "dfd.work", "_finish", 1)
    assert "tiny goes on after epoch 5 of 5" in finished("train", file)
    (row,) = tracking.runs().itertuples()
    assert (row.status, row.registered) == ("FINISHED", "1")
    for name in ("val/loss", "train/seconds"):
        assert [point.step for point in tracking.client().get_metric_history(row.run_id, name)] == [1, 2, 3, 4, 5]
    assert [path.name for path in (homes[0] / "data" / "training").iterdir()] == [".lock"]
    with monkeypatch.context() as patch:
        patch.setenv("DFD_HOME", str(homes[1]))
        other = train(read_experiment(file))
    assert same(row.run_id, other, homes[1], monkeypatch)


def test_a_sweep_killed_in_its_backbone_and_in_a_head_comes_to_the_same(
    homes: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"epochs": 3, "batch": 8, "learning_rate": 0.01}
    plan = {"sequence_lengths": [4], "shuffled": [4]}
    two = {"mode": "two_stage", "backbone": {**stage, "schedule": "one_cycle"}, "head": stage}
    file = experiment_file(tmp_path / "e.yaml", train=two, sweep=plan)
    killed("sweep", file, "dfd.loop", "_Fit._step", 6)  # 24 training clips: three steps an epoch
    said = killed("sweep", file, "dfd.loop", "_Fit._step", 6 + 3)  # the first head, 12 clips: its second epoch
    assert "tiny backbone goes on after epoch 1 of 3" in said
    assert "goes on after epoch 1 of 3" in finished("sweep", file)
    found = tracking.runs().set_index(["name", "corpus"])["run_id"]
    assert len(found) == 5
    with monkeypatch.context() as patch:
        patch.setenv("DFD_HOME", str(homes[1]))
        sweep(read_experiment(file))
        others = tracking.runs().set_index(["name", "corpus"])["run_id"]
    assert sorted(others.index) == sorted(found.index)
    for place, run_id in found.items():
        assert same(run_id, others[place], homes[1], monkeypatch), place


@pytest.mark.usefixtures("keeper")
def test_another_seed_does_not_go_on_from_the_state_of_the_first(store: Path) -> None:
    experiment, table = tiny_experiment(**EXPERIMENT), tiny_table(("a",))
    with pytest.raises(KeyboardInterrupt):
        end_to_end(experiment, table, watch=raises_after(3, KeyboardInterrupt()))
    heard: list[int] = []
    other = experiment.model_copy(update={"seed": 4})
    end_to_end(other, table, watch=lambda run, epoch: heard.append(epoch.number))
    assert heard == [1, 2, 3, 4, 5]
    assert len(tracking.runs()) == 2
