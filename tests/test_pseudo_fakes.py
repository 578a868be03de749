"""Pseudo-fakes: what is drawn, where it is put in, and what it does to the pixels there."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfd.pseudo_fakes import blending
from dfd.pseudo_fakes.blending import Fake, make_fake
from dfd.pseudo_fakes.draws import Draws, draw, walk
from dfd.pseudo_fakes.face_space import TEMPLATE, fit, place
from dfd.pseudo_fakes.settings import METHODS, Method, PseudoFakes
from tests.pseudo import face

AS_USUAL = PseudoFakes()


def made(method: Method, frames: int = 4, size: int = 96, clip_id: str = "clip", **asked: float) -> Fake:
    return make_fake(method, *face(frames, size), PseudoFakes.model_validate(asked), clip_id)


def change(fake: Fake) -> NDArray[np.float64]:
    """(T, H, W) how far the fake is from the real clip, in levels."""
    real, _ = face(len(fake.frames), fake.frames.shape[1])
    return np.abs(fake.frames.astype(np.float64) - real).mean(axis=-1)


@st.composite
def clips(draw_from: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A few frames of any size with a face of any size, turned and placed anywhere, even in part outside."""
    frames, height, width = (draw_from(st.integers(1, top)) for top in (4, 90, 90))
    rng = np.random.default_rng(draw_from(st.integers(0, 2**31)))
    pixels = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    scale, angle = draw_from(st.floats(0, 60)), draw_from(st.floats(-3.2, 3.2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = rng.uniform([0, 0], [width, height], (frames, 1, 2))
    jitter = rng.normal(0, draw_from(st.floats(0, 5)), (frames, 5, 2))
    return pixels, (TEMPLATE @ turn.T + middle + jitter).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(clip=clips(), seed=st.integers(0, 50), strength=st.floats(0.1, 2), coherence=st.floats(0, 1))
def test_outside_a_mask_in_0_to_1_nothing_changes(
    method: Method, clip: tuple[NDArray[np.uint8], NDArray[np.float32]], seed: int, strength: float, coherence: float
) -> None:
    frames, landmarks = clip
    before = frames.copy()
    asked = PseudoFakes(seed=seed, strength=strength, coherence=coherence)
    fake = make_fake(method, frames, landmarks, asked, "clip")
    assert (fake.frames.dtype, fake.mask.dtype) == (np.uint8, np.float32)
    assert (fake.frames.shape, fake.mask.shape) == (frames.shape, frames.shape[:3])
    assert 0 <= fake.mask.min() <= fake.mask.max() <= 1
    np.testing.assert_array_equal(fake.frames[fake.mask == 0], frames[fake.mask == 0])
    np.testing.assert_array_equal(frames, before)


@settings(max_examples=40, deadline=None)
@given(clip_id=st.text(max_size=8), seed=st.integers(0, 2**31), frames=st.integers(1, 20))
def test_at_coherence_1_every_draw_is_the_same_in_all_frames(clip_id: str, seed: int, frames: int) -> None:
    found = draw(PseudoFakes(seed=seed), frames, clip_id)
    for column in fields(Draws):
        values = getattr(found, column.name)
        np.testing.assert_array_equal(values, np.broadcast_to(values[:1], values.shape), err_msg=column.name)


@pytest.mark.parametrize(("coherence", "kept"), [(0.0, 0.0), (0.6, 0.6), (0.95, 0.95)])
def test_between_two_frames_a_draw_keeps_as_much_as_the_coherence(coherence: float, kept: float) -> None:
    path = walk(np.random.default_rng(0), 400, 300, coherence)
    assert (path[1:] * path[:-1]).mean() == pytest.approx(kept, abs=0.05)
    assert path[0].std() == pytest.approx(1, abs=0.15)  # the first frame and the last are spread alike,
    assert path[-1].std() == pytest.approx(1, abs=0.15)  # so that a frame alone does not tell the coherence


def test_draws_keep_to_their_documented_ranges() -> None:
    ranges = {"whole": (0.35, 1), "feather": (0.08, 0.5), "ratio": (0.25, 1), "sharpness": (-1, 0.6), "size": (64, 120)}
    found = draw(PseudoFakes(coherence=0), 3000, "clip")
    for name, (low, high) in ranges.items():
        values = getattr(found, name)
        assert low <= values.min() < low + 0.1 * (high - low), name
        assert high >= values.max() > high - 0.1 * (high - low), name
    lengths = np.linalg.norm(found.shift, axis=1)
    assert 6 <= lengths.min() <= lengths.max() <= 20


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_and_clip_give_the_same_fake_and_others_another(method: Method) -> None:
    first, again = made(method, coherence=0.5), made(method, coherence=0.5)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.mask, again.mask)
    for other in (made(method, coherence=0.5, seed=1), made(method, coherence=0.5, clip_id="another")):
        assert (other.frames != first.frames).any()
        assert (other.mask != first.mask).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_fake_does_not_depend_on_how_many_frames_are_blended_at_once(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(method, 5, coherence=0.3)
    monkeypatch.setattr(blending, "PIXELS", 1)
    single = made(method, 5, coherence=0.3)
    assert np.abs(whole.frames.astype(int) - single.frames).max() <= 1  # sums in another order
    np.testing.assert_allclose(whole.mask, single.mask, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_fake_is_plain_to_a_pixel_and_moves_what_it_says(method: Method) -> None:
    for clip_id in "abcdef":
        fake = made(method, 2, clip_id=clip_id)
        moved = change(fake)[fake.mask > 0.2]
        assert moved.mean() > 2, clip_id
        assert 0.08 < (fake.mask > 0).mean() < 0.6, clip_id


@pytest.mark.parametrize("method", METHODS)
def test_strength_makes_a_fake_plainer(method: Method) -> None:
    rising = [
        np.mean([change(made(method, 1, clip_id=str(number), strength=strength)).mean() for number in range(6)])
        for strength in (0.1, 0.5, 1, 2)
    ]
    assert rising == sorted(rising)
    assert rising[0] < rising[-1] / 2


def test_no_colour_leaves_the_mean_colour_of_a_warped_face() -> None:
    real, _ = face(1)
    plain, tinted = made("warp", 1, colour=0), made("warp", 1, colour=2)

    def cast(fake: Fake) -> float:
        inside = fake.mask == 1
        return float(np.abs(fake.frames[inside].mean(axis=0) - real[inside].mean(axis=0)).max())

    assert cast(plain) < 1.5
    assert cast(tinted) > 4


def test_a_warped_face_has_lost_its_finest_lines_and_a_still_one_flickers_only_without_coherence() -> None:
    real, _ = face(6)
    fake = made("warp", 6, colour=0)
    inside = fake.mask == 1
    fine = [np.abs(np.diff(clip.astype(float), axis=2, append=0)).mean(axis=-1)[inside] for clip in (real, fake.frames)]
    assert fine[1].mean() < 0.8 * fine[0].mean()
    assert not np.diff(fake.frames.astype(int), axis=0).any()
    flickering = made("warp", 6, coherence=0)
    slow = made("warp", 6, coherence=0.99)
    jumps = [np.abs(np.diff(clip.frames.astype(int), axis=0)).mean() for clip in (slow, flickering)]
    assert 0 < jumps[0] < jumps[1] / 2


@pytest.mark.parametrize("method", METHODS)
def test_the_mask_goes_where_the_face_goes(method: Method) -> None:
    pixels = np.full((2, 120, 160, 3), 90, np.uint8)
    landmarks = (TEMPLATE * 20 + [60, 50])[None].repeat(2, axis=0)
    landmarks[1] += [25, 7]
    mask = make_fake(method, pixels, landmarks, AS_USUAL, "clip").mask
    np.testing.assert_allclose(mask[1, 7:, 25:], mask[0, :-7, :-25], atol=1e-4)
    assert mask[0, 50:72, 50:70].min() > 0.2  # between eyes and mouth


def test_a_similarity_is_found_exactly_and_mistaken_landmarks_are_survived() -> None:
    turn = 30 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    matrix, offset = fit((TEMPLATE @ turn.T + [100, 80])[None])
    np.testing.assert_allclose(matrix[0], turn, atol=1e-9)
    np.testing.assert_allclose(offset[0], [100, 80], atol=1e-9)
    same, flat = np.full((1, 5, 2), 40.0), np.stack([np.arange(5.0), np.zeros(5)], axis=1)[None]
    for mistaken in (same, 10 * flat):
        found = fit(mistaken)[0]
        assert np.linalg.det(found)[0] > 0.1
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("frames", "landmarks", "said"),
    [
        (np.zeros((2, 9, 9, 3), np.float32), np.ones((2, 5, 2)), "uint8"),
        (np.zeros((2, 9, 9), np.uint8), np.ones((2, 5, 2)), "uint8"),
        (np.zeros((2, 9, 9, 3), np.uint8), np.ones((3, 5, 2)), "2 frames have 3"),
        (np.zeros((2, 9, 9, 3), np.uint8), np.ones((2, 68, 2)), r"\(T, 5, 2\)"),
        (np.zeros((2, 9, 9, 3), np.uint8), np.full((2, 5, 2), np.nan), "finite"),
        (np.zeros((0, 9, 9, 3), np.uint8), np.ones((0, 5, 2)), "T >= 1"),
    ],
)
def test_what_is_no_clip_with_landmarks_is_refused(
    frames: NDArray[np.uint8], landmarks: NDArray[np.float64], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make_fake("warp", frames, landmarks, AS_USUAL, "clip")


def test_a_window_lies_within_the_frame() -> None:
    found = place((TEMPLATE * 40 + [5, 3])[None], 50, 31)
    assert (found.height, found.width) == (50, 31)
    assert found.corner.tolist() == [[0, 0]]


def test_the_key_follows_what_changes_a_clips_pixels() -> None:
    assert AS_USUAL.key() == PseudoFakes(methods=("warp",), share=0.5, ignore_fakes=True).key()
    for other in ({"coherence": 0.5}, {"strength": 0.5}, {"colour": 0}, {"seed": 1}):
        assert PseudoFakes.model_validate(other).key() != AS_USUAL.key()
