"""Corruptions: level 0 is the clip, each level is worse than the last, and the same clip always gets the same."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut
from torch import Generator, Tensor

from dfd.corruptions import LEVELS, corrupt, generator_of
from dfd.labels import Label
from dfd.manifest import Clip

EVERY_KIND = pytest.mark.parametrize("kind", LEVELS)
SIDE, FRAMES = 112, 4


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """A face that moves by a pixel a frame."""
    portrait = astronaut()
    frames = [portrait[40 + shift : 40 + SIDE + shift, 170 : 170 + SIDE] for shift in range(FRAMES)]
    return torch.from_numpy(np.stack(frames))


def member(clip_id: str = "real/a", corpus: str = "one") -> Clip:
    return Clip(corpus, clip_id, Path("a.mp4"), Label.REAL, "original", "", "a", "", "test", False, FRAMES)


def at(clip: Tensor, kind: str, level: int, clip_id: str = "real/a") -> Tensor:
    return corrupt(clip, kind, level, generator_of(member(clip_id), kind))


def error(changed: Tensor, clip: Tensor) -> float:
    """Root of the mean squared difference, in levels of 255."""
    return float((changed.double() - clip.double()).square().mean().sqrt())


@EVERY_KIND
def test_level_0_is_the_untouched_clip(clip: Tensor, kind: str) -> None:
    assert at(clip, kind, 0) is clip


@EVERY_KIND
def test_each_level_is_further_from_the_clip_than_the_last(clip: Tensor, kind: str) -> None:
    before = clip.clone()
    errors = [error(at(clip, kind, level), clip) for level in range(6)]
    assert errors == sorted(errors)
    assert errors[1] > 0.3
    assert all(later > 1.1 * sooner for sooner, later in zip(errors[1:], errors[2:], strict=False))
    assert torch.equal(clip, before), "the clip itself is left as it is"


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 3),
    height=st.integers(16, 40),
    width=st.integers(16, 40),
    kind=st.sampled_from(sorted(LEVELS)),
    level=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_the_shape_is_kept_whatever_it_is(
    frames: int, height: int, width: int, kind: str, level: int, seed: int
) -> None:
    """Odd sides too, which 4:2:0 has not."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)
    changed = at(torch.from_numpy(pixels), kind, level)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8


@EVERY_KIND
def test_the_same_clip_gets_the_same_every_time(clip: Tensor, kind: str) -> None:
    assert torch.equal(at(clip, kind, 3), at(clip, kind, 3))


def test_noise_is_of_its_clip_and_new_in_each_frame(clip: Tensor) -> None:
    grey = torch.full_like(clip, 128)
    one, other = (at(grey, "noise", 3, clip_id).double() - 128 for clip_id in ("real/a", "real/b"))
    pairs = [(one, other), (one[0], one[1]), (one[..., 0], one[..., 1])]
    for first, second in pairs:
        assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.05
    assert float(one.std()) == pytest.approx(LEVELS["noise"].value(3), rel=0.02)


def test_a_stronger_level_of_noise_is_the_same_noise_stronger(clip: Tensor) -> None:
    grey = torch.full_like(clip, 128)
    weak, strong = (at(grey, "noise", level).double().flatten() - 128 for level in (2, 4))
    assert float(torch.corrcoef(torch.stack([weak, strong]))[0, 1]) > 0.99


def test_the_random_numbers_are_of_corpus_clip_and_kind() -> None:
    def first(corpus: str, clip_id: str, kind: str) -> float:
        return float(torch.rand(1, generator=generator_of(member(clip_id, corpus), kind)))

    asked = [("one", "a", "noise"), ("two", "a", "noise"), ("one", "b", "noise"), ("one", "a", "pgd")]
    assert len({first(*each) for each in asked}) == len(asked)
    assert first(*asked[0]) == first(*asked[0])


def test_jpeg_is_what_a_file_of_this_quality_holds(clip: Tensor) -> None:
    file = io.BytesIO()
    Image.fromarray(clip[1].numpy()).save(file, "JPEG", quality=50)
    assert np.array_equal(at(clip, "jpeg", 3)[1].numpy(), np.asarray(Image.open(file)))


def test_h264_looks_at_the_frames_before(clip: Tensor) -> None:
    """It is a video that is encoded, not pictures: a frame comes out otherwise when others go before it."""
    alone, among = at(clip[-1:], "h264", 4)[0], at(clip, "h264", 4)[-1]
    assert error(alone, clip[-1]) > 1
    assert error(among, clip[-1]) > 1
    assert not torch.equal(alone, among)


def test_h264_at_crf_23_is_near_and_at_46_is_poor(clip: Tensor) -> None:
    assert error(at(clip, "h264", 1), clip) < 8
    assert error(at(clip, "h264", 5), clip) > 12


@EVERY_KIND
def test_settings_say_the_values(kind: str) -> None:
    levels = LEVELS[kind]
    assert len(levels.values) == 5
    said = [levels.setting(level) for level in range(1, 6)]
    assert all(f"{value:g}" in words for value, words in zip(levels.values, said, strict=True))


@pytest.mark.parametrize("level", [-1, 6])
def test_an_unknown_level_is_told(clip: Tensor, level: int) -> None:
    with pytest.raises(ValueError, match=f"JPEG has levels 1 to 5, not {level}"):
        corrupt(clip, "jpeg", level, Generator())


def test_an_unknown_kind_is_told(clip: Tensor) -> None:
    with pytest.raises(ValueError, match="unknown corruption 'rain'; choose one of h264"):
        corrupt(clip, "rain", 0, Generator())
