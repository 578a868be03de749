"""A checkpoint is the same detector wherever it is loaded, and a damaged one is told in a sentence."""

import json
from pathlib import Path

import pytest
import torch

from dfd import checkpoints
from dfd.checkpoints import META, WEIGHTS, CheckpointMeta
from dfd.errors import CheckpointError, StoreError
from dfd.models import build
from dfd.recipe import CropRecipe
from tests.conftest import TINY_MODEL


def meta(**changes: object) -> CheckpointMeta:
    settings = {"name": "tiny", "model": TINY_MODEL, "recipe": CropRecipe(), "sequence_length": 4, "threshold": 0.4}
    return CheckpointMeta.model_validate({**settings, **changes})


@pytest.mark.parametrize("store_as", ["float32", "bfloat16"])
def test_a_checkpoint_loads_into_the_same_detector(tmp_path: Path, store_as: str) -> None:
    model = build(**TINY_MODEL)
    model(torch.randn(4, 2, 3, 32, 32))  # batch-norm statistics move
    checkpoints.round_weights(model, store_as)  # type: ignore[arg-type]
    described = meta(store_as=store_as, recipe=CropRecipe(margin=1.5, colour="bgr"))
    checkpoints.save(model, described, tmp_path / "c")
    loaded = checkpoints.load(tmp_path / "c")
    clips = torch.randn(2, 4, 3, 32, 32)
    torch.testing.assert_close(loaded.model(clips), model.eval()(clips), rtol=0, atol=0)
    assert loaded.meta == described
    assert not loaded.model.training


def test_bfloat16_halves_the_file(tmp_path: Path) -> None:
    model = build("resnext_lstm", backbone="tiny", hidden=128)
    sizes = {}
    for precision in ("float32", "bfloat16"):
        checkpoints.save(model, meta(store_as=precision), tmp_path / precision)
        sizes[precision] = (tmp_path / precision / WEIGHTS).stat().st_size
    assert sizes["bfloat16"] < 0.6 * sizes["float32"]


def test_saving_again_replaces_the_folder_whole(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    checkpoints.save(build(**TINY_MODEL), meta(), folder)
    checkpoints.save(build(**TINY_MODEL), meta(threshold=0.7), folder)
    assert checkpoints.load(folder).meta.threshold == 0.7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]


def damage_json(folder: Path, **changes: object) -> None:
    values = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps({**values, **changes}))


def truncate_weights(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / META).unlink(), "is not a checkpoint: it has no checkpoint.json"),
        (lambda folder: (folder / META).write_text("{"), "checkpoint.json is damaged"),
        (lambda folder: damage_json(folder, format=9), "does not fit this dfd: 'format'"),
        (lambda folder: damage_json(folder, extra=1), "does not fit this dfd: 'extra'"),
        (lambda folder: damage_json(folder, model={"name": "unheard_of"}), "cannot build: unknown model 'unheard_of'"),
        (lambda folder: damage_json(folder, model={**TINY_MODEL, "hidden": 9}), "does not fit the model"),
        (lambda folder: (folder / WEIGHTS).unlink(), "missing or damaged"),
        (truncate_weights, "missing or damaged"),
    ],
)
def test_a_damaged_checkpoint_is_told(tiny_checkpoint: Path, damage: object, said: str) -> None:
    damage(tiny_checkpoint)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=said) as refused:
        checkpoints.load(tiny_checkpoint)
    assert "\n" not in str(refused.value)
    assert str(tiny_checkpoint) in str(refused.value)


def test_a_pickle_is_never_opened(tiny_checkpoint: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tiny_checkpoint / WEIGHTS)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        checkpoints.load(tiny_checkpoint)


def test_an_unknown_reference_is_told(store: Path) -> None:
    with pytest.raises(StoreError, match="no checkpoint folder and no run"):
        checkpoints.load("no-such-run")
    with pytest.raises(StoreError, match="no model 'models:/nobody@best'"):
        checkpoints.load("models:/nobody@best")
