"""The model as the paper means it. Each source bug of the public code (its number in brackets) has its test."""

import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dfd import checkpoints
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.config import read_experiment
from dfd.errors import ExperimentError
from dfd.faces import FaceClip
from dfd.inference import Detector
from dfd.models import build, frame_permutation, p_fake, to_input
from dfd.models.contract import ClipModel
from dfd.recipe import IMAGENET_MEAN, IMAGENET_STD, CropRecipe
from dfd.tracks import FaceTrack


def tiny(**changes: object) -> ClipModel:
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


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pooling", ["mean", "last", "attention"])
@pytest.mark.parametrize("temporal", ["lstm", "gru", "none"])
def test_reading_a_clip_once_says_the_same_to_the_last_bit(temporal: str, pooling: str, precision: torch.dtype) -> None:
    head, features, read = tiny(temporal=temporal, pooling=pooling).head, torch.randn(2, 5, 32), []
    with torch.inference_mode(), torch.autocast("cpu", enabled=precision != torch.float32):
        clip, frames = head(features), head.frame_logits(features)
        for layer in (head.lstm, head.gru):
            if layer is not None:
                layer.register_forward_hook(lambda *_: read.append(1))
        said = head.read_once(features)
    assert torch.equal(said.clip, clip)
    assert torch.equal(said.frames, frames)
    assert len(read) == (temporal != "none")


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


# The variants, and the detectors that ResNeXt-LSTM is compared with: all under one contract.

VARIANTS: dict[str, dict[str, object]] = {
    "gru": {"name": "resnext_lstm", "backbone": "tiny", "hidden": 8, "temporal": "gru"},
    "two ways": {"name": "resnext_lstm", "backbone": "tiny", "hidden": 8, "bidirectional": True},
    "attention": {"name": "resnext_lstm", "backbone": "tiny", "hidden": 8, "pooling": "attention"},
    "attention over frames": {"name": "resnext_mean", "backbone": "tiny", "pooling": "attention"},
    "frame_cnn": {"name": "frame_cnn", "backbone": "tiny"},
    "cnn_lstm": {"name": "cnn_lstm", "backbone": "tiny", "hidden": 8},
    "meso4": {"name": "meso4"},
    "mesoinception4": {"name": "mesoinception4"},
    "published, last": {"name": "resnext_published", "backbone": "tiny", "hidden": 8},
    "published, mean": {"name": "resnext_published", "backbone": "tiny", "hidden": 8, "pooling": "mean"},
}
READ_IN_ORDER = {"gru", "two ways", "attention", "cnn_lstm"}
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)


def made(variant: str) -> ClipModel:
    return build(**VARIANTS[variant]).eval()  # type: ignore[arg-type]


@EVERY_VARIANT
def test_no_variant_depends_on_its_batch(clips: torch.Tensor, variant: str) -> None:
    model = made(variant)
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(alone, model(clips))


@EVERY_VARIANT
def test_the_order_of_frames_matters_to_what_reads_them_in_order(clips: torch.Tensor, variant: str) -> None:
    """The last frame stays the last, so that it is not merely another frame that is read."""
    model, other = made(variant), clips[:, [2, 0, 1, 4, 3, 5]]
    same = torch.allclose(model(clips), model(other), atol=1e-6)
    assert same == (variant not in READ_IN_ORDER)


@EVERY_VARIANT
@torch.no_grad()
def test_serving_says_what_the_model_says(variant: str, float32: None) -> None:
    """Frames and clip come from one pass of the head; the clip's p_fake is that of the whole model."""
    model, recipe = made(variant), CropRecipe(size=32)
    crops = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    track = FaceTrack(
        *(np.zeros(shape, np.float32) for shape in ((5, 4), (5, 5, 2), 5)), np.arange(5), np.ones(5, bool)
    )
    meta = CheckpointMeta(name="x", model={}, recipe=recipe, sequence_length=5, threshold=0.5)
    score, frames = Detector(Checkpoint(model, meta, "x"), "cpu")._score(FaceClip(crops, track, recipe, "clip.mp4"))
    inputs = to_input(crops, recipe)[None]
    assert score == pytest.approx(p_fake(model(inputs)).item(), abs=1e-6)
    np.testing.assert_allclose(frames, p_fake(model.head.frame_logits(model.features(inputs)))[0], atol=1e-6)
    assert frames.min() - 1e-6 <= score <= frames.max() + 1e-6


@EVERY_VARIANT
def test_every_weight_is_trained(clips: torch.Tensor, variant: str) -> None:
    model = made(variant).train()
    torch.nn.functional.cross_entropy(model(clips), torch.tensor([0, 1, 1])).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    # The published code never uses its recurrent weights: each frame starts from the zero state.
    assert idle == (["head.lstm.weight_hh_l0"] if variant.startswith("published") else [])


@EVERY_VARIANT
@torch.no_grad()
def test_a_variant_goes_from_experiment_file_to_checkpoint_and_back(
    tmp_path: Path, clips: torch.Tensor, variant: str
) -> None:
    (tmp_path / "mine.yaml").write_text(f"name: mine\ndata: {{corpora: [a]}}\nmodel: {VARIANTS[variant]}\n")
    asked = read_experiment(tmp_path / "mine.yaml").model
    model = build(asked.name, **asked.hyperparameters())
    assert model.state_dict().keys() >= made(variant).state_dict().keys()
    model(clips)  # batch-norm statistics move
    described = {"name": asked.name, **asked.hyperparameters()}
    meta = CheckpointMeta(name="x", model=described, recipe=CropRecipe(), sequence_length=6, threshold=0.5)
    checkpoints.save(model, meta, tmp_path / "c")
    torch.testing.assert_close(checkpoints.load(tmp_path / "c").model(clips), model.eval()(clips), rtol=0, atol=0)


def test_attention_weighs_frames_by_their_states(clips: torch.Tensor) -> None:
    """The clip's logits are the weighted mean of its frames', since the linear layer is affine."""
    model = made("attention")
    head, features = model.head, model.features(clips)
    states = head.activation(head.lstm(features)[0])
    weights = (states @ head.attention.weight[0]).softmax(dim=1)
    expected = (weights[..., None] * head.frame_logits(features)).sum(dim=1)
    torch.testing.assert_close(model(clips), expected)
    assert weights.std() > 1e-4


def test_a_two_way_layer_has_read_the_whole_clip_at_each_frame(clips: torch.Tensor) -> None:
    changed = clips.clone()
    changed[:, -1] += 3
    for variant, reads_ahead in (("two ways", True), ("gru", False)):
        model = made(variant)
        first = [model.head.frame_logits(model.features(frames))[:, 0] for frames in (clips, changed)]
        assert torch.allclose(*first, atol=1e-6) != reads_ahead


def test_a_clip_is_as_fake_to_meso_as_its_frames_are_on_average(clips: torch.Tensor) -> None:
    """Probabilities are averaged, not logits; one of them far out shows the difference."""
    model = made("meso4")
    features = model.features(clips) * torch.tensor([1.0, 1, 1, 1, 1, 200])[:, None]
    said = model.head.logits(features)
    torch.testing.assert_close(p_fake(said.clip), p_fake(said.frames).mean(dim=1))
    assert not torch.allclose(p_fake(said.clip), p_fake(said.frames.mean(dim=1)), atol=1e-3)
    assert (said.frames[..., 1] == 0).all()
    torch.testing.assert_close(p_fake(said.frames), 1 - said.frames[..., 0].sigmoid())


def test_a_sure_meso_still_gives_a_number() -> None:
    head = made("meso4").head
    with torch.no_grad():
        head.linear.bias.fill_(300.0)
        assert torch.isfinite(head(torch.zeros(1, 3, 1024))).all()


def test_published_weights_read_the_last_frame_alone_or_each_alone(clips: torch.Tensor) -> None:
    last, mean = made("published, last"), made("published, mean")
    torch.testing.assert_close(last(clips), last(clips[:, -1:]))
    alone = torch.stack([mean(clips[:, at : at + 1]) for at in range(clips.shape[1])])
    torch.testing.assert_close(mean(clips), alone.mean(dim=0))


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ("{name: resnext_lstm, bidirectional: true, pooling: last}", "has read one frame on its way back"),
        ("{name: resnext_lstm, bidirectional: true, temporal: none}", "bidirectional needs a recurrent layer"),
        ("{name: resnext_mean, temporal: gru}", "'resnext_mean' has no choice of 'temporal'"),
        ("{name: meso4, bidirectional: true}", "'meso4' has no choice of 'bidirectional'"),
        ("{name: resnext_published, pooling: attention}", "pooled by last or mean"),
        ("{name: frame_cnn, backbone: resnet18, weights: IMAGENET1K_V2}", "choose one of IMAGENET1K_V1, none"),
        ("{name: frame_cnn, backbone: xception, weights: IMAGENET1K_V1}", "no pretrained weights; say none"),
        ("{name: [meso4]}", "model.name"),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_anything_is_read(tmp_path: Path, settings_: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(f"name: x\ndata: {{corpora: [a]}}\nmodel: {settings_}\n")
    with pytest.raises(ExperimentError, match=said) as refused:
        read_experiment(tmp_path / "bad.yaml")
    assert "\n" not in str(refused.value)


def test_what_an_experiment_does_not_say_is_as_usual_for_its_model(tmp_path: Path) -> None:
    def model_of(settings: str) -> dict[str, object]:
        (tmp_path / "mine.yaml").write_text(f"name: x\ndata: {{corpora: [a]}}\nmodel: {settings}\n")
        return read_experiment(tmp_path / "mine.yaml").model.model_dump()

    assert model_of("{}") == {
        "name": "resnext_lstm",
        "sequence_length": 20,
        "backbone": "resnext50_32x4d",
        "weights": "IMAGENET1K_V2",
        "hidden": 2048,
        "layers": 1,
        "dropout": 0.4,
        "pooling": "mean",
    }, "a run's key is of exactly these"
    meso = model_of("{name: mesoinception4}")
    assert (meso["backbone"], meso["weights"], meso["hidden"]) == ("mesoinception4", "none", 16)
    recurrent = model_of("{name: cnn_lstm}")
    assert (recurrent["backbone"], recurrent["weights"]) == ("inception_v3", "IMAGENET1K_V1")
    assert (recurrent["hidden"], recurrent["dropout"], recurrent["pooling"]) == (2048, 0.5, "last")
    assert model_of("{name: frame_cnn, backbone: efficientnet_b4}")["weights"] == "IMAGENET1K_V1"
