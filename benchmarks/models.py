"""Every model: does it train on the sample corpus, is it evaluated, and can it be explained?

    python -m benchmarks.models [--only NAME ...] [--out FILE]

One experiment file of `experiments/models/` a model. Each is trained by `dfd.experiments.train` in dfd's home (set
DFD_HOME to one of its own if the runs shall not stand among yours), on sample-swap as `make demo` makes it, and every
figure of the table is read from its run: the validation loss before the first step and at its best epoch, and the AUC
on test clips with its 95 % interval. What is finished is not trained again, and what was killed goes on. Then Grad-CAM
explains one fake of the test clips, and the detector must be as it was before: weights, statistics, modes, hooks.

The table goes to `docs/models.md`, unless --only chooses some. The budgets are small and nearly the same for all, so
that it says what works and ranks nothing. Exit code 1 if a model's validation loss never fell below its start, or it
could not be explained, or explaining it changed it.
"""

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dfd import attribution, demo, tracking
from dfd.checkpoints import load
from dfd.config import Experiment, read_experiment
from dfd.corpora import sample
from dfd.experiments import chosen_clips, train
from dfd.face_only import load_face_clip
from dfd.labels import Label
from dfd.models.contract import ClipModel
from dfd.paths import data_dir
from dfd.preprocess import preprocess
from dfd.progress import Progress, part, printed, silent
from dfd.work import LOSS_AT_START

FOLDER = demo.ROOT / "experiments" / "models"
OUT = demo.ROOT / "docs" / "models.md"
CORPUS = "sample-swap"  # which the experiments read, each by its own recipe and under a name for that
COLUMNS = ("model", "parameters (M)", "loss at start", "at best", "test AUC (95 %)", "Grad-CAM, largest", "epochs")

NOTE = """
A row is a model, trained from random numbers on a small budget that is nearly the same for all. It says that the model
trains to a validation loss below its start, is evaluated, and is explained and left as it was. It ranks nothing: the
corpus is an easy one, and the budgets are what two cores do in minutes. EfficientNet-B4 has twice the epochs: after
three its train loss was 0.28 and its validation loss still above the start, as its batch norms' running statistics were
behind its weights. The exit code is 0 if all of this holds.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one model."""

    name: str  # of its experiment file
    parameters: int
    start: float  # validation loss before the first step
    best: float  # the lowest of an epoch
    auc: tuple[float, float, float]  # on test clips, and the ends of its interval
    largest: float  # of the heat maps' absolute values
    unchanged: bool  # the detector, by being explained
    epochs: int  # of what was trained last: a head's, where others share its backbone

    @property
    def sound(self) -> bool:
        """Whether it learnt, and was explained and left as it was."""
        return self.best < self.start and self.explained and self.unchanged

    @property
    def explained(self) -> bool:
        """Whether the heat maps say anything."""
        return math.isfinite(self.largest) and self.largest > 0

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table has it."""
        auc, low, high = self.auc
        said = f"yes, {self.largest:.2g}" if self.explained else "no"
        return (
            self.name,
            f"{self.parameters / 1e6:.2f}",
            f"{self.start:.3f}",
            f"{self.best:.3f}" + ("" if self.best < self.start else ", **not below**"),
            f"{auc:.3f} ({low:.3f} to {high:.3f})",
            said + ("" if self.unchanged else ", **the detector changed**"),
            f"{self.epochs}",
        )


def experiments(only: Sequence[str] = ()) -> dict[str, Experiment]:
    """The experiments by the names of their files, all or some; those that others extend are left out.

    Raises:
        SystemExit: one of these names is none.
    """
    files = {path.stem: path for path in sorted(FOLDER.glob("*.yaml")) if not path.stem.startswith("base")}
    unknown = sorted(set(only) - files.keys())
    if unknown:
        raise SystemExit(f"there is no model '{unknown[0]}'; choose some of {', '.join(files)}")
    return {name: read_experiment(path) for name, path in files.items() if not only or name in only}


def prepare(asked: Sequence[Experiment], progress: Progress = silent) -> None:
    """The sample corpus, and its face-only videos by every recipe that the experiments have."""
    clips = sample.make(data_dir() / "sample", demo.SPEC, progress=part(progress, 0, 0.5))[CORPUS]
    recipes = {corpus: experiment.crop for experiment in asked for corpus in experiment.data.corpora}
    for at, (corpus, recipe) in enumerate(recipes.items()):
        share = part(progress, 0.5 + 0.5 * at / len(recipes), 0.5 + 0.5 * (at + 1) / len(recipes))
        preprocess(clips, data_dir() / "faces" / corpus, recipe, progress=share)


def measured(name: str, experiment: Experiment, progress: Progress = silent) -> Row:
    """Train a model, unless that is done, and read what its run says; then explain it."""
    run_id = train(experiment, progress)
    figures, curve = tracking.metrics(run_id), tracking.history(run_id)
    losses = curve.loc[curve["metric"] == "val/loss", "value"]
    largest, unchanged = explained(run_id, experiment)
    low, high = figures["test/auc_low"], figures["test/auc_high"]
    return Row(
        name=name,
        parameters=sum(weights.numel() for weights in load(run_id).model.parameters()),
        start=figures[LOSS_AT_START],
        best=float(losses.min()),
        auc=(figures["test/auc"], low, high),
        largest=largest,
        unchanged=unchanged,
        epochs=len(losses),
    )


def explained(run_id: str, experiment: Experiment) -> tuple[float, bool]:
    """Grad-CAM of the first fake of the test clips: its largest absolute value, and whether the detector is as before.

    NaN where a map has a value that is no number.
    """
    checkpoint = load(run_id)
    length = checkpoint.meta.sequence_length
    fakes = (clip for clip in chosen_clips(experiment.data).split("test") if clip.label is Label.FAKE)
    whole = load_face_clip(next(clip for clip in fakes if (clip.frames or 0) >= length).path)
    face = whole.at(checkpoint.meta.recipe.positions(len(whole.crops), length))
    before = _state(checkpoint.model)
    maps = attribution.explain(checkpoint, face, "gradcam").maps
    after = _state(checkpoint.model)
    same = before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    return float(np.abs(maps).max()), same


def _state(model: ClipModel) -> dict[str, torch.Tensor]:
    """All that may be changed in a detector, by name: tensors, and of every module its mode and how many hooks."""
    found = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name, module in model.named_modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        found[f"{name} is trained, hooks"] = torch.tensor([int(module.training), hooks])
    return found


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def main() -> int:
    """Train, measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of experiment files, without .yaml")
    parser.add_argument("--out", type=Path, help=f"{OUT.relative_to(demo.ROOT)} if not given, and not --only")
    given = parser.parse_args()
    asked = experiments(given.only)
    rows = []
    with printed() as progress:
        prepare(list(asked.values()), part(progress, 0, 0.1))
        for at, (name, experiment) in enumerate(asked.items()):
            share = part(progress, 0.1 + 0.9 * at / len(asked), 0.1 + 0.9 * (at + 1) / len(asked))
            rows.append(measured(name, experiment, share))
    title = f"Every model on {CORPUS}, {os.cpu_count()} cores, by `python -m benchmarks.models`"
    text = f"# {title}\n\n{table(rows)}{NOTE}"
    print(text)
    out = given.out or (None if given.only else OUT)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    return 0 if all(row.sound for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
