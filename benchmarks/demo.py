"""How much of `make demo` is network passes: its wall time against that of the passes alone, in one run.

    python benchmarks/demo.py [--identities 60]

It prepares the demonstration in an empty temporary home, then times each kind of pass it made (MTCNN, backbone training
steps and inference, head training steps and inference) on random numbers of the same shapes, on the same machine, and
multiplies by how often the demonstration makes it. Limit: wall time at most 3 times the passes.
"""

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from dfd import demo
from dfd.config import Stage, read_experiment
from dfd.data import face_corpus
from dfd.device import best_device
from dfd.faces import FaceFinder
from dfd.models import build
from dfd.progress import Printer
from dfd.sweep import members
from dfd.training import fit, score


def median_seconds(work: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """(median, fastest, slowest) wall seconds of some calls, after one that is not counted."""
    work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken), min(taken), max(taken)


def training_step(model: nn.Module, stage: Stage, inputs: torch.Tensor) -> Callable[[], object]:
    """One optimiser step through the real loop, without its validation."""
    labels = torch.arange(len(inputs)) % 2
    one = stage.model_copy(update={"epochs": 1, "schedule": "plateau"})
    told = (np.array([0, 1]), np.array([0.4, 0.6]))
    return lambda: fit(model, lambda epoch: iter([(inputs, labels)]), lambda: told, one, labels, best_device())


def passes(repeats: int) -> list[tuple[str, int, tuple[float, float, float]]]:
    """(what, how often, seconds each) of every network pass the demonstration makes."""
    experiment = read_experiment(demo.SWEEP)
    corpora = [face_corpus(name) for name in experiment.data.corpora]
    clips = sum(map(len, corpora))
    sizes = {split: sum(len(corpus.split(split)) for corpus in corpora) for split in ("train", "val", "test")}  # type: ignore[arg-type]
    stage, head_stage = experiment.train.backbone, experiment.train.head
    size, device = experiment.crop.size, best_device()
    longest = max(length for length in experiment.sweep.sequence_lengths) if experiment.sweep else 0
    found = []
    frames = np.random.default_rng(0).integers(0, 255, (demo.SPEC.frames // 5 + 1, 256, 256, 3), dtype=np.uint8)
    finder = FaceFinder(experiment.crop)
    # Two worker processes share the machine in the demonstration; here one call has it to itself.
    found.append(("MTCNN on a clip", clips, median_seconds(lambda: finder.detect(frames), repeats)))
    trunk = build("resnext_mean", weights="none")
    trunk.backbone.to(memory_format=torch.channels_last)
    kept = size * 6 // 7
    steps = stage.epochs * (stage.steps or math.ceil(sizes["train"] / stage.batch))
    crops = torch.rand(stage.batch, 1, 3, kept, kept)
    found.append(("backbone training step", steps, median_seconds(training_step(trunk, stage, crops), repeats)))
    still = torch.rand(4, 1, 3, size, size)
    looks = stage.epochs * sizes["val"] + sizes["val"] // 4
    found.append(("backbone on 4 crops", looks, median_seconds(lambda: score(trunk.eval(), still, device), repeats)))
    many = torch.rand(1, longest, 3, size, size)
    found.append(
        (f"backbone on {longest} crops", clips, median_seconds(lambda: score(trunk.eval(), many, device), repeats))
    )
    for corpus in corpora:
        for member in members(experiment, corpus.name):
            length = member.model.sequence_length
            head = build(member.model.name, **{**member.model.hyperparameters(), "backbone": "resnext50_32x4d"}).head
            features = torch.rand(head_stage.batch, length, 2048)
            steps = head_stage.epochs * math.ceil(len(corpus.split("train")) / head_stage.batch)
            name = f"{member.name}: step"
            found.append((name, steps, median_seconds(training_step(head, head_stage, features), 3)))
            looked = (head_stage.epochs + 1) * len(corpus.split("val")) + len(corpus.split("test"))
            batch = torch.rand(16, length, 2048)
            found.append(
                (
                    f"{member.name}: 16 clips",
                    math.ceil(looked / 16),
                    median_seconds(lambda head=head, batch=batch: score(head.eval(), batch, device), 3),
                )
            )
    return found


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--identities", type=int, default=demo.SPEC.identities)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    demo.SPEC = replace(demo.SPEC, identities=arguments.identities)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DFD_HOME"] = folder
        started = time.perf_counter()
        demo.prepare(Printer())
        wall = time.perf_counter() - started
        rows = passes(arguments.repeats)
    total, low, high = (sum(often * seconds[at] for _, often, seconds in rows) for at in range(3))
    for what, often, (median, fastest, slowest) in rows:
        print(f"{what:<44}{often:>6} x {median:8.4f} s ({fastest:.4f}-{slowest:.4f}) = {often * median:8.1f} s")
    print(f"network passes {total:.0f} s ({low:.0f}-{high:.0f}), demonstration {wall:.0f} s")
    print(f"ratio {wall / total:.2f} ({wall / high:.2f}-{wall / low:.2f}), limit 3")


if __name__ == "__main__":
    main()
