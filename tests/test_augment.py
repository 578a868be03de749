"""Augmentation: drawn once a clip, from the generator alone, and by default what it always was."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dfd import tracking
from dfd.augment import Augment, Blur, Downscale, Jpeg, Noise, Tone, add_noise, augment, blur, downscale, jpeg
from dfd.config import Experiment, Stage, Training, read_experiment
from dfd.errors import ExperimentError
from dfd.experiments import end_to_end
from dfd.training import fit_backbone, fit_clips
from tests.conftest import tiny_experiment, tiny_table

CPU = torch.device("cpu")
EVERYTHING = Augment(
    tone=Tone(probability=0.5), downscale=Downscale(), blur=Blur(), noise=Noise(), jpeg=Jpeg(quality=(20, 90))
)

SHARES = st.floats(0, 1)


def ranges(least: float, most: float) -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(least, most), st.floats(least, most)).map(lambda pair: (min(pair), max(pair)))


@st.composite
def wanted(draw: st.DrawFn, noise: bool = True) -> Augment:
    qualities = sorted(draw(st.tuples(st.integers(1, 100), st.integers(1, 100))))
    parts = {
        "downscale": Downscale(probability=draw(SHARES), factor=draw(ranges(0.05, 1))),
        "blur": Blur(probability=draw(SHARES), sigma=draw(ranges(0.1, 10))),
        "noise": Noise(probability=draw(SHARES), sigma=draw(ranges(0, 128))),
        "jpeg": Jpeg(probability=draw(SHARES), quality=(qualities[0], qualities[1])),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(parts))))
    return Augment(
        flip=draw(SHARES),
        crop=draw(st.floats(0.1, 1)),
        tone=Tone(probability=draw(SHARES), brightness=draw(st.floats(0, 0.9)), contrast=draw(st.floats(0, 0.9))),
        **{name: part for name, part in parts.items() if name in chosen and (noise or name != "noise")},
    )


@st.composite
def clips(draw: st.DrawFn) -> Tensor:
    batch, frames, side = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(2, 34))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    return torch.randint(0, 256, (batch, frames, side, side, 3), dtype=torch.uint8, generator=generator)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(frames: int = 6, side: int = 48) -> Tensor:
    """(1, T, S, S, 3) of soft coloured blobs, the same in every frame, far from black and white."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    waves = torch.stack([torch.sin(x / 3 + shift) + torch.cos(y / (4 + shift)) for shift in range(3)], dim=-1)
    return (128 + 35 * waves).to(torch.uint8).expand(1, frames, -1, -1, -1).contiguous()


@given(clips(), wanted(), st.integers(0, 99))
@settings(deadline=None)
def test_clips_stay_clips_of_bytes_and_what_was_given_is_left_alone(given: Tensor, asked: Augment, seed: int) -> None:
    before = given.clone()
    changed = augment(given, seeded(seed), asked)
    kept = changed.shape[2]
    assert changed.shape == (*given.shape[:2], kept, kept, 3)
    assert max(1, asked.crop * given.shape[2] - 1) <= kept <= given.shape[2]
    assert changed.dtype == torch.uint8
    assert torch.equal(given, before)


@given(clips(), wanted(), st.integers(0, 99))
@settings(deadline=None)
def test_the_same_draws_give_the_same_pixels(given: Tensor, asked: Augment, seed: int) -> None:
    one, other = seeded(seed), seeded(seed)
    assert torch.equal(augment(given, one, asked), augment(given, other, asked))
    assert torch.equal(one.get_state(), other.get_state())


@given(clips(), wanted(noise=False), st.integers(0, 99))
@settings(deadline=None)
def test_nothing_flickers_that_did_not(given: Tensor, asked: Augment, seed: int) -> None:
    frames = 4
    still = given[:, :1].expand(-1, frames, -1, -1, -1)
    changed = augment(still, seeded(seed), asked)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))


@given(clips(), wanted(), st.integers(0, 99))
@settings(deadline=None)
def test_what_has_no_probability_leaves_the_pixels_alone(given: Tensor, asked: Augment, seed: int) -> None:
    parts = {name: getattr(asked, name) for name in ("tone", "downscale", "blur", "noise", "jpeg")}
    never = {name: part and part.model_copy(update={"probability": 0.0}) for name, part in parts.items()}
    off = asked.model_copy(update={"flip": 0.0, "crop": 1.0, **never})
    assert torch.equal(augment(given, seeded(seed), off), given)


def as_it_was(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Augmentation before it had settings, word for word: finished runs rest on it."""
    batch, _, side = crops.shape[:3]
    kept = side * 6 // 7
    corners = torch.randint(0, side - kept + 1, (batch, 2), generator=generator).tolist()
    cut = torch.stack([clip[:, y : y + kept, x : x + kept] for clip, (y, x) in zip(crops, corners, strict=True)])
    mirrored = torch.rand(batch, generator=generator) < 0.5
    cut[mirrored] = cut[mirrored].flip(3)
    gain, shift = (torch.rand(2, batch, 1, 1, 1, 1, generator=generator) * 2 - 1) * 0.15
    pixels = cut.float()
    mean = pixels.mean(dim=(1, 2, 3, 4), keepdim=True)
    return ((pixels - mean) * (1 + gain) + mean * (1 + shift)).clamp_(0, 255).to(torch.uint8)


@given(clips(), st.integers(0, 99), st.sampled_from([True, Augment(), Training().augment]))
@settings(deadline=None)
def test_by_default_every_pixel_and_every_draw_is_as_before(given: Tensor, seed: int, asked: Augment | bool) -> None:
    one, other = seeded(seed), seeded(seed)
    assert torch.equal(augment(given, one, asked), as_it_was(given, other))
    assert torch.equal(one.get_state(), other.get_state())


def test_the_usual_crop_is_six_sevenths_of_any_side() -> None:
    for side in range(2, 400):
        assert augment(torch.zeros(1, 1, side, side, 3, dtype=torch.uint8), seeded()).shape[2] == side * 6 // 7


def test_without_augmentation_nothing_is_drawn() -> None:
    generator = seeded()
    given = smooth()
    assert torch.equal(augment(given, generator, False), given)
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_clips_of_a_batch_are_changed_each_in_its_own_way() -> None:
    batch = smooth().expand(6, -1, -1, -1, -1)
    for name in ("downscale", "blur", "noise", "jpeg"):
        part = getattr(EVERYTHING, name).model_copy(update={"probability": 1.0})
        changed = augment(batch, seeded(), Augment.of(False).model_copy(update={name: part}))
        assert len({clip.numpy().tobytes() for clip in changed}) == 6, name


@pytest.mark.parametrize("probability", [0.2, 0.7])
def test_probabilities_are_kept(probability: float) -> None:
    clips = torch.full((1000, 1, 8, 8, 3), 100, dtype=torch.uint8)
    clips[:, :, :, :4] = 200
    for changes in ({"flip": probability}, {"jpeg": {"probability": probability, "quality": [5, 10]}}):
        asked = Augment.model_validate({"flip": 0, "crop": 1, "tone": {"probability": 0}, **changes})
        changed = augment(clips, seeded(), asked) != clips
        assert changed.flatten(1).any(dim=1).float().mean() == pytest.approx(probability, abs=0.05)


def test_stronger_is_farther_from_what_was_seen() -> None:
    clip = smooth()[0]

    def apart(changed: Tensor) -> float:
        return (changed.float() - clip.float()).abs().mean().item()

    for harder in (
        [apart(jpeg(clip, quality)) for quality in (95, 50, 5)],
        [apart(blur(clip, sigma)) for sigma in (0.6, 1, 4)],
        [apart(downscale(clip, factor)) for factor in (0.8, 0.4, 0.1)],
        [apart(add_noise(clip, sigma, seeded())) for sigma in (1, 4, 16)],
    ):
        assert 0 < harder[0] < harder[1] < harder[2]
    assert apart(downscale(clip, 1.0)) == 0
    assert apart(add_noise(clip, 0.0, seeded())) == 0
    assert apart(jpeg(clip, 100)) < 1.5


def test_a_blur_is_of_the_width_that_was_asked_for() -> None:
    edge = torch.zeros(1, 41, 41, 3, dtype=torch.uint8)
    edge[:, :, 21:] = 255
    slope = blur(edge, 2.0)[0, 20, :, 0].float().diff()
    place = torch.arange(40) - 20.0
    assert ((slope * place**2).sum() / slope.sum()).sqrt() == pytest.approx(2.0, abs=0.1)


def test_noise_is_new_in_each_frame_and_of_one_strength() -> None:
    grey = torch.full((2, 5, 64, 64, 3), 128, dtype=torch.uint8)
    only = Augment.of(False).model_copy(update={"noise": Noise(probability=1, sigma=(2, 30))})
    noisy = augment(grey, seeded(), only).float() - 128
    by_frame = noisy.flatten(2).std(dim=2)
    assert (by_frame / by_frame.mean(dim=1, keepdim=True) - 1).abs().max() < 0.05
    assert (by_frame[0] / by_frame[1]).log().abs().min() > 0.1
    across = torch.corrcoef(noisy[0].flatten(1))
    assert (across - torch.eye(5)).abs().max() < 0.05


class Reader(torch.nn.Module):
    """Says nothing and notes what it is given, and what its answer is to be."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2))
        self.read: list[tuple[Tensor, Tensor]] = []

    def training_loss(self, inputs: Tensor, labels: Tensor, criterion: object, epoch: int) -> Tensor:
        self.read.append((inputs, labels))
        return self.logits.square().sum()

    def forward(self, clips: Tensor) -> Tensor:
        return self.logits.expand(len(clips), 2)


@pytest.mark.parametrize("of_frames", [True, False])
def test_training_reads_what_was_asked_for_under_the_labels_of_its_clips(of_frames: bool) -> None:
    table = tiny_table(("a",))
    table.values[table.labels.numpy() == 1] = 220
    table.values[table.labels.numpy() == 0] = 30
    asked = EVERYTHING.model_copy(update={"crop": 0.5, "noise": Noise(probability=1, sigma=(8, 8))})
    model, stage = Reader(), Stage(epochs=2, batch=8)
    tables = table.where("train"), table.where("val")
    if of_frames:
        fit_backbone(model, *tables, stage, CPU, seed=0, augmented=asked)
    else:
        fit_clips(model, *tables, stage, CPU, length=4, order="natural", seed=0, augmented=asked)
    assert len(model.read) == 4
    for inputs, labels in model.read:
        assert inputs.shape == (len(labels), 1 if of_frames else 4, 3, 16, 16)
        assert torch.equal((inputs.mean(dim=(1, 2, 3, 4)) > 0).long(), labels)
        assert (inputs.flatten(1).std(dim=1) > 0.02).all()


def experiment(augment: object) -> Experiment:
    return Experiment.model_validate({"name": "x", "data": {"corpora": ["a"]}, "train": {"augment": augment}})


@pytest.mark.parametrize("said", [True, False])
def test_what_was_a_yes_or_no_is_written_as_one(said: bool) -> None:
    """Keys of runs, parameters in the store and experiments within checkpoints are of this form."""
    asked = experiment(said)
    assert asked.model_dump(mode="json")["train"]["augment"] is said
    assert asked.flat()["train.augment"] == str(said)
    assert Experiment.model_validate(asked.model_dump(mode="json")) == asked
    assert experiment({}).train.augment == experiment(True).train.augment == Training().augment


def test_settings_are_written_in_full_and_read_back() -> None:
    asked = experiment({"jpeg": {"quality": [40, 90]}, "tone": {"probability": 0}, "flip": 0})
    written = asked.model_dump(mode="json")["train"]["augment"]
    assert written["jpeg"] == {"probability": 0.5, "quality": [40, 90]}
    assert "blur" not in written
    assert Experiment.model_validate(asked.model_dump(mode="json")) == asked
    assert asked.flat()["train.augment.jpeg.quality"] == "40,90"
    assert asked.flat()["train.augment.tone.probability"] == "0.0"


@given(wanted())
@settings(deadline=None)
def test_any_settings_are_read_back_as_they_were(asked: Augment) -> None:
    assert Training.model_validate(Training(augment=asked).model_dump(mode="json")).augment == asked


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("{zorp: 1}", "unknown key 'train.augment.zorp'; known here: flip, crop, tone, downscale, blur, noise, jpeg"),
        ("{jpeg: {zorp: 1}}", "unknown key 'train.augment.jpeg.zorp'; known here: probability, quality"),
        ("{jpeg: {quality: [90, 40]}}", "'train.augment.jpeg.quality': say the least and the most, both from 1 to 100"),
        ("{jpeg: {quality: [0, 40]}}", "'train.augment.jpeg.quality': say the least and the most"),
        ("{jpeg: {quality: 40}}", "'train.augment.jpeg.quality': input should be a list .it is 40"),
        ("{jpeg: {probability: 1.5}}", "'train.augment.jpeg.probability': .*less than or equal to 1"),
        ("{blur: {sigma: [0, 2]}}", "'train.augment.blur.sigma': .*from 0.1 to 10"),
        ("{blur: {sigma: [.nan, 2]}}", "'train.augment.blur.sigma'"),
        ("{downscale: {factor: [0.5, 1.5]}}", "'train.augment.downscale.factor': .*from 0.05 to 1 "),
        ("{noise: {sigma: [1, .inf]}}", "'train.augment.noise.sigma': .*from 0 to 128"),
        ("{crop: 0}", "'train.augment.crop': .*greater than 0"),
        ("{flip: -1}", "'train.augment.flip'"),
        ("{tone: {contrast: 1}}", "'train.augment.tone.contrast': .*less than 1"),
        ("maybe", "'train.augment': .*it is 'maybe'"),
    ],
)
def test_impossible_settings_are_refused_by_name(tmp_path: Path, said: str, refused: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: x\ndata: {{corpora: [a]}}\ntrain: {{augment: {said}}}\n")
    with pytest.raises(ExperimentError, match=refused) as told:
        read_experiment(path)
    assert "\n" not in str(told.value)


def test_another_augmentation_is_other_work_and_is_told(store: Path) -> None:
    train = {"head": {"epochs": 1, "batch": 8}}
    usual = tiny_experiment(data={"corpora": ["a"]}, train=train, sweep=None)
    other = tiny_experiment(data={"corpora": ["a"]}, train={**train, "augment": {"jpeg": {}, "blur": {}}}, sweep=None)
    table = tiny_table(("a",))
    one, two = end_to_end(usual, table), end_to_end(other, table)
    assert one != two
    assert tracking.params(one)["train.augment"] == "True"
    assert tracking.params(two)["train.augment.jpeg.quality"] == "40,100"
    same = tiny_experiment(data={"corpora": ["a"]}, train={**train, "augment": {"flip": 0.5}}, sweep=None)
    assert end_to_end(same, table) == one
