"""Frames a second in training: dfd's loop beside the plain one, on the same clips and network, in one run.

    python -m benchmarks.training [--clips 16] [--length 10] [--batch 4] [--repeats 3]

Both train ResNeXt-50 32x4d and an LSTM of 2048 units end to end, with Adam, on whole 112 px crops of the same face-only
videos of the sample corpus, one epoch after the other, in turns:

- dfd: `fit_clips` on the crop table, in bfloat16 where this machine multiplies it fast and with channels last, as
  `dfd train` has it. The table is made once a corpus, which is timed apart.
- plain: the loop as the field's public code has it: float32, torchvision's network as it comes, a data set that opens
  each clip with `cv2.VideoCapture` whenever it is read, in the training process and in as many workers as there are
  cores. The faster of the two counts.

Counted is an epoch's training, from its call to its last step; not validation, which public loops do in their own ways.
dfd's time includes what `fit_clips` sets up anew at each call, its optimiser and a copy of the weights. Augmentation is
off in both, since dfd's smaller crops would make it faster; a row shows what it costs and gains. What dfd reads must be
what OpenCV reads, to a mean of 2 levels of 255. Limit: 1.8 times the frames a second. Exit code 1 if it is missed.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

from benchmarks.timing import line, ratio, timed
from dfd.config import Stage
from dfd.corpora.sample import SampleSpec, make
from dfd.data import Table, crop_table
from dfd.device import best_device
from dfd.manifest import read_manifest
from dfd.models import build, fast_bfloat16
from dfd.models.contract import ClipModel
from dfd.preprocess import preprocess
from dfd.recipe import IMAGENET_MEAN, IMAGENET_STD, CropRecipe
from dfd.training import fit_clips

LIMIT, SAME = 1.8, 2.0
RATE = 1e-4


class PlainClips(Dataset[tuple[Tensor, int]]):
    """The first frames of videos, decoded each time they are asked for."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], length: int) -> None:
        self.paths, self.labels, self.length = paths, labels, length
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        video = cv2.VideoCapture(str(self.paths[at]))
        frames = []
        while len(frames) < self.length:
            read, frame = video.read()
            if not read:
                raise SystemExit(f"OpenCV reads only {len(frames)} frames of {self.paths[at]}")
            frames.append(self.transform(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)))
        video.release()
        return torch.stack(frames), self.labels[at]


class PlainNetwork(nn.Module):
    """The published network in the published manner, with the LSTM over time."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*list(models.resnext50_32x4d().children())[:-1])
        self.lstm = nn.LSTM(2048, 2048, batch_first=True)
        self.end = nn.Sequential(nn.LeakyReLU(), nn.Dropout(0.4), nn.Linear(2048, 2))

    def forward(self, clips: Tensor) -> Tensor:
        batch, length = clips.shape[:2]
        features = self.trunk(clips.flatten(0, 1)).view(batch, length, 2048)
        return self.end(self.lstm(features)[0].mean(dim=1))


class Plain:
    """The plain loop, with its network and optimiser."""

    def __init__(self, clips: PlainClips, batch: int, device: torch.device) -> None:
        self.clips, self.batch, self.device = clips, batch, device
        self.network = PlainNetwork().to(device).train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)
        self.criterion = nn.CrossEntropyLoss()

    def epoch(self, workers: int) -> None:
        losses = []
        for inputs, labels in DataLoader(self.clips, self.batch, shuffle=True, num_workers=workers):
            self.optimiser.zero_grad()
            loss = self.criterion(self.network(inputs.to(self.device)), labels.to(self.device))
            loss.backward()
            self.optimiser.step()
            losses.append(loss.item())


class Ours:
    """dfd's loop, with a network that is prepared as `dfd train` prepares it."""

    def __init__(self, table: Table, length: int, batch: int, device: torch.device) -> None:
        self.table, self.length, self.device = table, length, device
        self.stage = Stage(epochs=1, batch=batch, learning_rate=RATE)
        self.network: ClipModel = build("resnext_lstm")
        self.network.backbone.to(memory_format=torch.channels_last)

    def epoch(self, *, augmented: bool) -> float:
        """Seconds from the call to the last step."""
        steps = []
        started = time.perf_counter()
        fit_clips(
            self.network,
            self.table,
            self.table.where("val"),
            self.stage,
            self.device,
            length=self.length,
            order="natural",
            seed=0,
            augmented=augmented,
            progress=lambda fraction, message: steps.append(time.perf_counter()),
        )
        return steps[-1] - started


def face_clips(folder: Path, clips: int, length: int) -> tuple[Table, float]:
    """The crops of so many clips of the sample corpus, half of them fake, and the seconds that their table took."""
    recipe, name = CropRecipe(), "sample-swap"
    made = make(folder / "sample", SampleSpec(identities=clips // 2, frames=length), families=("swap",))
    preprocess(made[name], folder / "faces", recipe)
    manifest = read_manifest(folder / "faces" / "manifest.csv")
    started = time.perf_counter()
    table = crop_table(manifest, recipe, length, folder / "cache")
    return table.where(at_least=length), time.perf_counter() - started


def apart(table: Table, clips: PlainClips) -> float:
    """Mean difference in levels of 255 between what both loops read."""
    std, mean = (torch.tensor(values)[:, None, None] for values in (IMAGENET_STD, IMAGENET_MEAN))
    ours = table.read(np.arange(len(table)), clips.length).float()
    plain = torch.stack([clips[at][0] for at in range(len(clips))]) * std + mean
    return (ours - 255 * plain.movedim(2, -1)).abs().mean().item()


def measure(table: Table, length: int, batch: int, repeats: int) -> dict[str, list[float]]:
    """Frames a second by what was done, each repeat in turn; the first round of all is not counted."""
    device, cores, frames = best_device(), os.cpu_count() or 1, len(table) * length
    clips = PlainClips([clip.path for clip in table.manifest], table.labels.tolist(), length)
    if (levels := apart(table, clips)) > SAME:
        raise SystemExit(f"what dfd reads is {levels:.1f} levels from what OpenCV reads: the clips are not the same")
    print(line("the clips as both read them, apart", [levels], "levels of 255"))
    ours, plain = Ours(table, length, batch, device), Plain(clips, batch, device)
    work: dict[str, Callable[[], float]] = {
        "dfd": lambda: ours.epoch(augmented=False),
        "dfd, usual augmentation": lambda: ours.epoch(augmented=True),
        "plain": lambda: timed(lambda: plain.epoch(0)),
        f"plain, {cores} workers": lambda: timed(lambda: plain.epoch(cores)),
        "plain, reading alone": lambda: timed(lambda: [clips[at] for at in range(len(clips))]),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 1):  # in turns, so that what else the machine does falls on all
        for name, once in work.items():
            seconds = once()
            if turn:
                rates[name].append(frames / seconds)
    return rates


def report(rates: dict[str, list[float]]) -> float:
    """Print the table; returns the median ratio."""
    for name, values in rates.items():
        print(line(name, values, "frames/s"))
    loops = [values for name, values in rates.items() if name.startswith("plain") and "alone" not in name]
    ratios = [ours / max(plain) for ours, *plain in zip(rates["dfd"], *loops, strict=True)]
    return ratio("dfd / plain at its faster", ratios, LIMIT)


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clips", 16), ("length", 10), ("batch", 4), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.manual_seed(0)
    device = best_device()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DFD_HOME"] = folder
        table, seconds = face_clips(Path(folder), asked.clips, asked.length)
        precision = "bfloat16" if fast_bfloat16(device) else "float32"
        print(f"{len(table)} clips of {asked.length} frames, {asked.batch} a step, on {device}; dfd in {precision}")
        print(line("the crop table, made once", [seconds]))
        ratio = report(measure(table, asked.length, asked.batch, asked.repeats))
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
