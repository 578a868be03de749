"""The model as the paper means it. Each source bug of the public code (its number in brackets) has its test."""

import urllib.error

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dfd.models import build, frame_permutation, p_fake, to_input
from dfd.models.resnext_lstm import ResNeXtLSTM
from dfd.recipe import IMAGENET_MEAN, IMAGENET_STD, CropRecipe


def tiny(**changes: object) -> ResNeXtLSTM:
    return build("resnext_lstm", **{"backbone": "tiny", "hidden": 16, **changes}).eval()


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.randn(3, 6, 3, 32, 32)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_clips_logits_do_not_depend_on_its_batch(clips: torch.Tensor, pooling: str) -> None:
    """[2] the public code recurs over the batch axis."""
    model = tiny(pooling=pooling)
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(alone, model(clips))


def test_the_order_of_frames_matters(clips: torch.Tensor) -> None:
    """[2] permuting earlier frames changes nothing in the public code."""
    model = tiny()
    assert not torch.allclose(model(clips), model(clips.flip(1)), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_every_frame_counts(clips: torch.Tensor, pooling: str) -> None:
    """[2] the public web app reads the last frame alone."""
    model = tiny(pooling=pooling)
    before = model(clips)
    for frame in range(clips.shape[1]):
        changed = clips.clone()
        changed[:, frame] += 3
        assert not torch.allclose(model(changed), before, atol=1e-6), f"frame {frame} is not read"


def test_mean_pooling_without_lstm_ignores_order(clips: torch.Tensor) -> None:
    model = build("resnext_mean", backbone="tiny").eval()
    torch.testing.assert_close(model(clips), model(clips.flip(1)))
    assert model.head.lstm is None


def test_the_lstm_has_biases_and_one_direction_unless_told() -> None:
    """[1] the public code passes `bidirectional` as `bias`."""
    lstm = build("resnext_lstm", backbone="tiny").head.lstm
    assert lstm is not None
    assert lstm.bias
    assert not lstm.bidirectional
    assert lstm.batch_first
    assert lstm.hidden_size == 2048


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_training_and_serving_use_one_head(clips: torch.Tensor, pooling: str) -> None:
    """[3] the public code trains with the mean over time and serves the last step."""
    model = tiny(pooling=pooling, dropout=0.0)
    torch.testing.assert_close(model.train(False)(clips), model.head.train()(model.features(clips)))


def test_dropout_never_falls_on_the_logits(clips: torch.Tensor) -> None:
    """[4] dropout after the linear layer zeroes one or both logits 64 % of the time."""
    model = tiny()
    model.head.train()
    drawn = torch.stack([model.head(model.features(clips)) for _ in range(200)])
    assert (drawn == 0).sum() == 0
    assert isinstance(model.head.linear, nn.Linear)
    assert drawn.std(dim=0).min() > 0


def test_leaky_relu_is_called(clips: torch.Tensor) -> None:
    """[5] it is declared and never called in the public code."""
    model = tiny()
    called: list[int] = []
    handle = model.head.activation.register_forward_hook(lambda *_: called.append(1))
    model(clips)
    handle.remove()
    assert called


def test_hidden_size_is_honoured(clips: torch.Tensor) -> None:
    """[6] the public code's linear layer ignores it."""
    model = tiny(hidden=24)
    assert model.head.linear.in_features == 24
    assert model(clips).shape == (3, 2)


def test_the_clips_logits_are_the_mean_or_last_of_its_frames(clips: torch.Tensor) -> None:
    features = torch.randn(2, 5, 32)
    mean, last = tiny().head, tiny(pooling="last").head
    torch.testing.assert_close(mean.frame_logits(features).mean(1), mean(features))
    torch.testing.assert_close(last.frame_logits(features)[:, -1], last(features))


def test_resnext50_gives_2048_features_at_any_size() -> None:
    backbone = build("resnext_lstm", hidden=4).backbone.eval()
    assert backbone.features == 2048
    with torch.inference_mode():
        assert backbone(torch.randn(2, 3, 112, 112)).shape == (2, 2048)
        assert backbone(torch.randn(1, 3, 64, 64)).shape == (1, 2048)


def test_crops_are_read_as_rgb_with_imagenet_statistics() -> None:
    """[20] the public code feeds BGR under RGB statistics."""
    crops = np.zeros((1, 32, 32, 3), np.uint8)
    crops[..., 0] = 255
    rgb = to_input(crops, CropRecipe())[0, :, 0, 0]
    expected = (np.array([1.0, 0.0, 0.0]) - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(rgb.numpy(), expected, rtol=1e-5)
    bgr = to_input(crops, CropRecipe(colour="bgr"))[0, :, 0, 0]
    assert bgr.argmax() == 2


def test_the_second_logit_is_fake() -> None:
    """[15] the public code has 0 = fake."""
    assert p_fake(torch.tensor([[0.0, 5.0]])).item() > 0.99


def test_missing_published_weights_are_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    model = build("resnext_lstm", hidden=4, weights="IMAGENET1K_V2")
    assert model.weights == "none"
    assert "weights: none" in caplog.text


def test_published_weights_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import resnext50_32x4d

    published = resnext50_32x4d(weights=None).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: published)
    model = build("resnext_lstm", hidden=4, weights="IMAGENET1K_V2")
    assert model.weights == "IMAGENET1K_V2"
    torch.testing.assert_close(model.backbone.stem[0].weight, published["conv1.weight"])
    torch.testing.assert_close(model.backbone.layer4[2].conv3.weight, published["layer4.2.conv3.weight"])


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"name": "resnet"}, "unknown model 'resnet'"),
        ({"name": "resnext_lstm", "weights": "IMAGENET22K"}, "unknown weights 'IMAGENET22K'"),
        ({"name": "resnext_lstm", "units": 3}, "units"),
        ({"name": "resnext_lstm", "backbone": "tiny", "weights": "IMAGENET1K_V2"}, "no pretrained weights"),
    ],
)
def test_wrong_settings_are_named(settings_: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(**settings_)


@given(length=st.integers(1, 200), seed=st.integers(0, 2**31))
@settings(deadline=None)
def test_the_shuffle_is_one_permutation_a_seed(length: int, seed: int) -> None:
    order = frame_permutation(length, "shuffled", seed)
    assert sorted(order.tolist()) == list(range(length))
    assert torch.equal(order, frame_permutation(length, "shuffled", seed))
    assert frame_permutation(length, "natural", seed).tolist() == list(range(length))
