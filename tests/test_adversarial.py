"""Attacks: within bounds, against the truth, along the model's own gradient, and without a trace on the model."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from dfd.adversarial import LEVELS, STEPS, Target, attack, fgsm, pgd, random_start, setting, step_size
from dfd.models import build, to_input
from dfd.models.contract import ClipModel
from dfd.recipe import CropRecipe

pytestmark = pytest.mark.usefixtures("float32")

SIZE, CLIPS, FRAMES = 32, 4, 3
SHAPE = (CLIPS, FRAMES, SIZE, SIZE, 3)
CPU = torch.device("cpu")
RECIPE = CropRecipe(size=SIZE)
LABELS = torch.tensor([0, 1, 1, 0])

MODELS: dict[str, Callable[[], ClipModel]] = {
    "lstm": lambda: build("resnext_lstm", backbone="tiny", hidden=16),
    "two-way gru": lambda: build("resnext_lstm", backbone="tiny", hidden=8, temporal="gru", bidirectional=True),
    "mean pool": lambda: build("resnext_mean", backbone="tiny"),
    "mesoinception4": lambda: build("mesoinception4"),
    "published": lambda: build("resnext_published", backbone="tiny", hidden=16),
    "multi-attentional": lambda: build("multi_attention", backbone="tiny"),
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)
EVERY_ATTACK = pytest.mark.parametrize("kind", LEVELS)


def crops(seed: int = 0) -> Tensor:
    """Noise, with black and white in it."""
    pixels = np.random.default_rng(seed).integers(-60, 316, SHAPE)
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))


def settled(model: ClipModel) -> ClipModel:
    """Batch norms with statistics of their own, in eval mode, with gradients that somebody left."""
    model.train()
    with torch.no_grad():
        for seed in range(3):
            model(to_input(crops(seed), RECIPE))
    for weight in list(model.parameters())[:2]:
        weight.grad = torch.ones_like(weight)
    return model.eval()


def made(name: str = "lstm", recipe: CropRecipe = RECIPE) -> tuple[ClipModel, Target]:
    model = settled(MODELS[name]())
    return model, Target(model, recipe, CPU)


def attacked(target: Target, kind: str, epsilon: float, *, seed: int = 0, steps: int = STEPS) -> Tensor:
    if kind == "fgsm":
        return fgsm(target, crops(seed), LABELS, epsilon)
    start = torch.stack([random_start(SHAPE[1:], Generator().manual_seed(clip)) for clip in range(CLIPS)])
    return pgd(target, crops(seed), LABELS, epsilon, start, steps=steps)


def doubt(target: Target, clips: Tensor) -> Tensor:
    """(B,) how far each clip's score is from its truth; an attack makes it larger."""
    with torch.no_grad():
        return (1 - 2 * LABELS) * target.score(clips.float())


@EVERY_MODEL
def test_the_score_is_the_models_logit_difference(model: str) -> None:
    plain, target = made(model)
    with torch.no_grad():
        expected = plain(to_input(crops(), RECIPE)).diff(dim=1)[:, 0]
        torch.testing.assert_close(target.score(crops().float()), expected, rtol=1e-4, atol=1e-5)


@EVERY_MODEL
def test_the_direction_is_the_sign_of_the_models_gradient(model: str) -> None:
    plain, target = made(model)
    pixels = crops().float().requires_grad_()
    loss = nn.functional.cross_entropy(plain(to_input(pixels, RECIPE)), LABELS, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, pixels)
    sure = gradient.abs() > 1e-3 * gradient.abs().amax(dim=(1, 2, 3, 4), keepdim=True)
    assert sure.float().mean() > 0.2
    assert torch.equal(target.away(crops().float(), LABELS.float())[sure], gradient.sign()[sure])


@EVERY_ATTACK
@EVERY_MODEL
def test_every_clip_is_doubted_more(model: str, kind: str) -> None:
    _, target = made(model)
    assert (doubt(target, attacked(target, kind, 2.0)) > doubt(target, crops())).all()


def test_many_small_steps_go_further_than_a_large_one() -> None:
    _, target = made()
    far, near = (doubt(target, attacked(target, kind, 16.0)).sum() for kind in ("pgd", "fgsm"))
    assert far > near


@EVERY_ATTACK
def test_a_larger_epsilon_goes_further(kind: str) -> None:
    _, target = made()
    doubts = [doubt(target, attacked(target, kind, epsilon)).sum().item() for epsilon in LEVELS[kind].values]
    assert doubts == sorted(doubts)


@settings(max_examples=20, deadline=None)
@given(epsilon=st.floats(0, 300), kind=st.sampled_from(sorted(LEVELS)), seed=st.integers(0, 9))
def test_pixels_stay_within_epsilon_and_within_bounds(epsilon: float, kind: str, seed: int) -> None:
    torch.manual_seed(0)
    _, target = made("mean pool")
    moved, clean = attacked(target, kind, epsilon, seed=seed, steps=2), crops(seed)
    assert moved.dtype == torch.float32
    assert moved.shape == clean.shape
    assert (moved - clean).abs().max() <= epsilon + 1e-4
    assert moved.min() >= 0
    assert moved.max() <= 255


@EVERY_ATTACK
def test_epsilon_0_leaves_every_pixel(kind: str) -> None:
    _, target = made()
    assert torch.equal(attacked(target, kind, 0.0), crops().float())


def test_fgsm_moves_every_pixel_that_counts_by_epsilon() -> None:
    _, target = made()
    moved, clean = attacked(target, "fgsm", 3.0), crops().float()
    free = (clean >= 3) & (clean <= 252)
    assert set((moved - clean)[free].abs().unique().tolist()) <= {0.0, 3.0}


def state(model: nn.Module) -> dict[str, object]:
    hooks = [name for name in vars(nn.Module()) if name.endswith("_hooks")]
    return {
        "hooks": sum(len(getattr(module, name)) for module in model.modules() for name in hooks),
        "modules": [(name, id(module), module.training) for name, module in model.named_modules()],
        "weights": [(name, id(w), w._version, w.requires_grad, id(w.grad)) for name, w in model.named_parameters()],
        "buffers": [(name, id(buffer), buffer._version) for name, buffer in model.named_buffers()],
    }


@EVERY_ATTACK
@EVERY_MODEL
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_as_before(model: str, kind: str, training: bool) -> None:
    plain = settled(MODELS[model]()).train(training)
    next(plain.parameters()).requires_grad_(False)
    before, values = state(plain), {name: value.clone() for name, value in plain.state_dict().items()}
    grads = [weight.grad.clone() for weight in plain.parameters() if weight.grad is not None]
    attacked(Target(plain, RECIPE, CPU), kind, 2.0, steps=2)
    assert state(plain) == before
    assert all(torch.equal(value, values[name]) for name, value in plain.state_dict().items())
    after = [weight.grad for weight in plain.parameters() if weight.grad is not None]
    assert all(torch.equal(grad, kept) for grad, kept in zip(after, grads, strict=True))


def test_little_memory_gives_the_same_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that do not fit are gone through in parts, and again on the way back."""
    _, target = made()
    whole = attacked(target, "fgsm", 2.0)
    monkeypatch.setattr("dfd.attribution.view.HELD_PIXELS", 5 * SIZE * SIZE)
    parts = attacked(target, "fgsm", 2.0)
    assert (parts == whole).float().mean() > 0.999, "but for gradients so near to 0 that rounding gives their sign"
    torch.testing.assert_close(doubt(target, parts), doubt(target, whole))


def test_callers_in_inference_mode_are_served() -> None:
    _, target = made()
    expected = attacked(target, "pgd", 2.0, steps=2)
    with torch.inference_mode():
        assert torch.equal(attacked(target, "pgd", 2.0, steps=2), expected)


def test_the_recipes_colour_order_is_the_attacks() -> None:
    plain, _ = made()
    bgr = RECIPE.model_copy(update={"colour": "bgr"})
    ours, flipped = (Target(plain, recipe, CPU) for recipe in (RECIPE, bgr))
    with torch.no_grad():
        torch.testing.assert_close(flipped.score(crops().float()), ours.score(crops().flip(-1).float()))
    moved = fgsm(flipped, crops(), LABELS, 2.0)
    assert (doubt(flipped, moved) > doubt(flipped, crops())).all()


def test_where_pgd_starts_is_of_the_generator_and_in_proportion_to_epsilon() -> None:
    plain, target = made()
    first, again, other = (random_start((2, 2), Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() <= 1
    generators = [Generator().manual_seed(clip) for clip in range(CLIPS)]
    found = attack(target, crops(), LABELS, "pgd", 3, generators, steps=2)
    assert torch.equal(found, attacked(target, "pgd", LEVELS["pgd"].value(3), steps=2))


def test_settings_say_the_steps() -> None:
    assert setting("fgsm", 3, 10) == "epsilon 1/255, 1 step of 1/255"
    assert setting("pgd", 3, 10) == "epsilon 1/255, 10 steps of 0.25/255"
    assert setting("pgd", 5, 20) == "epsilon 4/255, 20 steps of 0.5/255"
    assert step_size(8.0, 10) == 2.0


def test_an_unknown_attack_or_level_is_told() -> None:
    _, target = made("mean pool")
    with pytest.raises(ValueError, match="unknown attack 'cw'; choose one of fgsm, pgd"):
        attack(target, crops(), LABELS, "cw", 1, [])
    with pytest.raises(ValueError, match="FGSM has levels 1 to 5, not 0"):
        attack(target, crops(), LABELS, "fgsm", 0, [])
