"""The sample corpus: same seed, same clips; nothing but the manipulation tells a fake from its original."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dfd.corpora.sample import SampleSpec, load_mask, make, mask_path, save_mask
from dfd.corpora.sample_fakes import FAMILIES, Family
from dfd.corpora.sample_people import make_person
from dfd.corpora.sample_render import Pair, render_pair
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, read_manifest
from dfd.video import probe, read_frames

SPEC = SampleSpec(identities=7, frames=4, size=128, seed=3)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpora")
    make(out, SPEC, workers=1)
    return out


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    return {family: render(family) for family in FAMILIES}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def render(family: Family, identity: int = 1, *, difficulty: float = 0.3, frames: int = 20, seed: int = 0) -> Pair:
    return render_pair(
        family, identity, 2, seed=seed, frames=frames, size=256, fps=30.0, difficulty=difficulty
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_pixels(family: Family, pairs: dict[str, Pair]) -> None:
    again = render(family)
    np.testing.assert_array_equal(again.real, pairs[family].real)
    np.testing.assert_array_equal(again.fake, pairs[family].fake)
    np.testing.assert_array_equal(again.mask, pairs[family].mask)


def test_another_seed_or_identity_gives_another_person(pairs: dict[str, Pair]) -> None:
    for other in (render("swap", seed=1, frames=2), render("swap", identity=4, frames=2)):
        assert np.abs(other.real.astype(int) - pairs["swap"].real[:2]).mean() > 5


def test_the_two_corpora_hold_different_takes_of_one_person(pairs: dict[str, Pair]) -> None:
    assert np.abs(pairs["swap"].real.astype(int) - pairs["reenact"].real).mean() > 5


@pytest.mark.parametrize("family", FAMILIES)
def test_real_and_fake_differ_inside_the_mask_and_nowhere_else(family: Family, pairs: dict[str, Pair]) -> None:
    pair = pairs[family]
    changed = (pair.real != pair.fake).any(-1)
    assert not (changed & ~pair.mask).any()
    assert changed[pair.mask].mean() > 0.8
    assert 0.01 < pair.mask.mean() < 0.3
    assert pair.mask.any((1, 2)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_difficulty_makes_fakes_fainter_without_a_step(family: Family) -> None:
    def difference(difficulty: float) -> float:
        pair = render(family, difficulty=difficulty, frames=6)
        return float(np.abs(pair.real.astype(float) - pair.fake)[pair.mask].mean())

    falling = [difference(step / 5) for step in range(6)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < falling[0] / 2


def test_a_fake_flickers_more_than_its_original(pairs: dict[str, Pair]) -> None:
    pair = pairs["reenact"]
    stays = pair.mask.all(0)
    real, fake = (frames.mean(-1)[:, stays].mean(1) for frames in (pair.real, pair.fake))
    assert np.diff(fake, n=2).std() > 1.3 * np.diff(real, n=2).std()


def test_people_are_not_the_same_face_twice() -> None:
    faces = [make_person(0, number).texture for number in range(6)]
    for one in range(6):
        for other in range(one):
            assert np.abs(faces[one][:3] - faces[other][:3]).mean() > 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_corpus_is_balanced_and_complete(corpora: Path, family: Family) -> None:
    manifest = read_manifest(corpora / f"sample-{family}" / "manifest.csv").check()
    assert manifest.name == f"sample-{family}"
    assert len(manifest) == 2 * SPEC.identities
    assert Counter(clip.label for clip in manifest) == {Label.REAL: SPEC.identities, Label.FAKE: SPEC.identities}
    for split in SPLITS:
        assert Counter(clip.label for clip in manifest.split(split)).most_common(1)[0][1] >= 2
    by_person: dict[str, set[tuple[str, str]]] = {}
    for clip in manifest:
        by_person.setdefault(clip.target_identity, set()).add((clip.split, clip.compression))
        info = probe(clip.path)
        assert (info.frames, info.width, info.height, info.fps) == (SPEC.frames, SPEC.size, SPEC.size, SPEC.fps)
    assert all(len(found) == 1 for found in by_person.values())  # a pair shares split and quality
    assert len({clip.compression for clip in manifest}) == 2
    for clip in manifest:
        if clip.label is Label.FAKE:
            assert load_mask(mask_path(clip.path)).shape == (SPEC.frames, SPEC.size, SPEC.size)
            assert bool(clip.source_identity) == (family == "swap")


def test_a_person_has_one_split_in_both_corpora_and_swaps_stay_in_it(corpora: Path) -> None:
    where: dict[str, set[str]] = {}
    for family in FAMILIES:
        for clip in read_manifest(corpora / f"sample-{family}" / "manifest.csv"):
            for identity in clip.identities:
                where.setdefault(identity, set()).add(clip.split)
            assert clip.source_identity != clip.target_identity
    assert len(where) == SPEC.identities
    assert all(len(splits) == 1 for splits in where.values())


def test_a_half_made_corpus_is_finished_to_the_same_files(corpora: Path, tmp_path: Path) -> None:
    shutil.copytree(corpora, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "sample-swap"
    (folder / "manifest.csv").unlink()
    (folder / "videos" / "id000-swap.mp4").unlink()
    (folder / "masks" / "id001-swap.npz").unlink()
    kept = (folder / "videos" / "id002-swap.mp4").stat().st_mtime_ns
    told: list[float] = []
    make(tmp_path, SPEC, workers=1, progress=lambda fraction, message: told.append(fraction))
    assert files(tmp_path) == files(corpora)
    assert (folder / "videos" / "id002-swap.mp4").stat().st_mtime_ns == kept
    assert told == sorted(told)
    assert told[0] == pytest.approx(1 - 2 / (2 * SPEC.identities))
    assert told[-1] == 1


def test_workers_make_the_same_files_as_one_process(corpora: Path, tmp_path: Path) -> None:
    shutil.copytree(corpora / "sample-reenact", tmp_path / "sample-reenact")
    for identity in (0, 4):
        (tmp_path / "sample-reenact" / "videos" / f"id{identity:03d}-reenact.mp4").unlink()
    make(tmp_path, SPEC, families=("reenact",), workers=2)
    assert files(tmp_path / "sample-reenact") == files(corpora / "sample-reenact")


def test_another_spec_is_refused_and_changes_nothing(corpora: Path) -> None:
    before = files(corpora)
    with pytest.raises(ManifestError, match=r"sample-swap holds .*difficulty is .* delete that folder"):
        make(corpora, replace(SPEC, difficulty=0.9))
    assert files(corpora) == before


def test_a_damaged_spec_is_named(corpora: Path, tmp_path: Path) -> None:
    (tmp_path / "sample-swap").mkdir()
    (tmp_path / "sample-swap" / "spec.json").write_text("{")
    with pytest.raises(ManifestError, match=r"spec\.json"):
        make(tmp_path, SPEC, families=("swap",))


@pytest.mark.parametrize(
    ("name", "value"), [("identities", 5), ("frames", 1), ("size", 129), ("fps", 0), ("difficulty", 1.2), ("seed", -1)]
)
def test_an_impossible_spec_is_refused(name: str, value: float) -> None:
    with pytest.raises(ManifestError, match=name):
        SampleSpec(**{"identities": 8, name: value})


def test_the_key_follows_the_spec() -> None:
    assert SPEC.key() == SampleSpec(**{k: v for k, v in SPEC.record().items() if k != "version"}).key()
    assert SPEC.key() != replace(SPEC, seed=4).key()
    assert json.loads(json.dumps(SPEC.record())) == SPEC.record()


def test_no_mask_is_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "mask.npz"
    broken.write_bytes(b"no zip")
    whole, empty, cut = (tmp_path / f"{name}.npz" for name in ("whole", "empty", "cut"))
    save_mask(whole, np.ones((2, 8, 8), np.bool_))
    empty.touch()
    cut.write_bytes(whole.read_bytes()[:-40])
    for path in (broken, empty, cut, tmp_path / "none.npz"):
        with pytest.raises(ManifestError, match=path.name):
            load_mask(path)


def test_mtcnn_finds_one_face_in_real_and_fake_frames(pairs: dict[str, Pair]) -> None:
    from facenet_pytorch import MTCNN

    frames = np.concatenate([clip[::7] for pair in pairs.values() for clip in (pair.real, pair.fake)])
    _, probabilities = MTCNN(keep_all=True).detect(frames)
    assert all(list(found >= 0.9).count(True) == 1 for found in probabilities)


def test_a_video_is_the_rendered_take(corpora: Path) -> None:
    pair = render_pair(
        "swap", 0, 0, seed=SPEC.seed, frames=SPEC.frames, size=SPEC.size, fps=SPEC.fps, difficulty=SPEC.difficulty
    )
    decoded = read_frames(corpora / "sample-swap" / "videos" / "id000-original.mp4", range(SPEC.frames)).pixels
    assert np.abs(decoded.astype(int) - pair.real).mean() < 6
