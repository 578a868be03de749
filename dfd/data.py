"""Face clips as training reads them: one memory-mapped table of crops, and one of backbone features.

Tables are caches keyed by what is in them, under `data/cache/`; deleting them costs only time. They are mapped, not
loaded, so that memory stays flat in the corpus's size.
"""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfd.errors import ManifestError
from dfd.face_only import load_crops, recipe_of
from dfd.labels import Label
from dfd.manifest import Manifest, Split, read_manifest
from dfd.memory import held
from dfd.models import autocast, to_input
from dfd.paths import atomic_file, data_dir
from dfd.progress import Progress, silent
from dfd.pseudo_fakes.settings import SUFFIX
from dfd.recipe import CropRecipe


def face_corpus(name: str) -> Manifest:
    """The face-only videos of a corpus, by its name: one that was preprocessed, or `<corpus>+pseudo`.

    The latter is what training on pseudo-fakes of a corpus made last, unless a corpus of this name was preprocessed
    (`dfd pseudo-fakes` makes such).

    Raises:
        ManifestError: it is not there.
    """
    path = data_dir() / "faces" / name / "manifest.csv"
    made = data_dir() / "pseudo" / name.removesuffix(SUFFIX) / "manifest.csv"
    if not path.is_file() and name.endswith(SUFFIX):
        if not made.is_file():
            raise ManifestError(
                f"corpus '{name}' is not there: neither {path} nor {made} is; `dfd train --pseudo-fakes` makes it, or "
                "`dfd pseudo-fakes` and `dfd preprocess`"
            )
        path = made
    if not path.is_file():
        raise ManifestError(
            f"corpus '{name}' is not preprocessed: there is no {path}; run `dfd preprocess` on it first"
        )
    return read_manifest(path).check()


@dataclass(frozen=True, slots=True)
class Table:
    """Clips and their frames: crops uint8 or features float32. Selecting clips never copies the mapped frames."""

    manifest: Manifest  # N clips
    values: NDArray[np.uint8] | NDArray[np.float32]  # (M, T, S, S, 3) crops or (M, T, F) features, M >= N, mapped
    rows: NDArray[np.int64]  # (N,) each clip's place in `values`
    lengths: NDArray[np.int64]  # (N,) frames a clip has, 0 where no face was found; `values` beyond them is zero
    recipe: CropRecipe

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def labels(self) -> Tensor:
        """(N,) int64, 1 = fake."""
        return torch.tensor([int(clip.label) for clip in self.manifest])

    def where(self, split: Split | None = None, *, corpus: str | None = None, at_least: int = 0) -> "Table":
        """The clips of a split, of a corpus, with at least so many frames; clips without a face have 0."""
        kept = [
            place
            for place, clip in enumerate(self.manifest)
            if (split is None or clip.split == split)
            and (corpus is None or clip.corpus == corpus)
            and self.lengths[place] >= at_least
        ]
        manifest = Manifest(corpus or self.manifest.name, tuple(self.manifest.clips[place] for place in kept))
        return replace(self, manifest=manifest, rows=self.rows[kept], lengths=self.lengths[kept])

    def frames(self, clip: int, positions: NDArray[np.int64]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """(len(positions), ...) frames of one clip."""
        return self.values[self.rows[clip]][positions]

    def forget(self) -> None:
        """Give mapped pages back: what was read once is then no memory of this process, only the system's cache."""
        mapped = getattr(self.values, "_mmap", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            mapped.madvise(mmap.MADV_DONTNEED)

    def read(self, clips: NDArray[np.int64], length: int) -> Tensor:
        """(B, length, ...) of these clips, frames chosen by the recipe's sampling."""
        chosen = [self.recipe.positions(int(self.lengths[clip]), length) for clip in clips]
        return torch.from_numpy(np.stack([self.frames(clip, at) for clip, at in zip(clips, chosen, strict=True)]))


def crop_table(
    manifest: Manifest, recipe: CropRecipe, longest: int, cache: Path | None = None, progress: Progress = silent
) -> Table:
    """The crops of a preprocessed corpus, or of several that were merged.

    Args:
        manifest: of face-only videos, as `preprocess` writes it.
        longest: longest sequence that will be read; "even" sampling keeps `recipe.max_frames` frames in any case.
        cache: folder for the table; `data/cache` of dfd's home by default.

    Raises:
        ManifestError: a face-only video is gone, or was cut by another recipe.
    """
    frames = recipe.max_frames if recipe.sampling == "even" else min(longest, recipe.max_frames)
    paths = [clip.path for clip in manifest if clip.frames != 0]
    if not paths:
        raise ManifestError(f"no clip of '{manifest.name}' gave a face-only video; its report.json says why of each")
    facts = [f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in paths if path.exists()]
    if len(facts) < len(paths):
        missing = next(path for path in paths if not path.exists())
        raise ManifestError(f"face-only video {missing} of '{manifest.name}' is gone; run `dfd preprocess` again")
    cut_by = recipe_of(paths[0])  # one corpus has one recipe: preprocess never mixes them
    if cut_by.key() != recipe.key():
        differing = [name for name, value in recipe if getattr(cut_by, name) != value]
        raise ManifestError(
            f"the face-only videos of '{manifest.name}' were cut by another recipe ({', '.join(differing)} differ); "
            "cut them again with `dfd preprocess --experiment FILE`"
        )
    asked = [str(frames), *(clip.clip_id for clip in manifest), *facts]
    key = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:16]
    path = (cache or data_dir() / "cache") / f"crops-{key}.npy"
    if not path.exists():
        with atomic_file(path) as part:
            shape = (len(manifest), frames, recipe.size, recipe.size, 3)
            table = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            for row, clip in enumerate(manifest):
                if clip.frames != 0:
                    crops = load_crops(clip.path, frames)
                    table[row, : len(crops)] = crops
                progress((row + 1) / len(manifest), f"reading face clips of {manifest.name}")
            table.flush()
            del table
    lengths = np.array([min(clip.frames if clip.frames is not None else frames, frames) for clip in manifest])
    return Table(manifest, np.load(path, mmap_mode="r"), np.arange(len(manifest)), lengths, recipe)


def feature_table(
    crops: Table, backbone: nn.Module, device: torch.device, cache: Path | None = None, progress: Progress = silent
) -> Table:
    """Backbone features of every frame of a crop table: one pass serves every head and sequence length.

    Args:
        backbone: (N, 3, S, S) -> (N, F), in the state that checkpoints will hold; put into eval mode.
    """
    state = hashlib.sha256("\n".join(str(clip.path) for clip in crops.manifest).encode())
    for name, tensor in backbone.state_dict().items():
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    read_as = [crops.recipe.colour, crops.recipe.mean, crops.recipe.std]  # no part of the recipe's key
    state.update(f"{crops.manifest.content()} {crops.values.shape} {read_as}".encode())
    path = (cache or data_dir() / "cache") / f"features-{state.hexdigest()[:16]}.npy"
    if not path.exists():
        with held(device.type):
            _compute_features(crops, backbone.eval().to(device), device, path, progress)
    return replace(crops, values=np.load(path, mmap_mode="r"), rows=np.arange(len(crops)))


def _compute_features(crops: Table, backbone: nn.Module, device: torch.device, path: Path, progress: Progress) -> None:
    with atomic_file(path) as part:
        table: np.memmap | None = None
        for row in np.flatnonzero(crops.lengths).tolist():
            pixels = torch.from_numpy(crops.frames(row, np.arange(crops.lengths[row]))).to(device)
            with torch.inference_mode(), autocast(device):
                features = backbone(to_input(pixels, crops.recipe)).float().cpu().numpy()
            if table is None:
                shape = (len(crops), crops.values.shape[1], features.shape[1])
                table = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
            table[row, : len(features)] = features
            crops.forget()
            progress((row + 1) / len(crops), f"backbone features of {crops.manifest.name}")
        if table is not None:
            table.flush()
            del table


def epoch_rows(
    labels: Tensor, batch: int, steps: int | None, generator: torch.Generator, *, balanced: bool = False
) -> Iterator[NDArray[np.int64]]:
    """Rows of each step: one shuffled pass over the clips, or `steps` steps of shuffled passes end to end.

    `balanced` draws as many and alternates the classes, each in shuffled passes of its own.
    """
    wanted = steps * batch if steps else len(labels)
    if balanced:
        each = [_passes(torch.nonzero(labels == label).flatten(), -(-wanted // 2), generator) for label in Label]
        order = torch.stack(each, dim=1).flatten()[:wanted].numpy()
    else:
        order = _passes(torch.arange(len(labels)), wanted, generator).numpy()
    for start in range(0, wanted, batch):
        yield order[start : start + batch]


def _passes(rows: Tensor, wanted: int, generator: torch.Generator) -> Tensor:
    passes = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(-(-wanted // len(rows)))]
    return torch.cat(passes)[:wanted]
