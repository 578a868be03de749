"""What is training now, and how far it is."""

from dataclasses import dataclass
from typing import Any

from dfd.tracking.reading import process_is_gone
from dfd.tracking.store import search

PLANNED = {"detector": "train.head.epochs", "backbone": "train.backbone.epochs"}  # the parameter that says how many


@dataclass(frozen=True, slots=True)
class Training:
    """A run that is being written: `epoch` is the last one that it told of, 0 before the first."""

    run_id: str
    name: str
    kind: str
    corpus: str
    epoch: int
    epochs: int | None  # planned, None of work without any; a training that stops early needs fewer

    @property
    def share(self) -> float:
        """Of the planned epochs, in [0, 1]; the test that follows the last one is not counted."""
        return min(self.epoch / self.epochs, 1.0) if self.epochs else 0.0


def training() -> list[Training]:
    """The runs that are being written now, newest first; one whose process was killed is none of them.

    Raises:
        StoreError: the store cannot be reached.
    """
    return [_read(run) for run in search("attributes.status = 'RUNNING'") if not process_is_gone(run)]


def _read(run: Any) -> Training:
    tags, params = run.data.tags, run.data.params
    kind = tags.get("dfd.kind", "")
    planned = params.get(PLANNED.get(kind, ""))
    told = [int(each.step) for each in run.data.to_proto().metrics]  # the latest of each metric, with its step
    return Training(
        run_id=run.info.run_id,
        name=run.info.run_name,
        kind=kind,
        corpus=tags.get("dfd.corpus", ""),
        epoch=max(told, default=0),
        epochs=int(planned) if planned else None,
    )
