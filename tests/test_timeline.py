"""A verdict along time: each frame's weight, the verdict after each frame, and other orders of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from dfd.attribution import VIEWS, Reading, Stopped, blurred_face, explain, read
from dfd.attribution.over_time import frame_weights
from dfd.attribution.timeline import ORDERS, STEPS, Timeline, timeline
from dfd.faces import FaceClip
from dfd.models import FrameOrder, build, frame_permutation, p_fake, to_input
from dfd.models.contract import ClipModel
from tests.test_attribution import FRAME, FRAMES, MODELS, checkpoint, face_clip, planted

pytestmark = pytest.mark.usefixtures("float32")
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)


def told(model: ClipModel, frames: int | None = None) -> tuple[Timeline, torch.Tensor]:
    """A clip's timeline and its features (1, T, F)."""
    loaded, clip = checkpoint(model), face_clip()
    if frames is not None:
        clip = clip.at(np.arange(frames))
    with torch.no_grad():
        features = loaded.model.features(to_input(clip.crops, clip.recipe)[None])
    return timeline(loaded, clip), features


def both_ends(clip: FaceClip) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip's inputs (T, 3, H, W) and their baseline."""
    inputs = to_input(clip.crops, clip.recipe)
    return inputs, blurred_face(inputs)


@EVERY_MODEL
def test_the_verdict_after_each_frame_is_that_of_a_clip_which_ended_there(model: str) -> None:
    detector = MODELS[model]().eval()
    found, features = told(detector)
    with torch.no_grad():
        expected = [p_fake(detector.head(features[:, :end]))[0] for end in range(1, features.shape[1] + 1)]
    np.testing.assert_allclose(found.p_fake_after, torch.stack(expected).numpy(), atol=1e-5)
    assert found.p_fake == pytest.approx(found.p_fake_after[-1], abs=1e-5)


@EVERY_MODEL
def test_without_a_frame_the_score_is_that_of_the_others(model: str) -> None:
    detector = MODELS[model]().eval()
    found, features = told(detector)
    with torch.no_grad():
        left = [torch.cat([features[:, :at], features[:, at + 1 :]], dim=1) for at in range(features.shape[1])]
        expected = [found.score - detector.head(clip).diff(dim=1).item() for clip in left]
    np.testing.assert_allclose(found.without, expected, atol=1e-4)


def test_a_detector_that_pools_its_frames_does_not_see_their_order() -> None:
    found, _ = told(build("resnext_mean", backbone="tiny"))
    assert found.p_fake_shuffled.shape == (ORDERS,)
    assert found.order_effect < 1e-5


def test_a_recurrent_detector_sees_their_order() -> None:
    found, _ = told(build("resnext_lstm", backbone="tiny", hidden=16, pooling="last"))
    assert found.order_effect > 1e-4


@EVERY_MODEL
def test_weights_equal_captum_on_the_backbones_features(model: str) -> None:
    """Ours are worked out from what lies beyond the recurrent layer's first, affine step."""
    loaded, clip = checkpoint(MODELS[model]()), face_clip()
    with torch.no_grad():
        ends = [loaded.model.features(end[None]) for end in both_ends(clip)]
    plain = IntegratedGradients(lambda clips: loaded.model.head(clips).diff(dim=1)[:, 0])
    expected = plain.attribute(*ends, n_steps=STEPS)[0].sum(dim=1).detach().numpy()
    np.testing.assert_allclose(timeline(loaded, clip).weights, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("method", VIEWS)
def test_a_clip_that_was_explained_is_not_read_again(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attentive = {"maps": 2, "texture_channels": 4}
    model = build("multi_attention", backbone="tiny", attention=attentive) if method == "attention" else None
    loaded, clip = checkpoint(model, frame_order="shuffled", seed=3), face_clip()
    features = explain(loaded, clip, method, steps=2).features
    anew = timeline(loaded, clip)
    monkeypatch.setattr(Reading, "features", property(lambda reading: pytest.fail("the clip is read again")))
    again = timeline(loaded, clip, features=features)
    for name in ("weights", "without", "p_fake_after", "p_fake_shuffled"):
        np.testing.assert_allclose(getattr(again, name), getattr(anew, name), atol=1e-5)
    with pytest.raises(ValueError, match="features of 4 frames, of a clip of 5"):
        timeline(loaded, clip, features=features[1:])


@pytest.mark.parametrize("order", ["natural", "shuffled"])
def test_the_one_frame_that_a_detector_reads_has_all_the_weight(order: FrameOrder) -> None:
    with read(planted(frame_order=order, seed=5), face_clip()) as reading:
        weights = frame_weights(reading.view, reading.features, reading.baseline_features, steps=4)[reading.back]
    assert torch.nonzero(weights).flatten().tolist() == [frame_permutation(FRAMES, order, 5)[FRAME]]


def test_weights_add_up_to_the_change_from_the_baseline() -> None:
    detector = build("resnext_lstm", backbone="tiny", hidden=16).eval()
    found, features = told(detector)
    clip = face_clip()
    with torch.no_grad():
        start = detector(blurred_face(to_input(clip.crops, clip.recipe))[None]).diff(dim=1).item()
    assert found.baseline_score == pytest.approx(start, abs=1e-5)
    assert found.weights.sum() == pytest.approx(found.score - start, rel=0.03)
    assert found.baseline == "blurred face"


def test_one_frame_has_nothing_to_be_left_out_of() -> None:
    found, _ = told(build("resnext_lstm", backbone="tiny", hidden=16), frames=1)
    assert np.isnan(found.without).all()
    assert found.p_fake_after.shape == (1,)
    assert found.order_effect < 1e-6


def test_numbers_are_of_the_frames_in_time_though_they_are_read_shuffled() -> None:
    loaded, clip = checkpoint(build("resnext_mean", backbone="tiny")), face_clip()
    shuffled = replace(loaded, meta=loaded.meta.model_copy(update={"frame_order": "shuffled", "seed": 3}))
    plain, mixed = timeline(loaded, clip), timeline(shuffled, clip)
    np.testing.assert_allclose(mixed.without, plain.without, atol=1e-5)
    np.testing.assert_allclose(mixed.weights, plain.weights, atol=1e-5)
    np.testing.assert_allclose(mixed.p_fake_after, plain.p_fake_after, atol=1e-5)


def test_it_can_be_stopped() -> None:
    with pytest.raises(Stopped):
        timeline(checkpoint(), face_clip(), should_stop=lambda: True)
