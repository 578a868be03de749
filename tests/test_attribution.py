"""Attribution: it finds what is known to be there, equals Captum called plainly, and leaves no trace on the model."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion, Saliency
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from dfd import attribution, glossary, models
from dfd.attribution import BASELINES, METHODS, Attribution, Stopped, explain, overlays, write
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.errors import CheckpointError, DfdError
from dfd.faces import FaceClip
from dfd.models import build, frame_permutation, to_input
from dfd.models.backbones import resnet_trunk
from dfd.models.contract import Backbone
from dfd.models.frozen import private, unrolled
from dfd.models.resnext_lstm import ResNeXtLSTM
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack

pytestmark = pytest.mark.usefixtures("float32")

SIZE, FRAMES = 32, 5
CPU = torch.device("cpu")
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


def face_clip(frames: int = FRAMES, seed: int = 0) -> FaceClip:
    """Crops of noise, over which a blur changes much."""
    crops = np.random.default_rng(seed).integers(0, 256, (frames, SIZE, SIZE, 3), dtype=np.uint8)
    track = FaceTrack(
        boxes=np.zeros((frames, 4), np.float32),
        landmarks=np.zeros((frames, 5, 2), np.float32),
        times=np.arange(frames) / 30,
        indices=np.arange(frames),
        detected=np.ones(frames, bool),
    )
    return FaceClip(crops, track, CropRecipe(size=SIZE), "clip.mp4")


def checkpoint(model: ResNeXtLSTM | None = None, **meta: object) -> Checkpoint:
    model = model or build("resnext_lstm", backbone="tiny", hidden=16)
    settings = {"name": "tiny", "model": {}, "recipe": CropRecipe(size=SIZE), "sequence_length": 4, "threshold": 0.5}
    return Checkpoint(settled(model), CheckpointMeta.model_validate({**settings, **meta}), "tiny")


def settled(model: ResNeXtLSTM) -> ResNeXtLSTM:
    """Give batch norms statistics that are not the identity, and the head enough weight to have an opinion."""
    model.backbone.train()
    with torch.no_grad():
        for seed in range(3):
            model.backbone(to_input(face_clip(seed=seed).crops, CropRecipe()))
        for weights in model.head.parameters():
            weights.mul_(3)
    return model.eval()


def bottlenecks() -> ResNeXtLSTM:
    """A real ResNeXt of one block a stage."""
    model = build("resnext_lstm", backbone="tiny", hidden=8)
    model.backbone = resnet_trunk(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=2, groups=8, width_per_group=4))
    model.head.lstm = nn.LSTM(2048, 8, batch_first=True)
    return model


MODELS: dict[str, Callable[[], ResNeXtLSTM]] = {
    "lstm, mean": lambda: build("resnext_lstm", backbone="tiny", hidden=16),
    "lstm, last": lambda: build("resnext_lstm", backbone="tiny", hidden=16, pooling="last"),
    "two layers": lambda: build("resnext_lstm", backbone="tiny", hidden=16, layers=2),
    "no lstm": lambda: build("resnext_mean", backbone="tiny"),
    "two-way lstm": lambda: build("resnext_lstm", backbone="tiny", hidden=8, layers=2, bidirectional=True),
    "gru, attention": lambda: build("resnext_lstm", backbone="tiny", hidden=8, temporal="gru", pooling="attention"),
    "two-way gru": lambda: build(
        "resnext_lstm", backbone="tiny", hidden=8, layers=2, temporal="gru", bidirectional=True
    ),
    "dense": lambda: build("cnn_lstm", backbone="tiny", hidden=16, dense=32),
    "published": lambda: build("resnext_published", backbone="tiny", hidden=16),
    "meso4": lambda: build("meso4"),
    "mesoinception4": lambda: build("mesoinception4"),
    "bottlenecks": bottlenecks,
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)


def difference(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda clips: model(clips).diff(dim=1)[:, 0]


def ends(clip: FaceClip) -> tuple[Tensor, Tensor]:
    inputs = to_input(clip.crops, clip.recipe)
    return inputs[None], attribution.blurred_face(inputs)[None]


@EVERY_MODEL
def test_integrated_gradients_equal_captum_called_plainly(model: str) -> None:
    loaded, clip = checkpoint(MODELS[model]()), face_clip()
    ours = explain(loaded, clip, "integrated_gradients", steps=8)
    inputs, baseline = ends(clip)
    plain, delta = IntegratedGradients(difference(loaded.model)).attribute(
        inputs, baseline, n_steps=8, return_convergence_delta=True
    )
    expected = plain[0].sum(dim=1).detach().numpy()
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    change = ours.score - ours.baseline_score
    assert ours.completeness_error == pytest.approx(abs(delta.item() / change), abs=1e-4)


@EVERY_MODEL
@pytest.mark.parametrize("layer", ["layer2", "layer3"])
def test_grad_cam_equals_captum_called_plainly(model: str, layer: str) -> None:
    loaded, clip = checkpoint(MODELS[model]()), face_clip()
    ours = explain(loaded, clip, "gradcam", layer=layer, steps=2)
    plain = LayerGradCam(difference(loaded.model), getattr(loaded.model.backbone, layer)).attribute(ends(clip)[0])
    expected = LayerGradCam.interpolate(plain, (SIZE, SIZE), "bilinear")[:, 0].detach().numpy()
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert ours.layer == layer


@EVERY_METHOD
def test_the_score_is_the_models_logit_difference(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    ours = explain(loaded, clip, method, steps=2)
    score, baseline_score = (difference(loaded.model)(end).item() for end in ends(clip))
    assert ours.score == pytest.approx(score, abs=1e-5)
    complete = method == "integrated_gradients"
    assert ours.baseline_score == (pytest.approx(baseline_score, abs=1e-5) if complete else None)


@EVERY_METHOD
def test_shapes_and_facts(method: str) -> None:
    clip = face_clip()
    found = explain(checkpoint(), clip, method, steps=2)
    assert found.maps.shape == (FRAMES, SIZE, SIZE)
    assert found.maps.dtype == found.features.dtype == np.float32
    assert len(found.features) == FRAMES
    assert np.isfinite(found.maps).all()
    signed = method not in ("saliency", "smoothgrad")
    assert glossary.METHODS[method].signed == signed
    assert (found.maps < 0).any() == signed
    assert (found.maps > 0).any()
    np.testing.assert_array_equal(found.times, clip.track.times)
    assert found.target == "logit(fake) - logit(real)" + ("" if signed else ", by how much, not which way")
    assert found.seconds > 0
    named = {"gradient_shap": "blurred face, mean face and black"}
    named |= dict.fromkeys(("integrated_gradients", "occlusion"), "blurred face")
    assert found.baseline == named.get(method)
    assert found.layer == ("layer3" if method == "gradcam" else None)
    assert (found.completeness_error is None) == (method != "integrated_gradients")


@pytest.mark.parametrize("baseline", ["mean", "black"])
def test_another_baseline_is_named_and_used(baseline: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    usual, other = (explain(loaded, clip, "integrated_gradients", steps=4, baseline=it) for it in ("blurred", baseline))
    assert other.baseline != usual.baseline
    assert other.baseline_score != usual.baseline_score
    assert not np.allclose(other.maps, usual.maps)


def test_black_is_black_and_the_mean_does_not_move() -> None:
    clip = face_clip()
    inputs = to_input(clip.crops, clip.recipe)
    dark = to_input(np.zeros_like(clip.crops), clip.recipe)
    torch.testing.assert_close(BASELINES["black"].make(inputs, clip.recipe), dark)
    mean = BASELINES["mean"].make(inputs, clip.recipe)
    torch.testing.assert_close(mean, inputs.mean(dim=0, keepdim=True).expand_as(inputs))


@pytest.mark.parametrize("method", ["smoothgrad", "gradient_shap"])
def test_random_methods_give_the_same_maps_and_leave_the_generators_alone(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    one = explain(loaded, clip, method, steps=2)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    torch.manual_seed(99)
    torch.set_rng_state(before[0])
    other = explain(loaded, clip, method, steps=2)
    np.testing.assert_array_equal(one.maps, other.maps)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@EVERY_MODEL
def test_saliency_equals_captum_called_plainly(model: str) -> None:
    loaded, clip = checkpoint(MODELS[model]()), face_clip()
    ours = explain(loaded, clip, "saliency", steps=2)
    plain = Saliency(difference(loaded.model)).attribute(ends(clip)[0].requires_grad_())
    expected = plain[0].amax(dim=1).detach().numpy()
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * expected.max())


@pytest.mark.parametrize("model", ["lstm, last", "two-way gru", "meso4"])  # the plain call is slow
def test_occlusion_equals_captum_called_plainly(model: str) -> None:
    """The plain call covers one frame at a time, and reads all T frames for each of its windows."""
    loaded, clip = checkpoint(MODELS[model]()), face_clip()
    ours = explain(loaded, clip, "occlusion", steps=2)
    inputs, baseline = ends(clip)
    with torch.no_grad():
        plain = Occlusion(difference(loaded.model)).attribute(
            inputs, sliding_window_shapes=(1, 3, SIZE // 4, SIZE // 4), strides=(1, 3, SIZE // 8, SIZE // 8),
            baselines=baseline,
        )  # fmt: skip
    expected = plain[0].sum(dim=1).numpy()
    # Differences of scores near 1, in float32: their last bits are of the scores.
    np.testing.assert_allclose(ours.maps, expected, rtol=0, atol=1e-4 * np.abs(expected).max() + 2e-6)


def test_integrated_gradients_are_complete() -> None:
    """They sum to what the output changes by, the better the more steps."""
    loaded, clip = checkpoint(), face_clip()
    few, many = (explain(loaded, clip, "integrated_gradients", steps=steps) for steps in (4, 256))
    change = many.score - many.baseline_score
    assert many.completeness_error is not None
    assert few.completeness_error is not None
    assert many.completeness_error < 0.02
    assert many.completeness_error < few.completeness_error
    assert many.maps.sum() == pytest.approx(change, rel=0.02)


@EVERY_METHOD
def test_little_memory_gives_the_same_result(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that do not fit are read in parts, and again on the way back."""
    loaded, clip = checkpoint(), face_clip()
    whole = explain(loaded, clip, method, steps=4)
    monkeypatch.setattr(attribution.view, "HELD_PIXELS", 2 * SIZE * SIZE)
    monkeypatch.setattr(attribution.view, "HEAD_FRAMES", 1)
    parts = explain(loaded, clip, method, steps=4)
    rounding = 2e-6 if method == "occlusion" else 0  # differences of scores near 1
    np.testing.assert_allclose(parts.maps, whole.maps, rtol=0, atol=1e-5 * np.abs(whole.maps).max() + rounding)
    np.testing.assert_allclose(parts.features, whole.features, rtol=0, atol=1e-5 * np.abs(whole.features).max())


@EVERY_METHOD
def test_bfloat16_changes_little(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, clip = checkpoint(), face_clip()
    exact = explain(loaded, clip, method, steps=8)
    monkeypatch.setattr(models, "fast_bfloat16", lambda device: True)
    rough = explain(loaded, clip, method, steps=8)
    assert np.corrcoef(exact.maps.ravel(), rough.maps.ravel())[0, 1] > 0.97
    # A single gradient is float32 in any case: no mean over many makes up for what bfloat16 rounds off.
    assert np.array_equal(exact.maps, rough.maps) == (method == "saliency")


@EVERY_METHOD
def test_float32_can_be_asked_for(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, clip = checkpoint(), face_clip()
    exact = explain(loaded, clip, method, steps=8)
    monkeypatch.setattr(models, "fast_bfloat16", lambda device: True)
    asked, rough = (explain(loaded, clip, method, steps=8, precision=how) for how in ("float32", "fast"))
    np.testing.assert_array_equal(asked.maps, exact.maps)
    assert (exact.precision, asked.precision) == ("float32", "float32")
    assert rough.precision == ("float32" if method == "saliency" else "bfloat16")


# Planted evidence: one patch of one frame, known beforehand.

PATCH = (slice(8, 16), slice(16, 24))
FRAME = 3


class Window(nn.Module):
    """Lets only the patch through."""

    def forward(self, frames: Tensor) -> Tensor:
        mask = torch.zeros_like(frames)
        mask[..., *PATCH] = 1
        return frames * mask


class OneFrame(nn.Module):
    """Fake is what one frame's features add up to."""

    def forward(self, features: Tensor) -> Tensor:
        fake = features[:, FRAME].sum(dim=-1) * 100
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


def planted(**meta: object) -> Checkpoint:
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    layers = (Window(), nn.Identity(), nn.AvgPool2d(4), nn.Identity())
    model = build("resnext_mean", backbone="tiny")
    model.backbone = Backbone(stem, layers, features=8)
    model.head = OneFrame()  # type: ignore[assignment]
    return checkpoint(model, **meta)


@EVERY_METHOD
def test_a_known_patch_of_a_known_frame_is_found(method: str) -> None:
    found = explain(planted(), face_clip(), method)
    strength = np.abs(found.maps)
    others = np.arange(FRAMES) != FRAME
    assert strength[others].max() == 0
    # Gradients reach one pixel further (the convolution), Grad-CAM half a cell of its coarse map, occlusion its window.
    reach = {"gradcam": 4, "occlusion": SIZE // 4}.get(method, 1)
    around = tuple(slice(side.start - reach, side.stop + reach) for side in PATCH)
    assert strength[FRAME][around].sum() > 0.999 * strength[FRAME].sum()
    assert strength[FRAME][PATCH].sum() > 0.5 * strength[FRAME].sum()
    peak = np.unravel_index(strength[FRAME].argmax(), (SIZE, SIZE))
    assert all(side.start - 1 <= at < side.stop + 1 for side, at in zip(PATCH, peak, strict=True))


@EVERY_METHOD
def test_a_detector_of_shuffled_frames_is_explained_in_the_clips_order(method: str) -> None:
    """The model reads one place of its shuffle; the frame that stood there is found."""
    loaded = planted(frame_order="shuffled", seed=5)
    order = frame_permutation(FRAMES, "shuffled", 5)
    assert order[FRAME] != FRAME
    found = explain(loaded, face_clip(), method, steps=4)
    assert np.abs(found.maps).sum((1, 2)).argmax() == order[FRAME]


# No trace on the model, which sessions share.


def traces(model: nn.Module) -> dict[str, object]:
    hooks = [name for name in vars(nn.Module()) if name.endswith("_hooks")]
    return {
        "hooks": sum(len(getattr(module, name)) for module in model.modules() for name in hooks),
        "modules": [(name, id(module), module.training) for name, module in model.named_modules()],
        "weights": [(name, id(w), w._version, w.requires_grad, w.grad) for name, w in model.named_parameters()],
        "buffers": [(name, id(b), b._version) for name, b in model.named_buffers()],
    }


@EVERY_METHOD
@EVERY_MODEL
def test_the_model_is_as_before(model: str, method: str) -> None:
    loaded = checkpoint(MODELS[model]())
    next(loaded.model.parameters()).requires_grad_(False)
    before = traces(loaded.model)
    values = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    explain(loaded, face_clip(), method, steps=2)
    assert traces(loaded.model) == before
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, values[name])


@EVERY_METHOD
@pytest.mark.parametrize("place", ["backbone.stem", "backbone.layer4", "head.linear"])
def test_the_model_is_as_before_after_a_failure(method: str, place: str) -> None:
    class Broken(nn.Module):
        def forward(self, anything: Tensor) -> Tensor:
            raise RuntimeError("out of memory")

    loaded = checkpoint()
    loaded.model.set_submodule(place, Broken())
    before = traces(loaded.model)
    for _ in range(2):  # the second finds the lock free
        with pytest.raises(RuntimeError, match="out of memory"):
            explain(loaded, face_clip(), method, steps=2)
    assert traces(loaded.model) == before


@EVERY_METHOD
def test_the_models_mode_is_neither_used_nor_changed(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    expected = explain(loaded, clip, method, steps=2)
    loaded.model.train()
    before = traces(loaded.model)
    np.testing.assert_array_equal(explain(loaded, clip, method, steps=2).maps, expected.maps)
    assert traces(loaded.model) == before


@EVERY_METHOD
def test_callers_in_inference_mode_are_served(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    expected = explain(loaded, clip, method, steps=2)
    with torch.inference_mode():
        np.testing.assert_array_equal(explain(loaded, clip, method, steps=2).maps, expected.maps)
        assert torch.is_inference_mode_enabled()


def test_the_private_view_shares_the_weights() -> None:
    model = checkpoint().model
    view = private(model, CPU)
    assert view is not model
    assert {id(module) for module in view.modules()}.isdisjoint(id(module) for module in model.modules())
    for ours, theirs in zip(view.parameters(), model.parameters(), strict=True):
        assert ours is theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_an_unrolled_lstm_is_the_lstm(layers: int, bias: bool) -> None:
    head = nn.ModuleDict({"lstm": nn.LSTM(6, 4, num_layers=layers, bias=bias, batch_first=True)})
    clips = torch.randn(3, 7, 6, requires_grad=True)
    expected = head["lstm"](clips)[0]
    (wanted,) = torch.autograd.grad(expected.square().sum(), clips)
    enter = unrolled(head)
    found = head["lstm"](enter(clips))[0]
    assert not any(isinstance(module, nn.LSTM) for module in head.modules())  # cuDNN refuses its gradients in eval mode
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), clips)[0], wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@EVERY_METHOD
def test_a_gpu_explains_a_recurrent_model_in_eval_mode(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    before = traces(loaded.model)
    there = explain(loaded, clip, method, device=torch.device("cuda"))
    assert traces(loaded.model) == before
    here = explain(loaded, clip, method, device=CPU)
    assert np.corrcoef(there.maps.ravel(), here.maps.ravel())[0, 1] > 0.98


def test_threads_that_share_a_model_do_not_disturb_each_other() -> None:
    loaded = checkpoint()
    clips = [face_clip(seed=seed) for seed in range(4)]
    inputs = to_input(clips[0].crops, clips[0].recipe)[None]
    with torch.no_grad():
        scored = loaded.model(inputs)

    def run(job: tuple[FaceClip, str]) -> Attribution:
        with torch.no_grad():
            assert torch.equal(loaded.model(inputs), scored)
        return explain(loaded, job[0], job[1], steps=4)

    jobs = [(clip, method) for clip in clips for method in METHODS]
    alone = [run(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, jobs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.maps, other.maps)
        np.testing.assert_array_equal(one.features, other.features)


def test_a_model_in_use_is_waited_for_and_waiting_can_be_stopped() -> None:
    loaded, clip = checkpoint(), face_clip()
    begun, go_on, told = threading.Event(), threading.Event(), []

    def hold(fraction: float, message: str) -> None:
        begun.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(explain, loaded, clip, "gradcam", steps=2, progress=hold)
        assert begun.wait(60)
        try:
            with pytest.raises(Stopped):
                explain(
                    loaded,
                    clip,
                    "gradcam",
                    progress=lambda fraction, message: told.append(message),
                    should_stop=lambda: bool(told),
                )
            explain(checkpoint(), clip, "gradcam", steps=2)  # another model is free
        finally:
            go_on.set()
        assert first.result().maps.shape == clip.crops.shape[:3]
    assert told == ["Waiting for another attribution of this checkpoint"]


@EVERY_METHOD
def test_it_can_be_stopped_anywhere(method: str) -> None:
    loaded, clip = checkpoint(), face_clip()
    asked = 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    explain(loaded, clip, method, steps=4, should_stop=count)
    assert asked >= 2
    before = traces(loaded.model)
    for last in range(1, asked + 1):
        calls = iter(range(1, asked + 2))
        with pytest.raises(Stopped):
            explain(loaded, clip, method, steps=4, should_stop=lambda calls=calls, last=last: next(calls) == last)
    assert traces(loaded.model) == before
    explain(loaded, clip, method, steps=2)


@EVERY_METHOD
def test_progress_goes_from_nothing_to_all(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution.view, "HELD_PIXELS", FRAMES * SIZE * SIZE)  # a step at a time
    told: list[float] = []
    explain(checkpoint(), face_clip(), method, steps=8, progress=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1
    assert len(told) >= {"integrated_gradients": 9, "gradcam": 3, "saliency": 2}.get(method, 4)


def test_crops_of_another_recipe_are_refused() -> None:
    clip = replace(face_clip(), recipe=CropRecipe(size=SIZE, margin=1.6))
    with pytest.raises(CheckpointError, match=r"clip\.mp4 were cut by another recipe than checkpoint 'tiny'"):
        explain(checkpoint(), clip, "gradcam")


def test_the_checkpoints_colour_order_is_used() -> None:
    loaded = checkpoint(recipe=CropRecipe(size=SIZE, colour="bgr"))
    clip = face_clip()
    swapped = replace(clip, crops=clip.crops[..., ::-1])
    straight = Checkpoint(loaded.model, loaded.meta.model_copy(update={"recipe": clip.recipe}), "tiny")
    assert explain(loaded, clip, "gradcam", steps=2).score == pytest.approx(
        explain(straight, swapped, "gradcam", steps=2).score, rel=1e-3
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "lime"}, "unknown method 'lime'; choose one of gradcam, integrated_gradients"),
        (
            {"method": "gradcam", "layer": "conv5"},
            "unknown layer 'conv5'; choose one of layer1, layer2, layer3, layer4",
        ),
        ({"method": "integrated_gradients", "steps": 0}, "steps must be at least 1, not 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        explain(checkpoint(), face_clip(), **options)  # type: ignore[arg-type]


def test_one_frame_can_be_explained() -> None:
    assert explain(checkpoint(), face_clip(1), "gradcam").maps.shape == (1, SIZE, SIZE)


@pytest.fixture
def found() -> Attribution:
    return explain(checkpoint(), face_clip(), "integrated_gradients", steps=2)


def test_overlays_lie_over_the_crops(found: Attribution) -> None:
    crops: NDArray[np.uint8] = face_clip().crops
    pictures = overlays(found, crops)
    assert pictures.shape == crops.shape
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(overlays(found, crops, opacity=0), crops)


def test_a_folder_holds_a_heat_map_a_frame_and_the_facts(found: Attribution, tmp_path: Path) -> None:
    clip = face_clip()
    written = write(found, clip, tmp_path / "out")
    assert [path.suffix for path in written] == [".png"] * FRAMES + [".json"]
    assert all(path.is_file() for path in written)
    np.testing.assert_array_equal(np.asarray(Image.open(written[1])), overlays(found, clip.crops)[1])
    facts = json.loads(written[-1].read_text(encoding="utf-8"))
    assert facts["method"] == "integrated_gradients"
    assert facts["target"] == found.target
    assert facts["baseline"] == "blurred face"
    assert facts["checkpoint"] == "tiny"
    assert facts["size"] == [FRAMES, SIZE, SIZE]
    assert facts["times"] == found.times.tolist()
    assert facts["completeness_error"] == found.completeness_error
    assert facts["files"] == [path.name for path in written[:-1]]


def test_writing_over_a_users_file_is_refused(found: Attribution, tmp_path: Path) -> None:
    (tmp_path / "attribution.json").write_text("{}")
    with pytest.raises(DfdError, match="dfd did not write"):
        write(found, face_clip(), tmp_path)
