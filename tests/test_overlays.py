"""Heat maps as pictures: one scale a clip, colours everybody can tell apart, and a folder that is never harmed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from dfd import charts, overlays
from dfd.errors import DfdError

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
# Linear RGB as seen without long-, medium- or short-wave cones. Source: Machado et al. 2009, severity 1.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: NDArray[np.uint8]) -> NDArray[np.float64]:
    return (colour / 255) ** 2.2


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def maps() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)


def test_one_scale_serves_the_whole_clip() -> None:
    """A frame of weak evidence looks weak beside a strong one."""
    maps = np.ones((2, 8, 8), np.float32)
    maps[1] *= 0.1
    black = np.zeros((2, 8, 8, 3), np.uint8)
    strong, weak = overlays.blend(maps, black, opacity=1.0).astype(int)
    assert strong.mean() == pytest.approx(10 * weak.mean(), rel=0.1)


def test_a_few_extreme_pixels_do_not_hide_the_rest() -> None:
    maps = np.ones((2, 20, 20), np.float32)
    maps[0, 0, :4] = 1e6
    assert overlays.scale_of(maps) == 1.0


def test_a_map_of_a_single_pixel_is_seen() -> None:
    maps = np.zeros((4, 32, 32), np.float32)
    maps[2, 5, 5] = -3
    assert overlays.scale_of(maps) == 3.0


def test_no_evidence_leaves_the_face_in_grey(crops: NDArray[np.uint8]) -> None:
    none = np.zeros((3, 8, 8), np.float32)
    assert overlays.scale_of(none) == 1.0
    grey = np.asarray(Image.fromarray(crops[0]).convert("L")).astype(int)
    assert np.abs(overlays.blend(none, crops)[0].astype(int) - grey[..., None]).max() <= 1


def test_at_opacity_0_the_face_is_as_it_is(maps: NDArray[np.float32], crops: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(overlays.blend(maps, crops, opacity=0), crops)


def test_fake_is_orange_and_real_is_blue() -> None:
    grey = np.full((1, 1, 2, 3), 128, np.uint8)
    fake, real = overlays.blend(np.array([[[1, -1]]], np.float32), grey, opacity=1.0)[0, 0].astype(int)
    assert fake[0] > fake[1] > fake[2]
    assert real[2] > real[1] > real[0]


def test_the_colours_are_the_charts() -> None:
    assert charts.REAL.lower() == "#{:02x}{:02x}{:02x}".format(*overlays.REAL)
    assert charts.FAKE.lower() == "#{:02x}{:02x}{:02x}".format(*overlays.FAKE)


TWO_SIDED = [name for name, (real, fake) in overlays.PALETTES.items() if real != fake]


@pytest.mark.parametrize("palette", TWO_SIDED)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_two_sides_differ_to_the_colour_blind(blindness: str, palette: str) -> None:
    seen = np.clip(linear(overlays.table(palette)[[0, -1]]) @ np.array(BLINDNESS[blindness]).T, 0, 1)
    assert np.abs(seen[0] - seen[1]).max() > 0.25


@pytest.mark.parametrize("palette", overlays.PALETTES)
def test_both_sides_darken_alike_and_evenly(palette: str) -> None:
    luminance = linear(overlays.table(palette)) @ LUMINANCE
    real, fake = luminance[:256], luminance[255:][::-1]
    assert (np.diff(real) > -1e-3).all()
    assert (np.diff(fake) > -1e-3).all()
    assert np.abs(real - fake).max() < 0.05


def test_values_beyond_the_scale_are_shown_at_full_strength() -> None:
    values = np.array([-9, -1, 0, 1, 9], np.float32)
    colours = overlays.colours(values)
    assert colours.shape == (5, 3)
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[3], colours[4])
    np.testing.assert_array_equal(colours[2], overlays.MIDDLE)


@given(
    maps=arrays(np.float32, (2, 4, 4), elements=st.floats(-1e6, 1e6, width=32)),
    crops=arrays(np.uint8, (2, 4, 4, 3)),
    opacity=st.floats(0, 1),
)
@settings(deadline=None, max_examples=40)
def test_a_blend_lies_between_face_and_colour(
    maps: NDArray[np.float32], crops: NDArray[np.uint8], opacity: float
) -> None:
    blended = overlays.blend(maps, crops, opacity=opacity).astype(int)
    ends = overlays.table()[np.where(maps < 0, 0, -1)].astype(int)
    grey = (crops @ overlays.LUMA).round().astype(int)[..., None].repeat(3, axis=-1)
    assert (blended >= np.minimum(np.minimum(crops, grey), ends)).all()
    assert (blended <= np.maximum(np.maximum(crops, grey), ends)).all()


def test_one_side_alone_is_what_both_show_of_it(maps: NDArray[np.float32], crops: NDArray[np.uint8]) -> None:
    signed = maps - maps.mean()
    both, fake, real = (overlays.blend(signed, crops, side=side) for side in ("both", "fake", "real"))
    bare = overlays.blend(np.zeros_like(signed), crops)
    for one, kept in ((fake, signed > 0), (real, signed < 0)):
        np.testing.assert_array_equal(one[kept], both[kept])
        np.testing.assert_array_equal(one[~kept], bare[~kept])


def test_the_strength_alone_does_not_say_which_side(maps: NDArray[np.float32], crops: NDArray[np.uint8]) -> None:
    one, other = (overlays.blend(sign * maps, crops, palette="strength alone") for sign in (1, -1))
    np.testing.assert_array_equal(one, other)


def test_an_unknown_palette_is_refused(maps: NDArray[np.float32], crops: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="unknown palette 'jet'; choose one of orange and blue"):
        overlays.blend(maps, crops, palette="jet")


def test_maps_of_other_crops_are_refused(maps: NDArray[np.float32], crops: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        overlays.blend(maps[:2], crops)


@pytest.mark.parametrize(("columns", "shape"), [(None, (8, 24, 3)), (2, (16, 16, 3)), (1, (24, 8, 3)), (9, (8, 24, 3))])
def test_a_strip_holds_every_picture(crops: NDArray[np.uint8], columns: int | None, shape: tuple[int, ...]) -> None:
    strip = overlays.strip(crops, columns)
    assert strip.shape == shape
    np.testing.assert_array_equal(strip[:8, :8], crops[0])
    row, column = divmod(2, min(columns or 3, 3))
    np.testing.assert_array_equal(strip[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8], crops[2])


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_folder_gets_a_picture_a_frame_and_the_facts(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    out = tmp_path / "deep" / "out"
    written = overlays.write_folder(crops, {"method": "gradcam"}, out)
    assert [path.name for path in written] == ["frame_000.png", "frame_001.png", "frame_002.png", "attribution.json"]
    assert names(out) == sorted(path.name for path in written)
    np.testing.assert_array_equal(np.asarray(Image.open(written[1])), crops[1])
    facts = json.loads(written[-1].read_text(encoding="utf-8"))
    assert facts["method"] == "gradcam"
    assert facts["files"] == ["frame_000.png", "frame_001.png", "frame_002.png"]


def test_other_files_of_the_folder_stay(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "frame_900.png").write_text("mine too")
    overlays.write_folder(crops, {}, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "frame_900.png").read_text() == "mine too"


def test_a_shorter_result_leaves_no_frame_of_the_one_before(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    overlays.write_folder(crops, {}, tmp_path)
    overlays.write_folder(crops[:1], {}, tmp_path)
    assert names(tmp_path) == ["attribution.json", "frame_000.png"]


@pytest.mark.parametrize("name", ["frame_001.png", "attribution.json"])
@pytest.mark.parametrize("content", ["mine", '{"files": ["frame_000.png"]}', "[]", ""])
def test_a_file_that_is_not_ours_is_never_replaced(
    tmp_path: Path, crops: NDArray[np.uint8], name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DfdError, match=f"already has a {name} that dfd did not write; name another folder"):
        overlays.write_folder(crops, {}, tmp_path)
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == content


def test_a_users_picture_is_never_replaced(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    Image.fromarray(crops[2]).save(tmp_path / "frame_000.png")
    with pytest.raises(DfdError, match=r"already has a frame_000\.png"):
        overlays.write_folder(crops, {}, tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "frame_000.png")), crops[2])


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DfdError, match="out is a file; name a folder"):
        overlays.write_folder(crops, {}, tmp_path / "out")


def test_a_write_cut_short_never_looks_whole_and_can_be_done_again(
    tmp_path: Path, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    overlays.write_folder(crops, {}, tmp_path)
    save = Image.Image.save

    def full(self: Image.Image, path: Path, *arguments: object, **options: object) -> None:
        if "frame_001" in path.name:
            raise OSError("no space left on device")
        save(self, path, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match="no space left"):
            overlays.write_folder(crops, {}, tmp_path)
    assert names(tmp_path) == ["frame_000.png"]
    overlays.write_folder(crops, {}, tmp_path)
    assert len(names(tmp_path)) == 4
