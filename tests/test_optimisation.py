"""What moves the weights: groups, schedules, frozen stages, and steps that are made of several micro-batches."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from dfd import models
from dfd.config import Experiment, Stage
from dfd.data import Table
from dfd.errors import DfdError, ExperimentError
from dfd.loop import fit
from dfd.manifest import Manifest
from dfd.models import build
from dfd.models.contract import ClipModel
from dfd.optimisation import Optimisation, parameter_groups
from dfd.training import fit_clips
from tests.conftest import TINY_MODEL, tiny_experiment, tiny_table

CPU = torch.device("cpu")


def rates(stage: Stage, steps: int, losses: Callable[[int], float] = lambda epoch: 1 / epoch) -> list[float]:
    """The learning rate of every step of a stage, epoch after epoch."""
    model = nn.Linear(2, 2)
    optimisation = Optimisation(model, stage, steps)
    found = []
    for epoch in range(1, stage.epochs + 1):
        for _ in range(steps):
            found.append(optimisation.rate)
            model(torch.ones(1, 2)).sum().backward()
            optimisation.step()
        optimisation.end_epoch(losses(epoch))
    return found


def test_a_warm_up_rises_linearly_to_the_full_rate_and_stays_there() -> None:
    found = rates(Stage(epochs=3, learning_rate=0.5, warmup=1.5), 4)
    np.testing.assert_allclose(found, [0.5 * min(1, step / 6) for step in range(1, 13)])
    assert found[5:] == [0.5] * 7


def test_the_patience_of_a_plateau_begins_after_the_warm_up() -> None:
    stage = Stage(epochs=8, learning_rate=1.0, patience=1)
    never_better = [rates(each, 1, lambda epoch: 1.0) for each in (stage, stage.model_copy(update={"warmup": 4}))]
    assert never_better[0] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 1e-3])
    assert never_better[1] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.1, 0.1])


@pytest.mark.parametrize(("warmup", "peak"), [(None, 2), (0.5, 4), (2.0, 19), (0.1, 0), (0.01, 0)])
def test_the_warm_up_of_one_cycle_is_its_rise(warmup: float | None, peak: int) -> None:
    found = rates(Stage(epochs=3 if warmup else 1, learning_rate=0.5, schedule="one_cycle", warmup=warmup), 10)
    assert int(np.argmax(found)) == pytest.approx(peak, abs=1)
    assert max(found) == pytest.approx(0.5, rel=0.03)
    assert found[-1] < 1e-4


def test_a_stage_without_a_warm_up_has_the_rates_of_before() -> None:
    assert rates(Stage(epochs=2, learning_rate=0.5), 3) == [0.5] * 6
    cycle = rates(Stage(epochs=1, learning_rate=0.5, schedule="one_cycle"), 10)
    expected = torch.optim.lr_scheduler.OneCycleLR(torch.optim.Adam([torch.zeros(1)], lr=0.5), 0.5, total_steps=10)
    assert cycle[0] == expected.get_last_lr()[0]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"epochs": 2, "warmup": 2}, "a warm-up of 2 epochs leaves none of 2 at the full rate; shorten 'warmup'"),
        ({"freeze": "backbone", "backbone_rate": 0.1}, "a frozen backbone has no rate"),
        ({"freeze": 6}, "freeze"),
        ({"freeze": "head"}, "freeze"),
        ({"accumulate": 0}, "accumulate"),
        ({"backbone_rate": 0}, "backbone_rate"),
    ],
)
def test_an_impossible_stage_is_refused(stage: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Stage.model_validate(stage)


@pytest.mark.parametrize("setting", [{"freeze": 2}, {"backbone_rate": 0.1}])
def test_what_is_about_a_backbone_is_refused_where_none_is_trained(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a head on cached features trains no backbone; set '.*' in train.backb"):
        tiny_experiment(train={"mode": "two_stage", "head": setting})
    with pytest.raises(ExperimentError, match="about a backbone, and what is trained here has none"):
        trained(build(**TINY_MODEL).head, Stage.model_validate({"epochs": 1, **setting}), features())


def test_settings_that_are_as_before_leave_every_key_as_it_was() -> None:
    told = Experiment.model_validate({"name": "x", "data": {"corpora": ["a"]}}).model_dump(mode="json")
    for stage in ("backbone", "head"):
        assert set(told["train"][stage]) == {
            "epochs", "batch", "steps", "optimiser", "learning_rate", "weight_decay", "schedule", "label_smoothing",
            "clip_gradient", "patience", "stop_after",
        }  # fmt: skip


def test_parameters_are_grouped_by_rate_and_decay() -> None:
    model = build(**TINY_MODEL)
    stage = Stage(learning_rate=0.1, weight_decay=0.5, decay="weights", backbone_rate=0.01)
    groups = parameter_groups(model, stage)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (0.1, 0.5),
        (0.1, 0),
        (0.001, 0.5),
        (0.001, 0),
    ]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [{names[id(parameter)] for parameter in group["params"]} for group in groups]
    assert found[0] == {"head.lstm.weight_ih_l0", "head.lstm.weight_hh_l0", "head.linear.weight"}
    assert found[1] == {"head.lstm.bias_ih_l0", "head.lstm.bias_hh_l0", "head.linear.bias"}
    assert {name.split(".")[-1] for name in found[3]} == {"weight", "bias"}  # of batch norms
    assert all(model.get_parameter(name).ndim == 4 for name in found[2])
    assert len(set().union(*found)) == len(names)


def test_by_default_there_is_one_group_of_all_parameters_in_their_order() -> None:
    model = build(**TINY_MODEL)
    (group,) = parameter_groups(model, Stage(weight_decay=0.1))
    assert all(one is other for one, other in zip(group["params"], model.parameters(), strict=True))
    assert (group["lr"], group["weight_decay"]) == (1e-3, 0.1)


def trained(model: nn.Module, stage: Stage, table: Table, **how: Any) -> list[float]:
    """Fit on a table's training clips; the losses of its epochs."""
    options = {"length": 4, "order": "natural", "seed": 3, "augmented": False, **how}
    epochs = fit_clips(model, table.where("train"), table.where("val"), stage, CPU, **options)
    return [epoch.train_loss for epoch in epochs]


def features(clips: int = 40, fakes: int = 100) -> Table:
    """Features of noise, of clips of which at most so many in the training split are fake."""
    table = tiny_table(("a",), clips=clips)
    values = np.random.default_rng(1).normal(0, 1, (clips, 8, 32)).astype(np.float32)
    kept, seen = [], 0
    for row, clip in enumerate(table.manifest):
        seen += clip.label == 1 and clip.split == "train"
        if not (clip.label == 1 and clip.split == "train" and seen > fakes):
            kept.append(row)
    manifest = Manifest("a", tuple(table.manifest.clips[row] for row in kept))
    return replace(
        table, manifest=manifest, values=values[kept], rows=np.arange(len(kept)), lengths=table.lengths[kept]
    )


@pytest.mark.parametrize("freeze", [1, 3, "backbone"])
def test_frozen_stages_keep_their_weights_and_statistics(freeze: Any) -> None:
    torch.manual_seed(0)
    model = build(**TINY_MODEL)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained(model, Stage(epochs=2, batch=8, learning_rate=0.01, weight_decay=0.1, freeze=freeze), tiny_table(("a",)))
    stages = ("stem", "layer1", "layer2", "layer3", "layer4")
    frozen = tuple(f"backbone.{stage}." for stage in (stages if freeze == "backbone" else stages[:freeze]))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith(frozen), name


def test_a_backbone_at_a_small_rate_moves_less() -> None:
    moved = []
    for rate in (1.0, 0.01):
        torch.manual_seed(0)
        model = build(**TINY_MODEL)
        before = model.backbone.stem[0].weight.detach().clone()
        trained(model, Stage(epochs=1, batch=8, learning_rate=0.01, backbone_rate=rate), tiny_table(("a",)))
        moved.append(float((model.backbone.stem[0].weight.detach() - before).norm()))
    assert moved[1] < moved[0] / 20


def head(**changes: Any) -> ClipModel:
    torch.manual_seed(0)
    return build(**{**TINY_MODEL, "dropout": 0.0, **changes}).head  # type: ignore[return-value]


@pytest.mark.parametrize("longest", [0.1, 1000.0])
def test_gradients_are_clipped_as_pytorch_does_it(longest: float) -> None:
    """Also those that do not lie in memory in their own order."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(20, 2)).to(memory_format=torch.channels_last)
    model(torch.randn(4, 3, 4, 4)).square().sum().backward()
    expected = copy.deepcopy(model)
    for own, twin in zip(model.parameters(), expected.parameters(), strict=True):
        assert own.grad is not None
        twin.grad = own.grad.clone()
    nn.utils.clip_grad_norm_(expected.parameters(), longest)
    Optimisation(model, Stage(epochs=1, batch=4, learning_rate=0.01, clip_gradient=longest), 1).step()
    for own, twin in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own.grad, twin.grad)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_gradient": 0.05},
        {"label_smoothing": 0.1, "optimiser": "adamw", "weight_decay": 0.1, "decay": "weights"},
        {"schedule": "one_cycle", "warmup": 0.7},
        {"steps": 3},
    ],
)
@pytest.mark.parametrize(("batch", "accumulate"), [(2, 3), (1, 6), (3, 2)])
def test_micro_batches_come_to_the_step_of_their_whole(changes: dict[str, Any], batch: int, accumulate: int) -> None:
    """With unequal classes, and a last step that is smaller and unevenly cut."""
    table = features(40, fakes=4)
    assert len(table.where("train")) % 6
    settings = {"epochs": 3, "learning_rate": 0.01, **changes}
    whole, parts = head(), head()
    losses = trained(whole, Stage.model_validate({**settings, "batch": 6}), table)
    found = trained(parts, Stage.model_validate({**settings, "batch": batch, "accumulate": accumulate}), table)
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("float32")
def test_clips_are_augmented_alike_whether_a_step_is_cut_or_not() -> None:
    found = []
    for batch, accumulate in ((8, 1), (4, 2)):
        torch.manual_seed(0)
        model = build(**{**TINY_MODEL, "dropout": 0.0})
        stage = Stage(epochs=2, batch=batch, accumulate=accumulate, freeze="backbone")  # no statistics of a batch
        found.append(trained(model, stage, tiny_table(("a",)), augmented=True))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=9), st.integers(1, 4), st.integers(1, 5))
def test_any_step_can_be_cut(labels: list[int], batch: int, rarer: int) -> None:
    """The gradient of a step is the same, whatever classes fall into which micro-batch."""
    corpus = torch.tensor([0] * 5 + [1] * rarer)
    inputs = torch.linspace(-1, 1, 3 * len(labels)).view(-1, 3)
    told = np.array([0, 1]), np.array([0.4, 0.6])

    def gradient(stage: Stage) -> Tensor:
        model = nn.Linear(3, 2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.1)
        kept: list[Tensor] = []
        model.weight.register_post_accumulate_grad_hook(lambda weight: kept.append(weight.grad.clone()))

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield inputs, torch.tensor(labels)

        fit(model, batches, lambda: told, stage, corpus, CPU)
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "fast_bfloat16", lambda device: False)
        whole = gradient(Stage(epochs=1, batch=9))
        cut = gradient(Stage(epochs=1, batch=batch, accumulate=math.ceil(9 / batch)))
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-6)


def test_a_fit_stops_when_the_validation_loss_has_not_fallen_for_long_enough() -> None:
    said = iter([0.4, 0.3, 0.35, 0.31, 0.2, 0.5, 0.5, 0.5, 0.1])

    def validate() -> tuple[Any, Any]:
        right = math.exp(-next(said))  # so that the log loss is what is said
        return np.array([0, 1]), np.array([1 - right, right])

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.ones(2, 2), torch.tensor([0, 1])

    epochs = fit(nn.Linear(2, 2), batches, validate, Stage(epochs=9, stop_after=3), torch.tensor([0, 1]), CPU)
    assert [round(epoch.val_loss, 2) for epoch in epochs] == [0.4, 0.3, 0.35, 0.31, 0.2, 0.5, 0.5, 0.5]


def test_an_epoch_that_its_listener_refuses_ends_the_fit() -> None:
    class Enough(Exception):
        pass

    heard: list[int] = []

    def on_epoch(epoch: Any) -> None:
        heard.append(epoch.number)
        if epoch.number == 2:
            raise Enough

    with pytest.raises(Enough):
        trained(head(), Stage(epochs=5, batch=8), features(), on_epoch=on_epoch)
    assert heard == [1, 2]


def test_a_loss_that_is_no_number_is_told_in_any_micro_batch() -> None:
    broken = features()
    broken.values[broken.where("train").rows[-1]] = np.nan
    with pytest.raises(DfdError, match="lower the learning rate"):
        trained(head(), Stage(epochs=1, batch=2, accumulate=3), broken)
