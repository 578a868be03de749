"""Which frames of a clip are read: the same ones in training, in evaluation and in serving, whatever the sampling."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.config import Stage
from dfd.data import Table, crop_table, feature_table
from dfd.evaluation import score_clips
from dfd.inference import Detector
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, Split, read_manifest
from dfd.models.contract import ClipLogits, ClipModel, Head
from dfd.preprocess import preprocess
from dfd.recipe import CropRecipe
from dfd.training import fit_clips, score_table
from dfd.video import write_video

CPU = torch.device("cpu")
FRAMES, LOOKED_AT = 30, 22  # of a clip, and of those, by the recipe
STEP = 8  # levels of grey from one frame to the next


class Brightness(nn.Module):
    """A backbone whose one feature is a frame's mean."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(1, 2, 3))[:, None]


class Witness(Head):
    """Says nothing, and notes which frames it was given, by how bright they are."""

    pooling = "mean"

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))
        self.read: list[list[int]] = []

    def logits(self, features: Tensor) -> ClipLogits:
        places = ((features.detach()[:, :, 0] * 255 - 8) / STEP).round().long()
        self.read += places.tolist()
        frames = self.bias + torch.zeros(*features.shape[:2], 2)
        return ClipLogits(frames, frames.mean(dim=1))


def witness() -> tuple[ClipModel, Witness]:
    head = Witness()
    return ClipModel("none", Brightness(), head), head


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Real and fake clips for training and validation whose frame n is grey of level 8 n + 8."""
    folder = tmp_path_factory.mktemp("numbered")
    levels = (8 + STEP * np.arange(FRAMES)).astype(np.uint8)
    splits: tuple[Split, ...] = ("train", "train", "val", "val")
    rows = []
    for place, split in enumerate(splits):
        path = folder / f"clip{place}.mp4"
        write_video(path, np.broadcast_to(levels[:, None, None, None], (FRAMES, 64, 64, 3)), 25)
        method = "made" if place % 2 else "original"
        rows.append(Clip("c", f"{place}", path, Label(place % 2), method, "", f"p{place}", "", split, False, FRAMES))
    return Manifest("c", tuple(rows)).check()


@pytest.fixture(params=["consecutive", "even"])
def recipe(request: pytest.FixtureRequest) -> CropRecipe:
    """Of clips that are crops already, with pixels as they are."""
    return CropRecipe(
        detector="given", margin=1, size=64, mean=(0, 0, 0), std=(1, 1, 1), max_frames=LOOKED_AT, sampling=request.param
    )


@pytest.fixture
def table(numbered: Manifest, recipe: CropRecipe, tmp_path: Path) -> Table:
    preprocess(numbered, tmp_path / "faces", recipe, workers=1)
    return crop_table(read_manifest(tmp_path / "faces" / "manifest.csv"), recipe, LOOKED_AT, tmp_path)


@pytest.mark.parametrize("length", [1, 4, 7, LOOKED_AT])
def test_training_evaluation_and_serving_read_the_same_frames(
    table: Table, numbered: Manifest, recipe: CropRecipe, length: int
) -> None:
    wanted = list(range(length))
    if recipe.sampling == "even":
        wanted = [round(place) for place in np.linspace(0, LOOKED_AT - 1, length)]
    tables = table.where("train"), table.where("val")
    stage = Stage(epochs=1, batch=2)

    model, trained = witness()
    fit_clips(model, *tables, stage, CPU, length=length, order="natural", seed=0, augmented=False)
    model, scored = witness()
    score_table(model, tables[1], CPU, length=length, order="natural", seed=0)
    model, evaluated = witness()
    score_clips(model, tables[1], CPU, length=length, order="natural", seed=0)
    model, cached = witness()
    features = feature_table(table, model.backbone, CPU)
    score_clips(model, features, CPU, length=length, order="natural", seed=0)
    model, served = witness()
    meta = CheckpointMeta(name="witness", model={}, recipe=recipe, sequence_length=length, threshold=0.5)
    verdict = Detector(Checkpoint(model.eval(), meta, "witness"), "cpu").judge(numbered.clips[0].path)

    for head in (trained, scored, evaluated, cached, served):
        assert head.read
        assert all(read == wanted for read in head.read)
    assert verdict.face_clip is not None
    assert verdict.face_clip.track.indices.tolist() == wanted


@given(
    st.integers(1, 400), st.integers(1, 400), st.integers(1, 200), st.sampled_from(["consecutive", "even"])
)  # frames of a clip, frames asked for, the recipe's most
def test_positions_are_distinct_frames_in_order(available: int, count: int, most: int, sampling: str) -> None:
    recipe = CropRecipe.model_validate({"max_frames": most, "sampling": sampling})
    found = recipe.positions(available, count)
    within = min(available, most)
    assert len(found) == min(count, within)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    if sampling == "consecutive":
        assert found[-1] == len(found) - 1
    elif count > 1:
        assert found[-1] == within - 1
        assert np.ptp(np.diff(found)) <= 1 if len(found) > 2 else True
