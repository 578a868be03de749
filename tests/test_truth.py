"""Is a map true? Figures on maps whose truth is known beforehand."""

import numpy as np
import pytest
import torch
from captum.metrics import infidelity
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from dfd.attribution.baselines import Baseline, blurred_face
from dfd.attribution.reading import Reading
from dfd.attribution.truth import (
    Explain,
    against_mask,
    curves,
    edge_map,
    infidelity_of,
    random_map,
    randomised,
    rank_correlation,
    sensitivity_of,
    squares,
)
from dfd.attribution.view import View
from dfd.models import build, to_input
from dfd.models.contract import Backbone, ClipModel
from dfd.models.heads import TemporalHead
from dfd.recipe import CropRecipe
from tests.test_attribution import face_clip

pytestmark = pytest.mark.usefixtures("float32")
SIDE = 32
PATCH = (slice(None), slice(4, 12), slice(16, 24))


class _Patch(nn.Module):
    """Reads the mean of one patch of a frame, and nothing else."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, :, PATCH[1], PATCH[2]].mean(dim=(1, 2, 3))[:, None, None, None]


def patch_reader(gain: float = 4.0) -> ClipModel:
    """A detector whose score is the mean of one patch, times a gain."""
    nothing = nn.Identity()
    backbone = Backbone(_Patch(), (nothing, nothing, nothing, nothing), features=1)
    head = TemporalHead(1, 1, 1, 0.0, "mean", "none")
    head.activation = nn.Identity()
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[0.0], [gain]]))
        head.linear.bias.zero_()
    return ClipModel("none", backbone, head).eval()


def seen(gain: float = 4.0) -> tuple[Reading, np.ndarray]:
    """The patch reader's reading of a clip that is bright there, against a black one, and the true map."""
    view = View(patch_reader(gain), torch.device("cpu"), lambda: False)
    inputs = torch.rand(3, 3, SIDE, SIDE)
    black = Baseline("black", lambda frames, recipe: torch.zeros_like(frames))
    truth = np.zeros((3, SIDE, SIDE), np.float32)
    truth[PATCH] = inputs.sum(dim=1).numpy()[PATCH] * gain / (3 * 8 * 8 * 3)
    return Reading(view, inputs, black, CropRecipe(size=SIDE), torch.arange(3)), truth


def mask() -> np.ndarray:
    found = np.zeros((3, SIDE, SIDE), np.bool_)
    found[PATCH] = True
    return found


def test_a_map_of_the_mask_is_wholly_right() -> None:
    found = against_mask(mask().astype(np.float32), mask())
    assert (found.pointing, found.energy, found.iou) == (1, 1, 1)
    assert found.area == pytest.approx(64 / SIDE**2)


def test_evidence_for_real_and_evidence_elsewhere_count_for_nothing() -> None:
    for maps in (-mask().astype(np.float32), (~mask()).astype(np.float32), np.zeros((3, SIDE, SIDE), np.float32)):
        found = against_mask(maps, mask())
        assert (found.pointing, found.energy, found.iou) == (0, 0, 0)


def test_of_several_strongest_pixels_those_in_the_mask_count() -> None:
    """A window's map has no first pixel: half of it in the mask is half right."""
    masks, maps = np.zeros((2, 1, 8, 8), np.float32)
    masks[:, :, :4] = maps[:, :, 2:6] = 1
    assert against_mask(maps, masks.astype(bool)).pointing == pytest.approx(0.5)


def test_frames_without_a_mask_are_left_out() -> None:
    masks = mask()
    masks[1:] = False
    maps = masks.astype(np.float32)
    maps[1:, 0, 0] = 9
    assert against_mask(maps, masks).pointing == 1
    assert np.isnan(against_mask(maps, np.zeros_like(masks)).energy)


def test_a_random_map_comes_to_the_masks_area() -> None:
    masks = np.tile(mask()[:1], (200, 1, 1))
    found = against_mask(random_map(masks.shape), masks)
    assert found.pointing == pytest.approx(found.area, abs=0.06)
    assert found.energy == pytest.approx(found.area, abs=0.005)
    assert found.iou < 0.1


@given(
    arrays(np.float32, (2, 8, 8), elements=st.floats(-1e3, 1e3, width=32)),
    arrays(np.bool_, (2, 8, 8)),
    st.floats(0.01, 100),
)
def test_figures_are_shares_and_do_not_know_the_scale(maps: np.ndarray, masks: np.ndarray, scale: float) -> None:
    found = against_mask(maps, masks)
    if not masks.any():
        assert np.isnan(found.iou)
        return
    assert all(0 <= figure <= 1 + 1e-9 for figure in (found.pointing, found.energy, found.iou, found.area))
    power = np.float32(2.0 ** round(np.log2(scale)))  # exact, so that ties stay ties
    assert against_mask(maps * power, masks).energy == pytest.approx(found.energy)


def test_edges_are_where_the_luminance_changes() -> None:
    crops = np.zeros((1, 16, 16, 3), np.uint8)
    crops[:, :, 8:] = 200
    found = edge_map(crops)[0]
    assert (found[:, 7:9] > 0).all()
    assert (found[:, :6] == 0).all()
    assert (found[:, 10:] == 0).all()


def test_the_true_map_deletes_and_inserts_best() -> None:
    reading, truth = seen()
    true, other = (curves(reading, maps, 10) for maps in (truth, random_map(truth.shape)))
    assert true.deletion_area < other.deletion_area
    assert true.insertion_area > other.insertion_area
    for found in (true, other):
        assert found.deletion[0] == found.insertion[-1]
        assert found.deletion[-1] == found.insertion[0] == pytest.approx(0.5)


def test_curves_are_of_the_decision_that_is_made() -> None:
    """A clip judged real: what speaks for real is taken away."""
    reading, truth = seen(gain=-4.0)
    found = curves(reading, truth, 10)
    assert found.deletion[0] > 0.5
    assert found.deletion_area < curves(reading, -truth, 10).deletion_area


@pytest.mark.parametrize("gain", [4.0, -4.0])
def test_a_map_without_a_sign_is_as_true_of_either_decision(gain: float) -> None:
    """Its strongest pixels go first whatever was decided: those that it calls weakest are no evidence for real."""
    reading, truth = seen(gain=gain)
    found, other = (curves(reading, maps, 10, signed=False) for maps in (np.abs(truth), random_map(truth.shape)))
    assert found.deletion_area < other.deletion_area
    assert found.insertion_area > other.insertion_area


def test_the_true_map_is_not_infidel() -> None:
    reading, truth = seen()
    known = squares(reading, 24)
    assert infidelity_of(truth, known) < 1e-3
    assert infidelity_of(7 * truth, known) < 1e-3  # a map without a unit
    wrong = infidelity_of(random_map(truth.shape), known)
    assert 0.05 < wrong <= 1.01
    assert infidelity_of(0 * truth, known) == pytest.approx(1)


def test_infidelity_equals_captum_called_plainly() -> None:
    """The plain call asks the network anew for each map and each of its squares, twice."""
    reading, _ = seen()
    maps, known = random_map((3, SIDE, SIDE)), squares(reading, 12)
    model, places = patch_reader(), iter(torch.from_numpy(known.places))

    def take(clips: Tensor) -> tuple[Tensor, Tensor]:
        taken = torch.stack([next(places).expand(clip.shape[0], 1, SIDE, SIDE) for clip in clips]).float()
        return taken.expand_as(clips), clips * (1 - taken)  # filled with black, which is 0

    plain = infidelity(
        lambda clips: model(clips).diff(dim=1)[:, 0], take, reading.inputs[None],
        torch.from_numpy(maps)[None, :, None].expand(1, 3, 3, SIDE, SIDE) / 3, n_perturb_samples=12, normalize=True,
    )  # fmt: skip
    assert infidelity_of(maps, known) == pytest.approx(plain.item() / np.mean(known.lost**2), rel=1e-4)


def test_squares_are_asked_for_once_for_all_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, truth = seen()
    known = squares(reading, 5)
    assert known.places.sum(axis=(1, 2)).tolist() == [(SIDE // 4) ** 2] * 5
    monkeypatch.setattr(reading.view, "features", lambda frames: pytest.fail("the network is asked again"))
    assert infidelity_of(truth, known) < infidelity_of(-truth + truth.max(), known)


def test_a_map_that_does_not_look_is_not_sensitive() -> None:
    inputs = seen()[0].inputs

    def found(explain: Explain) -> float:
        return sensitivity_of(explain, inputs, explain(inputs).numpy(), neighbours=4)

    assert found(lambda clip: torch.ones(len(clip), SIDE, SIDE)) == 0
    assert found(lambda clip: (clip.sum(dim=1) * 50).sin()) > 0.3


def test_of_sensitivity_only_the_neighbours_are_explained() -> None:
    inputs, asked = seen()[0].inputs, []

    def explain(clip: Tensor) -> Tensor:
        asked.append(clip)
        return clip.sum(dim=1)

    sensitivity_of(explain, inputs, inputs.sum(dim=1).numpy(), neighbours=3)
    assert len(asked) == 3


def test_random_weights_know_nothing_and_the_model_keeps_its_own() -> None:
    model = build("resnext_lstm", backbone="tiny", hidden=8).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    forgotten = randomised(model)
    clip = face_clip()
    inputs = to_input(clip.crops, clip.recipe)[None]
    with torch.no_grad():
        assert not torch.allclose(forgotten(inputs), model(inputs))
        torch.testing.assert_close(randomised(model)(inputs), forgotten(inputs))
    assert not forgotten.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert blurred_face(inputs[0]).shape == inputs[0].shape


def test_rank_correlation_of_maps() -> None:
    one = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
    assert rank_correlation(one, 3 * one) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(1)
    assert abs(rank_correlation(one, random_map(one.shape))) < 0.3
    assert rank_correlation(one, np.zeros_like(one)) == 0
