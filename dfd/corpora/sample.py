"""The sample corpus: synthetic talking heads and their fakes, made here, from a seed, with ground-truth masks.

Two corpora, `sample-swap` and `sample-reenact`, show the same invented people. Each person gives one real clip and one
fake a corpus, both from one take, so that nothing but the manipulation tells them apart. A person has one split in
both corpora, and a swap takes its face from a person of the same split. Nobody in it exists and it proves nothing about
real fakes: it is there so that every part of dfd can run, and be measured, without a gated corpus.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd import pool
from dfd.corpora.sample_fakes import FAMILIES, Family
from dfd.corpora.sample_render import render_pair
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, Split, read_manifest
from dfd.paths import atomic_file
from dfd.progress import Progress, silent
from dfd.video import write_video

VERSION = 1  # of the generator: a change of its pixels is another corpus
QUALITIES = (23, 28)  # x264 crf: traces are clear in the first and weak, but there, in the second
SHARES: dict[Split, float] = {"train": 0.50, "val": 0.15, "test": 0.35}


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What a sample corpus is made from; the same spec gives the same corpus.

    `size` is px of a frame's side, `difficulty` runs from 0 (fakes plain to see) to 1 (nearly invisible).

    Raises:
        ManifestError: a value out of range.
    """

    identities: int
    frames: int = 150
    size: int = 256
    fps: float = 30.0
    difficulty: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "identities": (6, 5000), "frames": (2, 3000), "size": (128, 1024), "fps": (1, 120), "difficulty": (0, 1),
            "seed": (0, 2**31),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ManifestError(f"the sample corpus takes {name} from {low} to {high}, not {getattr(self, name)}")
        if self.size % 2:
            raise ManifestError(f"the sample corpus takes an even size, since H.264 halves colour; not {self.size}")

    def key(self) -> str:
        """Short digest of the spec and of the generator's version."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:12]

    def record(self) -> dict[str, int | float]:
        """The spec and the generator's version, as stored beside the clips."""
        return {**asdict(self), "version": VERSION}


def make(
    out: Path,
    spec: SampleSpec,
    *,
    families: Sequence[Family] = FAMILIES,
    workers: int = 2,
    progress: Progress = silent,
) -> dict[str, Manifest]:
    """Make the sample corpora under `out`, or what of them is missing.

    Each family gets `out/sample-<family>/` with `manifest.csv`, `videos/`, `masks/` (of the fakes) and `spec.json`.
    Clips that are there stay; one that was being written when a run was killed is made again.

    Returns:
        The manifests by corpus name, for example `sample-swap`.

    Raises:
        ManifestError: a folder holds the sample corpus of another spec.
    """
    folders = {family: out / f"sample-{family}" for family in families}
    for folder in folders.values():
        _claim(folder, spec)
    jobs = [
        _Job(folder, family, spec, *cast)
        for family, folder in folders.items()
        for cast in _casting(spec)
        if not all(path.exists() for path in _files(folder, family, cast[0]))
    ]
    total = len(families) * spec.identities
    ready = total - len(jobs)
    progress(ready / total, f"{2 * ready} of {2 * total} sample clips")
    for _ in pool.run(_maker, jobs, min(workers, len(jobs))):
        ready += 1
        progress(ready / total, f"{2 * ready} of {2 * total} sample clips")
    return {folder.name: _manifest(folder, family, spec) for family, folder in folders.items()}


def save_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Keep a fake's mask, bool (T, H, W), whole or not at all."""
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, bits=np.packbits(mask), shape=np.array(mask.shape))


def load_mask(path: Path) -> NDArray[np.bool_]:
    """Read a fake's mask, bool (T, H, W): True where the frame was manipulated.

    Raises:
        ManifestError: the file is missing or no mask.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            shape = tuple(int(side) for side in stored["shape"])
            bits = np.unpackbits(stored["bits"], count=int(np.prod(shape)))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ManifestError(f"{path} is not a fake's mask ({error}); make its corpus again") from None
    return bits.astype(bool).reshape(shape)


def mask_path(video: Path) -> Path:
    """Where a fake's mask lies, from the path of its video."""
    return video.parent.parent / "masks" / f"{video.stem}.npz"


@dataclass(frozen=True, slots=True)
class _Job:
    folder: Path
    family: Family
    spec: SampleSpec
    identity: int
    source: int
    split: Split
    crf: int


def _casting(spec: SampleSpec) -> Iterator[tuple[int, int, Split, int]]:
    """(identity, source of its swap, split, crf) of every person; sources go round within a split."""
    order = np.random.default_rng((spec.seed, 3)).permutation(spec.identities)
    for split, members in _shared_out(order):
        for place, identity in enumerate(members):
            yield int(identity), int(members[(place + 1) % len(members)]), split, QUALITIES[place % 2]


def _shared_out(order: NDArray[np.int64]) -> Iterator[tuple[Split, NDArray[np.int64]]]:
    """Cut people into splits of at least two, so that everybody finds a source."""
    total = len(order)
    val = max(2, round(total * SHARES["val"]))
    test = max(2, round(total * SHARES["test"]))
    yield "train", order[: total - val - test]
    yield "val", order[total - val - test : total - test]
    yield "test", order[total - test :]


def _files(folder: Path, family: Family, identity: int) -> tuple[Path, Path, Path]:
    """Real video, fake video and mask of one person."""
    fake = folder / "videos" / f"id{identity:03d}-{family}.mp4"
    return folder / "videos" / f"id{identity:03d}-original.mp4", fake, mask_path(fake)


def _claim(folder: Path, spec: SampleSpec) -> None:
    """Write the spec into the folder, or find the same one there."""
    path = folder / "spec.json"
    if not path.exists():
        with atomic_file(path) as part:
            part.write_text(json.dumps(spec.record(), indent=1) + "\n", encoding="utf-8")
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(name for name, value in spec.record().items() if there.get(name) != value)
    except (json.JSONDecodeError, AttributeError):
        raise ManifestError(f"{path} cannot be read; delete the folder {folder} to make the corpus anew") from None
    if differing:
        name = differing[0]
        raise ManifestError(
            f"{folder} holds a sample corpus of another spec ({name} is {there.get(name)} there, "
            f"{spec.record()[name]} was asked for); delete that folder or choose another"
        )


def _maker() -> Callable[[_Job], None]:
    return _make_pair


def _make_pair(job: _Job) -> None:
    spec = job.spec
    pair = render_pair(
        job.family, job.identity, job.source,
        seed=spec.seed, frames=spec.frames, size=spec.size, fps=spec.fps, difficulty=spec.difficulty,
    )  # fmt: skip
    real, fake, mask = _files(job.folder, job.family, job.identity)
    save_mask(mask, pair.mask)
    write_video(real, pair.real, spec.fps, crf=job.crf, preset="superfast")
    write_video(fake, pair.fake, spec.fps, crf=job.crf, preset="superfast")


def _manifest(folder: Path, family: Family, spec: SampleSpec) -> Manifest:
    path = folder / "manifest.csv"
    if not path.exists():
        clips = sorted(_clips(folder, family, spec), key=lambda clip: clip.clip_id)
        Manifest(folder.name, tuple(clips)).check().write(path)
    return read_manifest(path)


def _clips(folder: Path, family: Family, spec: SampleSpec) -> Iterator[Clip]:
    for identity, source, split, crf in _casting(spec):
        real, fake, _ = _files(folder, family, identity)
        for path, label in ((real, Label.REAL), (fake, Label.FAKE)):
            method = "original" if label is Label.REAL else family
            yield Clip(
                corpus=folder.name,
                clip_id=f"{method}/id{identity:03d}",
                path=path,
                label=label,
                method=method,
                compression=f"crf{crf}",
                target_identity=f"sample-{identity:03d}",
                source_identity=f"sample-{source:03d}" if method == "swap" else "",
                split=split,
                official_split=True,
                frames=spec.frames,
            )
