"""The multi-attentional network: each part does what its equation says, all of it is trained, and all of it serves."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, interpolate

from dfd import checkpoints, tracking
from dfd.attribution import METHODS, VIEWS, blurred_face, explain, views
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.config import Stage, read_experiment
from dfd.errors import CheckpointError, ExperimentError
from dfd.experiments import end_to_end
from dfd.faces import FaceClip
from dfd.glossary import METHODS as EXPLAINED
from dfd.models import build, to_input
from dfd.models.attention_augment import blur_attended, blurred
from dfd.models.multi_attention import MultiAttention, TextureEnhancement, pooled
from dfd.models.regional_loss import RegionalIndependence
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack
from dfd.training import fit, fit_clips, score_table
from tests.conftest import TINY_MODEL, tiny_table

CPU = torch.device("cpu")
MAPS = 3


def small(dropout: float = 0.0, backbone: str = "tiny", **attention: object) -> MultiAttention:
    chosen = {"maps": MAPS, "texture_channels": 4, **attention}
    model = build("multi_attention", backbone=backbone, dropout=dropout, attention=chosen)
    assert isinstance(model, MultiAttention)
    return model


@pytest.fixture
def clips() -> Tensor:
    return torch.randn(4, 3, 3, 32, 32)


LABELS = torch.tensor([0, 1, 1, 0])


# The network.


@pytest.mark.parametrize(
    ("backbone", "size", "places"), [("tiny", 64, 4), ("resnext50_32x4d", 64, 4), ("efficientnet_b4", 112, 7)]
)
def test_every_trunk_gives_maps_of_a_sixteenth_of_the_side(backbone: str, size: int, places: int) -> None:
    model = small(backbone=backbone).eval()
    clips = torch.randn(1, 2, 3, size, size)
    with torch.inference_mode():
        assert model(clips).shape == (1, 2)
        assert model.features(clips).shape == (1, 2, model.backbone.features)
        assert model.attention_maps(clips).shape == (1, 2, MAPS, places, places)


@pytest.mark.parametrize(("texture", "layer"), [("stem", "layer1"), ("layer2", "layer3"), ("layer1", "layer4")])
def test_texture_and_attention_come_from_the_layers_that_are_named(texture: str, layer: str, clips: Tensor) -> None:
    model = small(texture_layer=texture, layer=layer).eval()
    seen: dict[str, Tensor] = {}
    inputs = {"texture": model.backbone.pool.texture, "attention": model.backbone.pool.attention}
    for name, module in inputs.items():
        module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
    plain = frames = clips.flatten(0, 1)
    found = {}
    for name, stage in model.backbone.named_children():
        if name != "pool":
            frames = found[name] = getattr(stage, "stage", stage)(frames)
    assert model(clips).shape == (4, 2)
    torch.testing.assert_close(seen["texture"], found[texture])
    torch.testing.assert_close(seen["attention"], found[layer])
    torch.testing.assert_close(model.backbone(plain), model.backbone.see(plain).features)


def test_a_clips_logits_do_not_depend_on_its_batch(clips: Tensor) -> None:
    model = small().eval()
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(alone, model(clips))


def test_the_clips_logits_are_the_mean_of_its_frames_judged_alone(clips: Tensor) -> None:
    model = small().eval()
    frames = torch.stack([model(clips[:, [place]]) for place in range(clips.shape[1])], dim=1)
    torch.testing.assert_close(model.head.frame_logits(model.features(clips)), frames)
    torch.testing.assert_close(model(clips), frames.mean(dim=1))


def test_attention_is_not_negative_and_of_its_own_frame(clips: Tensor) -> None:
    model = small().eval()
    before = model.attention_maps(clips)
    assert (before >= 0).all()
    assert before.amax() > 0
    changed = clips.clone()
    changed[:, 1] = torch.randn_like(changed[:, 1])
    differs = (model.attention_maps(changed) != before).flatten(2).any(dim=2)
    assert differs[:, 1].all()
    assert not differs[:, [0, 2]].any()


sides = st.integers(1, 5)


@given(seed=st.integers(0, 999), maps=st.integers(1, 4), channels=st.integers(1, 6), side=sides, fine=sides)
@settings(deadline=None, max_examples=30)
def test_bilinear_attention_pooling_is_equation_3(seed: int, maps: int, channels: int, side: int, fine: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    attention = torch.rand(2, maps, side, side, generator=generator)
    features = torch.randn(2, channels, side * fine, side * fine, generator=generator)
    found = pooled(features, attention)
    wide = interpolate(attention, size=features.shape[-2:], mode="bilinear")
    for frame in range(2):
        for place in range(maps):
            total = (features[frame] * wide[frame, place]).sum(dim=(1, 2))
            torch.testing.assert_close(found[frame, place], total / total.norm(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(pooled(features, 7 * attention), found, atol=1e-5, rtol=1e-4)


def test_a_frame_is_its_textures_under_each_map_and_its_deep_layer_under_all(clips: Tensor) -> None:
    pool = small().eval().backbone.pool
    deep, shallow, middle = torch.randn(2, 32, 2, 2), torch.randn(2, 8, 8, 8), torch.randn(2, 32, 4, 4)
    seen = pool.see((deep, shallow, middle))
    maps = pool.attention(middle)
    average = adaptive_avg_pool2d(shallow, 4)
    textures = [pooled(pool.texture(shallow, average), one[:, None])[:, 0] * 4**0.5 for one in maps.unbind(dim=1)]
    together = pooled(deep, maps[:, [0]] + maps[:, [1]] + maps[:, [2]])[:, 0] * 32**0.5
    torch.testing.assert_close(seen.features, torch.cat([*textures, together], dim=1))
    torch.testing.assert_close(seen.averages, pooled(average, maps))
    torch.testing.assert_close(pool((deep, shallow, middle)), seen.features)


def test_a_map_that_is_empty_pools_nothing() -> None:
    assert pooled(torch.randn(1, 5, 4, 4), torch.zeros(1, 2, 2, 2)).abs().max() == 0


def test_texture_is_what_goes_beyond_the_local_average() -> None:
    enhancement = TextureEnhancement(6, 4).eval()
    average, detail = torch.randn(2, 6, 3, 3), torch.randn(2, 6, 12, 12)
    flat = interpolate(average, size=(12, 12), mode="nearest")
    nothing = enhancement(torch.zeros_like(flat), torch.zeros_like(average))
    torch.testing.assert_close(enhancement(flat, average), nothing)
    torch.testing.assert_close(enhancement(flat + detail, average), enhancement(detail, torch.zeros_like(average)))
    assert not torch.allclose(enhancement(flat + detail, average), nothing)


def test_texture_convolutions_are_densely_connected() -> None:
    enhancement = TextureEnhancement(6, 4)
    assert [layer[0].in_channels for layer in enhancement.layers] == [6, 10, 14]
    assert [layer[0].out_channels for layer in enhancement.layers] == [4, 4, 4]


# The regional independence loss.


def regional(maps: int, features: int, rate: float = 0.05, decay: float = 0.9) -> RegionalIndependence:
    return RegionalIndependence(maps, features, within=(0.05, 0.1), between=0.2, rate=rate, decay=decay)


@given(seed=st.integers(0, 999), maps=st.integers(1, 4), frames=st.integers(1, 5), epoch=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_the_loss_and_its_centres_are_equations_4_and_5(seed: int, maps: int, frames: int, epoch: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    loss = regional(maps, 3)
    loss.centres = torch.rand(maps, 3, generator=generator) * 0.3
    found = torch.rand(frames, maps, 3, generator=generator) * 0.3
    labels = torch.randint(2, (frames,), generator=generator)
    centres = loss.centres - 0.05 * 0.9 ** (epoch - 1) * (loss.centres - found.mean(dim=0))
    expected = 0.0
    for frame in range(frames):
        margin = 0.1 if labels[frame] == 1 else 0.05
        expected += sum(max((found[frame, j] - centres[j]).norm().item() - margin, 0) for j in range(maps)) / frames
    pairs = [(i, j) for i in range(maps) for j in range(maps) if i != j]
    expected += sum(max(0.2 - (centres[i] - centres[j]).norm().item(), 0) for i, j in pairs)
    assert loss(found, labels, epoch).item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(loss.centres, centres)


def test_fakes_may_stray_further_than_real_frames() -> None:
    loss = regional(1, 2).eval()
    strayed = torch.tensor([[[0.08, 0.0]]])
    assert loss(strayed, torch.tensor([0]), 1).item() == pytest.approx(0.03)
    assert loss(strayed, torch.tensor([1]), 1).item() == 0


def test_centres_stay_where_they_are_out_of_training() -> None:
    loss = regional(2, 3).eval()
    before = loss.centres.clone()
    loss(torch.rand(4, 2, 3), LABELS, 1)
    assert torch.equal(loss.centres, before)


def test_frames_are_drawn_to_their_centre_and_centres_apart() -> None:
    loss = regional(2, 3, rate=0.5)
    found = torch.tensor([[[1.0, 0.0, 0.0], [0.9, 0.1, 0.0]]]).repeat(4, 1, 1).requires_grad_()
    losses = []
    for _ in range(60):
        value = loss(found, LABELS, 1)
        (gradient,) = torch.autograd.grad(value, found)
        found = (found - 0.1 * gradient).detach().requires_grad_()
        losses.append(value.item())
    assert losses[-1] < 0.1 * losses[0]
    assert (loss.centres[0] - loss.centres[1]).norm() > 0.19


# Attention-guided augmentation.


def test_only_what_the_chosen_map_attends_to_is_blurred(clips: Tensor) -> None:
    maps = torch.zeros(4, 3, MAPS, 8, 8)
    maps[:, :, 1, 2:4, 5:7] = 4.0  # pixels 8 to 16 down and 20 to 28 across; two more each way, for the interpolation
    changed = blur_attended(clips, maps, torch.tensor([1, 1, 1, 0]))
    differs = (changed != clips).any(dim=2)
    assert differs[:3, :, 10:14, 22:26].float().mean() > 0.9
    differs[:, :, 6:18, 18:30] = False
    assert not differs.any()
    assert torch.equal(changed[3], clips[3])  # its map attends to nothing


def test_the_blurred_clip_is_equation_6(clips: Tensor) -> None:
    maps = torch.rand(4, 3, MAPS, 2, 2)
    chosen = torch.tensor([0, 2, 1, 1])
    changed = blur_attended(clips, maps, chosen)
    for row, place in enumerate(chosen.tolist()):
        for frame in range(3):
            wide = interpolate(maps[row, frame, place][None, None], size=(32, 32), mode="bilinear")[0]
            weight = wide / maps[row, frame, place].max()
            picture = clips[row, frame]
            expected = picture * (1 - weight) + blurred(picture[None])[0] * weight
            torch.testing.assert_close(changed[row, frame], expected, atol=1e-5, rtol=1e-4)


def test_blurring_takes_the_fine_structure_and_leaves_the_rest() -> None:
    frames = torch.randn(2, 3, 112, 112)
    assert blurred(frames).std() < 0.1 * frames.std()
    flat = torch.full((1, 3, 112, 112), 0.7)
    torch.testing.assert_close(blurred(flat), flat)


# Training.


def recomputed(model: MultiAttention, clips: Tensor, epoch: int) -> Tensor:
    """The whole objective from its parts, with the draws that follow in the random numbers."""
    frames = clips.flatten(0, 1)
    seen = model.backbone.see(frames)
    logits = model.head(seen.features.view(4, 3, -1))
    independence = model.regional(seen.averages, LABELS[:, None].expand(4, 3).reshape(-1), epoch)
    maps = seen.maps.view(4, 3, MAPS, *seen.maps.shape[-2:]).detach()
    changed = blur_attended(clips, maps, torch.randint(MAPS, (4,)))
    return cross_entropy(logits, LABELS) + 0.5 * independence + 0.25 * cross_entropy(model(changed), LABELS)


def test_the_objective_is_its_three_terms(clips: Tensor) -> None:
    model = small(independence=0.5, augmented=0.25)
    other = copy.deepcopy(model)
    torch.manual_seed(5)
    expected = recomputed(other, clips, 2)
    torch.manual_seed(5)
    found = model.training_loss(clips, LABELS, cross_entropy, 2)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(model.regional.centres, other.regional.centres)
    found.backward()
    expected.backward()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_nothing_is_blurred_or_moved_out_of_training(clips: Tensor) -> None:
    model = small(independence=0.0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    found = model.training_loss(clips, LABELS, cross_entropy, 1)
    torch.testing.assert_close(found, cross_entropy(model(clips), LABELS))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_half_precision_changes_the_objective_little(clips: Tensor) -> None:
    model = small()
    other = copy.deepcopy(model)
    torch.manual_seed(5)
    exact = model.training_loss(clips, LABELS, cross_entropy, 1)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = other.training_loss(clips, LABELS, lambda logits, labels: cross_entropy(logits.float(), labels), 1)
    rough.backward()
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in other.parameters())
    assert other.regional.centres.dtype == torch.float32


def test_without_the_weight_of_augmentation_there_is_no_second_look(clips: Tensor) -> None:
    model = small(augmented=0.0)
    looks: list[int] = []
    model.backbone.stem.register_forward_hook(lambda *_: looks.append(1))
    model.training_loss(clips, LABELS, cross_entropy, 1)
    assert len(looks) == 1


@pytest.mark.parametrize("augmented", [0.0, 1.0])
def test_gradients_reach_every_part(clips: Tensor, augmented: float) -> None:
    model = small(augmented=augmented)
    model.training_loss(clips, LABELS, cross_entropy, 1).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_judgement_alone_reaches_attention_and_texture(clips: Tensor) -> None:
    model = small()
    cross_entropy(model(clips), LABELS).backward()
    for part in (model.backbone.pool.attention, model.backbone.pool.texture, model.backbone.layer4, model.head):
        assert all(parameter.grad.abs().sum() > 0 for parameter in part.parameters())


def test_independence_alone_teaches_the_attention_and_not_the_head(clips: Tensor) -> None:
    model = small(augmented=0.0)
    model.training_loss(clips, LABELS, lambda logits, labels: 0 * logits.sum(), 1).backward()
    pool = model.backbone.pool
    assert all(parameter.grad.abs().sum() > 0 for parameter in pool.attention.parameters())
    assert all(
        parameter.grad.abs().sum() == 0 for part in (pool.texture, model.head) for parameter in part.parameters()
    )


def test_the_loop_trains_a_model_on_its_own_objective() -> None:
    class Own(torch.nn.Linear):
        epochs: list[int]

        def training_loss(self, inputs: Tensor, labels: Tensor, criterion: object, epoch: int) -> Tensor:
            self.epochs.append(epoch)
            assert callable(criterion)
            return criterion(self(inputs), labels) + (self.bias - 3).square().sum()

    model = Own(4, 2)
    model.epochs = []
    batches = lambda epoch: iter([(torch.zeros(2, 4), torch.tensor([0, 1]))])  # noqa: E731
    scores = np.array([0, 1]), np.array([0.4, 0.6])
    fit(model, batches, lambda: scores, Stage(epochs=3, learning_rate=0.1), torch.tensor([0, 1]), CPU)
    assert model.epochs == [1, 2, 3]

    before = model.bias.detach().clone()
    fit(model, batches, lambda: scores, Stage(epochs=20, learning_rate=0.1), torch.tensor([0, 1]), CPU)
    assert ((model.bias - 3).abs() <= (before - 3).abs()).all()


def trained(epochs: int = 6, clips: int = 48) -> tuple[MultiAttention, list[float], list[float]]:
    torch.manual_seed(0)
    table = tiny_table(("a",), clips=clips)
    model = small(dropout=0.1)
    stage = Stage(epochs=epochs, batch=8, learning_rate=0.01)
    train, val = table.where("train"), table.where("val")
    done = fit_clips(model, train, val, stage, CPU, length=4, order="natural", seed=0, augmented=True)
    return model, [epoch.val_loss for epoch in done], [epoch.val_auc for epoch in done]


def test_it_learns_and_its_centres_move() -> None:
    model, losses, areas = trained()
    assert min(losses) < losses[0]
    assert areas[int(np.argmin(losses))] > 0.6
    assert model.regional.centres.norm(dim=1).min() > 0.01
    assert not model.training


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    one, other = (trained(epochs=1, clips=16)[0].state_dict() for _ in range(2))
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


# The experiment, the checkpoint, and what is shown of it.

EXPERIMENT = """
name: regions
data: {corpora: [a]}
crop: {size: 32, max_frames: 8}
model:
  name: multi_attention
  backbone: tiny
  weights: none
  sequence_length: 4
  attention: {maps: 3, texture_channels: 4}
train: {mode: end_to_end, head: {epochs: 2, batch: 8, learning_rate: 0.01}}
"""


def test_an_experiment_file_trains_it_end_to_end(store: Path, tmp_path: Path) -> None:
    (tmp_path / "regions.yaml").write_text(EXPERIMENT)
    table = tiny_table(("a",))
    run_id = end_to_end(read_experiment(tmp_path / "regions.yaml"), table)
    loaded = checkpoints.load(run_id)
    assert isinstance(loaded.model, MultiAttention)
    assert loaded.model.regional.centres.abs().sum() > 0
    assert loaded.meta.model["attention"]["layer"] == "layer3"  # defaults are written out
    assert tracking.params(run_id)["model.attention.margin_fake"] == "0.1"
    told = tracking.predictions(run_id).query("split == 'test'")
    again = score_table(loaded.model, table.where("test"), CPU, length=4, order="natural", seed=0)
    np.testing.assert_allclose(told["p_fake"], again, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            "model: {name: multi_attention, attention: {zorp: 1}}",
            "unknown key 'model.attention.zorp'; known here: maps",
        ),
        ("model: {name: multi_attention, attention: {maps: 0}}", "model.attention.maps.*greater than or equal to 1"),
        ("model: {name: multi_attention, attention: {layer: layer9}}", "model.attention.layer.*'layer4'"),
        ("model: {name: multi_attention, attention: {layer: stem}}", "'layer1' is not before 'stem'"),
        ("model: {name: multi_attention, attention: null}", "has attention maps"),
        ("model: {name: resnext_lstm, attention: {}}", "'resnext_lstm' has no attention maps"),
        ("model: {name: multi_attention}\ntrain: {mode: two_stage}", "'multi_attention' is trained end to end"),
        ("model: {name: multi_attention}\nsweep: {sequence_lengths: [10]}", "'multi_attention' is trained end to end"),
    ],
)
def test_a_wrong_experiment_is_refused_in_one_sentence(tmp_path: Path, changes: str, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: x\ndata: {{corpora: [a]}}\n{changes}\n")
    with pytest.raises(ExperimentError, match=said) as refused:
        read_experiment(path)
    assert "\n" not in str(refused.value)


def test_hyperparameters_it_does_not_take_are_named() -> None:
    with pytest.raises(ValueError, match="attention.maps: "):
        small(maps="many")
    with pytest.raises(ValueError, match="hidden"):
        build("multi_attention", backbone="tiny", hidden=8)


@pytest.mark.parametrize("store_as", ["float32", "bfloat16"])
def test_a_checkpoint_restores_everything(tmp_path: Path, clips: Tensor, store_as: str) -> None:
    model = small()
    model.training_loss(clips, LABELS, cross_entropy, 1)  # centres and batch-norm statistics move
    checkpoints.round_weights(model, store_as)  # type: ignore[arg-type]
    chosen = {"maps": MAPS, "texture_channels": 4}
    described = {"name": "multi_attention", "backbone": "tiny", "weights": "none", "attention": chosen}
    meta = {"name": "m", "model": described, "recipe": CropRecipe(), "sequence_length": 3, "threshold": 0.5}
    checkpoints.save(model, CheckpointMeta.model_validate({**meta, "store_as": store_as}), tmp_path / "c")
    loaded = checkpoints.load(tmp_path / "c").model
    assert isinstance(loaded, MultiAttention)
    assert loaded.regional.centres.abs().sum() > 0
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    torch.testing.assert_close(loaded(clips), model.eval()(clips), rtol=0, atol=0)
    torch.testing.assert_close(loaded.attention_maps(clips), model.attention_maps(clips), rtol=0, atol=0)


def face_clip() -> FaceClip:
    crops = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    track = FaceTrack(
        boxes=np.zeros((4, 4), np.float32),
        landmarks=np.zeros((4, 5, 2), np.float32),
        times=np.arange(4) / 30,
        indices=np.arange(4),
        detected=np.ones(4, bool),
    )
    return FaceClip(crops, track, CropRecipe(size=32), "clip.mp4")


def checkpoint(model: MultiAttention) -> Checkpoint:
    for seed in range(3):  # batch norms with statistics that are not the identity
        torch.manual_seed(seed)
        model.train()(torch.randn(2, 3, 3, 32, 32))
    meta = {"name": "m", "model": {}, "recipe": CropRecipe(size=32), "sequence_length": 4, "threshold": 0.5}
    return Checkpoint(model.eval(), CheckpointMeta.model_validate(meta), "m")


def difference(model: torch.nn.Module):  # type: ignore[no-untyped-def]
    return lambda clips: model(clips).diff(dim=1)[:, 0]


LAYERS = pytest.mark.parametrize(("texture", "layer"), [("layer1", "layer3"), ("stem", "layer4")])


@LAYERS
def test_integrated_gradients_equal_captum_called_plainly(float32: None, texture: str, layer: str) -> None:
    loaded, clip = checkpoint(small(texture_layer=texture, layer=layer)), face_clip()
    ours = explain(loaded, clip, "integrated_gradients", steps=8)
    inputs = to_input(clip.crops, clip.recipe)
    plain = IntegratedGradients(difference(loaded.model)).attribute(inputs[None], blurred_face(inputs)[None], n_steps=8)
    expected = plain[0].sum(dim=1).detach().numpy()
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@LAYERS
@pytest.mark.parametrize("at", ["layer1", "layer2", "layer3"])
def test_grad_cam_equals_captum_called_plainly(float32: None, texture: str, layer: str, at: str) -> None:
    """Its layers hand a tuple on; the gradient is by the layer's own output, with what goes beside it held."""
    loaded, clip = checkpoint(small(texture_layer=texture, layer=layer)), face_clip()
    ours = explain(loaded, clip, "gradcam", layer=at, steps=2)
    place = getattr(loaded.model.backbone, at)
    captum = LayerGradCam(difference(loaded.model), getattr(place, "stage", place))
    plain = captum.attribute(to_input(clip.crops, clip.recipe)[None])
    expected = LayerGradCam.interpolate(plain, (32, 32), "bilinear")[:, 0].detach().numpy()
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("method", VIEWS)
def test_frames_that_do_not_fit_at_once_change_nothing(
    float32: None, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    loaded, clip = checkpoint(small()), face_clip()
    whole = explain(loaded, clip, method, steps=2)
    monkeypatch.setattr("dfd.attribution.view.HELD_PIXELS", 32 * 32)
    parts = explain(loaded, clip, method, steps=2)
    np.testing.assert_allclose(parts.maps, whole.maps, rtol=0, atol=1e-5 * np.abs(whole.maps).max())
    np.testing.assert_allclose(parts.features, whole.features, rtol=0, atol=1e-5 * np.abs(whole.features).max())


def test_attention_is_shown_as_attention(float32: None) -> None:
    loaded, clip = checkpoint(small()), face_clip()
    assert isinstance(loaded.model, MultiAttention)
    assert views(loaded.model) == (*METHODS, "attention")
    found = explain(loaded, clip, "attention", steps=2)
    maps = loaded.model.attention_maps(to_input(clip.crops, clip.recipe)[None])[0].sum(dim=1, keepdim=True)
    wide = interpolate(maps, size=(32, 32), mode="bilinear")[:, 0].detach().numpy()
    np.testing.assert_allclose(found.maps, wide, atol=1e-5)
    assert found.maps.min() >= 0
    assert (found.layer, found.baseline, found.completeness_error) == ("layer3", None, None)
    assert "attention is where the network looks" in found.target
    assert set(EXPLAINED) == set(VIEWS)
    assert "not an attribution" in EXPLAINED["attention"].help


def test_a_detector_without_attention_offers_none() -> None:
    meta = {"name": "plain", "model": {}, "recipe": CropRecipe(size=32), "sequence_length": 4, "threshold": 0.5}
    plain = Checkpoint(build(**TINY_MODEL).eval(), CheckpointMeta.model_validate(meta), "plain")
    assert views(plain.model) == tuple(METHODS)
    with pytest.raises(CheckpointError, match="'plain' has no attention maps; choose one of gradcam, integrated"):
        explain(plain, face_clip(), "attention")


def test_looking_at_a_checkpoint_leaves_it_as_it_was() -> None:
    loaded = checkpoint(small())
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    names = [name for name, _ in loaded.model.named_modules()]
    for method in VIEWS:
        explain(loaded, face_clip(), method, steps=2)
    assert [name for name, _ in loaded.model.named_modules()] == names
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, before[name]), name
