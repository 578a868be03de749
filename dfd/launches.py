"""Trainings that are started from experiment files as processes of their own, and outlive whoever started them.

A launch is a folder `data/launches/<id>`: `launch.json` says what was started and as which process, `log.txt` is what
it printed, `stop` is there once it was asked to stop, and `ended.json` has its exit code. Each file is whole or not
there. Only files below experiments/ can be started, by name. A launch that was stopped is gone on with by starting its
file again: finished runs are found by their keys, and the one that was interrupted goes on.
"""

import ipaddress
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from dfd import provenance
from dfd.config import Experiment, read_experiment
from dfd.corpora import inventory
from dfd.errors import ExperimentError, LaunchError
from dfd.paths import atomic_file, data_dir, home

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
DFD = (sys.executable, "-m", "dfd.cli")
CHILD = (sys.executable, "-m", "dfd._launch_child")
PATIENCE = 60.0  # seconds in which a training that was asked to stop writes how far it is
ALLOWED = "DFD_ALLOW_LAUNCHES"
INTERRUPTED = 130  # exit code of `dfd` after SIGTERM or Ctrl-C
TAIL = 64_000  # bytes of the log's end that are read
PROGRESS = re.compile(r"\[ *(\d+)%(?:, ([^\]]+))?\] (.*)")  # as `dfd.progress.Printer` writes it

Verb = Literal["train", "sweep", "search"]
State = Literal["running", "stopping", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Launch:
    """A training that was started."""

    id: str
    verb: Verb
    experiment: str  # its file's name below experiments/
    process: str  # host, pid, start time
    started: datetime  # UTC
    folder: Path

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log.txt"


@dataclass(frozen=True, slots=True)
class Report:
    """How a launch is doing."""

    state: State
    code: int | None  # exit code, minus a signal's number; None while it runs, and where its machine went down
    ended: datetime | None
    share: float | None  # done, in [0, 1]; None before it told anything
    doing: str  # what it does now, with the time left, or did last
    last: str  # the last line of its log that is no progress: of one that failed, why

    @property
    def over(self) -> bool:
        """Whether it runs no more."""
        return self.state not in ("running", "stopping")


def allowed(address: str | None) -> bool:
    """Whether a dashboard that listens on this address may start processes on its machine.

    On the loopback address, yes, since whoever reaches it can start them anyway; on any other, and on all (None), no.
    `DFD_ALLOW_LAUNCHES`, 1 or 0, decides otherwise: 0 is for a loopback address that a proxy opens to others.
    """
    decided = os.environ.get(ALLOWED)
    if decided is not None:
        return decided == "1"
    try:
        return address == "localhost" or ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def experiments() -> list[str]:
    """The names of the experiment files, as paths below experiments/, those at its top first."""
    found = [path.relative_to(EXPERIMENTS).as_posix() for path in EXPERIMENTS.rglob("*.yaml")]
    return sorted(found, key=lambda name: (name.count("/"), name))


def read(name: str) -> Experiment:
    """An experiment file by its name, validated.

    Raises:
        ExperimentError: there is none of that name, or it is wrong; the sentence says what.
    """
    return read_experiment(_path(name))


def _path(name: str) -> Path:
    if name not in experiments():  # a name is looked up, never joined: no way leads out of the folder
        raise ExperimentError(f"there is no experiment file '{name}' below {EXPERIMENTS}")
    return EXPERIMENTS / name


def verb_of(experiment: Experiment) -> Verb:
    """What is done with an experiment: a sweep or a search where it describes one, else a training."""
    if experiment.sweep is not None:
        return "sweep"
    return "train" if experiment.search is None else "search"


def not_preprocessed(experiment: Experiment) -> list[str]:
    """The experiment's corpora whose faces were not found yet: it cannot be trained before `dfd preprocess`."""
    there = inventory.names()
    return [name for name in experiment.data.corpora if name not in there or inventory.corpus(name).faces is None]


def start(name: str) -> Launch:
    """Start what an experiment file describes, or go on with it, as a process that outlives this one.

    Raises:
        ExperimentError: there is no such file, or it is wrong.
        LaunchError: it is running already.
    """
    verb = verb_of(read(name))
    if any(each.experiment == name and not report(each).over for each in launches()):
        raise LaunchError(f"{name} is training already; stop it first, or wait for its end")
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    folder = Path(tempfile.mkdtemp(dir=root, prefix=f"{now:%Y%m%d-%H%M%S}-"))
    command = [*CHILD, str(folder / "ended.json"), str(PATIENCE), *DFD, verb, str(_path(name))]
    surroundings = {**os.environ, "DFD_HOME": str(home()), "PYTHONUNBUFFERED": "1"}
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=surroundings,
            start_new_session=True,  # neither Ctrl-C nor the end of the dashboard's terminal reaches it
        )
    launch = Launch(folder.name, verb, name, provenance.process(child.pid), now, folder)
    _write(launch)
    threading.Thread(target=child.wait, daemon=True).start()  # so that it is no zombie when it ends before this process
    return launch


def _write(launch: Launch) -> None:
    facts = {"verb": launch.verb, "experiment": launch.experiment, "process": launch.process}
    with atomic_file(launch.folder / "launch.json") as part:
        part.write_text(json.dumps({**facts, "started": launch.started.isoformat()}), encoding="utf-8")


def launches() -> list[Launch]:
    """All launches, newest first."""
    found = [_read(path.parent) for path in _root().glob("*/launch.json")]
    return sorted(found, key=lambda launch: launch.started, reverse=True)


def _read(folder: Path) -> Launch:
    facts = _json(folder / "launch.json")
    started = datetime.fromisoformat(facts["started"])
    return Launch(folder.name, facts["verb"], facts["experiment"], facts["process"], started, folder)


def _json(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaunchError(f"{path} cannot be read ({error}); remove its folder to be rid of the launch") from None
    return facts


def report(launch: Launch) -> Report:
    """How a launch is doing now."""
    gone = provenance.is_gone(launch.process)  # asked first: what it wrote at its end is then there
    written, asked = launch.folder / "ended.json", (launch.folder / "stop").exists()
    facts = _json(written) if written.exists() else {}
    lines = tail(launch)
    told = [match for line in lines if (match := PROGRESS.fullmatch(line))]
    share, left, doing = told[-1].groups() if told else (None, None, "")
    said = [line for line in lines if line and not PROGRESS.fullmatch(line)]
    return Report(
        state=_state(facts.get("code"), gone, asked),
        code=facts.get("code"),
        ended=datetime.fromisoformat(facts["ended"]) if facts else None,
        share=None if share is None else min(int(share) / 100, 1.0),
        doing=f"{doing} ({left})" if left else doing,
        last=said[-1] if said else "",
    )


def _state(code: int | None, gone: bool, asked: bool) -> State:
    if code is None and not gone:
        return "stopping" if asked else "running"
    if code == 0:
        return "done"
    return "stopped" if asked or code == INTERRUPTED else "failed"


def tail(launch: Launch) -> list[str]:
    """The last lines of a launch's log, within its last `TAIL` bytes."""
    try:
        with launch.log.open("rb") as file:
            file.seek(max(0, launch.log.stat().st_size - TAIL))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def stop(launch: Launch) -> None:
    """Ask a launch to stop, so that its run is recorded as interrupted; after `PATIENCE` seconds it is killed.

    Raises:
        LaunchError: it runs on another machine, or belongs to another user.
    """
    host, pid, _ = launch.process.rsplit(" ", 2)
    if provenance.is_gone(launch.process):
        return
    if host != provenance.this_process().rsplit(" ", 2)[0]:
        raise LaunchError(f"{launch.experiment} runs on {host}; stop it there")
    (launch.folder / "stop").touch()
    try:
        psutil.Process(int(pid)).terminate()
    except psutil.NoSuchProcess:
        return  # it has just ended
    except psutil.AccessDenied:
        raise LaunchError(f"{launch.experiment} belongs to another user of this machine, who can stop it") from None


def _root() -> Path:
    return data_dir() / "launches"
