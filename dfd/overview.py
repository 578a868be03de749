"""What there is at a glance: the store in numbers, the best checkpoint of each corpus, this machine, its versions."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from dfd import tracking

PACKAGES = ("dfd", "torch", "mlflow", "streamlit")


@dataclass(frozen=True, slots=True)
class Contents:
    """A store in numbers. A detector is a run with a checkpoint; corpora are those that runs were trained on."""

    runs: int
    finished: int
    training: int
    broken: int  # failed, or stopped before their end
    detectors: int
    corpora: tuple[str, ...]
    searches: int


@dataclass(frozen=True, slots=True)
class Best:
    """The registered best checkpoint of a corpus: best on validation clips, shown with its figures on test clips."""

    corpus: str
    run_id: str
    name: str
    ref: str  # as any verb and MLflow take it
    detector: str  # what it is, in a few words
    figures: Mapping[str, float]  # on test clips: test/auc, test/auc_low, test/auc_high and so on


def contents(runs: pd.DataFrame) -> Contents:
    """The numbers of a table of runs, as from `tracking.runs()`."""
    status = runs["status"]
    return Contents(
        runs=len(runs),
        finished=int((status == "FINISHED").sum()),
        training=int((status == "RUNNING").sum()),
        broken=int(status.isin(["FAILED", "KILLED"]).sum()),
        detectors=int((runs["checkpoint"] != "").sum()),
        corpora=tuple(sorted(set(runs["corpus"]) - {""})),
        searches=len(set(runs["search"]) - {""}),
    )


def best(runs: pd.DataFrame, aliases: Mapping[str, int]) -> list[Best]:
    """The registered best of each corpus, by the corpus's name; a corpus whose best is not among `runs` is left out.

    Which it is, `tracking.promote` chose by validation figures alone; test figures are only shown.

    Args:
        runs: as from `tracking.runs()`.
        aliases: as from `tracking.aliases()`.
    """
    registered = runs[runs["registered"] != ""].drop_duplicates("registered").set_index("registered", drop=False)
    found = []
    for corpus in sorted(set(registered["corpus"]) - {""}):
        alias = tracking.best_alias(corpus)
        number = str(aliases.get(alias, ""))
        if number in registered.index:
            found.append(_best(corpus, f"models:/{tracking.REGISTERED}@{alias}", registered.loc[number].to_dict()))
    return found


def _best(corpus: str, ref: str, run: Mapping[str, Any]) -> Best:
    figures = {name: float(value) for name, value in run.items() if name.startswith("test/") and pd.notna(value)}
    parts = [run["control"] or run["head"] or run["model"], f"{run['sequence_length']:.0f} frames"]
    return Best(
        corpus=corpus,
        run_id=run["run_id"],
        name=run["name"],
        ref=ref,
        detector=", ".join(parts),
        figures=figures,
    )


def device() -> str:
    """What clips are judged on here: the GPU and its memory, or the CPU, its cores and the machine's memory.

    Asked of torch, in a child process where this one has not loaded it: that takes seconds and 600 MB, which a
    dashboard that only compares runs can do without.
    """
    if "torch" in sys.modules:
        from dfd.device import described

        return described()
    command = [sys.executable, "-c", "from dfd import device; print(device.described())"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip() or "torch cannot be loaded; the dashboard's log says why"


def versions() -> dict[str, str]:
    """The installed versions of `PACKAGES`."""
    return {name: version(name) for name in PACKAGES}
